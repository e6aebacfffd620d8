//! Environment files: `NAME=value` lines as `--dotenv` takes them.

use std::collections::BTreeMap;

/// The variables of an environment file. Lines that say nothing are passed over; a value may stand
/// in single, double or back quotes, and double-quoted ones know `\n`.
pub(crate) fn parse(text: &str) -> BTreeMap<String, String> {
    let mut variables = BTreeMap::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (line, after) = rest.split_once('\n').unwrap_or((rest, ""));
        let mut next = after;
        if let Some((name, value)) = assignment(line) {
            let (value, quoted_rest) = read_value(value, rest);
            next = quoted_rest.unwrap_or(after);
            variables.insert(name.to_owned(), value);
        }
        rest = next;
    }
    variables
}

fn assignment(line: &str) -> Option<(&str, &str)> {
    let line = line.trim_start();
    let line = line.strip_prefix("export ").unwrap_or(line);
    let (name, value) = line.split_once('=').or_else(|| line.split_once(": "))?;
    let name = name.trim();
    let fits = !name.is_empty()
        && name
            .chars()
            .all(|letter| letter.is_ascii_alphanumeric() || "_.-".contains(letter));
    fits.then_some((name, value.trim_start()))
}

/// The value that starts with `value` inside `rest`, and what follows it when it was quoted over
/// its line's end.
fn read_value<'a>(value: &'a str, rest: &'a str) -> (String, Option<&'a str>) {
    if let Some(quote) = value
        .chars()
        .next()
        .filter(|first| ['"', '\'', '`'].contains(first))
    {
        let start = value.as_ptr() as usize - rest.as_ptr() as usize + 1;
        let body = &rest[start..];
        if let Some(end) = closing(body, quote) {
            let text = body[..end].replace('\r', "");
            let text = if quote == '"' {
                text.replace("\\n", "\n").replace("\\r", "\r")
            } else {
                text
            };
            let after = &body[end + 1..];
            return (
                text,
                Some(after.split_once('\n').map_or("", |(_, after)| after)),
            );
        }
    }
    let plain = value.split_once('#').map_or(value, |(plain, _)| plain);
    (plain.trim().to_owned(), None)
}

fn closing(body: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    body.char_indices().find_map(|(position, letter)| {
        let closes = letter == quote && !escaped;
        escaped = letter == '\\' && !escaped;
        closes.then_some(position)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lines_become_variables() {
        let text = "# comment\nA=1\n export B = two words # why\nC=\"x\\ny # z\" # c\nD='raw\\n'\nE=\nF=\"over\ntwo\"\nG=last\n=no\nnothing\n";
        let expected = [
            ("A", "1"),
            ("B", "two words"),
            ("C", "x\ny # z"),
            ("D", "raw\\n"),
            ("E", ""),
            ("F", "over\ntwo"),
            ("G", "last"),
        ];
        let found = parse(text);
        let found: Vec<_> = found
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        assert_eq!(found, expected);
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic(text in "[A-C=\"'`\\\\\n #]{0,40}") {
            parse(&text);
        }
    }
}
