//! `drumfire quick URL`: load on one URL without a script, as people use oha,
//! hey and wrk. It writes the small Artillery script that says the same, so
//! that there is one engine and one language behind both doors.

use crate::args::{LoadArguments, VerdictArguments, ViewArguments, duration, positive_duration};
use crate::execute::{Job, NoChecks, execute, finish, print};
use crate::exit::{Exit, Refusal};
use crate::files::{ReportArguments, ReportOptions, Reports};
use crate::script::environment_variables;
use crate::view::Kind;
use crate::{client, descriptors, facts, signals, words};
use anyhow::Context;
use drumfire_artillery::ArtilleryProgram;
use drumfire_artillery::load::{LoadOptions, load};
use drumfire_artillery::script::Script;
use drumfire_engine::Control;
use drumfire_plan::{
    Arrivals, ClosedLoad, ClosedStage, Iterations, Load, MAX_DURATION, OpenLoad, OpenStage, Plan,
    PlanError, Scenario, Spacing,
};
use drumfire_protocols::Http2;
use drumfire_report::quick;
use jiff::Zoned;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::num::{NonZeroU32, NonZeroU64};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Requests sent when neither a count nor a duration is given.
const DEFAULT_REQUESTS: u64 = 200;
/// What requests say they come from, unless a header says otherwise.
const USER_AGENT: &str = concat!("drumfire/", env!("CARGO_PKG_VERSION"));
/// Name of the script in memory.
const SCRIPT: &str = "quick.json";

/// The command line of `drumfire quick`.
#[derive(Debug, clap::Args)]
#[command(mut_arg("shards", |shards| shards.short('t')))]
pub struct QuickArguments {
    /// Where to send requests
    url: String,
    /// Send this many requests; 200 unless a duration is given
    #[arg(short = 'n', long, value_name = "N")]
    requests: Option<NonZeroU64>,
    /// Keep this many users busy, each on a connection of its own; with --rate, the connections
    /// there are
    #[arg(
        short = 'c',
        long,
        visible_alias = "connections",
        value_name = "N",
        default_value = "50"
    )]
    users: NonZeroU32,
    /// Send requests for this long
    #[arg(short = 'z', long, value_name = "DURATION", value_parser = positive_duration)]
    duration: Option<Duration>,
    /// Send this many requests a second, however fast they are answered
    #[arg(short = 'q', long, value_name = "PER_SECOND", value_parser = rate)]
    rate: Option<f64>,
    #[command(flatten)]
    request: RequestArguments,
    #[command(flatten)]
    load: LoadArguments,
    #[command(flatten)]
    verdict: VerdictArguments,
    #[command(flatten)]
    reports: ReportArguments,
    /// Print nothing
    #[arg(long, help_heading = "Display")]
    quiet: bool,
    #[command(flatten)]
    view: ViewArguments,
}

/// What each request is.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Request")]
struct RequestArguments {
    /// The method; POST where there is a body, else GET
    #[arg(short = 'm', long, value_name = "METHOD")]
    method: Option<String>,
    /// Add a header; may be repeated
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE", value_parser = header)]
    headers: Vec<(String, String)>,
    /// Send this body
    #[arg(short = 'd', long, value_name = "TEXT")]
    body: Option<String>,
    /// Send the content of this file as body
    #[arg(short = 'D', long, value_name = "FILE", conflicts_with = "body")]
    body_file: Option<PathBuf>,
    /// The body's content type
    #[arg(short = 'T', long, value_name = "TYPE")]
    content_type: Option<String>,
    /// Authenticate with this user name and password
    #[arg(short = 'a', long, value_name = "USER:PASSWORD", value_parser = pair)]
    auth: Option<(String, String)>,
    /// Speak HTTP/2
    #[arg(long)]
    http2: bool,
    /// Take any TLS certificate
    #[arg(short = 'k', long)]
    insecure: bool,
    /// Open a connection for each request
    #[arg(long)]
    disable_keepalive: bool,
    /// Do not follow redirects
    #[arg(long)]
    disable_redirects: bool,
    /// How long to wait for an answer
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "10s")]
    timeout: Duration,
}

/// Puts load on the URL.
///
/// # Errors
/// The request makes no sense, a report cannot be written, or the load cannot
/// be started.
pub fn run(arguments: &QuickArguments) -> anyhow::Result<Exit> {
    let control = Control::default();
    signals::stop_by(control.clone()).context("wait for signals")?;
    descriptors::raise_limit();
    let reports = Reports::prepare(&arguments.reports, &Zoned::now())?;
    let facts = facts::of(facts::run_id(), "quick", &arguments.url);
    reports.begin(&facts.run_id)?;
    let seed = arguments.load.seed();
    let script = arguments.script(&facts.run_id, seed)?;
    let plan = arguments.plan(seed)?;
    let client = client::config(&script, &arguments.load, arguments.http2())?;
    let program = ArtilleryProgram::new(
        Arc::new(script),
        client,
        Map::new(),
        facts.run_id.clone(),
        seed,
        facts::now_s(),
    );
    let job = Job {
        plan: Arc::new(plan),
        program: Arc::new(program),
        settings: arguments.load.settings(),
        facts,
        view: arguments.kind(),
        names: drumfire_metrics::NameOptions::default(),
        by_endpoint: false,
        checks: &NoChecks,
    };
    let outcome = execute(job, &control)?;
    if !arguments.quiet {
        print(&quick::render(&outcome.summary));
    }
    let options = ReportOptions {
        strict: arguments.verdict.strict,
        ..ReportOptions::default()
    };
    Ok(finish(&outcome, &reports, &options, arguments.verdict))
}

impl QuickArguments {
    fn kind(&self) -> Kind {
        match self.view.live() {
            _ if self.quiet => Kind::Quiet,
            true => Kind::Live,
            // A short run has no use for windows; its summary says it all.
            false => Kind::Quiet,
        }
    }

    fn http2(&self) -> Http2 {
        match self.request.http2 {
            true => client::http2_to(&self.url),
            false => Http2::Off,
        }
    }

    fn plan(&self, seed: u64) -> Result<Plan, PlanError> {
        let load = match self.rate {
            Some(rate) => Load::Open(self.open(rate, seed)?),
            None => Load::Closed(self.closed()?),
        };
        let plan = Plan {
            name: words::masked(&self.url),
            scenarios: vec![Scenario {
                name: "quick".to_owned(),
                weight: 1,
            }],
            load,
            seed,
        };
        plan.checked()
    }

    /// Arrivals at a rate, for the duration or until all requests are sent.
    fn open(&self, rate: f64, seed: u64) -> Result<OpenLoad, PlanError> {
        let constant = Arrivals::Constant { per_second: rate };
        let (arrivals, duration) = match (self.duration, self.requests) {
            (Some(duration), None) => (constant, duration),
            (duration, requests) => {
                let requests = requests.map_or(DEFAULT_REQUESTS, NonZeroU64::get);
                let all =
                    Duration::try_from_secs_f64(requests as f64 / rate).unwrap_or(MAX_DURATION);
                match duration.filter(|duration| *duration < all) {
                    Some(duration) => (constant, duration),
                    None => (Arrivals::Count(requests), all),
                }
            }
        };
        let stage = OpenStage {
            name: None,
            duration,
            arrivals,
            spacing: Spacing::Uniform,
            max_users: None,
        };
        OpenLoad::new(vec![stage], seed)
    }

    /// Users, for the duration or until all requests are sent.
    fn closed(&self) -> Result<ClosedLoad, PlanError> {
        let requests = match (self.requests, self.duration) {
            (None, None) => Some(DEFAULT_REQUESTS),
            (requests, _) => requests.map(NonZeroU64::get),
        };
        // More users than requests would leave some without any.
        let most = requests.map_or(u32::MAX, |n| u32::try_from(n).unwrap_or(u32::MAX));
        let users = self.users.get().min(most);
        let stage = ClosedStage {
            name: None,
            duration: self.duration.unwrap_or(MAX_DURATION),
            from_users: users,
            to_users: users,
        };
        let iterations = requests.map_or(Iterations::Unlimited, Iterations::Shared);
        ClosedLoad::new(vec![stage], iterations)
    }

    fn script(&self, test_id: &str, seed: u64) -> anyhow::Result<Script> {
        let text = self.script_json()?.to_string();
        let files = BTreeMap::from([(SCRIPT.to_owned(), Arc::from(text.into_bytes()))]);
        let options = LoadOptions {
            scripts: vec![SCRIPT.to_owned()],
            test_id: test_id.to_owned(),
            seed,
            now_ms: facts::now_ms(),
            ..LoadOptions::default()
        };
        Ok(load(&options, &files, &environment_variables())?)
    }

    fn script_json(&self) -> anyhow::Result<Value> {
        if !self.url.starts_with("http://") && !self.url.starts_with("https://") {
            return Err(Refusal::usage(format!(
                "{} is no URL to send requests to\nhint: it starts with http:// or https://",
                words::masked(&self.url)
            ))
            .into());
        }
        let request = &self.request;
        let body = request.body()?;
        let method = request.method(body.is_some());
        let mut http = json!({ "timeout": request.timeout.as_secs_f64() });
        if self.rate.is_some() {
            http["pool"] = json!(self.users);
        }
        let config = json!({
            "target": self.url,
            "http": http,
            "tls": { "rejectUnauthorized": !request.insecure },
        });
        Ok(json!({
            "config": config,
            "scenarios": [{ "name": "quick", "flow": [{ method: request.step(&self.url, body) }] }],
        }))
    }
}

impl RequestArguments {
    fn method(&self, has_body: bool) -> String {
        let default = if has_body { "post" } else { "get" };
        self.method
            .as_deref()
            .unwrap_or(default)
            .to_ascii_lowercase()
    }

    fn body(&self) -> anyhow::Result<Option<String>> {
        let Some(path) = &self.body_file else {
            return Ok(self.body.clone());
        };
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("read body {}", path.display()))?;
        Ok(Some(text))
    }

    fn step(&self, url: &str, body: Option<String>) -> Value {
        let mut step = json!({
            "url": url,
            "headers": self.header_map(),
            "followRedirect": !self.disable_redirects,
            "http2": self.http2,
            // As wrk has it: the target compresses for those who ask by a header.
            "gzip": false,
        });
        if let Some(body) = body {
            step["body"] = Value::String(body);
        }
        if let Some((user, password)) = &self.auth {
            step["auth"] = json!({ "user": user, "pass": password });
        }
        step
    }

    fn header_map(&self) -> Map<String, Value> {
        let text = |(name, value): &(String, String)| (name.clone(), Value::String(value.clone()));
        let mut headers = Map::from_iter([("user-agent".to_owned(), json!(USER_AGENT))]);
        headers.extend(self.headers.iter().map(text));
        if let Some(content_type) = &self.content_type {
            headers.insert("content-type".to_owned(), json!(content_type));
        }
        if self.disable_keepalive {
            headers.insert("connection".to_owned(), json!("close"));
        }
        headers
    }
}

fn rate(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|rate: &f64| rate.is_finite() && *rate > 0.0)
        .ok_or_else(|| "expected requests per second, such as 0.5 or 100".into())
}

fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text
        .split_once(':')
        .ok_or("expected a name and a value, as in \"accept: text/html\"")?;
    Ok((name.trim().to_ascii_lowercase(), value.trim().to_owned()))
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (user, password) = text
        .split_once(':')
        .ok_or("expected a user name and a password, as in me:secret")?;
    Ok((user.to_owned(), password.to_owned()))
}
