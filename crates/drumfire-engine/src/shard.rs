//! One shard: a thread, its reactor, its users, its recorder.

use crate::control::{Control, Stop, StopReason};
use crate::drain::Running;
use crate::health::{HealthReader, probe_lag};
use crate::program::{Iteration, IterationEnd, Program, Seed, Shard, ShardProgram, VirtualUser};
use crate::{pacer, users};
use drumfire_metrics::{DropReason, Histogram, Recorder, Snapshot};
use drumfire_plan::{Load, Plan, Share};
use drumfire_reactor::{now, sleep_until, sleep_until_precise, spawn};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError};
use std::time::Duration;
use tokio::sync::{oneshot, watch};

/// Length of the intervals that shards hand over.
pub(crate) const INTERVAL_US: u64 = 1_000_000;

/// What a shard tells the aggregator.
pub(crate) enum Message {
    /// The program is open; the load may begin.
    Ready,
    /// The program cannot be opened.
    Failed(String),
    /// A line of the script.
    Log(String),
    /// An interval is complete.
    Snapshot(usize, Box<Snapshot>),
    /// The schedule is over.
    Draining(u64),
    /// The longest allowed duration is over.
    Overtime,
    /// Nothing more will come.
    Ended(usize),
}

/// What a shard is given.
pub(crate) struct Assignment {
    pub(crate) index: u32,
    pub(crate) shards: u32,
    pub(crate) plan: Arc<Plan>,
    pub(crate) share: Share,
    pub(crate) program: Arc<dyn Program>,
    pub(crate) control: Control,
    pub(crate) graces: Graces,
    pub(crate) users_limit: u64,
    pub(crate) messages: SyncSender<Message>,
    /// Whether time is simulated: then no interval may be merged away to keep up.
    pub(crate) simulated: bool,
}

/// How long running iterations may go on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Graces {
    /// After the schedule's own end; without limit if none.
    pub(crate) after_end: Option<Duration>,
    /// After a stop.
    pub(crate) after_stop: Duration,
    /// The whole run.
    pub(crate) max_duration: Option<Duration>,
}

/// A shard whose load is running.
pub(crate) struct ShardRun {
    pub(crate) start_ns: u64,
    /// The shard's own stop: the run's, or its own clock's.
    pub(crate) control: Control,
    pub(crate) running: Rc<Running>,
    pub(crate) users_limit: u64,
    index: u32,
    shards: u32,
    seed: Seed,
    recorder: Rc<RefCell<Recorder>>,
    program: Rc<dyn ShardProgram>,
    begun: Rc<Cell<u64>>,
    spawned: Cell<u64>,
    ended: Rc<Cell<u64>>,
}

/// Runs a shard on the current reactor until its load is over.
pub(crate) async fn shard_main(assignment: Assignment, start: oneshot::Receiver<u64>) {
    let messages = assignment.messages.clone();
    let log = messages.clone();
    let log = move |line| log.try_send(Message::Log(line)).is_ok();
    let shard = Shard::new(assignment.index, assignment.shards, Rc::new(log));
    let recorder = shard.recorder.clone();
    let program = match assignment.program.open(shard) {
        Ok(program) => program,
        Err(error) => return tell(&messages, Message::Failed(error.0)),
    };
    tell(&messages, Message::Ready);
    // The sender is dropped when another shard could not be opened.
    let Ok(start_ns) = start.await else { return };
    let run = Rc::new(ShardRun {
        start_ns,
        control: Control::default(),
        running: Rc::default(),
        users_limit: assignment.users_limit,
        index: assignment.index,
        shards: assignment.shards,
        seed: Seed(assignment.plan.seed),
        recorder,
        program,
        begun: Rc::default(),
        spawned: Cell::default(),
        ended: Rc::default(),
    });
    let snapshots = Rc::new(Snapshots::new(run.clone(), &assignment));
    spawn(probe_lag(snapshots.lag_us.clone()));
    spawn(snapshots.clone().every_interval());
    spawn(forward(assignment.control.watch(), run.control.clone()));
    if let Some(limit) = assignment.graces.max_duration {
        let until_ns = start_ns + limit.as_nanos() as u64;
        spawn(end_at(until_ns, run.control.clone(), messages.clone()));
    }
    sleep_until_precise(start_ns).await;
    match &assignment.plan.load {
        Load::Open(load) => pacer::pace(load, &assignment.share, &run).await,
        Load::Closed(load) => users::keep(load, &assignment.share, &run).await,
    }
    tell(&messages, Message::Draining(run.running.users()));
    drain(&run, assignment.graces).await;
    run.count_interrupted();
    snapshots.hand_over(now(), true);
    tell(&messages, Message::Ended(assignment.index as usize));
}

/// Hands the run's stop on to the shard, whose own it is from then on.
async fn forward(mut stop: watch::Receiver<Stop>, shard: Control) {
    loop {
        match *stop.borrow_and_update() {
            Stop::No => {}
            Stop::Drain(reason) => shard.begin(reason),
            Stop::Now(reason) => shard.stop_now(reason),
        }
        if stop.changed().await.is_err() {
            return;
        }
    }
}

/// Ends the shard's load at the longest allowed duration, by the shard's own clock.
async fn end_at(until_ns: u64, shard: Control, messages: SyncSender<Message>) {
    sleep_until_precise(until_ns).await;
    shard.begin(StopReason::MaxDuration);
    tell(&messages, Message::Overtime);
}

/// The aggregator listens until every shard has ended, so a message always arrives.
fn tell(messages: &SyncSender<Message>, message: Message) {
    messages
        .send(message)
        .unwrap_or_else(|_| panic!("the aggregator outlives its shards"));
}

/// Waits for the running iterations as long as the graces allow.
async fn drain(run: &ShardRun, graces: Graces) {
    let mut stop = run.control.watch();
    let ended_ns = now();
    loop {
        let limit = match *stop.borrow_and_update() {
            Stop::Now(_) => return,
            Stop::Drain(_) => Some(graces.after_stop),
            Stop::No => graces.after_end,
        };
        let until_ns = limit.map_or(u64::MAX, |limit| {
            ended_ns.saturating_add(limit.as_nanos() as u64)
        });
        tokio::select! {
            () = run.running.empty() => return,
            () = sleep_until(until_ns) => return,
            _ = stop.changed() => {}
        }
    }
}

impl ShardRun {
    /// This shard's part of a number that all shards share.
    pub(crate) fn part_of(&self, whole: u32) -> u64 {
        let (shards, index) = (self.shards, self.index);
        u64::from(whole / shards + u32::from(index < whole % shards))
    }

    pub(crate) fn drop_iterations(&self, reason: DropReason, count: u64) {
        if count > 0 {
            self.recorder.borrow_mut().iterations_dropped(reason, count);
        }
    }

    /// A new user for one iteration.
    pub(crate) fn start_user(&self, number: u64, due_ns: u64) {
        let mut user = self.program.user(number);
        let iterating = self.iterating(number, due_ns);
        spawn(async move {
            iterating.run(user.as_mut()).await;
        });
    }

    /// A user that stays.
    pub(crate) fn user(&self, number: u64) -> Box<dyn VirtualUser> {
        self.program.user(number)
    }

    /// Counts an iteration in; it must be run.
    pub(crate) fn iterating(&self, number: u64, due_ns: u64) -> Iterating {
        self.spawned.set(self.spawned.get() + 1);
        Iterating {
            iteration: Iteration {
                number,
                intended_ns: due_ns,
                seed: self.seed.part(number),
            },
            recorder: self.recorder.clone(),
            begun: self.begun.clone(),
            ended: self.ended.clone(),
            guard: self.running.enter(),
        }
    }

    /// At the end: what never began was dropped, what did not end was cut off.
    fn count_interrupted(&self) {
        let never_begun = self.spawned.get() - self.begun.get();
        self.drop_iterations(DropReason::Stopped, never_begun);
        let mut recorder = self.recorder.borrow_mut();
        for _ in 0..self.begun.get() - self.ended.get() {
            recorder.iteration_interrupted();
        }
    }
}

/// An iteration that is about to run.
pub(crate) struct Iterating {
    iteration: Iteration,
    recorder: Rc<RefCell<Recorder>>,
    begun: Rc<Cell<u64>>,
    ended: Rc<Cell<u64>>,
    guard: crate::drain::RunningGuard,
}

impl Iterating {
    pub(crate) async fn run(self, user: &mut dyn VirtualUser) {
        let start_ns = now();
        let late_ns = start_ns.saturating_sub(self.iteration.intended_ns);
        self.recorder.borrow_mut().iteration_started(late_ns);
        self.begun.set(self.begun.get() + 1);
        let end = user.iterate(self.iteration).await;
        let mut recorder = self.recorder.borrow_mut();
        match end {
            IterationEnd::Completed => recorder.iteration_completed(now() - start_ns),
            IterationEnd::Failed => recorder.iteration_failed(),
        }
        drop(recorder);
        self.ended.set(self.ended.get() + 1);
        drop(self.guard);
    }
}

/// Hands the recorder over once an interval.
struct Snapshots {
    run: Rc<ShardRun>,
    messages: SyncSender<Message>,
    lag_us: Rc<RefCell<Histogram>>,
    health: RefCell<HealthReader>,
    taken_us: Cell<u64>,
    /// What the aggregator had no room for yet.
    waiting: RefCell<Option<Box<Snapshot>>>,
    blocking: bool,
}

impl Snapshots {
    fn new(run: Rc<ShardRun>, assignment: &Assignment) -> Self {
        Snapshots {
            run,
            messages: assignment.messages.clone(),
            lag_us: Rc::default(),
            health: RefCell::new(HealthReader::new()),
            taken_us: Cell::new(0),
            waiting: RefCell::default(),
            blocking: assignment.simulated,
        }
    }

    async fn every_interval(self: Rc<Self>) {
        let mut boundary_us = INTERVAL_US;
        loop {
            sleep_until_precise(self.run.start_ns + boundary_us * 1000).await;
            self.hand_over(self.run.start_ns + boundary_us * 1000, false);
            let now_us = now().saturating_sub(self.run.start_ns) / 1000;
            // A shard that was held up takes one long interval instead of several empty ones.
            boundary_us =
                (now_us / INTERVAL_US + 1).max(boundary_us / INTERVAL_US + 1) * INTERVAL_US;
        }
    }

    fn hand_over(&self, at_ns: u64, last: bool) {
        let run = &self.run;
        let now_us = at_ns.max(now()).saturating_sub(run.start_ns) / 1000;
        // A boundary that is met in time is exact; one that is met late ends where it was met.
        let end_us = match now_us % INTERVAL_US {
            rest if rest < INTERVAL_US / 10 && !last => now_us - rest,
            _ => now_us,
        };
        let start_us = self.taken_us.replace(end_us).min(end_us);
        let mut snapshot = run.recorder.borrow_mut().take(start_us, end_us);
        snapshot.health = self.health.borrow_mut().read(
            end_us - start_us,
            run.running.users(),
            self.lag_us.take(),
            run.program.health(),
        );
        self.send(snapshot, last);
    }

    fn send(&self, snapshot: Snapshot, last: bool) {
        let mut waiting = self.waiting.borrow_mut();
        let snapshot = match waiting.take() {
            Some(mut earlier) => {
                earlier.append(&snapshot);
                earlier
            }
            None => Box::new(snapshot),
        };
        let message = Message::Snapshot(self.run.index as usize, snapshot);
        if last || self.blocking {
            return tell(&self.messages, message);
        }
        if let Err(TrySendError::Full(Message::Snapshot(_, snapshot))) =
            self.messages.try_send(message)
        {
            *waiting = Some(snapshot);
        }
    }
}
