//! `capture`: values out of a response into variables. Everything that can be is compiled at load
//! time, so that a capture costs a request no parsing but of the response itself.

pub mod json_path;
pub(crate) mod markup;

use rand::{Rng, RngExt};
use scraper::Selector;
use serde_json::Value;
use smallvec::SmallVec;

use crate::path::{Path, Scope};
use crate::pattern::Pattern;
use crate::response::ResponseView;
use crate::script::{Capture, Extractor, Group, SelectorIndex};
use crate::source::Span;
use crate::template::Template;
use json_path::{Found, Hit, JsonPath};

/// What ends a user whose capture or match failed, and what `errors.` counts it by.
pub const FAILED: &str = "Failed capture or match";

/// An expression in a script that cannot be compiled.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct CompileError {
    /// Where it was written.
    pub span: Span,
    /// What is wrong with it.
    pub message: String,
}

/// A capture ready to run.
#[derive(Debug, Clone)]
pub struct CompiledCapture {
    finder: Finder,
    variable: Path,
    strict: bool,
}

/// A variable to set, once no capture and no match of the request has failed.
#[derive(Debug, Clone, PartialEq)]
pub struct Assignment<'c> {
    /// The variable, or the path into one.
    pub variable: &'c Path,
    /// Its value; `None` is undefined.
    pub value: Option<Value>,
}

/// A strict capture that found nothing.
#[derive(Debug, Clone, PartialEq)]
pub struct CaptureFailure<'c> {
    /// The variable it was for.
    pub variable: &'c Path,
    /// Why, one line for the debug log.
    pub reason: String,
}

/// What the captures of one request came to.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Captured<'c> {
    /// What to set.
    pub assignments: SmallVec<[Assignment<'c>; 2]>,
    /// What failed; if anything did, nothing is set and the user ends with [`FAILED`].
    pub failures: Vec<CaptureFailure<'c>>,
}

impl CompiledCapture {
    /// Compiles a capture.
    ///
    /// # Errors
    ///
    /// When a JSONPath, regular expression, selector or XPath without templates in it is not one.
    pub fn compile(capture: &Capture) -> Result<CompiledCapture, CompileError> {
        Ok(CompiledCapture {
            finder: Finder::compile(&capture.extractor, capture.span)?,
            variable: capture.variable.clone(),
            strict: capture.strict,
        })
    }

    /// Whether the capture looks at the body, which must be kept for it then.
    pub fn reads_body(&self) -> bool {
        self.finder.reads_body()
    }
}

/// Runs `captures` over `response`. Of several captures into one variable the last one counts, for
/// its value and for its failure.
pub fn capture<'c>(
    captures: &'c [CompiledCapture],
    response: &ResponseView<'_>,
    scope: &dyn Scope,
    rng: &mut dyn Rng,
) -> Captured<'c> {
    let mut captured = Captured::default();
    for capture in captures {
        let found = capture.finder.find(response, scope, rng);
        captured.forget(&capture.variable);
        match found {
            Ok(value) if !capture.strict || is_found(value.as_ref()) => {
                captured.assignments.push(Assignment {
                    variable: &capture.variable,
                    value,
                });
            }
            Ok(_) => captured.fail(capture, "found nothing".to_owned()),
            Err(reason) if capture.strict => captured.fail(capture, reason),
            Err(_) => captured.assignments.push(Assignment {
                variable: &capture.variable,
                value: None,
            }),
        }
    }
    captured
}

impl<'c> Captured<'c> {
    fn forget(&mut self, variable: &Path) {
        self.assignments
            .retain(|earlier| earlier.variable.text() != variable.text());
        self.failures
            .retain(|earlier| earlier.variable.text() != variable.text());
    }

    fn fail(&mut self, capture: &'c CompiledCapture, reason: String) {
        self.failures.push(CaptureFailure {
            variable: &capture.variable,
            reason,
        });
    }
}

/// Whether a capture that gave `value` found something: an empty text is nothing, but 0, false and
/// null are.
fn is_found(value: Option<&Value>) -> bool {
    match value {
        None => false,
        Some(Value::String(text)) => !text.is_empty(),
        Some(_) => true,
    }
}

/// An extractor with its expression compiled, where that has no templates in it.
#[derive(Debug, Clone)]
pub(crate) enum Finder {
    Json {
        path: Expression<JsonPath>,
        pick_one: bool,
    },
    Regexp {
        pattern: Expression<Pattern>,
        group: Option<Group>,
        flags: String,
    },
    Header(Template),
    Selector {
        selector: Expression<Selector>,
        attribute: Option<String>,
        index: SelectorIndex,
    },
    Xpath(Template),
    Nothing,
}

/// An expression of some language.
#[derive(Debug, Clone)]
pub(crate) enum Expression<T> {
    /// Compiled.
    Ready(T),
    /// To be rendered and compiled for each response.
    Templated(Template),
}

impl<T> Expression<T> {
    pub(crate) fn compile(
        template: &Template,
        compile: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<Expression<T>, String> {
        match template.as_constant() {
            Some(text) => compile(text).map(Expression::Ready),
            None => Ok(Expression::Templated(template.clone())),
        }
    }

    /// Gives `use_it` the expression, compiled now if it was not before.
    pub(crate) fn with<R>(
        &self,
        scope: &dyn Scope,
        rng: &mut dyn Rng,
        compile: impl FnOnce(&str) -> Result<T, String>,
        use_it: impl FnOnce(&T, &mut dyn Rng) -> Result<R, String>,
    ) -> Result<R, String> {
        match self {
            Expression::Ready(ready) => use_it(ready, rng),
            Expression::Templated(template) => {
                let text = rendered(template, scope, rng);
                use_it(&compile(&text)?, rng)
            }
        }
    }
}

pub(crate) fn rendered(template: &Template, scope: &dyn Scope, rng: &mut dyn Rng) -> String {
    template
        .render_text(scope, rng)
        .unwrap_or_else(|| "undefined".to_owned())
}

impl Finder {
    pub(crate) fn compile(extractor: &Extractor, span: Span) -> Result<Finder, CompileError> {
        let compiled = match extractor {
            Extractor::Json {
                expression,
                pick_one,
            } => Expression::compile(expression, JsonPath::parse).map(|path| Finder::Json {
                path,
                pick_one: *pick_one,
            }),
            Extractor::Regexp {
                expression,
                group,
                flags,
            } => {
                let compile = |text: &str| Pattern::compile(text, flags);
                Expression::compile(expression, compile).map(|pattern| Finder::Regexp {
                    pattern,
                    group: group.clone(),
                    flags: flags.clone(),
                })
            }
            Extractor::Header(name) => Ok(Finder::Header(name.clone())),
            Extractor::Selector {
                expression,
                attribute,
                index,
            } => Expression::compile(expression, parse_selector).map(|selector| Finder::Selector {
                selector,
                attribute: attribute.clone(),
                index: *index,
            }),
            Extractor::Xpath(path) => match path.as_constant().map(markup::compile_xpath) {
                Some(Err(message)) => Err(message),
                _ => Ok(Finder::Xpath(path.clone())),
            },
            Extractor::Nothing => Ok(Finder::Nothing),
        };
        compiled.map_err(|message| CompileError { span, message })
    }

    pub(crate) fn reads_body(&self) -> bool {
        !matches!(self, Finder::Header(_) | Finder::Nothing)
    }

    /// What the extractor finds; `None` is undefined.
    pub(crate) fn find(
        &self,
        response: &ResponseView<'_>,
        scope: &dyn Scope,
        rng: &mut dyn Rng,
    ) -> Result<Option<Value>, String> {
        match self {
            Finder::Json { path, pick_one } => {
                path.with(scope, rng, JsonPath::parse, |path, rng| {
                    find_json(path, *pick_one, response, rng)
                })
            }
            Finder::Regexp {
                pattern,
                group,
                flags,
            } => {
                let compile = |text: &str| Pattern::compile(text, flags);
                pattern.with(scope, rng, compile, |pattern, _| {
                    Ok(Some(find_match(pattern, group.as_ref(), response.text())))
                })
            }
            Finder::Header(name) => Ok(Some(match name.as_constant() {
                Some(name) => find_header(name, response),
                None => find_header(&rendered(name, scope, rng), response),
            })),
            Finder::Selector {
                selector,
                attribute,
                index,
            } => selector.with(scope, rng, parse_selector, |selector, rng| {
                find_element(selector, attribute.as_deref(), *index, response, rng)
            }),
            Finder::Xpath(path) => find_node(&rendered(path, scope, rng), response, rng),
            Finder::Nothing => Ok(Some(nothing())),
        }
    }
}

fn parse_selector(text: &str) -> Result<Selector, String> {
    Selector::parse(text).map_err(|error| format!("invalid selector: {error}"))
}

/// What Artillery gives where it finds nothing but does not say undefined.
fn nothing() -> Value {
    Value::String(String::new())
}

fn find_json(
    path: &JsonPath,
    pick_one: bool,
    response: &ResponseView<'_>,
    rng: &mut dyn Rng,
) -> Result<Option<Value>, String> {
    let not_json = || "body is not JSON".to_owned();
    if path.is_plain() {
        let found = response.json_at(path).map_err(|_| not_json())?;
        return Ok(match found {
            Found::Value(value) => Some(value),
            Found::Nothing if pick_one => None,
            Found::Nothing | Found::NoDocument => Some(nothing()),
        });
    }
    let document = response.json().ok_or_else(not_json)?;
    if !json_path::is_structure(document) {
        return Ok(Some(nothing()));
    }
    let hits = path.query(document);
    Ok(if pick_one {
        pick(hits, rng).map(|hit| hit.value.into_owned())
    } else {
        Some(all(hits))
    })
}

/// Any of `items`.
fn pick<T>(mut items: Vec<T>, rng: &mut dyn Rng) -> Option<T> {
    match items.len() {
        0 => None,
        1 => items.pop(),
        length => Some(items.swap_remove(rng.random_range(0..length))),
    }
}

/// All hits as a list, unless the path could only ever have had one.
fn all(mut hits: Vec<Hit<'_>>) -> Value {
    match hits.as_slice() {
        [] => nothing(),
        [only] if !only.one_of_many => hits.remove(0).value.into_owned(),
        _ => hits.into_iter().map(|hit| hit.value.into_owned()).collect(),
    }
}

fn find_match(pattern: &Pattern, group: Option<&Group>, text: &str) -> Value {
    let Some(found) = pattern.find(text) else {
        return nothing();
    };
    let range = match group {
        Some(Group::Name(name)) => found.named_group(name).or_else(|| {
            name.parse()
                .ok()
                .filter(|index| *index < found.captures.len() + 1)
                .and_then(|index| found.group(index))
        }),
        Some(Group::Index(index)) if *index <= found.captures.len() => found.group(*index),
        Some(Group::Index(_)) | None => None,
    };
    let range = match (range, group) {
        (None, Some(Group::Name(_))) if found.named_groups().next().is_some() => {
            return nothing();
        }
        (Some(range), _) if !range.is_empty() => range,
        _ => found.range(),
    };
    Value::String(text[range].to_owned())
}

fn find_header(name: &str, response: &ResponseView<'_>) -> Value {
    // Artillery looks the name up as it is among names in lower case.
    if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return nothing();
    }
    if name == "set-cookie" {
        let cookies = response.set_cookies();
        return if cookies.is_empty() {
            nothing()
        } else {
            cookies.into()
        };
    }
    response
        .header(name)
        .map_or_else(nothing, |value| Value::String(value.into_owned()))
}

fn find_element(
    selector: &Selector,
    attribute: Option<&str>,
    index: SelectorIndex,
    response: &ResponseView<'_>,
    rng: &mut dyn Rng,
) -> Result<Option<Value>, String> {
    let document = response
        .html()
        .ok_or_else(|| "body is too large or nested too deeply for a selector".to_owned())?;
    let mut elements = markup::select(document, selector);
    let position = match index {
        _ if elements.is_empty() => return Ok(None),
        SelectorIndex::At(at) => match usize::try_from(at) {
            Ok(at) => Some(at),
            Err(_) => elements.len().checked_sub(at.unsigned_abs() as usize),
        },
        SelectorIndex::Last => Some(elements.len() - 1),
        SelectorIndex::Random => Some(rng.random_range(0..elements.len())),
    };
    Ok(position
        .filter(|position| *position < elements.len())
        .and_then(|position| markup::attribute(elements.swap_remove(position), attribute)))
}

fn find_node(
    path: &str,
    response: &ResponseView<'_>,
    rng: &mut dyn Rng,
) -> Result<Option<Value>, String> {
    let document = response
        .xml()
        .ok_or_else(|| "body is not XML, too large or nested too deeply".to_owned())?;
    let found = markup::xpath(document, path)?;
    Ok(Some(pick(found, rng).unwrap_or_else(nothing)))
}

#[cfg(test)]
mod tests;
