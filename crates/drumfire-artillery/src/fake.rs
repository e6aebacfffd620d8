//! The functions of the fake-data plugin: the names are its 244 and their 24 older aliases, each
//! giving made-up text of the same shape.

use std::collections::BTreeMap;

use rand::Rng;
use serde_json::Value;

mod words;

/// One function, with its options.
#[derive(Debug, Clone)]
pub struct FakeFunction {
    generator: &'static Generator,
    alias: Option<&'static str>,
    options: Option<Value>,
}

/// A name and what makes its text.
#[derive(Debug)]
struct Generator {
    name: &'static str,
    make: fn(&mut dyn Rng, &Value) -> String,
}

/// The function `name`, without its `$`; aliases are resolved.
pub fn find(name: &str) -> Option<FakeFunction> {
    let alias = ALIASES.iter().find(|(alias, _)| *alias == name);
    let name = alias.map_or(name, |(_, target)| target);
    let generator = words::GENERATORS
        .iter()
        .find(|generator| generator.name == name)?;
    Some(FakeFunction {
        generator,
        alias: alias.map(|(alias, _)| *alias),
        options: None,
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
        self.generator.name
    }

    /// The deprecated alias it was found by.
    pub fn alias(&self) -> Option<&'static str> {
        self.alias
    }

    /// The function with its own options out of the plugin's, which go by function name.
    pub fn configured(mut self, options: &BTreeMap<String, Value>) -> FakeFunction {
        self.options = options.get(self.generator.name).cloned();
        self
    }

    /// Appends made-up text.
    pub fn write(&self, rng: &mut dyn Rng, out: &mut Vec<u8>) {
        let text = (self.generator.make)(rng, self.options.as_ref().unwrap_or(&Value::Null));
        out.extend_from_slice(text.as_bytes());
    }
}
