//! `config`: the load, the HTTP settings, TLS, variables and payloads.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};

use super::{Lowering, is_true, shown};
use crate::duration;
use crate::error::ScriptError;
use crate::files;
use crate::javascript;
use crate::node::{Node, NodeValue};
use crate::payload::{self, Payload};
use crate::phases::{Mode, Phase, PhaseArrivals};
use crate::script::{Config, CookieJarOptions, HttpConfig, Plugins, TlsConfig, Tracing};

/// Keys of `config`.
const CONFIG_KEYS: [&str; 27] = [
    "target",
    "phases",
    "environments",
    "variables",
    "payload",
    "processor",
    "plugins",
    "pluginsScope",
    "engines",
    "engine",
    "mode",
    "http",
    "ws",
    "socketio",
    "tls",
    "timeout",
    "defaults",
    "ensure",
    "apdex",
    "statsInterval",
    "bundling",
    "includeFiles",
    "fake-data",
    "expect",
    "name",
    "description",
    "stash",
];

/// Keys of `config.http`.
const HTTP_KEYS: [&str; 7] = [
    "timeout",
    "pool",
    "maxSockets",
    "extendedMetrics",
    "cookieJarOptions",
    "distributedTracing",
    "defaults",
];

/// Keys of `config.http.defaults`.
const DEFAULTS_KEYS: [&str; 4] = ["headers", "cookie", "strictCapture", "think"];

/// Keys of a phase.
const PHASE_KEYS: [&str; 8] = [
    "name",
    "duration",
    "arrivalRate",
    "rampTo",
    "arrivalCount",
    "maxVusers",
    "pause",
    "mode",
];

/// Keys of `config.tls`.
const TLS_KEYS: [&str; 8] = [
    "rejectUnauthorized",
    "ca",
    "certificateAuthority",
    "cert",
    "certificate",
    "key",
    "servername",
    "serverName",
];

/// How long to wait for a response's headers unless the script says otherwise.
const DEFAULT_RESPONSE_TIMEOUT: Duration = Duration::from_secs(10);

/// What trace ids start with unless the script says otherwise.
const DEFAULT_TRACE_ID_PREFIX: &str = "a9";

/// The longest start of a trace id, in hexadecimal digits.
const TRACE_ID_PREFIX_LENGTH: usize = 8;

impl Lowering<'_> {
    pub(super) fn config(&mut self, node: &Node, plugins: Plugins) -> Result<Config, ScriptError> {
        self.check_keys(node, "config", &CONFIG_KEYS);
        if let Some(processor) = node.member("processor") {
            return Err(self.javascript(processor.key_span, "`config.processor`"));
        }
        self.check_engines(node)?;
        Ok(Config {
            target: self
                .optional_text(node, "target")?
                .map(|target| target.to_string()),
            phases: self.phases(node)?,
            http: self.http(node)?,
            tls: self.tls(node)?,
            variables: self.variables(node)?,
            payloads: self.payloads(node)?,
            plugins,
        })
    }

    fn check_engines(&mut self, node: &Node) -> Result<(), ScriptError> {
        for (name, member) in node
            .get("engines")
            .and_then(Node::as_map)
            .into_iter()
            .flatten()
        {
            let message =
                format!("engine `{name}` is not supported; scenarios that use it are refused");
            self.warn(member.key_span, message, None);
        }
        Ok(())
    }

    fn variables(&self, node: &Node) -> Result<Map<String, Value>, ScriptError> {
        match node.get("variables") {
            None => Ok(Map::new()),
            Some(variables) => match variables.to_value() {
                Value::Object(members) => Ok(members),
                _ => Err(self.error(
                    variables,
                    format!("`variables` must be a map, not {}", variables.kind()),
                )),
            },
        }
    }

    fn phases(&mut self, node: &Node) -> Result<Vec<Phase>, ScriptError> {
        let phases = match node.get("phases") {
            Some(phases) if !self.options.solo => phases,
            _ => return Ok(vec![solo(node)]),
        };
        let mode = node.get("mode");
        phases
            .as_list()
            .unwrap_or_default()
            .iter()
            .map(|phase| self.phase(phase, mode))
            .collect()
    }

    fn phase(&mut self, node: &Node, default_mode: Option<&Node>) -> Result<Phase, ScriptError> {
        if node.as_map().is_none() {
            return Err(self.error(node, format!("a phase must be a map, not {}", node.kind())));
        }
        self.check_keys(node, "a phase", &PHASE_KEYS);
        let (arrivals, duration_key) = self.arrivals(node)?;
        let duration = match (self.phase_duration(node, duration_key)?, arrivals) {
            (Some(duration), _) => duration,
            // Artillery's ramp lasts a second when it does not say how long.
            (None, PhaseArrivals::Ramp(..)) => Duration::from_secs(1),
            (None, _) => {
                return Err(self.phase_error(node, format!("a phase needs `{duration_key}`")));
            }
        };
        let name = node
            .get("name")
            .map(|name| javascript::text(&name.to_value()));
        Ok(Phase {
            name,
            duration,
            arrivals,
            mode: self.mode(node.get("mode").or(default_mode))?,
            max_users: self.optional_count(node, "maxVusers")?,
            span: node.span,
        })
    }

    fn phase_error(&self, node: &Node, message: impl Into<String>) -> ScriptError {
        self.error(node, message)
            .exit_code(ScriptError::WORKER_EXIT_CODE)
    }

    /// Who arrives, and the key that says for how long.
    fn arrivals(&self, node: &Node) -> Result<(PhaseArrivals, &'static str), ScriptError> {
        if node.get("pause").is_some() {
            return Ok((PhaseArrivals::Pause, "pause"));
        }
        let count = self.phase_number(node, "arrivalCount")?;
        let rate = self.phase_number(node, "arrivalRate")?;
        let ramp_to = self.phase_number(node, "rampTo")?;
        let arrivals = match (count, rate, ramp_to) {
            (Some(0.0), _, _) | (_, Some(0.0), None) => PhaseArrivals::Pause,
            (Some(count), _, _) => PhaseArrivals::Count(count as u64),
            (None, rate, Some(to)) => PhaseArrivals::Ramp(rate.unwrap_or(0.0), to),
            (None, Some(rate), None) => PhaseArrivals::Rate(rate),
            (None, None, None) => {
                return Err(self
                    .phase_error(node, "unknown kind of phase")
                    .hint("a phase needs arrivalRate, arrivalCount, rampTo or pause"));
            }
        };
        Ok((arrivals, "duration"))
    }

    fn phase_number(&self, node: &Node, key: &str) -> Result<Option<f64>, ScriptError> {
        let Some(member) = node.get(key) else {
            return Ok(None);
        };
        let number = javascript::value_to_number(&member.to_value());
        if number.is_finite() && number >= 0.0 {
            return Ok(Some(number));
        }
        Err(self.phase_error(
            member,
            format!("Invalid {key} for phase: {}", shown(member)),
        ))
    }

    fn phase_duration(&self, node: &Node, key: &str) -> Result<Option<Duration>, ScriptError> {
        let Some(member) = node.get(key) else {
            return Ok(None);
        };
        match duration::parse_value(&member.to_value()).filter(|duration| !duration.is_zero()) {
            Some(duration) => Ok(Some(duration)),
            None => {
                let text = javascript::text(&member.to_value());
                Err(self
                    .phase_error(member, format!("Invalid {key} for phase: {text}"))
                    .hint("a number of seconds, or a text such as 500ms, 5min or 2h"))
            }
        }
    }

    fn mode(&self, node: Option<&Node>) -> Result<Mode, ScriptError> {
        match node {
            None => Ok(Mode::Uniform),
            Some(node) => match node.as_text().map(|text| &**text) {
                Some("uniform") => Ok(Mode::Uniform),
                Some("poisson") => Ok(Mode::Poisson),
                _ => Err(self.phase_error(
                    node,
                    format!("mode must be uniform or poisson, not {}", shown(node)),
                )),
            },
        }
    }

    fn http(&mut self, node: &Node) -> Result<HttpConfig, ScriptError> {
        let empty = Node::map(node.span);
        let http = node.get("http").unwrap_or(&empty);
        self.check_keys(http, "config.http", &HTTP_KEYS);
        let new = http.get("defaults").unwrap_or(&empty);
        let old = node.get("defaults").unwrap_or(&empty);
        self.check_keys(new, "config.http.defaults", &DEFAULTS_KEYS);
        self.check_keys(old, "config.defaults", &DEFAULTS_KEYS);
        let headers = new
            .get("headers")
            .or(old.get("headers"))
            .filter(|headers| headers.as_map().is_some());
        let cookies = new
            .get("cookie")
            .or(old.get("cookie"))
            .filter(|cookies| cookies.as_map().is_some());
        let lenient = |defaults: &Node| {
            matches!(
                defaults.get("strictCapture").map(|strict| &strict.value),
                Some(NodeValue::Bool(false))
            )
        };
        let think = new.get("think").or(old.get("think"));
        let timeout = [node.get("timeout"), http.get("timeout")]
            .into_iter()
            .flatten()
            .find_map(|timeout| self.timeout(timeout));
        let extended_env = self
            .origin
            .process_environment
            .get("ARTILLERY_EXTENDED_HTTP_METRICS")
            .is_some();
        Ok(HttpConfig {
            response_timeout: timeout.unwrap_or(DEFAULT_RESPONSE_TIMEOUT),
            pool: self.optional_count(http, "pool")?.filter(|pool| *pool > 0),
            max_sockets: self.optional_count(http, "maxSockets")?.unwrap_or(1).max(1),
            extended_metrics: is_true(http.get("extendedMetrics")) || extended_env,
            cookie_jar: cookie_jar(http.get("cookieJarOptions").unwrap_or(&empty)),
            tracing: http.get("distributedTracing").and_then(tracing),
            default_headers: headers.map(|headers| self.headers(Some(headers))),
            default_cookies: cookies.map(|cookies| self.named_values(Some(cookies))),
            strict_capture: !lenient(new) && !lenient(old),
            think_jitter: think
                .and_then(|think| think.get("jitter"))
                .and_then(super::flow::jitter),
        })
    }

    fn tls(&mut self, node: &Node) -> Result<TlsConfig, ScriptError> {
        let Some(tls) = node.get("tls") else {
            return Ok(TlsConfig::default());
        };
        for key in ["pfx", "passphrase"] {
            if let Some(member) = tls.member(key) {
                return Err(self
                    .error_at(member.key_span, format!("`tls.{key}` is not supported"))
                    .hint("give certificate and key as unencrypted PEM with cert and key"));
            }
        }
        self.check_keys(tls, "config.tls", &TLS_KEYS);
        let either = |name, other| tls.get(name).or(tls.get(other));
        let ca = either("certificateAuthority", "ca").map_or(&[][..], Node::as_items);
        Ok(TlsConfig {
            insecure: tls
                .get("rejectUnauthorized")
                .is_some_and(|verify| !verify.is_truthy()),
            ca: ca.iter().map(|ca| self.pem(ca)).collect::<Result<_, _>>()?,
            cert: either("certificate", "cert")
                .map(|cert| self.pem(cert))
                .transpose()?,
            key: tls.get("key").map(|key| self.pem(key)).transpose()?,
            server_name: self
                .optional_text(tls, "servername")?
                .or(self.optional_text(tls, "serverName")?)
                .map(|name| name.to_string()),
        })
    }

    /// PEM text, or the text of the file at that path, as seen from the script.
    fn pem(&self, node: &Node) -> Result<Arc<str>, ScriptError> {
        let Some(text) = node.as_text() else {
            return Err(self.error(
                node,
                format!("expected PEM text or a file's path, not {}", node.kind()),
            ));
        };
        if text.contains("-----BEGIN") {
            return Ok(text.clone());
        }
        let path = files::resolve(files::folder(&self.origin.script_path), text);
        let bytes = self
            .files
            .read(&path)
            .map_err(|error| self.error(node, format!("reading {path}: {error}")))?;
        match std::str::from_utf8(&bytes) {
            Ok(pem) if pem.contains("-----BEGIN") => Ok(pem.into()),
            _ => Err(self.error(node, format!("{path} is not PEM text"))),
        }
    }

    fn payloads(&mut self, node: &Node) -> Result<Vec<Payload>, ScriptError> {
        let mut payloads = Vec::new();
        for item in node
            .get("payload")
            .and_then(Node::as_list)
            .unwrap_or_default()
        {
            payloads.extend(self.payload(item)?);
        }
        Ok(payloads)
    }

    fn payload(&mut self, node: &Node) -> Result<Option<Payload>, ScriptError> {
        self.check_keys(node, "config.payload", &payload::KEYS);
        let Some(path) = node.get("path") else {
            return Err(self
                .error(node, "a payload needs `path`, its CSV file")
                .hint("or give the file with --payload"));
        };
        let path_text = self.optional_text(node, "path")?.unwrap_or_default();
        let bytes = self
            .files
            .read(&path_text)
            .map_err(|error| self.error(path, format!("reading {path_text}: {error}")))?;
        let payload = payload::read(node, &path_text, &bytes, self.sources)?;
        if payload.whole().is_none() && payload.fields().is_empty() {
            let hint = Some("name the columns with fields".to_owned());
            self.warn(
                node.span,
                "a payload without `fields` gives no variables",
                hint,
            );
            return Ok(None);
        }
        if payload.whole().is_none() && payload.rows() == 0 {
            self.warn(
                path.span,
                format!("{path_text} has no rows: its variables are undefined"),
                None,
            );
        }
        Ok(Some(payload))
    }
}

/// One user in one second.
fn solo(node: &Node) -> Phase {
    Phase {
        name: None,
        duration: Duration::from_secs(1),
        arrivals: PhaseArrivals::Count(1),
        mode: Mode::Uniform,
        max_users: None,
        span: node.span,
    }
}

fn cookie_jar(node: &Node) -> CookieJarOptions {
    let is_off = |key: &str| {
        matches!(
            node.get(key).map(|node| &node.value),
            Some(NodeValue::Bool(false))
        )
    };
    CookieJarOptions {
        loose_mode: node.get("looseMode").is_some_and(Node::is_truthy),
        reject_public_suffixes: !is_off("rejectPublicSuffixes"),
        allow_special_use_domain: !is_off("allowSpecialUseDomain"),
    }
}

/// `true`, or a map that does not say `enabled: false`.
fn tracing(node: &Node) -> Option<Tracing> {
    let enabled = match node.member("enabled") {
        Some(enabled) => enabled.node.is_truthy(),
        None => node.is_truthy(),
    };
    let prefix = node
        .get("traceIdPrefix")
        .map(|prefix| javascript::text(&prefix.to_value()));
    let digits: String = prefix
        .unwrap_or_default()
        .to_lowercase()
        .chars()
        .filter(char::is_ascii_hexdigit)
        .take(TRACE_ID_PREFIX_LENGTH)
        .collect();
    enabled.then(|| Tracing {
        sampled: node
            .member("sampled")
            .is_none_or(|sampled| sampled.node.is_truthy()),
        trace_id_prefix: if digits.is_empty() {
            DEFAULT_TRACE_ID_PREFIX.to_owned()
        } else {
            digits
        },
    })
}
