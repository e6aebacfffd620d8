//! From a script's phases to the plan that the engine runs.

use drumfire_plan::{Load, Plan, PlanError, Scenario};

use crate::payload::Payload;
use crate::phases::open_load;
use crate::script::Script;

/// The plan of `script`, its chance drawn from `seed`; none where no phase has
/// any load, in which case Artillery ends at once.
///
/// # Errors
/// The phases make no load that can be run.
pub fn plan(script: &Script, seed: u64) -> Result<Option<Plan>, PlanError> {
    let Some(load) = open_load(&script.config.phases, seed)? else {
        return Ok(None);
    };
    let scenarios = script.scenarios.iter().enumerate();
    let plan = Plan {
        name: script.origin.script_path.clone(),
        scenarios: scenarios
            .map(|(index, scenario)| Scenario {
                name: scenario.title(index),
                weight: scenario.weight,
            })
            .collect(),
        load: Load::Open(load),
        seed,
    };
    plan.checked().map(Some)
}

/// How many of a plan's users come after the last row of a payload that gives each row once, and will fail.
pub fn users_without_row(script: &Script, plan: &Plan) -> u64 {
    let Load::Open(load) = &plan.load else {
        return 0;
    };
    let unique = script
        .config
        .payloads
        .iter()
        .filter_map(Payload::rows_for_one);
    let fewest = unique.min().unwrap_or(u64::MAX);
    load.total().saturating_sub(fewest)
}
