//! Which scenarios run where, by LoadStrike's documented rule: every agent runs the same ones, and those that the coordinator
//! runs are no agent's.

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
    /// Of these, those that agents run; all that the coordinator does not where it is none.
    pub agents: Option<Vec<String>>,
    /// Of these, those that the coordinator runs; none where it is none.
    pub coordinator: Option<Vec<String>>,
}

/// Which of a script's scenarios run where, by their places.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Targets {
    /// Those that every agent runs, or the one process that there is; at least one.
    pub agents: Vec<usize>,
    /// Those that the coordinator runs itself; may be none.
    pub coordinator: Vec<usize>,
}

/// Nothing is left to run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{NONE_LEFT}\nhint: {setting} leaves {whom}none of the script's scenarios: {scenarios}")]
pub struct NoTarget {
    setting: &'static str,
    whom: &'static str,
    scenarios: String,
}

impl TargetNames {
    /// Takes the values.
    pub fn from_values(values: &Values) -> Self {
        TargetNames {
            all: values.list("target-scenarios"),
            agents: values.list("agent-target-scenarios"),
            coordinator: values.list("coordinator-target-scenarios"),
        }
    }

    /// Finds the names among a script's `scenarios`; those that none has are dropped with a warning.
    ///
    /// # Errors
    /// None is left, for agents or for a coordinator that is set to run some.
    pub fn among(&self, scenarios: &[String]) -> Result<(Targets, Vec<Warning>), NoTarget> {
        let mut search = Search {
            known: scenarios.iter().map(String::as_str).collect(),
            warnings: Vec::new(),
        };
        let all = (0..scenarios.len()).collect();
        let left = search.narrow("target-scenarios", &self.all, all)?;
        let coordinator = match &self.coordinator {
            None => Vec::new(),
            some => search.narrow("coordinator-target-scenarios", some, left.clone())?,
        };
        let others: Vec<usize> = left
            .into_iter()
            .filter(|index| !coordinator.contains(index))
            .collect();
        if others.is_empty() {
            let whom = "the agents ";
            return Err(search.none_left("coordinator-target-scenarios", whom));
        }
        let agents = search.narrow("agent-target-scenarios", &self.agents, others)?;
        let targets = Targets {
            agents,
            coordinator,
        };
        Ok((targets, search.warnings))
    }
}

struct Search<'a> {
    known: Vec<&'a str>,
    warnings: Vec<Warning>,
}

impl Search<'_> {
    /// Of the places that are left those that are named; all where nothing is.
    fn narrow(
        &mut self,
        setting: &'static str,
        names: &Option<Vec<String>>,
        mut left: Vec<usize>,
    ) -> Result<Vec<usize>, NoTarget> {
        let Some(names) = names else {
            return Ok(left);
        };
        self.warnings.extend(unknown(setting, names, &self.known));
        left.retain(|index| names.iter().any(|name| name == self.known[*index]));
        match left.is_empty() {
            true => Err(self.none_left(setting, "")),
            false => Ok(left),
        }
    }

    fn none_left(&self, setting: &'static str, whom: &'static str) -> NoTarget {
        let scenarios = self.known.join(", ");
        NoTarget {
            setting,
            whom,
            scenarios,
        }
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
