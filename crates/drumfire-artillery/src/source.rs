//! The texts a script was read from, and places in them: every value of a script keeps its place,
//! so that an error found late still points at file, line and column.

use std::fmt;
use std::sync::Arc;

/// Index of a file in its [`Sources`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileId(u16);

/// A place in a source file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The file.
    pub file: FileId,
    /// The line, from 1.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
    /// The first byte, from 0.
    pub offset: u32,
    /// How many bytes belong to the place.
    pub length: u32,
}

impl Span {
    /// The start of a file.
    pub fn start_of(file: FileId) -> Span {
        Span {
            file,
            line: 1,
            column: 1,
            offset: 0,
            length: 0,
        }
    }
}

/// One text with the name that users know it by.
#[derive(Debug, Clone)]
struct Source {
    name: Arc<str>,
    text: Arc<str>,
}

/// All texts a script was made of: files, and the JSON given on the command line.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    sources: Vec<Source>,
}

impl Sources {
    /// How many texts a script may be made of.
    pub const FILES_LIMIT: usize = 1_024;

    /// Adds a text under `name`.
    ///
    /// # Panics
    ///
    /// When there are [`Sources::FILES_LIMIT`] texts already; the loader refuses that many before.
    pub fn add(&mut self, name: &str, text: &str) -> FileId {
        assert!(
            self.sources.len() < Self::FILES_LIMIT,
            "the loader limits the number of files"
        );
        self.sources.push(Source {
            name: name.into(),
            text: text.into(),
        });
        FileId((self.sources.len() - 1) as u16)
    }

    /// The name of `file`.
    pub fn name(&self, file: FileId) -> &str {
        &self.sources[usize::from(file.0)].name
    }

    /// `file:line:column` of a place.
    pub fn place(&self, span: Span) -> Place<'_> {
        Place {
            name: self.name(span.file),
            span,
        }
    }

    /// The line a place is on, without its line break.
    pub fn line(&self, span: Span) -> &str {
        let text = &self.sources[usize::from(span.file.0)].text;
        let mut offset = (span.offset as usize).min(text.len());
        while !text.is_char_boundary(offset) {
            offset -= 1;
        }
        let start = text[..offset].rfind('\n').map_or(0, |newline| newline + 1);
        let end = text[offset..]
            .find('\n')
            .map_or(text.len(), |newline| offset + newline);
        text[start..end].trim_end_matches('\r')
    }
}

/// A place that prints as `file:line:column`.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    name: &'a str,
    span: Span,
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{}:{}:{}",
            self.name, self.span.line, self.span.column
        )
    }
}
