//! A run in one process that LoadStrike's keys ask for, by `NodeType` or `EnableLocalDevCluster`: what `drumfire run` does,
//! with settings.

use crate::coordinator::CoordinatorArguments;
use crate::exit::Exit;
use crate::run::{self, Agents};
use crate::script::environment_variables;
use crate::settings::{Flagged, SingleNodeSettings, ThisHost};
use crate::words;

/// Runs the test that the settings describe.
///
/// # Errors
/// A setting is wrong, the script is not valid, or the load cannot be started.
pub fn run(flagged: &Flagged<CoordinatorArguments, SingleNodeSettings>) -> anyhow::Result<Exit> {
    let (settings, warnings) = flagged.settings(&environment_variables(), &ThisHost)?;
    warnings.iter().for_each(words::warn_setting);
    let (test, arguments) = (&settings.test, &flagged.arguments);
    let arguments = arguments.run_arguments(&settings.scripts, test);
    let agents = settings.agents.map_or(Agents::None, Agents::Threads);
    run::begin(&arguments, &test.targets, || Ok(agents))
}
