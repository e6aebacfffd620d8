//! Settings files: YAML or JSON, one level of keys, and a `LoadStrike` section that may have more.

use super::error::SettingsError;
use super::host::Host;
use super::loadstrike::SECTION;
use super::origin::{Origin, Written};
use drumfire_artillery::node::{Members, Node, NodeValue};
use drumfire_artillery::source::{Sources, Span};
use drumfire_artillery::yaml;
use std::io;
use std::sync::Arc;

/// A key of a file with its value.
#[derive(Clone)]
pub struct Line {
    /// Whose key it is.
    pub key: FileKey,
    /// Its value; none of a map, which only a `LoadStrike` section may hold.
    pub written: Option<Written>,
    /// Where it stands.
    pub origin: Origin,
}

/// A key of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileKey {
    /// At the top.
    Top(String),
    /// In the `LoadStrike` section, nested ones with `:` between their parts.
    LoadStrike(String),
}

/// Reads a file; keys that are set to nothing are left out.
///
/// # Errors
/// It cannot be read, or is no document with keys.
pub fn read(path: &str, named_by: &Origin, host: &dyn Host) -> Result<Vec<Line>, SettingsError> {
    let unreadable = |source| SettingsError::Unreadable {
        path: path.to_owned(),
        origin: named_by.clone(),
        source,
    };
    let bytes = host.read(path).map_err(unreadable)?;
    let text = std::str::from_utf8(&bytes)
        .map_err(|error| unreadable(io::Error::new(io::ErrorKind::InvalidData, error)))?;
    let mut sources = Sources::default();
    let file = sources.add(path, text);
    let root = yaml::parse(text, file, &Arc::new(sources)).map_err(SettingsError::Document)?;
    let mut reading = Reading {
        path,
        text,
        lines: Vec::new(),
    };
    match root.as_ref().map(|node| (node, node.as_map())) {
        None => {}
        Some((_, Some(members))) => reading.top(members),
        Some((node, None)) => {
            let reason = format!("{} where keys are expected", node.kind());
            return Err(SettingsError::value(
                "the file",
                &reading.origin(node.span),
                reason,
            ));
        }
    }
    Ok(reading.lines)
}

struct Reading<'a> {
    path: &'a str,
    text: &'a str,
    lines: Vec<Line>,
}

impl Reading<'_> {
    fn top(&mut self, members: &Members) {
        for (key, member) in members {
            let is_section = key.eq_ignore_ascii_case(SECTION);
            match (is_section, flat(key)) {
                (true, _) => match member.node.as_map() {
                    Some(members) => self.section(members, ""),
                    None => self.line(FileKey::Top(key.to_string()), member.key_span, &member.node),
                },
                (false, Some(rest)) => {
                    self.below(rest.to_owned(), member.key_span, &member.node);
                }
                (false, None) => {
                    let key = FileKey::Top(key.to_string());
                    self.line(key, member.key_span, &member.node);
                }
            }
        }
    }

    fn section(&mut self, members: &Members, above: &str) {
        for (key, member) in members {
            let name = match above {
                "" => key.to_string(),
                _ => format!("{above}:{key}"),
            };
            self.below(name, member.key_span, &member.node);
        }
    }

    /// A key of the section, or all that are below it.
    fn below(&mut self, name: String, span: Span, node: &Node) {
        match node.as_map() {
            Some(members) => self.section(members, &name),
            None => self.line(FileKey::LoadStrike(name), span, node),
        }
    }

    fn line(&mut self, key: FileKey, span: Span, node: &Node) {
        let written = match &node.value {
            NodeValue::Null => return,
            NodeValue::Map(_) => None,
            NodeValue::List(items) => {
                Some(Written::Items(items.iter().map(|i| self.text(i)).collect()))
            }
            _ => Some(Written::Text(self.text(node))),
        };
        self.lines.push(Line {
            key,
            written,
            origin: self.origin(span),
        });
    }

    /// A value as it was typed, so that `010` and `1.0` are what the setting makes of them, not what YAML does.
    fn text(&self, node: &Node) -> String {
        if let Some(text) = node.as_text() {
            return text.to_string();
        }
        let start = node.span.offset as usize;
        let end = start + node.span.length as usize;
        let typed = self.text.get(start..end).unwrap_or_default();
        typed.trim().to_owned()
    }

    fn origin(&self, span: Span) -> Origin {
        Origin::File {
            path: self.path.to_owned(),
            line: span.line,
        }
    }
}

/// What follows `LoadStrike:` in a flat key.
fn flat(key: &str) -> Option<&str> {
    let (section, rest) = key.split_once(':')?;
    section.eq_ignore_ascii_case(SECTION).then_some(rest)
}
