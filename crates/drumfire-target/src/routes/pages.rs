//! Documents to read: JSON, XML, HTML, and answers by status.

use std::sync::atomic::Ordering::Relaxed;

use http::StatusCode;
use rand_xoshiro::Xoshiro256PlusPlus;
use serde_json::{Value, json};

use super::{Query, ROUTES, Refusal, Reply, document, empty, plain, whole};
use crate::server::Target;

type Answer = Result<Reply, Refusal>;

/// The most items that `/json/{n}` lists.
const ITEMS_LIMIT: u32 = 100_000;

pub(super) fn greeting(_: &Query, _: &mut Xoshiro256PlusPlus, _: &Target) -> Answer {
    Ok(Reply::Now(whole(
        "application/json",
        r#"{"hello":"drumfire","ok":true}"#,
    )))
}

pub(super) fn json(_: &Query, _: &mut Xoshiro256PlusPlus, _: &Target) -> Answer {
    Ok(Reply::Now(document(&json!({
        "id": 42,
        "uuid": "3f2b8c1e-7a4d-4e5f-9b6a-0c1d2e3f4a5b",
        "name": "Drum \"Fire\" \u{2013} ünïcode",
        "price": 19.99,
        "negative": -7,
        "large": 9_007_199_254_740_993_u64,
        "active": true,
        "deleted": false,
        "parent": null,
        "empty": {"text": "", "list": [], "object": {}},
        "tags": ["load", "test", "rust"],
        "matrix": [[1, 2, 3], [4, 5, 6]],
        "owner": {"id": 7, "name": "Ada", "address": {"city": "London", "zip": "NW1"}},
        "a.key with:signs": "reached by brackets",
        "items": items(3),
    }))))
}

pub(super) fn json_list(query: &Query, _: &mut Xoshiro256PlusPlus, _: &Target) -> Answer {
    let count = query.param("n", 0, ITEMS_LIMIT)?;
    Ok(Reply::Now(document(
        &json!({"count": count, "items": items(count)}),
    )))
}

fn items(count: u32) -> Vec<Value> {
    let item = |id: u32| {
        json!({
            "id": id,
            "name": format!("item {id}"),
            "price": f64::from(id) * 1.5,
            "even": id.is_multiple_of(2),
            "next": if id < count { json!(id + 1) } else { Value::Null },
            "owner": {"id": id * 10, "tags": [format!("tag-{id}"), "all"]},
        })
    };
    (1..=count).map(item).collect()
}

pub(super) fn xml(_: &Query, _: &mut Xoshiro256PlusPlus, _: &Target) -> Answer {
    let body = r#"<?xml version="1.0" encoding="UTF-8"?>
<catalog xmlns:dc="http://purl.org/dc/elements/1.1/" version="3">
  <book id="b1" lang="en"><title>The Art of Load</title><price>19.99</price><dc:creator>Ada</dc:creator></book>
  <book id="b2" lang="de"><title>Trommelfeuer &amp; Takt</title><price>24.50</price></book>
  <book id="b3"><title><![CDATA[Less <than> more]]></title><price>0</price></book>
  <empty/>
</catalog>
"#;
    Ok(Reply::Now(whole("application/xml", body)))
}

pub(super) fn html(_: &Query, _: &mut Xoshiro256PlusPlus, _: &Target) -> Answer {
    let body = r#"<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>Drumfire target</title><meta name="csrf-token" content="t0k3n-123"></head>
<body>
<h1 class="title main">Hello</h1>
<ul id="links">
<li><a class="link" href="/json/1" data-id="1">first</a></li>
<li><a class="link" href="/json/2" data-id="2">second</a></li>
<li><a class="link last" href="/json/3" data-id="3">third</a></li>
</ul>
<form action="/login" method="post">
<input type="hidden" name="csrf" value="h1dd3n-456">
<input name="username"><input type="password" name="password">
</form>
<p class="note">Fish &amp; chips</p>
</body>
</html>
"#;
    Ok(Reply::Now(whole("text/html; charset=utf-8", body)))
}

pub(super) fn status(query: &Query, _: &mut Xoshiro256PlusPlus, _: &Target) -> Answer {
    let code: u16 = query.param("code", 0, 999)?;
    if code < 200 {
        return Err(Refusal(format!("{code} is no final status (200 to 999)")));
    }
    let status = StatusCode::from_u16(code).map_err(|error| Refusal(error.to_string()))?;
    Ok(Reply::Now(match code {
        204 | 205 | 304 => empty(status),
        _ => plain(status, format!("{status}\n")),
    }))
}

pub(super) fn counter(_: &Query, _: &mut Xoshiro256PlusPlus, target: &Target) -> Answer {
    let count = target.counter.fetch_add(1, Relaxed) + 1;
    Ok(Reply::Now(document(&json!({"count": count}))))
}

pub(super) fn routes(_: &Query, _: &mut Xoshiro256PlusPlus, _: &Target) -> Answer {
    let table: serde_json::Map<String, Value> = ROUTES
        .iter()
        .map(|route| (route.pattern.to_owned(), json!(route.about)))
        .collect();
    Ok(Reply::Now(document(&Value::Object(table))))
}
