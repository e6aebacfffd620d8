//! The words of a filter to operations, by precedence.

use serde_json::Value;

use super::lexer::Token;
use super::{Method, Node, Operator};
use crate::javascript;
use crate::pattern::Pattern;

/// How deeply parentheses and the like may nest.
const NESTING_LIMIT: u32 = 64;

/// How many operations may follow one another.
const OPERATIONS_LIMIT: u32 = 256;

/// The operators, from the one that binds least.
const LEVELS: [&[(&str, Operator)]; 6] = [
    &[("||", Operator::Or)],
    &[("&&", Operator::And)],
    &[
        ("===", Operator::StrictlyEqual),
        ("!==", Operator::StrictlyNotEqual),
        ("==", Operator::Equal),
        ("!=", Operator::NotEqual),
    ],
    &[
        ("<=", Operator::LessOrEqual),
        (">=", Operator::GreaterOrEqual),
        ("<", Operator::Less),
        (">", Operator::Greater),
    ],
    &[("+", Operator::Add), ("-", Operator::Subtract)],
    &[
        ("*", Operator::Multiply),
        ("/", Operator::Divide),
        ("%", Operator::Remainder),
    ],
];

/// The operations of `tokens`; `text` is for messages.
pub(super) fn parse(tokens: &[Token<'_>], text: &str) -> Result<Node, String> {
    let mut parser = Parser {
        tokens,
        text,
        nesting: 0,
        operations: 0,
    };
    let node = parser.level(0)?;
    match parser.tokens {
        [] => Ok(node),
        _ => Err(parser.unexpected()),
    }
}

struct Parser<'p, 't> {
    tokens: &'p [Token<'t>],
    text: &'p str,
    nesting: u32,
    operations: u32,
}

impl<'p, 't> Parser<'p, 't> {
    fn level(&mut self, level: usize) -> Result<Node, String> {
        let Some(operators) = LEVELS.get(level) else {
            return self.unary();
        };
        let mut left = self.level(level + 1)?;
        while let Some(operator) = self.take_operator(operators) {
            self.count_operation()?;
            let right = self.level(level + 1)?;
            left = Node::Binary(operator, Box::new(left), Box::new(right));
        }
        Ok(left)
    }

    fn take_operator(&mut self, operators: &[(&str, Operator)]) -> Option<Operator> {
        let Some(Token::Symbol(symbol)) = self.tokens.first() else {
            return None;
        };
        let (_, operator) = operators.iter().find(|(known, _)| known == symbol)?;
        self.tokens = &self.tokens[1..];
        Some(*operator)
    }

    fn unary(&mut self) -> Result<Node, String> {
        self.nesting += 1;
        if self.nesting > NESTING_LIMIT {
            return Err(format!("`{}` nests deeper than {NESTING_LIMIT}", self.text));
        }
        let node = if self.take("!") {
            Node::Not(Box::new(self.unary()?))
        } else if self.take("-") {
            Node::Negate(Box::new(self.unary()?))
        } else if self.take("+") {
            Node::Negate(Box::new(Node::Negate(Box::new(self.unary()?))))
        } else {
            self.postfix()?
        };
        self.nesting -= 1;
        Ok(node)
    }

    fn postfix(&mut self) -> Result<Node, String> {
        let mut node = self.primary()?;
        loop {
            if self.take(".") || self.take("?.") {
                let Some(Token::Name(name)) = self.next() else {
                    return Err(format!("no name after a dot in `{}`", self.text));
                };
                node = match self.take("(") {
                    true => self.call(node, name)?,
                    false => Node::Member(
                        Box::new(node),
                        Box::new(Node::Literal(Value::String((*name).to_owned()))),
                    ),
                };
            } else if self.take("[") {
                let name = self.level(0)?;
                self.expect("]")?;
                node = Node::Member(Box::new(node), Box::new(name));
            } else {
                return Ok(node);
            }
            self.count_operation()?;
        }
    }

    fn call(&mut self, object: Node, name: &str) -> Result<Node, String> {
        let method = Method::named(name)
            .ok_or_else(|| format!("function `{name}` is not known in `{}`", self.text))?;
        let arguments = self.items(")")?;
        Ok(Node::Call(Box::new(object), method, arguments))
    }

    fn items(&mut self, close: &'static str) -> Result<Vec<Node>, String> {
        let mut items = Vec::new();
        while !self.take(close) {
            items.push(self.level(0)?);
            if !self.take(",") {
                self.expect(close)?;
                break;
            }
        }
        Ok(items)
    }

    fn primary(&mut self) -> Result<Node, String> {
        let Some(token) = self.next() else {
            return Err(format!("`{}` ends too early", self.text));
        };
        Ok(match token {
            Token::Number(number) => {
                Node::Literal(javascript::number(*number).map_or(Value::Null, Value::Number))
            }
            Token::Text(text) => Node::Literal(Value::String(text.clone())),
            Token::Pattern(pattern, flags) => {
                Node::Pattern(Box::new(Pattern::compile(pattern, flags)?))
            }
            Token::Symbol("(") => {
                let node = self.level(0)?;
                self.expect(")")?;
                node
            }
            Token::Symbol("[") => Node::List(self.items("]")?),
            Token::Symbol("$") => Node::Root,
            Token::Name(name) => self.named(name)?,
            Token::Symbol(symbol) => {
                return Err(format!("`{symbol}` is out of place in `{}`", self.text));
            }
        })
    }

    fn named(&self, name: &str) -> Result<Node, String> {
        Ok(match name {
            "@" => Node::Current,
            "@property" => Node::Property,
            "@parent" => Node::Parent,
            "@parentProperty" => Node::ParentProperty,
            "@root" => Node::Root,
            "true" => Node::Literal(Value::Bool(true)),
            "false" => Node::Literal(Value::Bool(false)),
            "null" => Node::Literal(Value::Null),
            "undefined" => Node::Undefined,
            _ => return Err(format!("`{name}` is not known in `{}`", self.text)),
        })
    }

    fn next(&mut self) -> Option<&'p Token<'t>> {
        let (first, rest) = self.tokens.split_first()?;
        self.tokens = rest;
        Some(first)
    }

    fn take(&mut self, symbol: &str) -> bool {
        let found = matches!(self.tokens.first(), Some(Token::Symbol(next)) if *next == symbol);
        if found {
            self.tokens = &self.tokens[1..];
        }
        found
    }

    fn expect(&mut self, symbol: &'static str) -> Result<(), String> {
        if self.take(symbol) {
            return Ok(());
        }
        Err(format!("no `{symbol}` closes in `{}`", self.text))
    }

    fn count_operation(&mut self) -> Result<(), String> {
        self.operations += 1;
        if self.operations > OPERATIONS_LIMIT {
            return Err(format!(
                "`{}` has more than {OPERATIONS_LIMIT} operations",
                self.text
            ));
        }
        Ok(())
    }

    fn unexpected(&self) -> String {
        format!("something follows the end of `{}`", self.text)
    }
}
