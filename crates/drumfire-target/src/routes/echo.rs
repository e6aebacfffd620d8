//! `/echo` and `/headers`: the request as the target understood it, for conformance tests.

use http::HeaderMap;
use http::header::CONTENT_TYPE;
use rand_xoshiro::Xoshiro256PlusPlus;
use serde_json::{Map, Value, json};

use super::{Query, Refusal, Reply, cookies, document};
use crate::server::Target;

type Answer = Result<Reply, Refusal>;

/// The most parts of a multipart body that are shown.
const PARTS_LIMIT: usize = 1_000;

pub(super) fn answer(query: &Query, _: &mut Xoshiro256PlusPlus, _: &Target) -> Answer {
    let head = &query.head;
    Ok(Reply::Now(document(&json!({
        "method": head.method.as_str(),
        "path": head.uri.path(),
        "query_string": head.uri.query().unwrap_or_default(),
        "query": grouped(query.pairs().map(|(name, value)| (name, json!(value)))),
        "version": format!("{:?}", head.version),
        "headers": headers_of(&head.headers),
        "cookies": cookies::of(query),
        "body": String::from_utf8_lossy(&query.body),
        "body_bytes": query.body.len(),
        "json": json_of(query),
        "form": form_of(query),
        "multipart": multipart_of(query),
        "connection": query.connection,
        "request": query.ordinal,
        "peer": query.peer.to_string(),
        "tls": &*query.tls,
    }))))
}

pub(super) fn headers(query: &Query, _: &mut Xoshiro256PlusPlus, _: &Target) -> Answer {
    let headers = headers_of(&query.head.headers);
    Ok(Reply::Now(document(&json!({"headers": headers}))))
}

/// The body as JSON, where it is such, whatever its content type says.
pub(super) fn json_of(query: &Query) -> Option<Value> {
    serde_json::from_slice(&query.body).ok()
}

/// The body as a form, where its content type says so.
pub(super) fn form_of(query: &Query) -> Option<Value> {
    media_type(query)?
        .starts_with("application/x-www-form-urlencoded")
        .then(|| {
            let pairs = url::form_urlencoded::parse(&query.body);
            let pairs = pairs.map(|(name, value)| (name.into_owned(), json!(value)));
            Value::Object(grouped(pairs))
        })
}

fn headers_of(headers: &HeaderMap) -> Map<String, Value> {
    grouped(headers.iter().map(|(name, value)| {
        let text = String::from_utf8_lossy(value.as_bytes());
        (name.as_str().to_owned(), json!(text))
    }))
}

/// Puts the values of a repeated name into a list.
fn grouped(pairs: impl Iterator<Item = (String, Value)>) -> Map<String, Value> {
    let mut groups = Map::new();
    for (name, value) in pairs {
        match groups.get_mut(&name) {
            None => {
                groups.insert(name, value);
            }
            Some(Value::Array(values)) => values.push(value),
            Some(first) => *first = json!([first.take(), value]),
        }
    }
    groups
}

fn media_type(query: &Query) -> Option<&str> {
    query.header(CONTENT_TYPE)
}

/// The parts of a multipart body, where its content type says so.
fn multipart_of(query: &Query) -> Option<Value> {
    let boundary = media_type(query)?
        .strip_prefix("multipart/")?
        .split_once("boundary=")?
        .1;
    let boundary = boundary.split(';').next()?.trim().trim_matches('"');
    Some(Value::Array(parts(&query.body, boundary)))
}

fn parts(body: &[u8], boundary: &str) -> Vec<Value> {
    // A line break in front lets the first boundary look like all others.
    let body = [b"\r\n", body].concat();
    let boundary = format!("\r\n--{boundary}");
    let mut found = Vec::new();
    let mut pieces = split(&body, boundary.as_bytes()).skip(1);
    while let Some(piece) = pieces.next()
        && !piece.starts_with(b"--")
        && found.len() < PARTS_LIMIT
    {
        found.extend(part(piece));
    }
    found
}

fn part(piece: &[u8]) -> Option<Value> {
    let piece = piece.strip_prefix(b"\r\n")?;
    let end = find(piece, b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&piece[..end]);
    let content = &piece[end + 4..];
    let header = |wanted: &str| {
        head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case(wanted).then(|| value.trim())
        })
    };
    let disposition = header("content-disposition")?;
    let attribute = |wanted: &str| {
        disposition.split(';').find_map(|attribute| {
            let (name, value) = attribute.trim().split_once('=')?;
            (name == wanted).then(|| value.trim_matches('"'))
        })
    };
    Some(json!({
        "name": attribute("name"),
        "filename": attribute("filename"),
        "content_type": header("content-type"),
        "bytes": content.len(),
        "text": String::from_utf8_lossy(content),
    }))
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|at| at == needle)
}

fn split<'a>(mut rest: &'a [u8], separator: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    let mut ended = false;
    std::iter::from_fn(move || {
        if ended {
            return None;
        }
        let Some(at) = find(rest, separator) else {
            ended = true;
            return Some(rest);
        };
        let piece = &rest[..at];
        rest = &rest[at + separator.len()..];
        Some(piece)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn multipart_bodies_fall_into_parts() {
        let body = b"--xyz\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n2\r\n\
            --xyz\r\ncontent-disposition: form-data; name=\"f\"; filename=\"f.txt\"\r\n\
            Content-Type: text/plain\r\n\r\nhello\r\n--xyz--\r\n";
        let expected = json!([
            {"name": "a", "filename": null, "content_type": null, "bytes": 4, "text": "1\r\n2"},
            {"name": "f", "filename": "f.txt", "content_type": "text/plain", "bytes": 5, "text": "hello"},
        ]);
        assert_eq!(Value::Array(parts(body, "xyz")), expected);
    }

    #[test]
    fn broken_multipart_bodies_have_no_parts() {
        for body in [
            "",
            "--xyz",
            "--xyz--",
            "--xyz\r\nno end",
            "--xyz\r\n\r\n\r\nnameless\r\n--xyz--",
        ] {
            assert!(parts(body.as_bytes(), "xyz").is_empty(), "{body:?}");
        }
    }

    #[test]
    fn repeated_names_become_lists() {
        let pairs = [("a", 1), ("b", 2), ("a", 3), ("a", 4)];
        let pairs = pairs.map(|(name, value)| (name.to_owned(), json!(value)));
        let expected = json!({"a": [1, 3, 4], "b": 2});
        assert_eq!(Value::Object(grouped(pairs.into_iter())), expected);
    }
}
