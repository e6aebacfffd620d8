//! What is wrong with settings, and what is worth a word although it is not.

use super::origin::Origin;
use drumfire_artillery::error::ScriptError;
use drumfire_artillery::nearest::nearest;
use std::io;

/// Why settings cannot be taken. Values of secrets are in none of these.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// A value is none of its kind, or cannot be had with the others.
    #[error("settings: {name} from {origin}: {reason}{}", hint_line(.hint.as_deref()))]
    Value {
        /// The setting.
        name: String,
        /// Where the value was written.
        origin: Origin,
        /// What is wrong with it.
        reason: String,
        /// What to do about it.
        hint: Option<String>,
    },
    /// No setting is called so.
    #[error("settings: unknown {what}{}", hint_line(.nearest.as_ref().map(|name| format!("did you mean {name}?")).as_deref()))]
    Unknown {
        /// What is unknown, with its name and its place.
        what: String,
        /// What was probably meant.
        nearest: Option<String>,
    },
    /// Something is set twice at one level, and differently.
    #[error("settings: {name}: {first} and {second} contradict each other")]
    Contradiction {
        /// The setting, or LoadStrike's key.
        name: String,
        /// Where it is set.
        first: Origin,
        /// Where else.
        second: Origin,
    },
    /// Something that a role cannot do without is not set.
    #[error("settings: {name} is not set\nhint: {hint}")]
    Missing {
        /// The setting.
        name: &'static str,
        /// How to set it.
        hint: String,
    },
    /// A file that a setting names cannot be read.
    #[error("settings: read {path} ({origin}): {source}")]
    Unreadable {
        /// Its path.
        path: String,
        /// What names it.
        origin: Origin,
        /// What the system says.
        source: io::Error,
    },
    /// A settings file is no document.
    #[error("settings: {0}")]
    Document(ScriptError),
}

impl SettingsError {
    /// A value that is wrong by itself.
    pub fn value(name: &str, origin: &Origin, reason: impl Into<Reason>) -> Self {
        let Reason { text, hint } = reason.into();
        SettingsError::Value {
            name: name.to_owned(),
            origin: origin.clone(),
            reason: text,
            hint,
        }
    }

    /// A name that is none, beside those that are.
    pub fn unknown<'k>(what: String, name: &str, known: impl IntoIterator<Item = &'k str>) -> Self {
        let known: Vec<&str> = known.into_iter().collect();
        SettingsError::Unknown {
            what,
            nearest: nearest(name, &known).map(str::to_owned),
        }
    }
}

/// What is wrong with a value, without its name and place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// What is wrong.
    pub text: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl From<String> for Reason {
    fn from(text: String) -> Self {
        Reason { text, hint: None }
    }
}

impl From<&str> for Reason {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

impl Reason {
    /// The same with a hint.
    pub fn hint(text: impl Into<String>, hint: impl Into<String>) -> Self {
        Reason {
            text: text.into(),
            hint: Some(hint.into()),
        }
    }
}

/// What a user should know although the settings can be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// What is so.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Warning {
    /// A warning.
    pub fn new(message: impl Into<String>) -> Self {
        Warning {
            message: message.into(),
            hint: None,
        }
    }

    /// A warning with something to do about it.
    pub fn hint(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Warning {
            message: message.into(),
            hint: Some(hint.into()),
        }
    }
}

fn hint_line(hint: Option<&str>) -> String {
    hint.map(|hint| format!("\nhint: {hint}"))
        .unwrap_or_default()
}
