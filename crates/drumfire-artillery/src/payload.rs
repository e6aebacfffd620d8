//! CSV payloads: rows shared by all users, and which user gets which row.

mod csv;

use std::sync::Arc;

use serde_json::{Map, Value};

use self::csv::CsvOptions;
use crate::error::ScriptError;
use crate::javascript;
use crate::node::{Node, NodeValue};
use crate::source::{Sources, Span};

/// Keys of a payload.
pub(crate) const KEYS: [&str; 10] = [
    "path",
    "fields",
    "order",
    "skipHeader",
    "delimiter",
    "cast",
    "skipEmptyLines",
    "options",
    "name",
    "loadAll",
];

/// One CSV file, ready to use. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Payload {
    fields: Arc<[Arc<str>]>,
    rows: Arc<[Box<[Value]>]>,
    order: Order,
    whole: Option<(Arc<str>, Arc<Value>)>,
}

/// Which row a user gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Any.
    Random,
    /// The next in the global order of arrivals, from the top again after the last.
    Sequence,
    /// The next in the global order of arrivals, and none after the last: no two users get the same.
    Unique,
}

impl Payload {
    /// A payload of `rows` whose columns become the variables `fields`.
    pub fn new(fields: Vec<Arc<str>>, rows: Vec<Box<[Value]>>, order: Order) -> Payload {
        Payload {
            fields: fields.into(),
            rows: rows.into(),
            order,
            whole: None,
        }
    }

    /// The same payload as one variable `name` that holds the whole file (`loadAll`): a list of
    /// objects, or of lists when there are no fields.
    pub fn load_all(mut self, name: &str) -> Payload {
        let rows = self.rows.iter().map(|row| self.row_value(row)).collect();
        self.whole = Some((name.into(), Arc::new(Value::Array(rows))));
        self.rows = Arc::default();
        self
    }

    fn row_value(&self, row: &[Value]) -> Value {
        if self.fields.is_empty() {
            return Value::Array(row.to_vec());
        }
        let members = self
            .fields
            .iter()
            .zip(row)
            .map(|(field, value)| (field.to_string(), value.clone()));
        Value::Object(Map::from_iter(members))
    }

    /// The names of the columns that become variables.
    pub fn fields(&self) -> &[Arc<str>] {
        &self.fields
    }

    /// Variable and value when the whole file is one variable.
    pub fn whole(&self) -> Option<(&Arc<str>, &Arc<Value>)> {
        self.whole.as_ref().map(|(name, rows)| (name, rows))
    }

    /// The row of the user that arrives as number `arrival` of the whole test and drew `chance`;
    /// `None` when there are no rows, or no more.
    pub fn row(&self, arrival: u64, chance: u64) -> Option<&[Value]> {
        let rows = self.rows.len() as u64;
        let index = match self.order {
            Order::Random => chance.checked_rem(rows)?,
            Order::Sequence => arrival.checked_rem(rows)?,
            Order::Unique => arrival,
        };
        let index = usize::try_from(index).ok()?;
        self.rows.get(index).map(|row| &**row)
    }

    /// Whether the user that arrives as number `arrival` gets none, as each row is for one user and all have been given.
    pub fn is_used_up(&self, arrival: u64) -> bool {
        self.rows_for_one().is_some_and(|last| arrival >= last)
    }

    /// How many users get a row, where each row is for one.
    pub fn rows_for_one(&self) -> Option<u64> {
        (self.order == Order::Unique).then_some(self.rows.len() as u64)
    }

    /// How many rows there are to pick from.
    pub fn rows(&self) -> usize {
        self.rows.len()
    }
}

/// Reads the CSV file `path` with the settings in `node`.
pub(crate) fn read(
    node: &Node,
    path: &str,
    bytes: &[u8],
    sources: &Arc<Sources>,
) -> Result<Payload, ScriptError> {
    let spec = Spec { node, sources };
    let text = std::str::from_utf8(bytes).map_err(|error| {
        spec.error(
            node,
            format!("{path} is not UTF-8 text from byte {}", error.valid_up_to()),
        )
    })?;
    let rows = csv::read(text, &spec.csv_options()?).map_err(|fault| {
        let mut sources = Sources::clone(sources);
        if text.len() > u32::MAX as usize {
            return spec.error(
                node,
                format!("{path}, line {}: {}", fault.line, fault.message),
            );
        }
        let span = line_span(text, fault.line, &mut sources, path);
        ScriptError::new(fault.message).at(span, &Arc::new(sources))
    })?;
    let payload = Payload::new(spec.fields()?, rows, spec.order()?);
    match (
        node.get("loadAll").is_some_and(Node::is_truthy),
        node.get("name"),
    ) {
        (true, Some(name)) if node.get("order").is_none() => {
            Ok(payload.load_all(&javascript::text(&name.to_value())))
        }
        (true, None) => Err(spec.error(
            node,
            "`loadAll` needs `name`, the variable for the whole file",
        )),
        _ => Ok(payload),
    }
}

fn line_span(text: &str, line: usize, sources: &mut Sources, path: &str) -> Span {
    let file = sources.add(path, text);
    let offset = text
        .split_inclusive('\n')
        .take(line - 1)
        .map(str::len)
        .sum::<usize>();
    let length = text[offset..].lines().next().map_or(0, str::len);
    Span {
        line: line as u32,
        offset: offset as u32,
        length: length as u32,
        ..Span::start_of(file)
    }
}

/// A payload's settings as written.
struct Spec<'a> {
    node: &'a Node,
    sources: &'a Arc<Sources>,
}

impl Spec<'_> {
    fn error(&self, node: &Node, message: impl Into<String>) -> ScriptError {
        ScriptError::new(message).at(node.span, self.sources)
    }

    fn fields(&self) -> Result<Vec<Arc<str>>, ScriptError> {
        let mut fields = Vec::new();
        for field in self.node.get("fields").map_or(&[][..], Node::as_items) {
            match field.value {
                NodeValue::List(_) | NodeValue::Map(_) => {
                    return Err(self.error(
                        field,
                        format!("a field must be a text, not {}", field.kind()),
                    ));
                }
                _ => fields.push(javascript::text(&field.to_value()).into()),
            }
        }
        Ok(fields)
    }

    fn order(&self) -> Result<Order, ScriptError> {
        let Some(order) = self.node.get("order") else {
            return Ok(Order::Random);
        };
        match order.as_text().map(|text| &**text) {
            Some("random") => Ok(Order::Random),
            Some("sequence") => Ok(Order::Sequence),
            Some("unique") => Ok(Order::Unique),
            _ => Err(self.error(order, "`order` must be random, sequence or unique")),
        }
    }

    fn csv_options(&self) -> Result<CsvOptions, ScriptError> {
        let node = self.node;
        let mut options = CsvOptions {
            delimiters: vec![",".to_owned()],
            quote: Some('"'),
            escape: Some('"'),
            comment: None,
            trim_left: false,
            trim_right: false,
            skip_empty_lines: node.get("skipEmptyLines").is_none_or(Node::is_truthy),
            skip_lines_with_empty_values: false,
            relax_column_count: false,
            relax_quotes: false,
            cast: node.get("cast").is_none_or(Node::is_truthy),
            from_line: if matches!(
                node.get("skipHeader").map(|skip| &skip.value),
                Some(NodeValue::Bool(true))
            ) {
                2
            } else {
                1
            },
            to_line: None,
            from_record: 1,
            to_record: None,
        };
        if let Some(delimiter) = node
            .get("delimiter")
            .filter(|delimiter| delimiter.is_truthy())
        {
            options.delimiters = self.texts(delimiter)?;
        }
        for (key, member) in node
            .get("options")
            .and_then(Node::as_map)
            .into_iter()
            .flatten()
        {
            self.raw_option(&snake_case(key), &member.node, &mut options)?;
        }
        Ok(options)
    }

    /// One of csv-parse's own options; they win over the payload's.
    fn raw_option(
        &self,
        name: &str,
        node: &Node,
        options: &mut CsvOptions,
    ) -> Result<(), ScriptError> {
        match name {
            "delimiter" => options.delimiters = self.texts(node)?,
            "quote" => options.quote = self.letter(node)?,
            "escape" => options.escape = self.letter(node)?,
            "comment" => {
                options.comment = if node.is_truthy() {
                    self.texts(node)?.pop()
                } else {
                    None
                }
            }
            "trim" => {
                (options.trim_left, options.trim_right) = (node.is_truthy(), node.is_truthy())
            }
            "ltrim" => options.trim_left = node.is_truthy(),
            "rtrim" => options.trim_right = node.is_truthy(),
            "skip_empty_lines" => options.skip_empty_lines = node.is_truthy(),
            "skip_lines_with_empty_values" => {
                options.skip_lines_with_empty_values = node.is_truthy()
            }
            "relax_column_count" | "relax_column_count_less" | "relax_column_count_more" => {
                options.relax_column_count |= node.is_truthy();
            }
            "relax" => options.relax_quotes = node.is_truthy(),
            "cast" => options.cast = node.is_truthy(),
            "from_line" => options.from_line = self.position(node)?,
            "to_line" => options.to_line = self.limit(node)?,
            "from" => options.from_record = self.position(node)?,
            "to" => options.to_record = self.limit(node)?,
            // A byte order mark is always passed over.
            "bom" => {}
            "encoding"
                if node
                    .as_text()
                    .is_some_and(|name| ["utf8", "utf-8"].contains(&&**name)) => {}
            _ => {
                return Err(self
                    .error(node, format!("CSV option `{name}` is not supported"))
                    .hint("supported are delimiter, quote, escape, comment, trim, ltrim, rtrim, relax, relax_column_count, skip_empty_lines, skip_lines_with_empty_values, cast, from, to, from_line, to_line, bom"));
            }
        }
        Ok(())
    }

    /// One text or several, none of them empty.
    fn texts(&self, node: &Node) -> Result<Vec<String>, ScriptError> {
        node.as_items()
            .iter()
            .map(|item| match item.as_text() {
                Some(text) if !text.is_empty() => Ok(text.to_string()),
                _ => Err(self.error(item, format!("expected a text, not {}", item.kind()))),
            })
            .collect()
    }

    /// One letter; nothing, `false` and an empty text switch the option off.
    fn letter(&self, node: &Node) -> Result<Option<char>, ScriptError> {
        if !node.is_truthy() {
            return Ok(None);
        }
        let mut letters = node
            .as_text()
            .map(|text| text.chars())
            .into_iter()
            .flatten();
        match (letters.next(), letters.next()) {
            (Some(letter), None) => Ok(Some(letter)),
            _ => Err(self.error(node, "expected one letter")),
        }
    }

    fn position(&self, node: &Node) -> Result<usize, ScriptError> {
        match javascript::value_to_number(&node.to_value()) {
            number if number >= 1.0 && number.fract() == 0.0 => Ok(number as usize),
            _ => Err(self.error(node, "expected a number from 1 on")),
        }
    }

    fn limit(&self, node: &Node) -> Result<Option<usize>, ScriptError> {
        if matches!(javascript::value_to_number(&node.to_value()), number if number == -1.0) {
            return Ok(None);
        }
        self.position(node).map(Some)
    }
}

/// `relaxColumnCount` is `relax_column_count`.
fn snake_case(name: &str) -> String {
    name.chars().fold(String::new(), |mut snake, letter| {
        if letter.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
        snake
    })
}
