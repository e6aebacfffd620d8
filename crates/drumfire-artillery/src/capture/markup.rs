//! HTML and XML bodies. Both parsers walk up the open elements at every tag, so documents that
//! nest without end are refused before they are parsed.

use scraper::{ElementRef, Html, Selector};
use serde_json::{Map, Value};
use sxd_document::Package;
use sxd_xpath::{Context, Factory};

/// The longest body parsed as HTML or XML, in bytes.
pub const LENGTH_LIMIT: usize = 8 << 20;

/// How deeply elements may nest.
pub const NESTING_LIMIT: usize = 512;

/// How far a tag is looked at for its name, in characters.
const NAME_LENGTH_LIMIT: usize = 32;

/// How far a tag is looked at for its end, in bytes.
const TAG_LENGTH_LIMIT: usize = 16 << 10;

/// HTML elements without content, or whose end may be left out: they open no level for long.
const LEVEL_FREE: [&str; 25] = [
    "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source",
    "track", "wbr", "p", "li", "dt", "dd", "option", "tr", "td", "th", "tbody", "thead", "tfoot",
];

/// HTML elements whose content is text up to their end.
const RAW_TEXT: [&str; 4] = ["script", "style", "textarea", "title"];

/// HTML elements in which every tag opens a level, as in XML.
const FOREIGN: [&str; 2] = ["svg", "math"];

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
    within_limits(text, Language::Html).then(|| Html::parse_document(text))
}

/// Parses a body as XML; `None` when it is none or beyond the limits.
pub(crate) fn parse_xml(text: &str) -> Option<Package> {
    if !within_limits(text, Language::Xml) {
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

/// What a text is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Language {
    Html,
    Xml,
}

/// Whether `text` is short enough and its elements do not nest beyond the limit. An estimate from
/// the tags alone, right for documents that close what they open.
fn within_limits(text: &str, language: Language) -> bool {
    if text.len() > LENGTH_LIMIT {
        return false;
    }
    let mut depth = 0_usize;
    let mut foreign = 0_usize;
    let mut rest = text;
    while let Some(start) = rest.find('<') {
        rest = &rest[start + 1..];
        if rest.starts_with("!--") {
            rest = rest.find("-->").map_or("", |end| &rest[end..]);
            continue;
        }
        let (name, ends) = match rest.strip_prefix('/') {
            Some(end) => (tag_name(end), true),
            None => (tag_name(rest), false),
        };
        let is = |names: &[&str]| language == Language::Html && is_one_of(name, names);
        if name.is_empty() || foreign == 0 && is(&LEVEL_FREE) {
            continue;
        }
        let steps = |count: usize| match ends {
            true => count.saturating_sub(1),
            false => count + 1,
        };
        let closed_at_once = language == Language::Xml || foreign > 0;
        if ends || !(closed_at_once && is_closed_at_once(rest)) {
            depth = steps(depth);
            foreign = if is(&FOREIGN) {
                steps(foreign)
            } else {
                foreign
            };
        }
        if depth > NESTING_LIMIT {
            return false;
        }
        if !ends && foreign == 0 && is(&RAW_TEXT) {
            rest = after_raw_text(rest, name);
        }
    }
    true
}

/// The name a tag starts with; empty when it is no element's. Of an endless one only the start.
fn tag_name(tag: &str) -> &str {
    let end = tag
        .char_indices()
        .take(NAME_LENGTH_LIMIT)
        .take_while(|(_, letter)| !letter.is_whitespace() && !matches!(letter, '>' | '/'))
        .last()
        .map_or(0, |(position, letter)| position + letter.len_utf8());
    let name = &tag[..end];
    match name.starts_with(|first: char| first.is_alphabetic() || first == '_') {
        true => name,
        false => "",
    }
}

fn is_one_of(name: &str, names: &[&str]) -> bool {
    names.iter().any(|known| known.eq_ignore_ascii_case(name))
}

fn is_closed_at_once(tag: &str) -> bool {
    let tag = &tag.as_bytes()[..tag.len().min(TAG_LENGTH_LIMIT)];
    let end = tag.iter().position(|byte| *byte == b'>');
    end.is_some_and(|end| tag[..end].ends_with(b"/"))
}

/// What follows the text in an element `name`, from its end tag on.
fn after_raw_text<'t>(text: &'t str, name: &str) -> &'t str {
    let ends = text.match_indices("</").map(|(position, _)| position);
    let end = ends
        .into_iter()
        .find(|position| tag_name(&text[position + 2..]).eq_ignore_ascii_case(name));
    end.map_or("", |position| &text[position..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_that_nest_without_end_are_refused() {
        let many = NESTING_LIMIT * 2;
        for (text, language, within) in [
            ("<div>".repeat(many), Language::Html, false),
            ("<div></div>".repeat(many), Language::Html, true),
            ("<p>text<li>".repeat(many), Language::Html, true),
            (
                "<svg>".to_owned() + &"<p>".repeat(many),
                Language::Html,
                false,
            ),
            (
                "<svg><path/><path d='x'/></svg>".repeat(many),
                Language::Html,
                true,
            ),
            ("<ul><li>".repeat(many), Language::Html, false),
            ("<rt>".repeat(many), Language::Html, false),
            ("<br>".repeat(many), Language::Xml, false),
            ("<br/>".repeat(many), Language::Xml, true),
            ("<!-- <b> --> 1 < 2".repeat(many), Language::Html, true),
            (
                format!("<script>{}</script>", "a<b;".repeat(many)),
                Language::Html,
                true,
            ),
            (
                format!("<script></script>{}", "<b>".repeat(many)),
                Language::Html,
                false,
            ),
            ("<b".repeat(many), Language::Html, false),
            ("<div />".repeat(many), Language::Html, false),
            (" ".repeat(LENGTH_LIMIT + 1), Language::Html, false),
        ] {
            let label: String = text.chars().take(40).collect();
            assert_eq!(within_limits(&text, language), within, "{label}");
        }
    }
}
