//! What keeps a script from running, shown with the line it stands on.

use std::fmt;
use std::sync::Arc;

use crate::source::{Sources, Span};

/// Why a script cannot be run.
#[derive(Debug, Clone)]
pub struct ScriptError {
    fault: Box<Fault>,
}

#[derive(Debug, Clone)]
struct Fault {
    message: String,
    hint: Option<String>,
    place: Option<(Span, Arc<Sources>)>,
    exit_code: u8,
}

/// The widest part of a source line to show, in characters.
const EXCERPT_WIDTH: usize = 100;

/// How much of a line to show before the culprit when the line is too wide, in characters.
const EXCERPT_LEAD: usize = 40;

impl ScriptError {
    /// The exit code of most errors in a script.
    pub const EXIT_CODE: u8 = 1;

    /// The exit code of errors that Artillery finds only in its worker threads.
    pub const WORKER_EXIT_CODE: u8 = 11;

    pub(crate) fn new(message: impl Into<String>) -> ScriptError {
        ScriptError {
            fault: Box::new(Fault {
                message: message.into(),
                hint: None,
                place: None,
                exit_code: ScriptError::EXIT_CODE,
            }),
        }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> ScriptError {
        self.fault.hint = Some(hint.into());
        self
    }

    pub(crate) fn at(mut self, span: Span, sources: &Arc<Sources>) -> ScriptError {
        self.fault.place = Some((span, sources.clone()));
        self
    }

    pub(crate) fn exit_code(mut self, exit_code: u8) -> ScriptError {
        self.fault.exit_code = exit_code;
        self
    }

    /// The code a process that cannot go on because of this ends with, as Artillery's would.
    pub fn process_exit_code(&self) -> u8 {
        self.fault.exit_code
    }

    /// What is wrong, without its place.
    pub fn message(&self) -> &str {
        &self.fault.message
    }

    /// What to do about it.
    pub fn hint_text(&self) -> Option<&str> {
        self.fault.hint.as_deref()
    }

    /// The file and where in it, when it is about a file.
    pub fn place(&self) -> Option<(&str, Span)> {
        let (span, sources) = self.fault.place.as_ref()?;
        Some((sources.name(span.file), *span))
    }

    /// The whole message for a person: place, source line with the culprit underlined, hint.
    pub fn render(&self) -> String {
        let Fault {
            message,
            hint,
            place,
            ..
        } = &*self.fault;
        excerpt(
            "error",
            message,
            place.as_ref().map(|(span, sources)| (*span, &**sources)),
            hint.as_deref(),
        )
    }
}

impl fmt::Display for ScriptError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((span, sources)) = &self.fault.place {
            write!(formatter, "{}: ", sources.place(*span))?;
        }
        formatter.write_str(&self.fault.message)
    }
}

impl std::error::Error for ScriptError {}

/// `kind: message`, the place with its source line, and the hint, as errors and warnings are shown.
pub(crate) fn excerpt(
    kind: &str,
    message: &str,
    place: Option<(Span, &Sources)>,
    hint: Option<&str>,
) -> String {
    let mut out = format!("{kind}: {message}\n");
    if let Some((span, sources)) = place {
        let number = span.line.to_string();
        let margin = " ".repeat(number.len());
        let (line, column, width) = visible(sources.line(span), span);
        out += &format!("{margin}--> {}\n", sources.place(span));
        out += &format!("{margin} |\n");
        out += &format!("{number} | {line}\n");
        out += &format!("{margin} | {}{}\n", " ".repeat(column), "^".repeat(width));
    }
    if let Some(hint) = hint {
        out += &format!("hint: {hint}\n");
    }
    out
}

/// The part of a line to show, where in it the culprit starts and how wide it is.
fn visible(line: &str, span: Span) -> (String, usize, usize) {
    let column = (span.column as usize)
        .saturating_sub(1)
        .min(line.chars().count());
    let skipped = if column > EXCERPT_WIDTH - EXCERPT_LEAD {
        column - EXCERPT_LEAD
    } else {
        0
    };
    let shown: String = line
        .chars()
        .skip(skipped)
        .take(EXCERPT_WIDTH)
        .map(|letter| if letter.is_control() { ' ' } else { letter })
        .collect();
    let culprit: String = line.chars().skip(column).collect();
    let bytes = (span.length as usize).min(culprit.len());
    let width = culprit
        .char_indices()
        .take_while(|(start, _)| *start < bytes)
        .count();
    let room = shown.chars().count().saturating_sub(column - skipped);
    (shown, column - skipped, width.clamp(1, room.max(1)))
}
