//! LoadStrike's keys: each in every form, what they mean beside each other, and the manifest of its documentation.

use super::*;
use crate::files::FolderReports;

/// What a key is worth in settings of ours, or in a warning.
enum Worth {
    /// The same as these variables.
    Same(&'static [(&'static str, &'static str)]),
    /// The same as nothing, with this warning after `LoadStrike's KEY (PLACE) has no effect: `.
    Nothing(&'static str),
}

use Worth::{Nothing, Same};

const NO_LICENCE: Worth = Nothing("drumfire asks for no licence");
const NO_SINKS: Worth =
    Nothing("drumfire has no reporting sinks; result.json and the CSV files hold the numbers");

/// Every key and alias with a value, for a coordinator.
const WORTHS: [(&str, &str, Worth); 44] = [
    (
        "NodeType",
        "Coordinator",
        Same(&[
            ("DRUMFIRE_TRUST_BROKER", "true"),
            ("DRUMFIRE_REPORT_DIR", "./reports"),
            ("DRUMFIRE_REPORT_NAME", "loadstrike_loadstrike-test_{time}"),
        ]),
    ),
    (
        "ClusterId",
        "orders",
        Same(&[("DRUMFIRE_CLUSTER", "orders")]),
    ),
    (
        "ClusteId",
        "orders",
        Same(&[("DRUMFIRE_CLUSTER", "orders")]),
    ),
    ("AgentGroup", "perf", Same(&[("DRUMFIRE_GROUP", "perf")])),
    ("AgentsCount", "3", Same(&[("DRUMFIRE_AGENTS", "3")])),
    (
        "NatsServerUrl",
        "nats://n:1",
        Same(&[
            ("DRUMFIRE_NATS", "nats://n:1"),
            ("DRUMFIRE_TRUST_BROKER", "true"),
        ]),
    ),
    (
        "TargetScenarios",
        "a, b,a",
        Same(&[("DRUMFIRE_TARGET_SCENARIOS", "a,b")]),
    ),
    (
        "AgentTargetScenarios",
        "a",
        Same(&[("DRUMFIRE_AGENT_TARGET_SCENARIOS", "a")]),
    ),
    (
        "CoordinatorTargetScenarios",
        "b",
        Same(&[("DRUMFIRE_COORDINATOR_TARGET_SCENARIOS", "b")]),
    ),
    ("EnableLocalDevCluster", "false", Same(&[])),
    (
        "ClusterCommandTimeoutMs",
        "180000",
        Same(&[("DRUMFIRE_GATHER_TIMEOUT", "3m")]),
    ),
    (
        "ClusterCommandTimeoutSeconds",
        "2.5",
        Same(&[("DRUMFIRE_GATHER_TIMEOUT", "2500ms")]),
    ),
    (
        "RunnerKey",
        "rkr_your_remote_runner_key",
        Same(&[("DRUMFIRE_RUN_KEY", "rkr_your_remote_runner_key")]),
    ),
    ("TestSuite", "shop", Same(&[("DRUMFIRE_NAME", "shop")])),
    ("TestName", "buy", Same(&[("DRUMFIRE_NAME", "buy")])),
    ("SessionId", "s1", Same(&[("DRUMFIRE_RUN_ID", "s1")])),
    ("AgentId", "a1", Same(&[])),
    (
        "ScenarioCompletionTimeoutMs",
        "30000",
        Same(&[("DRUMFIRE_GRACEFUL_STOP", "30s")]),
    ),
    (
        "ScenarioCompletionTimeoutSeconds",
        "30",
        Same(&[("DRUMFIRE_GRACEFUL_STOP", "30s")]),
    ),
    (
        "ReportFolder",
        "/reports",
        Same(&[
            ("DRUMFIRE_REPORT_DIR", "/reports"),
            ("DRUMFIRE_REPORT_NAME", "loadstrike_loadstrike-test_{time}"),
        ]),
    ),
    (
        "ReportFolderPath",
        "/reports",
        Same(&[
            ("DRUMFIRE_REPORT_DIR", "/reports"),
            ("DRUMFIRE_REPORT_NAME", "loadstrike_loadstrike-test_{time}"),
        ]),
    ),
    ("ReportFileName", "x", Same(&[])),
    ("ReportFormats", "html,CSV", Same(&[])),
    ("WithoutReports", "true", Same(&[])),
    (
        "ReportingIntervalMs",
        "5000",
        Same(&[("DRUMFIRE_INTERVAL", "5s")]),
    ),
    (
        "ReportingIntervalSeconds",
        "5",
        Same(&[("DRUMFIRE_INTERVAL", "5s")]),
    ),
    (
        "DisplayConsoleMetrics",
        "false",
        Same(&[("DRUMFIRE_QUIET", "true")]),
    ),
    (
        "MinimumLogLevel",
        "Debug",
        Nothing(
            "what drumfire says has no levels; DisplayConsoleMetrics=false leaves the report out",
        ),
    ),
    ("LicenseValidation:TimeoutMs", "10000", NO_LICENCE),
    ("LicenseValidationTimeoutMs", "10000", NO_LICENCE),
    ("LicenseValidation:TimeoutSeconds", "10", NO_LICENCE),
    ("LicenseValidationTimeoutSeconds", "10", NO_LICENCE),
    ("DisableLicenseEnforcement", "true", NO_LICENCE),
    (
        "RestartIterationMaxAttempts",
        "3",
        Nothing("an iteration that fails is a result and does not run again"),
    ),
    (
        "RuntimePolicyErrorMode",
        "fail",
        Nothing("there are no runtime policies"),
    ),
    ("SinkRetryCount", "3", NO_SINKS),
    ("SinkRetryBackoffMs", "250", NO_SINKS),
    ("ReportingSinks", "x", NO_SINKS),
    ("ReportingSinks:InfluxDb:Url", "http://influx", NO_SINKS),
    (
        "LoadEngineContractVersion",
        "2",
        Nothing("there is one engine"),
    ),
    (
        "ExpectedAgentIds",
        "a,b",
        Nothing("a coordinator takes any agents of its group"),
    ),
    (
        "MaxInFlight",
        "10000",
        Nothing("a script limits its users by maxVusers"),
    ),
    ("config", "c.json", Same(&[])),
    ("infraconfig", "c.json", Same(&[])),
];

/// The forms of a key: in the environment, as a flag, and in three shapes of a file.
fn forms(key: &str, value: &str) -> Vec<Given> {
    let base = Given::coordinator().file("c.json", "{}");
    // A key of ours may not stand beside the one in question.
    let base = match key {
        "NatsServerUrl" => Given::default().variable("DRUMFIRE_SCRIPT", "a.yml"),
        _ => base,
    };
    let variable = format!("LoadStrike__{}", key.replace(':', "__"));
    let mut forms = vec![
        base.clone().variable(&variable, value),
        base.clone().variable(&variable.to_uppercase(), value),
    ];
    let names_file = matches!(key, "config" | "infraconfig");
    if !key.contains(':') {
        forms.push(base.clone().typed(&[&format!("--{key}={value}")]));
        forms.push(
            base.clone()
                .typed(&[&format!("--{}={value}", key.to_lowercase())]),
        );
    }
    if !names_file {
        let nested = match key.split(':').collect::<Vec<_>>().as_slice() {
            [key] => format!(r#"{{"{key}": "{value}"}}"#),
            [section, key] => format!(r#"{{"{section}": {{"{key}": "{value}"}}}}"#),
            [section, sink, key] => {
                format!(r#"{{"{section}": {{"{sink}": {{"{key}": "{value}"}}}}}}"#)
            }
            _ => unreachable!("keys have up to three parts"),
        };
        let section = format!(r#"{{"LoadStrike": {nested}}}"#);
        let flat = format!(r#"{{"LoadStrike:{key}": "{value}"}}"#);
        let top = format!(r#"{{"{key}": "{value}"}}"#);
        for text in [section, flat, top] {
            let file = base.clone().file("l.json", &text);
            forms.push(file.clone().typed(&["--LoadStrikeConfig=l.json"]));
            forms.push(file.clone().typed(&["--infraconfig=l.json"]));
            forms.push(file.variable("DRUMFIRE_SETTINGS", "l.json"));
        }
    }
    forms
}

#[test]
fn every_key_works_in_every_form() {
    let tested: BTreeSet<&str> = WORTHS.iter().map(|(key, ..)| *key).collect();
    for name in KEYS.iter().flat_map(loadstrike::Key::names) {
        assert!(tested.contains(name), "{name}");
    }
    for (key, value, worth) in &WORTHS {
        for given in forms(key, value) {
            let form = format!("{key} by {:?} {:?}", given.typed, given.environment);
            let (settings, warnings) = given
                .read::<CoordinatorSettings>()
                .unwrap_or_else(|error| panic!("{form}: {error}"));
            let (variables, effect) = match worth {
                Same(variables) => (*variables, None),
                Nothing(reason) => (&[][..], Some(reason)),
            };
            let ours = Given::coordinator()
                .variables(variables)
                .settings::<CoordinatorSettings>();
            assert_eq!(shown(&settings), shown(&ours), "{form}");
            if let Some(reason) = effect {
                assert_eq!(warnings.len(), 1, "{form}");
                let ending = format!(" has no effect: {reason}");
                assert!(
                    warnings[0].starts_with("LoadStrike's ") && warnings[0].ends_with(&ending),
                    "{warnings:?}"
                );
            }
        }
    }
}

/// Everything of a coordinator's settings, the run key and the broker too. Names and forms of reports have no effect
/// without a folder.
fn shown(settings: &CoordinatorSettings) -> String {
    let mut settings = settings.clone();
    let reports = &mut settings.test.reports;
    if reports.report_dir.is_none() {
        reports.folder = FolderReports::default();
    }
    let key = settings.broker.run_key.as_ref().map(Secret::expose);
    let urls: Vec<&str> = settings.broker.urls.iter().map(BrokerUrl::expose).collect();
    format!("{settings:?} {key:?} {urls:?}")
}

#[test]
fn keys_mean_something_beside_each_other() {
    let given = Given::coordinator().variables(&[
        ("LoadStrike__TestSuite", "shop/eu"),
        ("LoadStrike__TestName", "buy"),
        ("LoadStrike__ReportFolder", "/reports"),
        ("LoadStrike__ReportFormats", "html,md"),
        (
            "LoadStrike__ReportFileName",
            "{test}-{suite}-{yyyyMMdd_HHmmss}",
        ),
        ("LoadStrike__ReportingIntervalMs", "1"),
    ]);
    let (settings, warnings) = given.read::<CoordinatorSettings>().unwrap();
    assert_eq!(settings.test.name.as_deref(), Some("shop/eu / buy"));
    let reports = settings.test.reports.folder;
    let began = "2026-11-22T09:08:07[UTC]".parse().unwrap();
    assert_eq!(
        reports.name.unwrap().at(&began),
        "buy-shop_eu-20261122_090807"
    );
    assert_eq!(reports.formats, Some(vec![ReportFormat::Html]));
    assert_eq!(settings.timing.interval_ns, 1_000_000_000);
    assert_eq!(
        warnings,
        [
            "report format md from LoadStrike__ReportFormats is not written\n\
             hint: html has charts and tables, csv the numbers",
            "interval from LoadStrike__ReportingIntervalMs is raised to 1s",
        ]
    );
}

#[test]
fn without_reports_there_are_none_but_those_of_ours() {
    let without = |given: Given| {
        let given = given.variables(&[
            ("LoadStrike__NodeType", "Coordinator"),
            ("LoadStrike__WithoutReports", "True"),
            ("LoadStrike__ReportFolder", "/reports"),
        ]);
        let test = given.settings::<CoordinatorSettings>().test;
        test.reports.report_dir
    };
    assert_eq!(without(Given::coordinator()), None);
    let ours = Given::coordinator().variable("DRUMFIRE_REPORT_DIR", "out");
    assert_eq!(without(ours), Some("out".into()));
}

#[test]
fn a_run_in_one_process_takes_settings() {
    let read = |variables: &[(&str, &str)]| {
        let given = Given::default()
            .variables(variables)
            .file("/drumfire/scripts/orders.yml", "")
            .variable("LoadStrike__AgentsCount", "4")
            .variable("LoadStrike__TargetScenarios", "a")
            .variable("LoadStrike__AgentTargetScenarios", "b")
            .variable("LoadStrike__CoordinatorTargetScenarios", "c");
        let host = TestHost {
            files: given.files.clone(),
        };
        let role = role_from_environment(&[], &given.environment, &host);
        assert_eq!(role.unwrap(), Some(Role::SingleNode), "{variables:?}");
        let (settings, warnings) = given.read::<SingleNodeSettings>().unwrap();
        assert_eq!(warnings, [""; 0]);
        assert_eq!(settings.scripts, ["/drumfire/scripts/orders.yml"]);
        assert_eq!(settings.test.reports.report_dir, Some("./reports".into()));
        let targets = settings.test.targets;
        let names = [targets.all, targets.agents, targets.coordinator];
        let names = names.map(|names| names.unwrap_or_default().join(","));
        (settings.agents.map(NonZeroU32::get), names.join(" "))
    };
    let local = ("LoadStrike__EnableLocalDevCluster", "true");
    for variables in [
        &[local][..],
        &[local, ("LoadStrike__NodeType", "Coordinator")],
        &[local, ("LoadStrike__NodeType", "single")],
    ] {
        assert_eq!(read(variables), (Some(4), "a b c".to_owned()));
    }
    // A single node runs alone, whatever the others of its cluster count and run.
    let single = &[("LoadStrike__NodeType", "SingleNode")][..];
    assert_eq!(read(single), (None, "a  ".to_owned()));
    let without = [single, &[("LoadStrike__WithoutReports", "true")]].concat();
    let given = Given::coordinator().variables(&without);
    let settings = given.settings::<SingleNodeSettings>();
    assert_eq!(settings.test.reports.report_dir, None);
    let count = Given::coordinator().variables(&[local]);
    let settings = count.settings::<SingleNodeSettings>();
    assert_eq!(settings.agents, Some(NonZeroU32::MIN));
}

#[test]
fn wrong_values_are_told_by_the_names_that_were_written() {
    for (variable, value, error) in [
        (
            "LoadStrike__ClusterCommandTimeoutMs",
            "2m",
            "settings: gather-timeout from LoadStrike__ClusterCommandTimeoutMs: '2m' is no whole number of milliseconds",
        ),
        (
            "LoadStrike__ScenarioCompletionTimeoutSeconds",
            "-1",
            "settings: graceful-stop from LoadStrike__ScenarioCompletionTimeoutSeconds: '-1' is no number of seconds",
        ),
        (
            "LoadStrike__ReportFormats",
            "html,pdf",
            "settings: ReportFormats from LoadStrike__ReportFormats: 'pdf' is none of html, txt, csv, md",
        ),
        (
            "LoadStrike__DisplayConsoleMetrics",
            "maybe",
            "settings: quiet from LoadStrike__DisplayConsoleMetrics: 'maybe' is neither true nor false",
        ),
        (
            "LoadStrike__AgentsCount",
            "0",
            "settings: agents from LoadStrike__AgentsCount: 0 is less than 1",
        ),
        (
            "LoadStrike__RunnerKey",
            "rkl_short",
            "settings: run-key from LoadStrike__RunnerKey: it has fewer than 16 bytes",
        ),
    ] {
        let given = Given::coordinator().variable(variable, value);
        assert_eq!(given.error::<CoordinatorSettings>(), error);
    }
}

#[test]
fn a_file_of_another_program_may_hold_more() {
    let given = Given::agent().typed(&["--LoadStrikeConfig=c.json"]).file(
        "c.json",
        r#"{"ClusterId": "a", "Orders": {"Url": "http://x"}}"#,
    );
    let (settings, warnings) = given.read::<AgentSettings>().unwrap();
    assert_eq!(settings.broker.cluster, "a");
    assert_eq!(
        warnings,
        ["Orders (c.json:1) is no key of LoadStrike's and has no effect"]
    );
    // Where no script's `--config` is in the way, LoadStrike's needs no other name.
    let short = Given::agent()
        .typed(&["--config=c.json"])
        .file("c.json", r#"{"ClusterId": "a"}"#);
    assert_eq!(short.settings::<AgentSettings>().broker.cluster, "a");
    let infra = Given::agent()
        .typed(&["--infraconfig=c.json"])
        .file("c.json", r#"{"Orders": {"Url": "http://x"}}"#);
    assert_eq!(infra.read::<AgentSettings>().unwrap().1, [""; 0]);
}

/// What the documentation's manifest puts into the environment of every pod.
const MANIFEST: [(&str, &str); 6] = [
    ("LoadStrike__ClusterId", "orders-cluster"),
    ("LoadStrike__AgentGroup", "perf-agents"),
    (
        "LoadStrike__NatsServerUrl",
        "nats://nats.loadstrike.svc.cluster.local:4222",
    ),
    ("LoadStrike__AgentTargetScenarios", "kafka-consumer"),
    ("LoadStrike__CoordinatorTargetScenarios", "http-source"),
    ("LoadStrike__ClusterCommandTimeoutMs", "180000"),
];

#[test]
fn the_manifests_coordinator_is_one() {
    let given = Given::default().variables(&MANIFEST).variables(&[
        ("LoadStrike__NodeType", "Coordinator"),
        ("LoadStrike__AgentsCount", "3"),
        ("LoadStrike__RunnerKey", "rkr_your_remote_runner_key"),
        ("LoadStrike__ReportFolder", "/reports"),
    ]);
    let given = given.file("/drumfire/scripts/orders.yml", "");
    let host = TestHost {
        files: given.files.clone(),
    };
    let role = role_from_environment(&[], &given.environment, &host);
    assert_eq!(role.unwrap(), Some(Role::Coordinator));
    let (settings, warnings) = given.read::<CoordinatorSettings>().unwrap();
    assert_eq!(settings.scripts, ["/drumfire/scripts/orders.yml"]);
    assert_eq!((settings.agents, settings.quorum), (3, 3));
    assert_eq!(settings.timing.gather_ns, 180_000_000_000);
    let broker = &settings.broker;
    assert_eq!(
        (broker.cluster.as_str(), broker.group.as_str()),
        ("orders-cluster", "perf-agents")
    );
    assert_eq!(
        broker.urls[0].expose(),
        "nats://nats.loadstrike.svc.cluster.local:4222"
    );
    assert_eq!(
        broker.run_key,
        Some(Secret::new("rkr_your_remote_runner_key"))
    );
    assert!(broker.trust_broker);
    assert_eq!(settings.test.reports.report_dir, Some("/reports".into()));
    let scenarios = ["http-source", "kafka-consumer"].map(str::to_owned);
    let (picked, unknown) = settings.test.targets.among(&scenarios).unwrap();
    assert_eq!((picked.agents, picked.coordinator), (vec![1], vec![0]));
    assert_eq!(unknown, []);
    assert_eq!(
        warnings,
        [
            "agents without a run key are taken, as LoadStrike's have none: whoever reaches the broker can pose as one\n\
          hint: set DRUMFIRE_RUN_KEY for the coordinator and every agent, or DRUMFIRE_TRUST_BROKER=true to say that this is meant"
        ]
    );
}

#[test]
fn the_manifests_agents_are_agents() {
    let given = Given::default().variables(&MANIFEST).variables(&[
        ("LoadStrike__NodeType", "Agent"),
        ("LoadStrike__TargetScenarios", "kafka-consumer"),
    ]);
    let role = role_from_environment(&[], &given.environment, &TestHost::default());
    assert_eq!(role.unwrap(), Some(Role::Agent));
    let (settings, warnings) = given.read::<AgentSettings>().unwrap();
    assert_eq!(
        (settings.name.as_str(), settings.capacity, settings.once),
        ("pod-7", 1, false)
    );
    assert_eq!(settings.broker.cluster, "orders-cluster");
    assert_eq!(settings.broker.run_key, None);
    assert!(settings.broker.trust_broker);
    assert_eq!(
        warnings,
        [
            "LoadStrike's TargetScenarios (LoadStrike__TargetScenarios) has no effect: \
             the coordinator says which scenarios an agent runs",
            "this agent has no run key, as LoadStrike's have none: whoever reaches the broker can aim it\n\
             hint: set DRUMFIRE_RUN_KEY for the coordinator and every agent, or DRUMFIRE_TRUST_BROKER=true to say that this is meant",
        ]
    );
}

#[test]
fn a_key_of_ours_ends_the_trust_that_loadstrike_needs() {
    let manifest = || {
        Given::default()
            .variables(&MANIFEST)
            .variable("DRUMFIRE_SCRIPT", "a.yml")
    };
    let key = ("DRUMFIRE_RUN_KEY", "a-key-of-sixteen-bytes");
    for (given, trusts) in [
        (manifest().variables(&[key]), false),
        (
            manifest().variable("LoadStrike__RunnerKey", "rkr_your_remote_runner_key"),
            false,
        ),
        (manifest().variable("DRUMFIRE_TRUST_BROKER", "false"), false),
        (manifest().variable("DRUMFIRE_TRUST_BROKER", "true"), true),
    ] {
        let (settings, warnings) = given.read::<AgentSettings>().unwrap();
        assert_eq!(settings.broker.trust_broker, trusts);
        assert_eq!(warnings, [""; 0]);
    }
    let coordinator =
        manifest().variables(&[key, ("LoadStrike__RunnerKey", "rkr_your_remote_runner_key")]);
    assert!(
        !coordinator
            .settings::<CoordinatorSettings>()
            .broker
            .trust_broker
    );
    // Without any of LoadStrike's keys there is no trust to begin with.
    assert!(
        !Given::agent()
            .settings::<AgentSettings>()
            .broker
            .trust_broker
    );
}

#[test]
fn an_agents_id_is_its_name() {
    let given = Given::agent().variable("LoadStrike__AgentId", "a1");
    assert_eq!(given.settings::<AgentSettings>().name, "a1");
}

#[test]
fn a_completion_timeout_may_be_nothing() {
    let given = Given::coordinator().variable("LoadStrike__ScenarioCompletionTimeoutMs", "0");
    let stop = given.settings::<CoordinatorSettings>().test.graceful_stop;
    assert_eq!(stop, Some(Duration::ZERO));
}
