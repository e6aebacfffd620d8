//! What a request is called in the metrics by endpoint.

use std::cell::RefCell;

use drumfire_metrics::{EndpointId, Recorder, Unit};
use percent_encoding::percent_decode_str;

use crate::script::{MetricsByEndpoint, Request};

/// The endpoint of a request.
pub(crate) enum Endpoint {
    /// Known at load time.
    Fixed(EndpointId),
    /// Named by the URL as sent (`groupDynamicURLs: false`).
    Dynamic,
}

/// The name of a request to `url`, with `name` in the place of its `name`;
/// none where it is not measured by endpoint.
pub(crate) fn endpoint_name(
    options: &MetricsByEndpoint,
    target: Option<&str>,
    url: &str,
    name: Option<&str>,
) -> Option<String> {
    match name {
        None if options.ignore_unnamed_requests => None,
        None => Some(base_name(options, target, url)),
        Some(name) if options.use_only_request_names => Some(name.to_owned()),
        Some(name) => Some(format!("{} ({name})", base_name(options, target, url))),
    }
}

impl Endpoint {
    /// The endpoint of `request` where it can be known before the request is sent.
    pub(crate) fn of(
        request: &Request,
        options: &MetricsByEndpoint,
        target: Option<&str>,
        recorder: &RefCell<Recorder>,
    ) -> Endpoint {
        if !options.group_dynamic_urls {
            return Endpoint::Dynamic;
        }
        let full = prepend_target(target, &request.url_text);
        let name = endpoint_name(options, target, &full, request.name_text.as_deref());
        Endpoint::Fixed(intern(recorder, name.as_deref()))
    }
}

/// The endpoint called `name`, or the one of what is not listed.
pub(crate) fn intern(recorder: &RefCell<Recorder>, name: Option<&str>) -> EndpointId {
    let mut recorder = recorder.borrow_mut();
    match name {
        Some(name) => recorder.endpoint(name),
        None => recorder.unlisted_endpoint(),
    }
}

/// Takes down what a server says that a request took it.
pub(crate) fn observe_server_timing(
    recorder: &mut Recorder,
    options: &MetricsByEndpoint,
    endpoint: EndpointId,
    total_ns: u64,
) {
    let name = recorder.endpoint_name(endpoint);
    if name == Recorder::UNLISTED {
        return;
    }
    let name = format!("{}.server-timing.{name}", options.metrics_namespace);
    let histogram = recorder.histogram(&name, Unit::Duration);
    recorder.observe(histogram, total_ns);
}

/// The first `total` of a `Server-Timing` header, which is in milliseconds.
pub(crate) fn server_total_ns(header: &[u8]) -> Option<u64> {
    const MARK: &str = "total;dur=";
    let header = std::str::from_utf8(header).ok()?.to_ascii_lowercase();
    let number = &header[header.find(MARK)? + MARK.len()..];
    let end = number.find(|c: char| !c.is_ascii_digit() && c != '.');
    let total_ms: f64 = number[..end.unwrap_or(number.len())].parse().ok()?;
    Some((total_ms * 1e6) as u64)
}

/// A URL that starts with a slash goes to the target.
pub(crate) fn prepend_target(target: Option<&str>, url: &str) -> String {
    match target {
        Some(target) if url.starts_with('/') => format!("{target}{url}"),
        _ => url.to_owned(),
    }
}

/// Path (and query) of the URL, preceded by what of host and port differs from
/// the target's. The URL may hold templates, so this is not a strict parser.
fn base_name(options: &MetricsByEndpoint, target: Option<&str>, url: &str) -> String {
    let (host, port, path) = split(url);
    let mut name = String::new();
    if let Some(target) = target {
        let (target_host, target_port, _) = split(target);
        if !host.is_empty() && host != target_host {
            name.push_str(host);
        }
        if !port.is_empty() && port != target_port {
            name.push(':');
            name.push_str(port);
        }
    }
    let path = path.split('#').next().unwrap_or_default();
    let path = match options.strip_query_string {
        true => path.split('?').next().unwrap_or_default(),
        false => path,
    };
    name.push_str(&percent_decode_str(path).decode_utf8_lossy());
    name
}

/// Host, port and everything from the path on.
fn split(url: &str) -> (&str, &str, &str) {
    let Some((_, rest)) = url.split_once("://") else {
        return ("", "", url);
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let authority = authority.rsplit('@').next().unwrap_or_default();
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port),
        _ => (authority, ""),
    };
    (host, port, if path.is_empty() { "/" } else { path })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_servers_total_is_found_among_its_timings() {
        for (header, expected) in [
            ("total;dur=7.5", Some(7_500_000)),
            ("db;dur=53.2, Total;dur=12, total;dur=1", Some(12_000_000)),
            ("db;dur=53.2", None),
            ("total;dur=", None),
            ("total;dur=1.2.3", None),
            ("", None),
        ] {
            assert_eq!(server_total_ns(header.as_bytes()), expected, "{header}");
        }
    }

    #[test]
    fn names_follow_the_options() {
        let plain = MetricsByEndpoint::default();
        let with_query = MetricsByEndpoint {
            strip_query_string: false,
            ..plain.clone()
        };
        let names_only = MetricsByEndpoint {
            use_only_request_names: true,
            ..plain.clone()
        };
        let named_only = MetricsByEndpoint {
            ignore_unnamed_requests: true,
            ..plain.clone()
        };
        let target = Some("http://a.example:81/v1");
        for (options, url, name, expected) in [
            (&plain, "/x", None, Some("/v1/x")),
            (&plain, "/x?y=1", Some("n"), Some("/v1/x (n)")),
            (&with_query, "/x?y=1#f", None, Some("/v1/x?y=1")),
            (&names_only, "/x", Some("n"), Some("n")),
            (&names_only, "/x", None, Some("/v1/x")),
            (&named_only, "/x", None, None),
            (&plain, "http://a.example:81/z", None, Some("/z")),
            (&plain, "http://b.example/z", None, Some("b.example/z")),
            (&plain, "http://b.example:9/z", None, Some("b.example:9/z")),
            (&plain, "http://a.example:9", None, Some(":9/")),
            (&plain, "/u/{{ $uuid }}", None, Some("/v1/u/{{ $uuid }}")),
            (&plain, "/h%C3%A9", None, Some("/v1/hé")),
        ] {
            let full = prepend_target(target, url);
            let named = endpoint_name(options, target, &full, name);
            assert_eq!(named.as_deref(), expected, "{url} {name:?}");
        }
    }
}
