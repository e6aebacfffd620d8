//! Logins that a script can chain on: a token, a cookie, and HTTP basic authentication. Nothing
//! is kept: the token says who it is for.

use http::StatusCode;
use http::header::{AUTHORIZATION, SET_COOKIE, WWW_AUTHENTICATE};
use rand_xoshiro::Xoshiro256PlusPlus;
use serde_json::{Value, json};

use super::{Query, Refusal, Reply, document, echo, header_value, with_header, with_status};
use crate::server::Target;

type Answer = Result<Reply, Refusal>;

/// What every token starts with; the user's name in hexadecimal follows.
const TOKEN_PREFIX: &str = "token-";

pub(super) fn login(query: &Query, _: &mut Xoshiro256PlusPlus, _: &Target) -> Answer {
    if query.head.method != http::Method::POST {
        return Ok(Reply::Now(with_status(
            StatusCode::METHOD_NOT_ALLOWED,
            document(&json!({"error": "POST username and password"})),
        )));
    }
    let field = |name: &str| {
        let fields = echo::json_of(query).or_else(|| echo::form_of(query))?;
        Some(fields.get(name)?.as_str()?.to_owned())
    };
    let (Some(user), Some(_)) = (field("username"), field("password")) else {
        return Ok(Reply::Now(refused("username and password are needed")));
    };
    let token = token_of(&user);
    let mut answer = document(&json!({"token": token, "user": {"name": user}}));
    let cookie = header_value("token", &format!("session={token}; Path=/; HttpOnly"))?;
    answer.headers_mut().append(SET_COOKIE, cookie);
    Ok(Reply::Now(answer))
}

pub(super) fn me(query: &Query, _: &mut Xoshiro256PlusPlus, _: &Target) -> Answer {
    let bearer = query
        .header(AUTHORIZATION)
        .and_then(|value| value.strip_prefix("Bearer "))
        .and_then(user_of);
    let cookies = super::cookies::of(query);
    let session = cookies
        .get("session")
        .and_then(Value::as_str)
        .and_then(user_of);
    Ok(Reply::Now(match (bearer, session) {
        (Some(user), _) => document(&json!({"user": user, "by": "bearer"})),
        (None, Some(user)) => document(&json!({"user": user, "by": "cookie"})),
        (None, None) => refused("neither a token nor a session cookie of /login"),
    }))
}

pub(super) fn basic(query: &Query, _: &mut Xoshiro256PlusPlus, _: &Target) -> Answer {
    let [user, password] = &query.params[..] else {
        return Err(Refusal("user and password are needed".to_owned()));
    };
    let given = query
        .header(AUTHORIZATION)
        .and_then(|value| value.strip_prefix("Basic "))
        .and_then(base64_decoded);
    if given == Some(format!("{user}:{password}").into_bytes()) {
        let body = json!({"authenticated": true, "user": user});
        return Ok(Reply::Now(document(&body)));
    }
    Ok(Reply::Now(with_header(
        refused("wrong or missing credentials"),
        WWW_AUTHENTICATE,
        "Basic realm=\"drumfire target\"",
    )))
}

fn refused(reason: &str) -> http::Response<super::Body> {
    with_status(
        StatusCode::UNAUTHORIZED,
        document(&json!({"error": reason})),
    )
}

fn token_of(user: &str) -> String {
    let digits: String = user.bytes().map(|byte| format!("{byte:02x}")).collect();
    format!("{TOKEN_PREFIX}{digits}")
}

fn user_of(token: &str) -> Option<String> {
    let digits = token.strip_prefix(TOKEN_PREFIX)?.as_bytes();
    let digit = |symbol: u8| char::from(symbol).to_digit(16);
    let byte = |pair: &[u8]| match *pair {
        [high, low] => Some((digit(high)? << 4 | digit(low)?) as u8),
        _ => None,
    };
    let bytes = digits.chunks(2).map(byte).collect::<Option<Vec<u8>>>()?;
    String::from_utf8(bytes)
        .ok()
        .filter(|user| !user.is_empty())
}

/// Standard base64, padding optional: too little to take a library in for.
fn base64_decoded(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let (mut bits, mut bit_count) = (0_u32, 0);
    for symbol in text.trim().trim_end_matches('=').bytes() {
        let value = match symbol {
            b'A'..=b'Z' => symbol - b'A',
            b'a'..=b'z' => symbol - b'a' + 26,
            b'0'..=b'9' => symbol - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        bit_count += 6;
        if bit_count >= 8 {
            bit_count -= 8;
            bytes.push((bits >> bit_count) as u8);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_decoded() {
        let table: [(&str, Option<&[u8]>); 6] = [
            ("", Some(b"")),
            ("YQ==", Some(b"a")),
            ("YWI=", Some(b"ab")),
            ("dXNlcjpwYXNz", Some(b"user:pass")),
            ("+/+/", Some(&[0xfb, 0xff, 0xbf])),
            ("a*b", None),
        ];
        for (text, expected) in table {
            assert_eq!(base64_decoded(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn tokens_say_who_they_are_for() {
        for user in ["ada", "ünï", "a b;c"] {
            assert_eq!(user_of(&token_of(user)).as_deref(), Some(user));
        }
        for token in ["", "token-", "token-xy", "token-f", "nonsense", "token-ff"] {
            assert_eq!(user_of(token), None, "{token}");
        }
    }
}
