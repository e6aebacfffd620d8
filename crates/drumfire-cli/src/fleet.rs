//! A run that agents share, as its coordinator's process sees it: their reports become one summary, which is watched and
//! judged as that of a run on one machine is.

mod observed;

use self::observed::Observed;
use crate::agents::{self, ScriptLoader};
use crate::args::LoadArguments;
use crate::bundle::Bundle;
use crate::execute::{Job, console, judge};
use crate::lag::Lag;
use crate::own_load::{OwnLoad, OwnNews};
use crate::view::{self, Kind, View};
use crate::{broker, facts, words};
use anyhow::{Context, anyhow};
use drumfire_cluster::{
    Command, CoordinatorHost, CoordinatorLink, Digest, Epochs, Event as ClusterEvent, Fact,
    Invitation, Loader, Merged, NumberedSnapshot, Phase, Policy, Settings, Status, Timing, Update,
    memory,
};
use drumfire_engine::{Control, Event, Outcome, StopReason, boundaries, stage_facts};
use drumfire_metrics::{Abort, Interval, Snapshot, Summary};
use drumfire_plan::Load;
use std::num::NonZeroU32;
use std::ops::Range;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::sync::watch;

/// Between two looks at what else may have come: signals, stages, overdue intervals.
const LOOK: Duration = Duration::from_millis(50);

/// What a shared run came to.
pub struct SharedOutcome {
    /// As that of a run on one machine.
    pub outcome: Outcome,
    /// Why it could not go on, when it could not.
    pub failure: Option<String>,
}

/// Runs a job on agents of this process.
///
/// # Errors
/// It cannot be started.
pub fn execute(
    job: &Job<'_>,
    control: &Control,
    count: NonZeroU32,
    load: &LoadArguments,
    bundle: &Bundle,
    own: Option<OwnLoad>,
) -> anyhow::Result<SharedOutcome> {
    let (mut link, door) = memory::cluster();
    let (leave, leaves) = watch::channel(0);
    let loader: Arc<dyn Loader> = Arc::new(ScriptLoader {
        load: load.of_each(count),
        allowed: None,
    });
    let runtime = broker::runtime()?;
    let bundle = bundle.write();
    let settings = Settings {
        run: job.facts.run_id.clone(),
        bundle: Digest::of(&bundle),
        load: job.plan.load.clone(),
        agents: count.get(),
        quorum: count.get(),
        policy: Policy::default(),
        paused: false,
        warm_up: None,
        // Threads of one process hear each other at once, and none of them dies alone.
        timing: Timing {
            start_lead_ns: 200_000_000,
            lease_ns: 60_000_000_000,
            ..Timing::default()
        },
    };
    let published = runtime.block_on(link.publish_bundle(settings.bundle, &bundle));
    published.map_err(|reason| anyhow!("publish the bundle: {reason}"))?;
    let threads = agents::start(&door, count.get(), &loader, &leaves)?;
    let mut fleet = Fleet::start(job, control, runtime, link, settings, Vec::new())?;
    fleet.own = own;
    fleet.watch(Some(&leave));
    fleet.end(threads)
}

/// Runs a job on agents elsewhere; goes on from a record, which may be empty.
///
/// # Errors
/// It cannot be started, or another coordinator takes it over.
pub fn coordinate(
    job: &Job<'_>,
    control: &Control,
    runtime: Runtime,
    link: impl CoordinatorLink + Send + 'static,
    settings: Settings,
    record: impl IntoIterator<Item = Fact> + Send + 'static,
    own: Option<OwnLoad>,
) -> anyhow::Result<SharedOutcome> {
    let mut fleet = Fleet::start(job, control, runtime, link, settings, record)?;
    fleet.own = own;
    fleet.watch(None);
    fleet.end(Vec::new())
}

/// A coordinator at work, and what is known of its run.
struct Fleet<'a> {
    job: &'a Job<'a>,
    control: &'a Control,
    coordinator: JoinHandle<()>,
    orders: UnboundedSender<Command>,
    updates: Receiver<Update>,
    view: Box<dyn View>,
    summary: Summary,
    merged: Merged,
    lag: Lag,
    /// What its agents do, for the reports.
    observed: Observed,
    epochs: Epochs,
    /// What the coordinator runs itself, beside its agents.
    own: Option<OwnLoad>,
    /// The start, nanoseconds since 1970.
    start_ns: Option<u64>,
    begun: bool,
    /// Starts and ends of stages that are still to come, last first.
    boundaries: Vec<(u64, Event)>,
    stopping: Option<StopReason>,
    aborted: Option<Abort>,
    closed: Option<Box<Status>>,
}

impl<'a> Fleet<'a> {
    /// Starts a coordinator on a thread of its own; it goes on from a record, which may be empty.
    fn start(
        job: &'a Job<'a>,
        control: &'a Control,
        runtime: Runtime,
        link: impl CoordinatorLink + Send + 'static,
        settings: Settings,
        record: impl IntoIterator<Item = Fact> + Send + 'static,
    ) -> anyhow::Result<Self> {
        let (sender, updates) = channel();
        let (orders, ordered) = unbounded_channel();
        let invitation = Invitation {
            run: settings.run.clone(),
            name: job.facts.title.clone(),
        };
        let seed = job.plan.seed;
        let work = move || {
            let now_ns = facts::now_ns();
            let host =
                CoordinatorHost::new(link, settings, invitation, seed, record, now_ns, sender);
            runtime.block_on(host.run(ordered));
        };
        let thread = std::thread::Builder::new().name("coordinator".to_owned());
        let coordinator = thread.spawn(work).context("start the coordinator")?;
        Ok(Fleet {
            job,
            control,
            coordinator,
            orders,
            updates,
            view: view::open(job.view, &console(&job.facts, &job.names, job.by_endpoint)),
            summary: Summary::default(),
            merged: Merged::default(),
            lag: Lag::default(),
            observed: Observed::default(),
            epochs: Epochs::new(job.plan.load.clone(), job.plan.seed),
            own: None,
            start_ns: None,
            begun: false,
            boundaries: Vec::new(),
            stopping: None,
            aborted: None,
            closed: None,
        })
    }

    /// Watches the run to its end.
    fn watch(&mut self, agents: Option<&watch::Sender<u32>>) {
        loop {
            match self.updates.recv_timeout(LOOK) {
                Ok(update) => self.take(update),
                Err(RecvTimeoutError::Timeout) => {}
                // The coordinator has ended, and stays for nobody but itself.
                Err(RecvTimeoutError::Disconnected) if self.own_has_ended() => break,
                Err(RecvTimeoutError::Disconnected) => {}
            }
            self.follow_clock();
            self.follow_control();
            self.follow_own();
            while let Some(interval) = self.merged.complete(self.run_us()) {
                self.push(interval);
            }
            if let Some(leave) = agents.filter(|_| self.control.interrupting()) {
                leave.send_if_modified(|times| std::mem::replace(times, 2) != 2);
            }
        }
        while let Some(interval) = self.merged.rest() {
            self.push(interval);
        }
        self.add_late();
    }

    fn take(&mut self, update: Update) {
        let agents = self.summary.agents.get_or_insert_default();
        self.observed.take(&update, facts::now_us(), agents);
        match update {
            Update::Event(event) => self.notice(&event),
            Update::Accepted(report) => self.accept(&report),
            Update::Started(start_ns) => {
                self.own.iter_mut().for_each(|own| own.start(start_ns));
                self.start_ns = Some(start_ns);
                self.boundaries = boundaries(&self.summary.facts.stages);
                self.boundaries.reverse();
            }
            Update::Closed(status) => self.closed = Some(status),
            Update::Trouble(line) => self.say(&line),
            Update::Superseded => {
                self.own.iter_mut().for_each(OwnLoad::interrupt);
                self.say("another coordinator has taken this run over");
            }
        }
    }

    fn notice(&mut self, event: &ClusterEvent) {
        if let ClusterEvent::Epoch(epoch) = event {
            let members = epoch.slots.iter().filter_map(|slot| slot.member.clone());
            let own = self.own.iter().map(OwnLoad::member);
            self.merged.expect(members.chain(own));
            self.epochs
                .push(epoch.clone())
                .expect("the coordinator made it from the same load");
            self.own.iter_mut().for_each(|own| own.follow(epoch));
            self.plan();
        }
        if let (ClusterEvent::Phase(Phase::Draining), Some(own)) = (event, &self.own) {
            own.stop(StopReason::Requested);
        }
        if let ClusterEvent::Lost { member, .. } = event {
            let others = self
                .epochs
                .latest()
                .into_iter()
                .flat_map(|epoch| &epoch.slots);
            let others = others.filter_map(|slot| slot.member.clone());
            let others = others.filter(|other| other != member);
            let own = self.own.iter().map(OwnLoad::member);
            self.merged.expect(others.chain(own));
        }
        if let Some(line) = wording(event) {
            self.say(&line);
        }
    }

    fn accept(&mut self, report: &NumberedSnapshot) {
        let late = self.merged.add(report);
        self.lag.report(late);
    }

    /// Adds what came too late for its interval, all of it at once: each time the whole timeline is gone through.
    fn add_late(&mut self) {
        for snapshot in self.merged.late() {
            let interval = Interval {
                planned: 0.0,
                snapshot: snapshot.clone(),
            };
            let facts = std::mem::take(&mut self.summary.facts);
            self.summary.merge(&Summary {
                total: snapshot,
                timeline: vec![interval],
                ..Summary::default()
            });
            self.summary.facts = facts;
        }
    }

    /// States what is planned, by the epochs so far.
    fn plan(&mut self) {
        self.summary.facts.planned = self.planned_before(u64::MAX);
        let before = |at: Duration| {
            let at_ns = u64::try_from(at.as_nanos()).unwrap_or(u64::MAX);
            self.planned_before(at_ns)
        };
        let arrivals = |time: Range<Duration>| Some(before(time.end)? - before(time.start)?);
        self.summary.facts.stages = stage_facts(&self.job.plan.load, arrivals);
        self.summary.facts.shards = self
            .epochs
            .latest()
            .map_or(0, |epoch| epoch.slots.len() as u32);
    }

    /// Tells of the start and of stages, when their time has come.
    fn follow_clock(&mut self) {
        let Some(start_ns) = self
            .start_ns
            .filter(|&start_ns| facts::now_ns() >= start_ns)
        else {
            return;
        };
        if !std::mem::replace(&mut self.begun, true) {
            let mut facts = self.summary.facts.clone();
            facts::state(&mut facts, &self.job.facts, start_ns / 1_000);
            self.view.begin(facts);
            self.view.event(&Event::Started, &self.summary);
        }
        let run_us = self.run_us();
        while let Some((_, event)) = self.boundaries.pop_if(|(at_us, _)| *at_us <= run_us) {
            self.view.event(&event, &self.summary);
        }
        let longest = self.job.settings.max_duration;
        if longest.is_some_and(|longest| run_us >= longest.as_micros() as u64) {
            self.stop(StopReason::MaxDuration);
        }
    }

    fn follow_control(&mut self) {
        if let Some(reason) = self.control.stopping() {
            self.stop(reason);
        }
        if self.control.interrupting() {
            self.own.iter_mut().for_each(OwnLoad::interrupt);
        }
    }

    /// Takes what the coordinator's own load reports as if an agent did.
    fn follow_own(&mut self) {
        // With the coordinator gone, and without a start, there will be none.
        let waits = self.coordinator.is_finished();
        if let Some(own) = self
            .own
            .as_mut()
            .filter(|_| waits && self.start_ns.is_none())
        {
            own.interrupt();
        }
        let mut wait = if waits { LOOK } else { Duration::ZERO };
        while let Some(news) = self.own.as_mut().and_then(|own| own.next(wait)) {
            wait = Duration::ZERO;
            match news {
                OwnNews::Report(report) => {
                    let agents = self.summary.agents.get_or_insert_default();
                    self.observed.accept(&report, agents);
                    self.accept(&report);
                }
                OwnNews::Log(line) => self.view.event(&Event::Log(line), &self.summary),
                OwnNews::Begun(late_ns) => {
                    if let Some(own) = &self.own {
                        self.observed.begin_beside(own.member(), late_ns);
                    }
                }
            }
        }
    }

    fn own_has_ended(&self) -> bool {
        self.own.as_ref().is_none_or(OwnLoad::has_ended)
    }

    fn stop(&mut self, reason: StopReason) {
        if self.stopping.is_some() || self.closed.is_some() {
            return;
        }
        self.stopping = Some(reason);
        self.own.iter().for_each(|own| own.stop(reason));
        self.boundaries.clear();
        let why = match reason {
            StopReason::Requested => "a person or a supervisor asked",
            StopReason::MaxDuration => "the longest duration is over",
            StopReason::Threshold => "a check with abortOnFail has failed",
        };
        let order = Command::Stop {
            reason: why.to_owned(),
        };
        // A coordinator that has ended has nothing to stop.
        self.orders.send(order).ok();
        self.view.event(&Event::Stopping(reason), &self.summary);
    }

    fn push(&mut self, snapshot: Snapshot) {
        // The rest of a run comes out when it is closed, which waits for more than reports.
        if self.closed.is_none() {
            self.lag.interval(snapshot.end_us, self.run_us());
        }
        let facts = &mut self.summary.facts;
        facts.duration_us = facts.duration_us.max(snapshot.end_us);
        let planned = self.planned_in(&snapshot);
        self.summary.push(Interval { planned, snapshot });
        self.add_late();
        self.view.event(&Event::Interval, &self.summary);
        if self.aborted.is_none() && self.stopping.is_none() {
            self.aborted = self.job.checks.abort(&self.summary);
            if self.aborted.is_some() {
                self.stop(StopReason::Threshold);
            }
        }
    }

    /// Arrivals planned in a span, or users planned at its end.
    fn planned_in(&self, span: &Snapshot) -> f64 {
        let (start_ns, end_ns) = (span.start_us * 1_000, span.end_us * 1_000);
        let before = |at_ns| self.planned_before(at_ns).unwrap_or(0);
        match &self.job.plan.load {
            Load::Open(_) => (before(end_ns) - before(start_ns)) as f64,
            Load::Closed(load) => {
                let epochs = self.epochs.iter().filter(|epoch| epoch.from_ns <= end_ns);
                let permille = epochs.last().map_or(0, |epoch| epoch.permille);
                let users = load.users_at(Duration::from_nanos(end_ns));
                // The coordinator's own load is of the same phases.
                let loads = 1.0 + f64::from(u8::from(self.own.is_some()));
                loads * f64::from(users) * f64::from(permille) / 1_000.0
            }
        }
    }

    /// Arrivals planned before an instant of the run, of agents and coordinator together.
    fn planned_before(&self, at_ns: u64) -> Option<u64> {
        let agents = self.epochs.planned_before(at_ns)?;
        match &self.own {
            Some(own) => Some(agents + own.planned_before(at_ns)?),
            None => Some(agents),
        }
    }

    fn run_us(&self) -> u64 {
        let start_ns = self.start_ns.unwrap_or(u64::MAX);
        facts::now_ns().saturating_sub(start_ns) / 1_000
    }

    fn say(&mut self, line: &str) {
        match self.job.view {
            Kind::Quiet => {}
            Kind::Lines => words::tell(&format!("{line}\n")),
            Kind::Live => self.view.event(&Event::Log(line.to_owned()), &self.summary),
        }
    }

    /// Waits for everyone, and sums up.
    fn end(mut self, agents: Vec<JoinHandle<()>>) -> anyhow::Result<SharedOutcome> {
        self.view.event(&Event::Finished, &self.summary);
        let start_us = self.start_ns.map_or_else(facts::now_us, |ns| ns / 1_000);
        if let Some(status) = &self.closed {
            let summary = &mut self.summary;
            summary.total.iterations.dropped = status.balance.dropped.clone();
            if status.balance.planned.is_some() {
                summary.facts.planned = status.balance.planned;
            }
            if let Some(own) = self.own.take() {
                own.settle(summary);
            }
            let agents = summary.agents.get_or_insert_default();
            let dropped = &summary.total.iterations.dropped;
            std::mem::take(&mut self.observed).close(status, dropped, start_us, agents);
            if let Some(skew) = agents.start_skew {
                self.say(&drumfire_report::agents::start_skew(skew));
            }
        }
        if let Some(line) = self.lag.wording() {
            self.say(&line);
        }
        for thread in agents.into_iter().chain([self.coordinator]) {
            if let Err(panic) = thread.join() {
                std::panic::resume_unwind(panic);
            }
        }
        let status = self
            .closed
            .context("the coordinator ended before its run")?;
        let mut summary = self.summary;
        facts::state(&mut summary.facts, &self.job.facts, start_us);
        judge(&mut summary, self.job, self.aborted);
        let failure = match status.phase {
            Phase::Failed(reason) => Some(reason),
            _ => None,
        };
        Ok(SharedOutcome {
            outcome: Outcome {
                summary,
                stopped: self.stopping,
            },
            failure,
        })
    }
}

/// What a person is told of an event, if anything.
fn wording(event: &ClusterEvent) -> Option<String> {
    Some(match event {
        ClusterEvent::Phase(Phase::Failed(reason)) => format!("the run failed: {reason}"),
        ClusterEvent::Phase(_) => return None,
        ClusterEvent::Announced {
            member, version, ..
        } => format!("agent {member} is there (drumfire {version})"),
        ClusterEvent::Failed(member, reason) => format!("agent {member} cannot {reason}"),
        ClusterEvent::Lost { member, gone: true } => format!("agent {member} has gone"),
        ClusterEvent::Lost { member, .. } => {
            format!("agent {member} is lost: it was silent too long")
        }
        ClusterEvent::Epoch(epoch) => {
            let members = epoch.slots.iter().filter(|slot| slot.member.is_some());
            let at_s = epoch.from_ns as f64 / 1e9;
            format!(
                "from {at_s:.1} s on {} agents share the load",
                members.count()
            )
        }
        ClusterEvent::PushedBack(members) => {
            let names: Vec<String> = members.iter().map(ToString::to_string).collect();
            format!("new shares wait for {}", names.join(", "))
        }
        ClusterEvent::EpochLimit => {
            "the shares have changed too often; they stay as they are now".to_owned()
        }
        ClusterEvent::Contradiction(member) => {
            format!("agent {member} reports what was not its share")
        }
    })
}
