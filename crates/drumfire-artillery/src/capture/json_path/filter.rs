//! The JavaScript of filters: operators, literals, regular expressions and a few string functions
//! over `@`, `@property`, `@parent` and `@root`. What is undefined stays undefined instead of
//! throwing.

mod lexer;
mod parser;

use std::borrow::Cow;

use serde_json::Value;

use super::Key;
use super::evaluate::Place;
use crate::javascript;
use crate::pattern::Pattern;

/// A parsed filter.
#[derive(Debug, Clone)]
pub(super) struct Filter {
    root: Box<Node>,
}

impl Filter {
    /// Parses `text`.
    pub(super) fn parse(text: &str) -> Result<Filter, String> {
        let tokens = lexer::tokens(text)?;
        let root = parser::parse(&tokens, text)?;
        Ok(Filter {
            root: Box::new(root),
        })
    }

    /// The value at `place`.
    pub(super) fn evaluate<'a>(&'a self, place: &Place<'a, '_>, root: &'a Value) -> Js<'a> {
        self.root.evaluate(place, root)
    }
}

/// One operation.
#[derive(Debug, Clone)]
enum Node {
    Literal(Value),
    Undefined,
    Pattern(Box<Pattern>),
    Current,
    Property,
    Parent,
    ParentProperty,
    Root,
    Member(Box<Node>, Box<Node>),
    Call(Box<Node>, Method, Vec<Node>),
    List(Vec<Node>),
    Not(Box<Node>),
    Negate(Box<Node>),
    Binary(Operator, Box<Node>, Box<Node>),
}

/// A function of a string or a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Method {
    Includes,
    StartsWith,
    EndsWith,
    IndexOf,
    Match,
    Test,
    ToLowerCase,
    ToUpperCase,
    Trim,
    ToString,
}

impl Method {
    fn named(name: &str) -> Option<Method> {
        Some(match name {
            "includes" => Method::Includes,
            "startsWith" => Method::StartsWith,
            "endsWith" => Method::EndsWith,
            "indexOf" => Method::IndexOf,
            "match" => Method::Match,
            "test" => Method::Test,
            "toLowerCase" => Method::ToLowerCase,
            "toUpperCase" => Method::ToUpperCase,
            "trim" => Method::Trim,
            "toString" => Method::ToString,
            _ => return None,
        })
    }
}

/// An operator with two operands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Or,
    And,
    Equal,
    NotEqual,
    StrictlyEqual,
    StrictlyNotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

/// A value of JavaScript.
#[derive(Debug, Clone)]
pub(super) enum Js<'a> {
    Undefined,
    Number(f64),
    Value(Cow<'a, Value>),
    Pattern(&'a Pattern),
}

impl<'a> Js<'a> {
    fn boolean(truth: bool) -> Js<'static> {
        Js::Value(Cow::Owned(Value::Bool(truth)))
    }

    fn of(value: Option<Cow<'a, Value>>) -> Js<'a> {
        match value {
            Some(value) => match value.as_ref() {
                Value::Number(number) => Js::Number(number.as_f64().unwrap_or(f64::NAN)),
                _ => Js::Value(value),
            },
            None => Js::Undefined,
        }
    }

    /// As the name of a property; undefined names none.
    pub(super) fn property_name(&self) -> Option<String> {
        match self {
            Js::Undefined | Js::Pattern(_) => None,
            named => Some(named.text()),
        }
    }

    fn number(&self) -> f64 {
        match self {
            Js::Undefined | Js::Pattern(_) => f64::NAN,
            Js::Number(number) => *number,
            Js::Value(value) => javascript::value_to_number(value),
        }
    }

    fn text(&self) -> String {
        match self {
            Js::Undefined => "undefined".to_owned(),
            Js::Number(number) => javascript::float_text(*number),
            Js::Value(value) => javascript::text(value),
            Js::Pattern(_) => String::new(),
        }
    }

    fn is_string(&self) -> bool {
        matches!(self, Js::Value(value) if value.is_string())
    }

    fn is_nothing(&self) -> bool {
        match self {
            Js::Undefined => true,
            Js::Value(value) => value.is_null(),
            _ => false,
        }
    }
}

/// Whether JavaScript takes `value` for true.
pub(super) fn is_truthy(value: &Js<'_>) -> bool {
    match value {
        Js::Undefined => false,
        Js::Number(number) => *number != 0.0 && !number.is_nan(),
        Js::Pattern(_) => true,
        Js::Value(value) => match value.as_ref() {
            Value::Null => false,
            Value::Bool(truth) => *truth,
            Value::String(text) => !text.is_empty(),
            _ => true,
        },
    }
}

impl Node {
    fn evaluate<'a>(&'a self, place: &Place<'a, '_>, root: &'a Value) -> Js<'a> {
        let run = |node: &'a Node| node.evaluate(place, root);
        match self {
            Node::Literal(value) => Js::of(Some(Cow::Borrowed(value))),
            Node::Undefined => Js::Undefined,
            Node::Pattern(pattern) => Js::Pattern(pattern),
            Node::Current => Js::of(Some(Cow::Borrowed(place.value))),
            Node::Property => Js::of(place.name.map(|name| Cow::Owned(name.value()))),
            // jsonpath-plus means the parent of the object or list that is filtered.
            Node::Parent => {
                let parent = place.parent.and_then(|filtered| filtered.parent);
                Js::of(parent.map(|parent| Cow::Borrowed(parent.value)))
            }
            Node::ParentProperty => {
                let name = place.parent.and_then(|parent| parent.name);
                Js::of(name.map(|name| Cow::Owned(name.value())))
            }
            Node::Root => Js::of(Some(Cow::Borrowed(root))),
            Node::Member(object, name) => match run(name).property_name() {
                Some(name) => member(run(object), &Key::new(&name)),
                None => Js::Undefined,
            },
            Node::Call(object, method, arguments) => {
                let argument = arguments.first().map_or(Js::Undefined, run);
                call(*method, &run(object), &argument)
            }
            Node::List(items) => {
                let items = items.iter().map(|item| plain(run(item))).collect();
                Js::Value(Cow::Owned(Value::Array(items)))
            }
            Node::Not(inner) => Js::boolean(!is_truthy(&run(inner))),
            Node::Negate(inner) => Js::Number(-run(inner).number()),
            Node::Binary(Operator::Or, left, right) => {
                let left = run(left);
                if is_truthy(&left) { left } else { run(right) }
            }
            Node::Binary(Operator::And, left, right) => {
                let left = run(left);
                if is_truthy(&left) { run(right) } else { left }
            }
            Node::Binary(operator, left, right) => binary(*operator, &run(left), &run(right)),
        }
    }
}

/// A value that may stand in a list.
fn plain(value: Js<'_>) -> Value {
    match value {
        Js::Value(value) => value.into_owned(),
        Js::Number(number) => javascript::number(number).map_or(Value::Null, Value::Number),
        Js::Undefined | Js::Pattern(_) => Value::Null,
    }
}

fn member<'a>(object: Js<'a>, key: &Key) -> Js<'a> {
    match object {
        Js::Value(Cow::Borrowed(value)) => Js::of(key.of(value)),
        Js::Value(Cow::Owned(value)) => {
            Js::of(key.of(&value).map(|found| Cow::Owned(found.into_owned())))
        }
        _ => Js::Undefined,
    }
}

fn call<'a>(method: Method, object: &Js<'a>, argument: &Js<'a>) -> Js<'a> {
    if let (Method::Test, Js::Pattern(pattern)) = (method, object) {
        return Js::boolean(pattern.is_match(&argument.text()));
    }
    if method == Method::ToString {
        return Js::Value(Cow::Owned(Value::String(object.text())));
    }
    let Js::Value(value) = object else {
        return Js::Undefined;
    };
    match value.as_ref() {
        Value::String(text) => text_method(method, text, argument),
        Value::Array(items) => {
            let position = items
                .iter()
                .position(|item| strictly_equal(&Js::of(Some(Cow::Borrowed(item))), argument));
            match method {
                Method::Includes => Js::boolean(position.is_some()),
                Method::IndexOf => Js::Number(position.map_or(-1.0, |position| position as f64)),
                _ => Js::Undefined,
            }
        }
        _ => Js::Undefined,
    }
}

fn text_method<'a>(method: Method, text: &str, argument: &Js<'a>) -> Js<'a> {
    let owned = |text: String| Js::Value(Cow::Owned(Value::String(text)));
    match method {
        Method::ToLowerCase => owned(text.to_lowercase()),
        Method::ToUpperCase => owned(text.to_uppercase()),
        Method::Trim => owned(text.trim().to_owned()),
        Method::Match => {
            let found = match argument {
                Js::Pattern(pattern) => pattern.is_match(text),
                other => {
                    Pattern::compile(&other.text(), "").is_ok_and(|pattern| pattern.is_match(text))
                }
            };
            if found {
                Js::boolean(true)
            } else {
                Js::Value(Cow::Owned(Value::Null))
            }
        }
        Method::Includes => Js::boolean(text.contains(&argument.text())),
        Method::StartsWith => Js::boolean(text.starts_with(&argument.text())),
        Method::EndsWith => Js::boolean(text.ends_with(&argument.text())),
        Method::IndexOf => Js::Number(match text.find(&argument.text()) {
            Some(position) => text[..position].encode_utf16().count() as f64,
            None => -1.0,
        }),
        Method::Test | Method::ToString => Js::Undefined,
    }
}

fn binary<'a>(operator: Operator, left: &Js<'a>, right: &Js<'a>) -> Js<'a> {
    use std::cmp::Ordering;
    let ordered = |holds: fn(Ordering) -> bool| {
        let order = if left.is_string() && right.is_string() {
            Some(left.text().encode_utf16().cmp(right.text().encode_utf16()))
        } else {
            left.number().partial_cmp(&right.number())
        };
        Js::boolean(order.is_some_and(holds))
    };
    match operator {
        Operator::Equal => Js::boolean(loosely_equal(left, right)),
        Operator::NotEqual => Js::boolean(!loosely_equal(left, right)),
        Operator::StrictlyEqual => Js::boolean(strictly_equal(left, right)),
        Operator::StrictlyNotEqual => Js::boolean(!strictly_equal(left, right)),
        Operator::Less => ordered(Ordering::is_lt),
        Operator::LessOrEqual => ordered(Ordering::is_le),
        Operator::Greater => ordered(Ordering::is_gt),
        Operator::GreaterOrEqual => ordered(Ordering::is_ge),
        Operator::Add if left.is_string() || right.is_string() => {
            Js::Value(Cow::Owned(Value::String(left.text() + &right.text())))
        }
        Operator::Add => Js::Number(left.number() + right.number()),
        Operator::Subtract => Js::Number(left.number() - right.number()),
        Operator::Multiply => Js::Number(left.number() * right.number()),
        Operator::Divide => Js::Number(left.number() / right.number()),
        Operator::Remainder => Js::Number(left.number() % right.number()),
        Operator::Or | Operator::And => unreachable!("decided before both sides are known"),
    }
}

fn strictly_equal(left: &Js<'_>, right: &Js<'_>) -> bool {
    match (left, right) {
        (Js::Undefined, Js::Undefined) => true,
        (Js::Number(left), Js::Number(right)) => left == right,
        (Js::Value(left), Js::Value(right)) => javascript::strictly_equal(left, right),
        _ => false,
    }
}

fn loosely_equal(left: &Js<'_>, right: &Js<'_>) -> bool {
    if left.is_nothing() || right.is_nothing() {
        return left.is_nothing() && right.is_nothing();
    }
    if left.is_string() && right.is_string() {
        return left.text() == right.text();
    }
    strictly_equal(left, right) || left.number() == right.number()
}
