//! What is said of a load's stages, whoever runs the load: one process, or agents that share it.

use crate::event::Event;
use drumfire_metrics::StageFacts;
use drumfire_plan::Load;
use std::ops::Range;
use std::time::Duration;

/// The stages of a load; `arrivals` says how many are planned in a span of time, where the load plans any.
pub fn stage_facts(
    load: &Load,
    arrivals: impl Fn(Range<Duration>) -> Option<u64>,
) -> Vec<StageFacts> {
    let stages: Vec<(Option<String>, Range<Duration>)> = match load {
        Load::Open(load) => {
            let stages = load.stages().iter().enumerate();
            let facts = stages.map(|(index, stage)| (stage.name.clone(), load.stage_bounds(index)));
            facts.collect()
        }
        Load::Closed(load) => {
            let stages = load.stages().iter().enumerate();
            let facts = stages.map(|(index, stage)| (stage.name.clone(), load.stage_bounds(index)));
            facts.collect()
        }
    };
    let last = stages.len().saturating_sub(1);
    let stages = stages.into_iter().enumerate();
    let facts = stages.map(|(index, (name, bounds))| {
        // What comes at the very end of the load is the last stage's.
        let end = match index == last {
            true => Duration::MAX,
            false => bounds.end,
        };
        StageFacts {
            name,
            start_us: bounds.start.as_micros() as u64,
            end_us: bounds.end.as_micros() as u64,
            planned: arrivals(bounds.start..end),
        }
    });
    facts.collect()
}

/// The planned starts and ends of all stages, in order, each at its microsecond of the run.
pub fn boundaries(stages: &[StageFacts]) -> Vec<(u64, Event)> {
    let stages = stages.iter().enumerate();
    let boundaries = stages.flat_map(|(index, stage)| {
        let (start, end) = (stage.start_us, stage.end_us);
        let at_us = start;
        [
            (start, Event::StageStarted { index, at_us }),
            (end, Event::StageEnded { index, at_us: end }),
        ]
    });
    boundaries.collect()
}
