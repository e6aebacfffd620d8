//! Expressions of `ifTrue` and `ensure`: any text parses or is refused at a
//! place within it, and what parses can be evaluated.

#![no_main]

use std::borrow::Cow;

use drumfire_artillery::expression::Expression;
use libfuzzer_sys::fuzz_target;
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::SeedableRng;
use serde_json::{Value, json};

/// Names that ensure's checks hold and filtrex alone would not read as one.
const NAMES: [&str; 3] = [
    "http.response_time.p95",
    "vusers.failed",
    "errors.ETIMEDOUT",
];

fuzz_target!(|text: &str| {
    let lookup = |name: &str| -> Option<Cow<'static, Value>> {
        let value = match name.len() % 5 {
            0 => json!(name.len()),
            1 => json!(name),
            2 => json!(null),
            3 => json!([name, 1]),
            _ => return None,
        };
        Some(Cow::Owned(value))
    };
    for names in [&[] as &[&str], &NAMES] {
        match Expression::parse_naming(text, names) {
            Ok(expression) => {
                let mut chance = Xoshiro256PlusPlus::seed_from_u64(1);
                let holds = expression.holds(&lookup, &mut chance);
                let mut again = Xoshiro256PlusPlus::seed_from_u64(1);
                assert_eq!(holds, expression.holds(&lookup, &mut again));
                expression.passes(&lookup, &mut again);
                expression.names();
            }
            Err(refusal) => assert!(refusal.position <= text.len()),
        }
    }
});
