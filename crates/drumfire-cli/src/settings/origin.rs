//! A value as it was written, and where: what wins over what is decided by the place, and errors name it.

use std::fmt;

/// Where a value was written, as a person looks it up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A flag, without its dashes.
    Flag(String),
    /// A variable of the environment.
    Variable(String),
    /// A line of a file.
    File {
        /// The file's path as given.
        path: String,
        /// The line, from 1.
        line: u32,
    },
    /// Nowhere: it is what holds unless something else is said.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Flag(name) => write!(f, "flag --{name}"),
            Origin::Variable(name) => f.write_str(name),
            Origin::File { path, line } => write!(f, "{path}:{line}"),
            Origin::Default => f.write_str("the default"),
        }
    }
}

/// What wins over what, the later over the earlier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// What a file that LoadStrike calls infraconfig says.
    InfraConfig,
    /// What a file that LoadStrike calls config says.
    Config,
    /// What the settings file says.
    File,
    /// What the environment says.
    Environment,
    /// What the command line says.
    Flag,
}

/// A level, and whether the value is ours there or LoadStrike's; the greater wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rank {
    /// How close to the command it was written.
    pub level: Level,
    /// Whether the name was one of ours.
    pub ours: bool,
}

/// A value's text.
#[derive(Clone, PartialEq, Eq)]
pub enum Written {
    /// One text; of a list, items between commas.
    Text(String),
    /// The items of a list, each whole.
    Items(Vec<String>),
}

impl Written {
    /// The one text, trimmed; of a list its first item.
    pub fn text(&self) -> &str {
        match self {
            Written::Text(text) => text.trim(),
            Written::Items(items) => items.first().map_or("", |item| item.trim()),
        }
    }

    /// Whether nothing is written.
    pub fn is_empty(&self) -> bool {
        match self {
            Written::Text(text) => text.trim().is_empty(),
            Written::Items(items) => items.is_empty(),
        }
    }

    /// The items of a list: trimmed, without empty ones and repetitions.
    pub fn items(&self) -> Vec<String> {
        let parts: Vec<&str> = match self {
            Written::Text(text) => text.split(',').collect(),
            Written::Items(items) => items.iter().map(String::as_str).collect(),
        };
        let mut items: Vec<String> = Vec::new();
        for part in parts.into_iter().map(str::trim) {
            if !part.is_empty() && !items.iter().any(|item| item == part) {
                items.push(part.to_owned());
            }
        }
        items
    }
}

/// A value, where it was written and what it wins over. `Debug` shows the place only: the value may be a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Entry {
    /// What was written.
    pub written: Written,
    /// Where.
    pub origin: Origin,
    /// What it wins over.
    pub rank: Rank,
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Entry(… from {})", self.origin)
    }
}
