//! Which of a script's scenarios run where, as settings name them.

use crate::bundle::RunOptions;
use crate::exit::Refusal;
use crate::settings::TargetNames;
use crate::words;
use drumfire_artillery::script::Script;

/// Writes down which scenarios agents and the coordinator run; all are the agents' where nothing says which.
///
/// # Errors
/// None is left, or what settings say is not what the command line asks for.
pub fn pick(names: &TargetNames, script: &Script, options: &mut RunOptions) -> anyhow::Result<()> {
    if *names == TargetNames::default() {
        return Ok(());
    }
    let scenarios = script.scenarios.iter().enumerate();
    let titles: Vec<String> = scenarios.map(|(index, one)| one.title(index)).collect();
    let (targets, warnings) = names.among(&titles)?;
    warnings.iter().for_each(words::warn_setting);
    if let Some(selected) = script.selected {
        let title = &titles[selected];
        if !targets.agents.contains(&selected) {
            return Err(Refusal::usage(format!(
                "--scenario-name picks {title}, which the settings of targets leave out"
            ))
            .into());
        }
        if !targets.coordinator.is_empty() {
            return Err(Refusal::usage(format!(
                "--scenario-name picks {title} alone, and coordinator-target-scenarios more"
            ))
            .into());
        }
    }
    options.scenarios = Some(targets.agents);
    options.coordinator_scenarios = Some(targets.coordinator).filter(|own| !own.is_empty());
    Ok(())
}
