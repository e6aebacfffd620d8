//! Each type of expectation: what it wants of a response, and what it says of it.

use std::borrow::Cow;
use std::sync::Arc;

use jmespath::Variable;
use rand::Rng;
use serde_json::Value;
use smallvec::SmallVec;

use super::Shown;
use crate::capture::{Expression, rendered};
use crate::javascript;
use crate::path::{Path, Scope};
use crate::pattern::Pattern;
use crate::response::ResponseView;
use crate::script::ExpectKind;
use crate::template::{Template, ValueTemplate};

/// The headers in which caches say whether they had the answer.
const CACHE_HEADERS: [&str; 3] = ["cf-cache-status", "x-cache", "x-vercel-cache"];

/// The longest JMESPath, in bytes.
const JMESPATH_LENGTH_LIMIT: usize = 1_024;

/// What is said of a body that has no properties.
const NO_OBJECT: &str = "response body is not an object";

/// An expectation ready to check.
#[derive(Debug, Clone)]
pub(super) enum Checker {
    StatusCode(Codes),
    NotStatusCode(Codes),
    ContentType(Template),
    Property {
        property: Property,
        wanted: bool,
    },
    Equals(Box<[Template]>),
    HasHeader(Template),
    HeaderEquals(Template, ValueTemplate),
    MatchesRegexp(Expression<Pattern>),
    CdnHit(bool),
    JmesPath {
        query: jmespath::Expression<'static>,
        description: Arc<str>,
    },
}

/// Status codes, cast at load time where they have no templates in them.
#[derive(Debug, Clone)]
pub(super) struct Codes {
    written: ValueTemplate,
    fixed: Option<SmallVec<[f64; 4]>>,
}

/// A lodash path into the body.
#[derive(Debug, Clone)]
pub(super) struct Property {
    written: Template,
    fixed: Option<Path>,
}

/// What a check found.
pub(super) struct Finding<'e> {
    pub(super) ok: bool,
    pub(super) expected: Shown<'e>,
    pub(super) got: Shown<'e>,
    /// Where the type's name is known only now.
    pub(super) type_name: Option<String>,
}

impl<'e> Finding<'e> {
    fn new(ok: bool, expected: Shown<'e>, got: Shown<'e>) -> Finding<'e> {
        Finding {
            ok,
            expected,
            got,
            type_name: None,
        }
    }
}

/// The type of `headerEquals`, which names the header.
pub(super) fn header_type(name: &str) -> String {
    format!("header {name} values equals")
}

impl Checker {
    pub(super) fn compile(kind: &ExpectKind) -> Result<Checker, String> {
        Ok(match kind {
            ExpectKind::StatusCode(codes) => Checker::StatusCode(Codes::compile(codes)),
            ExpectKind::NotStatusCode(codes) => Checker::NotStatusCode(Codes::compile(codes)),
            ExpectKind::ContentType(wanted) => Checker::ContentType(wanted.clone()),
            ExpectKind::HasProperty(property) => Checker::Property {
                property: Property::compile(property),
                wanted: true,
            },
            ExpectKind::NotHasProperty(property) => Checker::Property {
                property: Property::compile(property),
                wanted: false,
            },
            ExpectKind::Equals(values) => Checker::Equals(values.clone().into()),
            ExpectKind::HasHeader(name) => Checker::HasHeader(name.clone()),
            ExpectKind::HeaderEquals(name, value) => {
                Checker::HeaderEquals(name.clone(), value.clone())
            }
            ExpectKind::MatchesRegexp(expression) => {
                let compile = |text: &str| Pattern::compile(text, "");
                Checker::MatchesRegexp(Expression::compile(expression, compile)?)
            }
            ExpectKind::CdnHit(hit) => Checker::CdnHit(*hit),
            ExpectKind::JmesPath {
                expression,
                description,
                ..
            } => Checker::JmesPath {
                query: compile_jmespath(expression)?,
                description: description.as_deref().unwrap_or(expression).into(),
            },
        })
    }

    pub(super) fn reads_body(&self) -> bool {
        match self {
            Checker::ContentType(wanted) => wanted.as_constant().is_none_or(|it| it == "json"),
            Checker::Property { .. } | Checker::MatchesRegexp(_) | Checker::JmesPath { .. } => true,
            _ => false,
        }
    }

    pub(super) fn check<'e>(
        &'e self,
        response: &ResponseView<'_>,
        scope: &dyn Scope,
        rng: &mut dyn Rng,
    ) -> Finding<'e> {
        match self {
            Checker::StatusCode(codes) => {
                let (found, expected) = codes.contain(response.status(), scope, rng);
                Finding::new(found, expected, Shown::Status(response.status()))
            }
            Checker::NotStatusCode(codes) => {
                let (found, codes) = codes.contain(response.status(), scope, rng);
                let expected = format!("Status code different than {}", codes.text());
                Finding::new(
                    !found,
                    Shown::owned(expected),
                    Shown::Status(response.status()),
                )
            }
            Checker::ContentType(wanted) => content_type(wanted, response, scope, rng),
            Checker::Property { property, wanted } => property.check(*wanted, response, scope, rng),
            Checker::Equals(values) => equals(values, scope, rng),
            Checker::HasHeader(name) => has_header(name, response, scope, rng),
            Checker::HeaderEquals(name, value) => header_equals(name, value, response, scope, rng),
            Checker::MatchesRegexp(pattern) => matches_regexp(pattern, response, scope, rng),
            Checker::CdnHit(hit) => cdn_hit(*hit, response),
            Checker::JmesPath { query, description } => jmes_path(query, description, response),
        }
    }
}

impl Codes {
    fn compile(written: &ValueTemplate) -> Codes {
        Codes {
            fixed: written.as_constant().map(code_numbers),
            written: written.clone(),
        }
    }

    /// Whether `status` is one of the codes, and the codes as they were written.
    fn contain<'e>(
        &'e self,
        status: u16,
        scope: &dyn Scope,
        rng: &mut dyn Rng,
    ) -> (bool, Shown<'e>) {
        let status = f64::from(status);
        if let (Some(fixed), Some(written)) = (&self.fixed, self.written.as_constant()) {
            return (
                fixed.contains(&status),
                Shown::Value(Cow::Borrowed(written)),
            );
        }
        match self.written.render(scope, rng) {
            Some(value) => {
                let found = code_numbers(&value).contains(&status);
                (found, Shown::Value(Cow::Owned(value)))
            }
            None => (false, Shown::Undefined),
        }
    }
}

fn code_numbers(value: &Value) -> SmallVec<[f64; 4]> {
    match value {
        Value::Array(items) => items.iter().map(javascript::value_to_number).collect(),
        single => SmallVec::from_iter([javascript::value_to_number(single)]),
    }
}

impl Property {
    fn compile(written: &Template) -> Property {
        Property {
            fixed: written.as_constant().map(Path::parse),
            written: written.clone(),
        }
    }

    fn check<'e>(
        &'e self,
        wanted: bool,
        response: &ResponseView<'_>,
        scope: &dyn Scope,
        rng: &mut dyn Rng,
    ) -> Finding<'e> {
        let path = match &self.fixed {
            Some(path) => Cow::Borrowed(path),
            None => Cow::Owned(Path::parse(&rendered(&self.written, scope, rng))),
        };
        let shown = match &path {
            Cow::Borrowed(path) => Shown::Text(Cow::Borrowed(path.text())),
            Cow::Owned(path) => Shown::owned(path.text().to_owned()),
        };
        let Some(body) = json_structure(response) else {
            return Finding::new(false, shown, Shown::known(NO_OBJECT));
        };
        let got = match (has_property(body, &path), wanted) {
            (true, true) | (false, false) => return Finding::new(true, shown.clone(), shown),
            (false, true) => format!("response body has no {} property", path.text()),
            (true, false) => format!("response body has {} property", path.text()),
        };
        Finding::new(false, shown, Shown::owned(got))
    }
}

/// The body where the expect plugin would parse it, if it is an object or a list.
fn json_structure<'r>(response: &'r ResponseView<'_>) -> Option<&'r Value> {
    let body = response.has_json_type().then(|| response.json())??;
    (body.is_object() || body.is_array()).then_some(body)
}

fn has_property(body: &Value, path: &Path) -> bool {
    body.get(path.text()).is_some() || path.get_in(body).is_some()
}

fn content_type<'e>(
    wanted: &'e Template,
    response: &ResponseView<'_>,
    scope: &dyn Scope,
    rng: &mut dyn Rng,
) -> Finding<'e> {
    let expected = Shown::of_template(wanted, scope, rng);
    let got = response.header("content-type");
    if expected.text() != "json" {
        let ok = got
            .as_deref()
            .is_some_and(|got| got.to_lowercase() == expected.text().to_lowercase());
        let got = got
            .filter(|got| !got.is_empty())
            .map_or(Shown::known("content-type header not set"), |got| {
                Shown::owned(got.into_owned())
            });
        return Finding::new(ok, expected, got);
    }
    let is_json = response.has_json_type();
    if is_json && response.is_json_structure() {
        return Finding::new(true, expected, Shown::known("json"));
    }
    let got = match response.json() {
        None | Some(Value::Null) if is_json => {
            Shown::known("could not parse response body as JSON")
        }
        _ => Shown::owned(format!(
            "content-type is {}",
            got.as_deref().unwrap_or("undefined")
        )),
    };
    Finding::new(false, expected, got)
}

fn equals<'e>(values: &[Template], scope: &dyn Scope, rng: &mut dyn Rng) -> Finding<'e> {
    let values: Vec<String> = values
        .iter()
        .map(|value| rendered(value, scope, rng))
        .collect();
    let ok = values
        .first()
        .is_some_and(|first| values.iter().all(|value| value == first));
    let expected = Shown::known("all values to be equal");
    Finding::new(ok, expected, Shown::owned(values.join(", ")))
}

fn has_header<'e>(
    name: &'e Template,
    response: &ResponseView<'_>,
    scope: &dyn Scope,
    rng: &mut dyn Rng,
) -> Finding<'e> {
    let expected = Shown::of_template(name, scope, rng);
    match response.header(&expected.text()) {
        Some(value) if !value.is_empty() => Finding::new(true, expected.clone(), expected),
        _ => {
            let got = format!("response has no {} header", expected.text());
            Finding::new(false, expected, Shown::owned(got))
        }
    }
}

fn header_equals<'e>(
    name: &'e Template,
    value: &'e ValueTemplate,
    response: &ResponseView<'_>,
    scope: &dyn Scope,
    rng: &mut dyn Rng,
) -> Finding<'e> {
    let name = Shown::of_template(name, scope, rng);
    let name = name.text();
    let mut finding = match response.header(&name).filter(|got| !got.is_empty()) {
        Some(got) => {
            let expected = match value.as_constant() {
                Some(value) => Shown::Value(Cow::Borrowed(value)),
                None => value
                    .render(scope, rng)
                    .map_or(Shown::Undefined, |value| Shown::Value(Cow::Owned(value))),
            };
            let wanted = match &expected {
                Shown::Undefined => Cow::Borrowed(""),
                shown => shown.text(),
            };
            let ok = got == wanted;
            drop(wanted);
            Finding::new(ok, expected, Shown::owned(got.into_owned()))
        }
        None => Finding::new(
            false,
            Shown::owned(format!("response to have {name} header")),
            Shown::owned(format!("response has no {name} header")),
        ),
    };
    finding.type_name = Some(header_type(&name));
    finding
}

fn matches_regexp<'e>(
    pattern: &Expression<Pattern>,
    response: &ResponseView<'_>,
    scope: &dyn Scope,
    rng: &mut dyn Rng,
) -> Finding<'e> {
    let compile = |text: &str| Pattern::compile(text, "");
    let found = pattern.with(scope, rng, compile, |pattern, _| {
        Ok(pattern.is_match(response.text()))
    });
    match found {
        Ok(found) => Finding::new(found, Shown::Truth(true), Shown::Truth(found)),
        Err(message) => Finding::new(false, Shown::Truth(true), Shown::owned(message)),
    }
}

fn cdn_hit<'e>(hit: bool, response: &ResponseView<'_>) -> Finding<'e> {
    let (expected, wanted): (_, &[&str]) = match hit {
        true => ("a cache header indicating a cache hit", &["hit", "stale"]),
        false => ("a cache header indicating a cache miss", &["miss"]),
    };
    let found = CACHE_HEADERS.iter().rev().find_map(|name| {
        let value = response.header(name)?;
        let status = value.to_lowercase();
        wanted
            .iter()
            .any(|wanted| status.starts_with(wanted))
            .then(|| format!("{name} is {value}"))
    });
    let ok = found.is_some();
    let got = found.map_or(Shown::known("cache status header not found"), Shown::owned);
    Finding::new(ok, Shown::known(expected), got)
}

fn compile_jmespath(text: &str) -> Result<jmespath::Expression<'static>, String> {
    if text.len() > JMESPATH_LENGTH_LIMIT {
        return Err(format!(
            "JMESPath longer than {JMESPATH_LENGTH_LIMIT} bytes"
        ));
    }
    jmespath::compile(text).map_err(|error| {
        let message = error.to_string();
        format!("invalid JMESPath: {}", message.lines().next().unwrap_or(""))
    })
}

fn jmes_path<'e>(
    query: &'e jmespath::Expression<'static>,
    description: &'e str,
    response: &ResponseView<'_>,
) -> Finding<'e> {
    let expected = Shown::known(description);
    let Some(body) = json_structure(response) else {
        return Finding::new(false, expected, Shown::known(NO_OBJECT));
    };
    match query.search(body) {
        Ok(found) => Finding::new(is_truthy(&found), expected, Shown::known(query.as_str())),
        Err(error) => Finding::new(false, expected, Shown::owned(error.to_string())),
    }
}

/// Whether JavaScript takes `value` for true: an empty list or object is.
fn is_truthy(value: &Variable) -> bool {
    match value {
        Variable::Null => false,
        Variable::Bool(truth) => *truth,
        Variable::String(text) => !text.is_empty(),
        Variable::Number(number) => number.as_f64() != Some(0.0),
        Variable::Array(_) | Variable::Object(_) | Variable::Expref(_) => true,
    }
}

impl<'e> Shown<'e> {
    fn known(text: &'e str) -> Shown<'e> {
        Shown::Text(Cow::Borrowed(text))
    }

    fn owned(text: String) -> Shown<'e> {
        Shown::Text(Cow::Owned(text))
    }

    fn of_template(template: &'e Template, scope: &dyn Scope, rng: &mut dyn Rng) -> Shown<'e> {
        match template.as_constant() {
            Some(text) => Shown::known(text),
            None => template
                .render_text(scope, rng)
                .map_or(Shown::Undefined, Shown::owned),
        }
    }
}
