//! Every exit code, and the words that come with it.

use crate::drumfire::{Folder, script, target};

const PHASE: &str = "phases: [{duration: 1, arrivalCount: 2}]";
const GET: &str = "{get: {url: /}}";

#[test]
fn runs_end_with_the_codes_of_the_table() {
    let target = target();
    let url = target.url();
    let run = |config: &str, flow: &str| script(&url, &format!("{PHASE}, {config}"), flow);
    let ensure = |p95: f64| {
        format!("plugins: {{ensure: {{thresholds: [{{http.response_time.p95: {p95}}}]}}}}")
    };
    let optional =
        "plugins: {ensure: {conditions: [{expression: 'http.requests < 1', strict: false}]}}";
    let expect = "plugins: {expect: {outputFormat: silent}}";
    let both =
        "plugins: {expect: {outputFormat: silent}, ensure: {thresholds: [{http.requests: 1}]}}";
    let expecting = "{get: {url: /, expect: {statusCode: 201}}}";
    let abort = "phases: [{duration: 30, arrivalRate: 5}], plugins: {ensure: {thresholds: [{http.requests: 1, abortOnFail: true}]}}";
    let refused = || script("http://127.0.0.1:1", PHASE, GET);
    let before = |section: &str| {
        format!(
            "{{config: {{target: '{url}', {PHASE}}}, {section}: {{flow: [{{get: {{url: 'http://127.0.0.1:1/'}}}}]}}, scenarios: [{{flow: [{GET}]}}]}}"
        )
    };
    let table: Vec<(&str, String, &[&str], i32, &str)> = vec![
        ("everything holds", run(&ensure(5_000.0), GET), &[], 0, ""),
        (
            "a strict check fails",
            run(&ensure(0.0), GET),
            &[],
            1,
            "a check failed (exit code 1)",
        ),
        ("an optional check fails", run(optional, GET), &[], 0, ""),
        (
            "an expect fails",
            run(expect, expecting),
            &[],
            21,
            "an expect failed (exit code 21)",
        ),
        (
            "a check and an expect fail",
            run(both, expecting),
            &[],
            1,
            "a check failed",
        ),
        (
            "a check ends the run",
            script(&url, abort, GET),
            &[],
            20,
            "a check with abortOnFail",
        ),
        ("every user fails", refused(), &[], 0, ""),
        (
            "errors count",
            refused(),
            &["--fail-on-errors"],
            22,
            "requests or users failed",
        ),
        (
            "before fails",
            before("before"),
            &[],
            1,
            "error: the `before` section failed: ECONNREFUSED",
        ),
        (
            "after fails",
            before("after"),
            &[],
            1,
            "error: the `after` section failed: ECONNREFUSED",
        ),
        (
            "no load",
            script(&url, "phases: [{pause: 1}]", GET),
            &[],
            0,
            "",
        ),
        (
            "a phase is wrong",
            script(&url, "phases: [{duration: soon, arrivalRate: 1}]", GET),
            &[],
            11,
            "Invalid duration for phase: soon",
        ),
        (
            "an engine is not there",
            run("a: 1", GET).replace("name: visit", "engine: none"),
            &[],
            11,
            "unknown engine `none`",
        ),
        (
            "an engine is not supported",
            run("a: 1", GET).replace("name: visit", "engine: ws"),
            &[],
            1,
            "engine `ws` is not supported",
        ),
        (
            "no such scenario",
            run("a: 1", GET),
            &["--scenario-name", "x"],
            11,
            "Scenario x not found",
        ),
        (
            "the script is no script",
            "scenarios: 5".into(),
            &[],
            1,
            "error: ",
        ),
        (
            "broken overrides",
            run("a: 1", GET),
            &["--overrides", "{"],
            1,
            "--overrides is not valid JSON",
        ),
        (
            "no folder for the report",
            run("a: 1", GET),
            &["-o", "missing/x.json"],
            1,
            "the folder missing does not exist",
        ),
        (
            "unknown option",
            run("a: 1", GET),
            &["--nonsense"],
            2,
            "--nonsense",
        ),
        (
            "--record",
            run("a: 1", GET),
            &["--record"],
            2,
            "Artillery Cloud",
        ),
        (
            "--platform",
            run("a: 1", GET),
            &["--platform", "aws:lambda"],
            2,
            "--platform aws:lambda",
        ),
        (
            "--count is harmless",
            run("a: 1", GET),
            &["--count", "3"],
            0,
            "warning: --count has no effect",
        ),
    ];
    let folder = Folder::new();
    for (name, text, options, code, words) in table {
        folder.write("script.yml", &text);
        let ended = folder.run(&[&["run", "script.yml"], options].concat());
        let (stdout, stderr) = (&ended.stdout, &ended.stderr);
        assert_eq!(ended.code, Some(code), "{name}\n{stdout}\n{stderr}");
        assert!(
            stderr.contains(words),
            "{name}: {words:?} is not in\n{stderr}"
        );
    }
}

#[test]
fn a_wrong_setting_is_a_wrong_command_line() {
    let table: [(&[&str], (&str, &str), &str); 4] = [
        (&["agent"], ("TZ", "UTC"), "nats is not set"),
        (
            &["agent", "--nats", "broker"],
            ("DRUMFIRE_CAPACITY", "0"),
            "capacity from DRUMFIRE_CAPACITY: 0 is less than 1",
        ),
        (
            &["coordinator", "a.yml", "--nats", "broker"],
            ("LoadStrike__AgentsCount", "many"),
            "agents from LoadStrike__AgentsCount: 'many' is no whole number",
        ),
        (
            &[],
            ("LoadStrike__NodeType", "SingleNode"),
            "script is not set",
        ),
    ];
    let folder = Folder::new();
    for (arguments, (name, value), words) in table {
        let mut command = folder.command(arguments);
        let ended = command
            .env(name, value)
            .output()
            .expect("the binary starts");
        let stderr = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(2), "{stderr}");
        assert!(stderr.contains(words), "{words:?} is not in\n{stderr}");
    }
}

#[test]
fn a_script_that_is_not_there_is_named() {
    let ended = Folder::new().run(&["run", "missing.yml"]).expect_code(1);
    assert!(
        ended.stderr.starts_with("error: reading missing.yml: "),
        "{}",
        ended.stderr
    );
}

#[test]
fn a_generator_at_its_limit_fails_a_strict_run() {
    let folder = Folder::new();
    let phase = "phases: [{duration: 1, arrivalCount: 200000}]";
    folder.write(
        "script.yml",
        &script("http://127.0.0.1:1", phase, "{think: 0.001}"),
    );
    let options = [
        "run",
        "script.yml",
        "-q",
        "--shards",
        "1",
        "--json",
        "out.json",
    ];
    let ended = folder.run(&[&options[..], &["--strict"]].concat());
    let saturated = !folder.result("out.json").verdict.trustworthy();
    // How fast this machine is decides which of the two it is, and the code must say so.
    let expected = if saturated { 23 } else { 0 };
    assert_eq!(ended.code, Some(expected), "{}", ended.stderr);
    assert_eq!(
        ended.stderr.contains("the generator was the limit"),
        saturated
    );
}
