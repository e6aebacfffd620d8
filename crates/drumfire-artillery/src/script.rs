//! The typed script: what a loaded and validated Artillery script says, with every template
//! compiled and every element's place kept. Plain data, shared by all shards.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::expression::Expression;
use crate::path::Path;
use crate::payload::Payload;
use crate::phases::Phase;
use crate::source::{Sources, Span};
use crate::template::{Template, ValueTemplate};

/// A whole script.
#[derive(Debug, Clone)]
pub struct Script {
    /// `config`, after merging, overrides and templating.
    pub config: Config,
    /// `scenarios`, at least one.
    pub scenarios: Vec<Scenario>,
    /// The flow to run once before the load.
    pub before: Option<Scenario>,
    /// The flow to run once after the load.
    pub after: Option<Scenario>,
    /// The scenario of `--scenario-name`, an index into `scenarios`: the only one to run.
    pub selected: Option<usize>,
    /// Where the script came from, and what its built-in variables say.
    pub origin: Origin,
    /// What is odd about the script but does not keep it from running.
    pub warnings: Vec<Warning>,
    /// The texts behind the spans.
    pub sources: Arc<Sources>,
}

/// Where a script came from.
#[derive(Debug, Clone)]
pub struct Origin {
    /// `$scenarioFile`: the first script file, as given.
    pub script_path: String,
    /// `$dirname`: the folder of the config file, or of the script when there is none.
    pub config_folder: String,
    /// `$environment`: the name given with `--environment`.
    pub environment: Option<String>,
    /// `$env` and `$processEnvironment`: an object of texts.
    pub process_environment: Arc<Value>,
}

/// Something odd in a script.
#[derive(Debug, Clone, PartialEq)]
pub struct Warning {
    /// Where, unless it is about the command line.
    pub span: Option<Span>,
    /// What is odd, one line.
    pub message: String,
    /// What to do about it, one line.
    pub hint: Option<String>,
}

/// `config`.
#[derive(Debug, Clone)]
pub struct Config {
    /// Base of URLs that start with `/`, without templates left in it.
    pub target: Option<String>,
    /// The load, stage by stage.
    pub phases: Vec<Phase>,
    /// `http`, `timeout` and `defaults`.
    pub http: HttpConfig,
    /// `tls`.
    pub tls: TlsConfig,
    /// `variables`: a list means one random element per user.
    pub variables: Map<String, Value>,
    /// `payload`: the CSV files.
    pub payloads: Vec<Payload>,
    /// `plugins`, and the plugin settings in their old places.
    pub plugins: Plugins,
}

/// How requests are sent unless they say otherwise.
#[derive(Debug, Clone)]
pub struct HttpConfig {
    /// How long to wait for response headers.
    pub response_timeout: Duration,
    /// `pool`: so many connections shared by all users instead of one per user.
    pub pool: Option<u32>,
    /// `maxSockets`: connections per user.
    pub max_sockets: u32,
    /// Whether to measure DNS, TCP, TLS and total times as well.
    pub extended_metrics: bool,
    /// `cookieJarOptions`.
    pub cookie_jar: CookieJarOptions,
    /// `distributedTracing`: a `traceparent` header on every request.
    pub tracing: Option<Tracing>,
    /// `defaults.headers`, names in lower case; `None` when not set, which decides the user agent.
    pub default_headers: Option<Vec<Header>>,
    /// `defaults.cookie`: puts every user on its cookie jar from the start.
    pub default_cookies: Option<Vec<(Arc<str>, ValueTemplate)>>,
    /// `defaults.strictCapture`: whether captures must find something unless they say otherwise.
    pub strict_capture: bool,
    /// `defaults.think.jitter`.
    pub think_jitter: Option<Jitter>,
}

/// What the cookie jar lets pass, as tough-cookie names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CookieJarOptions {
    /// `looseMode`: take cookies without a name.
    pub loose_mode: bool,
    /// `rejectPublicSuffixes`: refuse cookies for whole top-level domains.
    pub reject_public_suffixes: bool,
    /// `allowSpecialUseDomain`: take cookies for `localhost`, `.local` and the like.
    pub allow_special_use_domain: bool,
}

/// `distributedTracing`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tracing {
    /// The flag of the `traceparent` header.
    pub sampled: bool,
    /// What every trace id starts with: 1 to 8 hexadecimal digits.
    pub trace_id_prefix: String,
}

/// Randomness of a think time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Jitter {
    /// So many percent up or down.
    Percent(f64),
    /// So many milliseconds up or down.
    Milliseconds(f64),
}

/// `tls`. Certificates and keys are PEM text, read from their file already where a path was given.
#[derive(Debug, Clone, Default)]
pub struct TlsConfig {
    /// `rejectUnauthorized: false` or `--insecure`: take any certificate.
    pub insecure: bool,
    /// `ca`: trust only these.
    pub ca: Vec<Arc<str>>,
    /// `cert`: the client's certificate chain.
    pub cert: Option<Arc<str>>,
    /// `key`: the client's private key.
    pub key: Option<Arc<str>>,
    /// `servername`: the name to ask for, instead of the host in the URL.
    pub server_name: Option<String>,
}

/// Settings of the plugins.
#[derive(Debug, Clone)]
pub struct Plugins {
    /// `expect`, when it is loaded; without it `expect` keys in requests do nothing.
    pub expect: Option<ExpectOptions>,
    /// `ensure`.
    pub ensure: Option<Ensure>,
    /// `apdex`.
    pub apdex: Option<Apdex>,
    /// `metrics-by-endpoint`, always there.
    pub metrics_by_endpoint: MetricsByEndpoint,
    /// `fake-data`, when it is loaded: options by function name. The templates have it built in.
    pub fake_data: Option<BTreeMap<String, Value>>,
    /// Known plugins that are accepted and do nothing here.
    pub ignored: Vec<String>,
}

/// How the expect plugin reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpectOptions {
    /// `formatter` or `outputFormat`.
    pub formatter: ExpectFormatter,
    /// `reportFailuresAsErrors`: a failed expectation ends the user.
    pub report_failures_as_errors: bool,
    /// `expectDefault200`: requests without expectations expect status 200.
    pub expect_default_200: bool,
    /// `useOnlyRequestNames`: name requests by their name alone in errors.
    pub use_only_request_names: bool,
}

/// What the expect plugin prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExpectFormatter {
    /// Every check, one line each.
    Pretty,
    /// Every request's checks as one JSON line.
    Json,
    /// Failed checks with the request and its response.
    PrettyError,
    /// Nothing.
    Silent,
}

/// What must hold of the final numbers.
#[derive(Debug, Clone)]
pub struct Ensure {
    /// All checks in the order Artillery makes them: thresholds, conditions, old-style limits,
    /// `maxErrorRate`.
    pub checks: Vec<EnsureCheck>,
}

/// One check on the final numbers.
#[derive(Debug, Clone)]
pub struct EnsureCheck {
    /// What the report prints.
    pub label: String,
    /// What must be true.
    pub condition: Condition,
    /// Whether a failure fails the run.
    pub strict: bool,
    /// Whether a failure ends the run as soon as it is sure (a threshold's `abortOnFail`).
    pub abort_on_fail: bool,
    /// Where it was written.
    pub span: Span,
}

/// What an ensure check asks.
#[derive(Debug, Clone, PartialEq)]
pub enum Condition {
    /// The metric must be there and below the limit.
    Below {
        /// The metric: a counter, a rate, or `<histogram>.<stat>`.
        metric: String,
        /// The limit.
        limit: f64,
    },
    /// At most so many percent of the users may not have completed.
    ErrorRateAtMost(f64),
    /// An expression over metrics, to be parsed with their names known
    /// ([`crate::expression::Expression::parse_naming`]); one that does not parse fails.
    Expression(String),
}

/// `apdex`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Apdex {
    /// Satisfied up to here, tolerated up to four times as much; milliseconds.
    pub threshold_ms: f64,
}

/// `metrics-by-endpoint`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetricsByEndpoint {
    /// Name endpoints by the request's name alone.
    pub use_only_request_names: bool,
    /// Leave the query out of names.
    pub strip_query_string: bool,
    /// Measure only requests that have a name.
    pub ignore_unnamed_requests: bool,
    /// What metric names start with.
    pub metrics_namespace: String,
    /// Name endpoints by the URL as written, before templating.
    pub group_dynamic_urls: bool,
    /// Keep the endpoints out of the console report.
    pub suppress_output: bool,
}

impl Default for MetricsByEndpoint {
    fn default() -> Self {
        MetricsByEndpoint {
            use_only_request_names: false,
            strip_query_string: true,
            ignore_unnamed_requests: false,
            metrics_namespace: "plugins.metrics-by-endpoint".to_owned(),
            group_dynamic_urls: true,
            suppress_output: true,
        }
    }
}

/// A scenario, or the flow of `before` and `after`.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// `name`, used raw in metric names.
    pub name: Option<String>,
    /// How often it is picked, beside the other scenarios' weights; 0 is never.
    pub weight: u32,
    /// The steps, one after another.
    pub flow: Vec<Step>,
    /// Where it was written.
    pub span: Span,
}

impl Scenario {
    /// What it is called in metrics and reports: by its name, or by its place in the script.
    pub fn title(&self, index: usize) -> String {
        self.name.clone().unwrap_or_else(|| index.to_string())
    }
}

/// One step of a flow.
#[derive(Debug, Clone)]
pub struct Step {
    /// What to do.
    pub kind: StepKind,
    /// Where it was written.
    pub span: Span,
}

/// What a step does.
#[derive(Debug, Clone)]
pub enum StepKind {
    /// Sends a request.
    Request(Box<Request>),
    /// Waits.
    Think(Think),
    /// Prints.
    Log(Template),
    /// Repeats steps.
    Loop(Box<Loop>),
    /// Runs steps side by side.
    Parallel(Parallel),
}

/// `think`.
#[derive(Debug, Clone)]
pub struct Think {
    /// How long.
    pub time: ThinkTime,
    /// Randomness: the step's own, else the config's.
    pub jitter: Option<Jitter>,
}

/// How long a `think` waits.
#[derive(Debug, Clone)]
pub enum ThinkTime {
    /// Known at load time.
    Fixed(Duration),
    /// A template that gives what [`crate::duration::parse_value`] reads; what it cannot read fails
    /// the user with `Invalid think time: …`.
    Templated(Template),
}

/// `loop`.
#[derive(Debug, Clone)]
pub struct Loop {
    /// The steps of one turn.
    pub steps: Vec<Step>,
    /// How many turns.
    pub turns: Turns,
    /// The variable that counts (`$loopCount` unless `loopValue` says otherwise).
    pub value_variable: Arc<str>,
    /// The variable that holds the element (`$loopElement` unless `loopElement` says otherwise;
    /// the counter again when there is no `over`).
    pub element_variable: Arc<str>,
}

/// How many turns a loop makes.
#[derive(Debug, Clone)]
pub enum Turns {
    /// Counts from the first number up to, not including, the second.
    Range(i64, i64),
    /// A template whose value [`Turns::from_value`] reads.
    Templated(Template),
    /// For ever: `count` is missing or -1.
    Endless,
    /// One turn per element; elements are templated when a request uses them.
    Over(Arc<[ValueTemplate]>),
    /// One turn per element of a list variable; no turn when it is no list.
    OverVariable(Path),
}

/// `parallel`.
#[derive(Debug, Clone)]
pub struct Parallel {
    /// The steps to run side by side.
    pub steps: Vec<Step>,
    /// How many at a time.
    pub limit: u32,
}

/// A request.
#[derive(Debug, Clone)]
pub struct Request {
    /// The method, in capitals.
    pub method: Arc<str>,
    /// The URL; one that starts with `/` goes to the target.
    pub url: Template,
    /// The URL as written, which names the endpoint in metrics.
    pub url_text: Arc<str>,
    /// `name`.
    pub name: Option<Template>,
    /// The name as written, which names the endpoint in metrics.
    pub name_text: Option<Arc<str>>,
    /// The request's own headers, names in lower case; defaults are not among them.
    pub headers: Vec<Header>,
    /// The body.
    pub body: Body,
    /// `qs`: replaces the query in the URL; lists repeat their key.
    pub query: Option<Vec<(Template, ValueTemplate)>>,
    /// `cookie`: put into the user's jar for this URL.
    pub cookies: Vec<(Arc<str>, ValueTemplate)>,
    /// `auth`: basic authentication; both must come out as texts.
    pub auth: Option<Auth>,
    /// `gzip: false`: no accept-encoding and no decoding.
    pub decompress: bool,
    /// `followRedirect`.
    pub follow_redirect: bool,
    /// `maxRedirects`.
    pub max_redirects: u32,
    /// `http2: true`: speak HTTP/2 where the server does.
    pub http2: bool,
    /// `timeout` of this request, instead of the config's.
    pub response_timeout: Option<Duration>,
    /// `allowGetBody`: without it a GET with a body is an error.
    pub allow_get_body: bool,
    /// `capture`.
    pub captures: Vec<Capture>,
    /// `match`.
    pub matches: Vec<Match>,
    /// `expect`; empty when the plugin is not loaded.
    pub expects: Vec<Expect>,
    /// `ifTrue`; one that does not parse is left out, which counts as true.
    pub if_true: Option<Expression>,
    /// `probability` in percent: the request is sent when a random number below 100 is below it.
    pub probability: Option<f64>,
}

/// A header; its name is in lower case.
#[derive(Debug, Clone)]
pub struct Header {
    /// The name.
    pub name: Arc<str>,
    /// The value; undefined leaves the header out.
    pub value: ValueTemplate,
}

/// `auth`.
#[derive(Debug, Clone)]
pub struct Auth {
    /// `user`.
    pub user: ValueTemplate,
    /// `pass`.
    pub pass: ValueTemplate,
}

/// The body of a request.
#[derive(Debug, Clone)]
pub enum Body {
    /// None.
    None,
    /// `json`: sent with `content-type: application/json`.
    Json(ValueTemplate),
    /// `body`.
    Text(Template),
    /// `form`: URL-encoded.
    Form(Vec<(Arc<str>, ValueTemplate)>),
    /// `formData`: multipart.
    Multipart(Vec<Part>),
}

/// One part of a multipart body.
#[derive(Debug, Clone)]
pub struct Part {
    /// The field's name.
    pub name: Arc<str>,
    /// The field's value.
    pub value: PartValue,
    /// `contentType`.
    pub content_type: Option<Template>,
}

/// What a part holds.
#[derive(Debug, Clone)]
pub enum PartValue {
    /// A value.
    Value(ValueTemplate),
    /// `fromFile`, read at load time.
    File {
        /// The file's name, without its folder.
        name: Arc<str>,
        /// The file.
        bytes: Arc<[u8]>,
    },
    /// `fromFile` with a template: a path relative to the script.
    TemplatedFile(Template),
}

/// One `capture`.
#[derive(Debug, Clone)]
pub struct Capture {
    /// Where to look.
    pub extractor: Extractor,
    /// `as`: the variable, or a path into one.
    pub variable: Path,
    /// Whether finding nothing fails the user (own `strict`, else the config's default).
    pub strict: bool,
    /// Where it was written.
    pub span: Span,
}

/// One `match`.
#[derive(Debug, Clone)]
pub struct Match {
    /// Where to look.
    pub extractor: Extractor,
    /// What must be found, of the same type.
    pub value: ValueTemplate,
    /// Whether anything else fails the user.
    pub strict: bool,
    /// Where it was written.
    pub span: Span,
}

/// Where in a response to look.
#[derive(Debug, Clone)]
pub enum Extractor {
    /// `json`: a JSONPath. Several hits give one at random, unless `multiple` is false: then all.
    Json {
        /// The path.
        expression: Template,
        /// Whether to pick one of several hits.
        pick_one: bool,
    },
    /// `regexp` over the body.
    Regexp {
        /// The JavaScript regular expression.
        expression: Template,
        /// `group`, else the whole match.
        group: Option<Group>,
        /// `flags`.
        flags: String,
    },
    /// `header`, in lower case.
    Header(Template),
    /// `selector`: an attribute of an element picked by CSS.
    Selector {
        /// The CSS selector.
        expression: Template,
        /// `attr`.
        attribute: Option<String>,
        /// `index`.
        index: SelectorIndex,
    },
    /// `xpath` over an XML body.
    Xpath(Template),
    /// Nothing that is known: never finds anything.
    Nothing,
}

/// A group of a regular expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Group {
    /// By number.
    Index(usize),
    /// By name.
    Name(String),
}

/// Which of the elements a selector finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SelectorIndex {
    /// By number; negative counts from the end.
    At(i64),
    /// The last.
    Last,
    /// Any.
    Random,
}

/// One expectation on a response.
#[derive(Debug, Clone)]
pub struct Expect {
    /// What is expected.
    pub kind: ExpectKind,
    /// Where it was written.
    pub span: Span,
}

/// What may be expected of a response.
#[derive(Debug, Clone)]
pub enum ExpectKind {
    /// `statusCode`: a number, a text or a list of them.
    StatusCode(ValueTemplate),
    /// `notStatusCode`.
    NotStatusCode(ValueTemplate),
    /// `contentType`; `json` means a JSON type and a body that parses.
    ContentType(Template),
    /// `hasProperty`: a lodash path into the JSON body.
    HasProperty(Template),
    /// `notHasProperty`.
    NotHasProperty(Template),
    /// `equals`: all must be the same text.
    Equals(Vec<Template>),
    /// `hasHeader`.
    HasHeader(Template),
    /// `headerEquals`: name and value.
    HeaderEquals(Template, ValueTemplate),
    /// `matchesRegexp` over the body.
    MatchesRegexp(Template),
    /// `cdnHit`: a cache header says hit (true) or miss (false).
    CdnHit(bool),
    /// `jmespath` or `jpath` (the metric's name): true when the query finds something truthy.
    JmesPath {
        /// Which of the two names was used.
        name: &'static str,
        /// The query.
        expression: String,
        /// `description`, for the report.
        description: Option<String>,
    },
}

impl ExpectKind {
    /// The type's name in metrics (`plugins.expect.ok.<name>`); `headerEquals` adds the header's
    /// name and has none of its own.
    pub fn type_name(&self) -> Option<&'static str> {
        match self {
            ExpectKind::StatusCode(_) => Some("statusCode"),
            ExpectKind::NotStatusCode(_) => Some("notStatusCode"),
            ExpectKind::ContentType(_) => Some("contentType"),
            ExpectKind::HasProperty(_) => Some("hasProperty"),
            ExpectKind::NotHasProperty(_) => Some("notHasProperty"),
            ExpectKind::Equals(_) => Some("equals"),
            ExpectKind::HasHeader(_) => Some("hasHeader"),
            ExpectKind::HeaderEquals(..) => None,
            ExpectKind::MatchesRegexp(_) => Some("matchesRegexp"),
            ExpectKind::CdnHit(_) => Some("cdnHit"),
            ExpectKind::JmesPath { name, .. } => Some(name),
        }
    }
}
