//! What can be typed: the subcommands, and the options that several of them
//! share. What only one of them takes stands in its own file.

use crate::exit::Exit;
use crate::settings::{
    AgentSettings, CommandSettings, CoordinatorSettings, Flagged, SINGLE_NODE, SingleNodeSettings,
};
use crate::{
    agent, check, commands, compare, coordinator, quick, reference, report, run, single_node,
    target,
};
use clap::builder::Styles;
use clap::{Args, Parser, Subcommand, ValueEnum};
use drumfire_engine::Settings;
use drumfire_plan::Share;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::Duration;

/// How long running iterations may go on after a stop, unless told otherwise.
const GRACE_AFTER_STOP: Duration = Duration::from_secs(30);
/// How long names and connections may take before the start.
const PREPARE_LIMIT: Duration = Duration::from_secs(60);

/// Puts load on a service and tells the truth about what it measured
#[derive(Debug, Parser)]
#[command(name = "drumfire", version, styles = Styles::plain(), max_term_width = 100)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run an Artillery script
    Run(Box<run::RunArguments>),
    /// Coordinate a run whose agents are elsewhere, met at a NATS broker
    Coordinator(Box<Flagged<coordinator::CoordinatorArguments, CoordinatorSettings>>),
    /// Wait at a NATS broker for runs, and take part in them
    Agent(Box<Flagged<agent::AgentArguments, AgentSettings>>),
    /// Run a test in one process, as settings describe it
    #[command(hide = true, name = SINGLE_NODE)]
    SingleNode(Box<Flagged<coordinator::CoordinatorArguments, SingleNodeSettings>>),
    /// Say how a run of a cluster is
    Status(Box<Flagged<commands::NoArguments, CommandSettings>>),
    /// End a run of a cluster early
    Stop(Box<Flagged<commands::StopArguments, CommandSettings>>),
    /// Change the rate or the users of a run of a cluster
    Scale(Box<Flagged<commands::ScaleArguments, CommandSettings>>),
    /// Start a run of a cluster that is held
    Resume(Box<Flagged<commands::NoArguments, CommandSettings>>),
    /// Put load on one URL, without a script
    Quick(Box<quick::QuickArguments>),
    /// Check a script and show what it would do
    Check(check::CheckArguments),
    /// Render results of earlier runs again, merged into one
    Report(report::ReportCommand),
    /// Show two runs side by side
    Compare(compare::CompareArguments),
    /// Serve a sample target with delays and faults on request
    Target(target::TargetArguments),
    /// Print completions for a shell
    Completions {
        /// Which one
        shell: clap_complete::Shell,
    },
    /// Print a page of the reference
    #[command(hide = true)]
    Reference {
        /// Which one
        page: reference::Page,
    },
}

impl Command {
    /// Does it.
    ///
    /// # Errors
    /// What kept it from being done.
    pub fn run(self) -> anyhow::Result<Exit> {
        match self {
            Command::Run(arguments) => run::run(&arguments),
            Command::Coordinator(flagged) => coordinator::run(&flagged),
            Command::Agent(flagged) => agent::run(&flagged),
            Command::SingleNode(flagged) => single_node::run(&flagged),
            Command::Status(flagged) => commands::status(&flagged),
            Command::Stop(flagged) => commands::stop(&flagged),
            Command::Scale(flagged) => commands::scale(&flagged),
            Command::Resume(flagged) => commands::resume(&flagged),
            Command::Quick(arguments) => quick::run(&arguments),
            Command::Check(arguments) => check::run(&arguments),
            Command::Report(arguments) => report::run(&arguments),
            Command::Compare(arguments) => compare::run(&arguments),
            Command::Target(arguments) => target::run(arguments.options),
            Command::Completions { shell } => reference::completions(shell),
            Command::Reference { page } => reference::run(page),
        }
    }
}

/// How the load is run.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Load")]
pub struct LoadArguments {
    /// Threads that make the load; one per core unless said otherwise
    #[arg(long, visible_alias = "threads", value_name = "N")]
    pub shards: Option<NonZeroU32>,
    /// How long running iterations may go on once the load has ended or was stopped; unless given,
    /// as long as they need, and 30 s after a stop
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub graceful_stop: Option<Duration>,
    /// Stop after this long, whatever the load plans
    #[arg(long, value_name = "DURATION", value_parser = positive_duration)]
    pub max_duration: Option<Duration>,
    /// Make everything that happens by chance happen again
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Connect from this address; several are used in turn, for more connections than ports
    #[arg(long, value_name = "ADDRESS")]
    pub local_ip: Vec<IpAddr>,
}

impl LoadArguments {
    /// The engine's settings.
    pub fn settings(&self) -> Settings {
        Settings {
            shards: self.shards.unwrap_or_else(cores),
            grace_after_end: self.graceful_stop,
            grace_after_stop: self.graceful_stop.unwrap_or(GRACE_AFTER_STOP),
            max_duration: self.max_duration,
            ahead: Some(Share::whole()),
            prepare_limit: PREPARE_LIMIT,
        }
    }

    /// The same for each of `agents` agents on one machine, which share its cores.
    pub fn of_each(&self, agents: NonZeroU32) -> Self {
        let all = self.shards.unwrap_or_else(cores).get();
        LoadArguments {
            shards: NonZeroU32::new(all / agents).or(Some(NonZeroU32::MIN)),
            ..self.clone()
        }
    }

    /// The seed asked for, or a new one.
    pub fn seed(&self) -> u64 {
        self.seed
            .unwrap_or_else(|| uuid::Uuid::new_v4().as_u64_pair().0)
    }
}

/// What fails a run beside its checks.
#[derive(Debug, Clone, Copy, Args)]
#[command(next_help_heading = "Verdict")]
pub struct VerdictArguments {
    /// Fail when the generator instead of the target was the limit
    #[arg(long)]
    pub strict: bool,
    /// Fail when any request or user failed
    #[arg(long)]
    pub fail_on_errors: bool,
}

/// How a run is shown.
#[derive(Debug, Clone, Copy, Args)]
#[command(next_help_heading = "Display")]
pub struct ViewArguments {
    /// Show a live view: auto does where standard output is a terminal
    #[arg(long, value_name = "WHEN", value_enum, default_value_t = Tui::Auto)]
    pub tui: Tui,
    /// Same as --tui never
    #[arg(long, conflicts_with = "tui")]
    pub no_tui: bool,
}

impl ViewArguments {
    /// Whether to show the live view.
    pub fn live(self) -> bool {
        use std::io::IsTerminal;
        match self.tui {
            _ if self.no_tui => false,
            Tui::Auto => std::io::stdout().is_terminal(),
            Tui::Always => true,
            Tui::Never => false,
        }
    }
}

/// When to show the live view.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Tui {
    /// On a terminal.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// Reads a duration as scripts write it.
///
/// # Errors
/// It is none.
pub fn duration(text: &str) -> Result<Duration, String> {
    drumfire_artillery::duration::parse_text(text)
        .ok_or_else(|| "expected seconds or a number with a unit, such as 90, 500ms or 2m".into())
}

/// Reads a duration above zero.
///
/// # Errors
/// It is none, or zero.
pub fn positive_duration(text: &str) -> Result<Duration, String> {
    let duration = duration(text)?;
    match duration.is_zero() {
        true => Err("expected more than zero".into()),
        false => Ok(duration),
    }
}

fn cores() -> NonZeroU32 {
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get() as u32);
    NonZeroU32::new(cores).unwrap_or(NonZeroU32::MIN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_contradicts_itself_nowhere() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn durations_have_one_reader() {
        for (text, expected) in [
            ("2", Some(Duration::from_secs(2))),
            ("0.5", Some(Duration::from_millis(500))),
            ("250ms", Some(Duration::from_millis(250))),
            ("2m", Some(Duration::from_secs(120))),
            ("", None),
            ("soon", None),
        ] {
            assert_eq!(duration(text).ok(), expected, "{text:?}");
        }
        assert_eq!(
            positive_duration("0"),
            Err("expected more than zero".into())
        );
    }
}
