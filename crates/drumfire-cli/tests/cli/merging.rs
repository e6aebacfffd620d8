//! Files and options laid over each other, seen through `check --json`, and
//! options that change how the target is spoken to.

use crate::drumfire::{Folder, script, target};
use serde_json::Value;

const BASE: &str = "
config:
  target: http://base
  phases: [ { duration: 10, arrivalRate: 1 } ]
  environments:
    staging: { target: http://staging }
  payload: { fields: [ id ] }
scenarios:
  - { name: one, flow: [ { get: { url: '/{{ id }}' } } ] }
  - { name: two, flow: [ { get: { url: / } } ] }
";

#[test]
fn later_files_and_options_win() {
    let folder = Folder::new();
    folder.write("base.yml", BASE);
    folder.write("more.yml", "config: { target: http://more }");
    folder.write(
        "config.yml",
        "target: http://ignored\nconfig: { target: http://config }",
    );
    folder.write("ids.csv", "1\n2\n");
    folder.write("vars.env", "HOST=from-dotenv");
    folder.write(
        "templated.yml",
        "config: { target: 'http://{{ $env.HOST }}' }",
    );
    let table: [(&[&str], &str, Value); 13] = [
        (&[], "/target", "http://base".into()),
        (&["more.yml"], "/target", "http://more".into()),
        (&["-i", "more.yml"], "/target", "http://more".into()),
        (
            &["more.yml", "-c", "config.yml"],
            "/target",
            "http://config".into(),
        ),
        (&["-e", "staging"], "/target", "http://staging".into()),
        (
            &["-e", "staging", "-t", "http://option"],
            "/target",
            "http://option".into(),
        ),
        (
            &[
                "--overrides",
                r#"{"config": {"target": "http://over"}}"#,
                "-t",
                "http://x",
            ],
            "/target",
            "http://over".into(),
        ),
        (
            &["templated.yml", "--dotenv", "vars.env"],
            "/target",
            "http://from-dotenv".into(),
        ),
        (
            &["templated.yml", "--env-file", "vars.env"],
            "/target",
            "http://from-dotenv".into(),
        ),
        (
            &[
                "--overrides",
                r#"{"config": {"phases": [{"duration": 3, "arrivalRate": 4}]}}"#,
            ],
            "/users",
            12.into(),
        ),
        (&["-s"], "/users", 1.into()),
        (
            &["--scenario-name", "two"],
            "/scenarios/1/share",
            1.0.into(),
        ),
        (&["-e", "staging"], "/environment", "staging".into()),
    ];
    for (options, pointer, expected) in table {
        let command = ["check", "--json", "-p", "ids.csv", "base.yml"];
        let ended = folder.run(&[&command[..], options].concat()).expect_code(0);
        let outline: Value = serde_json::from_str(&ended.stdout).expect("it is JSON");
        assert_eq!(outline.pointer(pointer), Some(&expected), "{options:?}");
    }
}

#[test]
fn http2_is_spoken_when_asked_for() {
    let (folder, target) = (Folder::new(), target());
    let phase = "phases: [{duration: 1, arrivalCount: 2}]";
    let flow = "{get: {url: /echo, match: {json: $.version, value: HTTP/2.0}}}";
    folder.write("script.yml", &script(&target.url(), phase, flow));
    for (options, code) in [(&["--http2"][..], 0), (&[], 22)] {
        let command = ["run", "script.yml", "-q", "--fail-on-errors"];
        folder
            .run(&[&command[..], options].concat())
            .expect_code(code);
    }
}
