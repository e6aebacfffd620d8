//! Scripts beside the validation message that Artillery 2.0.34 gave for them, or none.

use std::collections::BTreeMap;
use std::sync::Arc;

use drumfire_artillery::files::Files;
use drumfire_artillery::load::{LoadOptions, load};

/// Ends of scripts for which something else is said before or instead, on purpose.
const DIFFERENT: [(&str, &str); 6] = [
    ("config: 5\nscenarios: []", "No target specified"),
    ("config: {}", "No target specified"),
    (
        "config: {environments: {a: 1}}\nscenarios: []",
        "No target specified",
    ),
    (
        "[{engine: ws, flow: [{connect: 5}]}]",
        "engine `ws` is not supported",
    ),
    (
        "[{engine: socketio, flow: [{emit: 5}]}]",
        "engine `socketio` is not supported",
    ),
    // Documented and read by Artillery's engine, but refused by its validator.
    ("[{flow: [{parallel: [], limit: 5}]}]", ""),
];

#[test]
fn messages_are_those_of_artillery() {
    let cases: Vec<(String, String)> =
        serde_json::from_str(include_str!("data/validation.json")).expect("the table is JSON");
    for (script, expected) in cases {
        let different = DIFFERENT.iter().find(|(end, _)| script.ends_with(end));
        let expected = match different {
            Some((_, expected)) => (*expected).to_owned(),
            None if expected.is_empty() => expected,
            None => format!("Scenario validation error: {expected}"),
        };
        // Without a config Artillery falls over before it validates.
        let script = if script.contains("config:") {
            script
        } else {
            format!("config: {{target: a}}\n{script}")
        };
        let message = message_of(&script);
        if expected.is_empty() {
            assert!(!message.contains("validation error"), "{script}\n{message}");
        } else {
            assert!(
                message.starts_with(&expected),
                "{script}\nexpected {expected}\ngot      {message}"
            );
        }
    }
}

fn message_of(script: &str) -> String {
    let files: BTreeMap<String, Arc<[u8]>> =
        BTreeMap::from([("script.yml".to_owned(), script.as_bytes().into())]);
    let options = LoadOptions {
        scripts: vec!["script.yml".to_owned()],
        ..LoadOptions::default()
    };
    match load(&options, &files as &dyn Files, &BTreeMap::new()) {
        Ok(_) => String::new(),
        Err(error) => error.message().to_owned(),
    }
}
