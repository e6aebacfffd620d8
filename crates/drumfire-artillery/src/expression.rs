//! The filtrex 2 expressions of `ifTrue` and of ensure conditions: parsed once, evaluated over a
//! lookup with JavaScript's casts. Where filtrex's grammar is odd (keywords swallow the character
//! after them, `not` binds tighter than `==`, ternaries lean left) so is this one.

mod evaluate;
mod lexer;
mod parser;

use std::borrow::Cow;

use rand::Rng;
use serde_json::Value;

pub use evaluate::Outcome;

/// The longest expression, in bytes.
pub const LENGTH_LIMIT: usize = 16_384;

/// The most operations in an expression.
pub const OPERATIONS_LIMIT: usize = 1_000;

/// Why an expression does not parse.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message} at character {}", position + 1)]
pub struct SyntaxError {
    /// The byte the parser gave up at.
    pub position: usize,
    /// What it met.
    pub message: String,
}

/// A parsed expression.
#[derive(Debug, Clone, PartialEq)]
pub struct Expression {
    root: Node,
}

/// Looks names up: the value of a variable or a metric, or `None` when it is undefined.
pub type Lookup<'a> = dyn Fn(&str) -> Option<Cow<'a, Value>> + 'a;

impl Expression {
    /// Parses `text`.
    ///
    /// # Errors
    ///
    /// When `text` is not what filtrex accepts, or is beyond [`LENGTH_LIMIT`] or
    /// [`OPERATIONS_LIMIT`].
    pub fn parse(text: &str) -> Result<Expression, SyntaxError> {
        Expression::parse_naming(text, &[])
    }

    /// Parses `text`, in which any of `names` may stand bare, whatever characters it is made of;
    /// where several fit the longest is meant. Ensure's metric names are given so.
    ///
    /// # Errors
    ///
    /// As [`Expression::parse`].
    pub fn parse_naming(text: &str, names: &[&str]) -> Result<Expression, SyntaxError> {
        let tokens = lexer::tokens(text, names)?;
        parser::parse(&tokens).map(|root| Expression { root })
    }

    /// The value over `lookup`.
    pub fn evaluate<'a>(&self, lookup: &Lookup<'a>, rng: &mut dyn Rng) -> Outcome<'a> {
        evaluate::evaluate(&self.root, lookup, rng)
    }

    /// Whether the value counts as true; a call of an unknown function does.
    pub fn holds<'a>(&self, lookup: &Lookup<'a>, rng: &mut dyn Rng) -> bool {
        self.evaluate(lookup, rng).is_truthy()
    }

    /// Whether the value is exactly 1 (or true), which is what ensure asks of its checks.
    pub fn passes<'a>(&self, lookup: &Lookup<'a>, rng: &mut dyn Rng) -> bool {
        matches!(self.evaluate(lookup, rng), Outcome::Number(1.0))
    }

    /// The names the expression looks up.
    pub fn names(&self) -> Vec<&str> {
        let mut names = Vec::new();
        self.root.collect_names(&mut names);
        names
    }
}

/// One operation and what it works on.
#[derive(Debug, Clone, PartialEq)]
enum Node {
    Number(f64),
    Text(String),
    Name(String),
    List(Vec<Node>),
    Negate(Box<Node>),
    Not(Box<Node>),
    Binary(Operator, Box<Node>, Box<Node>),
    Ternary(Box<Node>, Box<Node>, Box<Node>),
    Member(String, Box<Node>),
    Call(String, Vec<Node>),
}

impl Node {
    fn collect_names<'a>(&'a self, names: &mut Vec<&'a str>) {
        match self {
            Node::Number(_) | Node::Text(_) => {}
            Node::Name(name) => names.push(name),
            Node::List(items) | Node::Call(_, items) => {
                items.iter().for_each(|item| item.collect_names(names));
            }
            Node::Negate(inner) | Node::Not(inner) | Node::Member(_, inner) => {
                inner.collect_names(names)
            }
            Node::Binary(_, left, right) => {
                left.collect_names(names);
                right.collect_names(names);
            }
            Node::Ternary(condition, then, otherwise) => {
                for part in [condition, then, otherwise] {
                    part.collect_names(names);
                }
            }
        }
    }
}

/// An operator with two operands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Or,
    And,
    In,
    NotIn,
    Equal,
    NotEqual,
    Matches,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
    Power,
}

#[cfg(test)]
mod tests;
