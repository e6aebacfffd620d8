//! Templates: any text compiles, and renders without an end to it over
//! variables that hold templates themselves. As a value, as bytes and as text
//! it is the same.

#![no_main]

use drumfire_artillery::functions::Functions;
use drumfire_artillery::template::{Template, ValueTemplate};
use libfuzzer_sys::fuzz_target;
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::SeedableRng;
use serde_json::{Map, Value, json};

/// Seed of what the functions draw.
const SEED: u64 = 1;

fuzz_target!(|text: &str| {
    let variables = variables();
    let chance = || Xoshiro256PlusPlus::seed_from_u64(SEED);
    let template = Template::parse(text);
    let value = template.render(&variables, &mut chance());
    let printed = template.render_text(&variables, &mut chance());
    assert_eq!(value.is_some(), printed.is_some());
    if let (Some(Value::String(value)), Some(printed)) = (&value, &printed) {
        assert_eq!(value, printed);
    }
    let nested = json!({ text: [text, { "a": text }] });
    let compiled = ValueTemplate::compile(&nested, &Functions::default());
    compiled.render(&variables, &mut chance());
});

/// Something of every type, and texts that bring in more.
fn variables() -> Map<String, Value> {
    let all = json!({
        "a": { "b": [0, { "c": "deep" }], "b.c": true },
        "list": [1, 2.5, null, "four"],
        "n": 42,
        "none": null,
        "self": "{{ self }}{{ self }}",
        "call": "{{ $randomString(3) }}",
        "$loopCount": 7,
    });
    match all {
        Value::Object(variables) => variables,
        _ => unreachable!("the literal above is an object"),
    }
}
