//! CSV text to rows, with the options of npm csv-parse 4 that make sense for payloads.

use serde_json::Value;

use crate::javascript;

/// The most cells in a file.
const CELLS_LIMIT: usize = 100_000_000;

/// How to read a CSV text.
#[derive(Debug, Clone)]
pub(super) struct CsvOptions {
    pub(super) delimiters: Vec<String>,
    pub(super) quote: Option<char>,
    pub(super) escape: Option<char>,
    pub(super) comment: Option<String>,
    pub(super) trim_left: bool,
    pub(super) trim_right: bool,
    pub(super) skip_empty_lines: bool,
    pub(super) skip_lines_with_empty_values: bool,
    pub(super) relax_column_count: bool,
    pub(super) relax_quotes: bool,
    pub(super) cast: bool,
    /// Lines before this one are left out; counted from 1.
    pub(super) from_line: usize,
    pub(super) to_line: Option<usize>,
    /// Records before this one are left out; counted from 1.
    pub(super) from_record: usize,
    pub(super) to_record: Option<usize>,
}

/// What is wrong in which line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct CsvFault {
    pub(super) line: usize,
    pub(super) message: String,
}

type Row = Box<[Value]>;

pub(super) fn read(text: &str, options: &CsvOptions) -> Result<Vec<Row>, CsvFault> {
    let mut reader = Reader {
        rest: text.strip_prefix('\u{feff}').unwrap_or(text),
        line: 1,
        options,
    };
    let mut rows: Vec<Row> = Vec::new();
    let mut columns = None;
    let mut records = 0;
    let mut cells = 0;
    while !reader.rest.is_empty() {
        let line = reader.line;
        if options.to_line.is_some_and(|last| line > last) {
            break;
        }
        if line < options.from_line {
            reader.skip_record();
            continue;
        }
        let Some(row) = reader.record()? else {
            continue;
        };
        check_columns(&mut columns, row.len(), line, options)?;
        records += 1;
        cells += row.len();
        if cells > CELLS_LIMIT {
            return Err(CsvFault {
                line,
                message: format!("more than {CELLS_LIMIT} cells"),
            });
        }
        if options.to_record.is_some_and(|last| records > last) {
            break;
        }
        if records >= options.from_record {
            rows.push(row);
        }
    }
    Ok(rows)
}

fn check_columns(
    columns: &mut Option<usize>,
    found: usize,
    line: usize,
    options: &CsvOptions,
) -> Result<(), CsvFault> {
    let expected = *columns.get_or_insert(found);
    if expected == found || options.relax_column_count {
        return Ok(());
    }
    let message = format!("Invalid Record Length: expect {expected}, got {found} on line {line}");
    Err(CsvFault { line, message })
}

struct Reader<'a> {
    rest: &'a str,
    line: usize,
    options: &'a CsvOptions,
}

impl Reader<'_> {
    /// Passes over a record, or over a line that is none.
    fn skip_record(&mut self) {
        let (rest, line) = (self.rest, self.line);
        if self.record().is_err() {
            let end = rest.find('\n').map_or(rest.len(), |newline| newline + 1);
            self.rest = &rest[end..];
            self.line = line + 1;
        }
    }

    /// Takes a line break; at the end of the text it is taken to be there.
    fn line_break(&mut self) -> bool {
        for ending in ["\r\n", "\n", "\r"] {
            if let Some(rest) = self.rest.strip_prefix(ending) {
                self.rest = rest;
                self.line += 1;
                return true;
            }
        }
        self.rest.is_empty()
    }

    fn delimiter(&mut self) -> bool {
        let found = self
            .options
            .delimiters
            .iter()
            .find_map(|delimiter| self.rest.strip_prefix(delimiter.as_str()));
        self.rest = found.unwrap_or(self.rest);
        found.is_some()
    }

    /// Passes over a comment up to its line break.
    fn comment(&mut self) {
        if let Some(comment) = &self.options.comment
            && self.rest.starts_with(comment.as_str())
        {
            let end = self.rest.find(['\n', '\r']).unwrap_or(self.rest.len());
            self.rest = &self.rest[end..];
        }
    }

    /// The next record; `None` when the line is left out.
    fn record(&mut self) -> Result<Option<Row>, CsvFault> {
        let start = self.rest;
        self.comment();
        if self.comment_or_blank(start) {
            self.rest = self
                .rest
                .trim_start_matches(|blank: char| blank.is_whitespace() && !"\n\r".contains(blank));
            self.line_break();
            return Ok(None);
        }
        let mut cells = Vec::new();
        loop {
            cells.push(self.cell()?);
            if self.delimiter() {
                continue;
            }
            self.comment();
            self.line_break();
            break;
        }
        let all_empty = || cells.iter().all(|cell| cell.trim().is_empty());
        if self.options.skip_lines_with_empty_values && all_empty() {
            return Ok(None);
        }
        Ok(Some(
            cells.into_iter().map(|cell| self.cast(cell)).collect(),
        ))
    }

    /// Whether the line holds nothing, or nothing but a comment.
    fn comment_or_blank(&self, start: &str) -> bool {
        let commented = self.rest.len() < start.len();
        let line_end = self.rest.find(['\n', '\r']).unwrap_or(self.rest.len());
        let line = &self.rest[..line_end];
        let blank = if self.options.trim_left && self.options.trim_right {
            line.trim().is_empty()
        } else {
            line.is_empty()
        };
        commented || self.options.skip_empty_lines && blank
    }

    fn cell(&mut self) -> Result<String, CsvFault> {
        if self.options.trim_left {
            self.rest = self.rest.trim_start_matches([' ', '\t']);
        }
        match self.options.quote {
            Some(quote) if self.rest.starts_with(quote) => self.quoted(quote),
            _ => self.plain(),
        }
    }

    fn plain(&mut self) -> Result<String, CsvFault> {
        let start = self.rest;
        let mut length = 0;
        for letter in start.chars() {
            self.rest = &start[length..];
            let at_delimiter = self
                .options
                .delimiters
                .iter()
                .any(|delimiter| self.rest.starts_with(delimiter.as_str()));
            let at_comment = self
                .options
                .comment
                .as_deref()
                .is_some_and(|comment| self.rest.starts_with(comment));
            if at_delimiter || at_comment || letter == '\n' || letter == '\r' {
                break;
            }
            if self.options.quote == Some(letter) && !self.options.relax_quotes {
                let message = format!(
                    "Invalid Opening Quote: a quote is found inside a field at line {}",
                    self.line
                );
                return Err(CsvFault {
                    line: self.line,
                    message,
                });
            }
            length += letter.len_utf8();
        }
        self.rest = &start[length..];
        let cell = &start[..length];
        Ok(if self.options.trim_right {
            cell.trim_end()
        } else {
            cell
        }
        .to_owned())
    }

    fn quoted(&mut self, quote: char) -> Result<String, CsvFault> {
        let opened = self.line;
        let mut cell = String::new();
        let mut letters = self.rest.char_indices();
        letters.next();
        while let Some((position, letter)) = letters.next() {
            let after = &self.rest[position + letter.len_utf8()..];
            let next = after.chars().next();
            if Some(letter) == self.options.escape
                && (next == Some(quote) || next.is_some() && next == self.options.escape)
            {
                cell.extend(next);
                letters.next();
            } else if letter == quote {
                self.rest = after;
                return self.after_quote(cell, quote);
            } else {
                self.line += usize::from(letter == '\n');
                cell.push(letter);
            }
        }
        let message = format!(
            "Quote Not Closed: the parsing is finished with an opening quote at line {opened}"
        );
        Err(CsvFault {
            line: opened,
            message,
        })
    }

    fn after_quote(&mut self, mut cell: String, quote: char) -> Result<String, CsvFault> {
        if self.options.trim_right {
            self.rest = self.rest.trim_start_matches([' ', '\t']);
        }
        let ends = self.rest.is_empty() || self.rest.starts_with(['\n', '\r']);
        let delimited = self
            .options
            .delimiters
            .iter()
            .any(|delimiter| self.rest.starts_with(delimiter.as_str()));
        let commented = self
            .options
            .comment
            .as_deref()
            .is_some_and(|comment| self.rest.starts_with(comment));
        if ends || delimited || commented {
            return Ok(cell);
        }
        if !self.options.relax_quotes {
            let message = format!(
                "Invalid Closing Quote: got text after a closing quote at line {}",
                self.line
            );
            return Err(CsvFault {
                line: self.line,
                message,
            });
        }
        cell.insert(0, quote);
        cell.push(quote);
        cell.push_str(&self.plain()?);
        Ok(cell)
    }

    /// Texts that are numbers become numbers, as JavaScript reads them.
    fn cast(&self, cell: String) -> Value {
        if !self.options.cast || cell.trim().is_empty() {
            return Value::String(cell);
        }
        let number = javascript::to_number(&cell);
        if number.is_finite()
            && let Some(number) = javascript::number(decimal(&cell, number))
        {
            return Value::Number(number);
        }
        Value::String(cell)
    }
}

/// JavaScript's `parseFloat` reads no prefixes: of `0x1F` just the 0.
fn decimal(cell: &str, number: f64) -> f64 {
    let prefixed = ["0x", "0X", "0o", "0O", "0b", "0B"]
        .iter()
        .any(|prefix| cell.trim().starts_with(prefix));
    if prefixed { 0.0 } else { number }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn options() -> CsvOptions {
        CsvOptions {
            delimiters: vec![",".to_owned()],
            quote: Some('"'),
            escape: Some('"'),
            comment: None,
            trim_left: false,
            trim_right: false,
            skip_empty_lines: true,
            skip_lines_with_empty_values: false,
            relax_column_count: false,
            relax_quotes: false,
            cast: true,
            from_line: 1,
            to_line: None,
            from_record: 1,
            to_record: None,
        }
    }

    type Set = fn(&mut CsvOptions);

    /// Texts beside what csv-parse 4.16 makes of them.
    #[test]
    fn rows_are_those_of_csv_parse() {
        let plain: Set = |_| {};
        let trimmed: Set = |options| (options.trim_left, options.trim_right) = (true, true);
        let relaxed: Set = |options| options.relax_quotes = true;
        let cases: [(&str, Set, Value); 22] = [
            (
                "a,b\n\"x \"\"q\"\"\",2",
                plain,
                json!([["a", "b"], ["x \"q\"", 2]]),
            ),
            (
                "1,2\n3",
                |options| options.relax_column_count = true,
                json!([[1, 2], [3]]),
            ),
            ("\"a\"b,c", relaxed, json!([["\"a\"b", "c"]])),
            ("a\"b,c", relaxed, json!([["a\"b", "c"]])),
            (" \"a\" ,b", trimmed, json!([["a", "b"]])),
            (
                "# c\n1#x,2",
                |options| options.comment = Some("#".to_owned()),
                json!([[1]]),
            ),
            ("1\n   \n2", plain, json!([[1], ["   "], [2]])),
            ("1\n   \n2", trimmed, json!([[1], [2]])),
            (
                "a\n\n\nb",
                |options| options.skip_empty_lines = false,
                json!([["a"], [""], [""], ["b"]]),
            ),
            ("a,\n,", plain, json!([["a", ""], ["", ""]])),
            (
                ",,\n1,2,3",
                |options| options.skip_lines_with_empty_values = true,
                json!([[1, 2, 3]]),
            ),
            ("1\r\n2\r\n", plain, json!([[1], [2]])),
            ("1\r2", plain, json!([[1], [2]])),
            (
                "0x1F,007,1e3, 5 ,Infinity,-.5,1_0,,NaN,5.",
                plain,
                json!([[0, 7, 1000, 5, "Infinity", -0.5, "1_0", "", "NaN", 5]]),
            ),
            (
                "a;b|c",
                |options| options.delimiters = vec![";".to_owned(), "|".to_owned()],
                json!([["a", "b", "c"]]),
            ),
            (
                "a::b",
                |options| options.delimiters = vec!["::".to_owned()],
                json!([["a", "b"]]),
            ),
            (
                "\"a\nb\",1\n2,3",
                |options| options.from_line = 2,
                json!([[2, 3]]),
            ),
            (
                "'a''b',2",
                |options| (options.quote, options.escape) = (Some('\''), Some('\'')),
                json!([["a'b", 2]]),
            ),
            (
                "\"a\\\"b\",2",
                |options| options.escape = Some('\\'),
                json!([["a\"b", 2]]),
            ),
            (
                "\"a\",b",
                |options| options.quote = None,
                json!([["\"a\"", "b"]]),
            ),
            (
                "\"a\" \n\"b\"",
                |options| options.trim_right = true,
                json!([["a"], ["b"]]),
            ),
            ("", plain, json!([])),
        ];
        for (text, set, expected) in cases {
            let mut options = options();
            set(&mut options);
            let rows =
                read(text, &options).unwrap_or_else(|fault| panic!("{text:?}: {}", fault.message));
            assert_eq!(json!(rows), expected, "{text:?}");
        }
    }

    #[test]
    fn faults_name_their_line() {
        for (text, line, message) in [
            ("1,2\n3", 2, "Invalid Record Length: expect 2, got 1"),
            ("\"a\"b,c", 1, "Invalid Closing Quote"),
            (" \"a\" ,b", 1, "Invalid Opening Quote"),
            ("1\n\"unclosed\n", 2, "Quote Not Closed"),
        ] {
            let fault = read(text, &options()).expect_err("the text is broken");
            assert_eq!(fault.line, line, "{text:?}");
            assert!(fault.message.starts_with(message), "{}", fault.message);
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_not(text in "[a1,\"\n\r# ]{0,40}", from_line in 1usize..4, trim: bool, relax: bool) {
            let mut options = options();
            options.from_line = from_line;
            (options.trim_left, options.relax_quotes) = (trim, relax);
            options.comment = Some("#".to_owned());
            read(&text, &options).err().map(|fault| fault.message);
        }
    }
}
