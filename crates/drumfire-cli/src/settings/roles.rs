//! What each role is set to: plain fields, and the rules that hold between settings.

use super::RoleSettings;
use super::broker::Broker;
use super::error::{Reason, SettingsError};
use super::host::Host;
use super::names::{ReportFormat, ReportName};
use super::table::Role;
use super::targets::TargetNames;
use super::values::Values;
use crate::files::{FolderReports, ReportArguments};
use drumfire_cluster::{Policy, Timing, WarmUp};
use drumfire_protocols::AllowedTargets;
use std::io;
use std::num::NonZeroU32;
use std::time::Duration;

/// Where a container image has its scripts.
const SCRIPT_FOLDER: &str = "/drumfire/scripts";
/// The script among several.
const MAIN_SCRIPTS: [&str; 2] = ["main.yml", "main.yaml"];
/// So many intervals without a word, and an agent is taken for silent; its lease lasts no less.
const SILENT_INTERVALS: u32 = 3;

/// What a coordinator is set to.
#[derive(Debug, Clone)]
pub struct CoordinatorSettings {
    /// The script, and files to merge over it.
    pub scripts: Vec<String>,
    /// Where the cluster meets.
    pub broker: Broker,
    /// How many agents are waited for.
    pub agents: u32,
    /// How many are enough when the wait is over.
    pub quorum: u32,
    /// What becomes of a lost agent's share.
    pub policy: Policy,
    /// Whether the armed run is held.
    pub paused: bool,
    /// Periods and limits of time.
    pub timing: Timing,
    /// What is run, and what is reported.
    pub test: TestSettings,
}

/// What a run is, whoever runs it.
#[derive(Debug, Clone)]
pub struct TestSettings {
    /// Its name in reports.
    pub name: Option<String>,
    /// Its identity; a new one where it is none.
    pub run_id: Option<String>,
    /// Which scenarios run.
    pub targets: TargetNames,
    /// What runs first and is kept out of the results.
    pub warm_up: Option<WarmUp>,
    /// How many connections are opened before the start.
    pub preconnect: u32,
    /// How long running iterations may go on.
    pub graceful_stop: Option<Duration>,
    /// What is written at the end.
    pub reports: ReportArguments,
    /// Whether no report is printed.
    pub quiet: bool,
    /// Whether a saturated generator is a failure.
    pub strict: bool,
    /// Whether a failed request or user is a failure.
    pub fail_on_errors: bool,
}

/// What a run in one process is set to.
#[derive(Debug, Clone)]
pub struct SingleNodeSettings {
    /// The script, and files to merge over it.
    pub scripts: Vec<String>,
    /// How many agents of this process share the load; none where it runs alone.
    pub agents: Option<NonZeroU32>,
    /// What is run, and what is reported.
    pub test: TestSettings,
}

/// What an agent is set to.
#[derive(Debug, Clone)]
pub struct AgentSettings {
    /// Where the cluster meets.
    pub broker: Broker,
    /// The agent's name.
    pub name: String,
    /// Its weight when the load is divided.
    pub capacity: u32,
    /// Whether it ends after one run.
    pub once: bool,
    /// The only targets it takes; any where it is none.
    pub allow_targets: Option<AllowedTargets>,
}

/// What a command to a running test is set to.
#[derive(Debug, Clone)]
pub struct CommandSettings {
    /// Where the cluster meets.
    pub broker: Broker,
    /// Which run; the latest where it is none.
    pub run_id: Option<String>,
}

impl RoleSettings for CoordinatorSettings {
    const ROLE: Role = Role::Coordinator;

    fn from_values(values: &Values, host: &dyn Host) -> Result<Self, SettingsError> {
        let broker = Broker::from_values(values)?;
        let agents = values.count("agents").unwrap_or(1);
        let quorum = values.count("quorum").unwrap_or(agents);
        if quorum > agents {
            let reason = format!("{quorum} is more than the {agents} agents");
            return Err(values.error("quorum", reason));
        }
        Ok(CoordinatorSettings {
            scripts: scripts(values, host)?,
            broker,
            agents,
            quorum,
            policy: policy(values),
            paused: values.switch("paused"),
            timing: timing(values)?,
            test: TestSettings::from_values(values)?,
        })
    }
}

impl RoleSettings for SingleNodeSettings {
    const ROLE: Role = Role::SingleNode;

    fn from_values(values: &Values, host: &dyn Host) -> Result<Self, SettingsError> {
        let local = values.rank("agents").is_some();
        let agents = values.count("agents").filter(|_| local);
        Ok(SingleNodeSettings {
            scripts: scripts(values, host)?,
            agents: agents.and_then(NonZeroU32::new),
            test: TestSettings::from_values(values)?,
        })
    }
}

impl RoleSettings for AgentSettings {
    const ROLE: Role = Role::Agent;

    fn from_values(values: &Values, host: &dyn Host) -> Result<Self, SettingsError> {
        Ok(AgentSettings {
            broker: Broker::from_values(values)?,
            name: values.text("agent-name").unwrap_or_else(|| host.name()),
            capacity: values.count("capacity").unwrap_or(1),
            once: values.switch("once"),
            allow_targets: values.targets("allow-targets").map(AllowedTargets::new),
        })
    }
}

impl RoleSettings for CommandSettings {
    const ROLE: Role = Role::Command;

    fn from_values(values: &Values, _host: &dyn Host) -> Result<Self, SettingsError> {
        Ok(CommandSettings {
            broker: Broker::from_values(values)?,
            run_id: values.text("run-id"),
        })
    }
}

impl TestSettings {
    fn from_values(values: &Values) -> Result<Self, SettingsError> {
        Ok(TestSettings {
            name: values.text("name"),
            run_id: values.text("run-id"),
            targets: TargetNames::from_values(values),
            warm_up: warm_up(values)?,
            preconnect: values.count("preconnect").unwrap_or_default(),
            graceful_stop: values.duration("graceful-stop"),
            reports: reports(values)?,
            quiet: values.switch("quiet"),
            strict: values.switch("strict"),
            fail_on_errors: values.switch("fail-on-errors"),
        })
    }
}

fn reports(values: &Values) -> Result<ReportArguments, SettingsError> {
    let path = |name| values.text(name).map(Into::into);
    let report_dir = path("report-dir");
    for of_folder in ["report-formats", "report-name"] {
        let asked = values.rank(of_folder).is_some_and(|rank| rank.ours);
        if asked && report_dir.is_none() && values.text("report-upload").is_none() {
            return Err(values.error(of_folder, "there is no report-dir for it"));
        }
    }
    let formats = values.list("report-formats").map(|names| {
        let formats = names.iter().filter_map(|name| ReportFormat::named(name));
        formats.collect()
    });
    Ok(ReportArguments {
        output: path("output"),
        json: path("json"),
        html: path("html"),
        csv: path("csv"),
        junit: path("junit"),
        report_dir,
        report_upload: values.text("report-upload"),
        folder: FolderReports {
            formats,
            name: values.text("report-name").map(ReportName::new),
        },
    })
}

fn policy(values: &Values) -> Policy {
    match values.text("policy").as_deref() {
        Some("continue") => Policy::Continue,
        Some("abort") => Policy::Abort,
        _ => Policy::Rebalance,
    }
}

fn warm_up(values: &Values) -> Result<Option<WarmUp>, SettingsError> {
    match values.duration("warm-up-duration") {
        Some(duration) => Ok(Some(WarmUp {
            permille: values.count("warm-up-share").unwrap_or_default(),
            duration_ns: nanoseconds(duration),
        })),
        None if values.rank("warm-up-share").is_some() => {
            Err(values.error("warm-up-share", "there is no warm-up-duration for it"))
        }
        None => Ok(None),
    }
}

fn timing(values: &Values) -> Result<Timing, SettingsError> {
    let usual = Timing::default();
    let set = |name, usual| values.duration(name).map_or(usual, nanoseconds);
    let interval_ns = set("interval", usual.interval_ns);
    let silence_ns = interval_ns.saturating_mul(SILENT_INTERVALS.into());
    let lease_ns = set("lease", usual.lease_ns.max(silence_ns));
    if lease_ns < silence_ns {
        let interval = Duration::from_nanos(interval_ns);
        let reason = Reason::hint(
            format!("it is shorter than {SILENT_INTERVALS} intervals of {interval:?}"),
            "an agent must hear from the coordinator a few times before it gives up",
        );
        return Err(values.error("lease", reason));
    }
    Ok(Timing {
        gather_ns: set("gather-timeout", usual.gather_ns),
        prepare_ns: set("prepare-timeout", usual.prepare_ns),
        interval_ns,
        silence_ns: usual.silence_ns.max(silence_ns),
        lease_ns,
        outage_ns: set("outage", usual.outage_ns),
        drain_ns: set("drain-timeout", usual.drain_ns),
        ..usual
    })
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// The scripts that are set, or the one that the image has.
fn scripts(values: &Values, host: &dyn Host) -> Result<Vec<String>, SettingsError> {
    if let Some(scripts) = values.list("script") {
        return Ok(scripts);
    }
    let names = match host.list(SCRIPT_FOLDER) {
        Ok(names) => names,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => {
            let reason = format!("list {SCRIPT_FOLDER}: {error}");
            return Err(values.error("script", reason));
        }
    };
    let ending = |endings: &[&str]| -> Vec<String> {
        let is = |name: &&String| {
            let ended = endings.iter().any(|ending| name.ends_with(ending));
            // A mounted volume keeps its own things under names with a dot.
            ended && !name.starts_with('.')
        };
        let mut found: Vec<String> = names.iter().filter(is).cloned().collect();
        found.sort();
        found
    };
    let mut found = ending(&[".yml", ".yaml"]);
    if found.is_empty() {
        found = ending(&[".json"]);
    }
    let main = MAIN_SCRIPTS
        .iter()
        .find(|main| found.iter().any(|name| name == *main));
    match (main, found.as_slice()) {
        (Some(main), _) => Ok(vec![format!("{SCRIPT_FOLDER}/{main}")]),
        (None, [only]) => Ok(vec![format!("{SCRIPT_FOLDER}/{only}")]),
        (None, []) => {
            let mut there: Vec<&str> = names.iter().map(String::as_str).collect();
            there.retain(|name| !name.starts_with('.'));
            there.sort_unstable();
            let there = match there.as_slice() {
                [] => String::new(),
                _ => format!(", which has {} and no script", there.join(", ")),
            };
            Err(SettingsError::Missing {
                name: "script",
                hint: format!(
                    "give a script, DRUMFIRE_SCRIPT or `script` in the settings file, or put one into {SCRIPT_FOLDER}{there}"
                ),
            })
        }
        (None, several) => Err(values.error(
            "script",
            Reason::hint(
                format!("{SCRIPT_FOLDER} has several: {}", several.join(", ")),
                "name one, by DRUMFIRE_SCRIPT for example, or call it main.yml",
            ),
        )),
    }
}
