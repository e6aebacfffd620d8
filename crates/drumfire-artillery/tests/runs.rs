//! Scripts run whole, against the sample target: what they count.

use drumfire_artillery::files::Files;
use drumfire_artillery::load::{LoadOptions, load};
use drumfire_artillery::{ArtilleryProgram, Section, plan};
use drumfire_engine::{Control, Event, Program, RunError, Settings, Tenure, run};
use drumfire_metrics::{NamedMetrics, Summary};
use drumfire_plan::Share;
use drumfire_protocols::{AllowedHost, AllowedTarget, AllowedTargets, ClientConfig};
use drumfire_target::TestTarget;
use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

/// What a run came to.
struct Ran {
    metrics: NamedMetrics,
    lines: Vec<String>,
}

/// Runs `flow` once per arrival of `phase`, with `config` beside target and phases.
fn run_script(target: &str, phase: &str, config: &str, rest: &str) -> Ran {
    run_by(ClientConfig::default(), target, phase, config, rest)
}

/// The same with clients that are set so.
fn run_by(client: ClientConfig, target: &str, phase: &str, config: &str, rest: &str) -> Ran {
    let ran = run_preconnecting(0, client, target, phase, config, rest);
    ran.unwrap_or_else(|error| panic!("{error}"))
}

/// The same with so many connections opened before the start.
fn run_preconnecting(
    preconnect: u32,
    client: ClientConfig,
    target: &str,
    phase: &str,
    config: &str,
    rest: &str,
) -> Result<Ran, RunError> {
    let script = format!("config:\n  target: {target}\n  phases: [{phase}]\n{config}\n{rest}\n");
    let files: BTreeMap<String, Arc<[u8]>> =
        [("s.yml".to_owned(), script.into_bytes().into())].into();
    let options = LoadOptions {
        scripts: vec!["s.yml".into()],
        test_id: "t".into(),
        ..LoadOptions::default()
    };
    let files: &dyn Files = &files;
    let script = load(&options, files, &BTreeMap::new()).unwrap_or_else(|error| panic!("{error}"));
    let script = Arc::new(script);
    let plan = Arc::new(plan(&script, 1).unwrap().expect("the script has load"));
    let client = ClientConfig {
        pool_sockets: script.config.http.pool.map(|pool| pool as usize),
        ..client
    };
    let new = |before| {
        let (script, client) = (script.clone(), client.clone());
        ArtilleryProgram::new(script, client, before, "t".into(), 1, 1_700_000_000)
            .preconnecting(preconnect)
    };
    let before = new(serde_json::Map::new()).run_section(Section::Before, &Control::default());
    let program: Arc<dyn Program> = Arc::new(new(before.unwrap().variables));
    let settings = Settings {
        shards: NonZeroU32::new(2).unwrap(),
        grace_after_end: Some(Duration::from_secs(10)),
        grace_after_stop: Duration::ZERO,
        max_duration: None,
        ahead: Some(Share::whole()),
        prepare_limit: Duration::from_secs(60),
    };
    let mut lines = Vec::new();
    let mut observer = |event: &Event, _: &Summary| {
        match event {
            Event::Log(line) => lines.push(line.clone()),
            Event::Warning(line) => lines.push(format!("warning: {line}")),
            _ => {}
        }
        None
    };
    let control = Control::default();
    let outcome = run(
        &plan,
        &Tenure::of(Share::whole()),
        &program,
        &settings,
        &control,
        &mut observer,
    );
    let metrics = NamedMetrics::of(&outcome?.summary.total);
    Ok(Ran { metrics, lines })
}

fn counters(ran: &Ran, prefixes: &[&str]) -> Vec<(String, u64)> {
    ran.metrics
        .counters
        .iter()
        .filter(|(name, _)| prefixes.iter().any(|prefix| name.starts_with(prefix)))
        .map(|(name, count)| (name.clone(), *count))
        .collect()
}

const THREE: &str = "{duration: 1, arrivalCount: 3}";

/// Where these go is known when they are sent, and no sooner.
#[test]
fn neither_a_redirect_nor_a_template_leaves_the_allowed_targets() {
    let target = TestTarget::start().unwrap();
    let address = target.url();
    let named = address.replace("127.0.0.1", "localhost");
    let client = ClientConfig {
        allowed_targets: Some(AllowedTargets::new([AllowedTarget {
            host: AllowedHost::Named("localhost".to_owned()),
            port: None,
        }])),
        ..ClientConfig::default()
    };
    let config = format!("  variables: {{where: '{address}'}}");
    for (url, expected) in [
        (
            "/redirect-to?url=/".to_owned(),
            [("http.codes.200", 3), ("http.codes.302", 3)].as_slice(),
        ),
        (
            format!("/redirect-to?url={address}/"),
            &[("errors.target_not_allowed", 3), ("http.codes.302", 3)],
        ),
        (
            "{{ where }}/".to_owned(),
            &[("errors.target_not_allowed", 3)],
        ),
    ] {
        let rest = format!("scenarios: [{{flow: [{{get: {{url: '{url}'}}}}]}}]");
        let ran = run_by(client.clone(), &named, THREE, &config, &rest);
        let found = counters(&ran, &["errors", "http.codes"]);
        let found: Vec<(&str, u64)> = found.iter().map(|(name, n)| (name.as_str(), *n)).collect();
        assert_eq!(found, expected, "{url}");
    }
}

#[test]
fn each_flow_counts_what_it_does() {
    let target = TestTarget::start().unwrap();
    // Flow, the counters looked at, and what they must be.
    type Case<'a> = (&'a str, &'a [&'a str], &'a [(&'a str, u64)]);
    let cases: &[Case<'_>] = &[
        (
            "[{get: {url: /}}, {post: {url: /echo, json: {a: 1}}}]",
            &["http.requests", "http.codes", "errors", "vusers"],
            &[
                ("http.codes.200", 6),
                ("http.requests", 6),
                ("vusers.completed", 3),
                ("vusers.created", 3),
                ("vusers.created_by_name.0", 3),
                ("vusers.failed", 0),
            ],
        ),
        (
            "[{loop: [{get: {url: '/status/{{ $loopElement }}'}}], over: [200, 404, 503]}]",
            &["http.codes", "plugins", "vusers.failed"],
            &[
                ("http.codes.200", 3),
                ("http.codes.404", 3),
                ("http.codes.503", 3),
                (
                    "plugins.metrics-by-endpoint./status/{{ $loopElement }}.codes.200",
                    3,
                ),
                (
                    "plugins.metrics-by-endpoint./status/{{ $loopElement }}.codes.404",
                    3,
                ),
                (
                    "plugins.metrics-by-endpoint./status/{{ $loopElement }}.codes.503",
                    3,
                ),
                ("vusers.failed", 0),
            ],
        ),
        (
            "[{get: {url: /redirect/2}}]",
            &["http.requests", "http.codes", "http.responses", "plugins"],
            &[
                ("http.codes.200", 3),
                ("http.codes.302", 6),
                ("http.requests", 9),
                ("http.responses", 9),
                ("plugins.metrics-by-endpoint./redirect/2.codes.200", 3),
            ],
        ),
        (
            "[{get: {url: /redirect/2, followRedirect: false}}]",
            &["http.requests", "http.codes"],
            &[("http.codes.302", 3), ("http.requests", 3)],
        ),
        (
            "[{get: {url: /json, capture: {json: $.nothing.here, as: x}}}, {get: {url: /}}]",
            &["http.requests", "errors", "vusers.failed"],
            &[
                ("errors.Failed capture or match", 3),
                ("http.requests", 3),
                ("vusers.failed", 3),
            ],
        ),
        (
            "[{parallel: [{get: {url: /}}, {get: {url: /json}}, {think: 0.01}]}]",
            &["http.requests", "vusers.completed"],
            &[("http.requests", 6), ("vusers.completed", 3)],
        ),
        (
            "[{loop: [{loop: [{get: {url: /}}], count: 2}], count: 3}]",
            &["http.requests"],
            &[("http.requests", 18)],
        ),
        (
            "[{get: {url: /, ifTrue: '1 == 2'}}, {get: {url: /, probability: 0}}]",
            &["http.requests", "vusers.completed"],
            &[("vusers.completed", 3)],
        ),
        (
            "[{get: {url: 'nowhere'}}]",
            &["http.requests", "errors", "plugins"],
            &[("errors.Invalid URL - nowhere", 3)],
        ),
        (
            "[{get: {url: /json/1, name: 'the {{ what }}'}}]",
            &["plugins"],
            &[(
                "plugins.metrics-by-endpoint./json/1 (the {{ what }}).codes.200",
                3,
            )],
        ),
        (
            "[{get: {url: /redirect/3, maxRedirects: 2}}]",
            &["http.codes", "errors", "plugins"],
            &[
                ("errors.ERR_TOO_MANY_REDIRECTS", 3),
                ("http.codes.302", 9),
                (
                    "plugins.metrics-by-endpoint./redirect/3.errors.ERR_TOO_MANY_REDIRECTS",
                    3,
                ),
            ],
        ),
        (
            "[{get: {url: /, headers: {'no token': 1}}}]",
            &["http.requests", "errors", "plugins"],
            &[
                ("errors.ERR_INVALID_HTTP_TOKEN", 3),
                (
                    "plugins.metrics-by-endpoint./.errors.ERR_INVALID_HTTP_TOKEN",
                    3,
                ),
            ],
        ),
        (
            "[{think: '{{ nowhere }}'}]",
            &["errors", "vusers.failed"],
            &[
                (
                    "errors.val is not a non-empty string or a valid number. val=undefined",
                    3,
                ),
                ("vusers.failed", 3),
            ],
        ),
        (
            "[{get: {url: /echo, json: 1, allowGetBody: true}}, {get: {url: /echo, json: 1}}]",
            &["http.codes", "errors"],
            &[("errors.ERR_GOT_REQUEST_ERROR", 3), ("http.codes.200", 3)],
        ),
        (
            "[{get: {url: 'http://127.0.0.1:1/'}}]",
            &["http.requests", "errors", "vusers.failed"],
            &[
                ("errors.ECONNREFUSED", 3),
                ("http.requests", 3),
                ("vusers.failed", 3),
            ],
        ),
    ];
    for (flow, prefixes, expected) in cases {
        let rest = format!("scenarios: [{{flow: {flow}}}]");
        let ran = run_script(&target.url(), THREE, "", &rest);
        let expected: Vec<_> = expected.iter().map(|(n, c)| (n.to_string(), *c)).collect();
        assert_eq!(counters(&ran, prefixes), expected, "{flow}");
    }
}

#[test]
fn cookies_go_back_once_the_first_one_was_set() {
    let target = TestTarget::start().unwrap();
    let flow = "[{get: {url: '/cookies/set?a=1'}}, {get: {url: /cookies, capture: {json: $.cookies.a, as: a}}}, {log: 'a={{ a }}'}]";
    let rest = format!("scenarios: [{{flow: {flow}}}]");
    let ran = run_script(&target.url(), "{duration: 1, arrivalCount: 1}", "", &rest);
    assert_eq!(ran.lines, ["a=1"], "{:?}", ran.metrics.counters);
}

#[test]
fn requests_are_what_artillery_sends() {
    let target = TestTarget::start().unwrap();
    let one = "{duration: 1, arrivalCount: 1}";
    for (flow, expected) in [
        (
            "{post: {url: /echo, form: {l: [1, [2, 3]], o: {}}, capture: {json: $.body, as: it}}}",
            "l=1%2C2%2C3&o=%5Bobject+Object%5D",
        ),
        (
            "{get: {url: /echo, headers: {cookie: own=1}, capture: {json: $.headers.cookie, as: it}}}",
            "own=1",
        ),
        (
            "{get: {url: '/cookies/set?a=1&path=/'}}, {get: {url: /echo, headers: {cookie: own=1}, capture: {json: $.headers.cookie, as: it}}}",
            "a=1",
        ),
        (
            "{post: {url: '/redirect-to?url=/echo&status=303', json: {a: 1}, capture: {json: '$.headers[\"content-type\"]', as: it}}}",
            "application/json",
        ),
        (
            "{post: {url: /echo, json: {'{{ nowhere }}': 1, z: 2}, capture: {json: $.body, as: it}}}",
            r#"{"z":2,"undefined":1}"#,
        ),
    ] {
        let rest = format!("scenarios: [{{flow: [{flow}, {{log: '{{{{ it }}}}'}}]}}]");
        let ran = run_script(&target.url(), one, "", &rest);
        assert_eq!(ran.lines, [expected], "{flow} {:?}", ran.metrics.counters);
    }
}

#[test]
fn all_kinds_of_satisfaction_are_counted() {
    let target = TestTarget::start().unwrap();
    let config = "  plugins: {apdex: {threshold: 60000}}";
    let rest = "scenarios: [{flow: [{get: {url: /}}]}]";
    let ran = run_script(&target.url(), THREE, config, rest);
    let expected = [
        ("apdex.frustrated", 0),
        ("apdex.satisfied", 3),
        ("apdex.tolerated", 0),
    ];
    assert_eq!(
        counters(&ran, &["apdex"]),
        expected.map(|(n, c)| (n.to_owned(), c))
    );
}

#[test]
fn before_hands_its_captures_to_every_user() {
    let target = TestTarget::start().unwrap();
    let rest = "before: {flow: [{get: {url: /json, capture: {json: $, as: all}}}]}\nscenarios: [{flow: [{log: '{{ all }}'}]}]";
    let ran = run_script(&target.url(), THREE, "", rest);
    assert_eq!(ran.lines.len(), 3);
    assert!(
        ran.lines.iter().all(|line| line.starts_with('{')),
        "{:?}",
        ran.lines
    );
    assert!(!ran.metrics.counters.contains_key("http.requests"));
}

#[test]
fn expectations_are_counted_by_type() {
    let target = TestTarget::start().unwrap();
    let config = "  plugins: {expect: {formatter: silent}}";
    let flow = "[{get: {url: /json, expect: [{statusCode: 200}, {contentType: json}, {statusCode: 201}]}}]";
    let rest = format!("scenarios: [{{flow: {flow}}}]");
    let ran = run_script(&target.url(), THREE, config, &rest);
    let expected = [
        ("plugins.expect.failed", 3),
        ("plugins.expect.failed.statusCode", 3),
        ("plugins.expect.ok", 6),
        ("plugins.expect.ok.contentType", 3),
        ("plugins.expect.ok.statusCode", 3),
    ];
    let expected: Vec<_> = expected.iter().map(|(n, c)| (n.to_string(), *c)).collect();
    assert_eq!(counters(&ran, &["plugins.expect"]), expected);
}

#[test]
fn a_pool_is_shared_and_every_arrival_is_served() {
    let target = TestTarget::start().unwrap();
    let phase = "{duration: 1, arrivalCount: 40}";
    let rest = "scenarios: [{flow: [{get: {url: /delay/20}}]}]";
    let ran = run_script(&target.url(), phase, "  http: {pool: 3}", rest);
    assert_eq!(ran.metrics.counters["http.codes.200"], 40);
    assert!(
        target.stats().connections <= 3,
        "{}",
        target.stats().connections
    );
}

#[test]
fn an_expression_that_is_none_is_refused_with_its_place() {
    for (flow, place) in [
        ("{get: {url: /, capture: {regexp: '(', as: x}}}", 3),
        ("{get: {url: /, capture: {selector: 'a[', as: x}}}", 3),
        (
            "{loop: [{get: {url: /, match: {json: '$[', value: 1}}}], count: 1}",
            3,
        ),
    ] {
        let text = format!(
            "config: {{target: 'http://127.0.0.1', phases: [{THREE}]}}\nscenarios:\n- flow: [{flow}]"
        );
        let files: BTreeMap<String, Arc<[u8]>> =
            [("s.yml".to_owned(), text.into_bytes().into())].into();
        let options = LoadOptions {
            scripts: vec!["s.yml".into()],
            ..LoadOptions::default()
        };
        let error = load(&options, &files as &dyn Files, &BTreeMap::new()).unwrap_err();
        let (file, span) = error
            .place()
            .unwrap_or_else(|| panic!("{error} has no place"));
        assert_eq!((file, span.line), ("s.yml", place), "{flow}: {error}");
    }
}

#[test]
fn connections_opened_before_the_start_are_the_first_that_users_have() {
    let rest = "scenarios: [{flow: [{get: {url: /}}, {get: {url: /}}]}]";
    let full = "warning: not all connections are opened before the start: http.pool takes no more than 1 here";
    // Connections asked for, the script's http, all that the target saw, those opened ahead and in the run, what is said.
    type Case<'a> = (u32, &'a str, u64, &'a [(&'a str, u64)], &'a [&'a str]);
    let cases: &[Case<'_>] = &[
        (0, "", 3, &[("drumfire.connections", 3)], &[]),
        (
            2,
            "",
            3,
            &[("drumfire.connections", 1), ("drumfire.preconnected", 2)],
            &[],
        ),
        (5, "", 5, &[("drumfire.preconnected", 5)], &[]),
        (
            5,
            "  http: {pool: 2}",
            2,
            &[("drumfire.preconnected", 2)],
            &[full],
        ),
    ];
    for (preconnect, http, seen, counted, said) in cases {
        let target = TestTarget::start().unwrap();
        let url = target.url();
        let client = ClientConfig::default();
        let ran = run_preconnecting(*preconnect, client, &url, THREE, http, rest);
        let ran = ran.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(target.stats().connections, *seen, "{preconnect} {http}");
        let names = ["drumfire.connections", "drumfire.preconnected", "errors"];
        let found = counters(&ran, &names);
        let found: Vec<(&str, u64)> = found.iter().map(|(name, n)| (name.as_str(), *n)).collect();
        assert_eq!(found, *counted);
        assert_eq!(ran.lines, *said);
        assert_eq!(ran.metrics.counters["http.codes.200"], 6);
    }
}

#[test]
fn a_target_that_nobody_can_be_connected_to_begins_no_run() {
    for (target, message) in [
        (
            "http://127.0.0.1:1",
            "cannot prepare the program: open 1 connections to http://127.0.0.1:1 before the start: ECONNREFUSED after 0 of them\n\
             hint: is the target up, can this machine reach it, and does it take so many connections?",
        ),
        (
            "'/here'",
            "cannot prepare the program: open connections before the start: the script has no target with a host\n\
             hint: set config.target",
        ),
    ] {
        let rest = "scenarios: [{flow: [{get: {url: 'http://127.0.0.1:1/'}}]}]";
        let client = ClientConfig::default();
        let ran = run_preconnecting(1, client, target, THREE, "", rest);
        let error = ran.err().map(|error| error.to_string());
        assert_eq!(error.as_deref(), Some(message));
    }
}
