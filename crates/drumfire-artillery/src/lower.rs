//! The merged and validated tree to the typed script: every key is read once, what cannot be run
//! is refused with its place, and keys that nobody reads draw a warning.

mod config;
mod flow;
mod plugins;
mod request;
mod response;

use std::sync::Arc;

use crate::error::ScriptError;
use crate::files::Files;
use crate::functions::Functions;
use crate::load::LoadOptions;
use crate::nearest::nearest;
use crate::node::{Node, NodeValue};
use crate::script::{Origin, Plugins, Script, Warning};
use crate::source::{Sources, Span};
use crate::template::{Template, ValueTemplate};
use crate::{fake, javascript};

/// Keys at the top of a script.
const SCRIPT_KEYS: [&str; 4] = ["config", "scenarios", "before", "after"];

pub(crate) fn lower(
    script: &Node,
    options: &LoadOptions,
    files: &dyn Files,
    origin: Origin,
    warnings: Vec<Warning>,
    sources: Arc<Sources>,
) -> Result<Script, ScriptError> {
    let mut lowering = Lowering {
        options,
        files,
        origin: &origin,
        sources: &sources,
        warnings,
        functions: Functions::default(),
        expect_loaded: false,
    };
    lowering.check_keys(script, "the script", &SCRIPT_KEYS);
    let null = Node::map(script.span);
    let config_node = script.get("config").unwrap_or(&null);
    let plugins = lowering.plugins(config_node)?;
    lowering.expect_loaded = plugins.expect.is_some();
    let scenario_functions = functions(&plugins, options.now_ms);
    let config = lowering.config(config_node, plugins)?;
    lowering.functions = scenario_functions;
    let scenarios = lowering.scenarios(script, config_node, &config)?;
    let selected = lowering.select(&scenarios)?;
    // The fake-data plugin is not there for `before` and `after`.
    lowering.functions = Functions::default();
    let before = lowering.hook(script, "before", &config)?;
    let after = lowering.hook(script, "after", &config)?;
    let warnings = lowering.warnings;
    Ok(Script {
        config,
        scenarios,
        before,
        after,
        selected,
        origin,
        warnings,
        sources,
    })
}

fn functions(plugins: &Plugins, now_ms: i64) -> Functions {
    match &plugins.fake_data {
        Some(options) => Functions::with_fake_data(options.clone(), now_ms),
        None => Functions::default(),
    }
}

struct Lowering<'a> {
    options: &'a LoadOptions,
    files: &'a dyn Files,
    origin: &'a Origin,
    sources: &'a Arc<Sources>,
    warnings: Vec<Warning>,
    functions: Functions,
    expect_loaded: bool,
}

impl Lowering<'_> {
    fn error(&self, node: &Node, message: impl Into<String>) -> ScriptError {
        self.error_at(node.span, message)
    }

    fn error_at(&self, span: Span, message: impl Into<String>) -> ScriptError {
        ScriptError::new(message).at(span, self.sources)
    }

    /// The refusal of something that Artillery runs with JavaScript.
    fn javascript(&self, span: Span, what: &str) -> ScriptError {
        self.error_at(
            span,
            format!("{what} needs JavaScript, which is not supported"),
        )
        .hint("remove it, or express it with templates, captures and ifTrue expressions")
    }

    fn warn(&mut self, span: Span, message: impl Into<String>, hint: Option<String>) {
        self.warnings.push(Warning {
            span: Some(span),
            message: message.into(),
            hint,
        });
    }

    /// Warns of every key of `node` that is not among `known`.
    fn check_keys(&mut self, node: &Node, whose: &str, known: &[&str]) {
        let Some(members) = node.as_map() else {
            return;
        };
        for (key, member) in members {
            if !known.contains(&&**key) {
                let hint = nearest(key, known).map(|known| format!("did you mean `{known}`?"));
                self.warn(
                    member.key_span,
                    format!("unknown key `{key}` in {whose} is ignored"),
                    hint,
                );
            }
        }
    }

    /// A text from a text, a number, or true or false, compiled.
    fn template(&mut self, node: &Node) -> Template {
        let template = match &node.value {
            NodeValue::Text(text) => Template::parse_with(text, &self.functions),
            _ => Template::constant(&javascript::text(&node.to_value())),
        };
        self.check_template(&template, node);
        template
    }

    fn value_template(&mut self, node: &Node) -> ValueTemplate {
        self.check_functions(node);
        ValueTemplate::compile(&node.to_value(), &self.functions)
    }

    fn check_template(&mut self, template: &Template, node: &Node) {
        if let Some(function) = template.unknown_function() {
            let is_fake = function
                .strip_prefix('$')
                .is_some_and(|name| fake::find(name).is_some());
            let hint = if is_fake {
                "load it with config.plugins: fake-data: {}"
            } else {
                "built in are $randomNumber(from, to) and $randomString(length)"
            };
            let message = format!("unknown function `{function}`: the whole value is undefined");
            self.warn(node.span, message, Some(hint.to_owned()));
        }
        for (alias, target) in template
            .segments()
            .iter()
            .filter_map(|segment| segment.alias())
        {
            let message = format!("`${alias}` is deprecated");
            self.warn(node.span, message, Some(format!("use `${target}` instead")));
        }
    }

    /// Warns of unknown functions in any text inside `node`.
    fn check_functions(&mut self, node: &Node) {
        match &node.value {
            NodeValue::Text(text) if text.contains("{{") => {
                let template = Template::parse_with(text, &self.functions);
                self.check_template(&template, node);
            }
            NodeValue::List(items) => items.iter().for_each(|item| self.check_functions(item)),
            NodeValue::Map(members) => members
                .values()
                .for_each(|member| self.check_functions(&member.node)),
            _ => {}
        }
    }

    /// The text of an optional member that must be one.
    fn optional_text(&self, node: &Node, key: &str) -> Result<Option<Arc<str>>, ScriptError> {
        match node.get(key) {
            None => Ok(None),
            Some(member) => match member.as_text() {
                Some(text) => Ok(Some(text.clone())),
                None => Err(self.error(
                    member,
                    format!("`{key}` must be a text, not {}", member.kind()),
                )),
            },
        }
    }

    /// A count: a number, or a text that is one.
    fn count(&self, node: &Node, key: &str) -> Result<u32, ScriptError> {
        let number = javascript::value_to_number(&node.to_value());
        if number >= 0.0 && number <= f64::from(u32::MAX) && !matches!(node.value, NodeValue::Null)
        {
            return Ok(number as u32);
        }
        Err(self.error(
            node,
            format!("`{key}` must be a count, not {}", shown(node)),
        ))
    }

    fn optional_count(&self, node: &Node, key: &str) -> Result<Option<u32>, ScriptError> {
        node.get(key)
            .map(|member| self.count(member, key))
            .transpose()
    }
}

/// What JavaScript's `true` and the text `"true"` have in common for options that take both.
fn is_true(node: Option<&Node>) -> bool {
    node.is_some_and(|node| match &node.value {
        NodeValue::Bool(truth) => *truth,
        NodeValue::Text(text) => text.eq_ignore_ascii_case("true"),
        _ => false,
    })
}

/// A value as messages show it.
fn shown(node: &Node) -> String {
    match &node.value {
        NodeValue::List(_) | NodeValue::Map(_) => node.kind().to_owned(),
        _ => {
            let mut json = Vec::new();
            javascript::write_json(&node.to_value(), &mut json);
            String::from_utf8_lossy(&json).into_owned()
        }
    }
}
