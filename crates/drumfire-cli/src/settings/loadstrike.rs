//! LoadStrike's keys: one table says what each comes to. Their spelling is free in case.

use super::origin::Level;

/// The section of a file, and the start of a variable.
pub const SECTION: &str = "LoadStrike";
/// The flag of [`Means::File`] in command lines whose `--config` is another; no help shows it.
pub const CONFIG_FLAG: &str = "LoadStrikeConfig";

/// One of LoadStrike's keys.
#[derive(Debug)]
pub struct Key {
    /// Its name; `:` stands between the parts of a nested one.
    pub name: &'static str,
    /// Other names that LoadStrike takes for it.
    pub aliases: &'static [&'static str],
    /// What it comes to.
    pub means: Means,
    /// What differs from LoadStrike, without a full stop; may be empty.
    pub differs: &'static str,
}

/// What a key comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Means {
    /// A setting, with the same value.
    Setting(&'static str),
    /// A duration, in milliseconds.
    Milliseconds(&'static str),
    /// A duration, in seconds.
    Seconds(&'static str),
    /// A switch that says the opposite.
    Opposite(&'static str),
    /// The role.
    Role,
    /// Coordinator and agents in one process.
    LocalCluster,
    /// The first part of the run's name.
    Suite,
    /// The second.
    Test,
    /// What the names of reports begin with.
    FileName,
    /// Forms of reports.
    Formats,
    /// That there are no reports.
    NoReports,
    /// A file with more keys.
    File(Level),
    /// Nothing here, for this reason; a warning says it.
    Nothing(&'static str),
}

const NO_LICENCE: Means = Means::Nothing("drumfire asks for no licence");
const NO_SINKS: Means = Means::Nothing(
    "drumfire has no reporting sinks; result.json and the CSV files hold the numbers",
);

const fn key(
    name: &'static str,
    aliases: &'static [&'static str],
    means: Means,
    differs: &'static str,
) -> Key {
    Key {
        name,
        aliases,
        means,
        differs,
    }
}

/// All keys.
pub const KEYS: [Key; 39] = [
    key(
        "NodeType",
        &[],
        Means::Role,
        "`Coordinator` and `1`, `Agent` and `2` are the roles of these names. `SingleNode`, `single` and `0` run the whole test in \
         this process, as `drumfire run` does. \
         An unknown value is an error. A coordinator or agent without `NatsServerUrl` is an error, not a silent run on one node",
    ),
    key("ClusterId", &["ClusteId"], Means::Setting("cluster"), ""),
    key("AgentGroup", &[], Means::Setting("group"), ""),
    key(
        "AgentsCount",
        &[],
        Means::Setting("agents"),
        "the load is divided among the agents, whatever their number; it is not repeated by each. A single node has none",
    ),
    key(
        "NatsServerUrl",
        &[],
        Means::Setting("nats"),
        "the broker needs JetStream",
    ),
    key(
        "TargetScenarios",
        &[],
        Means::Setting("target-scenarios"),
        "names that no scenario has draw a warning. On an agent the key has no effect: the coordinator says what runs",
    ),
    key(
        "AgentTargetScenarios",
        &[],
        Means::Setting("agent-target-scenarios"),
        "as documented: every agent runs all of them, each its share of the load",
    ),
    key(
        "CoordinatorTargetScenarios",
        &[],
        Means::Setting("coordinator-target-scenarios"),
        "they run at the same time as the agents', from the same instant on, not after them",
    ),
    key(
        "EnableLocalDevCluster",
        &[],
        Means::LocalCluster,
        "where no subcommand is typed, coordinator and `AgentsCount` agents in this process, as `drumfire run --agents N` has them; \
         they run at the same time, not one after another",
    ),
    key(
        "ClusterCommandTimeoutMs",
        &[],
        Means::Milliseconds("gather-timeout"),
        "how long agents are waited for, and never a limit of the run; an agent waits for runs without end",
    ),
    key(
        "ClusterCommandTimeoutSeconds",
        &[],
        Means::Seconds("gather-timeout"),
        "the same",
    ),
    key(
        "RunnerKey",
        &[],
        Means::Setting("run-key"),
        "no licence: what messages are signed with. Agents that have none follow what they cannot check and are heard unsigned, \
         each with a warning, as long as neither a run key of ours nor `trust-broker` is set",
    ),
    key("TestSuite", &[], Means::Suite, "the first part of `name`"),
    key("TestName", &[], Means::Test, "the second part of `name`"),
    key(
        "SessionId",
        &[],
        Means::Setting("run-id"),
        "only the coordinator needs it",
    ),
    key("AgentId", &[], Means::Setting("agent-name"), ""),
    key(
        "ScenarioCompletionTimeoutMs",
        &[],
        Means::Milliseconds("graceful-stop"),
        "never cuts the load itself short",
    ),
    key(
        "ScenarioCompletionTimeoutSeconds",
        &[],
        Means::Seconds("graceful-stop"),
        "the same",
    ),
    key(
        "ReportFolder",
        &["ReportFolderPath"],
        Means::Setting("report-dir"),
        "`./reports` unless it is set, where `NodeType` chose the role",
    ),
    key(
        "ReportFileName",
        &[],
        Means::FileName,
        "`{suite}_{test}_{yyyyMMdd_HHmmss}` unless it is set, where the folder is LoadStrike's",
    ),
    key(
        "ReportFormats",
        &[],
        Means::Formats,
        "`html` and `csv`; `txt` and `md` draw a warning and are not written",
    ),
    key(
        "WithoutReports",
        &[],
        Means::NoReports,
        "takes `ReportFolder` back, not a `report-dir` of ours",
    ),
    key(
        "ReportingIntervalMs",
        &[],
        Means::Milliseconds("interval"),
        "a second at the least",
    ),
    key(
        "ReportingIntervalSeconds",
        &[],
        Means::Seconds("interval"),
        "the same",
    ),
    key(
        "DisplayConsoleMetrics",
        &[],
        Means::Opposite("quiet"),
        "`false` is `quiet`",
    ),
    key(
        "config",
        &[],
        Means::File(Level::Config),
        "what the file leaves out stays as it is; top-level keys that are none draw a warning",
    ),
    key(
        "infraconfig",
        &[],
        Means::File(Level::InfraConfig),
        "the same, below `config`; other top-level keys are left alone",
    ),
    key(
        "MinimumLogLevel",
        &[],
        Means::Nothing(
            "what drumfire says has no levels; DisplayConsoleMetrics=false leaves the report out",
        ),
        "",
    ),
    key(
        "LicenseValidation:TimeoutMs",
        &["LicenseValidationTimeoutMs"],
        NO_LICENCE,
        "",
    ),
    key(
        "LicenseValidation:TimeoutSeconds",
        &["LicenseValidationTimeoutSeconds"],
        NO_LICENCE,
        "",
    ),
    key(
        "DisableLicenseEnforcement",
        &[],
        NO_LICENCE,
        "LoadStrike refuses it",
    ),
    key(
        "RestartIterationMaxAttempts",
        &[],
        Means::Nothing("an iteration that fails is a result and does not run again"),
        "",
    ),
    key(
        "RuntimePolicyErrorMode",
        &[],
        Means::Nothing("there are no runtime policies"),
        "",
    ),
    key("SinkRetryCount", &[], NO_SINKS, ""),
    key("SinkRetryBackoffMs", &[], NO_SINKS, ""),
    key(
        "ReportingSinks",
        &[],
        NO_SINKS,
        "the section and everything in it",
    ),
    key(
        "LoadEngineContractVersion",
        &[],
        Means::Nothing("there is one engine"),
        "",
    ),
    key(
        "ExpectedAgentIds",
        &[],
        Means::Nothing("a coordinator takes any agents of its group"),
        "",
    ),
    key(
        "MaxInFlight",
        &[],
        Means::Nothing("a script limits its users by maxVusers"),
        "",
    ),
];

/// The key of this name, in any case, nested names with `:` between their parts.
pub fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter()
        .find(|key| key.names().any(|known| is_in(name, known)))
}

impl Key {
    /// All its names.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        std::iter::once(self.name).chain(self.aliases.iter().copied())
    }

    /// The setting that the key sets, if it is one.
    pub fn setting(&self) -> Option<&'static str> {
        match self.means {
            Means::Setting(name)
            | Means::Milliseconds(name)
            | Means::Seconds(name)
            | Means::Opposite(name) => Some(name),
            Means::Role => Some("role"),
            Means::Suite | Means::Test => Some("name"),
            Means::FileName => Some("report-name"),
            Means::Formats => Some("report-formats"),
            Means::NoReports => Some("report-dir"),
            Means::LocalCluster | Means::File(_) | Means::Nothing(_) => None,
        }
    }
}

/// Whether `name` is `known`, or below it where that is a section.
fn is_in(name: &str, known: &str) -> bool {
    match (name.get(..known.len()), name.get(known.len()..)) {
        (Some(start), Some(rest)) => {
            start.eq_ignore_ascii_case(known)
                && (rest.is_empty() || (known == "ReportingSinks" && rest.starts_with(':')))
        }
        _ => false,
    }
}
