//! Scenarios and their steps.

use std::sync::Arc;

use rand::SeedableRng;
use rand_xoshiro::Xoshiro256PlusPlus;
use serde_json::{Map, Value};

use super::{Lowering, shown};
use crate::duration;
use crate::error::ScriptError;
use crate::functions::Functions;
use crate::javascript;
use crate::nearest::nearest;
use crate::node::{Node, NodeValue};
use crate::path::Path;
use crate::script::{
    Config, Jitter, Loop, Parallel, Scenario, Step, StepKind, Think, ThinkTime, Turns,
};
use crate::template::Template;

/// Keys of a scenario.
const SCENARIO_KEYS: [&str; 12] = [
    "name",
    "weight",
    "engine",
    "flow",
    "beforeScenario",
    "afterScenario",
    "beforeRequest",
    "afterResponse",
    "onError",
    "socketio",
    "flowFunction",
    "testFunction",
];

/// Keys of a scenario that name JavaScript functions.
const HOOK_KEYS: [&str; 7] = [
    "beforeScenario",
    "afterScenario",
    "beforeRequest",
    "afterResponse",
    "onError",
    "flowFunction",
    "testFunction",
];

/// Engines that Artillery brings along and that are not here.
const MISSING_ENGINES: [&str; 4] = ["ws", "websocket", "socketio", "playwright"];

/// Steps that are no requests.
const STEP_KEYS: [&str; 11] = [
    "get", "post", "put", "patch", "delete", "head", "think", "log", "loop", "parallel", "function",
];

/// Keys that may stand in a loop.
const LOOP_KEYS: [&str; 6] = [
    "loop",
    "count",
    "over",
    "whileTrue",
    "loopValue",
    "loopElement",
];

/// How many steps of a `parallel` run at a time unless it says otherwise.
const DEFAULT_PARALLEL_LIMIT: u32 = 100;

impl Lowering<'_> {
    pub(super) fn scenarios(
        &mut self,
        script: &Node,
        config_node: &Node,
        config: &Config,
    ) -> Result<Vec<Scenario>, ScriptError> {
        let node = script.get("scenarios").unwrap_or(script);
        let default_engine = self.optional_text(config_node, "engine")?;
        let mut scenarios = Vec::new();
        for item in node.as_list().unwrap_or_default() {
            self.check_keys(item, "a scenario", &SCENARIO_KEYS);
            self.check_engine(item, default_engine.as_deref())?;
            let weight = self.weight(item, config);
            scenarios.push(self.scenario(item, config, weight)?);
        }
        if scenarios.is_empty() {
            return Err(self.error(node, "the script has no scenarios"));
        }
        if self.options.scenario_name.is_none()
            && scenarios.iter().all(|scenario| scenario.weight == 0)
        {
            return Err(self.error(
                node,
                "no scenario has a weight above 0, so none can be picked",
            ));
        }
        Ok(scenarios)
    }

    pub(super) fn hook(
        &mut self,
        script: &Node,
        key: &str,
        config: &Config,
    ) -> Result<Option<Scenario>, ScriptError> {
        let Some(node) = script.get(key) else {
            return Ok(None);
        };
        self.check_keys(node, key, &SCENARIO_KEYS);
        self.check_engine(node, None)?;
        self.scenario(node, config, 1).map(Some)
    }

    fn check_engine(&self, scenario: &Node, default: Option<&str>) -> Result<(), ScriptError> {
        let engine = self.optional_text(scenario, "engine")?;
        let name = engine.as_deref().or(default).unwrap_or("http");
        if name == "http" {
            return Ok(());
        }
        let node = scenario.get("engine").unwrap_or(scenario);
        if MISSING_ENGINES.contains(&name) {
            return Err(self
                .error(node, format!("engine `{name}` is not supported"))
                .hint("only the http engine is"));
        }
        Err(self
            .error(node, format!("unknown engine `{name}`"))
            .hint("only the http engine is supported")
            .exit_code(ScriptError::WORKER_EXIT_CODE))
    }

    fn scenario(
        &mut self,
        node: &Node,
        config: &Config,
        weight: u32,
    ) -> Result<Scenario, ScriptError> {
        for key in HOOK_KEYS {
            if let Some(member) = node
                .member(key)
                .filter(|member| !member.node.as_items().is_empty())
            {
                return Err(self.javascript(member.key_span, &format!("`{key}`")));
            }
        }
        let flow = node.get("flow").map_or(&[][..], Node::as_items);
        Ok(Scenario {
            name: self
                .optional_text(node, "name")?
                .map(|name| name.to_string()),
            weight,
            flow: self.steps(flow, config)?,
            span: node.span,
        })
    }

    /// The weight as a whole number; a template is resolved with the first CSV rows, the variables
    /// and the environment. What is no number is 0.
    fn weight(&mut self, scenario: &Node, config: &Config) -> u32 {
        let Some(node) = scenario.member("weight").map(|member| &member.node) else {
            return 1;
        };
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(self.options.seed);
        let template = match &node.value {
            NodeValue::Text(text) => Template::parse_with(text, &Functions::default()),
            _ => Template::constant(&javascript::text(&node.to_value())),
        };
        let text = template
            .render_text(&self.weight_scope(config), &mut rng)
            .unwrap_or_default();
        let digits = text.trim_start().trim_start_matches('+');
        let end = digits
            .find(|digit: char| !digit.is_ascii_digit())
            .unwrap_or(digits.len());
        let weight = digits[..end].parse().unwrap_or(0);
        if weight == 0 {
            self.warn(
                node.span,
                format!("weight {} is 0: the scenario never runs", shown(node)),
                None,
            );
        }
        weight
    }

    fn weight_scope(&self, config: &Config) -> Map<String, Value> {
        let mut scope = Map::new();
        scope.insert(
            "$processEnvironment".to_owned(),
            self.origin.process_environment.as_ref().clone(),
        );
        for payload in &config.payloads {
            let row = payload.row(0, self.options.seed).unwrap_or_default();
            let columns = payload.fields().iter().zip(row);
            scope.extend(columns.map(|(field, value)| (field.to_string(), value.clone())));
        }
        for (name, value) in &config.variables {
            let value = match value {
                Value::Array(items) if !items.is_empty() => {
                    &items[self.options.seed as usize % items.len()]
                }
                value => value,
            };
            scope.insert(name.clone(), value.clone());
        }
        scope
    }

    /// The one scenario that `--scenario-name` picks.
    pub(super) fn select(&self, scenarios: &[Scenario]) -> Result<Option<usize>, ScriptError> {
        let Some(name) = self.options.scenario_name.as_deref() else {
            return Ok(None);
        };
        let pattern = regress::Regex::new(name).ok();
        let fits = |scenario: &Scenario| {
            let own = scenario.name.as_deref().unwrap_or("undefined");
            scenario.name.as_deref() == Some(name)
                || pattern
                    .as_ref()
                    .is_some_and(|pattern| pattern.find(own).is_some())
        };
        let found: Vec<usize> = (0..scenarios.len())
            .filter(|index| fits(&scenarios[*index]))
            .collect();
        match found.as_slice() {
            [only] => Ok(Some(*only)),
            [] => Err(ScriptError::new(format!(
                "Scenario {name} not found in script. Make sure your chosen scenario matches the one in your script exactly."
            ))
            .exit_code(ScriptError::WORKER_EXIT_CODE)),
            _ => Err(ScriptError::new(format!(
                "Multiple scenarios for {name} found in script. Make sure you give unique names to your scenarios in your script."
            ))
            .exit_code(ScriptError::WORKER_EXIT_CODE)),
        }
    }

    fn steps(&mut self, nodes: &[Node], config: &Config) -> Result<Vec<Step>, ScriptError> {
        let mut steps = Vec::new();
        for node in nodes {
            // Lists of steps, as aliases bring them in, are taken apart.
            for node in node.as_items() {
                steps.push(self.step(node, config)?);
            }
        }
        Ok(steps)
    }

    fn step(&mut self, node: &Node, config: &Config) -> Result<Step, ScriptError> {
        let Some((key, member)) = node.as_map().and_then(|members| members.first()) else {
            return Err(self.error(
                node,
                format!("a step must be a map with one key, not {}", node.kind()),
            ));
        };
        let kind = if node.member("loop").is_some() {
            StepKind::Loop(Box::new(self.loop_step(node, config)?))
        } else if let Some(parallel) = node.get("parallel") {
            self.check_keys(node, "a parallel step", &["parallel", "limit"]);
            StepKind::Parallel(Parallel {
                steps: self.steps(parallel.as_items(), config)?,
                limit: self
                    .optional_count(node, "limit")?
                    .filter(|limit| *limit > 0)
                    .unwrap_or(DEFAULT_PARALLEL_LIMIT),
            })
        } else if let Some(think) = node.get("think") {
            let jitter = node
                .get("jitter")
                .and_then(jitter)
                .or(config.http.think_jitter);
            StepKind::Think(Think {
                time: self.think(think),
                jitter,
            })
        } else if let Some(log) = node.get("log") {
            StepKind::Log(self.template(log))
        } else if node.member("function").is_some() {
            return Err(self.javascript(member.key_span, "a `function` step"));
        } else if member.node.get("url").is_some() || member.node.get("uri").is_some() {
            StepKind::Request(Box::new(self.request(key, &member.node, config)?))
        } else {
            let hint = nearest(key, &STEP_KEYS).map_or_else(
                || "a step is a request, think, log, loop or parallel".to_owned(),
                |known| format!("did you mean `{known}`?"),
            );
            let message = format!("`{key}` is no step, and no request with a url either");
            return Err(self.error_at(member.key_span, message).hint(hint));
        };
        Ok(Step {
            kind,
            span: node.span,
        })
    }

    fn think(&mut self, node: &Node) -> ThinkTime {
        if let Some(time) = duration::parse_value(&node.to_value()) {
            return ThinkTime::Fixed(time);
        }
        let template = self.template(node);
        if template.is_constant() {
            self.warn(
                node.span,
                format!("invalid think time {}: users fail here", shown(node)),
                None,
            );
        }
        ThinkTime::Templated(template)
    }

    fn loop_step(&mut self, node: &Node, config: &Config) -> Result<Loop, ScriptError> {
        self.check_keys(node, "a loop", &LOOP_KEYS);
        if let Some(condition) = node.member("whileTrue") {
            return Err(self.javascript(condition.key_span, "`whileTrue`"));
        }
        let variable =
            |name: Option<Arc<str>>, default: &str| name.unwrap_or_else(|| default.into());
        let body = node.get("loop").map_or(&[][..], Node::as_items);
        Ok(Loop {
            steps: self.steps(body, config)?,
            turns: self.turns(node),
            value_variable: variable(self.optional_text(node, "loopValue")?, "$loopCount"),
            element_variable: variable(self.optional_text(node, "loopElement")?, "$loopElement"),
        })
    }

    fn turns(&mut self, node: &Node) -> Turns {
        if let Some(over) = node.get("over") {
            return match over.as_text() {
                Some(name) => Turns::OverVariable(Path::parse(name)),
                None => Turns::Over(
                    over.as_items()
                        .iter()
                        .map(|item| self.value_template(item))
                        .collect(),
                ),
            };
        }
        match node.get("count") {
            None => Turns::Endless,
            Some(count) => {
                let template = self.template(count);
                match template.as_constant() {
                    Some(_) => Turns::from_value(&count.to_value()),
                    None => Turns::Templated(template),
                }
            }
        }
    }
}

impl Turns {
    /// How many turns a `count` means: a number, a text that is one, or a range like `5-10`, which
    /// counts from 5 up to 9. -1 is for ever; anything else makes no turn.
    pub fn from_value(count: &Value) -> Turns {
        let whole = |number: f64| {
            if number.is_nan() {
                0
            } else {
                number.ceil() as i64
            }
        };
        let number = match count {
            Value::Number(_) | Value::String(_) => javascript::value_to_number(count),
            _ => return Turns::Range(0, 0),
        };
        if number == -1.0 {
            return Turns::Endless;
        }
        if !number.is_nan() {
            return Turns::Range(0, whole(number).max(0));
        }
        let text = count.as_str().unwrap_or_default();
        match text.split_once('-') {
            Some((from, to)) => {
                let to = to.split('-').next().unwrap_or_default();
                let (from, to) = (javascript::to_number(from), javascript::to_number(to));
                if from.is_nan() || to.is_nan() {
                    Turns::Range(0, 0)
                } else {
                    Turns::Range(whole(from), whole(to))
                }
            }
            None => Turns::Range(0, 0),
        }
    }
}

/// `20%`, or milliseconds.
pub(super) fn jitter(node: &Node) -> Option<Jitter> {
    let text = javascript::text(&node.to_value());
    let text = text.trim_start();
    let end = text
        .find(|digit: char| !digit.is_ascii_digit())
        .unwrap_or(text.len());
    let amount: f64 = text[..end].parse().ok()?;
    Some(if text.contains('%') {
        Jitter::Percent(amount)
    } else {
        Jitter::Milliseconds(amount)
    })
}
