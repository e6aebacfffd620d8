//! The one table of exit codes: what the binary returns, what the reference
//! prints, and in which order reasons win over each other.

use crate::settings::{NoTarget, SettingsError};
use crate::signals::Signal;
use drumfire_artillery::error::ScriptError;
use drumfire_engine::RunError;
use std::fmt::Write as _;
use std::process::ExitCode;

/// How a command ended. The order is that in which reasons win: the later one
/// decides the code when several hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Exit {
    /// Everything was done and held.
    Passed,
    /// A report could not be written after the run.
    ReportLost,
    /// `--strict`: the generator was the limit.
    Saturated,
    /// `--fail-on-errors`: requests or users failed.
    Errors,
    /// `expect` failed.
    Expect,
    /// A strict check failed, or the command could not be done at all.
    Failed,
    /// A check with `abortOnFail` ended the run.
    Aborted,
    /// The agents of a shared run failed it.
    AgentsFailed,
    /// The load cannot be run as described.
    Unrunnable,
    /// The command line or a setting is wrong.
    Usage,
    /// A signal ended the run, after its report.
    Signalled(Signal),
}

/// Every code with its meaning, in the order of the codes.
const TABLE: [(Exit, &str); 13] = [
    (
        Exit::Passed,
        "everything was done and every check held; as with Artillery also when every user failed, \
         unless `--fail-on-errors` is given",
    ),
    (
        Exit::Failed,
        "a strict `ensure` check failed, the script or a file could not be read, or `before` or \
         `after` failed",
    ),
    (Exit::Usage, "the command line or a setting is wrong"),
    (
        Exit::Unrunnable,
        "the load cannot be run as described: a phase that makes no sense, an engine that does not \
         exist, a `--scenario-name` that picks not exactly one, or no thread or descriptor to start with",
    ),
    (
        Exit::Aborted,
        "a check with `abortOnFail` ended the run early",
    ),
    (Exit::Expect, "an `expect` failed"),
    (
        Exit::Errors,
        "`--fail-on-errors` was given, and requests or users failed",
    ),
    (
        Exit::Saturated,
        "`--strict` was given, and the generator instead of the target was the limit, or its \
         numbers do not add up",
    ),
    (
        Exit::ReportLost,
        "the run passed, but a report could not be written",
    ),
    (
        Exit::AgentsFailed,
        "the agents of a shared run could not begin it, or were lost where they must not be",
    ),
    (
        Exit::Signalled(Signal::Hangup),
        "the run was ended by SIGHUP, after it had drained and reported",
    ),
    (
        Exit::Signalled(Signal::Interrupt),
        "the run was ended by Ctrl-C (SIGINT), after it had drained and reported",
    ),
    (
        Exit::Signalled(Signal::Terminate),
        "the run was ended by SIGTERM, after it had drained and reported",
    ),
];

impl Exit {
    /// The process's exit code.
    pub fn code(self) -> u8 {
        match self {
            Exit::Passed => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::Unrunnable => 11,
            Exit::Aborted => 20,
            Exit::Expect => 21,
            Exit::Errors => 22,
            Exit::Saturated => 23,
            Exit::ReportLost => 24,
            Exit::AgentsFailed => 25,
            Exit::Signalled(signal) => 128 + signal.number() as u8,
        }
    }

    /// Why a run did not pass, in a few words; none when it did.
    pub fn reason(self) -> Option<&'static str> {
        Some(match self {
            Exit::Passed => return None,
            Exit::Failed => "a check failed",
            Exit::Usage => "the command line or a setting is wrong",
            Exit::Unrunnable => "the load cannot be run",
            Exit::Aborted => "a check with abortOnFail ended the run",
            Exit::Expect => "an expect failed",
            Exit::Errors => "requests or users failed (--fail-on-errors)",
            Exit::Saturated => "the generator was the limit (--strict)",
            Exit::ReportLost => "a report could not be written",
            Exit::AgentsFailed => "its agents failed it",
            Exit::Signalled(Signal::Hangup) => "ended by SIGHUP",
            Exit::Signalled(Signal::Interrupt) => "ended by Ctrl-C",
            Exit::Signalled(Signal::Terminate) => "ended by SIGTERM",
        })
    }

    /// What an error that ended a command early comes to.
    pub fn of(error: &anyhow::Error) -> Self {
        error.chain().find_map(exit_of).unwrap_or(Exit::Failed)
    }
}

fn exit_of(error: &(dyn std::error::Error + 'static)) -> Option<Exit> {
    if let Some(refusal) = error.downcast_ref::<Refusal>() {
        return Some(refusal.exit);
    }
    if let Some(script) = error.downcast_ref::<ScriptError>() {
        let code = script.process_exit_code();
        return Some(match code == Exit::Unrunnable.code() {
            true => Exit::Unrunnable,
            false => Exit::Failed,
        });
    }
    if error.is::<SettingsError>() || error.is::<NoTarget>() {
        return Some(Exit::Usage);
    }
    let unrunnable = error.is::<RunError>() || error.is::<drumfire_plan::PlanError>();
    unrunnable.then_some(Exit::Unrunnable)
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        exit.code().into()
    }
}

/// An error of the command line itself, with the code it ends in.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    message: String,
    exit: Exit,
}

impl Refusal {
    /// The command line asks for what cannot be.
    pub fn usage(message: impl Into<String>) -> Self {
        Refusal {
            message: message.into(),
            exit: Exit::Usage,
        }
    }
}

/// The table as a page of the reference.
pub fn reference() -> String {
    let mut page = String::from(
        "# Exit codes\n\n\
         Every subcommand ends with one of these. Where Artillery 2 has a code for the same thing, it is\n\
         the same code. The last line of a run that did not pass says the reason in words.\n\n\
         | code | meaning |\n|---|---|\n",
    );
    for (exit, meaning) in TABLE {
        writeln!(page, "| {} | {meaning} |", exit.code()).expect("a string takes all");
    }
    page.push_str("\nWhen several hold at once, the first of this list decides: ");
    let mut winning = TABLE.map(|(exit, _)| exit);
    winning.sort_by(|a, b| b.cmp(a));
    let codes: Vec<String> = winning.iter().map(|exit| exit.code().to_string()).collect();
    writeln!(page, "{}.", codes.join(", ")).expect("a string takes all");
    page.push_str(
        "\nA second signal stops the running iterations at once and still reports; a third ends the process\n\
         without a report. A bug in drumfire itself ends with 101.\n",
    );
    page
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::TargetNames;

    #[test]
    fn the_table_is_complete_and_in_order() {
        let codes = TABLE.map(|(exit, _)| exit.code());
        assert!(codes.is_sorted(), "{codes:?}");
        let reasons = TABLE.map(|(exit, _)| exit.reason());
        assert_eq!(reasons.iter().filter(|reason| reason.is_none()).count(), 1);
    }

    #[test]
    fn the_worst_reason_wins_as_in_artillery() {
        let winning = [Exit::Expect, Exit::Failed, Exit::ReportLost]
            .into_iter()
            .max();
        assert_eq!(winning, Some(Exit::Failed));
    }

    #[test]
    fn scenarios_that_are_not_there_are_a_wrong_setting() {
        let targets = TargetNames {
            all: Some(vec!["bye".to_owned()]),
            ..TargetNames::default()
        };
        let error = targets.among(&["buy".to_owned()]).expect_err("none left");
        assert_eq!(Exit::of(&error.into()), Exit::Usage);
    }

    #[test]
    fn the_reference_is_up_to_date() {
        let page = include_str!("../../../docs/reference/exit-codes.md");
        assert_eq!(
            page,
            reference(),
            "write it anew: drumfire reference exit-codes"
        );
    }
}
