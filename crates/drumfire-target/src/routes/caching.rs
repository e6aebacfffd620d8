//! Answers whose head is the point: caches, no content, HEAD, and the end of a connection.

use http::StatusCode;
use http::header::{AGE, ALLOW, CONNECTION, ETAG, HeaderName};
use rand_xoshiro::Xoshiro256PlusPlus;
use serde_json::json;

use super::{
    Query, Refusal, Reply, document, empty, header_value, plain, whole, with_header, with_status,
};
use crate::server::Target;

type Answer = Result<Reply, Refusal>;

pub(super) fn cdn(query: &Query, _: &mut Xoshiro256PlusPlus, _: &Target) -> Answer {
    let status = query.value("status").unwrap_or_else(|| "HIT".to_owned());
    let mut answer = document(&json!({"cache": status}));
    for name in ["cf-cache-status", "x-cache"] {
        let value = header_value("status", &status)?;
        answer
            .headers_mut()
            .insert(HeaderName::from_static(name), value);
    }
    Ok(Reply::Now(with_header(answer, AGE, "17")))
}

pub(super) fn no_content(_: &Query, _: &mut Xoshiro256PlusPlus, _: &Target) -> Answer {
    Ok(Reply::Now(empty(StatusCode::NO_CONTENT)))
}

pub(super) fn not_modified(_: &Query, _: &mut Xoshiro256PlusPlus, _: &Target) -> Answer {
    Ok(Reply::Now(with_header(
        empty(StatusCode::NOT_MODIFIED),
        ETAG,
        "\"drumfire\"",
    )))
}

pub(super) fn head_only(query: &Query, _: &mut Xoshiro256PlusPlus, _: &Target) -> Answer {
    let answer = if query.head.method == http::Method::HEAD {
        whole(
            "text/plain; charset=utf-8",
            "the length of this is told, not its text\n",
        )
    } else {
        let refused = plain(StatusCode::METHOD_NOT_ALLOWED, "only HEAD is answered\n");
        with_status(StatusCode::METHOD_NOT_ALLOWED, refused)
    };
    Ok(Reply::Now(with_header(answer, ALLOW, "HEAD")))
}

pub(super) fn close(query: &Query, _: &mut Xoshiro256PlusPlus, _: &Target) -> Answer {
    let answer = document(&json!({"closes": true}));
    // HTTP/2 forbids the header.
    Ok(Reply::Now(if query.head.version == http::Version::HTTP_2 {
        answer
    } else {
        with_header(answer, CONNECTION, "close")
    }))
}
