//! Places of values: what wins, what is unknown, what values may be.

use super::*;
use proptest::prelude::*;

/// Sets the cluster's name in one way, to what the way is called.
type Way = fn(Given) -> Given;

/// The ways to set the cluster's name, from the one that all others win over to the one that wins over all.
const WAYS: [(&str, Way); 8] = [
    ("infra", |given| {
        given
            .typed(&["--infraconfig=infra.json"])
            .file("infra.json", r#"{"LoadStrike": {"ClusterId": "infra"}}"#)
    }),
    ("config", |given| {
        given
            .typed(&["--LoadStrikeConfig=config.json"])
            .file("config.json", r#"{"ClusterId": "config"}"#)
    }),
    ("their-file", |given| {
        in_file(given, "LoadStrike: {ClusterId: their-file}\n")
    }),
    ("file", |given| in_file(given, "cluster: file\n")),
    ("their-variable", |given| {
        given.variable("LoadStrike__ClusterId", "their-variable")
    }),
    ("variable", |given| {
        given.variable("DRUMFIRE_CLUSTER", "variable")
    }),
    ("their-flag", |given| {
        given.typed(&["--ClusterId=their-flag"])
    }),
    ("flag", |given| given.typed(&["--cluster", "flag"])),
];

fn in_file(given: Given, line: &str) -> Given {
    let before = given.files.get("s.yml").cloned().unwrap_or_default();
    given
        .variable("DRUMFIRE_SETTINGS", "s.yml")
        .file("s.yml", &format!("{before}{line}"))
}

#[test]
fn of_every_two_ways_the_closer_to_the_command_wins() {
    for (index, (closer, set_closer)) in WAYS.iter().enumerate() {
        for (farther, set_farther) in &WAYS[..index] {
            let given = set_closer(set_farther(Given::agent()));
            let cluster = given.settings::<AgentSettings>().broker.cluster;
            assert_eq!(cluster, *closer, "{closer} against {farther}");
        }
        let alone = set_closer(Given::agent()).settings::<AgentSettings>();
        assert_eq!(alone.broker.cluster, *closer);
    }
    assert_eq!(
        Given::agent().settings::<AgentSettings>().broker.cluster,
        "default"
    );
}

#[test]
fn an_error_names_the_place_of_its_value() {
    let agents = "'x' is no whole number";
    for (given, place) in [
        (
            Given::coordinator().typed(&["--agents", "x"]),
            "flag --agents",
        ),
        (
            Given::coordinator().typed(&["--agentscount=x"]),
            "flag --AgentsCount",
        ),
        (
            Given::coordinator().variable("DRUMFIRE_AGENTS", "x"),
            "DRUMFIRE_AGENTS",
        ),
        (
            Given::coordinator().variable("loadstrike__AGENTSCOUNT", "x"),
            "loadstrike__AGENTSCOUNT",
        ),
        (
            in_file(Given::coordinator(), "# ours\n\nagents: x\n"),
            "s.yml:3",
        ),
    ] {
        let error = given.error::<CoordinatorSettings>();
        assert_eq!(error, format!("settings: agents from {place}: {agents}"));
    }
}

#[test]
fn unknown_names_are_refused_with_the_nearest() {
    for (given, error) in [
        (
            Given::agent().variable("DRUMFIRE_CAPACTY", "1"),
            "settings: unknown environment variable DRUMFIRE_CAPACTY\nhint: did you mean DRUMFIRE_CAPACITY?",
        ),
        (
            Given::agent().variable("DRUMFIRE_WHATEVER", ""),
            "settings: unknown environment variable DRUMFIRE_WHATEVER",
        ),
        (
            in_file(Given::agent(), "cluster: a\ngroups: b\n"),
            "settings: unknown key `groups` (s.yml:2)\nhint: did you mean group?",
        ),
        (
            in_file(Given::agent(), "config: a.json\n"),
            "settings: unknown key `config` (s.yml:1)",
        ),
        (
            Given::agent().variable("LoadStrike__AgentsCuont", "3"),
            "settings: unknown environment variable LoadStrike__AgentsCuont\nhint: did you mean AgentsCount?",
        ),
        (
            in_file(Given::agent(), "LoadStrike:\n  AgentGruop: a\n"),
            "settings: unknown key `AgentGruop` of LoadStrike (s.yml:2)\nhint: did you mean AgentGroup?",
        ),
    ] {
        assert_eq!(given.error::<AgentSettings>(), error);
    }
    let flag = Given::agent().typed(&["--capacty", "2"]);
    let error = flag.error::<AgentSettings>();
    assert!(
        error.contains("'--capacty'") && error.contains("'--capacity'"),
        "{error}"
    );
}

#[test]
fn what_belongs_to_others_is_left_alone() {
    let given = Given::agent().variables(&[
        // Of other roles.
        ("DRUMFIRE_AGENTS", "3"),
        ("LoadStrike__AgentsCount", "3"),
        // Of a service that Kubernetes calls drumfire or drumfire-nats.
        ("DRUMFIRE_PORT", "tcp://10.0.0.1:80"),
        ("DRUMFIRE_PORT_80_TCP", "tcp://10.0.0.1:80"),
        ("DRUMFIRE_PORT_80_TCP_ADDR", "10.0.0.1"),
        ("DRUMFIRE_SERVICE_HOST", "10.0.0.1"),
        ("DRUMFIRE_NATS_PORT_4222_TCP_PROTO", "tcp"),
        ("DRUMFIRE_NATS_PORT", "tcp://10.0.0.1:4222"),
        ("DRUMFIRE_NATS_SERVICE_HOST", "10.0.0.1"),
        ("DRUMFIRE_NATS_SERVICE_PORT_CLIENT", "4222"),
        // Of this project's tools, and of anybody.
        ("DRUMFIRE_TOOLS", "/tools"),
        ("LOADSTRIKER", "1"),
        ("PATH", "/bin"),
        // Nothing is not set.
        ("DRUMFIRE_CAPACITY", ""),
        ("LoadStrike__AgentGroup", " "),
    ]);
    let (settings, warnings) = given.read::<AgentSettings>().unwrap();
    assert_eq!(
        (settings.capacity, settings.broker.group.as_str()),
        (1, "default")
    );
    assert_eq!(warnings, [""; 0]);
}

/// What a coordinator makes of a setting's value in the environment.
fn coordinator_with(name: &str, value: &str) -> Result<CoordinatorSettings, String> {
    let setting = table::find(name).unwrap();
    let given = Given::coordinator().variable(&setting.variable(), value);
    given.read().map(|(settings, _)| settings)
}

#[test]
fn every_kind_refuses_what_is_none_of_it() {
    for (name, value, error) in [
        ("agents", "x", "'x' is no whole number"),
        ("agents", "-1", "'-1' is no whole number"),
        ("agents", "1.5", "'1.5' is no whole number"),
        ("agents", "0", "0 is less than 1"),
        ("agents", "20001", "20001 is more than 20000"),
        ("agents", "99999999999", "99999999999 is more than 20000"),
        (
            "lease",
            "soon",
            "'soon' is no duration\nhint: a duration is seconds or a number with a unit, such as 90, 500ms or 2m",
        ),
        (
            "graceful-stop",
            "-3s",
            "'-3s' is no duration\nhint: a duration is seconds or a number with a unit, such as 90, 500ms or 2m",
        ),
        ("interval", "0.5", "'0.5' is shorter than 1s"),
        ("gather-timeout", "0", "'0' is shorter than 1ms"),
        ("warm-up-share", "0", "'0' is no percentage from 0.1 to 100"),
        (
            "warm-up-share",
            "101%",
            "'101%' is no percentage from 0.1 to 100",
        ),
        (
            "warm-up-share",
            "NaN",
            "'NaN' is no percentage from 0.1 to 100",
        ),
        ("paused", "maybe", "'maybe' is neither true nor false"),
        (
            "policy",
            "rebalanced",
            "'rebalanced' is none of rebalance, continue, abort\nhint: did you mean rebalance?",
        ),
        (
            "policy",
            "panic",
            "'panic' is none of rebalance, continue, abort",
        ),
        (
            "report-formats",
            "html,pdf",
            "'pdf' is none of json, html, csv, junit, artillery",
        ),
        ("target-scenarios", " , ", "the list is empty"),
        (
            "report-name",
            "../x",
            "'../x' names no file in a folder\nhint: report-dir is the folder",
        ),
        ("run-key", "short", "it has fewer than 16 bytes"),
        (
            "nats",
            "http://broker",
            "'http://broker' starts with none of nats://, tls://, ws:// and wss://\n\
             hint: a broker is written nats://host:4222, several between commas",
        ),
        (
            "nats",
            "nats://me:pw@broker:0",
            "'***@broker:0' has no port from 1 to 65535\n\
             hint: a broker is written nats://host:4222, several between commas",
        ),
        (
            "nats",
            "nats://me:pw@",
            "'***@' names no host\nhint: a broker is written nats://host:4222, several between commas",
        ),
    ] {
        let setting = table::find(name).unwrap();
        let error = format!("settings: {name} from {}: {error}", setting.variable());
        assert_eq!(coordinator_with(name, value).unwrap_err(), error);
    }
    let long = "n".repeat(65);
    assert_eq!(
        coordinator_with("cluster", &long).unwrap_err(),
        format!("settings: cluster from DRUMFIRE_CLUSTER: '{long}' has more than 64 bytes")
    );
    assert_eq!(
        in_file(Given::coordinator(), "agents: [1, 2]").error::<CoordinatorSettings>(),
        "settings: agents from s.yml:1: a list where one value is expected"
    );
    assert_eq!(
        in_file(Given::coordinator(), "agents: {a: 1}").error::<CoordinatorSettings>(),
        "settings: agents from s.yml:1: a map where a value is expected"
    );
    assert_eq!(
        Given::coordinator()
            .typed(&["--cluster="])
            .error::<CoordinatorSettings>(),
        "settings: cluster from flag --cluster: the value is empty"
    );
}

#[test]
fn every_kind_takes_what_is_one_of_it() {
    let set = |name, value| coordinator_with(name, value).unwrap();
    for (value, agents) in [("1", 1), (" 7 ", 7), ("007", 7), ("20000", 20_000)] {
        assert_eq!(set("agents", value).agents, agents);
    }
    for (value, gather_ms) in [
        ("90", 90_000),
        ("500ms", 500),
        ("2m", 120_000),
        ("0.5", 500),
    ] {
        assert_eq!(
            set("gather-timeout", value).timing.gather_ns,
            gather_ms * 1_000_000
        );
    }
    for (value, paused) in [
        ("true", true),
        ("TRUE", true),
        ("yes", true),
        ("on", true),
        ("1", true),
        ("false", false),
        ("no", false),
        ("Off", false),
        ("0", false),
    ] {
        assert_eq!(set("paused", value).paused, paused, "{value}");
    }
    for (value, policy) in [
        ("rebalance", Policy::Rebalance),
        ("Continue", Policy::Continue),
        ("abort", Policy::Abort),
    ] {
        assert_eq!(set("policy", value).policy, policy);
    }
    for (value, urls) in [
        ("broker", vec!["nats://broker"]),
        ("tls://a:1, wss://b/x", vec!["tls://a:1", "wss://b/x"]),
        ("nats://me:pw@[::1]:4222", vec!["nats://me:pw@[::1]:4222"]),
        ("nats://[::1]", vec!["nats://[::1]"]),
    ] {
        let broker = set("nats", value).broker;
        let exposed: Vec<&str> = broker.urls.iter().map(BrokerUrl::expose).collect();
        assert_eq!(exposed, urls);
    }
    let names = set("target-scenarios", "a, b c,a,").test.targets.all;
    assert_eq!(names.unwrap(), ["a", "b c"]);
    for (value, permille) in [("12.5%", 125), ("100", 1_000), ("0.1", 1), ("5 %", 50)] {
        let given = Given::coordinator().typed(&["--warm-up-duration=3", "--warm-up-share", value]);
        let duration_ns = 3_000_000_000;
        let warm_up = WarmUp {
            permille,
            duration_ns,
        };
        assert_eq!(
            given.settings::<CoordinatorSettings>().test.warm_up,
            Some(warm_up)
        );
    }
}

#[test]
fn targets_of_agents_are_hosts_ports_and_networks() {
    let network = |address: &str, prefix_bits, port| AllowedTarget {
        host: AllowedHost::Network {
            address: address.parse().unwrap(),
            prefix_bits,
        },
        port,
    };
    let named = |name: &str, port| AllowedTarget {
        host: AllowedHost::Named(name.into()),
        port,
    };
    for (text, target) in [
        ("Shop.example", Some(named("shop.example", None))),
        ("bücher.example", Some(named("xn--bcher-kva.example", None))),
        (
            "shop.example:8443",
            Some(named("shop.example", Some(8_443))),
        ),
        ("10.0.0.0/8", Some(network("10.0.0.0", 8, None))),
        ("10.1.2.3", Some(network("10.1.2.3", 32, None))),
        ("10.1.2.3:80", Some(network("10.1.2.3", 32, Some(80)))),
        ("fd00::/8", Some(network("fd00::", 8, None))),
        ("::1", Some(network("::1", 128, None))),
        ("[::1]:80", Some(network("::1", 128, Some(80)))),
        ("10.0.0.0/33", None),
        ("shop/8", None),
        ("shop:0", None),
        ("shop:web", None),
        ("http://shop", None),
        ("a b", None),
    ] {
        let read = Given::agent()
            .variable("DRUMFIRE_ALLOW_TARGETS", text)
            .read::<AgentSettings>();
        match (read, target) {
            (Ok((settings, _)), Some(target)) => {
                let targets = AllowedTargets::new([target]);
                assert_eq!(settings.allow_targets, Some(targets), "{text}");
            }
            (Err(error), None) => assert_eq!(
                error,
                format!(
                    "settings: allow-targets from DRUMFIRE_ALLOW_TARGETS: '{text}' is no target\n\
                     hint: a target is a host, host:port, an address, or a network such as 10.0.0.0/8"
                )
            ),
            (read, target) => panic!("{text}: {read:?} where {target:?} is expected"),
        }
    }
}

#[test]
fn files_are_yaml_or_json_and_values_are_as_typed() {
    for text in [
        "cluster: 010\nnats: [nats://a, nats://b]\ncapacity: 3\nonce: true\ngroup: ~\n",
        r#"{"cluster": "010", "nats": ["nats://a", "nats://b"], "capacity": 3, "once": true}"#,
        "cluster: '010'\nnats: nats://a,nats://b\ncapacity: '3'\nonce: yes\n",
    ] {
        let given = in_file(Given::default(), text);
        let settings = given.settings::<AgentSettings>();
        assert_eq!(settings.broker.cluster, "010", "{text}");
        assert_eq!(settings.broker.urls.len(), 2, "{text}");
        assert_eq!((settings.capacity, settings.once), (3, true), "{text}");
    }
    for (text, error) in [
        (
            "- a\n",
            "settings: the file from s.yml:1: a list where keys are expected",
        ),
        (
            "settings: t.yml\n",
            "settings: settings from s.yml:1: a settings file names no other",
        ),
    ] {
        let error_there = in_file(Given::agent(), text).error::<AgentSettings>();
        assert_eq!(error_there, error);
    }
    let broken = in_file(Given::agent(), "a: b: c\n").error::<AgentSettings>();
    assert!(broken.starts_with("settings: s.yml:1:"), "{broken}");
    assert_eq!(
        Given::agent()
            .typed(&["--settings", "gone.yml"])
            .error::<AgentSettings>(),
        "settings: read gone.yml (flag --settings): entity not found"
    );
}

#[test]
fn flags_are_in_the_help_and_switches_need_no_value() {
    let mut command = Flagged::<NoArguments, CoordinatorSettings>::augment_args(Command::new("c"));
    let help = command.render_long_help().to_string();
    for setting in TABLE
        .iter()
        .filter(|setting| setting.is_for(Role::Coordinator))
    {
        let shown = match setting.name {
            "script" => "[SCRIPT]...".to_owned(),
            name => format!("--{name}"),
        };
        assert!(help.contains(&shown), "{shown} in\n{help}");
    }
    assert!(!help.contains("ClusterId"), "{help}");
    command.debug_assert();
    let given = Given::coordinator().typed(&["--paused", "a,b.yml", "--quiet=false", "c.yml"]);
    let settings = given.settings::<CoordinatorSettings>();
    assert!(settings.paused && !settings.test.quiet);
    assert_eq!(settings.scripts, ["a,b.yml", "c.yml"]);
}

#[test]
fn the_table_is_in_order() {
    let names: BTreeSet<&str> = TABLE.iter().map(|setting| setting.name).collect();
    assert_eq!(names.len(), TABLE.len());
    for setting in &TABLE {
        let Setting { name, meaning, .. } = setting;
        assert!(
            name.bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte == b'-'),
            "{name}"
        );
        assert!(!meaning.ends_with('.') && !meaning.contains('|'), "{name}");
        assert!(
            loadstrike::find(name).is_none(),
            "{name} is a key of LoadStrike's"
        );
        if let Fallback::Text(text) = setting.fallback {
            let written = origin::Written::Text(text.to_owned());
            assert!(setting.kind.parse(&written).is_ok(), "{name}");
        }
    }
    for key in &KEYS {
        let sets = key.setting().is_none_or(|name| names.contains(name));
        assert!(sets && !key.differs.ends_with('.'), "{}", key.name);
        for name in key.names() {
            let found = loadstrike::find(&name.to_uppercase()).map(|found| found.name);
            assert_eq!(found, Some(key.name));
        }
    }
}

#[test]
fn what_holds_unless_it_is_set_is_what_the_cluster_does() {
    let settings = Given::coordinator().settings::<CoordinatorSettings>();
    assert_eq!(settings.timing, Timing::default());
    assert_eq!(settings.policy, Policy::default());
    assert_eq!(
        (settings.agents, settings.quorum, settings.broker.replicas),
        (1, 1, 1)
    );
    assert_eq!(
        coordinator_with("nats-replicas", "3")
            .unwrap()
            .broker
            .replicas,
        3
    );
    assert_eq!(settings.test.warm_up, None);
    let agent = Given::agent().settings::<AgentSettings>();
    assert_eq!(
        (agent.name.as_str(), agent.capacity, agent.once),
        ("pod-7", 1, false)
    );
    assert!(!agent.broker.trust_broker && agent.allow_targets.is_none());
}

proptest! {
    #[test]
    fn any_text_is_read_without_panic(text in ".{0,24}|[a-z0-9:/@.,%-]{0,24}") {
        for setting in &TABLE {
            let one = origin::Written::Text(text.clone());
            let several = origin::Written::Items(vec![text.clone(), text.clone()]);
            for written in [one, several] {
                let secret = matches!(setting.kind, values::Kind::Secret { .. });
                // A secret's reason is the same whatever the secret is.
                if let Err(reason) = setting.kind.parse(&written) && secret {
                    let reasons = ["the value is empty", "a list where one value is expected"];
                    let short = reason.text.starts_with("it has fewer than ");
                    prop_assert!(short || reasons.contains(&reason.text.as_str()));
                }
            }
        }
    }

    #[test]
    fn any_name_and_any_file_are_read_without_panic(
        name in "(LoadStrike__|loadstrike:|DRUMFIRE_)?.{0,12}",
        text in ".{0,40}|[a-zL:{}\\[\\], \n-]{0,40}",
    ) {
        // Whether they are taken is for the tables above.
        Given::agent().variable(&name, &text).read::<AgentSettings>().ok();
        in_file(Given::agent(), &text).read::<AgentSettings>().ok();
    }
}
