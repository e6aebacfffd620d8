//! What a cluster run is asked to be: how many agents, what becomes of a lost one, and every period and limit of time.

use crate::member::{Digest, Member};
use drumfire_plan::Load;

/// What a coordinator is asked to run.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The run's identity.
    pub run: String,
    /// The bundle that agents fetch, by its digest.
    pub bundle: Digest,
    /// How many users there are, and when.
    pub load: Load,
    /// How many agents are waited for.
    pub agents: u32,
    /// How many are enough when the wait is over.
    pub quorum: u32,
    /// What becomes of a lost agent's share.
    pub policy: Policy,
    /// Whether an armed run waits for [`crate::Command::Resume`].
    pub paused: bool,
    /// A part of the load that runs first and is kept out of the results.
    pub warm_up: Option<WarmUp>,
    /// Periods and limits of time.
    pub timing: Timing,
}

/// What becomes of the share of an agent that is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Policy {
    /// The others take it over, and newcomers get a part.
    #[default]
    Rebalance,
    /// It stays unsent; the others go on with theirs.
    Continue,
    /// The run fails.
    Abort,
}

/// A part of the load that runs before the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WarmUp {
    /// Its rate, or its users, in thousandths of the load's.
    pub permille: u32,
    /// How long it lasts.
    pub duration_ns: u64,
}

/// Periods and limits of time of a coordinator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// How long agents are waited for.
    pub gather_ns: u64,
    /// How long they may take to fetch the bundle and to prepare.
    pub prepare_ns: u64,
    /// From the decision to start to the start: enough for the instant to reach every agent.
    pub start_lead_ns: u64,
    /// From the proposal of an epoch to its instant: enough for all agents to promise it.
    pub epoch_lead_ns: u64,
    /// So long before its instant an epoch must be decided; an undecided one is pushed back.
    pub decide_ns: u64,
    /// Between two heartbeats, and between two snapshots, of an agent while load runs; longer where there are more agents
    /// than [`crate::MAX_REPORTS_PER_SECOND`] allows.
    pub interval_ns: u64,
    /// Between two pushes of the same state to an agent that has not confirmed it.
    pub resend_ns: u64,
    /// So long after its last heartbeat an agent is not asked to promise anything; at least three intervals.
    pub silence_ns: u64,
    /// How long an agent goes on that hears neither the coordinator nor the broker, at least [`Timing::silence_ns`]; one
    /// that reaches the broker goes on.
    pub lease_ns: u64,
    /// How long agents go on while the broker refuses connections.
    pub outage_ns: u64,
    /// What two hosts' clocks may differ by: added where a bound rests on a clock alone.
    pub clock_error_ns: u64,
    /// How long running iterations and unsent snapshots are waited for at the end.
    pub drain_ns: u64,
    /// How long a run without any agent waits for one to join.
    pub empty_ns: u64,
}

const SECOND_NS: u64 = 1_000_000_000;

impl Default for Timing {
    fn default() -> Self {
        Self {
            gather_ns: 120 * SECOND_NS,
            prepare_ns: 120 * SECOND_NS,
            start_lead_ns: 2 * SECOND_NS,
            epoch_lead_ns: SECOND_NS,
            decide_ns: SECOND_NS / 4,
            interval_ns: SECOND_NS,
            resend_ns: SECOND_NS / 4,
            silence_ns: 3 * SECOND_NS,
            lease_ns: 3 * SECOND_NS,
            outage_ns: 60 * SECOND_NS,
            clock_error_ns: 5 * SECOND_NS,
            drain_ns: 600 * SECOND_NS,
            empty_ns: 30 * SECOND_NS,
        }
    }
}

/// What one agent is.
#[derive(Debug, Clone)]
pub struct AgentSettings {
    /// Its name and life.
    pub member: Member,
    /// Its weight when shares are made.
    pub capacity: u32,
    /// Its version of Drumfire.
    pub version: String,
    /// Between two heartbeats before load runs, and while something is unsettled; then the coordinator says.
    pub busy_heartbeat_ns: u64,
    /// So long without any word from a coordinator, and the agent gives the run up.
    pub abandon_ns: u64,
}

impl AgentSettings {
    /// An agent of weight 1 with the usual periods.
    pub fn new(member: Member, version: &str) -> Self {
        Self {
            member,
            capacity: 1,
            version: version.to_owned(),
            busy_heartbeat_ns: SECOND_NS / 4,
            abandon_ns: 3_600 * SECOND_NS,
        }
    }
}
