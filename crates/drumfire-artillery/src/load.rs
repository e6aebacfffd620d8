//! Files and options in, a typed script out: merging, environments, overrides, templating of the
//! config, validation, in the order Artillery does them.

use std::collections::BTreeMap;
use std::sync::Arc;

use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use serde_json::{Map, Value};

use crate::error::ScriptError;
use crate::files::{self, Files};
use crate::functions::Functions;
use crate::lower;
use crate::merge::{Lists, merge};
use crate::node::{Member, Node, NodeValue};
use crate::path::Scope;
use crate::program::check_expressions;
use crate::script::{Origin, Script, Warning};
use crate::source::{Sources, Span};
use crate::template::Template;
use crate::{dotenv, validate, yaml};

/// What a script is loaded with: the command line's part.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LoadOptions {
    /// The script files, merged in this order; the first is *the* script.
    pub scripts: Vec<String>,
    /// `--input`: more files, merged after the scripts.
    pub inputs: Vec<String>,
    /// `--config`: a last file, which wins.
    pub config: Option<String>,
    /// `--environment`.
    pub environment: Option<String>,
    /// `--target`.
    pub target: Option<String>,
    /// `--variables`: a JSON object.
    pub variables: Option<String>,
    /// `--payload`: a CSV file.
    pub payload: Option<String>,
    /// `--insecure`: take any certificate.
    pub insecure: bool,
    /// `--solo`: one user only.
    pub solo: bool,
    /// `--overrides`: a JSON object laid over the script, lists replaced.
    pub overrides: Option<String>,
    /// `--scenario-name`: the only scenario to run, by name or regular expression.
    pub scenario_name: Option<String>,
    /// `--dotenv`: a file of environment variables.
    pub dotenv: Option<String>,
    /// The folder that relative paths on the command line start from.
    pub working_folder: String,
    /// `$testId`.
    pub test_id: String,
    /// The time, in Unix milliseconds: made-up dates lie around it.
    pub now_ms: i64,
    /// Seed of random functions in the config, which are called once.
    pub seed: u64,
}

/// Loads a script.
///
/// # Errors
///
/// When a file cannot be read or is no YAML, when the script is not valid, or when it needs
/// something that is not there (JavaScript, engines other than HTTP); the error shows the place.
pub fn load(
    options: &LoadOptions,
    files: &dyn Files,
    env: &BTreeMap<String, String>,
) -> Result<Script, ScriptError> {
    let mut loader = Loader {
        options,
        files,
        sources: Sources::default(),
        warnings: Vec::new(),
    };
    let env = loader.environment_variables(env);
    let mut script = loader.merged_files()?;
    let had_target = loader.has_target(&script);
    loader.apply_environment(&mut script);
    loader.apply_target(&mut script);
    loader.apply_insecure(&mut script);
    loader.apply_payload(&mut script);
    loader.apply_overrides(&mut script)?;
    let variables = loader.apply_variables(&mut script)?;
    let origin = loader.origin(env);
    loader.template_config(&mut script, &origin, variables);
    let script = loader.finish(script, origin, had_target)?;
    check_expressions(&script).map_err(|error| {
        ScriptError::new(error.message)
            .at(error.span, &script.sources)
            .hint("captures, matches and expectations are compiled before the run starts")
    })?;
    Ok(script)
}

struct Loader<'a> {
    options: &'a LoadOptions,
    files: &'a dyn Files,
    sources: Sources,
    warnings: Vec<Warning>,
}

impl Loader<'_> {
    fn warn(&mut self, span: Option<Span>, message: impl Into<String>, hint: Option<&str>) {
        self.warnings.push(Warning {
            span,
            message: message.into(),
            hint: hint.map(str::to_owned),
        });
    }

    fn resolve(&self, path: &str) -> String {
        files::resolve(&self.options.working_folder, path)
    }

    /// The process environment, and what the environment file adds to it.
    fn environment_variables(
        &mut self,
        env: &BTreeMap<String, String>,
    ) -> BTreeMap<String, String> {
        let mut env = env.clone();
        let Some(path) = &self.options.dotenv else {
            return env;
        };
        match self.files.read(&self.resolve(path)) {
            Ok(bytes) => {
                for (name, value) in dotenv::parse(&String::from_utf8_lossy(&bytes)) {
                    env.entry(name).or_insert(value);
                }
            }
            Err(error) => self.warn(
                None,
                format!("could not read dotenv file: {path}: {error}"),
                None,
            ),
        }
        env
    }

    fn merged_files(&mut self) -> Result<Node, ScriptError> {
        let options = self.options;
        let mut script: Option<Node> = None;
        for path in options
            .scripts
            .iter()
            .chain(&options.inputs)
            .chain(&options.config)
        {
            let document = self.document(path)?;
            match &mut script {
                None => script = Some(document),
                Some(script) => merge(script, &document, Lists::ByIndex),
            }
        }
        let mut script = script.ok_or_else(|| ScriptError::new("no script given"))?;
        let span = script.span;
        let members = script.as_map_mut().expect("every document is a map");
        members.entry("config".into()).or_insert_with(|| Member {
            key_span: span,
            node: Node::map(span),
        });
        Ok(script)
    }

    fn document(&mut self, path: &str) -> Result<Node, ScriptError> {
        check_type(path)?;
        let bytes = self
            .files
            .read(&self.resolve(path))
            .map_err(|error| ScriptError::new(format!("reading {path}: {error}")))?;
        if self.options.scripts.len() + self.options.inputs.len() + OPTION_SOURCES
            > Sources::FILES_LIMIT
        {
            return Err(ScriptError::new(format!(
                "more than {} files",
                Sources::FILES_LIMIT - OPTION_SOURCES
            )));
        }
        let text = std::str::from_utf8(&bytes).map_err(|error| {
            ScriptError::new(format!(
                "reading {path}: not UTF-8 text from byte {}",
                error.valid_up_to()
            ))
        })?;
        self.parse(path, text.strip_prefix('\u{feff}').unwrap_or(text))
    }

    /// Reads a text that must be a map.
    fn parse(&mut self, name: &str, text: &str) -> Result<Node, ScriptError> {
        let file = self.sources.add(name, text);
        let sources = Arc::new(self.sources.clone());
        let start = Span::start_of(file);
        match yaml::parse(text, file, &sources)? {
            None => Ok(Node::map(start)),
            Some(node) if node.as_map().is_some() => Ok(node),
            Some(node) => Err(ScriptError::new(format!(
                "a script must be a map, not {}",
                node.kind()
            ))
            .at(node.span, &sources)),
        }
    }

    /// Reads a JSON object given as an option.
    fn parse_option(&mut self, option: &str, text: &str) -> Result<Node, ScriptError> {
        if let Err(error) = serde_json::from_str::<Value>(text) {
            return Err(ScriptError::new(format!(
                "{option} is not valid JSON: {error}"
            )));
        }
        self.parse(option, text)
    }

    fn has_target(&self, script: &Node) -> bool {
        let config = script.get("config");
        let in_environment = || {
            let environment = self.options.environment.as_deref()?;
            config?
                .get("environments")?
                .get(environment)?
                .member("target")
        };
        config.and_then(|config| config.member("target")).is_some() || in_environment().is_some()
    }

    fn apply_environment(&mut self, script: &mut Node) {
        let Some(name) = self.options.environment.as_deref() else {
            return;
        };
        let config = config_of(script);
        let Some(environment) = config
            .get("environments")
            .and_then(|environments| environments.get(name))
            .cloned()
        else {
            let message = format!("environment {name} is set but is not defined in the script");
            let hint = config
                .get("environments")
                .and_then(Node::as_map)
                .map(|known| {
                    format!(
                        "known environments: {}",
                        known
                            .keys()
                            .map(|key| &**key)
                            .collect::<Vec<_>>()
                            .join(", ")
                    )
                });
            return self.warn(None, message, hint.as_deref());
        };
        if let (Some(base), Some(upper)) = (config.get("phases"), environment.get("phases"))
            && let (Some(base), Some(upper_phases)) = (base.as_list(), upper.as_list())
            && !base.is_empty()
        {
            let message = format!(
                "environment {name} has {} phase(s) and the script {}: they are merged one by one, {}",
                upper_phases.len(),
                base.len(),
                if base.len() > upper_phases.len() {
                    "and the rest of the script's still run"
                } else {
                    "keys of both stay"
                },
            );
            self.warn(
                Some(upper.span),
                message,
                Some("keep phases in environments only, or use --overrides, which replaces lists"),
            );
        }
        merge(config, &environment, Lists::ByIndex);
    }

    fn apply_target(&mut self, script: &mut Node) {
        if let Some(target) = self
            .options
            .target
            .as_deref()
            .filter(|target| !target.is_empty())
        {
            let span = Span::start_of(self.sources.add("--target", target));
            set(
                config_of(script),
                "target",
                NodeValue::Text(target.into()),
                span,
            );
        }
    }

    fn apply_insecure(&mut self, script: &mut Node) {
        if !self.options.insecure {
            return;
        }
        let span = Span::start_of(self.sources.add("--insecure", "--insecure"));
        let config = config_of(script);
        if config.get("tls").and_then(Node::as_map).is_none() {
            set(config, "tls", NodeValue::Map(Default::default()), span);
        }
        let Some(tls) = config
            .as_map_mut()
            .and_then(|members| members.get_mut("tls"))
        else {
            return;
        };
        let verifies = tls
            .node
            .get("rejectUnauthorized")
            .is_some_and(Node::is_truthy);
        let tls_span = tls.key_span;
        set(
            &mut tls.node,
            "rejectUnauthorized",
            NodeValue::Bool(false),
            span,
        );
        if verifies {
            let message = "TLS certificate validation enabled in the test script, but explicitly disabled with -k/--insecure";
            self.warn(Some(tls_span), message, None);
        }
    }

    /// Makes `payload` a list, takes `--payload` in and resolves paths from the script's folder.
    fn apply_payload(&mut self, script: &mut Node) {
        let option = self
            .options
            .payload
            .as_deref()
            .map(|path| self.resolve(path));
        let config = config_of(script);
        let Some(payload) = config.get("payload").cloned() else {
            return;
        };
        let span = payload.span;
        let mut items = match payload.value {
            NodeValue::List(items) => items,
            NodeValue::Map(_) => {
                let mut item = payload;
                match (option, item.get("path").is_some()) {
                    (Some(path), has_path) => {
                        if has_path {
                            let message = "both -p and config.payload.path are set, config.payload.path is ignored";
                            self.warn(Some(span), message, None);
                        }
                        let option_span = Span::start_of(self.sources.add("--payload", &path));
                        set(&mut item, "path", NodeValue::Text(path.into()), option_span);
                    }
                    (None, false) => self.warn(
                        Some(span),
                        "config.payload.path not set and payload file not specified with -p",
                        None,
                    ),
                    (None, true) => {}
                }
                vec![item]
            }
            _ => {
                return self.warn(
                    Some(span),
                    "ignoring config.payload, which is neither a map nor a list",
                    None,
                );
            }
        };
        let folder = files::folder(&self.script_path()).to_owned();
        for item in &mut items {
            if let Some(path) = item.get("path").and_then(Node::as_text).cloned()
                && let Some(span) = item.get("path").map(|path| path.span)
            {
                set(
                    item,
                    "path",
                    NodeValue::Text(files::resolve(&folder, &path).into()),
                    span,
                );
            }
        }
        set(config_of(script), "payload", NodeValue::List(items), span);
    }

    fn apply_overrides(&mut self, script: &mut Node) -> Result<(), ScriptError> {
        if let Some(overrides) = self
            .options
            .overrides
            .as_deref()
            .filter(|text| !text.is_empty())
        {
            let overrides = self.parse_option("--overrides", overrides)?;
            merge(script, &overrides, Lists::Replaced);
            if script.get("config").and_then(Node::as_map).is_none() {
                return Err(ScriptError::new("--overrides leave no config"));
            }
        }
        Ok(())
    }

    /// Copies `--variables` over the config's, key by key; returns them.
    fn apply_variables(&mut self, script: &mut Node) -> Result<Map<String, Value>, ScriptError> {
        let Some(text) = self
            .options
            .variables
            .as_deref()
            .filter(|text| !text.is_empty())
        else {
            return Ok(Map::new());
        };
        let given = self.parse_option("--variables", text)?;
        let config = config_of(script);
        if config.get("variables").and_then(Node::as_map).is_none() {
            set(
                config,
                "variables",
                NodeValue::Map(Default::default()),
                given.span,
            );
        }
        if let Some(members) = config
            .as_map_mut()
            .and_then(|config| config.get_mut("variables")?.node.as_map_mut())
        {
            members.extend(given.as_map().cloned().unwrap_or_default());
        }
        match given.to_value() {
            Value::Object(variables) => Ok(variables),
            _ => unreachable!("an option is read as a map"),
        }
    }

    fn script_path(&self) -> String {
        self.resolve(self.options.scripts.first().map_or("", String::as_str))
    }

    fn origin(&self, env: BTreeMap<String, String>) -> Origin {
        let script_path = self.script_path();
        let config_path = self
            .options
            .config
            .as_deref()
            .map_or_else(|| script_path.clone(), |path| self.resolve(path));
        let env = env
            .into_iter()
            .map(|(name, value)| (name, Value::String(value)));
        Origin {
            script_path,
            config_folder: files::folder(&config_path).to_owned(),
            environment: self.options.environment.clone(),
            process_environment: Arc::new(Value::Object(env.collect())),
        }
    }

    /// Renders the templates of the config once. What belongs to a user is not known here and
    /// becomes undefined, but for default headers and cookies, which are rendered per user.
    fn template_config(
        &mut self,
        script: &mut Node,
        origin: &Origin,
        variables: Map<String, Value>,
    ) {
        let mut scope = Map::new();
        scope.insert(
            "$scenarioFile".to_owned(),
            Value::String(origin.script_path.clone()),
        );
        scope.insert(
            "$dirname".to_owned(),
            Value::String(origin.config_folder.clone()),
        );
        scope.insert(
            "$testId".to_owned(),
            Value::String(self.options.test_id.clone()),
        );
        let environment = origin.process_environment.as_ref();
        scope.insert("$processEnvironment".to_owned(), environment.clone());
        scope.insert("$env".to_owned(), environment.clone());
        if let Some(environment) = &origin.environment {
            scope.insert(
                "$environment".to_owned(),
                Value::String(environment.clone()),
            );
        }
        scope.extend(variables);
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(self.options.seed);
        let mut templating = ConfigTemplating {
            scope: &scope,
            rng: &mut rng,
            undefined: Vec::new(),
        };
        let config = config_of(script);
        templating.apply(config, &mut Vec::new());
        for (span, text) in templating.undefined {
            let message =
                format!("{text} is not known when the config is read and becomes undefined");
            self.warn(
                Some(span),
                message,
                Some("templates in config can use --variables, $env, $environment and $testId"),
            );
        }
    }

    fn finish(
        mut self,
        script: Node,
        origin: Origin,
        had_target: bool,
    ) -> Result<Script, ScriptError> {
        let has_target = script
            .get("config")
            .and_then(|config| config.get("target"))
            .is_some_and(Node::is_truthy);
        if !has_target && !had_target {
            return Err(
                ScriptError::new("No target specified and no environment chosen")
                    .hint("set config.target, or give --target or --environment"),
            );
        }
        let sources = Arc::new(std::mem::take(&mut self.sources));
        validate::validate(&script, &sources)?;
        lower::lower(
            &script,
            self.options,
            self.files,
            origin,
            self.warnings,
            sources,
        )
    }
}

/// Pseudo-files that options may add to the sources.
const OPTION_SOURCES: usize = 8;

fn check_type(path: &str) -> Result<(), ScriptError> {
    let lower = path.to_lowercase();
    if [".yml", ".yaml", ".json"]
        .iter()
        .any(|ending| lower.ends_with(ending))
    {
        return Ok(());
    }
    if [".js", ".ts", ".mjs", ".cjs"]
        .iter()
        .any(|ending| lower.ends_with(ending))
    {
        return Err(ScriptError::new(format!(
            "{path} is JavaScript, which Artillery scripts cannot use here"
        ))
        .hint("write the script as YAML or JSON"));
    }
    Err(ScriptError::new(format!("Unknown file type: {path}"))
        .hint("only JSON (.json) and YAML (.yml/.yaml) files are supported"))
}

fn config_of(script: &mut Node) -> &mut Node {
    let span = script.span;
    let members = script.as_map_mut().expect("a script is a map");
    &mut members
        .entry("config".into())
        .or_insert_with(|| Member {
            key_span: span,
            node: Node::map(span),
        })
        .node
}

/// Sets the member `key` of a map; anything else is left alone, for validation to name.
fn set(map: &mut Node, key: &str, value: NodeValue, span: Span) {
    if let Some(members) = map.as_map_mut() {
        let key_span = members.get(key).map_or(span, |member| member.key_span);
        members.insert(
            key.into(),
            Member {
                key_span,
                node: Node { value, span },
            },
        );
    }
}

struct ConfigTemplating<'a> {
    scope: &'a Map<String, Value>,
    rng: &'a mut dyn Rng,
    undefined: Vec<(Span, String)>,
}

impl ConfigTemplating<'_> {
    /// Renders every text in `node`; `false` says that it became undefined.
    fn apply(&mut self, node: &mut Node, path: &mut Vec<Arc<str>>) -> bool {
        match &mut node.value {
            NodeValue::Text(text) if text.contains("{{") => {
                let text = text.clone();
                self.text(&text, node, path)
            }
            NodeValue::List(items) => {
                for item in items {
                    if !self.apply(item, path) {
                        item.value = NodeValue::Null;
                    }
                }
                true
            }
            NodeValue::Map(members) => {
                for (key, mut member) in std::mem::take(members) {
                    // The one that was asked for is merged in already.
                    let is_over = path.is_empty() && &*key == "environments";
                    path.push(key.clone());
                    if is_over || self.apply(&mut member.node, path) {
                        members.insert(self.key(key), member);
                    }
                    path.pop();
                }
                true
            }
            _ => true,
        }
    }

    fn key(&mut self, key: Arc<str>) -> Arc<str> {
        if !key.contains("{{") {
            return key;
        }
        Template::parse(&key)
            .render_text(self.scope, self.rng)
            .map_or(key, Arc::from)
    }

    fn text(&mut self, text: &str, node: &mut Node, path: &[Arc<str>]) -> bool {
        let template = Template::parse_with(text, &Functions::default());
        let unknown = template
            .paths()
            .find(|path| self.scope.lookup(path.root()).is_none());
        let unknown = unknown.map(|path| format!("`{{{{ {} }}}}`", path.text()));
        if unknown.is_some() && is_per_user(path) {
            return true;
        }
        let unknown = unknown.or_else(|| {
            template
                .unknown_function()
                .map(|name| format!("function `{name}`"))
        });
        if let Some(unknown) = unknown {
            self.undefined.push((node.span, unknown));
        }
        match template.render(self.scope, self.rng) {
            Some(value) => {
                *node = Node::from_value(&value, node.span);
                true
            }
            None => false,
        }
    }
}

/// Whether the config key at `path` is rendered once per user.
fn is_per_user(path: &[Arc<str>]) -> bool {
    let path: Vec<&str> = path.iter().map(|key| &**key).collect();
    matches!(
        path.as_slice(),
        ["defaults", "headers" | "cookie", ..] | ["http", "defaults", "headers" | "cookie", ..]
    )
}
