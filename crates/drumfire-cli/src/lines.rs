//! A run as Artillery prints it: phases, a block per window of ten seconds,
//! the script's own lines.

use crate::execute::print;
use crate::view::{View, stopping};
use crate::words;
use drumfire_engine::Event;
use drumfire_metrics::{RunFacts, Summary};
use drumfire_report::artillery_console::Console;
use drumfire_report::windows::Windows;

/// Prints lines to standard output.
pub struct Lines {
    console: Console,
    windows: Windows,
    quiet: bool,
}

impl Lines {
    /// Everything Artillery prints.
    pub fn new(console: &Console) -> Self {
        Lines {
            console: console.clone(),
            windows: Windows::new(console.started_at_us, &console.names),
            quiet: false,
        }
    }

    /// Only what the script prints.
    pub fn quiet(console: &Console) -> Self {
        Lines {
            quiet: true,
            ..Self::new(console)
        }
    }

    /// What an event has to say on standard output.
    fn text(&mut self, event: &Event, summary: &Summary) -> Option<String> {
        if let Event::Log(line) = event {
            return Some(format!("{line}\n"));
        }
        if self.quiet {
            return None;
        }
        let stage = |index: &usize| summary.facts.stages.get(*index);
        let window = match event {
            Event::StageStarted { index, .. } => {
                return Some(self.console.phase_started(*index, stage(index)?));
            }
            Event::StageEnded { index, .. } => {
                return Some(self.console.phase_completed(*index, stage(index)?));
            }
            Event::Interval => self.windows.push(&summary.timeline.last()?.snapshot),
            Event::Finished => self.windows.finish(),
            _ => None,
        };
        Some(self.console.period(&window?))
    }
}

impl View for Lines {
    fn begin(&mut self, facts: RunFacts) {
        self.console.started_at_us = facts.started_at_us;
        self.windows = Windows::new(facts.started_at_us, &self.console.names);
    }

    fn event(&mut self, event: &Event, summary: &Summary) {
        if let Some(text) = self.text(event, summary) {
            print(&text);
        }
        match event {
            Event::Stopping(reason) => words::tell(&format!("{}\n", stopping(*reason))),
            Event::Warning(line) => words::warn(line, None),
            _ => {}
        }
    }
}
