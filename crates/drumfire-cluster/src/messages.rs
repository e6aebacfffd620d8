//! What coordinator and agents tell each other: each message is the sender's whole state, so that a lost, doubled or
//! late one does no harm. Only snapshots add up, and they are numbered.

use crate::clock_offset::{ClockOffset, Echo};
use crate::lease::LockId;
use crate::ledger::Balance;
use crate::member::{Digest, Member};
use drumfire_metrics::{DropReason, Snapshot};
use drumfire_plan::{PlanError, Share};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a coordinator says to whoever listens: there is a run to join.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invitation {
    /// The run.
    pub run: String,
    /// What people call it.
    pub name: String,
}

/// What an agent says of itself, again and again; the highest number is the newest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heartbeat {
    /// Who.
    pub member: Member,
    /// Counts up from 1 in a member's life.
    pub number: u64,
    /// The highest term of a coordinator that it has heard from.
    pub term: u64,
    /// The number of the newest directive of that term that it has heard.
    pub directive: u64,
    /// The agent's clock when it sent this.
    pub sent_ns: u64,
    /// How far it has come.
    pub phase: AgentPhase,
    /// Its weight.
    pub capacity: u32,
    /// Its version of Drumfire.
    pub version: String,
    /// How its clock differs, once it knows.
    pub clock: Option<ClockOffset>,
    /// How long after the agreed start, by its own clock, its load began; once it has.
    pub begun_late_ns: Option<u64>,
    /// The last epoch that it knows; all before it that concern it are known too.
    pub epoch: Option<u64>,
    /// What it has promised to wait for.
    pub promise: Option<Promise>,
    /// Up to where it may have gone without a grant, while the broker was out of order; nanoseconds since the run's start.
    pub reached_ns: u64,
    /// Whether it wants to hand its share back and go.
    pub leaving: bool,
}

/// How far an agent has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AgentPhase {
    /// It has volunteered.
    Announced,
    /// It fetches the bundle.
    Fetching,
    /// It compiles the script, opens its shards, looks up names, opens connections where asked.
    Preparing,
    /// It is ready to start.
    Armed {
        /// Whether it has warmed up.
        warmed_up: bool,
    },
    /// It warms up.
    WarmingUp,
    /// Its share of the load runs, or soon will.
    Running,
    /// It starts nothing more; running iterations end.
    Draining,
    /// All that it did is reported; the snapshot with this number is the last.
    Drained {
        /// Number of the last snapshot; none if it never ran.
        last_snapshot: Option<u64>,
    },
    /// The run is over for it.
    Finished,
    /// It cannot take part.
    Failed(String),
}

/// An agent's word not to go past an instant of the run before it knows what became of a proposed epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Promise {
    /// The proposal.
    pub proposal: ProposalId,
    /// From here on it has started nothing and will not, nanoseconds since the run's start.
    pub holds_from_ns: u64,
}

/// Names a proposed epoch; proposals of a later term, and later ones of a term, are greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ProposalId {
    /// The coordinator's term.
    pub term: u64,
    /// Counts up in the term.
    pub number: u64,
}

/// What the coordinator wants of one agent, again and again; the highest term and number is the newest.
#[derive(Debug, Clone, PartialEq)]
pub struct Directive {
    /// The run.
    pub run: String,
    /// To whom.
    pub to: Member,
    /// Which life of the coordinator.
    pub term: u64,
    /// Counts up in the term.
    pub number: u64,
    /// What to be at.
    pub order: Order,
    /// The heartbeat that this answers, if it answers one.
    pub echo: Option<Echo>,
    /// Decided epochs that the agent has not said it knows, in order.
    pub epochs: Vec<AgentEpoch>,
    /// An epoch that is proposed: to be promised.
    pub proposal: Option<Proposed>,
    /// How far the agent may go.
    pub grant: Option<Grant>,
    /// How long to let pass between two heartbeats, and between two snapshots, while load runs.
    pub interval_ns: u64,
    /// All its snapshots before this number are safe with the coordinator.
    pub snapshots_before: u64,
}

impl Directive {
    /// Whether this is newer than the directive with that term and number.
    pub(crate) fn is_newer_than(&self, term: u64, number: u64) -> bool {
        (self.term, self.number) > (term, number)
    }
}

/// What an agent is to be at.
#[derive(Debug, Clone, PartialEq)]
pub enum Order {
    /// Wait for the others.
    Wait,
    /// Fetch the bundle, check it, prepare.
    Prepare {
        /// The bundle.
        bundle: Digest,
        /// The agent's part of what all make ready together, such as open connections; none for one that came later.
        share: Option<ShareOf>,
    },
    /// Run a part of the load that does not count, then be armed again.
    WarmUp {
        /// When, by the coordinator's clock.
        start_ns: u64,
        /// How long.
        duration_ns: u64,
        /// In thousandths of the load's rate or users.
        permille: u32,
        /// The agent's part of it.
        share: ShareOf,
    },
    /// Run.
    Run {
        /// The run's start by the coordinator's clock.
        start_ns: u64,
    },
    /// Start nothing more, drain, report.
    Stop,
    /// The run is over.
    Finish,
}

/// A proposed epoch, as far as an agent must know it to promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proposed {
    /// Its name.
    pub id: ProposalId,
    /// The earliest instant that it may take effect at, nanoseconds since the run's start.
    pub holds_from_ns: u64,
}

/// How far an agent may go without another word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grant {
    /// Holds for an agent that knows this epoch.
    pub epoch: u64,
    /// Arrivals before this may be started, nanoseconds since the run's start.
    pub until_ns: u64,
    /// Arrivals before this may be started while the broker is out of order for everyone, nanoseconds since the run's start.
    pub outage_until_ns: u64,
    /// A coordinator takes an agent for silent that it has not heard for so long, and not before.
    pub silence_ns: u64,
    /// The newest lock of the agent's lease that is undone: the agent may extend it again.
    pub lock: LockId,
}

/// An epoch as one agent needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentEpoch {
    /// Its number, from 0.
    pub number: u64,
    /// From when it is in force, nanoseconds since the run's start.
    pub from_ns: u64,
    /// Rate or users in thousandths of the plan's.
    pub permille: u32,
    /// What is added to the numbers of its arrivals, so that no two of the run have the same.
    pub number_shift: i64,
    /// The agent's part: more than one share where it stands in for others, none when it has none.
    pub shares: Vec<ShareOf>,
}

/// One share of a split, by what it is made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShareOf {
    /// The weights of all shares.
    pub weights: Arc<[u32]>,
    /// Which of them.
    pub index: u32,
}

impl ShareOf {
    /// The share itself.
    ///
    /// # Errors
    /// When the weights cannot be split, or there is none with that index.
    pub fn share(&self) -> Result<Share, PlanError> {
        Share::one_of_split(&self.weights, self.index as usize)
    }
}

/// A snapshot on its way: numbered, and with the part of the schedule that it accounts for.
#[derive(Debug, Clone, PartialEq)]
pub struct NumberedSnapshot {
    /// Whose.
    pub member: Member,
    /// Counts up from 0 in a member's life, without gaps.
    pub number: u64,
    /// It accounts for the member's arrivals from here …
    pub from_ns: u64,
    /// … to before here, nanoseconds since the run's start: each is in it as started or as dropped.
    pub to_ns: u64,
    /// Whether it is the member's last.
    pub last: bool,
    /// What happened.
    pub snapshot: Snapshot,
}

/// What a person asks of a running cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// End the run early.
    Stop {
        /// Why, for the report.
        reason: String,
    },
    /// Start a run that is held armed.
    Resume,
    /// Change the rate or the number of users.
    Scale {
        /// In thousandths of the plan's.
        permille: u32,
    },
    /// Say how things are.
    Status,
}

/// The coordinator's answer to a command.
#[derive(Debug, Clone, PartialEq)]
pub enum Reply {
    /// It is done, or under way.
    Accepted,
    /// It cannot be done now, and why.
    Refused(String),
    /// How things are.
    Status(Box<Status>),
}

/// How a run is.
#[derive(Debug, Clone, PartialEq)]
pub struct Status {
    /// The run.
    pub run: String,
    /// How far it has come.
    pub phase: Phase,
    /// Since its start; none before.
    pub run_ns: Option<u64>,
    /// The last epoch.
    pub epoch: Option<u64>,
    /// Rate or users in thousandths of the plan's.
    pub permille: u32,
    /// Arrivals so far.
    pub balance: Balance,
    /// Everyone who took part.
    pub agents: Vec<AgentStatus>,
}

/// How one agent is.
#[derive(Debug, Clone, PartialEq)]
pub struct AgentStatus {
    /// Who.
    pub member: Member,
    /// What it last said.
    pub phase: AgentPhase,
    /// Since its last heartbeat.
    pub silent_ns: u64,
    /// Whether its process is known to be gone.
    pub gone: bool,
    /// Its version of Drumfire; empty when it was not heard of since this coordinator began.
    pub version: String,
    /// The weight that it asks for; 0 when it was not heard of since this coordinator began.
    pub capacity: u32,
    /// Its weight in the last epoch; 0 when it has no part.
    pub weight: u32,
    /// Its clock.
    pub clock: Option<ClockOffset>,
    /// How long after the agreed start, by its own clock, its load began.
    pub begun_late_ns: Option<u64>,
    /// Iterations that it has reported as started.
    pub started: u64,
    /// Iterations that it has reported as dropped, by reason; once the run is over also those of its share that it never
    /// reported.
    pub dropped: BTreeMap<DropReason, u64>,
}

/// How far a run has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Phase {
    /// Agents are waited for.
    Gathering,
    /// The bundle goes to them, and they prepare.
    Preparing,
    /// All are ready.
    Armed,
    /// They warm up.
    WarmingUp,
    /// The load runs, or will at the agreed instant.
    Running,
    /// The schedule is over or was stopped; the rest comes in.
    Draining,
    /// The schedule ran to its end.
    Finished,
    /// The run was ended early, as asked.
    Stopped(String),
    /// The run could not go on.
    Failed(String),
}

impl Phase {
    /// Whether nothing more will happen.
    pub fn is_over(&self) -> bool {
        matches!(self, Self::Finished | Self::Stopped(_) | Self::Failed(_))
    }
}
