//! The value of an expression, with JavaScript's casts.

use std::borrow::Cow;

use rand::{Rng, RngExt};
use serde_json::Value;

use super::{Lookup, Node, Operator};
use crate::javascript;

/// What an expression, or a part of it, comes out as.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome<'a> {
    /// Undefined.
    Undefined,
    /// A number; comparisons give 0 and 1.
    Number(f64),
    /// A text.
    Text(Cow<'a, str>),
    /// A list.
    List(Vec<Outcome<'a>>),
    /// Null, true, false or an object.
    Value(Cow<'a, Value>),
    /// A call of this unknown function; the whole expression ends with it.
    UnknownFunction(String),
}

impl<'a> Outcome<'a> {
    fn from_value(value: Cow<'a, Value>) -> Outcome<'a> {
        match value {
            Cow::Borrowed(Value::String(text)) => Outcome::Text(Cow::Borrowed(text)),
            Cow::Owned(Value::String(text)) => Outcome::Text(Cow::Owned(text)),
            Cow::Borrowed(Value::Array(items)) => Outcome::List(
                items
                    .iter()
                    .map(|item| Outcome::from_value(Cow::Borrowed(item)))
                    .collect(),
            ),
            Cow::Owned(Value::Array(items)) => Outcome::List(
                items
                    .into_iter()
                    .map(|item| Outcome::from_value(Cow::Owned(item)))
                    .collect(),
            ),
            value => match value.as_ref() {
                Value::Number(number) => Outcome::Number(number.as_f64().unwrap_or(f64::NAN)),
                _ => Outcome::Value(value),
            },
        }
    }

    fn from_bool(truth: bool) -> Outcome<'static> {
        Outcome::Number(f64::from(u8::from(truth)))
    }

    /// Whether JavaScript takes the value for true.
    pub fn is_truthy(&self) -> bool {
        match self {
            Outcome::Undefined => false,
            Outcome::Number(number) => *number != 0.0 && !number.is_nan(),
            Outcome::Text(text) => !text.is_empty(),
            Outcome::Value(value) => !matches!(value.as_ref(), Value::Null | Value::Bool(false)),
            Outcome::List(_) | Outcome::UnknownFunction(_) => true,
        }
    }

    fn number(&self) -> f64 {
        match self {
            Outcome::Number(number) => *number,
            Outcome::Undefined | Outcome::UnknownFunction(_) => f64::NAN,
            Outcome::Value(value) => javascript::value_to_number(value),
            printed => javascript::to_number(&printed.text()),
        }
    }

    fn text(&self) -> String {
        match self {
            Outcome::Undefined => "undefined".to_owned(),
            Outcome::Number(number) => javascript::float_text(*number),
            Outcome::Text(text) => text.to_string(),
            Outcome::List(items) => items
                .iter()
                .map(Outcome::item_text)
                .collect::<Vec<_>>()
                .join(","),
            Outcome::Value(value) if value.is_object() => "[object Object]".to_owned(),
            Outcome::Value(value) => javascript::text(value),
            Outcome::UnknownFunction(name) => format!("Unknown function: {name}()"),
        }
    }

    /// As `join` prints an item: nothing for undefined and null.
    fn item_text(&self) -> String {
        match self {
            Outcome::Undefined => String::new(),
            Outcome::Value(value) if value.is_null() => String::new(),
            item => item.text(),
        }
    }

    fn is_nothing(&self) -> bool {
        match self {
            Outcome::Undefined => true,
            Outcome::Value(value) => value.is_null(),
            _ => false,
        }
    }

    fn is_object(&self) -> bool {
        match self {
            Outcome::List(_) => true,
            Outcome::Value(value) => value.is_object(),
            _ => false,
        }
    }
}

pub(super) fn evaluate<'a>(node: &Node, lookup: &Lookup<'a>, rng: &mut dyn Rng) -> Outcome<'a> {
    match run(node, lookup, rng) {
        Ok(outcome) => outcome,
        Err(name) => Outcome::UnknownFunction(name),
    }
}

type Evaluated<'a> = Result<Outcome<'a>, String>;

fn run<'a>(node: &Node, lookup: &Lookup<'a>, rng: &mut dyn Rng) -> Evaluated<'a> {
    Ok(match node {
        Node::Number(number) => Outcome::Number(*number),
        Node::Text(text) => Outcome::Text(Cow::Owned(text.clone())),
        Node::Name(name) => lookup(name).map_or(Outcome::Undefined, Outcome::from_value),
        Node::List(items) => Outcome::List(run_all(items, lookup, rng)?),
        Node::Negate(inner) => Outcome::Number(-run(inner, lookup, rng)?.number()),
        Node::Not(inner) => Outcome::from_bool(!run(inner, lookup, rng)?.is_truthy()),
        Node::Binary(operator, left, right) => binary(*operator, left, right, lookup, rng)?,
        Node::Ternary(condition, then, otherwise) => {
            let chosen = if run(condition, lookup, rng)?.is_truthy() {
                then
            } else {
                otherwise
            };
            run(chosen, lookup, rng)?
        }
        Node::Member(name, object) => member(name, run(object, lookup, rng)?),
        Node::Call(name, arguments) => {
            let arguments = run_all(arguments, lookup, rng)?;
            Outcome::Number(call(name, &arguments, rng).ok_or_else(|| name.clone())?)
        }
    })
}

fn run_all<'a>(
    nodes: &[Node],
    lookup: &Lookup<'a>,
    rng: &mut dyn Rng,
) -> Result<Vec<Outcome<'a>>, String> {
    nodes.iter().map(|node| run(node, lookup, rng)).collect()
}

fn binary<'a>(
    operator: Operator,
    left: &Node,
    right: &Node,
    lookup: &Lookup<'a>,
    rng: &mut dyn Rng,
) -> Evaluated<'a> {
    let left = run(left, lookup, rng)?;
    if let Operator::And | Operator::Or = operator {
        let decided = left.is_truthy() == (operator == Operator::Or);
        let chosen = if decided {
            left
        } else {
            run(right, lookup, rng)?
        };
        return Ok(Outcome::Number(chosen.number()));
    }
    let right = run(right, lookup, rng)?;
    Ok(match operator {
        Operator::Add => add(&left, &right),
        Operator::Subtract => Outcome::Number(left.number() - right.number()),
        Operator::Multiply => Outcome::Number(left.number() * right.number()),
        Operator::Divide => Outcome::Number(left.number() / right.number()),
        Operator::Remainder => Outcome::Number(left.number() % right.number()),
        Operator::Power => Outcome::Number(left.number().powf(right.number())),
        Operator::In => Outcome::from_bool(is_subset(&left, &right)),
        Operator::NotIn => Outcome::from_bool(!is_subset(&left, &right)),
        Operator::Equal => Outcome::from_bool(loosely_equal(&left, &right)),
        Operator::NotEqual => Outcome::from_bool(!loosely_equal(&left, &right)),
        Operator::Matches => Outcome::from_bool(matches(&left, &right)),
        Operator::Less => Outcome::from_bool(in_order(&left, &right, |order| order.is_lt())),
        Operator::LessOrEqual => Outcome::from_bool(in_order(&left, &right, |order| order.is_le())),
        Operator::Greater => Outcome::from_bool(in_order(&left, &right, |order| order.is_gt())),
        Operator::GreaterOrEqual => {
            Outcome::from_bool(in_order(&left, &right, |order| order.is_ge()))
        }
        Operator::And | Operator::Or => unreachable!("decided above"),
    })
}

fn add<'a>(left: &Outcome<'a>, right: &Outcome<'a>) -> Outcome<'a> {
    let printed = |side: &Outcome<'_>| matches!(side, Outcome::Text(_)) || side.is_object();
    if printed(left) || printed(right) {
        return Outcome::Text(Cow::Owned(left.text() + &right.text()));
    }
    Outcome::Number(left.number() + right.number())
}

fn in_order(
    left: &Outcome<'_>,
    right: &Outcome<'_>,
    holds: fn(std::cmp::Ordering) -> bool,
) -> bool {
    let textual = |side: &Outcome<'_>| matches!(side, Outcome::Text(_)) || side.is_object();
    if textual(left) && textual(right) {
        return holds(left.text().encode_utf16().cmp(right.text().encode_utf16()));
    }
    left.number()
        .partial_cmp(&right.number())
        .is_some_and(holds)
}

fn loosely_equal(left: &Outcome<'_>, right: &Outcome<'_>) -> bool {
    match (left.is_nothing(), right.is_nothing()) {
        (true, true) => return true,
        (false, false) => {}
        _ => return false,
    }
    match (left.is_object(), right.is_object()) {
        // JavaScript compares identity; the same list or object written twice is the best stand-in.
        (true, true) => left == right,
        (true, false) if matches!(right, Outcome::Text(_)) => left.text() == right.text(),
        (false, true) if matches!(left, Outcome::Text(_)) => left.text() == right.text(),
        _ => match (left, right) {
            (Outcome::Text(left), Outcome::Text(right)) => left == right,
            _ => left.number() == right.number(),
        },
    }
}

/// Whether every item of `left` is one of `right`, of the same type; what is no list is a list of
/// one.
fn is_subset(left: &Outcome<'_>, right: &Outcome<'_>) -> bool {
    let contains = |item: &Outcome<'_>| items(right).iter().any(|candidate| same(item, candidate));
    items(left).iter().all(contains)
}

fn items<'o, 'a>(outcome: &'o Outcome<'a>) -> &'o [Outcome<'a>] {
    match outcome {
        Outcome::List(items) => items,
        single => std::slice::from_ref(single),
    }
}

fn same(left: &Outcome<'_>, right: &Outcome<'_>) -> bool {
    match (left, right) {
        (Outcome::Number(left), Outcome::Number(right)) => {
            left == right || left.is_nan() && right.is_nan()
        }
        _ => left == right,
    }
}

fn matches(text: &Outcome<'_>, pattern: &Outcome<'_>) -> bool {
    regress::Regex::new(&pattern.text()).is_ok_and(|pattern| pattern.find(&text.text()).is_some())
}

fn member<'a>(name: &str, object: Outcome<'a>) -> Outcome<'a> {
    match object {
        Outcome::Value(Cow::Borrowed(Value::Object(members))) => {
            members.get(name).map_or(Outcome::Undefined, |member| {
                Outcome::from_value(Cow::Borrowed(member))
            })
        }
        Outcome::Value(Cow::Owned(Value::Object(mut members))) => members
            .shift_remove(name)
            .map_or(Outcome::Undefined, |member| {
                Outcome::from_value(Cow::Owned(member))
            }),
        Outcome::List(items) if name == "length" => Outcome::Number(items.len() as f64),
        Outcome::Text(text) if name == "length" => {
            Outcome::Number(text.encode_utf16().count() as f64)
        }
        _ => Outcome::Undefined,
    }
}

/// The value of a function, or `None` when there is none of that name.
fn call(name: &str, arguments: &[Outcome<'_>], rng: &mut dyn Rng) -> Option<f64> {
    let first = || arguments.first().map_or(f64::NAN, Outcome::number);
    let all = || arguments.iter().map(Outcome::number);
    Some(match name {
        "abs" => first().abs(),
        "ceil" => first().ceil(),
        "floor" => first().floor(),
        "log" => first().ln(),
        "max" => all().fold(f64::NEG_INFINITY, |most, next| {
            if next > most || next.is_nan() {
                next
            } else {
                most
            }
        }),
        "min" => all().fold(f64::INFINITY, |least, next| {
            if next < least || next.is_nan() {
                next
            } else {
                least
            }
        }),
        "random" => rng.random::<f64>(),
        "round" => (first() + 0.5).floor(),
        "sqrt" => first().sqrt(),
        _ => return None,
    })
}
