//! The one table of settings: what there is, who takes it, what it may be and what it means. Flags, help, environment, files
//! and the reference all come from it.

use super::names::ReportFormat;
use super::values::{Item, Kind};
use drumfire_cluster::{MAX_MEMBERS, MIN_KEY_BYTES};
use std::time::Duration;

/// Who is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// `drumfire coordinator`.
    Coordinator,
    /// `drumfire agent`.
    Agent,
    /// `drumfire stop`, `status`, `scale` and `resume`.
    Command,
    /// All of a run in one process, as LoadStrike's `SingleNode` and its local cluster are.
    SingleNode,
}

impl Role {
    /// The subcommand that takes the role; commands to a running test have names of their own.
    pub fn subcommand(self) -> Option<&'static str> {
        match self {
            Role::Coordinator => Some("coordinator"),
            Role::Agent => Some("agent"),
            Role::Command => None,
            Role::SingleNode => Some(SINGLE_NODE),
        }
    }

    /// As the reference names it.
    pub fn title(self) -> &'static str {
        self.subcommand().unwrap_or("commands")
    }
}

/// What holds where nothing is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fallback {
    /// Nothing; the meaning says what that comes to.
    Nothing,
    /// This text.
    Text(&'static str),
    /// What the words say; the role finds it out.
    Told(&'static str),
    /// It must be set.
    Required,
}

/// A part of the help and of the reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Section {
    /// Files and roles.
    General,
    /// What is run.
    Run,
    /// Who runs it.
    Cluster,
    /// Where they meet.
    Broker,
    /// Who may say what.
    Security,
    /// What an agent is.
    Agent,
    /// Periods and limits of time.
    Timing,
    /// What is written at the end.
    Reports,
}

impl Section {
    /// All, in the order of the reference.
    pub const ALL: [Section; 8] = [
        Section::General,
        Section::Run,
        Section::Cluster,
        Section::Broker,
        Section::Security,
        Section::Agent,
        Section::Timing,
        Section::Reports,
    ];

    /// Its heading.
    pub fn title(self) -> &'static str {
        match self {
            Section::General => "General",
            Section::Run => "Run",
            Section::Cluster => "Cluster",
            Section::Broker => "Broker",
            Section::Security => "Security",
            Section::Agent => "Agent",
            Section::Timing => "Timing",
            Section::Reports => "Reports",
        }
    }
}

/// One setting.
#[derive(Debug)]
pub struct Setting {
    /// Its name: the file's key, and the flag without dashes.
    pub name: &'static str,
    /// What its value is called in help.
    pub value_name: &'static str,
    /// What its value may be.
    pub kind: Kind,
    /// What holds unless it is set.
    pub fallback: Fallback,
    /// Who takes it.
    pub roles: &'static [Role],
    /// Where it stands in help.
    pub section: Section,
    /// What it does, without a full stop.
    pub meaning: &'static str,
}

impl Setting {
    /// Its variable in the environment.
    pub fn variable(&self) -> String {
        let words = self.name.replace('-', "_").to_ascii_uppercase();
        format!("{VARIABLE_PREFIX}{words}")
    }

    /// Whether the role takes it.
    pub fn is_for(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }
}

/// What every variable of ours starts with.
pub const VARIABLE_PREFIX: &str = "DRUMFIRE_";

/// The setting of this name.
pub fn find(name: &str) -> Option<&'static Setting> {
    TABLE.iter().find(|setting| setting.name == name)
}

/// The values of `policy`.
pub const POLICIES: [&str; 3] = ["rebalance", "continue", "abort"];
/// The values of `role`.
pub const ROLES: [&str; 2] = ["coordinator", "agent"];

/// The subcommand of [`Role::SingleNode`], which no help shows: only LoadStrike's keys choose it.
pub const SINGLE_NODE: &str = "single-node";

const COORDINATOR: &[Role] = &[Role::Coordinator];
/// Whoever has the script and writes the reports.
const RUNNER: &[Role] = &[Role::Coordinator, Role::SingleNode];
const AGENT: &[Role] = &[Role::Agent];
const ALL: &[Role] = &[Role::Coordinator, Role::Agent, Role::Command];
/// Whoever reads a settings file.
const EVERYBODY: &[Role] = &[
    Role::Coordinator,
    Role::Agent,
    Role::Command,
    Role::SingleNode,
];

const SWITCH: Kind = Kind::Switch;
const COUNT: Kind = Kind::Count {
    least: 1,
    most: MAX_MEMBERS as u32,
};
const DURATION: Kind = Kind::Duration {
    least: Duration::from_millis(1),
};
const SECRET: Kind = Kind::Secret { least_bytes: 1 };
const NAMES: Kind = Kind::List(Item::Text);

/// All settings, in the order of help and reference.
pub const TABLE: [Setting; 55] = [
    Setting {
        name: "settings",
        value_name: "FILE",
        kind: Kind::Path,
        fallback: Fallback::Nothing,
        roles: EVERYBODY,
        section: Section::General,
        meaning: "Take settings from this YAML or JSON file; flags and environment win over it",
    },
    Setting {
        name: "role",
        value_name: "ROLE",
        kind: Kind::Choice(&ROLES),
        fallback: Fallback::Nothing,
        // Its flag is the subcommand.
        roles: &[],
        section: Section::General,
        meaning: "What `drumfire` without a subcommand does",
    },
    Setting {
        name: "script",
        value_name: "SCRIPT",
        kind: Kind::List(Item::Path),
        fallback: Fallback::Told("what is in /drumfire/scripts: main.yml, or the only script"),
        roles: RUNNER,
        section: Section::Run,
        meaning: "The script; further files are merged over it",
    },
    Setting {
        name: "name",
        value_name: "NAME",
        kind: Kind::Text,
        fallback: Fallback::Nothing,
        roles: RUNNER,
        section: Section::Run,
        meaning: "Name the run in its reports; else the script does",
    },
    Setting {
        name: "run-id",
        value_name: "ID",
        kind: Kind::Name,
        fallback: Fallback::Told("a new one; for commands, the latest run of the cluster"),
        roles: &[Role::Coordinator, Role::Command],
        section: Section::Run,
        meaning: "The run's identity; a coordinator goes on with a run of this id that is not finished",
    },
    Setting {
        name: "target-scenarios",
        value_name: "NAMES",
        kind: NAMES,
        fallback: Fallback::Told("all"),
        roles: RUNNER,
        section: Section::Run,
        meaning: "Run only these scenarios of the script",
    },
    Setting {
        name: "agent-target-scenarios",
        value_name: "NAMES",
        kind: NAMES,
        fallback: Fallback::Told("all of these that the coordinator does not run"),
        roles: RUNNER,
        section: Section::Run,
        meaning: "Of these, those that every agent runs, each its share of the load",
    },
    Setting {
        name: "coordinator-target-scenarios",
        value_name: "NAMES",
        kind: NAMES,
        fallback: Fallback::Told("none"),
        roles: RUNNER,
        section: Section::Run,
        meaning: "Of these, those that the coordinator runs itself and no agent does, with the whole load of the script beside \
                  that of the agents",
    },
    Setting {
        name: "warm-up-duration",
        value_name: "DURATION",
        kind: DURATION,
        fallback: Fallback::Nothing,
        roles: COORDINATOR,
        section: Section::Run,
        meaning: "Run a part of the load for this long first, kept out of the results",
    },
    Setting {
        name: "warm-up-share",
        value_name: "PERCENT",
        kind: Kind::Permille,
        fallback: Fallback::Text("10"),
        roles: COORDINATOR,
        section: Section::Run,
        meaning: "How much of the load the warm-up is, in percent",
    },
    Setting {
        name: "preconnect",
        value_name: "N",
        kind: Kind::Count {
            least: 0,
            most: 1_000_000,
        },
        fallback: Fallback::Text("0"),
        roles: RUNNER,
        section: Section::Run,
        meaning: "Open this many connections to the target before the run starts, over all agents, for the first users \
                  that need one",
    },
    Setting {
        name: "paused",
        value_name: "BOOL",
        kind: SWITCH,
        fallback: Fallback::Text("false"),
        roles: COORDINATOR,
        section: Section::Run,
        meaning: "Hold the armed run until `drumfire resume`",
    },
    Setting {
        name: "agents",
        value_name: "N",
        kind: COUNT,
        fallback: Fallback::Text("1"),
        roles: RUNNER,
        section: Section::Cluster,
        meaning: "How many agents run the load",
    },
    Setting {
        name: "quorum",
        value_name: "N",
        kind: COUNT,
        fallback: Fallback::Told("as many as `agents`"),
        roles: COORDINATOR,
        section: Section::Cluster,
        meaning: "How many agents are enough once gather-timeout is over",
    },
    Setting {
        name: "policy",
        value_name: "POLICY",
        kind: Kind::Choice(&POLICIES),
        fallback: Fallback::Text("rebalance"),
        roles: COORDINATOR,
        section: Section::Cluster,
        meaning: "What becomes of a lost agent's share: the others take it over (rebalance), it stays unsent \
                  (continue), or the run fails (abort)",
    },
    Setting {
        name: "cluster",
        value_name: "NAME",
        kind: Kind::Name,
        fallback: Fallback::Text("default"),
        roles: ALL,
        section: Section::Cluster,
        meaning: "The cluster's name, the same for all of it; clusters of other names may share the broker",
    },
    Setting {
        name: "group",
        value_name: "NAME",
        kind: Kind::Name,
        fallback: Fallback::Text("default"),
        roles: ALL,
        section: Section::Cluster,
        meaning: "The group of agents that a coordinator invites, and that an agent belongs to",
    },
    Setting {
        name: "nats",
        value_name: "URL",
        kind: Kind::List(Item::Broker),
        fallback: Fallback::Required,
        roles: ALL,
        section: Section::Broker,
        meaning: "The broker: nats://host:port, or tls://, ws:// and wss://; several servers of one broker between commas",
    },
    Setting {
        name: "nats-user",
        value_name: "NAME",
        kind: Kind::Text,
        fallback: Fallback::Nothing,
        roles: ALL,
        section: Section::Broker,
        meaning: "The user to the broker",
    },
    Setting {
        name: "nats-password",
        value_name: "PASSWORD",
        kind: SECRET,
        fallback: Fallback::Nothing,
        roles: ALL,
        section: Section::Broker,
        meaning: "The user's password",
    },
    Setting {
        name: "nats-password-file",
        value_name: "FILE",
        kind: Kind::Path,
        fallback: Fallback::Nothing,
        roles: ALL,
        section: Section::Broker,
        meaning: "A file that holds the password",
    },
    Setting {
        name: "nats-token",
        value_name: "TOKEN",
        kind: SECRET,
        fallback: Fallback::Nothing,
        roles: ALL,
        section: Section::Broker,
        meaning: "A token for the broker",
    },
    Setting {
        name: "nats-token-file",
        value_name: "FILE",
        kind: Kind::Path,
        fallback: Fallback::Nothing,
        roles: ALL,
        section: Section::Broker,
        meaning: "A file that holds the token",
    },
    Setting {
        name: "nats-credentials",
        value_name: "FILE",
        kind: Kind::Path,
        fallback: Fallback::Nothing,
        roles: ALL,
        section: Section::Broker,
        meaning: "A credentials file, as the tools of NATS write it",
    },
    Setting {
        name: "nats-nkey",
        value_name: "FILE",
        kind: Kind::Path,
        fallback: Fallback::Nothing,
        roles: ALL,
        section: Section::Broker,
        meaning: "A file that holds the seed of the user's nkey",
    },
    Setting {
        name: "nats-tls-ca",
        value_name: "FILE",
        kind: Kind::Path,
        fallback: Fallback::Told("the system's certificates"),
        roles: ALL,
        section: Section::Broker,
        meaning: "Whose certificates of brokers are trusted, as PEM",
    },
    Setting {
        name: "nats-tls-cert",
        value_name: "FILE",
        kind: Kind::Path,
        fallback: Fallback::Nothing,
        roles: ALL,
        section: Section::Broker,
        meaning: "The certificate to show to the broker, as PEM",
    },
    Setting {
        name: "nats-tls-key",
        value_name: "FILE",
        kind: Kind::Path,
        fallback: Fallback::Nothing,
        roles: ALL,
        section: Section::Broker,
        meaning: "The key of that certificate, as PEM",
    },
    Setting {
        name: "nats-replicas",
        value_name: "N",
        kind: Kind::Count { least: 1, most: 5 },
        fallback: Fallback::Text("1"),
        roles: COORDINATOR,
        section: Section::Broker,
        meaning: "On how many of the broker's servers a run's memory is kept",
    },
    Setting {
        name: "run-key",
        value_name: "KEY",
        kind: Kind::Secret {
            least_bytes: MIN_KEY_BYTES,
        },
        fallback: Fallback::Nothing,
        roles: ALL,
        section: Section::Security,
        meaning: "The secret that the cluster signs its messages with, the same for all of it",
    },
    Setting {
        name: "run-key-file",
        value_name: "FILE",
        kind: Kind::Path,
        fallback: Fallback::Nothing,
        roles: ALL,
        section: Section::Security,
        meaning: "A file that holds the run key",
    },
    Setting {
        name: "trust-broker",
        value_name: "BOOL",
        kind: SWITCH,
        fallback: Fallback::Text("false"),
        roles: ALL,
        section: Section::Security,
        meaning: "Trust the broker where there is no run key: work through one on another host, follow what is signed without \
                  checking it, and take unsigned reports where agents have none. Whoever reaches the broker can then \
                  aim such agents and pose as one",
    },
    Setting {
        name: "allow-targets",
        value_name: "TARGETS",
        kind: Kind::List(Item::Target),
        fallback: Fallback::Told("any target"),
        roles: AGENT,
        section: Section::Security,
        meaning: "The only targets the agent takes: hosts, host:port, networks such as 10.0.0.0/8",
    },
    Setting {
        name: "agent-name",
        value_name: "NAME",
        kind: Kind::Name,
        fallback: Fallback::Told("the host's name"),
        roles: AGENT,
        section: Section::Agent,
        meaning: "The agent's name in status and reports",
    },
    Setting {
        name: "capacity",
        value_name: "N",
        kind: Kind::Count {
            least: 1,
            most: 1_000_000,
        },
        fallback: Fallback::Text("1"),
        roles: AGENT,
        section: Section::Agent,
        meaning: "The agent's weight when the load is divided",
    },
    Setting {
        name: "once",
        value_name: "BOOL",
        kind: SWITCH,
        fallback: Fallback::Text("false"),
        roles: AGENT,
        section: Section::Agent,
        meaning: "End after one run instead of waiting for the next",
    },
    Setting {
        name: "gather-timeout",
        value_name: "DURATION",
        kind: DURATION,
        fallback: Fallback::Text("2m"),
        roles: COORDINATOR,
        section: Section::Timing,
        meaning: "How long agents are waited for before the run; never a limit of the run itself",
    },
    Setting {
        name: "prepare-timeout",
        value_name: "DURATION",
        kind: DURATION,
        fallback: Fallback::Text("2m"),
        roles: COORDINATOR,
        section: Section::Timing,
        meaning: "How long agents may take to fetch the script and to prepare",
    },
    Setting {
        name: "interval",
        value_name: "DURATION",
        kind: Kind::Duration {
            least: Duration::from_secs(1),
        },
        fallback: Fallback::Text("1s"),
        roles: COORDINATOR,
        section: Section::Timing,
        meaning: "How often agents report; with very many agents less often",
    },
    Setting {
        name: "lease",
        value_name: "DURATION",
        kind: DURATION,
        fallback: Fallback::Told("3s, and at least 3 intervals"),
        roles: COORDINATOR,
        section: Section::Timing,
        meaning: "How long an agent that is cut off goes on with the load before others take its share",
    },
    Setting {
        name: "outage",
        value_name: "DURATION",
        kind: DURATION,
        fallback: Fallback::Text("1m"),
        roles: COORDINATOR,
        section: Section::Timing,
        meaning: "How long agents go on with the load while the broker refuses connections",
    },
    Setting {
        name: "drain-timeout",
        value_name: "DURATION",
        kind: DURATION,
        fallback: Fallback::Text("10m"),
        roles: COORDINATOR,
        section: Section::Timing,
        meaning: "How long the coordinator waits at the end for running iterations and unsent results",
    },
    Setting {
        name: "graceful-stop",
        value_name: "DURATION",
        kind: Kind::Duration {
            least: Duration::ZERO,
        },
        fallback: Fallback::Told("as long as they need, and 30s after a stop"),
        roles: RUNNER,
        section: Section::Timing,
        meaning: "How long running iterations may go on once the load has ended or was stopped",
    },
    Setting {
        name: "report-dir",
        value_name: "FOLDER",
        kind: Kind::Path,
        fallback: Fallback::Nothing,
        roles: RUNNER,
        section: Section::Reports,
        meaning: "Write the reports into this folder, made if it is not there",
    },
    Setting {
        name: "report-upload",
        value_name: "s3://BUCKET/FOLDER",
        kind: Kind::Text,
        fallback: Fallback::Nothing,
        roles: RUNNER,
        section: Section::Reports,
        meaning: "Write the reports into a folder for the run below this one, in an object store that speaks S3",
    },
    Setting {
        name: "report-formats",
        value_name: "FORMATS",
        kind: Kind::List(Item::Choice(&ReportFormat::NAMES)),
        fallback: Fallback::Told("all of them"),
        roles: RUNNER,
        section: Section::Reports,
        meaning: "Which reports the folder gets",
    },
    Setting {
        name: "report-name",
        value_name: "NAME",
        kind: Kind::FileName,
        fallback: Fallback::Nothing,
        roles: RUNNER,
        section: Section::Reports,
        meaning: "What the names of the folder's files begin with; {time} in it stands for when the run began",
    },
    Setting {
        name: "output",
        value_name: "FILE",
        kind: Kind::Path,
        fallback: Fallback::Nothing,
        roles: RUNNER,
        section: Section::Reports,
        meaning: "Write Artillery's JSON report to this file, or into this folder",
    },
    Setting {
        name: "json",
        value_name: "FILE",
        kind: Kind::Path,
        fallback: Fallback::Nothing,
        roles: RUNNER,
        section: Section::Reports,
        meaning: "Write the whole result to this file, for drumfire report and compare",
    },
    Setting {
        name: "html",
        value_name: "FILE",
        kind: Kind::Path,
        fallback: Fallback::Nothing,
        roles: RUNNER,
        section: Section::Reports,
        meaning: "Write a page with charts to this file; it needs no network to open",
    },
    Setting {
        name: "csv",
        value_name: "PREFIX",
        kind: Kind::Path,
        fallback: Fallback::Nothing,
        roles: RUNNER,
        section: Section::Reports,
        meaning: "Write PREFIX-timeline.csv, PREFIX-endpoints.csv and PREFIX-agents.csv",
    },
    Setting {
        name: "junit",
        value_name: "FILE",
        kind: Kind::Path,
        fallback: Fallback::Nothing,
        roles: RUNNER,
        section: Section::Reports,
        meaning: "Write checks and errors as JUnit XML to this file",
    },
    Setting {
        name: "quiet",
        value_name: "BOOL",
        kind: SWITCH,
        fallback: Fallback::Text("false"),
        roles: RUNNER,
        section: Section::Reports,
        meaning: "Print no report, only what the script logs",
    },
    Setting {
        name: "strict",
        value_name: "BOOL",
        kind: SWITCH,
        fallback: Fallback::Text("false"),
        roles: RUNNER,
        section: Section::Reports,
        meaning: "Fail when the generator instead of the target was the limit",
    },
    Setting {
        name: "fail-on-errors",
        value_name: "BOOL",
        kind: SWITCH,
        fallback: Fallback::Text("false"),
        roles: RUNNER,
        section: Section::Reports,
        meaning: "Fail when any request or user failed",
    },
];
