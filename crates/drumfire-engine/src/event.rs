//! What happened: the one stream that every user interface consumes.

use crate::control::StopReason;
use drumfire_metrics::{Snapshot, Summary};

/// Something that happened in a run. Times are microseconds since the run's start.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// Something that a person should know before the start, found while the program got ready.
    Warning(String),
    /// Every shard is ready and the load begins.
    Started,
    /// Every shard is awake at the start of the run.
    Begun {
        /// How long after the start the last of them was, in nanoseconds.
        late_ns: u64,
    },
    /// A stage of the load begins.
    StageStarted {
        /// Which one.
        index: usize,
        /// When it was planned to.
        at_us: u64,
    },
    /// A stage of the load has ended.
    StageEnded {
        /// Which one.
        index: usize,
        /// When it was planned to.
        at_us: u64,
    },
    /// Another second is complete: the last of the summary's timeline.
    Interval,
    /// A line that the script logs.
    Log(String),
    /// The run is ending early.
    Stopping(StopReason),
    /// The schedule is over; iterations are still running.
    Draining {
        /// How many.
        users: u64,
    },
    /// Everything has ended.
    Finished,
}

/// Who watches a run.
pub trait Observer {
    /// Takes a finished interval of the whole process, before it becomes part of the summary.
    fn interval(&mut self, _snapshot: &Snapshot) {}

    /// Takes notice; what comes back ends the run.
    fn event(&mut self, event: &Event, summary: &Summary) -> Option<StopReason>;
}

impl<F: FnMut(&Event, &Summary) -> Option<StopReason>> Observer for F {
    fn event(&mut self, event: &Event, summary: &Summary) -> Option<StopReason> {
        self(event, summary)
    }
}
