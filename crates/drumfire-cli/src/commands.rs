//! `drumfire stop`, `resume`, `scale` and `status`: what can be asked of a run that agents share, from anywhere that has its
//! key.

use crate::broker;
use crate::execute::print;
use crate::exit::Exit;
use crate::script::environment_variables;
use crate::settings::{CommandSettings, Flagged, ThisHost};
use crate::words;
use anyhow::{Context, bail};
use drumfire_cluster::nats::NatsCommands;
use drumfire_cluster::{AgentPhase, AgentStatus, Command, Phase, Reply, Status};
use std::fmt::Write as _;
use std::time::Duration;

/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// The command line of `drumfire stop`.
#[derive(Debug, clap::Args)]
pub struct StopArguments {
    /// Say why, for the report
    #[arg(long, value_name = "WORDS", default_value = "asked by drumfire stop")]
    reason: String,
}

/// The command line of `drumfire scale`.
#[derive(Debug, clap::Args)]
pub struct ScaleArguments {
    /// Rate or users, in percent of what the script plans: 150 is half as much again
    #[arg(value_name = "PERCENT", value_parser = permille)]
    percent: u32,
}

/// The command lines of `drumfire resume` and `drumfire status`.
#[derive(Debug, clap::Args)]
pub struct NoArguments {}

/// Ends a run early.
///
/// # Errors
/// Nobody answers, or the run is over.
pub fn stop(flagged: &Flagged<StopArguments, CommandSettings>) -> anyhow::Result<Exit> {
    let reason = flagged.arguments.reason.clone();
    accepted(flagged, &Command::Stop { reason }, "stopping")
}

/// Starts a run that is held.
///
/// # Errors
/// Nobody answers, or the run is over.
pub fn resume(flagged: &Flagged<NoArguments, CommandSettings>) -> anyhow::Result<Exit> {
    accepted(flagged, &Command::Resume, "resumed")
}

/// Changes the rate or the users of a run.
///
/// # Errors
/// Nobody answers, the run is over, or it cannot be so large.
pub fn scale(flagged: &Flagged<ScaleArguments, CommandSettings>) -> anyhow::Result<Exit> {
    let permille = flagged.arguments.percent;
    accepted(flagged, &Command::Scale { permille }, "scaled")
}

/// Says how a run is.
///
/// # Errors
/// Nobody answers.
pub fn status(flagged: &Flagged<NoArguments, CommandSettings>) -> anyhow::Result<Exit> {
    match ask(flagged, &Command::Status)? {
        Reply::Status(status) => print(&shown(&status)),
        other => bail!("ask for the status: the coordinator answered {other:?}"),
    }
    Ok(Exit::Passed)
}

fn accepted<A>(
    flagged: &Flagged<A, CommandSettings>,
    command: &Command,
    done: &str,
) -> anyhow::Result<Exit> {
    match ask(flagged, command)? {
        Reply::Refused(reason) => bail!("the coordinator refuses: {reason}"),
        Reply::Accepted | Reply::Status(_) => print(&format!("{done}\n")),
    }
    Ok(Exit::Passed)
}

fn ask<A>(flagged: &Flagged<A, CommandSettings>, command: &Command) -> anyhow::Result<Reply> {
    let (settings, warnings) = flagged.settings(&environment_variables(), &ThisHost)?;
    warnings.iter().for_each(words::warn_setting);
    broker::runtime()?.block_on(async {
        let broker = broker::connect(&settings.broker).await?;
        let commands = NatsCommands::new(&broker);
        let run = settings.run_id.as_deref();
        Ok(commands.ask(run, command, PATIENCE).await?)
    })
}

fn permille(text: &str) -> anyhow::Result<u32> {
    let number = text.strip_suffix('%').unwrap_or(text);
    let percent: f64 = number
        .trim()
        .parse()
        .context("it is no number of percent")?;
    let permille = (percent * 10.0).round();
    if !(0.0..=f64::from(drumfire_cluster::MAX_PERMILLE)).contains(&permille) {
        bail!(
            "it is not from 0 to {} percent",
            drumfire_cluster::MAX_PERMILLE / 10
        );
    }
    Ok(permille as u32)
}

fn shown(status: &Status) -> String {
    let mut text = String::new();
    let at = status
        .run_ns
        .map(|ns| format!(", at {:.1} s", ns as f64 / 1e9));
    let balance = &status.balance;
    let planned = balance
        .planned
        .map(|planned| format!("planned {planned}, "));
    let dropped: u64 = balance.dropped.values().sum();
    let scale = f64::from(status.permille) / 10.0;
    // Writing to a string cannot fail.
    writeln!(
        text,
        "run {}: {}{} ({scale} % of the plan)\n{}started {}, dropped {dropped} so far\n",
        status.run,
        phase(&status.phase),
        at.unwrap_or_default(),
        planned.unwrap_or_default(),
        balance.started,
    )
    .ok();
    writeln!(
        text,
        "{:<24} {:<12} {:>6} {:>10} {:>10} {:>12}",
        "agent", "is", "weight", "started", "silent, s", "clock, ms"
    )
    .ok();
    for agent in &status.agents {
        writeln!(text, "{}", row(agent)).ok();
    }
    text
}

fn row(agent: &AgentStatus) -> String {
    let clock = agent.clock.map_or_else(String::new, |clock| {
        format!("±{:.3}", clock.round_trip_ns as f64 / 2e6)
    });
    let is = match (&agent.phase, agent.gone) {
        (AgentPhase::Failed(_), _) => "failed",
        (_, true) => "gone",
        (AgentPhase::Announced, _) => "there",
        (AgentPhase::Fetching | AgentPhase::Preparing, _) => "preparing",
        (AgentPhase::Armed { .. }, _) => "ready",
        (AgentPhase::WarmingUp, _) => "warming up",
        (AgentPhase::Running, _) => "running",
        (AgentPhase::Draining, _) => "draining",
        (AgentPhase::Drained { .. }, _) => "drained",
        (AgentPhase::Finished, _) => "finished",
    };
    let silent_s = agent.silent_ns as f64 / 1e9;
    let (name, weight, started) = (&agent.member.agent, agent.weight, agent.started);
    format!("{name:<24} {is:<12} {weight:>6} {started:>10} {silent_s:>10.1} {clock:>12}")
}

fn phase(phase: &Phase) -> String {
    match phase {
        Phase::Gathering => "waiting for agents".to_owned(),
        Phase::Preparing => "preparing".to_owned(),
        Phase::Armed => "ready".to_owned(),
        Phase::WarmingUp => "warming up".to_owned(),
        Phase::Running => "running".to_owned(),
        Phase::Draining => "draining".to_owned(),
        Phase::Finished => "finished".to_owned(),
        Phase::Stopped(reason) => format!("stopped: {reason}"),
        Phase::Failed(reason) => format!("failed: {reason}"),
    }
}
