//! What generators draw from: chance, the function's options and the time.

use ::fake::Fake;
use ::fake::faker::{internet::en as internet, lorem::en as lorem, name::en as name};
use rand::{Rng, RngExt};
use serde_json::Value;

use super::words;
use crate::javascript;

/// The longest text a length option may ask for, in letters.
const LENGTH_LIMIT: usize = 65_536;

/// The most words, sentences or paragraphs an option may ask for.
const COUNT_LIMIT: usize = 1_000;

const DAY_MS: i64 = 86_400_000;

const HEXADECIMAL: &str = "0123456789abcdef";
pub(super) const UPPER: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
pub(super) const ALPHA: &str = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
pub(super) const ALPHANUMERIC: &str =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

/// One call of a function.
pub(super) struct Draw<'a> {
    pub(super) rng: &'a mut dyn Rng,
    pub(super) options: &'a Value,
    pub(super) now_ms: i64,
}

impl Draw<'_> {
    pub(super) fn pick(&mut self, words: &[&str]) -> String {
        words[self.rng.random_range(0..words.len())].to_owned()
    }

    pub(super) fn between(&mut self, from: i64, to: i64) -> i64 {
        self.rng.random_range(from..=to.max(from))
    }

    pub(super) fn chance(&mut self, percent: i64) -> bool {
        self.between(1, 100) <= percent
    }

    /// `length` letters out of `alphabet`.
    pub(super) fn letters(&mut self, alphabet: &str, length: usize) -> String {
        let alphabet: Vec<char> = alphabet.chars().collect();
        (0..length)
            .map(|_| alphabet[self.rng.random_range(0..alphabet.len())])
            .collect()
    }

    pub(super) fn digits(&mut self, length: usize) -> String {
        self.letters("0123456789", length)
    }

    pub(super) fn hexadecimal(&mut self, length: usize) -> String {
        self.letters(HEXADECIMAL, length)
    }

    /// `#` becomes a digit, `!` a digit from 2 on, `?` a capital, everything else stays.
    pub(super) fn pattern(&mut self, pattern: &str) -> String {
        let mut text = String::new();
        for letter in pattern.chars() {
            match letter {
                '#' => text += &self.digits(1),
                '!' => text += &self.letters("23456789", 1),
                '?' => text += &self.letters(UPPER, 1),
                letter => text.push(letter),
            }
        }
        text
    }

    /// A number between `from` and `to` with so many decimals.
    pub(super) fn decimal(&mut self, from: f64, to: f64, decimals: usize) -> String {
        let number = from + self.rng.random::<f64>() * (to - from);
        let rounded: f64 = format!("{number:.decimals$}").parse().unwrap_or(from);
        javascript::float_text(rounded)
    }

    /// An option by name, as a number.
    pub(super) fn number_option(&self, name: &str) -> Option<f64> {
        self.options
            .get(name)
            .map(javascript::value_to_number)
            .filter(|number| number.is_finite())
    }

    /// An option by name, as a text.
    pub(super) fn text_option(&self, name: &str) -> Option<String> {
        self.options.get(name).map(javascript::text)
    }

    /// How long to be: the options as a number, or their `length` as a number or a range.
    pub(super) fn length(&mut self, default: usize) -> usize {
        let options = self.options;
        let length = if options.is_object() {
            options.get("length")
        } else {
            Some(options)
        };
        self.amount(length, default).min(LENGTH_LIMIT)
    }

    /// How many there shall be: the options as a number or a range.
    pub(super) fn count(&mut self, from: i64, to: i64) -> usize {
        let default = self.between(from, to) as usize;
        let options = self.options;
        self.amount(Some(options), default).min(COUNT_LIMIT)
    }

    fn amount(&mut self, option: Option<&Value>, default: usize) -> usize {
        match option {
            Some(Value::Number(number)) => number.as_f64().unwrap_or(0.0).max(0.0) as usize,
            Some(Value::Object(range)) => {
                let bound = |key: &str| range.get(key).and_then(Value::as_i64);
                match (bound("min"), bound("max")) {
                    (Some(least), Some(most)) => self.between(least.max(0), most) as usize,
                    _ => default,
                }
            }
            _ => default,
        }
    }

    pub(super) fn first_name(&mut self) -> String {
        name::FirstName().fake_with_rng(self.rng)
    }

    pub(super) fn last_name(&mut self) -> String {
        name::LastName().fake_with_rng(self.rng)
    }

    pub(super) fn full_name(&mut self) -> String {
        format!("{} {}", self.first_name(), self.last_name())
    }

    /// `First.Last52`, `First_Last` or `First52`.
    pub(super) fn user_name(&mut self) -> String {
        let first = self
            .text_option("firstName")
            .unwrap_or_else(|| self.first_name());
        let last = self
            .text_option("lastName")
            .unwrap_or_else(|| self.last_name());
        let joint = self.pick(&[".", "_"]);
        let number = self.between(0, 99);
        match self.between(0, 2) {
            0 => format!("{first}{number}"),
            1 => format!("{first}{joint}{last}"),
            _ => format!("{first}{joint}{last}{number}"),
        }
        .replace([' ', '\''], "")
    }

    pub(super) fn email(&mut self, providers: &[&str]) -> String {
        let provider = self
            .text_option("provider")
            .unwrap_or_else(|| self.pick(providers));
        format!("{}@{provider}", self.user_name())
    }

    pub(super) fn domain_name(&mut self) -> String {
        let suffix: String = internet::DomainSuffix().fake_with_rng(self.rng);
        format!("{}.{suffix}", self.domain_word())
    }

    pub(super) fn domain_word(&mut self) -> String {
        format!(
            "{}-{}",
            self.pick(&words::ADJECTIVES),
            self.pick(&words::NOUNS)
        )
    }

    pub(super) fn lorem_word(&mut self) -> String {
        lorem::Word().fake_with_rng(self.rng)
    }

    pub(super) fn lorem_words(&mut self, count: usize) -> String {
        self.repeat(count, " ", Draw::lorem_word)
    }

    pub(super) fn sentence(&mut self) -> String {
        let count = self.between(3, 10) as usize;
        capitalised(&self.lorem_words(count)) + "."
    }

    pub(super) fn sentences(&mut self, count: usize, joint: &str) -> String {
        self.repeat(count, joint, Draw::sentence)
    }

    pub(super) fn paragraph(&mut self) -> String {
        let count = self.between(3, 4) as usize;
        self.sentences(count, " ")
    }

    pub(super) fn repeat(
        &mut self,
        count: usize,
        joint: &str,
        make: fn(&mut Self) -> String,
    ) -> String {
        (0..count)
            .map(|_| make(self))
            .collect::<Vec<_>>()
            .join(joint)
    }

    pub(super) fn uuid(&mut self) -> String {
        let bits =
            u128::from(self.rng.random::<u64>()) << 64 | u128::from(self.rng.random::<u64>());
        uuid::Builder::from_random_bytes(bits.to_be_bytes())
            .into_uuid()
            .hyphenated()
            .to_string()
    }

    /// A moment so many days from now, as JavaScript prints it.
    pub(super) fn date(&mut self, from_days: i64, to_days: i64) -> String {
        let at = self.now_ms + self.between(from_days * DAY_MS, to_days * DAY_MS);
        super::show_date(at)
    }
}

/// The text with its first letter as a capital.
pub(super) fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_uppercase().collect::<String>() + letters.as_str()
    })
}
