//! Roles: what chooses one, what each needs, and what cannot be had together.

use super::*;

#[test]
fn a_role_is_chosen_where_no_subcommand_is_typed() {
    const CONFIG: &str = r#"{"LoadStrike:NodeType": "Agent"}"#;
    for (given, role) in [
        (Given::default(), Ok(None)),
        (
            Given::default().variable("DRUMFIRE_ROLE", "agent"),
            Ok(Some(Role::Agent)),
        ),
        (
            Given::default().variable("DRUMFIRE_ROLE", "Coordinator"),
            Ok(Some(Role::Coordinator)),
        ),
        (
            Given::default().variable("DRUMFIRE_ROLE", "run"),
            Err("settings: role from DRUMFIRE_ROLE: 'run' is none of coordinator, agent"),
        ),
        (
            Given::default().variable("DRUMFIRE_ROLE", "agnet"),
            Err(
                "settings: role from DRUMFIRE_ROLE: 'agnet' is none of coordinator, agent\n\
                 hint: did you mean agent?",
            ),
        ),
        (node("SingleNode"), Ok(Some(Role::SingleNode))),
        (node("single"), Ok(Some(Role::SingleNode))),
        (node("0"), Ok(Some(Role::SingleNode))),
        (
            node("0").variable("DRUMFIRE_ROLE", "agent"),
            Ok(Some(Role::Agent)),
        ),
        (node("coordinator"), Ok(Some(Role::Coordinator))),
        (node("1"), Ok(Some(Role::Coordinator))),
        (node("AGENT"), Ok(Some(Role::Agent))),
        (node("2"), Ok(Some(Role::Agent))),
        (
            node("Worker"),
            Err(
                "settings: NodeType from LoadStrike__NodeType: 'Worker' is none of SingleNode, Coordinator, Agent",
            ),
        ),
        (
            node("0").typed(&["--NodeType=agent"]),
            Ok(Some(Role::Agent)),
        ),
        (
            node("Coordinator").variable("LoadStrike__EnableLocalDevCluster", "false"),
            Ok(Some(Role::Coordinator)),
        ),
        (
            node("Agent").variable("LoadStrike__EnableLocalDevCluster", "true"),
            Err(
                "settings: EnableLocalDevCluster from LoadStrike__EnableLocalDevCluster: the role agent has no agents in its own process\n\
                 hint: drumfire run --agents N does",
            ),
        ),
        // The closer to the command wins, ours before theirs.
        (
            node("Agent").variable("DRUMFIRE_ROLE", "coordinator"),
            Ok(Some(Role::Coordinator)),
        ),
        (
            node("Coordinator").typed(&["--nodetype=Agent"]),
            Ok(Some(Role::Agent)),
        ),
        (
            Given::default()
                .typed(&["--settings", "s.yml"])
                .file("s.yml", "role: agent\n"),
            Ok(Some(Role::Agent)),
        ),
        (
            Given::default()
                .typed(&["--settings=s.yml"])
                .file("s.yml", "role: agent\n"),
            Ok(Some(Role::Agent)),
        ),
        (
            Given::default()
                .typed(&["--config=c.json"])
                .file("c.json", CONFIG),
            Ok(Some(Role::Agent)),
        ),
        // Something was asked for.
        (node("Agent").typed(&["run", "a.yml"]), Ok(None)),
        (node("Agent").typed(&["--help"]), Ok(None)),
        (node("Agent").typed(&["--NodeType=Agent", "-h"]), Ok(None)),
        (node("Agent").typed(&["-V"]), Ok(None)),
    ] {
        let host = TestHost { files: given.files };
        let chosen = role_from_environment(&given.typed, &given.environment, &host);
        let chosen = chosen.map_err(|error| error.to_string());
        assert_eq!(
            chosen,
            role.map_err(str::to_owned),
            "{:?} {:?}",
            given.typed,
            given.environment
        );
    }
}

fn node(node_type: &str) -> Given {
    Given::default().variable("LoadStrike__NodeType", node_type)
}

#[test]
fn the_command_line_gets_a_role_and_the_spelling_of_the_table() {
    for (given, expected) in [
        (node("Agent"), "drumfire agent"),
        (
            node("Agent").typed(&["--clusteID=x", "--once"]),
            "drumfire agent --ClusterId=x --once",
        ),
        (
            Given::default()
                .typed(&["--nodetype=1", "--config=c.json", "a.yml"])
                .file("c.json", "{}"),
            "drumfire coordinator --NodeType=1 --LoadStrikeConfig=c.json a.yml",
        ),
        (
            Given::default().typed(&[
                "coordinator",
                "--config=c.yml",
                "--testname=x",
                "--",
                "--testname=y",
            ]),
            "drumfire coordinator --config=c.yml --TestName=x -- --testname=y",
        ),
        (
            Given::default().typed(&["agent", "--LICENSEVALIDATIONTIMEOUTMS=5"]),
            "drumfire agent --LicenseValidation:TimeoutMs=5",
        ),
        (
            node("Agent").typed(&["check", "--testname=x"]),
            "drumfire check --testname=x",
        ),
        (
            node("Agent").typed(&["run", "--testname=x"]),
            "drumfire run --testname=x",
        ),
        (Given::default(), "drumfire"),
    ] {
        let host = TestHost { files: given.files };
        let typed = std::iter::once("drumfire".into()).chain(given.typed.iter().map(Into::into));
        let typed = arguments(typed.collect(), &given.environment, &host).unwrap();
        let typed: Vec<String> = typed
            .iter()
            .map(|text| text.to_string_lossy().into())
            .collect();
        assert_eq!(typed.join(" "), expected);
    }
}

#[test]
fn what_a_role_cannot_do_without_is_named() {
    assert_eq!(
        Given::default().error::<AgentSettings>(),
        "settings: nats is not set\nhint: give --nats, DRUMFIRE_NATS or `nats` in the settings file"
    );
    assert_eq!(
        Given::default().error::<CommandSettings>(),
        "settings: nats is not set\nhint: give --nats, DRUMFIRE_NATS or `nats` in the settings file"
    );
    assert_eq!(
        Given::agent().error::<CoordinatorSettings>(),
        "settings: script is not set\n\
         hint: give a script, DRUMFIRE_SCRIPT or `script` in the settings file, or put one into /drumfire/scripts"
    );
}

#[test]
fn an_image_has_its_script_in_a_folder() {
    for (names, expected) in [
        (vec!["a.yml"], Ok("/drumfire/scripts/a.yml")),
        (
            vec!["a.yaml", "users.csv", "data.json"],
            Ok("/drumfire/scripts/a.yaml"),
        ),
        (vec!["b.yml", "main.yml"], Ok("/drumfire/scripts/main.yml")),
        (vec!["a.json"], Ok("/drumfire/scripts/a.json")),
        (vec!["a.yml", "..2026.yml"], Ok("/drumfire/scripts/a.yml")),
        (
            vec!["b.yml", "a.yml"],
            Err(
                "settings: script from the default: /drumfire/scripts has several: a.yml, b.yml\n\
                 hint: name one, by DRUMFIRE_SCRIPT for example, or call it main.yml",
            ),
        ),
        (
            vec!["users.csv", "notes.txt", "..data"],
            Err("settings: script is not set\n\
                 hint: give a script, DRUMFIRE_SCRIPT or `script` in the settings file, or put one into /drumfire/scripts, \
                 which has notes.txt, users.csv and no script"),
        ),
    ] {
        let given = names.iter().fold(Given::agent(), |given, name| {
            given.file(&format!("/drumfire/scripts/{name}"), "")
        });
        let read = given.read::<CoordinatorSettings>();
        let scripts = read.map(|(settings, _)| settings.scripts.join(" "));
        assert_eq!(scripts, expected.map(str::to_owned).map_err(str::to_owned));
    }
}

#[test]
fn settings_that_cannot_be_had_together_are_told() {
    for (variables, error) in [
        (
            &[("DRUMFIRE_AGENTS", "3"), ("DRUMFIRE_QUORUM", "5")][..],
            "settings: quorum from DRUMFIRE_QUORUM: 5 is more than the 3 agents",
        ),
        (
            &[("DRUMFIRE_WARM_UP_SHARE", "5")],
            "settings: warm-up-share from DRUMFIRE_WARM_UP_SHARE: there is no warm-up-duration for it",
        ),
        (
            &[("DRUMFIRE_INTERVAL", "20"), ("DRUMFIRE_LEASE", "30")],
            "settings: lease from DRUMFIRE_LEASE: it is shorter than 3 intervals of 20s\n\
             hint: an agent must hear from the coordinator a few times before it gives up",
        ),
        (
            &[("DRUMFIRE_NATS_USER", "me")],
            "settings: nats-user from DRUMFIRE_NATS_USER: there is no nats-password for it",
        ),
        (
            &[("DRUMFIRE_NATS_PASSWORD", "pw")],
            "settings: nats-password from DRUMFIRE_NATS_PASSWORD: there is no nats-user for it",
        ),
        (
            &[("DRUMFIRE_NATS_TOKEN", "t"), ("DRUMFIRE_NATS_NKEY", "k")],
            "settings: nats-nkey from DRUMFIRE_NATS_NKEY: nats-token from DRUMFIRE_NATS_TOKEN says already who this is to the broker",
        ),
        (
            &[("DRUMFIRE_NATS_TLS_CERT", "c")],
            "settings: nats-tls-cert from DRUMFIRE_NATS_TLS_CERT: there is no nats-tls-key for it",
        ),
        (
            &[("DRUMFIRE_NATS_TLS_KEY", "k")],
            "settings: nats-tls-key from DRUMFIRE_NATS_TLS_KEY: there is no nats-tls-cert for it",
        ),
        (
            &[
                ("DRUMFIRE_RUN_KEY", "0123456789abcdef"),
                ("DRUMFIRE_RUN_KEY_FILE", "k"),
            ],
            "settings: run-key: DRUMFIRE_RUN_KEY and DRUMFIRE_RUN_KEY_FILE contradict each other",
        ),
        (
            &[("DRUMFIRE_REPORT_FORMATS", "html")],
            "settings: report-formats from DRUMFIRE_REPORT_FORMATS: there is no report-dir for it",
        ),
        (
            &[
                ("LoadStrike__ClusterId", "a"),
                ("loadstrike__clusterid", "b"),
            ],
            "settings: ClusterId: LoadStrike__ClusterId and loadstrike__clusterid contradict each other",
        ),
        (
            &[
                ("LoadStrike__ClusterCommandTimeoutMs", "1000"),
                ("LoadStrike__ClusterCommandTimeoutSeconds", "2"),
            ],
            "settings: gather-timeout: LoadStrike__ClusterCommandTimeoutMs and LoadStrike__ClusterCommandTimeoutSeconds \
             contradict each other",
        ),
        (
            &[("LoadStrike__EnableLocalDevCluster", "true")],
            "settings: EnableLocalDevCluster from LoadStrike__EnableLocalDevCluster: the role coordinator has no agents in its own process\n\
             hint: drumfire run --agents N does",
        ),
    ] {
        let given = Given::coordinator().variables(variables);
        assert_eq!(given.error::<CoordinatorSettings>(), error);
    }
}

#[test]
fn scenarios_run_where_the_documented_rule_says() {
    let names = |names: &str| -> Option<Vec<String>> {
        (!names.is_empty()).then(|| names.split(',').map(str::to_owned).collect())
    };
    let scenarios = ["browse", "buy", "watch"].map(str::to_owned);
    // All, agents', coordinator's; places of the agents' and of the coordinator's, and how many names were unknown.
    for (all, agents, coordinator, expected) in [
        ("", "", "", Ok((vec![0, 1, 2], vec![], 0))),
        ("buy,watch", "", "", Ok((vec![1, 2], vec![], 0))),
        // Every agent runs the same list.
        ("", "buy,browse", "", Ok((vec![0, 1], vec![], 0))),
        ("buy", "buy,watch", "", Ok((vec![1], vec![], 0))),
        // What the coordinator runs is no agent's.
        ("", "", "buy", Ok((vec![0, 2], vec![1], 0))),
        ("", "watch", "buy", Ok((vec![2], vec![1], 0))),
        ("", "buy,watch", "buy", Ok((vec![2], vec![1], 0))),
        ("buy,watch", "", "watch,browse", Ok((vec![1], vec![2], 0))),
        // Unknown ones are dropped.
        ("buy,bye", "", "", Ok((vec![1], vec![], 1))),
        ("", "Buy,watch", "", Ok((vec![2], vec![], 1))),
        ("", "", "buy,bye", Ok((vec![0, 2], vec![1], 1))),
        ("bye", "", "", Err("target-scenarios leaves none")),
        ("", "bye", "", Err("agent-target-scenarios leaves none")),
        (
            "buy",
            "watch",
            "",
            Err("agent-target-scenarios leaves none"),
        ),
        ("", "buy", "buy", Err("agent-target-scenarios leaves none")),
        (
            "",
            "",
            "bye",
            Err("coordinator-target-scenarios leaves none"),
        ),
        (
            "buy",
            "",
            "watch",
            Err("coordinator-target-scenarios leaves none"),
        ),
        (
            "buy",
            "",
            "buy",
            Err("coordinator-target-scenarios leaves the agents none"),
        ),
    ] {
        let targets = TargetNames {
            all: names(all),
            agents: names(agents),
            coordinator: names(coordinator),
        };
        let found = targets.among(&scenarios);
        let found =
            found.map(|(picked, warnings)| (picked.agents, picked.coordinator, warnings.len()));
        let expected = expected.map_err(|reason| {
            format!(
                "At least one scenario must be selected for execution.\n\
                 hint: {reason} of the script's scenarios: browse, buy, watch"
            )
        });
        assert_eq!(
            found.map_err(|error| error.to_string()),
            expected,
            "{targets:?}"
        );
    }
    let targets = TargetNames {
        all: names("buy,wacth"),
        ..TargetNames::default()
    };
    let (_, warnings) = targets.among(&scenarios).unwrap();
    assert_eq!(
        warnings,
        [Warning::hint(
            "target-scenarios: no scenario is called 'wacth'",
            "did you mean 'watch'?"
        )]
    );
}

#[test]
fn a_run_is_picked_by_its_id() {
    let given = Given::coordinator().variable("DRUMFIRE_RUN_ID", "nightly");
    let run_id = Some("nightly");
    assert_eq!(
        given.settings::<CommandSettings>().run_id.as_deref(),
        run_id
    );
    let coordinator = given.settings::<CoordinatorSettings>();
    assert_eq!(coordinator.test.run_id.as_deref(), run_id);
    assert_eq!(Given::agent().settings::<CommandSettings>().run_id, None);
}

#[test]
fn a_verdict_may_be_stricter() {
    let given = Given::coordinator().typed(&["--strict", "--fail-on-errors"]);
    let test = given.settings::<CoordinatorSettings>().test;
    assert!(test.strict && test.fail_on_errors);
}

#[test]
fn reports_are_named_by_the_time_their_run_began() {
    let given = Given::coordinator().variables(&[
        ("DRUMFIRE_REPORT_DIR", "out"),
        ("DRUMFIRE_REPORT_NAME", "nightly-{time}"),
        ("DRUMFIRE_REPORT_FORMATS", "html,json"),
    ]);
    let reports = given.settings::<CoordinatorSettings>().test.reports.folder;
    let began = "2026-11-22T09:08:07[UTC]".parse().unwrap();
    assert_eq!(reports.name.unwrap().at(&began), "nightly-20261122_090807");
    assert_eq!(
        reports.formats,
        Some(vec![ReportFormat::Html, ReportFormat::Json])
    );
}
