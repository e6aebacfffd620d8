//! The checks Artillery makes of a merged script, in its order and its words; the first that fails
//! is the error.

use std::sync::Arc;

use crate::error::ScriptError;
use crate::node::{Node, NodeValue};
use crate::source::Sources;

/// Engines whose flows are checked step by step.
const CHECKED_ENGINES: [&str; 3] = ["socketio", "ws", "http"];

/// The verbs whose requests are checked.
const CHECKED_VERBS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

/// Keys that may stand beside the one key of a step. Artillery refuses them, though its engine
/// reads them and its documentation shows them.
const COMPANION_KEYS: [(&str, &str); 2] = [("parallel", "limit"), ("think", "jitter")];

/// Checks the merged `script`.
///
/// # Errors
///
/// With Artillery's message for the first thing that is wrong.
pub(crate) fn validate(script: &Node, sources: &Arc<Sources>) -> Result<(), ScriptError> {
    let check = Check { sources };
    if let Some(config) = check.member(script, "config") {
        check.config(config)?;
    }
    match check.member(script, "scenarios") {
        None => return Err(check.missing(script, "scenarios")),
        Some(scenarios) => {
            for (index, scenario) in check.list(scenarios, "scenarios")?.iter().enumerate() {
                check.scenario(scenario, &format!("scenarios[{index}]"))?;
            }
        }
    }
    for hook in ["before", "after"] {
        if let Some(scenario) = check.member(script, hook) {
            check.map(scenario, hook)?;
            check.flow(scenario, hook)?;
        }
    }
    Ok(())
}

struct Check<'a> {
    sources: &'a Arc<Sources>,
}

type Checked = Result<(), ScriptError>;

impl Check<'_> {
    fn error(&self, node: &Node, path: &str, fault: &str) -> ScriptError {
        ScriptError::new(format!("Scenario validation error: \"{path}\" {fault}"))
            .at(node.span, self.sources)
    }

    fn missing(&self, parent: &Node, path: &str) -> ScriptError {
        self.error(parent, path, "is required")
    }

    /// A member, null or not.
    fn member<'n>(&self, node: &'n Node, key: &str) -> Option<&'n Node> {
        node.member(key).map(|member| &member.node)
    }

    /// Checks the member `key` of `parent` when it is there.
    fn optional(
        &self,
        parent: &Node,
        path: &str,
        key: &str,
        check: impl Fn(&Self, &Node, &str) -> Checked,
    ) -> Checked {
        match self.member(parent, key) {
            Some(node) => check(self, node, &format!("{path}.{key}")),
            None => Ok(()),
        }
    }

    fn map(&self, node: &Node, path: &str) -> Checked {
        match node.value {
            NodeValue::Map(_) => Ok(()),
            _ => Err(self.error(node, path, "must be of type object")),
        }
    }

    fn list<'n>(&self, node: &'n Node, path: &str) -> Result<&'n [Node], ScriptError> {
        node.as_list()
            .ok_or_else(|| self.error(node, path, "must be an array"))
    }

    fn is_list(&self, node: &Node, path: &str) -> Checked {
        self.list(node, path).map(|_| ())
    }

    fn text(&self, node: &Node, path: &str) -> Checked {
        match &node.value {
            NodeValue::Text(text) if text.is_empty() => {
                Err(self.error(node, path, "is not allowed to be empty"))
            }
            NodeValue::Text(_) => Ok(()),
            _ => Err(self.error(node, path, "must be a string")),
        }
    }

    /// One text or a list of them.
    fn texts(&self, node: &Node, path: &str) -> Checked {
        match node.as_list() {
            None => self.text(node, path),
            Some(items) => items
                .iter()
                .enumerate()
                .try_for_each(|(index, item)| self.text(item, &format!("{path}[{index}]"))),
        }
    }

    fn truth(&self, node: &Node, path: &str) -> Checked {
        match &node.value {
            NodeValue::Bool(_) => Ok(()),
            NodeValue::Text(text) if ["true", "false"].contains(&text.to_lowercase().as_str()) => {
                Ok(())
            }
            _ => Err(self.error(node, path, "must be a boolean")),
        }
    }

    fn number(&self, node: &Node, path: &str) -> Checked {
        match &node.value {
            NodeValue::Number(_) => Ok(()),
            NodeValue::Text(text) if text.trim().parse::<f64>().is_ok() => Ok(()),
            _ => Err(self.error(node, path, "must be a number")),
        }
    }

    fn number_or_text(&self, node: &Node, path: &str) -> Checked {
        match &node.value {
            NodeValue::Number(_) => Ok(()),
            NodeValue::Text(_) => self.text(node, path),
            _ => Err(self.error(node, path, "must be one of [number, string]")),
        }
    }

    fn config(&self, config: &Node) -> Checked {
        self.map(config, "config")?;
        self.optional(config, "config", "http", Self::http)?;
        self.optional(config, "config", "environments", Self::map)?;
        match self.member(config, "target") {
            Some(target) => self.text(target, "config.target")?,
            None if self.member(config, "environments").is_none() => {
                return Err(self.missing(config, "config.target"));
            }
            None => {}
        }
        self.optional(config, "config", "processor", Self::text)?;
        self.optional(config, "config", "phases", Self::is_list)?;
        self.optional(config, "config", "engines", Self::map)
    }

    fn http(&self, http: &Node, path: &str) -> Checked {
        self.map(http, path)?;
        self.optional(http, path, "extendedMetrics", Self::truth)?;
        self.optional(http, path, "maxSockets", Self::number)?;
        self.optional(http, path, "timeout", Self::number_or_text)
    }

    fn scenario(&self, scenario: &Node, path: &str) -> Checked {
        self.map(scenario, path)?;
        self.optional(scenario, path, "name", Self::text)?;
        self.optional(scenario, path, "engine", Self::text)?;
        self.optional(scenario, path, "beforeScenario", Self::texts)?;
        self.optional(scenario, path, "afterScenario", Self::texts)?;
        self.flow(scenario, path)
    }

    fn flow(&self, scenario: &Node, path: &str) -> Checked {
        let engine = self
            .member(scenario, "engine")
            .and_then(Node::as_text)
            .map(|engine| &**engine);
        let checked = engine.is_none_or(|engine| CHECKED_ENGINES.contains(&engine));
        let path = format!("{path}.flow");
        let Some(flow) = self.member(scenario, "flow") else {
            return if checked {
                Err(self.missing(scenario, &path))
            } else {
                Ok(())
            };
        };
        for (index, step) in self.list(flow, &path)?.iter().enumerate() {
            if checked {
                self.step(step, &format!("{path}[{index}]"), engine)?;
            }
        }
        Ok(())
    }

    fn step(&self, step: &Node, path: &str, engine: Option<&str>) -> Checked {
        self.map(step, path)?;
        self.optional(step, path, "function", Self::text)?;
        self.optional(step, path, "log", Self::text)?;
        self.optional(step, path, "think", Self::number_or_text)?;
        self.optional(step, path, "loop", Self::is_list)?;
        for verb in CHECKED_VERBS {
            self.optional(step, path, verb, Self::request)?;
        }
        if self.member(step, "loop").is_some() {
            self.optional(step, path, "count", Self::number_or_text)?;
            return self.optional(step, path, "over", Self::list_or_text);
        }
        self.keys(step, path, engine)
    }

    fn list_or_text(&self, node: &Node, path: &str) -> Checked {
        match &node.value {
            NodeValue::List(_) => Ok(()),
            NodeValue::Text(_) => self.text(node, path),
            _ => Err(self.error(node, path, "must be one of [array, string]")),
        }
    }

    fn keys(&self, step: &Node, path: &str, engine: Option<&str>) -> Checked {
        let keys = step.as_map().map_or(0, |members| members.len());
        let companions = COMPANION_KEYS.iter().filter(|(key, companion)| {
            step.member(key).is_some() && step.member(companion).is_some()
        });
        match (engine, keys - companions.count()) {
            (Some("socketio"), 0..=4) | (_, 1) => Ok(()),
            (Some("socketio"), _) => {
                Err(self.error(step, path, "must have less than or equal to 4 keys"))
            }
            _ => Err(self.error(step, path, "must have 1 key")),
        }
    }

    fn request(&self, request: &Node, path: &str) -> Checked {
        self.map(request, path)?;
        match self.member(request, "url") {
            Some(url) => self.text(url, &format!("{path}.url"))?,
            None => return Err(self.missing(request, &format!("{path}.url"))),
        }
        self.optional(request, path, "headers", Self::map)?;
        self.optional(request, path, "cookie", Self::map)?;
        self.optional(request, path, "followRedirect", Self::truth)?;
        self.optional(request, path, "qs", Self::map)?;
        self.optional(request, path, "gzip", Self::truth)?;
        self.optional(request, path, "auth", Self::auth)?;
        self.optional(request, path, "beforeRequest", Self::texts)?;
        self.optional(request, path, "afterResponse", Self::texts)?;
        self.optional(request, path, "capture", Self::captures)
    }

    fn auth(&self, auth: &Node, path: &str) -> Checked {
        self.map(auth, path)?;
        self.optional(auth, path, "user", Self::text)?;
        self.optional(auth, path, "pass", Self::text)
    }

    fn captures(&self, captures: &Node, path: &str) -> Checked {
        match captures.as_list() {
            None => self.capture(captures, path),
            Some(items) => items
                .iter()
                .enumerate()
                .try_for_each(|(index, item)| self.capture(item, &format!("{path}[{index}]"))),
        }
    }

    fn capture(&self, capture: &Node, path: &str) -> Checked {
        self.map(capture, path)?;
        match self.member(capture, "as") {
            Some(variable) => self.text(variable, &format!("{path}.as")),
            None => Err(self.missing(capture, &format!("{path}.as"))),
        }
    }
}
