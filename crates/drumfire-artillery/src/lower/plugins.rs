//! `config.plugins`: the plugins that are built in, those that are passed over, and the refusal of
//! the rest.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Lowering, is_true, shown};
use crate::error::ScriptError;
use crate::javascript;
use crate::nearest::nearest;
use crate::node::{Node, NodeValue};
use crate::script::{
    Apdex, Condition, Ensure, EnsureCheck, ExpectFormatter, ExpectOptions, MetricsByEndpoint,
    Plugins,
};
use crate::yaml;

/// Plugins that only send or show results: what they would do is said, and the run goes on.
const REPORTING_PLUGINS: [&str; 3] = ["publish-metrics", "slack", "memory-inspector"];

/// Plugins that are built in.
const KNOWN_PLUGINS: [&str; 5] = [
    "expect",
    "ensure",
    "apdex",
    "metrics-by-endpoint",
    "fake-data",
];

/// Statistics of `http.response_time` that the old style of `ensure` limits.
const OLD_ENSURE_KEYS: [&str; 5] = ["min", "max", "median", "p95", "p99"];

/// Keys of `ensure`.
const ENSURE_KEYS: [&str; 9] = [
    "thresholds",
    "conditions",
    "maxErrorRate",
    "scope",
    "min",
    "max",
    "median",
    "p95",
    "p99",
];

/// Keys of `expect`'s options.
const EXPECT_KEYS: [&str; 7] = [
    "formatter",
    "outputFormat",
    "reportFailuresAsErrors",
    "expectDefault200",
    "useOnlyRequestNames",
    "externalModulePaths",
    "scope",
];

/// Keys of `metrics-by-endpoint`'s options.
const METRICS_KEYS: [&str; 7] = [
    "useOnlyRequestNames",
    "stripQueryString",
    "ignoreUnnamedRequests",
    "metricsNamespace",
    "groupDynamicURLs",
    "suppressOutput",
    "scope",
];

/// The response time up to which a user is satisfied unless the script says otherwise.
const DEFAULT_APDEX_THRESHOLD_MS: f64 = 500.0;

impl Lowering<'_> {
    pub(super) fn plugins(&mut self, config: &Node) -> Result<Plugins, ScriptError> {
        let mut node = config
            .get("plugins")
            .cloned()
            .unwrap_or_else(|| Node::map(config.span));
        self.add_environment_plugins(&mut node)?;
        if node.as_map().is_none() {
            return Err(self.error(
                &node,
                format!("`plugins` must be a map, not {}", node.kind()),
            ));
        }
        let ignored = self.check_plugins(&node)?;
        let loaded = |name: &str| node.member(name).map(|member| &member.node);
        for old_place in ["ensure", "apdex"] {
            if let (Some(member), None) = (config.member(old_place), loaded(old_place)) {
                let hint = Some(format!("load it with config.plugins: {old_place}: {{}}"));
                self.warn(
                    member.key_span,
                    format!("`config.{old_place}` does nothing: the plugin is not loaded"),
                    hint,
                );
            }
        }
        Ok(Plugins {
            expect: loaded("expect")
                .map(|options| self.expect_options(options))
                .transpose()?,
            ensure: loaded("ensure")
                .map(|own| self.ensure(config.get("ensure").unwrap_or(own)))
                .transpose()?
                .flatten(),
            apdex: loaded("apdex").map(|own| self.apdex([config.get("apdex"), Some(own)])),
            metrics_by_endpoint: self.metrics_by_endpoint(loaded("metrics-by-endpoint")),
            fake_data: loaded("fake-data")
                .map(|own| fake_data(config.get("fake-data").unwrap_or(own))),
            ignored,
        })
    }

    /// `ARTILLERY_PLUGINS` holds more plugins as JSON.
    fn add_environment_plugins(&self, node: &mut Node) -> Result<(), ScriptError> {
        let Some(Value::String(text)) = self.origin.process_environment.get("ARTILLERY_PLUGINS")
        else {
            return Ok(());
        };
        if text.len() > yaml::BYTES_LIMIT {
            return Err(ScriptError::new("ARTILLERY_PLUGINS is too long"));
        }
        let span = node.span;
        if let (Ok(value), Some(members)) = (serde_json::from_str::<Value>(text), node.as_map_mut())
            && let NodeValue::Map(more) = Node::from_value(&value, span).value
        {
            members.extend(more);
        }
        Ok(())
    }

    /// Refuses unknown plugins; returns the names of those that are passed over.
    fn check_plugins(&mut self, node: &Node) -> Result<Vec<String>, ScriptError> {
        let mut ignored = Vec::new();
        for (name, member) in node.as_map().into_iter().flatten() {
            if REPORTING_PLUGINS.contains(&&**name) {
                self.warn(
                    member.key_span,
                    format!("plugin `{name}` is not supported yet: nothing is sent"),
                    None,
                );
                ignored.push(name.to_string());
            } else if !KNOWN_PLUGINS.contains(&&**name) {
                let hint = nearest(name, &KNOWN_PLUGINS).map_or_else(
                    || format!("built in are {}", KNOWN_PLUGINS.join(", ")),
                    |known| format!("did you mean `{known}`?"),
                );
                let message = format!("plugin `{name}` needs JavaScript, which is not supported");
                return Err(self.error_at(member.key_span, message).hint(hint));
            }
        }
        Ok(ignored)
    }

    fn expect_options(&mut self, node: &Node) -> Result<ExpectOptions, ScriptError> {
        self.check_keys(node, "the expect plugin", &EXPECT_KEYS);
        let formatter = node.get("formatter").or(node.get("outputFormat"));
        let formatter = match formatter.filter(|formatter| formatter.is_truthy()) {
            None => ExpectFormatter::Pretty,
            Some(formatter) => match formatter.as_text().map(|text| &**text) {
                Some("pretty") => ExpectFormatter::Pretty,
                Some("json") => ExpectFormatter::Json,
                Some("prettyError") => ExpectFormatter::PrettyError,
                Some("silent") => ExpectFormatter::Silent,
                _ => {
                    return Err(self
                        .error(formatter, format!("unknown format {}", shown(formatter)))
                        .hint("formats are pretty, json, prettyError and silent"));
                }
            },
        };
        Ok(ExpectOptions {
            formatter,
            report_failures_as_errors: node
                .get("reportFailuresAsErrors")
                .is_some_and(Node::is_truthy),
            expect_default_200: is_true(node.get("expectDefault200")),
            use_only_request_names: is_true(node.get("useOnlyRequestNames")),
        })
    }

    fn ensure(&mut self, node: &Node) -> Result<Option<Ensure>, ScriptError> {
        if self
            .origin
            .process_environment
            .get("ARTILLERY_DISABLE_ENSURE")
            .is_some()
        {
            return Ok(None);
        }
        self.check_keys(node, "ensure", &ENSURE_KEYS);
        let mut checks = Vec::new();
        for item in node
            .get("thresholds")
            .and_then(Node::as_list)
            .unwrap_or_default()
        {
            checks.extend(self.threshold(item));
        }
        for item in node
            .get("conditions")
            .and_then(Node::as_list)
            .unwrap_or_default()
        {
            checks.push(self.condition(item)?);
        }
        for (key, member) in node.as_map().into_iter().flatten() {
            if OLD_ENSURE_KEYS.contains(&&**key) {
                let limit = whole(&member.node);
                let label = format!("{key} < {}", javascript::float_text(limit));
                let condition = Condition::Below {
                    metric: format!("http.response_time.{key}"),
                    limit,
                };
                checks.push(strict(label, condition, &member.node));
            }
        }
        if let Some(rate) = node.get("maxErrorRate") {
            let limit = javascript::value_to_number(&rate.to_value());
            let label = format!("maxErrorRate < {}", javascript::float_text(limit));
            checks.push(strict(label, Condition::ErrorRateAtMost(limit), rate));
        }
        Ok(Some(Ensure { checks }))
    }

    /// One metric and its limit; further keys are options.
    fn threshold(&mut self, node: &Node) -> Option<EnsureCheck> {
        let (metric, limit) = node.as_map()?.first()?;
        let limit = &limit.node;
        let label = format!("{metric} < {}", javascript::text(&limit.to_value()));
        let condition = match javascript::value_to_number(&limit.to_value()) {
            number if number.is_nan() => Condition::Expression(label.clone()),
            number => Condition::Below {
                metric: metric.to_string(),
                limit: number,
            },
        };
        let mut check = strict(label, condition, node);
        check.abort_on_fail = is_true(node.get("abortOnFail"));
        for (key, member) in node
            .as_map()?
            .iter()
            .skip(1)
            .filter(|(key, _)| &***key != "abortOnFail")
        {
            self.warn(
                member.key_span,
                format!("`{key}` is ignored: a threshold is one metric"),
                None,
            );
        }
        Some(check)
    }

    fn condition(&self, node: &Node) -> Result<EnsureCheck, ScriptError> {
        let Some(expression) = self.optional_text(node, "expression")? else {
            return Err(self.error(node, "a condition needs `expression`"));
        };
        let mut check = strict(
            expression.to_string(),
            Condition::Expression(expression.to_string()),
            node,
        );
        if let Some(NodeValue::Bool(strict)) = node.get("strict").map(|strict| &strict.value) {
            check.strict = *strict;
        }
        check.abort_on_fail = is_true(node.get("abortOnFail"));
        Ok(check)
    }

    fn apdex(&mut self, places: [Option<&Node>; 2]) -> Apdex {
        let threshold = places
            .into_iter()
            .flatten()
            .find_map(|place| place.get("threshold"));
        let threshold_ms =
            threshold.map(|threshold| javascript::value_to_number(&threshold.to_value()));
        if let (Some(node), true) = (threshold, threshold_ms.is_some_and(f64::is_nan)) {
            self.warn(
                node.span,
                format!(
                    "apdex threshold {} is no number: every user is frustrated",
                    shown(node)
                ),
                None,
            );
        }
        Apdex {
            threshold_ms: threshold_ms.unwrap_or(DEFAULT_APDEX_THRESHOLD_MS),
        }
    }

    /// The plugin is always there; once configured it starts from other defaults.
    fn metrics_by_endpoint(&mut self, node: Option<&Node>) -> MetricsByEndpoint {
        let Some(node) = node.filter(|node| node.is_truthy()) else {
            return MetricsByEndpoint::default();
        };
        self.check_keys(node, "the metrics-by-endpoint plugin", &METRICS_KEYS);
        let is_on = |key: &str| node.get(key).is_some_and(Node::is_truthy);
        let namespace = node
            .get("metricsNamespace")
            .filter(|namespace| namespace.is_truthy());
        MetricsByEndpoint {
            use_only_request_names: is_on("useOnlyRequestNames"),
            strip_query_string: is_on("stripQueryString"),
            ignore_unnamed_requests: is_on("ignoreUnnamedRequests"),
            metrics_namespace: namespace.map_or_else(
                || MetricsByEndpoint::default().metrics_namespace,
                |text| javascript::text(&text.to_value()),
            ),
            group_dynamic_urls: node.get("groupDynamicURLs").is_none_or(Node::is_truthy),
            suppress_output: is_on("suppressOutput"),
        }
    }
}

fn strict(label: String, condition: Condition, node: &Node) -> EnsureCheck {
    EnsureCheck {
        label,
        condition,
        strict: true,
        abort_on_fail: false,
        span: node.span,
    }
}

/// JavaScript's `parseInt`.
fn whole(node: &Node) -> f64 {
    let text = javascript::text(&node.to_value());
    let text = text.trim_start();
    let digits = text.trim_start_matches(['-', '+']);
    let end = digits
        .find(|digit: char| !digit.is_ascii_digit())
        .unwrap_or(digits.len());
    let magnitude: f64 = digits[..end].parse().unwrap_or(f64::NAN);
    if text.starts_with('-') {
        -magnitude
    } else {
        magnitude
    }
}

fn fake_data(node: &Node) -> BTreeMap<String, Value> {
    node.as_map()
        .into_iter()
        .flatten()
        .map(|(name, member)| (name.to_string(), member.node.to_value()))
        .collect()
}
