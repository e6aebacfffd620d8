//! JSONPath in the dialect of jsonpath-plus, which Artillery's captures are written in: names may
//! hold dashes, `length` counts, `^` is the parent, `~` the name, and filters are JavaScript over
//! `@`. Plain paths (`$.a.b[0]`) are followed while the body is read.

mod evaluate;
mod filter;
mod parser;
mod stream;

use std::borrow::Cow;

use serde_json::Value;

use filter::Filter;

/// The longest path, in bytes.
pub const LENGTH_LIMIT: usize = 4_096;

/// How many values one query may look at; a query that wants more finds nothing further.
pub const VISITS_LIMIT: u32 = 1_000_000;

/// A compiled path.
#[derive(Debug, Clone)]
pub struct JsonPath {
    steps: Box<[Step]>,
    plain: bool,
}

/// What a path found.
#[derive(Debug, Clone, PartialEq)]
pub enum Found {
    /// The document is no object and no list, so there is nothing to look in.
    NoDocument,
    /// The path leads nowhere.
    Nothing,
    /// This.
    Value(Value),
}

/// One hit of a query.
#[derive(Debug, Clone, PartialEq)]
pub struct Hit<'v> {
    /// The value.
    pub value: Cow<'v, Value>,
    /// Whether the path may have had others in mind as well (`*`, `..`, filters, slices, unions).
    pub one_of_many: bool,
}

impl JsonPath {
    /// Compiles `text`.
    ///
    /// # Errors
    ///
    /// What is wrong with it, in one line.
    pub fn parse(text: &str) -> Result<JsonPath, String> {
        if text.len() > LENGTH_LIMIT {
            return Err(format!("JSONPath longer than {LENGTH_LIMIT} bytes"));
        }
        let steps = parser::parse(text)?;
        let plain = steps
            .iter()
            .all(|step| matches!(step, Step::Key(key) if key.name != "length"));
        Ok(JsonPath {
            steps: steps.into(),
            plain,
        })
    }

    /// Whether the path names one place and nothing else.
    pub fn is_plain(&self) -> bool {
        self.plain
    }

    /// All hits in `document`, in its order.
    pub fn query<'v>(&self, document: &'v Value) -> Vec<Hit<'v>> {
        evaluate::query(&self.steps, document)
    }

    /// What a plain path leads to in `document`.
    pub fn lookup(&self, document: &Value) -> Found {
        if !is_structure(document) {
            return Found::NoDocument;
        }
        match self.query(document).into_iter().next() {
            Some(hit) => Found::Value(hit.value.into_owned()),
            None => Found::Nothing,
        }
    }

    /// What a plain path leads to in a document that is read only now, or `None` when `body` is no
    /// JSON.
    pub fn stream(&self, body: &[u8]) -> Option<Found> {
        stream::find(&self.steps, body)
    }
}

/// Whether JavaScript would call `value` an object, and it is not null.
pub fn is_structure(value: &Value) -> bool {
    value.is_object() || value.is_array()
}

/// One step of a path.
#[derive(Debug, Clone)]
enum Step {
    /// A member, or the item of a list.
    Key(Key),
    /// `*`: all members.
    Every,
    /// `..`: the value and all below it.
    Descend,
    /// `^`: the object or list the value is in.
    Parent,
    /// `~`: the member's name.
    Name,
    /// `[start:end:step]`.
    Slice {
        start: i64,
        end: Option<i64>,
        step: usize,
    },
    /// `[?(…)]`: the members for which the expression holds.
    Filter(Filter),
    /// `[(…)]`: the member the expression names.
    Computed(Filter),
    /// `[a,b]`.
    Union(Box<[Step]>),
    /// `@string()` and the like: the value, if it is of the type.
    OfType(ValueType),
}

/// A member's name, kept as an index too where it is one.
#[derive(Debug, Clone, PartialEq)]
struct Key {
    name: String,
    index: Option<usize>,
}

impl Key {
    fn new(name: &str) -> Key {
        let is_index =
            name == "0" || !name.starts_with('0') && name.bytes().all(|byte| byte.is_ascii_digit());
        Key {
            index: if is_index { name.parse().ok() } else { None },
            name: name.to_owned(),
        }
    }

    /// The member of `value` that JavaScript calls its own.
    fn of<'v>(&self, value: &'v Value) -> Option<Cow<'v, Value>> {
        match value {
            Value::Object(members) => members.get(&self.name).map(Cow::Borrowed),
            Value::Array(items) => match self.index {
                Some(index) => items.get(index).map(Cow::Borrowed),
                None => (self.name == "length").then(|| Cow::Owned(items.len().into())),
            },
            Value::String(text) => match self.index {
                Some(index) => text
                    .chars()
                    .nth(index)
                    .map(|letter| Cow::Owned(letter.to_string().into())),
                None => (self.name == "length" && !text.is_empty())
                    .then(|| Cow::Owned(text.encode_utf16().count().into())),
            },
            _ => None,
        }
    }
}

/// The types that `@string()` and its kin ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ValueType {
    Scalar,
    Boolean,
    String,
    Integer,
    Number,
    Object,
    Array,
    Null,
    /// `@undefined()`, `@function()`, `@nonFinite()`: nothing in JSON.
    Never,
}

impl ValueType {
    fn named(name: &str) -> Option<ValueType> {
        Some(match name {
            "scalar" => ValueType::Scalar,
            "boolean" => ValueType::Boolean,
            "string" => ValueType::String,
            "integer" => ValueType::Integer,
            "number" => ValueType::Number,
            "object" => ValueType::Object,
            "array" => ValueType::Array,
            "null" => ValueType::Null,
            "undefined" | "function" | "nonFinite" => ValueType::Never,
            _ => return None,
        })
    }

    fn fits(self, value: &Value) -> bool {
        match self {
            ValueType::Scalar => !is_structure(value),
            ValueType::Boolean => value.is_boolean(),
            ValueType::String => value.is_string(),
            ValueType::Integer => value.as_f64().is_some_and(|number| number.fract() == 0.0),
            ValueType::Number => value.is_number(),
            ValueType::Object => is_structure(value),
            ValueType::Array => value.is_array(),
            ValueType::Null => value.is_null(),
            ValueType::Never => false,
        }
    }
}

#[cfg(test)]
mod tests;
