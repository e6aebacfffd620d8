//! The coordinator as a state machine: `step(now, input) -> outputs`. It knows no network, clock or disk.
//!
//! It owns the roster, the epochs and the ledger. Each file beside this one holds one part of a run's life.

mod before;
mod commands;
mod directives;
mod during;
mod ending;
mod restoring;

pub use directives::MAX_REPORTS_PER_SECOND;

use crate::epochs::{Epoch, Epochs};
use crate::lease::LockId;
use crate::ledger::{Balance, Ledger};
use crate::member::Member;
use crate::messages::{Command, Directive, Heartbeat, NumberedSnapshot, Phase, Reply, ShareOf};
use crate::proposal::Proposal;
use crate::record::Fact;
use crate::roster::{Entry, Heard, LeaseState, Roster};
use crate::scale::AS_PLANNED_PERMILLE;
use crate::settings::Settings;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// So many members may each make a coordinator think about all of them when they are heard; more wait until it is due.
const EAGER_MEMBERS: usize = 100;

/// So often a coordinator looks at all members while each of them reports once, where they are many.
const LOOKS_IN_INTERVAL: u64 = 10;

/// What reaches a coordinator.
#[derive(Debug, Clone)]
pub enum Input {
    /// Time passes; see [`CoordinatorMachine::wake_ns`].
    Tick,
    /// An agent says how it is.
    Heartbeat(Heartbeat),
    /// An agent reports.
    Snapshot(Arc<NumberedSnapshot>),
    /// An agent's process is known to be gone: it can start nothing more. Never said of one that is only silent.
    PeerGone(Member),
    /// The connection to the broker was interrupted, and is there again.
    Outage,
    /// The answer to [`Output::Lock`].
    Locked {
        /// Whose lease.
        member: Member,
        /// Which lock.
        lock: LockId,
        /// The end of everything that the member gave itself before, nanoseconds since the run's start.
        extended_until_ns: u64,
    },
    /// A person asks something; the reply carries the same id.
    Command {
        /// Names the question.
        id: u64,
        /// What is asked.
        command: Command,
    },
}

/// What a coordinator wants done, in this order.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// Make this durable before anything that follows is done.
    Persist(Fact),
    /// Send this to the agent it names.
    Send(Box<Directive>),
    /// Lock a member's [`crate::Lease`] in the broker, however long it takes; answer with [`Input::Locked`].
    Lock {
        /// Whose.
        member: Member,
        /// The lock.
        lock: LockId,
    },
    /// Answer a command.
    Reply {
        /// The question.
        id: u64,
        /// The answer.
        reply: Reply,
    },
    /// Tell the user interfaces.
    Event(Event),
    /// A snapshot is in the ledger: the next of its member.
    Accepted(Arc<NumberedSnapshot>),
    /// The run is over, and this is its balance. Stay for a while: agents that ask are told so.
    Closed(Phase, Balance),
    /// A later coordinator has taken over; this one does nothing any more.
    Superseded,
}

/// What happened, for people to see.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The run has come to another phase.
    Phase(Phase),
    /// An agent volunteers.
    Announced {
        /// Who.
        member: Member,
        /// Its weight.
        capacity: u32,
        /// Its version of Drumfire.
        version: String,
    },
    /// An agent cannot take part.
    Failed(Member, String),
    /// An agent with a share of the load is lost.
    Lost {
        /// Who.
        member: Member,
        /// Whether its process is known to be gone; otherwise its lease ended in silence.
        gone: bool,
    },
    /// A new epoch is decided.
    Epoch(Epoch),
    /// An epoch could not be decided in time, because these have not promised it.
    PushedBack(Vec<Member>),
    /// There have been too many epochs; membership changes nothing any more.
    EpochLimit,
    /// An agent's report contradicts its share.
    Contradiction(Member),
}

/// The coordinator of one run.
#[derive(Debug)]
pub struct CoordinatorMachine {
    settings: Settings,
    term: u64,
    directives: u64,
    phase: Phase,
    roster: Roster,
    epochs: Epochs,
    ledger: Ledger,
    proposal: Option<Proposal>,
    proposals: u64,
    locks: u64,
    /// The last directive before the newest outage of the broker.
    outage_directive: u64,
    /// When that was over; 0 when there was none.
    outage_ns: u64,
    /// How often the pending proposal has been pushed back.
    push_backs: u32,
    permille: u32,
    paused: bool,
    /// The current phase may last until then, where it has a limit.
    until_ns: u64,
    /// How many armed agents are waited for.
    needed: usize,
    /// The parts of what agents make ready before the start, of those that were there when they were asked to prepare.
    ahead: BTreeMap<Member, ShareOf>,
    warm_up: Option<before::WarmUpRound>,
    warmed_up: bool,
    start_ns: Option<u64>,
    stopping: Option<Stopping>,
    /// Since when no agent has been there.
    empty_since_ns: Option<u64>,
    pushed_ns: u64,
    /// What agents are told to let pass between two reports.
    interval_ns: u64,
    /// Agents have to be told something now.
    news: bool,
    told_of_limit: bool,
    failed: BTreeSet<Member>,
    superseded: bool,
}

/// An early end.
#[derive(Debug, Clone, PartialEq)]
struct Stopping {
    run_ns: u64,
    end: Phase,
}

impl CoordinatorMachine {
    /// A coordinator: of a new run when the record is empty, otherwise of the run that it tells of.
    /// The seed is what a scaled load's chance is drawn from: the plan's.
    ///
    /// # Panics
    /// When the record is not one that a coordinator of the same settings wrote.
    pub fn new(
        settings: Settings,
        seed: u64,
        record: impl IntoIterator<Item = Fact>,
        now_ns: u64,
        outputs: &mut Vec<Output>,
    ) -> Self {
        let mut machine = Self {
            epochs: Epochs::new(settings.load.clone(), seed),
            paused: settings.paused,
            until_ns: now_ns.saturating_add(settings.timing.gather_ns),
            needed: settings.agents as usize,
            term: 0,
            directives: 0,
            phase: Phase::Gathering,
            roster: Roster::default(),
            ledger: Ledger::default(),
            proposal: None,
            proposals: 0,
            locks: 0,
            outage_directive: 0,
            outage_ns: 0,
            push_backs: 0,
            permille: AS_PLANNED_PERMILLE,
            ahead: BTreeMap::new(),
            warm_up: None,
            warmed_up: false,
            start_ns: None,
            stopping: None,
            empty_since_ns: None,
            pushed_ns: now_ns,
            interval_ns: settings.timing.interval_ns,
            news: false,
            told_of_limit: false,
            failed: BTreeSet::new(),
            superseded: false,
            settings,
        };
        machine.restore(record, now_ns, outputs);
        machine.term += 1;
        outputs.push(Output::Persist(Fact::Term(machine.term)));
        if machine.phase.is_over() {
            let end = machine.phase.clone();
            outputs.push(Output::Closed(end, machine.balance()));
        }
        machine
    }

    /// Takes an input at `now_ns` of the coordinator's clock.
    pub fn step(&mut self, now_ns: u64, input: Input, outputs: &mut Vec<Output>) {
        if self.superseded {
            return;
        }
        let mut answer = None;
        // What only repeats itself, a thousand times a second in a large cluster, is not thought about again; and where
        // they are many, changes are thought about together.
        let mut think = true;
        let eager = self.roster.len() <= EAGER_MEMBERS;
        let due = now_ns >= self.wake_ns();
        match input {
            Input::Tick => {}
            Input::Heartbeat(heartbeat) => {
                if heartbeat.term > self.term {
                    self.superseded = true;
                    return outputs.push(Output::Superseded);
                }
                answer = Some((heartbeat.member.clone(), heartbeat.sent_ns));
                let member = heartbeat.member.clone();
                think = match self.hear(heartbeat, now_ns, outputs) {
                    Heard::Nothing => false,
                    Heard::Promise => {
                        let proposal = self.proposal.as_mut();
                        proposal.is_some_and(|proposal| proposal.hear(&member, &self.roster))
                    }
                    Heard::Change | Heard::Newcomer => eager,
                };
            }
            Input::Snapshot(snapshot) => {
                think = snapshot.last && eager;
                self.receive(snapshot, outputs);
            }
            Input::PeerGone(member) => self.lose(member, now_ns, outputs),
            Input::Outage => {
                self.outage_directive = self.directives;
                self.outage_ns = now_ns;
            }
            Input::Locked {
                member,
                lock,
                extended_until_ns,
            } => self.locked(&member, lock, extended_until_ns),
            Input::Command { id, command } => {
                let reply = self.command(command, now_ns, outputs);
                outputs.push(Output::Reply { id, reply });
            }
        }
        if think || due {
            self.advance(now_ns, outputs);
        }
        self.tell(answer, now_ns, outputs);
    }

    /// When to step again at the latest, if nothing comes in before.
    pub fn wake_ns(&self) -> u64 {
        // Where agents say less often how they are, there is less often something to think about.
        let resend_ns = self.settings.timing.resend_ns;
        let period_ns = resend_ns.max(self.interval_ns / LOOKS_IN_INTERVAL);
        self.pushed_ns.saturating_add(period_ns)
    }

    /// How far the run has come.
    pub fn phase(&self) -> &Phase {
        &self.phase
    }

    /// The epochs so far.
    pub fn epochs(&self) -> &Epochs {
        &self.epochs
    }

    /// Everything that was reported.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The run's start by the coordinator's clock, once it is agreed.
    pub fn start_ns(&self) -> Option<u64> {
        self.start_ns
    }

    /// Whether every agent that is there says that the run is over for it.
    pub fn is_alone(&self, now_ns: u64) -> bool {
        let silence_ns = self.silence_ns();
        let mut entries = self.roster.iter();
        entries.all(|(_, entry)| entry.gone || !entry.is_fresh(now_ns, silence_ns))
    }

    fn advance(&mut self, now_ns: u64, outputs: &mut Vec<Output>) {
        loop {
            let phase = self.phase.clone();
            match phase {
                Phase::Gathering => self.gather(now_ns, outputs),
                Phase::Preparing => self.prepare(now_ns, outputs),
                Phase::Armed => self.armed(now_ns, outputs),
                Phase::WarmingUp => self.warm_up(now_ns, outputs),
                Phase::Running => self.run(now_ns, outputs),
                Phase::Draining => self.drain(now_ns, outputs),
                Phase::Finished | Phase::Stopped(_) | Phase::Failed(_) => return,
            }
            if self.phase == phase {
                return;
            }
        }
    }

    fn enter(&mut self, phase: Phase, outputs: &mut Vec<Output>) {
        self.phase = phase.clone();
        self.news = true;
        outputs.push(Output::Event(Event::Phase(phase)));
    }

    fn hear(&mut self, heartbeat: Heartbeat, now_ns: u64, outputs: &mut Vec<Output>) -> Heard {
        let member = heartbeat.member.clone();
        let silence_ns = self.silence_ns();
        let heard = self.roster.hear(heartbeat, now_ns, silence_ns);
        let entry = self.roster.get(&member);
        if let (Heard::Newcomer, Some(newest)) =
            (heard, entry.and_then(|entry| entry.heartbeat.as_ref()))
        {
            outputs.push(Output::Event(Event::Announced {
                member: member.clone(),
                capacity: newest.capacity,
                version: newest.version.clone(),
            }));
        }
        if let Some(reason) = entry.and_then(Entry::failure)
            && self.failed.insert(member.clone())
        {
            outputs.push(Output::Event(Event::Failed(member, reason.to_owned())));
        }
        heard
    }

    fn receive(&mut self, snapshot: Arc<NumberedSnapshot>, outputs: &mut Vec<Output>) {
        // What comes after the balance is closed cannot count any more.
        if self.phase.is_over() {
            return;
        }
        for accepted in self.ledger.receive(snapshot) {
            outputs.push(Output::Persist(Fact::Snapshot(Arc::clone(&accepted))));
            outputs.push(Output::Accepted(accepted));
        }
    }

    fn locked(&mut self, member: &Member, lock: LockId, extended_until_ns: u64) {
        if let Some(entry) = self.roster.get_mut(member) {
            entry.horizon_ns = entry.horizon_ns.max(extended_until_ns);
            if entry.lease == LeaseState::Asked(lock) {
                entry.lease = LeaseState::Locked(lock);
            }
        }
    }

    fn lose(&mut self, member: Member, now_ns: u64, outputs: &mut Vec<Output>) {
        let entry = self.roster.enter(&member, now_ns, 0);
        if !std::mem::replace(&mut entry.gone, true) {
            outputs.push(Output::Persist(Fact::Gone(member)));
        }
    }

    /// Time since the run's start; 0 before it.
    fn run_ns(&self, now_ns: u64) -> u64 {
        self.start_ns
            .map_or(0, |start_ns| now_ns.saturating_sub(start_ns))
    }

    fn duration_ns(&self) -> u64 {
        self.settings.load.duration().as_nanos() as u64
    }

    /// A member that was not heard for longer is silent.
    fn silence_ns(&self) -> u64 {
        self.settings.timing.silence_ns.max(3 * self.interval_ns)
    }

    fn is_fresh(&self, member: &Member, now_ns: u64) -> bool {
        let entry = self.roster.get(member);
        entry.is_some_and(|entry| entry.is_fresh(now_ns, self.silence_ns()))
    }
}
