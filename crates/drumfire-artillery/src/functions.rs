//! The functions a template may call: `$randomNumber`, `$randomString`, and the fake-data plugin's
//! when a script asks for them.

use std::collections::BTreeMap;
use std::sync::Arc;

use rand::{Rng, RngExt};
use serde_json::Value;

use crate::fake::{self, FakeFunction};

/// The letters of `$randomString`.
const ALPHABET: &[u8; 62] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

/// How many letters `$randomString` gives when not told.
const DEFAULT_STRING_LENGTH: usize = 10;

/// The longest `$randomString`, in letters.
const STRING_LENGTH_LIMIT: usize = 1 << 20;

/// Which functions templates may call.
#[derive(Debug, Clone, Default)]
pub struct Functions {
    fake_data: Option<Arc<BTreeMap<String, Value>>>,
    now_ms: i64,
}

impl Functions {
    /// The built-in functions and those of the fake-data plugin, with its options by function name;
    /// made-up dates lie around `now_ms`, in Unix milliseconds.
    pub fn with_fake_data(options: BTreeMap<String, Value>, now_ms: i64) -> Functions {
        Functions {
            fake_data: Some(Arc::new(options)),
            now_ms,
        }
    }

    /// The function `name` (with its `$`), or `None` when nobody offers it.
    pub fn resolve(&self, name: &str, arguments: &[Option<f64>]) -> Option<Function> {
        let argument = |index: usize| arguments.get(index).copied().flatten();
        match name {
            "$randomNumber" => Some(random_number(argument(0), argument(1))),
            "$randomString" => Some(random_string(argument(0))),
            _ => {
                let options = self.fake_data.as_ref()?;
                let function = fake::find(name.strip_prefix('$')?)?;
                Some(Function::Fake(function.configured(options, self.now_ms)))
            }
        }
    }
}

/// A function with its arguments.
#[derive(Debug, Clone)]
pub enum Function {
    /// A whole number from the first to the second, both included.
    RandomNumber(i64, i64),
    /// Letters and digits.
    RandomString(usize),
    /// One of the fake-data plugin's.
    Fake(FakeFunction),
}

impl Function {
    /// Appends the function's result as text.
    pub fn write(&self, rng: &mut dyn Rng, out: &mut Vec<u8>) {
        match self {
            Function::RandomNumber(from, to) => {
                out.extend_from_slice(rng.random_range(*from..=*to).to_string().as_bytes());
            }
            Function::RandomString(length) => {
                out.extend((0..*length).map(|_| ALPHABET[rng.random_range(0..ALPHABET.len())]));
            }
            Function::Fake(function) => function.write(rng, out),
        }
    }
}

/// As lodash's `random`: no argument is 0 or 1, one is the upper bound, and the bounds may stand in
/// either order.
fn random_number(first: Option<f64>, second: Option<f64>) -> Function {
    let (first, second) = match (first, second) {
        (None, None) => (0.0, 1.0),
        (Some(bound), None) => (0.0, bound),
        (first, Some(second)) => (first.unwrap_or(0.0), second),
    };
    Function::RandomNumber(first.min(second) as i64, first.max(second) as i64)
}

fn random_string(length: Option<f64>) -> Function {
    let length = length.map_or(DEFAULT_STRING_LENGTH, |length| length as usize);
    Function::RandomString(length.min(STRING_LENGTH_LIMIT))
}
