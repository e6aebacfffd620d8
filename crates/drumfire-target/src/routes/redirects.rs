//! Redirects: some, one to anywhere, and without end.

use http::StatusCode;
use http::header::LOCATION;
use rand_xoshiro::Xoshiro256PlusPlus;
use serde_json::json;

use super::{Query, Refusal, Reply, document, empty, header_value};
use crate::server::Target;

type Answer = Result<Reply, Refusal>;

/// The longest chain of redirects.
const REDIRECTS_LIMIT: u32 = 1_000;

pub(super) fn countdown(query: &Query, _: &mut Xoshiro256PlusPlus, _: &Target) -> Answer {
    let left: u32 = query.param("n", 0, REDIRECTS_LIMIT)?;
    if left == 0 {
        let body = json!({"redirected": true, "method": query.head.method.as_str()});
        return Ok(Reply::Now(document(&body)));
    }
    let rest = query.head.uri.query().map(|text| format!("?{text}"));
    redirect(
        query,
        &format!("/redirect/{}{}", left - 1, rest.unwrap_or_default()),
    )
}

pub(super) fn to(query: &Query, _: &mut Xoshiro256PlusPlus, _: &Target) -> Answer {
    let url = query
        .value("url")
        .ok_or_else(|| Refusal("url is missing".to_owned()))?;
    redirect(query, &url)
}

pub(super) fn endless(query: &Query, _: &mut Xoshiro256PlusPlus, _: &Target) -> Answer {
    redirect(query, "/redirect-loop")
}

fn redirect(query: &Query, location: &str) -> Answer {
    let code: u16 = query.number("status", 302, 399)?;
    if code < 300 {
        return Err(Refusal(format!("{code} is no redirect")));
    }
    let status = StatusCode::from_u16(code).map_err(|error| Refusal(error.to_string()))?;
    let mut answer = empty(status);
    answer
        .headers_mut()
        .insert(LOCATION, header_value("url", location)?);
    Ok(Reply::Now(answer))
}
