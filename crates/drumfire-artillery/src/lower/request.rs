//! Requests: every key of one.

use std::sync::Arc;

use super::{Lowering, is_true, shown};
use crate::error::ScriptError;
use crate::expression::Expression;
use crate::files;
use crate::node::{Node, NodeValue};
use crate::script::{Auth, Body, Config, Header, Part, PartValue, Request};
use crate::template::{Template, ValueTemplate};
use crate::{duration, javascript};

/// Keys of a request.
const REQUEST_KEYS: [&str; 28] = [
    "url",
    "uri",
    "name",
    "headers",
    "json",
    "body",
    "form",
    "formData",
    "setContentLengthHeader",
    "qs",
    "cookie",
    "auth",
    "gzip",
    "followRedirect",
    "capture",
    "match",
    "expect",
    "ifTrue",
    "probability",
    "beforeRequest",
    "afterResponse",
    "http2",
    "maxRedirects",
    "timeout",
    "allowGetBody",
    "encoding",
    "retry",
    "throwHttpErrors",
];

/// Keys that name JavaScript functions.
const HOOK_KEYS: [&str; 2] = ["beforeRequest", "afterResponse"];

/// How many redirects are followed unless a request says otherwise.
const DEFAULT_MAX_REDIRECTS: u32 = 10;

impl Lowering<'_> {
    pub(super) fn request(
        &mut self,
        verb: &str,
        node: &Node,
        config: &Config,
    ) -> Result<Request, ScriptError> {
        self.check_keys(node, "a request", &REQUEST_KEYS);
        for key in HOOK_KEYS {
            if let Some(member) = node
                .member(key)
                .filter(|member| !member.node.as_items().is_empty())
            {
                return Err(self.javascript(member.key_span, &format!("`{key}`")));
            }
        }
        let url = node.get("url").or(node.get("uri")).unwrap_or(node);
        let name = node.get("name").filter(|name| name.is_truthy());
        Ok(Request {
            method: verb.to_uppercase().into(),
            url: self.template(url),
            url_text: javascript::text(&url.to_value()).into(),
            name: name.map(|name| self.template(name)),
            name_text: name.map(|name| javascript::text(&name.to_value()).into()),
            headers: self.headers(node.get("headers")),
            body: self.body(node)?,
            query: node.get("qs").map(|query| self.pairs(query)),
            cookies: self.named_values(node.get("cookie")),
            auth: node.get("auth").map(|auth| self.auth(auth)),
            decompress: !is_false(node.get("gzip")),
            follow_redirect: !is_false(node.get("followRedirect")),
            max_redirects: self
                .optional_count(node, "maxRedirects")?
                .unwrap_or(DEFAULT_MAX_REDIRECTS),
            http2: is_true(node.get("http2")),
            response_timeout: node
                .get("timeout")
                .and_then(|timeout| self.timeout(timeout)),
            allow_get_body: is_true(node.get("allowGetBody")),
            captures: self.captures(node.get("capture"), config)?,
            matches: self.matches(node.get("match"))?,
            expects: self.expects(node.get("expect"))?,
            if_true: node
                .member("ifTrue")
                .and_then(|condition| self.if_true(&condition.node)),
            probability: node
                .get("probability")
                .map(|probability| self.probability(probability)),
        })
    }

    /// Headers with their names in lower case; of two alike the later one counts.
    pub(super) fn headers(&mut self, node: Option<&Node>) -> Vec<Header> {
        let mut headers: Vec<Header> = Vec::new();
        for (name, value) in self.named_values(node) {
            let name: Arc<str> = name.to_lowercase().into();
            headers.retain(|known| known.name != name);
            headers.push(Header { name, value });
        }
        headers
    }

    /// The members of a map, names as they are.
    pub(super) fn named_values(&mut self, node: Option<&Node>) -> Vec<(Arc<str>, ValueTemplate)> {
        let Some(members) = node.and_then(Node::as_map) else {
            return Vec::new();
        };
        members
            .iter()
            .map(|(key, member)| (key.clone(), self.value_template(&member.node)))
            .collect()
    }

    /// The members of a map, names templated too.
    fn pairs(&mut self, node: &Node) -> Vec<(Template, ValueTemplate)> {
        let Some(members) = node.as_map() else {
            return Vec::new();
        };
        members
            .iter()
            .map(|(key, member)| {
                (
                    Template::parse_with(key, &self.functions),
                    self.value_template(&member.node),
                )
            })
            .collect()
    }

    fn auth(&mut self, node: &Node) -> Auth {
        let mut part = |key: &str| match node.get(key) {
            Some(member) => self.value_template(member),
            None => ValueTemplate::constant(serde_json::Value::String(String::new())),
        };
        Auth {
            user: part("user"),
            pass: part("pass"),
        }
    }

    /// `json` wins over `body`; a `form` or `formData` is taken when there is neither.
    fn body(&mut self, node: &Node) -> Result<Body, ScriptError> {
        if let Some(json) = node.member("json").map(|member| &member.node) {
            self.warn_of_other_bodies(node, "json");
            return Ok(Body::Json(self.value_template(json)));
        }
        if let Some(body) = node.get("body").filter(|body| body.is_truthy()) {
            self.warn_of_other_bodies(node, "body");
            if let NodeValue::List(_) | NodeValue::Map(_) = body.value {
                return Err(self
                    .error(body, format!("`body` must be a text, not {}", body.kind()))
                    .hint("use `json` for a JSON body"));
            }
            return Ok(Body::Text(self.template(body)));
        }
        if let Some(form) = node.get("form") {
            self.warn_of_other_bodies(node, "form");
            return Ok(Body::Form(self.named_values(Some(form))));
        }
        match node.get("formData").and_then(Node::as_map) {
            Some(fields) => {
                let parts = fields
                    .iter()
                    .map(|(name, member)| self.part(name, &member.node))
                    .collect::<Result<_, _>>()?;
                Ok(Body::Multipart(parts))
            }
            None => Ok(Body::None),
        }
    }

    fn warn_of_other_bodies(&mut self, node: &Node, used: &str) {
        for key in ["json", "body", "form", "formData"] {
            if let Some(member) = node.member(key).filter(|_| key != used) {
                self.warn(
                    member.key_span,
                    format!("`{key}` is ignored beside `{used}`"),
                    None,
                );
            }
        }
    }

    /// A field of a multipart body: a value, or a map with `value` or `fromFile`, and a
    /// `contentType`.
    fn part(&mut self, name: &Arc<str>, node: &Node) -> Result<Part, ScriptError> {
        let content_type = node
            .get("contentType")
            .map(|content_type| self.template(content_type));
        let value = if let Some(file) = node.get("fromFile") {
            self.part_file(file)?
        } else {
            let value = node.get("value").unwrap_or(node);
            PartValue::Value(self.value_template(value))
        };
        Ok(Part {
            name: name.clone(),
            value,
            content_type,
        })
    }

    fn part_file(&mut self, node: &Node) -> Result<PartValue, ScriptError> {
        let template = self.template(node);
        let Some(path) = template.as_constant() else {
            return Ok(PartValue::TemplatedFile(template));
        };
        let path = files::resolve(files::folder(&self.origin.script_path), path);
        let bytes = self
            .files
            .read(&path)
            .map_err(|error| self.error(node, format!("reading {path}: {error}")))?;
        Ok(PartValue::File {
            name: files::name(&path).into(),
            bytes,
        })
    }

    /// A timeout in seconds; what is none is warned of and left out.
    pub(super) fn timeout(&mut self, node: &Node) -> Option<std::time::Duration> {
        let timeout = duration::parse_value(&node.to_value()).filter(|timeout| !timeout.is_zero());
        if timeout.is_none() && node.is_truthy() {
            self.warn(
                node.span,
                format!("invalid timeout {} is ignored", shown(node)),
                None,
            );
        }
        timeout
    }

    /// A condition; one that does not parse counts as true.
    fn if_true(&mut self, node: &Node) -> Option<Expression> {
        let text = javascript::text(&node.to_value());
        match Expression::parse(&text) {
            Ok(expression) => Some(expression),
            Err(error) => {
                let message = format!("ifTrue does not parse, so it counts as true: {error}");
                let hint = "compare with `==`, put texts in double quotes, and a blank after `not`, `and`, `or` and `in`";
                self.warn(node.span, message, Some(hint.to_owned()));
                None
            }
        }
    }

    /// Percent; what is no number is 0: the request is never sent.
    fn probability(&mut self, node: &Node) -> f64 {
        let percent = javascript::value_to_number(&node.to_value());
        if percent.is_nan() {
            self.warn(
                node.span,
                format!(
                    "probability {} is no number: the request is never sent",
                    shown(node)
                ),
                None,
            );
            return 0.0;
        }
        percent.clamp(0.0, 100.0)
    }
}

fn is_false(node: Option<&Node>) -> bool {
    node.is_some_and(|node| match &node.value {
        NodeValue::Bool(truth) => !truth,
        NodeValue::Text(text) => text.eq_ignore_ascii_case("false"),
        _ => false,
    })
}
