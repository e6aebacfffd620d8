//! What a value may be, and every value of a role once it is read: kinds are parsed here and nowhere else.

use super::broker::BrokerUrl;
use super::error::{Reason, SettingsError};
use super::names::{allowed_target, is_file_name};
use super::origin::{Entry, Origin, Rank, Written};
use super::secret::Secret;
use super::table::Role;
use super::table::{Fallback, Setting, TABLE, find};
use crate::args;
use drumfire_artillery::nearest::nearest;
use drumfire_protocols::AllowedTarget;
use std::collections::BTreeMap;
use std::time::Duration;

/// The longest name of a cluster, group, run or agent: however its letters are written to the broker, it fits.
const MAX_NAME_BYTES: usize = 64;

/// What a value may be.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// A whole number.
    Count {
        /// The least it may be.
        least: u32,
        /// The most.
        most: u32,
    },
    /// A duration.
    Duration {
        /// The shortest it may be.
        least: Duration,
    },
    /// Percent, kept in thousandths.
    Permille,
    /// Any text.
    Text,
    /// A text short enough to name something to the broker.
    Name,
    /// A text that names a file without a folder.
    FileName,
    /// What nobody else may see.
    Secret {
        /// The fewest bytes it may have.
        least_bytes: usize,
    },
    /// A path.
    Path,
    /// True or false.
    Switch,
    /// One of these.
    Choice(&'static [&'static str]),
    /// Several values.
    List(Item),
}

/// What an item of a list may be.
#[derive(Debug, Clone, Copy)]
pub enum Item {
    /// Any text.
    Text,
    /// A path.
    Path,
    /// The URL of a broker.
    Broker,
    /// A target that an agent may be aimed at.
    Target,
    /// One of these.
    Choice(&'static [&'static str]),
}

/// A value that is one of its kind.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Of [`Kind::Count`].
    Count(u32),
    /// Of [`Kind::Duration`].
    Duration(Duration),
    /// Of [`Kind::Permille`].
    Permille(u32),
    /// Of the kinds that are texts.
    Text(String),
    /// Of [`Kind::Secret`].
    Secret(Secret),
    /// Of [`Kind::Switch`].
    Switch(bool),
    /// Of lists of texts.
    List(Vec<String>),
    /// Of [`Item::Broker`].
    Brokers(Vec<BrokerUrl>),
    /// Of [`Item::Target`].
    Targets(Vec<AllowedTarget>),
}

impl Kind {
    /// In words, for the reference.
    pub fn words(self) -> String {
        match self {
            Kind::Count { least, most } => format!("whole number, {least} to {most}"),
            Kind::Duration { .. } => "duration".into(),
            Kind::Permille => "percent".into(),
            Kind::Text | Kind::Name | Kind::FileName => "text".into(),
            Kind::Secret { least_bytes: 1 } => "secret".into(),
            Kind::Secret { least_bytes } => format!("secret, at least {least_bytes} bytes"),
            Kind::Path => "path".into(),
            Kind::Switch => "true or false".into(),
            Kind::Choice(choices) => choices.join(", "),
            Kind::List(Item::Text) => "list".into(),
            Kind::List(Item::Path) => "list of paths".into(),
            Kind::List(Item::Broker) => "list of URLs".into(),
            Kind::List(Item::Target) => "list of targets".into(),
            Kind::List(Item::Choice(choices)) => format!("list of {}", choices.join(", ")),
        }
    }

    /// Reads a value.
    ///
    /// # Errors
    /// It is none of this kind; the reason shows it unless it is a secret.
    pub fn parse(self, written: &Written) -> Result<Value, Reason> {
        match (self, written) {
            (Kind::List(item), _) => item.parse(&written.items()),
            (_, Written::Text(text)) => self.parse_text(text),
            (_, Written::Items(items)) => match items.as_slice() {
                [only] => self.parse_text(only),
                _ => Err("a list where one value is expected".into()),
            },
        }
    }

    fn parse_text(self, written: &str) -> Result<Value, Reason> {
        let text = written.trim();
        if text.is_empty() {
            return Err("the value is empty".into());
        }
        Ok(match self {
            Kind::Count { least, most } => Value::Count(count(text, least, most)?),
            Kind::Duration { least } => Value::Duration(duration(text, least)?),
            Kind::Permille => Value::Permille(permille(text)?),
            Kind::Text | Kind::Path => Value::Text(text.to_owned()),
            Kind::Name => Value::Text(name(text)?),
            Kind::FileName => Value::Text(file_name(text)?),
            // Blanks may belong to a secret.
            Kind::Secret { least_bytes } => Value::Secret(secret(written, least_bytes)?),
            Kind::Switch => Value::Switch(switch(text)?),
            Kind::Choice(choices) => Value::Text(choice(text, choices)?),
            Kind::List(item) => item.parse(&[text.to_owned()])?,
        })
    }
}

impl Item {
    fn parse(self, items: &[String]) -> Result<Value, Reason> {
        if items.is_empty() {
            return Err("the list is empty".into());
        }
        let mut items = items.iter().map(String::as_str);
        Ok(match self {
            Item::Text | Item::Path => Value::List(items.map(str::to_owned).collect()),
            Item::Broker => Value::Brokers(items.map(BrokerUrl::parse).collect::<Result<_, _>>()?),
            Item::Target => Value::Targets(items.map(allowed_target).collect::<Result<_, _>>()?),
            Item::Choice(choices) => {
                let chosen = items.try_fold(Vec::new(), |mut chosen, item| {
                    chosen.push(choice(item, choices)?);
                    Ok::<_, Reason>(chosen)
                });
                Value::List(chosen?)
            }
        })
    }
}

/// Reads a secret.
///
/// # Errors
/// It is too short; how short is not said.
pub fn secret(text: &str, least_bytes: usize) -> Result<Secret, Reason> {
    match text.len() < least_bytes {
        true => Err(format!("it has fewer than {least_bytes} bytes").into()),
        false => Ok(Secret::new(text)),
    }
}

/// Reads true or false.
///
/// # Errors
/// It is neither.
pub fn switch(text: &str) -> Result<bool, Reason> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "1" => Ok(true),
        "false" | "no" | "off" | "0" => Ok(false),
        _ => Err(format!("'{text}' is neither true nor false").into()),
    }
}

fn count(text: &str, least: u32, most: u32) -> Result<u32, Reason> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits {
        return Err(format!("'{text}' is no whole number").into());
    }
    match text.parse() {
        Ok(count) if count < least => Err(format!("{count} is less than {least}").into()),
        Ok(count) if count <= most => Ok(count),
        _ => Err(format!("{text} is more than {most}").into()),
    }
}

fn duration(text: &str, least: Duration) -> Result<Duration, Reason> {
    let read = match text.starts_with('-') {
        true => None,
        false => args::duration(text).ok(),
    };
    match read {
        None => Err(Reason::hint(
            format!("'{text}' is no duration"),
            "a duration is seconds or a number with a unit, such as 90, 500ms or 2m",
        )),
        Some(duration) if duration < least => {
            Err(format!("'{text}' is shorter than {least:?}").into())
        }
        Some(duration) => Ok(duration),
    }
}

fn permille(text: &str) -> Result<u32, Reason> {
    let number = text.strip_suffix('%').unwrap_or(text).trim();
    let percent: Option<f64> = number.parse().ok();
    let permille = percent.map(|percent| (percent * 10.0).round());
    match permille.filter(|permille| (1.0..=1_000.0).contains(permille)) {
        Some(permille) => Ok(permille as u32),
        None => Err(format!("'{text}' is no percentage from 0.1 to 100").into()),
    }
}

fn name(text: &str) -> Result<String, Reason> {
    if text.len() > MAX_NAME_BYTES {
        return Err(format!("'{text}' has more than {MAX_NAME_BYTES} bytes").into());
    }
    match text.chars().any(char::is_control) {
        true => Err("the name has control characters".into()),
        false => Ok(text.to_owned()),
    }
}

fn file_name(text: &str) -> Result<String, Reason> {
    match is_file_name(text) {
        true => Ok(text.to_owned()),
        false => Err(Reason::hint(
            format!("'{text}' names no file in a folder"),
            "report-dir is the folder",
        )),
    }
}

fn choice(text: &str, choices: &[&str]) -> Result<String, Reason> {
    let lower = text.to_ascii_lowercase();
    if choices.contains(&lower.as_str()) {
        return Ok(lower);
    }
    let message = format!("'{text}' is none of {}", choices.join(", "));
    Err(match nearest(text, choices) {
        Some(nearest) => Reason::hint(message, format!("did you mean {nearest}?")),
        None => message.into(),
    })
}

/// Every value that a role is set to, or that holds unless it is set; each is one of its kind.
#[derive(Debug, Default)]
pub struct Values {
    values: BTreeMap<&'static str, (Value, Origin, Option<Rank>)>,
}

impl Values {
    /// Reads the entries of a role.
    ///
    /// # Errors
    /// A value is none of its kind.
    pub fn parse(
        role: Role,
        entries: &BTreeMap<&'static str, Entry>,
    ) -> Result<Values, SettingsError> {
        let mut values = Values::default();
        for setting in TABLE.iter().filter(|setting| setting.is_for(role)) {
            if let Some(entry) = entries.get(setting.name) {
                values.set(setting, &entry.written, &entry.origin, Some(entry.rank))?;
            } else if let Fallback::Text(text) = setting.fallback {
                let written = Written::Text(text.to_owned());
                values.set(setting, &written, &Origin::Default, None)?;
            }
        }
        Ok(values)
    }

    fn set(
        &mut self,
        setting: &'static Setting,
        written: &Written,
        origin: &Origin,
        rank: Option<Rank>,
    ) -> Result<(), SettingsError> {
        let value = setting.kind.parse(written);
        let value = value.map_err(|reason| SettingsError::value(setting.name, origin, reason))?;
        self.values
            .insert(setting.name, (value, origin.clone(), rank));
        Ok(())
    }

    /// Where a value was written; the default where it was not.
    pub fn origin(&self, name: &str) -> &Origin {
        self.values
            .get(name)
            .map_or(&Origin::Default, |(_, origin, _)| origin)
    }

    /// What a value wins over; nothing where it was not written.
    pub fn rank(&self, name: &str) -> Option<Rank> {
        self.values.get(name).and_then(|(_, _, rank)| *rank)
    }

    /// An error about a value that is wrong beside another.
    pub fn error(&self, name: &str, reason: impl Into<Reason>) -> SettingsError {
        SettingsError::value(name, self.origin(name), reason)
    }

    /// That nothing sets what must be set.
    ///
    /// # Panics
    /// When there is no such setting.
    pub fn missing(&self, name: &'static str) -> SettingsError {
        let setting = find(name).expect("the name is one of the table's");
        let hint = format!(
            "give --{name}, {} or `{name}` in the settings file",
            setting.variable()
        );
        SettingsError::Missing { name, hint }
    }

    /// A count.
    pub fn count(&self, name: &str) -> Option<u32> {
        self.get(name).map(|value| match value {
            Value::Count(count) | Value::Permille(count) => *count,
            other => of_another_kind(name, other),
        })
    }

    /// A duration.
    pub fn duration(&self, name: &str) -> Option<Duration> {
        self.get(name).map(|value| match value {
            Value::Duration(duration) => *duration,
            other => of_another_kind(name, other),
        })
    }

    /// A text, a name, a path or a choice.
    pub fn text(&self, name: &str) -> Option<String> {
        self.get(name).map(|value| match value {
            Value::Text(text) => text.clone(),
            other => of_another_kind(name, other),
        })
    }

    /// A secret.
    pub fn secret(&self, name: &str) -> Option<Secret> {
        self.get(name).map(|value| match value {
            Value::Secret(secret) => secret.clone(),
            other => of_another_kind(name, other),
        })
    }

    /// Whether a switch is on.
    pub fn switch(&self, name: &str) -> bool {
        self.get(name).is_some_and(|value| match value {
            Value::Switch(on) => *on,
            other => of_another_kind(name, other),
        })
    }

    /// A list of texts.
    pub fn list(&self, name: &str) -> Option<Vec<String>> {
        self.get(name).map(|value| match value {
            Value::List(items) => items.clone(),
            other => of_another_kind(name, other),
        })
    }

    /// URLs of brokers.
    pub fn brokers(&self, name: &str) -> Option<Vec<BrokerUrl>> {
        self.get(name).map(|value| match value {
            Value::Brokers(urls) => urls.clone(),
            other => of_another_kind(name, other),
        })
    }

    /// Targets.
    pub fn targets(&self, name: &str) -> Option<Vec<AllowedTarget>> {
        self.get(name).map(|value| match value {
            Value::Targets(targets) => targets.clone(),
            other => of_another_kind(name, other),
        })
    }

    fn get(&self, name: &str) -> Option<&Value> {
        debug_assert!(find(name).is_some(), "{name} is one of the table's");
        self.values.get(name).map(|(value, _, _)| value)
    }
}

/// The table gives every name one kind, and each role asks for that.
fn of_another_kind(name: &str, value: &Value) -> ! {
    panic!("{name} is asked for as another kind than the table's: {value:?}")
}
