//! Tokens to a tree, by precedence; every binary operator leans left.

use super::lexer::Token;
use super::{Node, OPERATIONS_LIMIT, Operator, SyntaxError};

/// How deep parentheses, lists and prefixes may nest.
const DEPTH_LIMIT: usize = 100;

/// Precedences, loosest first.
mod binding {
    pub const TERNARY: u8 = 1;
    pub const OR: u8 = 2;
    pub const AND: u8 = 3;
    pub const IN: u8 = 4;
    pub const EQUALITY: u8 = 5;
    pub const ORDER: u8 = 6;
    pub const SUM: u8 = 7;
    pub const PRODUCT: u8 = 8;
    pub const POWER: u8 = 9;
    pub const NOT: u8 = 10;
    pub const NEGATE: u8 = 11;
    pub const OF: u8 = 12;
}

pub(super) fn parse(tokens: &[(usize, Token)]) -> Result<Node, SyntaxError> {
    let mut parser = Parser {
        tokens,
        position: 0,
        depth: 0,
        operations: 0,
    };
    let root = parser.expression(0)?;
    match parser.peek() {
        None => Ok(root),
        Some(_) => Err(parser.unexpected()),
    }
}

struct Parser<'a> {
    tokens: &'a [(usize, Token)],
    position: usize,
    depth: usize,
    operations: usize,
}

impl Parser<'_> {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.position).map(|(_, token)| token)
    }

    fn take(&mut self, wanted: &Token) -> bool {
        let found = self.peek() == Some(wanted);
        self.position += usize::from(found);
        found
    }

    fn expect(&mut self, wanted: &Token) -> Result<(), SyntaxError> {
        if self.take(wanted) {
            Ok(())
        } else {
            Err(self.unexpected())
        }
    }

    fn error(&self, message: String) -> SyntaxError {
        let position = self
            .tokens
            .get(self.position)
            .or(self.tokens.last())
            .map_or(0, |(at, _)| *at);
        SyntaxError { position, message }
    }

    fn unexpected(&self) -> SyntaxError {
        match self.peek() {
            Some(token) => self.error(format!("unexpected {}", describe(token))),
            None => self.error("unexpected end after the token".to_owned()),
        }
    }

    /// Parses operators that bind tighter than `floor`.
    fn expression(&mut self, floor: u8) -> Result<Node, SyntaxError> {
        self.depth += 1;
        if self.depth > DEPTH_LIMIT {
            return Err(self.error(format!("expression nested deeper than {DEPTH_LIMIT}")));
        }
        let mut left = self.operand()?;
        while let Some((operator, strength, tokens)) = self.operator()
            && strength > floor
        {
            self.position += tokens;
            self.count_operation()?;
            left = match operator {
                Some(operator) => {
                    let right = self.expression(strength)?;
                    Node::Binary(operator, Box::new(left), Box::new(right))
                }
                None => self.ternary(left)?,
            };
        }
        self.depth -= 1;
        Ok(left)
    }

    fn count_operation(&mut self) -> Result<(), SyntaxError> {
        self.operations += 1;
        if self.operations > OPERATIONS_LIMIT {
            return Err(self.error(format!(
                "expression with more than {OPERATIONS_LIMIT} operations"
            )));
        }
        Ok(())
    }

    fn ternary(&mut self, condition: Node) -> Result<Node, SyntaxError> {
        let then = self.expression(0)?;
        self.expect(&Token::Colon)?;
        let otherwise = self.expression(binding::TERNARY)?;
        Ok(Node::Ternary(
            Box::new(condition),
            Box::new(then),
            Box::new(otherwise),
        ))
    }

    /// The operator that comes next (`None` for `?`), how tight it binds and how many tokens it is
    /// made of.
    fn operator(&self) -> Option<(Option<Operator>, u8, usize)> {
        let operator = match self.peek()? {
            Token::Question => return Some((None, binding::TERNARY, 1)),
            Token::Minus => Operator::Subtract,
            Token::In => Operator::In,
            Token::Not if matches!(self.tokens.get(self.position + 1), Some((_, Token::In))) => {
                return Some((Some(Operator::NotIn), binding::IN, 2));
            }
            Token::Operator(operator) => *operator,
            _ => return None,
        };
        Some((Some(operator), strength(operator), 1))
    }

    fn operand(&mut self) -> Result<Node, SyntaxError> {
        let Some(token) = self.peek().cloned() else {
            return Err(self.unexpected());
        };
        self.position += 1;
        match token {
            Token::Number(number) => Ok(Node::Number(number)),
            Token::Text(text) => Ok(Node::Text(text)),
            Token::Minus => Ok(Node::Negate(Box::new(self.prefixed(binding::NEGATE)?))),
            Token::Not => Ok(Node::Not(Box::new(self.prefixed(binding::NOT)?))),
            Token::Name(name) => self.name(name),
            Token::Open => self.parenthesis(),
            _ => {
                self.position -= 1;
                Err(self.unexpected())
            }
        }
    }

    fn prefixed(&mut self, strength: u8) -> Result<Node, SyntaxError> {
        self.count_operation()?;
        self.expression(strength)
    }

    fn name(&mut self, name: String) -> Result<Node, SyntaxError> {
        if self.take(&Token::Of) {
            let object = self.prefixed(binding::OF - 1)?;
            return Ok(Node::Member(name, Box::new(object)));
        }
        if !self.take(&Token::Open) {
            return Ok(Node::Name(name));
        }
        self.count_operation()?;
        if self.take(&Token::Close) {
            return Ok(Node::Call(name, Vec::new()));
        }
        Ok(Node::Call(name, self.items()?))
    }

    /// One expression in parentheses is itself, several are a list.
    fn parenthesis(&mut self) -> Result<Node, SyntaxError> {
        let mut items = self.items()?;
        match items.len() {
            1 => Ok(items.remove(0)),
            _ => Ok(Node::List(items)),
        }
    }

    fn items(&mut self) -> Result<Vec<Node>, SyntaxError> {
        let mut items = vec![self.expression(0)?];
        while self.take(&Token::Comma) {
            self.count_operation()?;
            items.push(self.expression(0)?);
        }
        self.expect(&Token::Close)?;
        Ok(items)
    }
}

fn strength(operator: Operator) -> u8 {
    match operator {
        Operator::Or => binding::OR,
        Operator::And => binding::AND,
        Operator::In | Operator::NotIn => binding::IN,
        Operator::Equal | Operator::NotEqual | Operator::Matches => binding::EQUALITY,
        Operator::Less | Operator::LessOrEqual | Operator::Greater | Operator::GreaterOrEqual => {
            binding::ORDER
        }
        Operator::Add | Operator::Subtract => binding::SUM,
        Operator::Multiply | Operator::Divide | Operator::Remainder => binding::PRODUCT,
        Operator::Power => binding::POWER,
    }
}

fn describe(token: &Token) -> String {
    match token {
        Token::Number(number) => format!("number {number}"),
        Token::Text(text) => format!("text {text:?}"),
        Token::Name(name) => format!("name `{name}`"),
        Token::Operator(operator) => format!("operator {operator:?}").to_lowercase(),
        Token::Minus => "`-`".to_owned(),
        Token::Not => "`not`".to_owned(),
        Token::In => "`in`".to_owned(),
        Token::Of => "`of`".to_owned(),
        Token::Question => "`?`".to_owned(),
        Token::Colon => "`:`".to_owned(),
        Token::Comma => "`,`".to_owned(),
        Token::Open => "`(`".to_owned(),
        Token::Close => "`)`".to_owned(),
    }
}
