//! HTML and XML bodies. Both parsers walk up the open elements at every tag, so documents that
//! nest without end are refused before they are parsed.

use scraper::{ElementRef, Html, Selector};
use serde_json::{Map, Value};
use sxd_document::Package;
use sxd_xpath::{Context, Factory};

/// The longest body parsed as HTML or XML, in bytes.
pub const LENGTH_LIMIT: usize = 16 << 20;

/// How deeply elements may nest.
pub const NESTING_LIMIT: usize = 512;

/// Elements without content, or whose end may be left out: they open no level for long.
const LEVEL_FREE: [&str; 28] = [
    "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source",
    "track", "wbr", "p", "li", "dt", "dd", "option", "optgroup", "tr", "td", "th", "tbody",
    "thead", "tfoot", "rt", "rp",
];

/// Attributes that say something by being there.
const BOOLEAN_ATTRIBUTES: [&str; 14] = [
    "autofocus",
    "autoplay",
    "async",
    "checked",
    "controls",
    "defer",
    "disabled",
    "hidden",
    "loop",
    "multiple",
    "open",
    "readonly",
    "required",
    "selected",
];

/// Parses a body as an HTML document; `None` when it is beyond the limits.
pub(crate) fn parse_html(text: &str) -> Option<Html> {
    within_limits(text, &LEVEL_FREE).then(|| Html::parse_document(text))
}

/// Parses a body as XML; `None` when it is none or beyond the limits.
pub(crate) fn parse_xml(text: &str) -> Option<Package> {
    if !within_limits(text, &[]) {
        return None;
    }
    sxd_document::parser::parse(text.trim_start()).ok()
}

/// The elements of `document` that `selector` picks.
pub(crate) fn select<'d>(document: &'d Html, selector: &Selector) -> Vec<ElementRef<'d>> {
    document.select(selector).collect()
}

/// An attribute as cheerio reads it: a boolean one gives its name, and without a name all
/// attributes are given.
pub(crate) fn attribute(element: ElementRef<'_>, name: Option<&str>) -> Option<Value> {
    let Some(name) = name else {
        let attributes: Map<String, Value> = element
            .value()
            .attrs()
            .map(|(name, value)| (name.to_owned(), Value::String(value.to_owned())))
            .collect();
        return Some(Value::Object(attributes));
    };
    match element.attr(name) {
        Some(_) if BOOLEAN_ATTRIBUTES.contains(&name) => Some(name.into()),
        Some(value) => Some(value.into()),
        None if name == "value" => default_value(element),
        None => None,
    }
}

/// What an element without `value` has for one: an option its text, a box to tick `on`.
fn default_value(element: ElementRef<'_>) -> Option<Value> {
    match (element.value().name(), element.attr("type")) {
        ("option", _) => Some(element.text().collect::<String>().into()),
        ("input", Some("radio" | "checkbox")) => Some("on".into()),
        _ => None,
    }
}

/// What an XPath comes out as: the texts of all nodes it finds, or one text, number or truth.
///
/// # Errors
///
/// What is wrong with the path, in one line.
pub(crate) fn xpath(document: &Package, path: &str) -> Result<Vec<Value>, String> {
    let path = compile_xpath(path)?;
    let root = document.as_document().root();
    let found = path
        .evaluate(&Context::new(), root)
        .map_err(|error| format!("xpath failed: {error}"))?;
    Ok(match found {
        sxd_xpath::Value::Boolean(truth) => vec![truth.into()],
        sxd_xpath::Value::Number(number) => crate::javascript::number(number)
            .map(Value::Number)
            .into_iter()
            .collect(),
        sxd_xpath::Value::String(text) => vec![text.into()],
        sxd_xpath::Value::Nodeset(nodes) => nodes
            .document_order()
            .into_iter()
            .map(|node| node.string_value().into())
            .collect(),
    })
}

/// Compiles an XPath.
///
/// # Errors
///
/// What is wrong with it, in one line.
pub(crate) fn compile_xpath(path: &str) -> Result<sxd_xpath::XPath, String> {
    match Factory::new().build(path) {
        Ok(Some(path)) => Ok(path),
        Ok(None) => Err("empty xpath".to_owned()),
        Err(error) => Err(format!("invalid xpath: {error}")),
    }
}

/// Whether `text` is short enough and its elements, without those of `level_free`, do not nest
/// beyond the limit. An estimate from the tags alone, right for documents that close what they
/// open.
fn within_limits(text: &str, level_free: &[&str]) -> bool {
    if text.len() > LENGTH_LIMIT {
        return false;
    }
    let mut depth = 0_usize;
    for tag in text.split('<').skip(1) {
        if let Some(end) = tag.strip_prefix('/') {
            depth = depth.saturating_sub(usize::from(opens_level(end, level_free)));
        } else if opens_level(tag, level_free) && !is_closed_at_once(tag) {
            depth += 1;
        }
        if depth > NESTING_LIMIT {
            return false;
        }
    }
    true
}

/// Whether `tag`, from its name on, is an element's and counts as a level.
fn opens_level(tag: &str, level_free: &[&str]) -> bool {
    let end = tag
        .find(|letter: char| letter.is_whitespace() || matches!(letter, '>' | '/'))
        .unwrap_or(tag.len());
    let name = &tag[..end];
    name.starts_with(|first: char| first.is_alphabetic() || first == '_')
        && !level_free
            .iter()
            .any(|free| free.eq_ignore_ascii_case(name))
}

fn is_closed_at_once(tag: &str) -> bool {
    tag.split_once('>')
        .is_some_and(|(inside, _)| inside.ends_with('/'))
}
