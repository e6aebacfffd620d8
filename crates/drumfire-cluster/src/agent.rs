//! An agent as a state machine: `step(now, input) -> outputs`. It knows no network and runs no load: whoever runs it carries
//! its outputs to a transport and to an engine, and brings back what they say.

use crate::clock_offset::ClockSamples;
use crate::lease::LockId;
use crate::member::Digest;
use crate::messages::{
    AgentEpoch, AgentPhase, Directive, Grant, Heartbeat, NumberedSnapshot, Order, Promise,
    Proposed, ShareOf,
};
use crate::outbox::Outbox;
use crate::settings::AgentSettings;
use drumfire_metrics::Snapshot;
use drumfire_plan::{PlanError, Share};
use std::sync::Arc;

/// So far ahead of the agent's clock a promise holds at the earliest: time for the engine to take notice.
pub const NOTICE_NS: u64 = 50_000_000;

/// What was held is started late when it is no more overdue than this, and dropped otherwise.
pub const CATCH_UP_NS: u64 = 1_000_000_000;

/// So much earlier than a coordinator could an agent takes itself for silent: more than two clocks' rates differ by meanwhile.
const SILENCE_MARGIN_NS: u64 = 100_000_000;

/// So many times as often as while load runs an agent may say how it is while something is unsettled.
const BUSY_BEATS: u64 = 4;

/// So long without a word of a coordinator, and an agent that owes nothing is free for another run.
const IDLE_NS: u64 = 30_000_000_000;

/// What reaches an agent.
#[derive(Debug, Clone)]
pub enum AgentInput {
    /// Time passes; see [`AgentMachine::wake_ns`].
    Tick,
    /// The coordinator wants something.
    Directive(Box<Directive>),
    /// The bundle is there, and has this digest; or why it is not.
    Bundle(Result<Digest, String>),
    /// Everything is prepared; or why it is not.
    Prepared(Result<(), String>),
    /// The warm-up is over.
    WarmedUp,
    /// The run's load has begun, so much after the instant that it was to start at.
    Begun {
        /// Nanoseconds.
        late_ns: u64,
    },
    /// What happened up to `to_ns` of the run: every arrival of the agent's before that is in this snapshot or an earlier one,
    /// as started or as dropped.
    Snapshot {
        /// What happened since the last one.
        snapshot: Snapshot,
        /// Nanoseconds since the run's start.
        to_ns: u64,
    },
    /// The load is over or stopped and every iteration has ended; this is the rest.
    Drained {
        /// What happened since the last snapshot.
        snapshot: Snapshot,
        /// Nanoseconds since the run's start.
        to_ns: u64,
    },
    /// The broker had refused a connection to everyone, at some time from one instant of the agent's clock to another.
    Refused {
        /// Nanoseconds.
        began_ns: u64,
        /// Nanoseconds.
        ended_ns: u64,
    },
    /// The answer to [`AgentOutput::Extend`]: up to where the lease is extended, or none when it is not known to be.
    Extended {
        /// Nanoseconds since the run's start.
        until_ns: Option<u64>,
    },
    /// The agent is asked to go: hand the share back, flush, end.
    Leave,
}

/// What an agent wants done, in this order.
#[derive(Debug, Clone, PartialEq)]
pub enum AgentOutput {
    /// Send this to the coordinator.
    Send(Box<Heartbeat>),
    /// Send this to the coordinator.
    SendSnapshot(Arc<NumberedSnapshot>),
    /// Fetch the bundle with this digest; answer with [`AgentInput::Bundle`].
    Fetch(Digest),
    /// Compile, open shards, resolve, connect; answer with [`AgentInput::Prepared`].
    Prepare {
        /// Its part of what all agents make ready together, such as open connections; none: nothing of that.
        share: Option<Share>,
    },
    /// Run a part of the load that does not count; answer with [`AgentInput::WarmedUp`].
    WarmUp {
        /// When, by the agent's clock.
        start_ns: u64,
        /// How long.
        duration_ns: u64,
        /// In thousandths of the load's rate or users.
        permille: u32,
        /// The agent's part.
        share: Share,
    },
    /// The run starts then, by the agent's clock; start nothing before an [`AgentOutput::Advance`] allows it.
    Start {
        /// Nanoseconds.
        start_ns: u64,
    },
    /// From an instant of the run on, the agent's share is this one.
    Epoch(EngineEpoch),
    /// Start what is due before `until_ns`, and nothing from there on, not even when it is due: holds at once. Drop as
    /// [`drumfire_metrics::DropReason::AgentLost`] what is due before `drop_before_ns` and was not started.
    Advance {
        /// Nanoseconds since the run's start. May also be earlier than before.
        until_ns: u64,
        /// Nanoseconds since the run's start.
        drop_before_ns: u64,
    },
    /// Extend the agent's [`crate::Lease`] in the broker, if that can be; answer with [`AgentInput::Extended`] in any case.
    Extend {
        /// Nanoseconds since the run's start.
        until_ns: u64,
        /// The newest lock that is undone.
        known: LockId,
    },
    /// Take snapshots this far apart from now on.
    Interval {
        /// Nanoseconds.
        interval_ns: u64,
    },
    /// Nothing of the agent's comes from this instant of the run on: drain then, and answer with [`AgentInput::Drained`].
    Close {
        /// Nanoseconds since the run's start.
        at_ns: u64,
    },
    /// Start nothing more, drain, and answer with [`AgentInput::Drained`]; a warm-up just ends.
    Stop,
    /// The run is over for this agent.
    Finished,
}

/// An epoch as an engine needs it.
#[derive(Debug, Clone, PartialEq)]
pub struct EngineEpoch {
    /// Its number.
    pub number: u64,
    /// From when it is in force, nanoseconds since the run's start.
    pub from_ns: u64,
    /// Rate or users in thousandths of the plan's.
    pub permille: u32,
    /// What is added to the numbers of its arrivals.
    pub number_shift: i64,
    /// The agent's part: all of these shares, which do not overlap.
    pub shares: Vec<Share>,
}

/// One agent in one run.
#[derive(Debug)]
pub struct AgentMachine {
    settings: AgentSettings,
    phase: AgentPhase,
    heartbeats: u64,
    beat_at_ns: u64,
    /// Something has changed that the coordinator must know now.
    news: bool,
    heard_ns: u64,
    newest: (u64, u64),
    clock: ClockSamples,
    bundle: Option<Digest>,
    /// Its part of what all make ready before the start.
    ahead: Option<Share>,
    prepared: bool,
    warmed_up: bool,
    start_ns: Option<u64>,
    begun_late_ns: Option<u64>,
    epoch: Option<u64>,
    /// The end of what was granted, and of what the agent gave itself.
    granted_until_ns: u64,
    /// The last grant.
    grant: Option<Grant>,
    /// When the newest of the heartbeats was sent that a coordinator is known to have heard.
    echoed_ns: Option<u64>,
    /// The broker is known to be out of order, and no coordinator was heard since.
    alone: bool,
    /// Up to where it may have gone because of that.
    reached_ns: u64,
    extending: bool,
    promise: Option<Promise>,
    /// What the engine was told last.
    until_ns: u64,
    interval_ns: u64,
    outbox: Outbox,
    leaving: bool,
    /// From when on it has no part, when that is so.
    parted_ns: Option<u64>,
    closing: bool,
}

impl AgentMachine {
    /// An agent that volunteers at `now_ns` of its clock.
    pub fn new(settings: AgentSettings, now_ns: u64) -> Self {
        Self {
            outbox: Outbox::new(settings.member.clone()),
            interval_ns: settings.busy_heartbeat_ns,
            settings,
            phase: AgentPhase::Announced,
            heartbeats: 0,
            beat_at_ns: now_ns,
            news: true,
            heard_ns: now_ns,
            newest: (0, 0),
            clock: ClockSamples::default(),
            bundle: None,
            ahead: None,
            prepared: false,
            warmed_up: false,
            start_ns: None,
            begun_late_ns: None,
            epoch: None,
            granted_until_ns: 0,
            grant: None,
            echoed_ns: None,
            alone: false,
            reached_ns: 0,
            extending: false,
            promise: None,
            until_ns: 0,
            leaving: false,
            parted_ns: None,
            closing: false,
        }
    }

    /// Takes an input at `now_ns` of the agent's clock.
    pub fn step(&mut self, now_ns: u64, input: AgentInput, outputs: &mut Vec<AgentOutput>) {
        if self.phase == AgentPhase::Finished {
            return;
        }
        match input {
            AgentInput::Tick => {}
            AgentInput::Directive(directive) => self.hear(*directive, now_ns, outputs),
            AgentInput::Bundle(bundle) => self.check(bundle, outputs),
            AgentInput::Prepared(prepared) => self.prepared(prepared),
            AgentInput::WarmedUp => self.warmed_up(),
            AgentInput::Begun { late_ns } => {
                self.begun_late_ns = Some(late_ns);
                self.news = true;
            }
            AgentInput::Snapshot { snapshot, to_ns } => self.outbox.add(snapshot, to_ns, false),
            AgentInput::Drained { snapshot, to_ns } => {
                self.outbox.add(snapshot, to_ns, true);
                self.enter(AgentPhase::Draining);
            }
            AgentInput::Refused { began_ns, ended_ns } => {
                self.refused(began_ns, ended_ns, now_ns, outputs);
            }
            AgentInput::Extended { until_ns } => self.extended(until_ns, now_ns, outputs),
            AgentInput::Leave => self.leave(),
        }
        self.arm();
        self.close(outputs);
        self.flush(now_ns, outputs);
        self.go(now_ns, outputs);
        self.beat(now_ns, outputs);
    }

    /// When to step again at the latest, if nothing comes in before.
    pub fn wake_ns(&self) -> u64 {
        self.beat_at_ns
    }

    /// How far the agent has come.
    pub fn phase(&self) -> &AgentPhase {
        &self.phase
    }

    fn hear(&mut self, directive: Directive, now_ns: u64, outputs: &mut Vec<AgentOutput>) {
        if directive.to != self.settings.member {
            return;
        }
        self.heard_ns = now_ns;
        if let Some(echo) = directive.echo.filter(|_| self.start_ns.is_none()) {
            self.clock.add(echo, now_ns);
        }
        self.outbox.acknowledge(directive.snapshots_before);
        let (term, number) = self.newest;
        if let Some(echo) = directive.echo.filter(|_| directive.term >= term) {
            self.echoed_ns = self.echoed_ns.max(Some(echo.sent_ns));
        }
        if !directive.is_newer_than(term, number) {
            return;
        }
        self.newest = (directive.term, directive.number);
        self.news |= directive.term > term;
        self.obey(directive.order, outputs);
        for epoch in directive.epochs {
            self.learn(epoch, outputs);
        }
        self.promise(directive.proposal, now_ns);
        if self.interval_ns != directive.interval_ns {
            self.interval_ns = directive.interval_ns;
            let interval_ns = self.interval_ns;
            outputs.push(AgentOutput::Interval { interval_ns });
        }
        let grant = directive
            .grant
            .filter(|grant| self.epoch >= Some(grant.epoch));
        if let Some(grant) = grant {
            self.granted_until_ns = self.granted_until_ns.max(grant.until_ns);
            self.grant = Some(grant);
        }
        self.end_outage(now_ns);
        self.limit(now_ns, outputs);
    }

    /// What was started meanwhile is said, and nothing more is started because of it.
    fn end_outage(&mut self, now_ns: u64) {
        if !std::mem::take(&mut self.alone) {
            return;
        }
        let noticed_ns = self.run_ns(now_ns).unwrap_or(0) + NOTICE_NS;
        self.reached_ns = self.until_ns.min(noticed_ns);
        self.granted_until_ns = self.granted_until_ns.max(self.reached_ns);
        self.news = true;
    }

    /// Goes on through an outage of the broker that began before any coordinator could take this agent for silent: from
    /// then on none can decide anything, and when it is over each reckons with what the agent was granted for that.
    fn refused(
        &mut self,
        began_ns: u64,
        ended_ns: u64,
        now_ns: u64,
        outputs: &mut Vec<AgentOutput>,
    ) {
        let Some((grant, echoed_ns)) = self.grant.zip(self.echoed_ns) else {
            return;
        };
        let silent_ns = echoed_ns + grant.silence_ns.saturating_sub(SILENCE_MARGIN_NS);
        if self.phase == AgentPhase::Running && began_ns > self.heard_ns && ended_ns < silent_ns {
            self.alone = true;
            self.limit(now_ns, outputs);
        }
    }

    /// Asks the broker for more, where no coordinator answers heartbeats.
    fn extend(&mut self, now_ns: u64, outputs: &mut Vec<AgentOutput>) {
        let running = self.phase == AgentPhase::Running && !self.extending;
        let grant = self.grant.filter(|_| running);
        let Some((grant, run_ns)) = grant.zip(self.run_ns(now_ns)) else {
            return;
        };
        let until_ns = run_ns + grant.silence_ns;
        let unheard_ns = now_ns.saturating_sub(self.heard_ns);
        if unheard_ns >= grant.silence_ns / 2 && until_ns > self.granted_until_ns {
            self.extending = true;
            outputs.push(AgentOutput::Extend {
                until_ns,
                known: grant.lock,
            });
        }
    }

    fn extended(&mut self, until_ns: Option<u64>, now_ns: u64, outputs: &mut Vec<AgentOutput>) {
        self.extending = false;
        if let Some(until_ns) = until_ns {
            self.granted_until_ns = self.granted_until_ns.max(until_ns);
            self.limit(now_ns, outputs);
        }
    }

    fn obey(&mut self, order: Order, outputs: &mut Vec<AgentOutput>) {
        match (order, &self.phase) {
            (Order::Prepare { bundle, share }, AgentPhase::Announced) => {
                match share.map(|share| share.share()).transpose() {
                    Err(error) => self.fail(format!("take a share of what is prepared: {error}")),
                    Ok(share) => {
                        (self.bundle, self.ahead) = (Some(bundle), share);
                        self.enter(AgentPhase::Fetching);
                        outputs.push(AgentOutput::Fetch(bundle));
                    }
                }
            }
            (
                Order::WarmUp {
                    start_ns,
                    duration_ns,
                    permille,
                    share,
                },
                AgentPhase::Armed { warmed_up: false },
            ) => match (self.own_clock_ns(start_ns), share.share()) {
                (_, Err(error)) => self.fail(format!("take a share of the warm-up: {error}")),
                (start_ns, Ok(share)) => {
                    self.enter(AgentPhase::WarmingUp);
                    outputs.push(AgentOutput::WarmUp {
                        start_ns,
                        duration_ns,
                        permille,
                        share,
                    });
                }
            },
            (Order::Run { start_ns }, AgentPhase::Armed { .. }) => {
                let start_ns = self.own_clock_ns(start_ns);
                self.start_ns = Some(start_ns);
                self.enter(AgentPhase::Running);
                outputs.push(AgentOutput::Start { start_ns });
            }
            (Order::Stop, AgentPhase::Running) => {
                self.enter(AgentPhase::Draining);
                outputs.push(AgentOutput::Stop);
            }
            (Order::Stop, AgentPhase::Draining | AgentPhase::Drained { .. }) => {}
            (Order::Stop, AgentPhase::WarmingUp) => {
                self.enter(AgentPhase::Drained {
                    last_snapshot: None,
                });
                outputs.push(AgentOutput::Stop);
            }
            (Order::Stop, _) => self.enter(AgentPhase::Drained {
                last_snapshot: None,
            }),
            (Order::Finish, _) => self.finish(outputs),
            _ => {}
        }
    }

    fn learn(&mut self, epoch: AgentEpoch, outputs: &mut Vec<AgentOutput>) {
        if self.epoch.is_some_and(|known| epoch.number != known + 1) {
            return;
        }
        let shares: Result<Vec<Share>, PlanError> =
            epoch.shares.iter().map(ShareOf::share).collect();
        let shares = match shares {
            Ok(shares) => shares,
            Err(error) => return self.cannot_share(&error, epoch.number, outputs),
        };
        self.epoch = Some(epoch.number);
        self.news = true;
        self.parted_ns = shares.is_empty().then_some(epoch.from_ns);
        outputs.push(AgentOutput::Epoch(EngineEpoch {
            number: epoch.number,
            from_ns: epoch.from_ns,
            permille: epoch.permille,
            number_shift: epoch.number_shift,
            shares,
        }));
    }

    /// Holds for a proposal; a proposal that is not there any more is decided (then its epoch came with this directive) or
    /// withdrawn.
    fn promise(&mut self, proposed: Option<Proposed>, now_ns: u64) {
        let held = self.promise.map(|promise| promise.proposal);
        if held == proposed.map(|proposed| proposed.id) {
            return;
        }
        self.news = true;
        self.promise = proposed.map(|proposed| Promise {
            proposal: proposed.id,
            holds_from_ns: match self.run_ns(now_ns) {
                Some(run_ns) => proposed.holds_from_ns.max(run_ns + NOTICE_NS),
                None => proposed.holds_from_ns,
            },
        });
    }

    /// Tells the engine how far it may go, when that has changed.
    fn limit(&mut self, now_ns: u64, outputs: &mut Vec<AgentOutput>) {
        let holds_from_ns = self
            .promise
            .map_or(u64::MAX, |promise| promise.holds_from_ns);
        let outage_until_ns = self.grant.filter(|_| self.alone);
        let outage_until_ns = outage_until_ns.map_or(0, |grant| grant.outage_until_ns);
        let until_ns = self
            .granted_until_ns
            .max(outage_until_ns)
            .min(holds_from_ns);
        let Some(run_ns) = self.run_ns(now_ns).filter(|_| until_ns != self.until_ns) else {
            return;
        };
        let held_ns = run_ns.saturating_sub(self.until_ns);
        let drop_before_ns = match held_ns > CATCH_UP_NS {
            true => (run_ns - CATCH_UP_NS).min(until_ns),
            false => 0,
        };
        self.until_ns = until_ns;
        outputs.push(AgentOutput::Advance {
            until_ns,
            drop_before_ns,
        });
    }

    fn check(&mut self, bundle: Result<Digest, String>, outputs: &mut Vec<AgentOutput>) {
        if self.phase != AgentPhase::Fetching {
            return;
        }
        match (bundle, self.bundle) {
            (Err(reason), _) => self.fail(format!("fetch the bundle: {reason}")),
            (Ok(found), Some(expected)) if found == expected => {
                self.enter(AgentPhase::Preparing);
                let share = self.ahead.take();
                outputs.push(AgentOutput::Prepare { share });
            }
            (Ok(found), _) => {
                self.fail(format!("the bundle is another one: its digest is {found}"))
            }
        }
    }

    fn prepared(&mut self, prepared: Result<(), String>) {
        match prepared {
            Err(reason) => self.fail(format!("prepare: {reason}")),
            Ok(()) => self.prepared = true,
        }
    }

    fn warmed_up(&mut self) {
        if self.phase == AgentPhase::WarmingUp {
            self.warmed_up = true;
            self.enter(AgentPhase::Armed { warmed_up: true });
        }
    }

    /// Armed is who is prepared and knows the coordinator's clock.
    fn arm(&mut self) {
        let prepared = self.phase == AgentPhase::Preparing && self.prepared;
        if prepared && self.clock.offset().is_some() {
            let warmed_up = self.warmed_up;
            self.enter(AgentPhase::Armed { warmed_up });
        }
    }

    fn leave(&mut self) {
        self.news |= !self.leaving;
        self.leaving = true;
    }

    /// Ends the load of an agent that leaves, from when on it has no part.
    fn close(&mut self, outputs: &mut Vec<AgentOutput>) {
        let leaves = self.leaving && self.phase == AgentPhase::Running && !self.closing;
        if let Some(at_ns) = self.parted_ns.filter(|_| leaves) {
            self.closing = true;
            outputs.push(AgentOutput::Close { at_ns });
        }
    }

    /// Sends what is due of the snapshots; drained is who has numbered its last.
    fn flush(&mut self, now_ns: u64, outputs: &mut Vec<AgentOutput>) {
        let due = self.outbox.due(now_ns, self.interval_ns);
        outputs.extend(due.into_iter().map(AgentOutput::SendSnapshot));
        if let (AgentPhase::Draining, Some(last)) = (&self.phase, self.outbox.last_number()) {
            self.enter(AgentPhase::Drained {
                last_snapshot: Some(last),
            });
        }
    }

    /// Ends the run for an agent that owes nothing and leaves or hears of no coordinator any more, which may have ended
    /// without its knowledge; and for one that has heard of none for too long whatever it owes.
    fn go(&mut self, now_ns: u64, outputs: &mut Vec<AgentOutput>) {
        let owes_nothing = match self.phase {
            AgentPhase::Drained { .. } => self.outbox.is_empty(),
            AgentPhase::Running | AgentPhase::Draining => false,
            _ => self.epoch.is_none(),
        };
        let silent_ns = now_ns.saturating_sub(self.heard_ns);
        let free = self.leaving || silent_ns >= IDLE_NS;
        if free && owes_nothing || silent_ns >= self.settings.abandon_ns {
            self.finish(outputs);
        }
    }

    fn finish(&mut self, outputs: &mut Vec<AgentOutput>) {
        if self.phase != AgentPhase::Finished {
            self.enter(AgentPhase::Finished);
            outputs.push(AgentOutput::Finished);
        }
    }

    fn beat(&mut self, now_ns: u64, outputs: &mut Vec<AgentOutput>) {
        if now_ns < self.beat_at_ns && !self.news {
            return;
        }
        let settled = self.phase == AgentPhase::Running && self.promise.is_none() && !self.leaving;
        let period_ns = match settled {
            true => self.interval_ns,
            // Where there are so many agents that they report less often, this is less often too.
            false => (self.settings.busy_heartbeat_ns).max(self.interval_ns / BUSY_BEATS),
        };
        self.beat_at_ns = now_ns.saturating_add(period_ns);
        self.news = false;
        self.extend(now_ns, outputs);
        self.heartbeats += 1;
        outputs.push(AgentOutput::Send(Box::new(Heartbeat {
            member: self.settings.member.clone(),
            number: self.heartbeats,
            term: self.newest.0,
            directive: self.newest.1,
            sent_ns: now_ns,
            phase: self.phase.clone(),
            capacity: self.settings.capacity,
            version: self.settings.version.clone(),
            clock: self.clock.offset(),
            begun_late_ns: self.begun_late_ns,
            epoch: self.epoch,
            promise: self.promise,
            reached_ns: self.reached_ns,
            leaving: self.leaving,
        })));
    }

    fn enter(&mut self, phase: AgentPhase) {
        self.news |= self.phase != phase;
        self.phase = phase;
    }

    fn fail(&mut self, reason: String) {
        self.enter(AgentPhase::Failed(reason));
    }

    /// Later epochs and grants are then not taken either, as they follow on this one.
    fn cannot_share(&mut self, error: &PlanError, epoch: u64, outputs: &mut Vec<AgentOutput>) {
        self.fail(format!("take the share of epoch {epoch}: {error}"));
        self.granted_until_ns = 0;
        self.grant = None;
        outputs.push(AgentOutput::Stop);
    }

    /// Time since the run's start by the agent's clock; 0 before it, none while it is not agreed.
    fn run_ns(&self, now_ns: u64) -> Option<u64> {
        Some(now_ns.saturating_sub(self.start_ns?))
    }

    fn own_clock_ns(&self, coordinator_ns: u64) -> u64 {
        let offset = self.clock.offset();
        offset.map_or(coordinator_ns, |offset| offset.to_agent_ns(coordinator_ns))
    }
}
