//! How a run is watched: the live view on a terminal, Artillery's lines
//! otherwise, or nothing but what the script itself prints.

use crate::lines::Lines;
use crate::screen::Screen;
use crate::words;
use drumfire_engine::{Event, StopReason};
use drumfire_metrics::{RunFacts, Summary};
use drumfire_report::artillery_console::Console;

/// Someone who watches a run and has no say in it.
pub trait View {
    /// The run with these facts starts.
    fn begin(&mut self, facts: RunFacts);

    /// Takes notice.
    fn event(&mut self, event: &Event, summary: &Summary);
}

/// Which view to open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Redrawn every second, the script's lines above it.
    Live,
    /// Phases and a block per window of ten seconds.
    Lines,
    /// Only what the script prints.
    Quiet,
}

/// Opens a view; a terminal that cannot be drawn on gets lines.
pub fn open(kind: Kind, console: &Console) -> Box<dyn View> {
    match kind {
        Kind::Quiet => Box::new(Lines::quiet(console)),
        Kind::Lines => Box::new(Lines::new(console)),
        Kind::Live => match Screen::open() {
            Ok(screen) => Box::new(screen),
            Err(error) => {
                words::warn(
                    &format!("cannot draw on this terminal: {error}"),
                    Some("--no-tui prints lines instead, without this warning"),
                );
                Box::new(Lines::new(console))
            }
        },
    }
}

/// Why a run is ending, and what can be done about it.
pub fn stopping(reason: StopReason) -> &'static str {
    match reason {
        StopReason::Requested => {
            "stopping: running iterations may finish; another signal (Ctrl-C) interrupts them"
        }
        StopReason::MaxDuration => "stopping: --max-duration is reached",
        StopReason::Threshold => "stopping: a check with abortOnFail has failed",
    }
}
