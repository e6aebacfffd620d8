//! The text of a path to its steps.

use super::filter::Filter;
use super::{Key, Step, ValueType};

/// The steps of `text`.
pub(super) fn parse(text: &str) -> Result<Vec<Step>, String> {
    let mut rest = text.trim();
    let mut steps = Vec::new();
    if let Some(after_root) = rest.strip_prefix('$')
        && (after_root.is_empty() || after_root.starts_with(['.', '[', '^', '~']))
    {
        rest = after_root;
    } else if !rest.is_empty() && !rest.starts_with(['.', '[']) {
        rest = name(rest, &mut steps)?;
    }
    while let Some(first) = rest.chars().next() {
        let after = &rest[first.len_utf8()..];
        rest = match first {
            '.' if after.starts_with('.') => {
                steps.push(Step::Descend);
                member_after_dot(after.trim_start_matches('.'), &mut steps)?
            }
            '.' => member_after_dot(after, &mut steps)?,
            '[' => bracket(after, &mut steps)?,
            '^' => {
                steps.push(Step::Parent);
                after
            }
            '~' => {
                steps.push(Step::Name);
                after
            }
            _ => name(rest, &mut steps)?,
        };
    }
    Ok(steps)
}

/// What stands after a dot: a name, unless a bracket or an operator follows.
fn member_after_dot<'t>(rest: &'t str, steps: &mut Vec<Step>) -> Result<&'t str, String> {
    match rest.chars().next() {
        None | Some('[' | '^' | '~' | '.') => Ok(rest),
        Some(_) => name(rest, steps),
    }
}

/// A name without brackets; it may stand in quotes.
fn name<'t>(rest: &'t str, steps: &mut Vec<Step>) -> Result<&'t str, String> {
    for quote in ['\'', '"'] {
        if let Some(quoted) = rest.strip_prefix(quote)
            && let Some(end) = quoted.find(quote)
        {
            steps.push(Step::Key(Key::new(&quoted[..end])));
            return Ok(&quoted[end + 1..]);
        }
    }
    if let Some(step) = value_type(rest) {
        steps.push(step);
        let end = rest.find(')').map_or(rest.len(), |close| close + 1);
        return Ok(&rest[end..]);
    }
    let end = rest
        .char_indices()
        .find(|(position, letter)| match letter {
            '.' | '[' | '^' | '~' => true,
            '@' => value_type(&rest[*position..]).is_some(),
            _ => false,
        })
        .map_or(rest.len(), |(position, _)| position);
    steps.push(selector(&rest[..end])?);
    Ok(&rest[end..])
}

/// `@string()` and the like at the start of `rest`.
fn value_type(rest: &str) -> Option<Step> {
    let (name, _) = rest.strip_prefix('@')?.split_once("()")?;
    ValueType::named(name).map(Step::OfType)
}

/// What stands between brackets; `rest` starts after the opening one.
fn bracket<'t>(rest: &'t str, steps: &mut Vec<Step>) -> Result<&'t str, String> {
    let end = closing(rest).ok_or_else(|| format!("no `]` closes `[{rest}`"))?;
    steps.push(selector(rest[..end].trim())?);
    Ok(&rest[end + 1..])
}

/// Where the bracket that is open at the start of `text` closes, leaving out what stands in quotes
/// and in nested brackets and parentheses.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0_u32;
    let mut quote = None;
    let mut escaped = false;
    for (position, letter) in text.char_indices() {
        match (quote, letter) {
            _ if escaped => escaped = false,
            (Some(_), '\\') => escaped = true,
            (Some(open), letter) if letter == open => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(letter),
            (None, '[' | '(') => depth += 1,
            (None, ']') if depth == 0 => return Some(position),
            (None, ']' | ')') => depth = depth.saturating_sub(1),
            (None, _) => {}
        }
    }
    None
}

/// One selector: `*`, a filter, a computed name, a slice, a list of names, or a name.
fn selector(text: &str) -> Result<Step, String> {
    if text == "*" {
        return Ok(Step::Every);
    }
    if let Some(expression) = text.strip_prefix('?') {
        return Filter::parse(expression).map(Step::Filter);
    }
    if text.starts_with('(') && text.ends_with(')') {
        return Filter::parse(text).map(Step::Computed);
    }
    if let Some(literal) = text.strip_prefix('`') {
        return Ok(Step::Key(Key::new(literal)));
    }
    if let Some(slice) = slice(text)? {
        return Ok(slice);
    }
    if let Some(name) = unquoted(text) {
        return Ok(Step::Key(Key::new(name)));
    }
    let parts = union_parts(text);
    if parts.len() > 1 {
        let parts: Result<Vec<Step>, String> = parts
            .into_iter()
            .map(|part| selector(part.trim()))
            .collect();
        return Ok(Step::Union(parts?.into()));
    }
    Ok(Step::Key(Key::new(text)))
}

/// The text between the quotes, if all of `text` is one quoted name.
fn unquoted(text: &str) -> Option<&str> {
    ['\'', '"'].into_iter().find_map(|quote| {
        let inner = text.strip_prefix(quote)?.strip_suffix(quote)?;
        (!inner.contains(quote)).then_some(inner)
    })
}

fn union_parts(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut start = 0;
    let mut quote = None;
    for (position, letter) in text.char_indices() {
        match (quote, letter) {
            (Some(open), letter) if letter == open => quote = None,
            (None, '\'' | '"') => quote = Some(letter),
            (None, ',') => {
                parts.push(&text[start..position]);
                start = position + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

/// `start:end:step`, each of which may be missing; an end or step of 0 counts as missing.
fn slice(text: &str) -> Result<Option<Step>, String> {
    if !text.contains(':') || !text.bytes().all(|byte| b"-0123456789: ".contains(&byte)) {
        return Ok(None);
    }
    let number = |part: Option<&str>| match part.map_or("", str::trim) {
        "" | "-" => Ok(0_i64),
        digits => digits
            .parse()
            .map_err(|_| format!("`{digits}` in `[{text}]` is no whole number")),
    };
    let mut parts = text.split(':');
    let (start, end) = (number(parts.next())?, number(parts.next())?);
    let step = number(parts.next())?;
    if parts.next().is_some() || step < 0 {
        return Err(format!("`[{text}]` is no slice"));
    }
    Ok(Some(Step::Slice {
        start,
        end: Some(end).filter(|end| *end != 0),
        step: (step as usize).max(1),
    }))
}
