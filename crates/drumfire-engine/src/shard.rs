//! One shard: a thread, its reactor, its users, its recorder.

use crate::control::{Control, Stop, StopReason};
use crate::drain::Running;
use crate::health::probe_lag;
use crate::program::{
    Iteration, IterationEnd, Program, ProgramError, Seed, Shard, ShardProgram, VirtualUser,
    Warnings,
};
use crate::snapshots::Snapshots;
use crate::tenure::{Tenure, Terms};
use crate::{pacer, users};
use drumfire_metrics::{DropReason, Recorder, Snapshot};
use drumfire_plan::{Load, Plan, Share};
use drumfire_reactor::{now, sleep_until, sleep_until_precise, spawn, yield_now};
use std::cell::{Cell, RefCell};
use std::num::NonZeroU32;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::Duration;
use tokio::sync::{oneshot, watch};

/// What a shard tells the aggregator.
pub(crate) enum Message {
    /// The program is open and prepared; the load may begin.
    Ready(Ready),
    /// The program cannot be opened, or not prepared.
    Failed(String),
    /// The shard is awake at the run's start, so many nanoseconds after it.
    Begun(u64),
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

/// What becomes known of a shard when it is ready.
pub(crate) struct Ready {
    /// When it was, on the shard's clock.
    pub(crate) at_ns: u64,
    pub(crate) warnings: Warnings,
}

/// What a shard is given.
pub(crate) struct Assignment {
    pub(crate) index: u32,
    pub(crate) shards: NonZeroU32,
    pub(crate) plan: Arc<Plan>,
    pub(crate) tenure: Tenure,
    pub(crate) program: Arc<dyn Program>,
    pub(crate) control: Control,
    pub(crate) graces: Graces,
    pub(crate) preparation: Preparation,
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

/// How a shard's program gets ready before the start.
#[derive(Debug, Clone)]
pub(crate) struct Preparation {
    /// The shard's part of what all make ready together.
    pub(crate) ahead: Option<Share>,
    pub(crate) limit: Duration,
}

/// A shard whose load is running.
pub(crate) struct ShardRun {
    pub(crate) start_ns: u64,
    /// The shard's own stop: the run's, or its own clock's.
    pub(crate) control: Control,
    pub(crate) running: Rc<Running>,
    pub(crate) users_limit: u64,
    pub(crate) tenure: Tenure,
    pub(crate) index: u32,
    shards: NonZeroU32,
    seed: Seed,
    pub(crate) recorder: Rc<RefCell<Recorder>>,
    pub(crate) program: Rc<dyn ShardProgram>,
    begun: Rc<Cell<u64>>,
    spawned: Cell<u64>,
    ended: Rc<Cell<u64>>,
}

/// Runs a shard on the current reactor until its load is over.
pub(crate) async fn shard_main(assignment: Assignment, mut start: oneshot::Receiver<u64>) {
    let messages = assignment.messages.clone();
    let log = messages.clone();
    let log = move |line| log.try_send(Message::Log(line)).is_ok();
    let shard = Shard::new(assignment.index, assignment.shards.get(), Rc::new(log));
    let recorder = shard.recorder.clone();
    let program = match assignment.program.open(shard) {
        Ok(program) => program,
        // Nobody listens any more where another shard has failed before.
        Err(error) => return drop(messages.send(Message::Failed(error.0))),
    };
    let prepared = tokio::select! {
        prepared = get_ready(&assignment, &*program) => prepared,
        // Dropped: another shard could not be opened or prepared, and nobody listens any more.
        _ = &mut start => return,
    };
    let ready = match prepared {
        Ok(warnings) => Message::Ready(Ready {
            at_ns: now(),
            warnings,
        }),
        Err(error) => Message::Failed(error.0),
    };
    // Another shard may have failed at this very moment.
    if messages.send(ready).is_err() {
        return;
    }
    let Ok(start_ns) = start.await else { return };
    let run = Rc::new(ShardRun {
        start_ns,
        control: Control::default(),
        running: Rc::default(),
        users_limit: assignment.users_limit,
        tenure: assignment.tenure.clone(),
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
    tell(&messages, Message::Begun(now().saturating_sub(start_ns)));
    match &assignment.plan.load {
        Load::Open(load) => pacer::pace(load, &run, &snapshots).await,
        Load::Closed(load) => {
            snapshots.account(Duration::MAX).await;
            users::keep(load, &run).await;
        }
    }
    tell(&messages, Message::Draining(run.running.users()));
    drain(&run, assignment.graces).await;
    run.count_interrupted();
    snapshots.hand_over(now(), true);
    tell(&messages, Message::Ended(assignment.index as usize));
}

/// Prepares the program, as long as it may take. A run that is stopped before its start needs nothing more.
async fn get_ready(
    assignment: &Assignment,
    program: &dyn ShardProgram,
) -> Result<Warnings, ProgramError> {
    let Preparation { ahead, limit } = assignment.preparation.clone();
    let mut stop = assignment.control.watch();
    let limit_ns = now().saturating_add(limit.as_nanos() as u64);
    tokio::select! {
        biased;
        _ = stop.wait_for(|stop| *stop != Stop::No) => Ok(Warnings::default()),
        prepared = program.prepare(ahead) => prepared,
        () = sleep_until(limit_ns) => {
            let limit_s = limit.as_secs_f64();
            Err(ProgramError(format!("it was not ready after {limit_s} s")))
        }
    }
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
pub(crate) fn tell(messages: &SyncSender<Message>, message: Message) {
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
    /// What is this shard's now.
    pub(crate) fn terms(&self) -> Terms {
        self.tenure.terms().of_shard(self.index, self.shards)
    }

    /// Lets all iterations begin that were spawned.
    pub(crate) async fn settle(&self) {
        while self.spawned.get() != self.begun.get() {
            yield_now().await;
        }
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
