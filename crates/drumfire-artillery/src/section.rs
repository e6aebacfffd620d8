//! `before` and `after`: one flow, run once, outside of the load and its
//! metrics.

use std::cell::RefCell;
use std::pin::pin;
use std::rc::Rc;

use drumfire_engine::{Control, Iteration, Seed, Shard};
use drumfire_metrics::Snapshot;
use drumfire_reactor::{Reactor, now};
use futures_util::future::{Either, select};
use serde_json::{Map, Value};

use crate::capture::CompileError;
use crate::program::{ArtilleryProgram, compile_flow};
use crate::script::Scenario;
use crate::session::Session;

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Section {
    /// Before the load; what it captures is every user's.
    Before,
    /// After the load.
    After,
}

impl Section {
    /// Its key in the script.
    pub fn key(self) -> &'static str {
        match self {
            Section::Before => "before",
            Section::After => "after",
        }
    }
}

/// What a section came to.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SectionOutcome {
    /// The variables that it set.
    pub variables: Map<String, Value>,
    /// What its `log` steps said.
    pub lines: Vec<String>,
    /// Whether it was cut short by the end of the run.
    pub interrupted: bool,
}

/// Why a section failed.
#[derive(Debug, thiserror::Error)]
pub enum SectionError {
    /// A step failed; its codes.
    #[error("the `{section}` section failed: {codes}")]
    Failed {
        /// Which section.
        section: &'static str,
        /// What `errors` would have counted.
        codes: String,
        /// What its `log` steps had said by then.
        lines: Vec<String>,
    },
    /// An expression in the script is none.
    #[error("the script's expressions do not compile")]
    Invalid {
        /// Which section.
        section: &'static str,
        /// Which one, and why.
        #[source]
        source: CompileError,
    },
    /// No event loop could be had.
    #[error("cannot run the `{section}` section")]
    Reactor {
        /// Which section.
        section: &'static str,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
}

impl ArtilleryProgram {
    /// Runs a section of the script on the calling thread, if the script has it. A stop cuts it
    /// short; `after` runs in a run that is stopped already, and is cut short by a further stop.
    ///
    /// # Errors
    /// A step fails; or there is no descriptor for an event loop.
    pub fn run_section(
        &self,
        section: Section,
        control: &Control,
    ) -> Result<SectionOutcome, SectionError> {
        let flow = match section {
            Section::Before => &self.script().before,
            Section::After => &self.script().after,
        };
        let Some(flow) = flow else {
            return Ok(SectionOutcome::default());
        };
        let stop = control.next_stop();
        if section == Section::Before && control.stopping().is_some() {
            return Ok(SectionOutcome {
                interrupted: true,
                ..SectionOutcome::default()
            });
        }
        let reactor = Reactor::new().map_err(|source| SectionError::Reactor {
            section: section.key(),
            source,
        })?;
        reactor.block_on(self.run_once(section, flow, stop))
    }

    async fn run_once(
        &self,
        section: Section,
        flow: &Scenario,
        stop: impl Future<Output = ()>,
    ) -> Result<SectionOutcome, SectionError> {
        let lines = Rc::new(RefCell::new(Vec::new()));
        let log = lines.clone();
        let shard = Shard::new(
            0,
            1,
            Rc::new(move |line| {
                log.borrow_mut().push(line);
                true
            }),
        );
        let invalid = |error| SectionError::Invalid {
            section: section.key(),
            source: error,
        };
        let script = self.shard(shard).map_err(invalid)?;
        let recorder = &script.shard.recorder;
        let operations = compile_flow(self.script(), recorder, flow).map_err(invalid)?;
        let connections = script.connections();
        let iteration = Iteration {
            number: 0,
            intended_ns: now(),
            seed: Seed(0),
        };
        let session = Session::new(&script, &connections, iteration);
        let flow = pin!(session.run_flow(&operations));
        let ended = match select(flow, pin!(stop)).await {
            Either::Left((ended, _)) => ended.map(|()| false),
            Either::Right(_) => Ok(true),
        };
        let variables = session.vars.borrow().own();
        let lines = lines.take();
        match ended {
            Ok(interrupted) => Ok(SectionOutcome {
                variables,
                lines,
                interrupted,
            }),
            Err(_) => Err(SectionError::Failed {
                section: section.key(),
                codes: codes(&script.shard.recorder.borrow_mut().take(0, 0)),
                lines,
            }),
        }
    }
}

fn codes(snapshot: &Snapshot) -> String {
    let of_endpoints = snapshot.endpoints.values().flat_map(|e| e.errors.keys());
    let codes: Vec<&str> = of_endpoints
        .chain(snapshot.errors.keys())
        .map(String::as_str)
        .collect();
    codes.join(", ")
}
