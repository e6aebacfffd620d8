//! The functions of the fake-data plugin: the names are its 244 and their 24 older aliases, each
//! giving made-up text of the same shape.

mod draw;
mod generators;
mod words;

use std::collections::BTreeMap;
use std::sync::Arc;

use rand::Rng;
use serde_json::Value;

use self::draw::Draw;
use crate::calendar::Moment;

/// One function, with its options.
#[derive(Debug, Clone)]
pub struct FakeFunction {
    name: &'static str,
    make: fn(&mut Draw<'_>) -> String,
    alias: Option<&'static str>,
    options: Arc<Value>,
    now_ms: i64,
}

/// The function `name`, without its `$`; aliases are resolved.
pub fn find(name: &str) -> Option<FakeFunction> {
    let alias = ALIASES.iter().find(|(alias, _)| *alias == name);
    let name = alias.map_or(name, |(_, target)| target);
    let (name, make) = generators::GENERATORS
        .iter()
        .find(|(known, _)| *known == name)?;
    Some(FakeFunction {
        name,
        make: *make,
        alias: alias.map(|(alias, _)| *alias),
        options: Arc::new(Value::Null),
        now_ms: 0,
    })
}

/// The old names and what they stand for; using one is worth a warning.
const ALIASES: [(&str, &str); 24] = [
    ("randEmail", "internetEmail"),
    ("randFullName", "personFullName"),
    ("randFirstName", "personFirstName"),
    ("randLastName", "personLastName"),
    ("randUserName", "internetUsername"),
    ("randPassword", "internetPassword"),
    ("randUuid", "stringUuid"),
    ("randPhoneNumber", "phoneNumber"),
    ("randCity", "locationCity"),
    ("randCountry", "locationCountry"),
    ("randStreetAddress", "locationStreetAddress"),
    ("randZipCode", "locationZipCode"),
    ("randCompanyName", "companyName"),
    ("randNumber", "numberInt"),
    ("randBoolean", "datatypeBoolean"),
    ("randUrl", "internetUrl"),
    ("randIp", "internetIpv4"),
    ("randWord", "loremWord"),
    ("randSentence", "loremSentence"),
    ("randParagraph", "loremParagraph"),
    ("randText", "loremText"),
    ("randJobTitle", "personJobTitle"),
    ("randColor", "colorHuman"),
    ("randProductName", "commerceProductName"),
];

impl FakeFunction {
    /// The function's name, aliases resolved.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The deprecated alias it was found by.
    pub fn alias(&self) -> Option<&'static str> {
        self.alias
    }

    /// The function with its own options out of the plugin's, which go by function name; dates are
    /// made around `now_ms`, in Unix milliseconds.
    pub fn configured(mut self, options: &BTreeMap<String, Value>, now_ms: i64) -> FakeFunction {
        if let Some(own) = options.get(self.name) {
            self.options = Arc::new(own.clone());
        }
        self.now_ms = now_ms;
        self
    }

    /// Appends made-up text.
    pub fn write(&self, rng: &mut dyn Rng, out: &mut Vec<u8>) {
        let mut draw = Draw {
            rng,
            options: &self.options,
            now_ms: self.now_ms,
        };
        out.extend_from_slice((self.make)(&mut draw).as_bytes());
    }
}

/// A moment as JavaScript prints dates.
fn show_date(unix_ms: i64) -> String {
    let at = Moment::from_unix_ms(unix_ms);
    format!(
        "{} {} {:02} {:04} {:02}:{:02}:{:02} GMT+0000 (Coordinated Universal Time)",
        &words::WEEKDAYS[at.weekday][..3],
        &words::MONTHS[(at.month - 1) as usize][..3],
        at.day,
        at.year,
        at.hour,
        at.minute,
        at.second
    )
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_xoshiro::Xoshiro256PlusPlus;
    use serde_json::json;

    use super::*;

    fn call(name: &str, options: Value) -> String {
        let options = BTreeMap::from([(name.to_owned(), options)]);
        let function = find(name).unwrap_or_else(|| panic!("{name} is missing"));
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(7);
        let mut out = Vec::new();
        function
            .configured(&options, 1_795_000_000_000)
            .write(&mut rng, &mut out);
        String::from_utf8(out).expect("made-up text is UTF-8")
    }

    /// The names are those that the plugin of Artillery 2.0.34 offers.
    #[test]
    fn every_name_of_the_plugin_makes_text() {
        let names: Vec<&str> = include_str!("../tests/data/fake_functions.txt")
            .lines()
            .collect();
        assert_eq!(names.len(), generators::GENERATORS.len());
        for name in names {
            assert!(!call(name, Value::Null).is_empty(), "{name}");
        }
        for (alias, target) in ALIASES {
            let function = find(alias).unwrap_or_else(|| panic!("{alias} is missing"));
            assert_eq!((function.name(), function.alias()), (target, Some(alias)));
        }
    }

    #[test]
    fn shapes_fit_their_names() {
        for (name, options, pattern) in [
            (
                "internetEmail",
                Value::Null,
                r"^[A-Za-z._0-9]+@(gmail|yahoo|hotmail)\.com$",
            ),
            (
                "internetEmail",
                json!({"provider": "x.org", "firstName": "Ada"}),
                r"^Ada[A-Za-z._0-9]*@x\.org$",
            ),
            ("internetIpv4", Value::Null, r"^(\d{1,3}\.){3}\d{1,3}$"),
            (
                "internetIpv6",
                Value::Null,
                r"^([0-9a-f]{4}:){7}[0-9a-f]{4}$",
            ),
            (
                "internetMac",
                Value::Null,
                r"^([0-9a-f]{2}:){5}[0-9a-f]{2}$",
            ),
            ("internetPassword", json!({"length": 20}), r"^\w{20}$"),
            (
                "stringUuid",
                Value::Null,
                r"^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$",
            ),
            ("stringUlid", Value::Null, r"^01[0-9A-HJKMNP-TV-Z]{24}$"),
            ("stringAlpha", json!(12), r"^[A-Za-z]{12}$"),
            (
                "stringNumeric",
                json!({"length": {"min": 3, "max": 5}}),
                r"^\d{3,5}$",
            ),
            ("numberInt", json!({"min": 5, "max": 7}), r"^[567]$"),
            (
                "numberFloat",
                json!({"min": 1, "max": 2, "fractionDigits": 2}),
                r"^[12](\.\d{1,2})?$",
            ),
            (
                "dateRecent",
                Value::Null,
                r"^(Sun|Mon|Tue|Wed|Thu|Fri|Sat) [A-Z][a-z]{2} \d\d 2026 \d\d:\d\d:\d\d GMT\+0000 \(Coordinated Universal Time\)$",
            ),
            (
                "dateBetween",
                json!({"from": "2020-01-01", "to": "2021-01-01"}),
                r" 20(19|20|21) ",
            ),
            ("financeIban", Value::Null, r"^[A-Z]{2}\d{20}$"),
            (
                "financeCreditCardNumber",
                Value::Null,
                r"^4\d{3}-\d{4}-\d{4}-\d{4}$",
            ),
            ("commerceIsbn", Value::Null, r"^978-\d-\d{4}-\d{4}-\d$"),
            ("loremWords", json!(5), r"^(\w+ ){4}\w+$"),
            (
                "personFullName",
                json!({"firstName": "Ada", "lastName": "L"}),
                r"^Ada L$",
            ),
            ("numberRomanNumeral", Value::Null, r"^[MDCLXVI]+$"),
            ("airlineAirport", Value::Null, r"^\[object Object\]$"),
            ("locationZipCode", Value::Null, r"^\d{5}(-\d{4})?$"),
        ] {
            let made = call(name, options.clone());
            let fits = regress::Regex::new(pattern)
                .expect("the pattern is valid")
                .find(&made)
                .is_some();
            assert!(fits, "{name} with {options} made {made}");
        }
    }

    #[test]
    fn hostile_options_are_bounded() {
        for (name, options) in [
            ("stringAlpha", json!(1e300)),
            ("stringAlpha", json!({"length": {"min": 5, "max": -5}})),
            ("loremParagraphs", json!(1e9)),
            ("numberInt", json!({"min": 9, "max": 3})),
            ("numberInt", json!({"min": "x", "max": 1e300})),
            ("numberHex", json!(-5)),
            ("datePast", json!({"years": 1e300})),
            ("dateBetween", json!({"from": "9999", "to": "0001"})),
            ("numberFloat", json!({"fractionDigits": 1e9})),
        ] {
            assert!(call(name, options).len() < 1_000_000, "{name}");
        }
    }
}
