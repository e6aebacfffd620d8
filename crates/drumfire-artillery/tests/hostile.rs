//! Input that means harm: the loader and the templates refuse it or take it, but never panic and
//! never grow beyond their budgets.

use std::collections::BTreeMap;
use std::sync::Arc;

use drumfire_artillery::error::ScriptError;
use drumfire_artillery::files::Files;
use drumfire_artillery::load::{LoadOptions, load};
use drumfire_artillery::script::Script;
use drumfire_artillery::template::{Template, ValueTemplate};
use drumfire_artillery::{functions::Functions, yaml};
use proptest::prelude::*;
use rand::SeedableRng;
use rand_xoshiro::Xoshiro256PlusPlus;
use serde_json::{Map, Value, json};

fn load_text(text: &str, csv: &str) -> Result<Script, ScriptError> {
    let files: BTreeMap<String, Arc<[u8]>> = BTreeMap::from([
        ("s.yml".to_owned(), text.as_bytes().into()),
        ("u.csv".to_owned(), csv.as_bytes().into()),
    ]);
    let options = LoadOptions {
        scripts: vec!["s.yml".to_owned()],
        ..LoadOptions::default()
    };
    load(&options, &files as &dyn Files, &BTreeMap::new())
}

#[test]
fn bombs_are_refused() {
    let laughs = (1..12).fold(
        "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned(),
        |text, level| {
            let below = format!("*a{}", level - 1);
            text + &format!(
                "a{level}: &a{level} [{}]\n",
                [below.as_str(); 10].join(", ")
            )
        },
    );
    let merged = (1..12).fold("a0: &a0 {k: [x, x, x, x]}\n".to_owned(), |text, level| {
        let members: Vec<String> = (0..10)
            .map(|index| format!("k{index}: *a{}", level - 1))
            .collect();
        text + &format!("a{level}: &a{level} {{{}}}\n", members.join(", "))
    });
    let long = format!(
        "a: &a \"{}\"\nb: [{}]\n",
        "x".repeat(1 << 20),
        ["*a"; 100].join(", ")
    );
    let chain = (1..200).fold("a0: &a0 [x]\n".to_owned(), |text, level| {
        text + &format!("a{level}: &a{level} [*a{}]\n", level - 1)
    });
    for (bomb, message) in [
        (laughs, "more than 250000 values"),
        (merged, "more than 250000 values"),
        (long, "bytes of text"),
        (chain, "alias nests deeper than 100 levels"),
        (
            "a: &a [*a]".to_owned(),
            "alias inside the value it stands for",
        ),
        ("[".repeat(100_000), "not valid YAML"),
        ("- ".repeat(100_000), "not valid YAML"),
        ("{a: ".repeat(100_000), "not valid YAML"),
        ("x".repeat(yaml::BYTES_LIMIT + 1), "more than the"),
    ] {
        let error = load_text(&bomb, "").expect_err("a bomb must be refused");
        assert!(
            error.message().contains(message),
            "expected {message}, got {error}"
        );
    }
}

#[test]
fn what_a_variable_holds_is_no_template() {
    let Value::Object(scope) = json!({"a": "x{{ b }}{{ a }}", "b": "secret"}) else {
        unreachable!()
    };
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
    let rendered = Template::parse("-{{ a }}").render_text(&scope, &mut rng);
    assert_eq!(rendered.as_deref(), Some("-x{{ b }}{{ a }}"));
}

const WORDS: &str = "(config|target|scenarios|flow|get|url|loop|think|capture|json|as|expect|phases|duration|payload|path|u\\.csv|fields|http|defaults|headers|plugins|ensure|thresholds|weight|count|over|\\{\\{ a \\}\\}|<<|&a|\\*a|!!str|null|5|-1|'x'|\"y\"|: |:\\n  |\\n|\\n  |\\n    - |- |\\[|\\]|\\{|\\}|, |#| ){0,60}";

proptest! {
    #[test]
    fn any_text_loads_or_not(text in ".{0,80}") {
        load_text(&text, "").err().map(|error| error.render());
    }

    #[test]
    fn anything_like_a_script_loads_or_not(text in WORDS, csv in "[ab,\"\n\r#;]{0,30}") {
        load_text(&text, &csv).err().map(|error| error.render());
        let text = format!("config: {{target: a, payload: {{path: u.csv, fields: [a]}}}}\nscenarios:\n  - flow:\n    - {text}");
        load_text(&text, &csv).err().map(|error| error.render());
    }

    #[test]
    fn any_template_renders(text in "(\\{|\\}|\\$|a|\\.|\\[0\\]|\\(|\\)|,|1|randomString|randomNumber|é| |\"|'){0,30}", value in ".{0,10}") {
        let scope: Map<String, Value> = Map::from_iter([("a".to_owned(), Value::String(value))]);
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
        let template = Template::parse(&text);
        let value = template.render(&scope, &mut rng);
        let printed = template.render_text(&scope, &mut rng);
        prop_assert_eq!(value.is_some(), printed.is_some());
        if template.is_constant() {
            prop_assert_eq!(printed.as_deref(), Some(text.as_str()));
        }
    }

    #[test]
    fn a_value_template_prints_what_it_renders(keys in prop::collection::vec("[ab]|\\{\\{ [ab] \\}\\}", 0..4), values in prop::collection::vec("[ab]|x?\\{\\{ [abc] \\}\\}", 4)) {
        let scope: Map<String, Value> = Map::from_iter([("a".to_owned(), json!([1.5, null])), ("b".to_owned(), json!("t\"x"))]);
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
        let members = keys.iter().zip(&values).map(|(key, value)| (key.clone(), json!([value, {"k": value}])));
        let template = ValueTemplate::compile(&Value::Object(members.collect()), &Functions::default());
        let mut json = Vec::new();
        prop_assert!(template.render_json(&scope, &mut rng, &mut json));
        let parsed: Value = serde_json::from_slice(&json).expect("what is printed is JSON");
        prop_assert_eq!(Some(parsed), template.render(&scope, &mut rng));
    }
}
