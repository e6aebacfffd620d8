//! Which scenarios agents run, by LoadStrike's documented rule: every agent runs the same ones.

use super::error::Warning;
use super::values::Values;
use drumfire_artillery::nearest::nearest;

/// What LoadStrike says when nothing is left to run; people search for it.
const NONE_LEFT: &str = "At least one scenario must be selected for execution.";

/// Names of scenarios, as they are set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TargetNames {
    /// Those that run at all; all where it is none.
    pub all: Option<Vec<String>>,
    /// Of these, those that agents run; all where it is none.
    pub agents: Option<Vec<String>>,
}

/// Nothing is left to run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{NONE_LEFT}\nhint: {setting} leaves none of the script's scenarios: {scenarios}")]
pub struct NoTarget {
    setting: &'static str,
    scenarios: String,
}

impl TargetNames {
    /// Takes the values.
    pub fn from_values(values: &Values) -> Self {
        TargetNames {
            all: values.list("target-scenarios"),
            agents: values.list("agent-target-scenarios"),
        }
    }

    /// Finds the names among a script's `scenarios`, and gives the places of those that agents run; names that none has are
    /// dropped with a warning.
    ///
    /// # Errors
    /// None is left.
    pub fn among(&self, scenarios: &[String]) -> Result<(Vec<usize>, Vec<Warning>), NoTarget> {
        let known: Vec<&str> = scenarios.iter().map(String::as_str).collect();
        let mut warnings = Vec::new();
        let mut left: Vec<usize> = (0..known.len()).collect();
        for (setting, names) in [
            ("target-scenarios", &self.all),
            ("agent-target-scenarios", &self.agents),
        ] {
            let Some(names) = names else {
                continue;
            };
            warnings.extend(unknown(setting, names, &known));
            left.retain(|index| names.iter().any(|name| name == known[*index]));
            if left.is_empty() {
                let scenarios = known.join(", ");
                return Err(NoTarget { setting, scenarios });
            }
        }
        Ok((left, warnings))
    }
}

/// A warning for each name that no scenario has.
fn unknown(setting: &str, names: &[String], scenarios: &[&str]) -> Vec<Warning> {
    let missing = names
        .iter()
        .filter(|name| !scenarios.contains(&name.as_str()));
    let warning = |name: &String| {
        let message = format!("{setting}: no scenario is called '{name}'");
        match nearest(name, scenarios) {
            Some(nearest) => Warning::hint(message, format!("did you mean '{nearest}'?")),
            None => Warning::new(message),
        }
    };
    missing.map(warning).collect()
}
