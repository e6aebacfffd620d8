//! The headers of an answer: the raw block as received, searched when asked.
//! Most answers are never asked, so nothing is indexed.

use std::fmt;

/// The headers of one answer, in the order received. Names compare without case.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Headers {
    /// Lines `name: value`, each ended by LF or CRLF, without the empty line.
    block: Box<[u8]>,
}

impl Headers {
    /// Headers from a head that was parsed before: the status line and the
    /// empty line at its end are left out.
    pub(crate) fn from_parsed_head(head: &[u8]) -> Headers {
        let block = match head.iter().position(|byte| !matches!(byte, b'\r' | b'\n')) {
            Some(start) => after_first_line(&head[start..]),
            None => &[],
        };
        Headers {
            block: block.trim_ascii_end().into(),
        }
    }

    /// Headers from names and values, for protocols that have no raw block.
    pub fn from_pairs<'a>(pairs: impl IntoIterator<Item = (&'a [u8], &'a [u8])>) -> Headers {
        let mut block = Vec::new();
        for (name, value) in pairs {
            block.extend_from_slice(name);
            block.extend_from_slice(b": ");
            block.extend_from_slice(value);
            block.push(b'\n');
        }
        Headers {
            block: block.into_boxed_slice(),
        }
    }

    /// The first value of this name.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.lines().find_map(|line| value_of(line, name))
    }

    /// The first value of this name, where it is text.
    pub fn get_str(&self, name: &str) -> Option<&str> {
        self.get(name)
            .and_then(|value| std::str::from_utf8(value).ok())
    }

    /// All values of this name.
    pub fn get_all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.lines().filter_map(move |line| value_of(line, name))
    }

    /// Names and values, with blanks around the values taken off.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.lines().filter_map(|line| {
            let colon = line.iter().position(|byte| *byte == b':')?;
            let name = std::str::from_utf8(&line[..colon]).ok()?;
            Some((name, line[colon + 1..].trim_ascii()))
        })
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }

    fn lines(&self) -> impl Iterator<Item = &[u8]> {
        self.block.split(|byte| *byte == b'\n')
    }
}

/// The line's value, if it has this name. Every answer that is judged is asked for a few names that
/// it mostly does not have: the colon's place decides that before a letter is compared.
#[inline]
fn value_of<'a>(line: &'a [u8], name: &str) -> Option<&'a [u8]> {
    if line.get(name.len()) != Some(&b':') {
        return None;
    }
    let (found, value) = line.split_at(name.len());
    found
        .eq_ignore_ascii_case(name.as_bytes())
        .then(|| value[1..].trim_ascii())
}

impl fmt::Debug for Headers {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lossy = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
        formatter
            .debug_map()
            .entries(self.iter().map(|(name, value)| (name, lossy(value))))
            .finish()
    }
}

fn after_first_line(bytes: &[u8]) -> &[u8] {
    match bytes.iter().position(|byte| *byte == b'\n') {
        Some(end) => &bytes[end + 1..],
        None => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_without_case_and_values_are_trimmed() {
        let head = b"\r\nHTTP/1.1 200 OK\r\nSet-Cookie: a=1 \r\nX:\r\nset-cookie:b=2\r\n\r\n";
        let headers = Headers::from_parsed_head(head);
        let cookies: Vec<&[u8]> = headers.get_all("SET-COOKIE").collect();
        assert_eq!(cookies, [&b"a=1"[..], b"b=2"]);
        assert_eq!(headers.get("x"), Some(&b""[..]));
        assert_eq!(headers.get("y"), None);
        assert_eq!(headers.iter().count(), 3);
    }

    #[test]
    fn a_head_without_headers_has_none() {
        assert!(Headers::from_parsed_head(b"HTTP/1.1 200 OK\r\n\r\n").is_empty());
        assert!(Headers::from_pairs([]).is_empty());
    }

    #[test]
    fn pairs_come_out_as_they_went_in() {
        let headers = Headers::from_pairs([(&b"a"[..], &b"1"[..]), (b"b", b"x: y")]);
        let pairs: Vec<(&str, &[u8])> = headers.iter().collect();
        assert_eq!(pairs, [("a", &b"1"[..]), ("b", b"x: y")]);
    }
}
