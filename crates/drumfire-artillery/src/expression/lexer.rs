//! Text to tokens, with filtrex's rules in filtrex's order.

use super::{LENGTH_LIMIT, Operator, SyntaxError};

/// A token.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    Number(f64),
    Text(String),
    Name(String),
    Operator(Operator),
    Minus,
    Not,
    In,
    Of,
    Question,
    Colon,
    Comma,
    Open,
    Close,
}

/// Signs, longer ones before their beginnings.
const SIGNS: [(&str, Token); 18] = [
    ("*", Token::Operator(Operator::Multiply)),
    ("/", Token::Operator(Operator::Divide)),
    ("-", Token::Minus),
    ("+", Token::Operator(Operator::Add)),
    ("^", Token::Operator(Operator::Power)),
    ("%", Token::Operator(Operator::Remainder)),
    ("(", Token::Open),
    (")", Token::Close),
    (",", Token::Comma),
    ("==", Token::Operator(Operator::Equal)),
    ("!=", Token::Operator(Operator::NotEqual)),
    ("~=", Token::Operator(Operator::Matches)),
    (">=", Token::Operator(Operator::GreaterOrEqual)),
    ("<=", Token::Operator(Operator::LessOrEqual)),
    ("<", Token::Operator(Operator::Less)),
    (">", Token::Operator(Operator::Greater)),
    ("?", Token::Question),
    (":", Token::Colon),
];

/// Words that are keywords when a character that belongs to no word follows; filtrex swallows it.
const WORDS: [(&str, Token); 5] = [
    ("and", Token::Operator(Operator::And)),
    ("or", Token::Operator(Operator::Or)),
    ("not", Token::Not),
    ("in", Token::In),
    ("of", Token::Of),
];

/// The tokens of `text` with the byte each starts at.
pub(super) fn tokens(text: &str, names: &[&str]) -> Result<Vec<(usize, Token)>, SyntaxError> {
    if text.len() > LENGTH_LIMIT {
        return Err(SyntaxError {
            position: LENGTH_LIMIT,
            message: format!("expression longer than {LENGTH_LIMIT} bytes"),
        });
    }
    let mut tokens = Vec::new();
    let mut position = 0;
    while position < text.len() {
        let rest = &text[position..];
        let blanks = rest.len() - rest.trim_start().len();
        if blanks > 0 {
            position += blanks;
            continue;
        }
        let (token, length) = next(rest, names).ok_or_else(|| SyntaxError {
            position,
            message: format!("unexpected {:?}", rest.chars().next().unwrap_or(' ')),
        })?;
        tokens.push((position, token));
        position += length;
    }
    Ok(tokens)
}

fn next(rest: &str, names: &[&str]) -> Option<(Token, usize)> {
    if let Some(name) = names
        .iter()
        .filter(|name| rest.starts_with(**name))
        .max_by_key(|name| name.len())
        && !name.is_empty()
    {
        return Some((Token::Name((*name).to_owned()), name.len()));
    }
    SIGNS
        .iter()
        .find(|(sign, _)| rest.starts_with(sign))
        .map(|(sign, token)| (token.clone(), sign.len()))
        .or_else(|| keyword(rest))
        .or_else(|| number(rest))
        .or_else(|| symbol(rest))
        .or_else(|| quoted(rest, '\'').map(|(name, length)| (Token::Name(name), length)))
        .or_else(|| quoted(rest, '"').map(|(text, length)| (Token::Text(text), length)))
}

fn keyword(rest: &str) -> Option<(Token, usize)> {
    WORDS.iter().find_map(|(word, token)| {
        let after = rest.strip_prefix(word)?.chars().next()?;
        (!is_word(after)).then(|| (token.clone(), word.len() + after.len_utf8()))
    })
}

fn number(rest: &str) -> Option<(Token, usize)> {
    let digits = |text: &str| {
        text.len()
            - text
                .trim_start_matches(|digit: char| digit.is_ascii_digit())
                .len()
    };
    let whole = digits(rest);
    if whole == 0 {
        return None;
    }
    let fraction = rest[whole..].strip_prefix('.').map_or(0, digits);
    let with_fraction = whole + 1 + fraction;
    let length = if fraction > 0 && ends_word(&rest[with_fraction..]) {
        with_fraction
    } else {
        whole
    };
    if !ends_word(&rest[length..]) {
        return None;
    }
    Some((Token::Number(rest[..length].parse().ok()?), length))
}

fn ends_word(rest: &str) -> bool {
    !rest.starts_with(is_word)
}

fn symbol(rest: &str) -> Option<(Token, usize)> {
    if !rest.starts_with(|first: char| first.is_ascii_alphabetic() || first == '$' || first == '_')
    {
        return None;
    }
    let end = rest
        .find(|letter: char| !(letter.is_ascii_alphanumeric() || matches!(letter, '.' | '$' | '_')))
        .unwrap_or(rest.len());
    Some((Token::Name(rest[..end].to_owned()), end))
}

/// A quoted text; a backslash may stand only before the quote and before another backslash.
fn quoted(rest: &str, quote: char) -> Option<(String, usize)> {
    let mut letters = rest.char_indices();
    if letters.next()?.1 != quote {
        return None;
    }
    let mut text = String::new();
    while let Some((position, letter)) = letters.next() {
        match letter {
            '\\' => match letters.next()?.1 {
                escaped if escaped == quote || escaped == '\\' => text.push(escaped),
                _ => return None,
            },
            letter if letter == quote => return Some((text, position + letter.len_utf8())),
            letter => text.push(letter),
        }
    }
    None
}

fn is_word(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || letter == '_'
}
