//! The durable facts of a run: what a coordinator writes before it acts on it, and what the next one goes on from.

use crate::epochs::Epoch;
use crate::member::{Digest, Member};
use crate::messages::{NumberedSnapshot, Phase};
use std::sync::Arc;

/// Something that stays true whatever dies. Whoever runs a coordinator makes each fact durable, in order, before
/// carrying out the outputs that follow it.
#[derive(Debug, Clone, PartialEq)]
pub enum Fact {
    /// A coordinator began or took over; its directives carry this term.
    Term(u64),
    /// An armed run need not wait any longer.
    Resumed,
    /// The run starts.
    Started {
        /// When, by the coordinator's clock.
        start_ns: u64,
        /// With these shares.
        epoch: Epoch,
    },
    /// A later epoch is decided.
    Epoch(Epoch),
    /// Rate or users are to be so many thousandths of the plan's.
    Scaled {
        /// Thousandths.
        permille: u32,
    },
    /// An agent's process is gone.
    Gone(Member),
    /// A snapshot is in. Where agents write them to a durable stream themselves, this need not be written again.
    Snapshot(Arc<NumberedSnapshot>),
    /// The run ends early.
    Stopping {
        /// At which time of the run.
        run_ns: u64,
        /// What it will have come to.
        end: Phase,
    },
    /// The run is over.
    Ended(Phase),
}

/// The run that a cluster was last asked for: where a restarted coordinator, or a person who asks, begins to look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LatestRun {
    /// The run.
    pub run: String,
    /// What it runs: a coordinator that is asked for the same may go on with it.
    pub bundle: Digest,
}
