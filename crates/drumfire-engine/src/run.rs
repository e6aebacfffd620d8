//! A whole run: starts the shards at one instant, listens, and sums up.

use crate::aggregate::Aggregate;
use crate::control::{Control, StopReason};
use crate::event::{Event, Observer};
use crate::health::resident_bytes;
use crate::program::{Program, Warnings};
use crate::shard::{Assignment, Graces, Message, Preparation, shard_main};
use crate::stages::{boundaries, stage_facts};
use crate::tenure::{Tenure, Terms};
use crate::users;
use drumfire_metrics::{Interval, Snapshot, Summary};
use drumfire_plan::{Load, Plan, Share};
use drumfire_reactor::{Reactor, now};
use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::ops::Range;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::oneshot;

/// Messages the shards may be ahead of the aggregator.
const MESSAGES_LIMIT: usize = 4096;
/// From everybody's readiness to the first arrival, so that every thread is awake.
const START_LEAD_NS: u64 = 2_000_000;
/// Users that one process holds; arrivals above it are dropped and counted.
const USERS_LIMIT: u64 = 4_000_000;

/// How to run a plan.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Threads to run on; fewer where the plan or program cannot be divided so far.
    pub shards: NonZeroU32,
    /// How long running iterations may go on after the schedule's end; none: until they end.
    pub grace_after_end: Option<Duration>,
    /// How long running iterations may go on after a stop.
    pub grace_after_stop: Duration,
    /// Longest run; then it is stopped as if asked to.
    pub max_duration: Option<Duration>,
    /// This process's part of what all processes of a run make ready before its start (connections, say); none: nothing.
    pub ahead: Option<Share>,
    /// How long it may take to get ready; then the run does not begin.
    pub prepare_limit: Duration,
}

/// What a run came to.
#[derive(Debug)]
pub struct Outcome {
    /// Everything measured.
    pub summary: Summary,
    /// Why it ended early, if it did.
    pub stopped: Option<StopReason>,
}

/// Why a run could not begin.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// No thread or no descriptor.
    #[error("cannot start shard {shard}")]
    Shard {
        /// Which one.
        shard: u32,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// The program could not be opened or prepared.
    #[error("cannot prepare the program: {0}")]
    Program(String),
}

/// Runs this process's part of `plan` to its end or to the stop, telling
/// `observer` what happens. Blocks the caller, whose thread carries no load.
///
/// # Errors
/// A shard cannot start or the program cannot be opened; nothing has been sent then.
pub fn run(
    plan: &Arc<Plan>,
    tenure: &Tenure,
    program: &Arc<dyn Program>,
    settings: &Settings,
    control: &Control,
    observer: &mut dyn Observer,
) -> Result<Outcome, RunError> {
    let prepared = prepare(plan, tenure, program, settings, control)?;
    Ok(prepared.start(now() + START_LEAD_NS, observer))
}

/// The same on simulated time: every second takes as long as its work does.
///
/// # Errors
/// As [`run`].
pub fn run_simulated(
    plan: &Arc<Plan>,
    tenure: &Tenure,
    program: &Arc<dyn Program>,
    settings: &Settings,
    control: &Control,
    observer: &mut dyn Observer,
) -> Result<Outcome, RunError> {
    let run = Run::new(plan, tenure, control, true);
    let prepared = run.prepare(program, settings)?;
    let start_ns = prepared.ready_ns + START_LEAD_NS;
    Ok(prepared.start(start_ns, observer))
}

/// Starts the shards, on each of which the program is opened and prepared, and waits until all are ready for
/// [`Prepared::start`].
///
/// # Errors
/// As [`run`].
pub fn prepare(
    plan: &Arc<Plan>,
    tenure: &Tenure,
    program: &Arc<dyn Program>,
    settings: &Settings,
    control: &Control,
) -> Result<Prepared, RunError> {
    Run::new(plan, tenure, control, false).prepare(program, settings)
}

/// A run that needs nothing more than its start. Dropped without one, it ends.
pub struct Prepared {
    run: Run,
    shards: NonZeroU32,
    threads: Vec<ShardThread>,
    messages: Receiver<Message>,
    /// When the last shard was ready, on its clock.
    ready_ns: u64,
    warnings: Warnings,
}

impl Prepared {
    /// What a person should know before the start; [`Prepared::start`] tells its observer what was not taken.
    pub fn take_warnings(&mut self) -> Warnings {
        std::mem::take(&mut self.warnings)
    }

    /// Starts at `start_ns` of [`drumfire_reactor::now`] and runs to the end or to the stop, telling `observer` what
    /// happens. Blocks the caller, whose thread carries no load.
    pub fn start(self, start_ns: u64, observer: &mut dyn Observer) -> Outcome {
        let Prepared {
            mut run,
            shards,
            threads,
            messages,
            ready_ns: _,
            warnings,
        } = self;
        for warning in warnings {
            run.tell(observer, &Event::Warning(warning));
        }
        run.plan_facts();
        let begin = |thread: ShardThread| thread.begin(start_ns);
        let joined: Vec<_> = threads.into_iter().map(begin).collect();
        run.tell(observer, &Event::Started);
        run.listen(&messages, shards, start_ns, observer);
        for thread in joined {
            if let Err(panic) = thread.join() {
                std::panic::resume_unwind(panic);
            }
        }
        // Epochs that came while the run went on are part of what was planned.
        run.plan_facts();
        run.tell(observer, &Event::Finished);
        let stopped = run.stopping();
        Outcome {
            summary: run.summary,
            stopped,
        }
    }
}

struct Run {
    plan: Arc<Plan>,
    tenure: Tenure,
    control: Control,
    simulated: bool,
    summary: Summary,
    /// How late each shard was awake.
    begun: Vec<u64>,
    overtime: bool,
    draining: usize,
    draining_users: u64,
}

impl Run {
    fn new(plan: &Arc<Plan>, tenure: &Tenure, control: &Control, simulated: bool) -> Self {
        Run {
            plan: plan.clone(),
            tenure: tenure.clone(),
            control: control.clone(),
            simulated,
            summary: Summary::default(),
            begun: Vec::new(),
            overtime: false,
            draining: 0,
            draining_users: 0,
        }
    }

    fn prepare(
        mut self,
        program: &Arc<dyn Program>,
        settings: &Settings,
    ) -> Result<Prepared, RunError> {
        let shards = self.shards(program.as_ref(), settings);
        self.summary.facts.shards = shards.get();
        let (sender, messages) = sync_channel(MESSAGES_LIMIT);
        let threads = self.start_shards(shards, program, settings, &sender)?;
        let (ready_ns, warnings) = wait_ready(&messages, shards)?;
        Ok(Prepared {
            run: self,
            shards,
            threads,
            messages,
            ready_ns,
            warnings,
        })
    }

    /// States what is planned, as far as it is known.
    fn plan_facts(&mut self) {
        let terms = self.tenure.terms();
        let arrivals = |time| match &self.plan.load {
            Load::Open(load) => Some(terms.arrivals(load, time)),
            Load::Closed(_) => None,
        };
        self.summary.facts.stages = stage_facts(&self.plan.load, arrivals);
        self.summary.facts.planned = planned(&self.plan, &terms);
    }

    /// As many shards as asked, but none that a cap on users or a pool would leave empty.
    fn shards(&self, program: &dyn Program, settings: &Settings) -> NonZeroU32 {
        let smallest_cap = match &self.plan.load {
            Load::Open(load) => load.stages().iter().filter_map(|s| s.max_users).min(),
            Load::Closed(load) => Some(load.max_users()),
        };
        smallest_cap
            .into_iter()
            .chain(program.shards_limit())
            .filter_map(NonZeroU32::new)
            .fold(settings.shards, NonZeroU32::min)
    }

    fn start_shards(
        &self,
        shards: NonZeroU32,
        program: &Arc<dyn Program>,
        settings: &Settings,
        messages: &SyncSender<Message>,
    ) -> Result<Vec<ShardThread>, RunError> {
        let ahead = settings.ahead.as_ref();
        let ahead = ahead.map(|share| share.split_evenly(shards));
        let assign = |index| Assignment {
            index,
            shards,
            plan: self.plan.clone(),
            tenure: self.tenure.clone(),
            program: program.clone(),
            control: self.control.clone(),
            graces: Graces {
                after_end: settings.grace_after_end,
                after_stop: settings.grace_after_stop,
                max_duration: settings.max_duration,
            },
            preparation: Preparation {
                ahead: ahead.as_ref().map(|parts| parts[index as usize].clone()),
                limit: settings.prepare_limit,
            },
            users_limit: USERS_LIMIT / u64::from(shards.get()),
            messages: messages.clone(),
            simulated: self.simulated,
        };
        (0..shards.get())
            .map(|index| ShardThread::start(assign(index)))
            .collect()
    }

    fn listen(
        &mut self,
        messages: &Receiver<Message>,
        shards: NonZeroU32,
        start_ns: u64,
        observer: &mut dyn Observer,
    ) {
        let mut aggregate = Aggregate::new(shards.get() as usize);
        let mut boundaries = boundaries(&self.summary.facts.stages)
            .into_iter()
            .peekable();
        let mut stopping = None;
        while !aggregate.ended() {
            let wait = boundaries
                .peek()
                .filter(|_| !self.simulated)
                .map(|(at_us, _)| (start_ns + at_us * 1000).saturating_sub(now()));
            let message = match wait {
                Some(ns) => messages.recv_timeout(Duration::from_nanos(ns)),
                None => messages.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            match message {
                Ok(message) => self.take(message, &mut aggregate, shards, observer),
                Err(RecvTimeoutError::Timeout) => {}
                // Every shard says that it has ended, unless it panicked: the join tells.
                Err(RecvTimeoutError::Disconnected) => return,
            }
            let now_us = match self.simulated {
                true => self.summary.facts.duration_us,
                false => now().saturating_sub(start_ns) / 1000,
            };
            if stopping.is_none()
                && let Some(reason) = self.stopping()
            {
                stopping = Some(reason);
                self.tell(observer, &Event::Stopping(reason));
            }
            // What was stopped does not reach its later stages.
            while let Some((_, event)) =
                boundaries.next_if(|(at_us, _)| *at_us <= now_us && stopping.is_none())
            {
                self.tell(observer, &event);
            }
            if stopping.is_some() {
                boundaries = Vec::new().into_iter().peekable();
            }
        }
        for (_, event) in boundaries {
            self.tell(observer, &event);
        }
    }

    fn take(
        &mut self,
        message: Message,
        aggregate: &mut Aggregate,
        shards: NonZeroU32,
        observer: &mut dyn Observer,
    ) {
        match message {
            Message::Snapshot(shard, snapshot) => aggregate.add(shard, &snapshot),
            Message::Ended(shard) => aggregate.end(shard),
            Message::Begun(late_ns) => {
                self.begun.push(late_ns);
                if self.begun.len() == shards.get() as usize {
                    let late_ns = self.begun.iter().copied().max().unwrap_or(0);
                    self.tell(observer, &Event::Begun { late_ns });
                }
            }
            Message::Log(line) => self.tell(observer, &Event::Log(line)),
            Message::Draining(users) => {
                self.draining += 1;
                self.draining_users += users;
                if self.draining == shards.get() as usize && self.draining_users > 0 {
                    let users = self.draining_users;
                    self.tell(observer, &Event::Draining { users });
                }
            }
            Message::Overtime => self.overtime = true,
            Message::Ready(_) | Message::Failed(_) => {}
        }
        while let Some(snapshot) = aggregate.complete() {
            self.push(snapshot, observer);
            self.tell(observer, &Event::Interval);
        }
    }

    fn stopping(&self) -> Option<StopReason> {
        let overtime = self.overtime.then_some(StopReason::MaxDuration);
        self.control.stopping().or(overtime)
    }

    fn push(&mut self, mut snapshot: Snapshot, observer: &mut dyn Observer) {
        if !self.simulated {
            snapshot.health.memory_bytes = resident_bytes();
        }
        self.summary.facts.duration_us = self.summary.facts.duration_us.max(snapshot.end_us);
        observer.interval(&snapshot);
        let span = Duration::from_micros(snapshot.start_us)..Duration::from_micros(snapshot.end_us);
        self.summary.push(Interval {
            planned: planned_in(&self.plan, &self.tenure.terms(), span),
            snapshot,
        });
    }

    fn tell(&self, observer: &mut dyn Observer, event: &Event) {
        if let Some(reason) = observer.event(event, &self.summary) {
            self.control.begin(reason);
        }
    }
}

/// Waits for every shard; gives when the last was ready, and what they warn of, each once.
fn wait_ready(
    messages: &Receiver<Message>,
    shards: NonZeroU32,
) -> Result<(u64, Warnings), RunError> {
    let (mut waiting, mut ready_ns) = (shards.get(), 0);
    let mut warnings = BTreeSet::new();
    while waiting > 0 {
        match messages.recv() {
            Ok(Message::Ready(ready)) => {
                waiting -= 1;
                ready_ns = ready_ns.max(ready.at_ns);
                warnings.extend(ready.warnings);
            }
            Ok(Message::Failed(why)) => return Err(RunError::Program(why)),
            Ok(_) => {}
            Err(_) => return Err(RunError::Program("a shard ended early".into())),
        }
    }
    Ok((ready_ns, warnings.into_iter().collect()))
}

/// A shard's thread, waiting for the start.
struct ShardThread {
    start: oneshot::Sender<u64>,
    thread: JoinHandle<()>,
}

impl ShardThread {
    fn start(assignment: Assignment) -> Result<Self, RunError> {
        let shard = assignment.index;
        let cannot = |source| RunError::Shard { shard, source };
        let (start, started) = oneshot::channel();
        let thread = std::thread::Builder::new()
            .name(format!("shard-{shard}"))
            .spawn(move || {
                let reactor = match assignment.simulated {
                    true => Reactor::simulated(0),
                    false => Reactor::new(),
                };
                match reactor {
                    Ok(reactor) => reactor.block_on(shard_main(assignment, started)),
                    Err(error) => {
                        drop(assignment.messages.send(Message::Failed(error.to_string())))
                    }
                }
            })
            .map_err(cannot)?;
        Ok(ShardThread { start, thread })
    }

    fn begin(self, start_ns: u64) -> JoinHandle<()> {
        // A shard that has panicked since it was ready says why when it is joined.
        self.start.send(start_ns).ok();
        self.thread
    }
}

fn planned(plan: &Plan, terms: &Terms) -> Option<u64> {
    use drumfire_plan::Iterations;
    match &plan.load {
        Load::Open(load) => Some(terms.arrivals(load, Duration::ZERO..Duration::MAX)),
        Load::Closed(load) => match users::iterations(load, terms.epochs.first()) {
            Iterations::Unlimited => None,
            Iterations::Shared(total) => Some(total),
            Iterations::PerUser(each) => {
                let first = terms.epochs.first();
                let users = u64::from(load.max_users());
                Some(each * first.map_or(0, |epoch| epoch.count_below(users)))
            }
        },
    }
}

/// Arrivals planned in a span, or users planned at its end.
fn planned_in(plan: &Plan, terms: &Terms, span: Range<Duration>) -> f64 {
    match &plan.load {
        Load::Open(load) => terms.arrivals(load, span) as f64,
        Load::Closed(load) => terms.users_at(load, span.end) as f64,
    }
}
