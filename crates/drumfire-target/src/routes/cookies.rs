//! Cookies: shown, set with their attributes, and set so that nobody can parse them.

use http::header::{HeaderValue, SET_COOKIE};
use rand_xoshiro::Xoshiro256PlusPlus;
use serde_json::{Map, Value, json};

use super::{Query, Refusal, Reply, document, header_value};
use crate::server::Target;

type Answer = Result<Reply, Refusal>;

/// Keys of the query that are attributes of all cookies set, not cookies.
const ATTRIBUTES: [(&str, &str); 7] = [
    ("path", "Path"),
    ("domain", "Domain"),
    ("max-age", "Max-Age"),
    ("expires", "Expires"),
    ("samesite", "SameSite"),
    ("secure", "Secure"),
    ("httponly", "HttpOnly"),
];

/// What no parser of cookies makes sense of.
const UNPARSABLE: [&[u8]; 4] = [b"no equals sign", b"=no name", b";;;", b"\xff\xfe"];

pub(super) fn show(query: &Query, _: &mut Xoshiro256PlusPlus, _: &Target) -> Answer {
    Ok(Reply::Now(document(&json!({"cookies": of(query)}))))
}

pub(super) fn set(query: &Query, _: &mut Xoshiro256PlusPlus, _: &Target) -> Answer {
    let attribute_of = |name: &str| {
        let found = ATTRIBUTES.iter().find(|(key, _)| *key == name);
        found.map(|(_, attribute)| *attribute)
    };
    let mut suffix = String::new();
    let mut cookies = Vec::new();
    for (name, value) in query.pairs() {
        match attribute_of(&name) {
            Some(attribute) if value.is_empty() => suffix += &format!("; {attribute}"),
            Some(attribute) => suffix += &format!("; {attribute}={value}"),
            None => cookies.push((name, value)),
        }
    }
    let mut answer = document(&json!({"set": cookies.iter().cloned().collect::<Names>()}));
    for (name, value) in cookies {
        let line = header_value(&name, &format!("{name}={value}{suffix}"))?;
        answer.headers_mut().append(SET_COOKIE, line);
    }
    Ok(Reply::Now(answer))
}

type Names = std::collections::BTreeMap<String, String>;

pub(super) fn bad(_: &Query, _: &mut Xoshiro256PlusPlus, _: &Target) -> Answer {
    let mut answer = document(&json!({"set": "nothing that can be parsed"}));
    for line in UNPARSABLE {
        let line = HeaderValue::from_bytes(line).map_err(|error| Refusal(error.to_string()))?;
        answer.headers_mut().append(SET_COOKIE, line);
    }
    Ok(Reply::Now(answer))
}

/// The cookies that a request brings; the first of a name wins.
pub(super) fn of(query: &Query) -> Map<String, Value> {
    let mut found = Map::new();
    for header in query.head.headers.get_all(http::header::COOKIE) {
        for pair in String::from_utf8_lossy(header.as_bytes()).split(';') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            if !name.trim().is_empty() {
                found
                    .entry(name.trim().to_owned())
                    .or_insert_with(|| json!(value.trim()));
            }
        }
    }
    found
}
