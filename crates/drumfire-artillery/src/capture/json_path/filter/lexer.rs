//! The words of a filter.

/// One word.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token<'t> {
    Number(f64),
    Text(String),
    /// A regular expression and its flags.
    Pattern(&'t str, &'t str),
    /// A name, with its `@` where it has one.
    Name(&'t str),
    Symbol(&'static str),
}

/// Longer ones first, so that `===` is not read as `==` and `=`.
const SYMBOLS: [&str; 26] = [
    "===", "!==", "==", "!=", "<=", ">=", "&&", "||", "<", ">", "!", "+", "-", "*", "/", "%", "(",
    ")", "[", "]", ".", ",", "?.", "=~", "=", "$",
];

/// The words of `text`.
pub(super) fn tokens(text: &str) -> Result<Vec<Token<'_>>, String> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let (token, after) = match first {
            '\'' | '"' => quoted(rest, first)?,
            '0'..='9' => number(rest)?,
            '/' if !ends_operand(tokens.last()) => pattern(rest)?,
            '@' | '_' => name(rest),
            letter if letter.is_alphabetic() => name(rest),
            _ => symbol(rest)?,
        };
        tokens.push(token);
        rest = after.trim_start();
    }
    Ok(tokens)
}

/// Whether a `/` after `last` divides.
fn ends_operand(last: Option<&Token<'_>>) -> bool {
    match last {
        None => false,
        Some(Token::Symbol(symbol)) => matches!(*symbol, ")" | "]"),
        Some(_) => true,
    }
}

fn quoted(text: &str, quote: char) -> Result<(Token<'_>, &str), String> {
    let mut content = String::new();
    let mut letters = text[1..].char_indices();
    while let Some((position, letter)) = letters.next() {
        match letter {
            '\\' => match letters.next() {
                Some((_, 'n')) => content.push('\n'),
                Some((_, 't')) => content.push('\t'),
                Some((_, escaped)) => content.push(escaped),
                None => break,
            },
            letter if letter == quote => {
                return Ok((Token::Text(content), &text[position + 2..]));
            }
            letter => content.push(letter),
        }
    }
    Err(format!("no {quote} closes {text}"))
}

fn number(text: &str) -> Result<(Token<'_>, &str), String> {
    let end = text
        .find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '.')
        .unwrap_or(text.len());
    match text[..end].parse() {
        Ok(number) => Ok((Token::Number(number), &text[end..])),
        Err(_) => Err(format!("`{}` is no number", &text[..end])),
    }
}

fn pattern(text: &str) -> Result<(Token<'_>, &str), String> {
    let mut in_class = false;
    let mut escaped = false;
    for (position, letter) in text.char_indices().skip(1) {
        match letter {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '[' => in_class = true,
            ']' => in_class = false,
            '/' if !in_class => {
                let after = &text[position + 1..];
                let flags = after
                    .find(|letter: char| !letter.is_ascii_alphabetic())
                    .unwrap_or(after.len());
                let token = Token::Pattern(&text[1..position], &after[..flags]);
                return Ok((token, &after[flags..]));
            }
            _ => {}
        }
    }
    Err(format!("no `/` closes {text}"))
}

fn name(text: &str) -> (Token<'_>, &str) {
    let end = text
        .char_indices()
        .skip(1)
        .find(|(_, letter)| !letter.is_alphanumeric() && !matches!(letter, '_' | '$'))
        .map_or(text.len(), |(position, _)| position);
    (Token::Name(&text[..end]), &text[end..])
}

fn symbol(text: &str) -> Result<(Token<'_>, &str), String> {
    SYMBOLS
        .iter()
        .find(|symbol| text.starts_with(**symbol))
        .map(|symbol| (Token::Symbol(symbol), &text[symbol.len()..]))
        .ok_or_else(|| format!("`{text}` is not understood"))
}
