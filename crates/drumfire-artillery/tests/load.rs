//! Whole scripts through the loader: what comes out, what is refused and how it is shown.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use drumfire_artillery::error::ScriptError;
use drumfire_artillery::files::Files;
use drumfire_artillery::load::{LoadOptions, load};
use drumfire_artillery::path::Path;
use drumfire_artillery::phases::PhaseArrivals;
use drumfire_artillery::script::*;
use drumfire_artillery::template::Template;
use drumfire_artillery::variables::{SharedVariables, Vars};
use rand::SeedableRng;
use rand_xoshiro::Xoshiro256PlusPlus;
use serde_json::{Map, Value, json};

/// Files and options to load with.
#[derive(Default)]
struct Case {
    files: BTreeMap<String, Arc<[u8]>>,
    options: LoadOptions,
    env: BTreeMap<String, String>,
}

impl Case {
    fn script(text: &str) -> Case {
        let mut case = Case::default().file("script.yml", text);
        case.options.scripts = vec!["script.yml".to_owned()];
        case
    }

    fn file(mut self, path: &str, text: &str) -> Case {
        self.files.insert(path.to_owned(), text.as_bytes().into());
        self
    }

    fn with(mut self, set: impl FnOnce(&mut LoadOptions)) -> Case {
        set(&mut self.options);
        self
    }

    fn env(mut self, name: &str, value: &str) -> Case {
        self.env.insert(name.to_owned(), value.to_owned());
        self
    }

    fn try_load(&self) -> Result<Script, ScriptError> {
        load(&self.options, &self.files as &dyn Files, &self.env)
    }

    fn load(&self) -> Script {
        self.try_load()
            .unwrap_or_else(|error| panic!("{}", error.render()))
    }

    fn error(&self) -> String {
        match self.try_load() {
            Ok(_) => panic!("the script was taken"),
            Err(error) => error.render(),
        }
    }

    fn warnings(&self) -> Vec<String> {
        self.load()
            .warnings
            .into_iter()
            .map(|warning| warning.message)
            .collect()
    }
}

const FLOW: &str = "\nscenarios: [{flow: [{get: {url: /}}]}]\n";

fn config(text: &str) -> Case {
    Case::script(&format!("config: {{target: 'http://t', {text}}}{FLOW}"))
}

fn step(text: &str) -> Case {
    Case::script(&format!(
        "config:\n  target: http://t\n  plugins: {{expect: {{}}}}\nscenarios:\n  - flow:\n    - {text}\n"
    ))
}

fn first_step(case: &Case) -> StepKind {
    case.load().scenarios[0].flow[0].kind.clone()
}

fn request(text: &str) -> Request {
    match first_step(&step(text)) {
        StepKind::Request(request) => *request,
        other => panic!("expected a request, got {other:?}"),
    }
}

#[test]
fn files_merge_and_the_config_file_wins() {
    let script = Case::script("config: {target: 'http://script', phases: [{duration: 1, arrivalRate: 1}, {duration: 2, arrivalRate: 2}]}\nscenarios: [{name: a, flow: []}]")
        .file("more.json", "{\"scenarios\": [{\"flow\": [{\"think\": 1}]}], \"config\": {\"target\": \"http://input\"}}")
        .file("conf.yml", "config: {target: 'http://config', phases: [{duration: 9}]}")
        .with(|options| {
            options.inputs = vec!["more.json".to_owned()];
            options.config = Some("conf.yml".to_owned());
        })
        .load();
    assert_eq!(script.config.target.as_deref(), Some("http://config"));
    assert_eq!(script.scenarios[0].name.as_deref(), Some("a"));
    assert_eq!(script.scenarios[0].flow.len(), 1);
    let durations: Vec<u64> = script
        .config
        .phases
        .iter()
        .map(|phase| phase.duration.as_secs())
        .collect();
    assert_eq!(durations, [9, 2]);
}

#[test]
fn environments_merge_by_index_with_a_warning() {
    let case = config("phases: [{duration: 1, arrivalRate: 1}, {duration: 2, arrivalRate: 2}], environments: {prod: {target: 'http://prod', phases: [{duration: 5}]}}")
        .with(|options| options.environment = Some("prod".to_owned()));
    let script = case.load();
    assert_eq!(script.config.target.as_deref(), Some("http://prod"));
    assert_eq!(script.config.phases[0].duration, Duration::from_secs(5));
    assert_eq!(script.config.phases.len(), 2);
    assert_eq!(
        case.warnings(),
        [
            "environment prod has 1 phase(s) and the script 2: they are merged one by one, and the rest of the script's still run"
        ]
    );
}

#[test]
fn options_change_the_script() {
    let case = || {
        config(
            "tls: {rejectUnauthorized: true}, variables: {a: 1, b: 2}, phases: [{duration: 1, arrivalRate: 1}, {duration: 2, arrivalRate: 2}]",
        )
    };
    let insecure = case().with(|options| options.insecure = true);
    assert!(insecure.load().config.tls.insecure);
    assert_eq!(
        insecure.warnings(),
        [
            "TLS certificate validation enabled in the test script, but explicitly disabled with -k/--insecure"
        ]
    );

    let solo = case().with(|options| options.solo = true).load();
    assert_eq!(solo.config.phases.len(), 1);
    assert_eq!(solo.config.phases[0].arrivals, PhaseArrivals::Count(1));

    let overridden = case()
        .with(|options| {
            options.overrides = Some(r#"{"config": {"phases": [{"pause": 3}]}}"#.to_owned())
        })
        .load();
    assert_eq!(overridden.config.phases.len(), 1);
    assert_eq!(overridden.config.phases[0].arrivals, PhaseArrivals::Pause);

    let variables = case()
        .with(|options| options.variables = Some(r#"{"b": [3], "c": "x"}"#.to_owned()))
        .load();
    assert_eq!(
        Value::Object(variables.config.variables),
        json!({"a": 1, "b": [3], "c": "x"})
    );

    let target = case()
        .with(|options| options.target = Some("http://other".to_owned()))
        .load();
    assert_eq!(target.config.target.as_deref(), Some("http://other"));

    let others = config("environments: {dev: {variables: {a: '{{ $uuid }}'}}}");
    assert!(
        others.warnings().is_empty(),
        "environments that were not asked for are left alone"
    );

    let unknown = case().with(|options| options.environment = Some("nope".to_owned()));
    assert_eq!(
        unknown.warnings(),
        ["environment nope is set but is not defined in the script"]
    );
}

#[test]
fn the_config_is_templated_once() {
    let case = Case::script(
        "config:\n  target: '{{ $env.HOST }}'\n  http:\n    defaults:\n      headers:\n        x-user: 'id {{ $uuid }}'\n        x-env: '{{ $environment }}'\n  variables:\n    given: '{{ cli }}'\n    lost: '{{ $uuid }}'\n    fixed: '{{ $randomNumber(7, 7) }}'\nscenarios: [{flow: []}]",
    )
    .env("HOST", "http://from-env")
    .with(|options| {
        options.variables = Some(r#"{"cli": {"a": [1]}}"#.to_owned());
        options.environment = Some("dev".to_owned());
    });
    let script = case.load();
    assert_eq!(script.config.target.as_deref(), Some("http://from-env"));
    assert_eq!(
        Value::Object(script.config.variables.clone()),
        json!({"given": {"a": [1]}, "fixed": "7", "cli": {"a": [1]}})
    );
    let headers = script
        .config
        .http
        .default_headers
        .clone()
        .unwrap_or_default();
    assert!(
        !headers[0].value.is_constant(),
        "what belongs to a user is left to it"
    );
    assert_eq!(headers[1].value.as_constant(), Some(&json!("dev")));
    assert_eq!(
        case.warnings(),
        [
            "environment dev is set but is not defined in the script",
            "`{{ $uuid }}` is not known when the config is read and becomes undefined"
        ]
    );
}

#[test]
fn dotenv_adds_to_the_environment_without_changing_it() {
    let script =
        Case::script("config: {target: '{{ $env.A }}{{ $env.B }}'}\nscenarios: [{flow: []}]")
            .file(".env", "A=no\nB=/b")
            .env("A", "http://a")
            .with(|options| options.dotenv = Some(".env".to_owned()))
            .load();
    assert_eq!(script.config.target.as_deref(), Some("http://a/b"));
}

#[test]
fn http_settings_have_their_defaults() {
    let http = config("x: 1").load().config.http;
    assert_eq!(http.response_timeout, Duration::from_secs(10));
    assert_eq!((http.pool, http.max_sockets), (None, 1));
    assert!(http.default_headers.is_none() && http.strict_capture && http.think_jitter.is_none());

    let http = config("timeout: 3, http: {timeout: 5, pool: '7', maxSockets: 4, extendedMetrics: 'true', distributedTracing: {traceIdPrefix: 'zAB1'}, defaults: {strictCapture: false, think: {jitter: '20%'}, cookie: {a: b}}}").load().config.http;
    assert_eq!(http.response_timeout, Duration::from_secs(3));
    assert_eq!((http.pool, http.max_sockets), (Some(7), 4));
    assert!(http.extended_metrics && !http.strict_capture);
    assert_eq!(http.think_jitter, Some(Jitter::Percent(20.0)));
    assert_eq!(
        http.tracing,
        Some(Tracing {
            sampled: true,
            trace_id_prefix: "ab1".to_owned()
        })
    );
    assert_eq!(http.default_cookies.map(|cookies| cookies.len()), Some(1));
}

#[test]
fn phases_read_numbers_in_texts() {
    let phases = config("phases: [{duration: '30s', arrivalRate: '5', rampTo: 10, maxVusers: '3', name: x}, {pause: 2}, {duration: 1.5, arrivalCount: 4, mode: poisson}, {rampTo: 4}]").load().config.phases;
    let found: Vec<_> = phases
        .iter()
        .map(|phase| (phase.duration.as_millis(), phase.arrivals))
        .collect();
    assert_eq!(
        found,
        [
            (30_000, PhaseArrivals::Ramp(5.0, 10.0)),
            (2_000, PhaseArrivals::Pause),
            (1_500, PhaseArrivals::Count(4)),
            (1_000, PhaseArrivals::Ramp(0.0, 4.0)),
        ]
    );
    assert_eq!(
        (phases[0].max_users, phases[0].name.as_deref()),
        (Some(3), Some("x"))
    );
}

#[test]
fn a_request_keeps_every_key() {
    let request = request(
        "post: {url: '/p/{{ id }}', name: n, headers: {X-A: 1, x-a: 2, B: '{{ b }}'}, json: {a: '{{ a }}', b: [1]}, qs: {q: [1, 2]}, cookie: {c: d}, auth: {user: u, pass: '{{ p }}'}, gzip: false, followRedirect: 'false', maxRedirects: 3, http2: true, timeout: 2, probability: '50', ifTrue: 'a == 1', setContentLengthHeader: true}",
    );
    assert_eq!(&*request.method, "POST");
    assert_eq!(&*request.url_text, "/p/{{ id }}");
    let headers: Vec<_> = request
        .headers
        .iter()
        .map(|header| (&*header.name, header.value.as_constant()))
        .collect();
    assert_eq!(headers, [("x-a", Some(&json!(2))), ("b", None)]);
    assert!(matches!(request.body, Body::Json(_)));
    assert_eq!(request.query.map(|query| query.len()), Some(1));
    assert!(!request.decompress && !request.follow_redirect && request.http2);
    assert_eq!(
        (request.max_redirects, request.response_timeout),
        (3, Some(Duration::from_secs(2)))
    );
    assert_eq!(request.probability, Some(50.0));
    assert!(request.if_true.is_some());
}

#[test]
fn captures_and_expectations_are_typed() {
    let request = request(
        "get: {url: /, capture: [{json: $.a, as: 'pet[id]', multiple: false}, {regexp: 'a(b)', group: 1, flags: i, as: r, strict: false}, {header: etag, as: h}, {selector: a, attr: href, index: last, as: s}, {xpath: //a, as: x}], match: {json: $.a, value: 42}, expect: [{statusCode: [200, 201]}, {hasHeader: etag}, {headerEquals: [a, b]}, {jpath: a.b, description: d}]}",
    );
    assert_eq!(request.captures.len(), 5);
    assert!(matches!(
        &request.captures[0].extractor,
        Extractor::Json {
            pick_one: false,
            ..
        }
    ));
    assert_eq!(request.captures[0].variable.text(), "pet[id]");
    assert!(request.captures[0].strict && !request.captures[1].strict);
    assert!(
        matches!(&request.captures[1].extractor, Extractor::Regexp { group: Some(Group::Index(1)), flags, .. } if flags == "i")
    );
    assert!(matches!(
        &request.captures[3].extractor,
        Extractor::Selector {
            index: SelectorIndex::Last,
            ..
        }
    ));
    assert_eq!(request.matches[0].value.as_constant(), Some(&json!(42)));
    let names: Vec<_> = request
        .expects
        .iter()
        .map(|expect| expect.kind.type_name())
        .collect();
    assert_eq!(
        names,
        [Some("statusCode"), Some("hasHeader"), None, Some("jpath")]
    );
}

#[test]
fn loops_count_as_in_artillery() {
    for (count, expected) in [
        ("count: 3", Some((0, 3))),
        ("count: 0", Some((0, 0))),
        ("count: '5'", Some((0, 5))),
        ("count: '2-4'", Some((2, 4))),
        ("count: 2.5", Some((0, 3))),
        ("count: many", Some((0, 0))),
        ("count: -1", None),
        ("loopValue: i", None),
    ] {
        let StepKind::Loop(step) = first_step(&step(&format!("{{loop: [{{think: 1}}], {count}}}")))
        else {
            panic!("{count} made no loop");
        };
        match (step.turns, expected) {
            (Turns::Range(from, to), Some(expected)) => assert_eq!((from, to), expected, "{count}"),
            (Turns::Endless, None) => {}
            (other, _) => panic!("{count} made {other:?}"),
        }
    }
}

#[test]
fn think_times_are_read_at_load_time() {
    for (think, milliseconds) in [
        ("5", 5_000),
        ("0.5", 500),
        ("'500ms'", 500),
        ("'1.5'", 1_500),
    ] {
        let StepKind::Think(Think {
            time: ThinkTime::Fixed(time),
            ..
        }) = first_step(&step(&format!("think: {think}")))
        else {
            panic!("{think} is not fixed");
        };
        assert_eq!(time.as_millis(), milliseconds, "{think}");
    }
    assert!(matches!(
        first_step(&step("think: '{{ t }}'")),
        StepKind::Think(Think {
            time: ThinkTime::Templated(_),
            ..
        })
    ));
    assert_eq!(
        step("think: soon").warnings(),
        ["invalid think time \"soon\": users fail here"]
    );
}

#[test]
fn plugins_are_typed() {
    let case = config(
        "plugins: {ensure: {thresholds: [{http.response_time.p95: 200, abortOnFail: true}, {http.requests: x}], conditions: [{expression: 'a < 1', strict: false}], p99: '300ms', maxErrorRate: 1}, apdex: {threshold: 100}, metrics-by-endpoint: {useOnlyRequestNames: true}, fake-data: {}, publish-metrics: []}",
    );
    let plugins = case.load().config.plugins;
    let ensure = plugins.ensure.expect("ensure is loaded");
    let checks: Vec<_> = ensure
        .checks
        .iter()
        .map(|check| (check.label.as_str(), check.strict, check.abort_on_fail))
        .collect();
    assert_eq!(
        checks,
        [
            ("http.response_time.p95 < 200", true, true),
            ("http.requests < x", true, false),
            ("a < 1", false, false),
            ("p99 < 300", true, false),
            ("maxErrorRate < 1", true, false),
        ]
    );
    assert_eq!(
        ensure.checks[3].condition,
        Condition::Below {
            metric: "http.response_time.p99".to_owned(),
            limit: 300.0
        }
    );
    assert_eq!(
        plugins.apdex,
        Some(Apdex {
            threshold_ms: 100.0
        })
    );
    assert!(
        plugins.metrics_by_endpoint.use_only_request_names
            && !plugins.metrics_by_endpoint.strip_query_string
    );
    assert_eq!(plugins.ignored, ["publish-metrics"]);
    assert!(
        config("x: 1")
            .load()
            .config
            .plugins
            .metrics_by_endpoint
            .strip_query_string
    );
    let off = config("plugins: {ensure: {p99: 1}}")
        .env("ARTILLERY_DISABLE_ENSURE", "1")
        .load();
    assert!(off.config.plugins.ensure.is_none());
}

#[test]
fn weights_and_names_pick_scenarios() {
    let case = || {
        Case::script(
            "config: {target: t, variables: {w: 4}}\nscenarios:\n- {name: a, weight: 3, flow: []}\n- {name: ab, weight: '{{ w }}', flow: []}\n- {weight: x, flow: []}",
        )
    };
    let weights: Vec<_> = case()
        .load()
        .scenarios
        .iter()
        .map(|scenario| scenario.weight)
        .collect();
    assert_eq!(weights, [3, 4, 0]);
    assert_eq!(
        case()
            .with(|options| options.scenario_name = Some("^a$".to_owned()))
            .load()
            .selected,
        Some(0)
    );
    for (name, message) in [
        ("a", "Multiple scenarios for a found"),
        ("zzz", "Scenario zzz not found"),
    ] {
        let error = case()
            .with(|options| options.scenario_name = Some(name.to_owned()))
            .try_load()
            .expect_err("no single scenario fits");
        assert!(error.message().starts_with(message), "{error}");
        assert_eq!(error.process_exit_code(), 11);
    }
}

#[test]
fn variables_hide_each_other_in_artillery_order() {
    let script = Case::script("config: {target: 'http://t', variables: {name: inline, list: [7], deep: {a: [1, {b: 2}]}}, payload: {path: u.csv, fields: [id, name], order: sequence}}\nscenarios: [{flow: []}]")
        .file("u.csv", "1,csv\n2,csv\n3,csv\n")
        .load();
    let before = json!({"token": "t", "id": "before"});
    let Value::Object(before) = before else {
        unreachable!()
    };
    let shared = Rc::new(SharedVariables::new(&script, "test", &before, 42));
    let mut user = Vars::new(shared.clone(), 4);
    let get =
        |user: &Vars, path: &str| user.get(&Path::parse(path)).map(|value| value.into_owned());
    assert_eq!(
        get(&user, "id"),
        Some(json!(2)),
        "arrival 4 of 3 rows gets the second row"
    );
    assert_eq!(get(&user, "name"), Some(json!("inline")));
    assert_eq!(get(&user, "token"), Some(json!("t")));
    assert_eq!(
        get(&user, "list"),
        Some(json!(7)),
        "a list gives one of its elements"
    );
    assert_eq!(get(&user, "target"), Some(json!("http://t")));
    assert_eq!(get(&user, "$testId"), Some(json!("test")));
    assert_eq!(get(&user, "$scenarioFile"), Some(json!("script.yml")));
    assert_eq!(get(&user, "nothing"), None);

    user.set(&"token".into(), Some(json!("own")));
    user.set_path(&Path::parse("deep.a[1].b"), Some(json!(3)));
    user.set(&"name".into(), None);
    assert_eq!(get(&user, "token"), Some(json!("own")));
    assert_eq!(get(&user, "deep"), Some(json!({"a": [1, {"b": 3}]})));
    assert_eq!(get(&user, "name"), None);
    assert_eq!(
        Value::Object(user.own()),
        json!({"token": "own", "deep": {"a": [1, {"b": 3}]}})
    );

    let other = Vars::new(shared, 5);
    assert_eq!(get(&other, "deep.a[1].b"), Some(json!(2)));
    assert_ne!(get(&other, "$uuid"), get(&user, "$uuid"));
    assert_eq!(size_of::<Vars>(), 24, "a million users wait at a time");
}

#[test]
fn templates_render_as_in_artillery() {
    let Value::Object(scope) = json!({
        "n": 7, "f": 1.0, "s": "text", "t": true, "z": null, "o": {"a": [1, "x"]}, "nested": "{{ s }}", "a-b": 1,
    }) else {
        unreachable!()
    };
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
    for (text, expected) in [
        ("plain", Some(json!("plain"))),
        ("{{ n }}", Some(json!(7))),
        ("{{{ n }}}", Some(json!(7))),
        ("{{n}}", Some(json!(7))),
        (" {{ n }}", Some(json!(" 7"))),
        ("{{ t }}", Some(json!(true))),
        ("{{ z }}", Some(Value::Null)),
        ("{{ o }}", Some(json!({"a": [1, "x"]}))),
        ("{{ o.a[1] }}", Some(json!("x"))),
        ("{{ o['a'].0 }}", Some(json!(1))),
        ("x{{ o }}", Some(json!("x{\"a\":[1,\"x\"]}"))),
        ("x{{ z }}", Some(json!("xnull"))),
        ("x{{ f }}", Some(json!("x1"))),
        ("{{ missing }}", None),
        ("x{{ missing }}", Some(json!("xundefined"))),
        ("{{ n }}{{ s }}", Some(json!("7text"))),
        ("-{{ nested }}-", Some(json!("-{{ s }}-"))),
        ("{{ nested }}", Some(json!("{{ s }}"))),
        ("{{ a-b }}", Some(json!(1))),
        ("{{ n + 1 }}", Some(json!("{{ n + 1 }}"))),
        ("{{ }}", None),
        ("{{}}", Some(json!("{{}}"))),
        ("{{ n", Some(json!("{{ n"))),
        ("{{ $randomNumber(7,7) }}", Some(json!("7"))),
        (
            "a{{ $randomNumber( 7 , 7 ) }}b{{ $randomNumber(8,8) }}",
            Some(json!("a7b8")),
        ),
        ("{{ s }}{{ $randomNumber(7,7) }}", Some(json!("text7"))),
        (
            "{{ $randomNumber(-5,5) }}",
            Some(json!("{{ $randomNumber(-5,5) }}")),
        ),
        ("{{ $unknown() }}", None),
        ("x {{ $unknown(1) }}", None),
        ("{{{ $randomNumber(7,7) }}}", Some(json!("{7}"))),
    ] {
        assert_eq!(
            Template::parse(text).render(&scope, &mut rng),
            expected,
            "{text}"
        );
        let printed = Template::parse(text).render_text(&scope, &mut rng);
        assert_eq!(
            printed,
            expected.map(|value| drumfire_artillery::javascript::text(&value)),
            "{text}"
        );
    }
}

#[test]
fn payloads_take_every_option() {
    let cases: [(&str, &str, Value); 14] = [
        (
            "fields: [a, b]",
            "1,x\n2.5,y\n",
            json!([[1, "x"], [2.5, "y"]]),
        ),
        ("fields: [a], skipHeader: true", "id\n7\n", json!([[7]])),
        (
            "fields: [a], skipHeader: 'true'",
            "id\n7\n",
            json!([["id"], [7]]),
        ),
        ("fields: [a], cast: false", "7\n", json!([["7"]])),
        ("fields: [a, b], delimiter: ';'", "1;2\n", json!([[1, 2]])),
        ("fields: [a]", "1\n\n2\n", json!([[1], [2]])),
        (
            "fields: [a], skipEmptyLines: false",
            "1\n\n2\n",
            json!([[1], [""], [2]]),
        ),
        (
            "fields: [a, b]",
            "\"a,\"\"q\"\"\nz\",2\r\n",
            json!([["a,\"q\"\nz", 2]]),
        ),
        (
            "fields: [a, b], options: {quote: \"'\"}",
            "'a,b',2\n",
            json!([["a,b", 2]]),
        ),
        (
            "fields: [a], options: {comment: '#'}",
            "# no\n1\n",
            json!([[1]]),
        ),
        (
            "fields: [a, b], options: {trim: true}",
            " x , y \n",
            json!([["x", "y"]]),
        ),
        (
            "fields: [a], options: {relax_column_count: true}",
            "1\n2,3\n",
            json!([[1], [2, 3]]),
        ),
        (
            "fields: [a], options: {fromLine: 2, to_line: 3}",
            "1\n2\n3\n4\n",
            json!([[2], [3]]),
        ),
        (
            "fields: [a], options: {from: 2, to: 2}",
            "007\n0x1F\n3\n",
            json!([[0]]),
        ),
    ];
    for (settings, text, expected) in cases {
        let case = config(&format!(
            "payload: {{path: u.csv, order: sequence, {settings}}}"
        ))
        .file("u.csv", text);
        let script = case.load();
        let payload = &script.config.payloads[0];
        let rows: Vec<_> = (0..payload.rows())
            .map(|index| payload.row(index as u64, 0))
            .collect();
        assert_eq!(json!(rows), expected, "{settings}");
    }
}

#[test]
fn a_whole_payload_is_one_variable() {
    for (fields, expected) in [
        (
            "fields: [a, b],",
            json!([{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]),
        ),
        ("", json!([[1, "x"], [2, "y"]])),
    ] {
        let script = config(&format!(
            "payload: {{path: u.csv, {fields} name: rows, loadAll: true}}"
        ))
        .file("u.csv", "1,x\n2,y\n")
        .load();
        let shared = Rc::new(SharedVariables::new(&script, "test", &Map::new(), 1));
        let user = Vars::new(shared, 0);
        assert_eq!(
            user.get(&Path::parse("rows")).map(|rows| rows.into_owned()),
            Some(expected)
        );
    }
}

#[test]
fn unknown_keys_draw_a_warning() {
    let case = step(
        "get: {url: /, header: {a: b}, ifTrue: 'a = 1', capture: {jsn: $.a, as: a}, expect: {statuscode: 200}}",
    );
    let warnings: Vec<_> = case
        .load()
        .warnings
        .into_iter()
        .map(|warning| (warning.message, warning.hint))
        .collect();
    let expected = [
        (
            "unknown key `header` in a request is ignored",
            Some("did you mean `headers`?"),
        ),
        (
            "unknown key `jsn` in a capture is ignored",
            Some("did you mean `json`?"),
        ),
        (
            "nothing says what to look for, so nothing is ever found",
            Some("say where with json, xpath, regexp, header or selector"),
        ),
        (
            "expectation `statuscode` is not supported and ignored",
            Some("did you mean `statusCode`?"),
        ),
        (
            "ifTrue does not parse, so it counts as true: unexpected '=' at character 3",
            Some(
                "compare with `==`, put texts in double quotes, and a blank after `not`, `and`, `or` and `in`",
            ),
        ),
    ];
    let expected: Vec<_> = expected
        .into_iter()
        .map(|(message, hint)| (message.to_owned(), hint.map(str::to_owned)))
        .collect();
    assert_eq!(warnings, expected);
}

#[test]
fn errors_show_the_place() {
    let cases = [
        (
            "duplicated key",
            Case::script("config:\n  target: a\n  target: b\n"),
        ),
        (
            "unquoted template",
            Case::script("config:\n  target: {{ host }}\n"),
        ),
        (
            "broken yaml",
            Case::script("config:\n  target: \"a\nscenarios: []\n"),
        ),
        ("unknown alias", Case::script("config: *missing\n")),
        (
            "missing url",
            Case::script(
                "config:\n  target: a\nscenarios:\n  - flow:\n      - get:\n          name: x\n",
            ),
        ),
        (
            "in the second file",
            Case::script("config: {target: a}\nscenarios: []")
                .file("b.yml", "scenarios:\n  - flow:\n      - get: {url: 5}\n")
                .with(|options| options.inputs = vec!["b.yml".to_owned()]),
        ),
        (
            "in overrides",
            config("x: 1").with(|options| {
                options.overrides = Some(
                    r#"{"config": {"phases": [{"duration": "soon", "arrivalRate": 1}]}}"#
                        .to_owned(),
                )
            }),
        ),
        (
            "bad overrides",
            config("x: 1").with(|options| options.overrides = Some("{".to_owned())),
        ),
        ("processor", config("processor: ./p.js")),
        ("function step", step("function: f")),
        ("while true", step("{loop: [], whileTrue: f}")),
        ("hook", step("get: {url: /, beforeRequest: f}")),
        (
            "engine",
            Case::script("config: {target: a}\nscenarios:\n  - engine: ws\n    flow: []\n"),
        ),
        ("plugin", config("plugins: {expct: {}}")),
        ("unknown step", step("got: {utl: /}")),
        (
            "missing csv",
            config("payload: {path: nope.csv, fields: [a]}"),
        ),
        (
            "ragged csv",
            config("payload: {path: u.csv, fields: [a, b]}").file("u.csv", "1,2\n3\n"),
        ),
        (
            "open quote",
            config("payload: {path: u.csv, fields: [a]}").file("u.csv", "1\n\"2\n"),
        ),
        (
            "csv option",
            config("payload: {path: u.csv, fields: [a], options: {columns: true}}")
                .file("u.csv", ""),
        ),
        (
            "regular expression",
            step("get: {url: /, capture: {regexp: '(', as: a}}"),
        ),
        ("no target", Case::script("config: {}\nscenarios: []")),
        (
            "no scenarios",
            Case::script("config: {target: a}\nscenarios: []"),
        ),
        ("not a map", Case::script("- 1")),
        (
            "javascript",
            Case::default().with(|options| options.scripts = vec!["a.js".to_owned()]),
        ),
        (
            "wide line",
            Case::script(&format!(
                "config: {{target: a, x: '{}', timeout: 5, phases: 5}}{FLOW}",
                "x".repeat(300)
            )),
        ),
    ];
    let rendered: Vec<String> = cases
        .iter()
        .map(|(name, case)| format!("# {name}\n{}", case.error()))
        .collect();
    insta::assert_snapshot!("errors", rendered.join("\n"));
}
