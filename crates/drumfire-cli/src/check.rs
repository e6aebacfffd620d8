//! `drumfire check`: validates a script and shows what a run of it would do.

use crate::execute::print;
use crate::exit::Exit;
use crate::script::ScriptArguments;
use crate::words::masked;
use drumfire_artillery::script::{Request, Scenario, Script, Step, StepKind, Turns};
use drumfire_plan::{Plan, Spacing, StageLoad, StageOutline};
use serde::Serialize;
use std::fmt::Write as _;
use std::time::Duration;

/// The command line of `drumfire check`.
#[derive(Debug, clap::Args)]
pub struct CheckArguments {
    /// Print JSON instead of text
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    script: ScriptArguments,
}

/// Seed of what chance decides in an outline: each look at a script shows the same.
const SEED: u64 = 1;

/// Checks.
///
/// # Errors
/// The script is not valid.
pub fn run(arguments: &CheckArguments) -> anyhow::Result<Exit> {
    let script = arguments.script.load("check", SEED)?;
    let plan = drumfire_artillery::plan(&script, SEED)?;
    let outline = Outline::of(arguments.script.title(), &script, plan.as_ref());
    match arguments.json {
        true => print(&format!("{}\n", serde_json::to_string_pretty(&outline)?)),
        false => print(&outline.text()),
    }
    Ok(Exit::Passed)
}

/// What a run would do; as JSON, version 1: fields may be added, none change their meaning.
#[derive(Debug, Serialize)]
struct Outline {
    version: u32,
    script: String,
    target: Option<String>,
    environment: Option<String>,
    before: bool,
    after: bool,
    scenarios: Vec<ScenarioOutline>,
    stages: Vec<Stage>,
    duration_s: f64,
    /// Users that arrive in all.
    users: u64,
    /// Requests expected in all; none where a loop has no end.
    requests: Option<f64>,
    /// Whether the script alone decides how many requests there are.
    requests_exact: bool,
    checks: Vec<String>,
    warnings: Vec<Notice>,
}

#[derive(Debug, Serialize)]
struct ScenarioOutline {
    name: String,
    weight: u32,
    /// Part of the users that run it, 0 to 1.
    share: f64,
    requests: Option<f64>,
    requests_exact: bool,
}

#[derive(Debug, Serialize)]
struct Stage {
    name: Option<String>,
    start_s: f64,
    duration_s: f64,
    arrivals: u64,
    from_per_second: f64,
    to_per_second: f64,
    poisson: bool,
    max_users: Option<u32>,
}

#[derive(Debug, Serialize)]
struct Notice {
    place: Option<String>,
    message: String,
    hint: Option<String>,
}

/// Requests that a list of steps is expected to send.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Expected {
    /// How many; infinite where a loop has no end.
    requests: f64,
    /// Whether nothing but the script decides it.
    exact: bool,
}

impl Expected {
    const NONE: Expected = Expected {
        requests: 0.0,
        exact: true,
    };

    fn of(steps: &[Step]) -> Self {
        steps
            .iter()
            .fold(Self::NONE, |sum, step| sum.plus(Self::of_step(step)))
    }

    fn of_step(step: &Step) -> Self {
        match &step.kind {
            StepKind::Request(request) => Self::of_request(request),
            StepKind::Loop(spec) => Self::of(&spec.steps).times(&spec.turns),
            StepKind::Parallel(spec) => Self::of(&spec.steps),
            StepKind::Think(_) | StepKind::Log(_) => Self::NONE,
        }
    }

    fn of_request(request: &Request) -> Self {
        Expected {
            requests: request.probability.map_or(1.0, |percent| percent / 100.0),
            exact: request.probability.is_none() && request.if_true.is_none(),
        }
    }

    fn plus(self, other: Self) -> Self {
        Expected {
            requests: self.requests + other.requests,
            exact: self.exact && other.exact,
        }
    }

    /// So many turns; those that only a user's variables decide count as one.
    fn times(self, turns: &Turns) -> Self {
        let (turns, known) = match turns {
            Turns::Range(from, to) => ((to - from).max(0) as f64, true),
            Turns::Over(elements) => (elements.len() as f64, true),
            Turns::Endless if self.requests == 0.0 => (0.0, true),
            Turns::Endless => (f64::INFINITY, true),
            Turns::Templated(_) | Turns::OverVariable(_) => (1.0, false),
        };
        Expected {
            requests: self.requests * turns,
            exact: self.exact && known,
        }
    }

    fn finite(self) -> Option<f64> {
        Some(self.requests).filter(|requests| requests.is_finite())
    }
}

impl Outline {
    fn of(title: &str, script: &Script, plan: Option<&Plan>) -> Self {
        let stages = plan.map(Plan::describe).unwrap_or_default();
        let stages: Vec<Stage> = stages.iter().map(Stage::of).collect();
        let users = stages.iter().map(|stage| stage.arrivals).sum();
        let scenarios = scenarios(script);
        let mean = scenarios.iter().fold(Expected::NONE, |sum, scenario| {
            sum.plus(Expected {
                requests: scenario.requests.unwrap_or(f64::INFINITY) * scenario.share,
                exact: scenario.requests_exact,
            })
        });
        let alike = scenarios
            .windows(2)
            .all(|pair| pair[0].requests == pair[1].requests);
        Outline {
            version: 1,
            script: title.to_owned(),
            target: script.config.target.as_deref().map(masked),
            environment: script.origin.environment.clone(),
            before: script.before.is_some(),
            after: script.after.is_some(),
            scenarios,
            duration_s: plan.map_or(0.0, |plan| plan.load.duration().as_secs_f64()),
            stages,
            users,
            requests: mean.finite().map(|requests| requests * users as f64),
            requests_exact: mean.exact && alike,
            checks: checks(script),
            warnings: script
                .warnings
                .iter()
                .map(|warning| notice(script, warning))
                .collect(),
        }
    }

    fn text(&self) -> String {
        let mut out = String::new();
        let mut line = |label: &str, text: &str| {
            writeln!(out, "{label:12}{text}").expect("a string takes all");
        };
        line("script", &self.script);
        line(
            "target",
            self.target
                .as_deref()
                .unwrap_or("none: every URL is absolute"),
        );
        if let Some(environment) = &self.environment {
            line("environment", environment);
        }
        if self.before {
            line("before", "runs once, not measured");
        }
        for (index, stage) in self.stages.iter().enumerate() {
            line(if index == 0 { "phases" } else { "" }, &stage.text(index));
        }
        for (index, scenario) in self.scenarios.iter().enumerate() {
            line(if index == 0 { "scenarios" } else { "" }, &scenario.text());
        }
        if self.after {
            line("after", "runs once, not measured");
        }
        for (index, check) in self.checks.iter().enumerate() {
            line(if index == 0 { "checks" } else { "" }, check);
        }
        line("in all", &self.total());
        out
    }

    fn total(&self) -> String {
        let duration = span(Duration::from_secs_f64(self.duration_s));
        let requests = requests(self.requests, self.requests_exact);
        format!("{} over {duration}, {requests}", users(self.users))
    }
}

impl Stage {
    fn of(outline: &StageOutline) -> Self {
        let blank = Stage {
            name: outline.name.clone(),
            start_s: outline.start.as_secs_f64(),
            duration_s: outline.duration.as_secs_f64(),
            arrivals: 0,
            from_per_second: 0.0,
            to_per_second: 0.0,
            poisson: false,
            max_users: None,
        };
        match outline.load {
            StageLoad::Arrivals {
                count,
                from_per_second,
                to_per_second,
                spacing,
                max_users,
            } => Stage {
                arrivals: count,
                from_per_second,
                to_per_second,
                poisson: spacing == Spacing::Poisson,
                max_users,
                ..blank
            },
            StageLoad::Users { to, .. } => Stage {
                max_users: Some(to),
                ..blank
            },
        }
    }

    fn text(&self, index: usize) -> String {
        let name = self.name.as_deref().unwrap_or("unnamed");
        let duration = span(Duration::from_secs_f64(self.duration_s));
        let mut text = format!("{}  {name}, {duration}: ", index + 1);
        if self.arrivals == 0 {
            text.push_str("nobody arrives");
            return text;
        }
        let (from, to) = (rate(self.from_per_second), rate(self.to_per_second));
        let rates = if from == to {
            format!("{from}/s")
        } else {
            format!("{from}/s to {to}/s")
        };
        write!(text, "{}, {rates}", users(self.arrivals)).expect("a string takes all");
        if self.poisson {
            text.push_str(", by chance");
        }
        if let Some(max_users) = self.max_users {
            write!(text, ", at most {} at a time", count(f64::from(max_users)))
                .expect("a string takes all");
        }
        text
    }
}

impl ScenarioOutline {
    fn text(&self) -> String {
        let requests = requests(self.requests, self.requests_exact);
        format!(
            "{}, {} % of users: {requests} each",
            self.name,
            rate(self.share * 100.0)
        )
    }
}

fn scenarios(script: &Script) -> Vec<ScenarioOutline> {
    let picked = |index: usize, scenario: &Scenario| match script.selected {
        Some(selected) => u32::from(selected == index),
        None => scenario.weight,
    };
    let weights = script
        .scenarios
        .iter()
        .enumerate()
        .map(|(i, s)| f64::from(picked(i, s)));
    let sum: f64 = weights.sum();
    let outline = |(index, scenario): (usize, &Scenario)| {
        let expected = Expected::of(&scenario.flow);
        ScenarioOutline {
            name: scenario.title(index),
            weight: scenario.weight,
            share: f64::from(picked(index, scenario)) / sum.max(1.0),
            requests: expected.finite(),
            requests_exact: expected.exact,
        }
    };
    script.scenarios.iter().enumerate().map(outline).collect()
}

fn checks(script: &Script) -> Vec<String> {
    let checks = script
        .config
        .plugins
        .ensure
        .iter()
        .flat_map(|ensure| &ensure.checks);
    checks
        .map(|check| match check.strict {
            true => check.label.clone(),
            false => format!("{} (optional)", check.label),
        })
        .collect()
}

fn notice(script: &Script, warning: &drumfire_artillery::script::Warning) -> Notice {
    Notice {
        place: warning
            .span
            .map(|span| script.sources.place(span).to_string()),
        message: warning.message.clone(),
        hint: warning.hint.clone(),
    }
}

fn users(number: u64) -> String {
    match number {
        1 => "1 user".to_owned(),
        _ => format!("{} users", count(number as f64)),
    }
}

/// `4 requests`, `about 4.5 requests` or that there is no end to them.
fn requests(requests: Option<f64>, exact: bool) -> String {
    match requests {
        None => "requests without end".to_owned(),
        Some(1.0) if exact => "1 request".to_owned(),
        Some(requests) if exact => format!("{} requests", count(requests)),
        Some(requests) => format!("about {} requests", count(requests)),
    }
}

/// A number with its thousands apart, and one decimal where it is small and has some.
fn count(number: f64) -> String {
    if number.fract() != 0.0 && number < 100.0 {
        return rate(number);
    }
    let digits = format!("{number:.0}");
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A number without needless decimals.
fn rate(number: f64) -> String {
    let text = format!("{number:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// `1 h 2 min 3 s`, without the parts that are zero.
fn span(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let rest = duration.as_secs_f64() - (seconds - seconds % 60) as f64;
    let parts = [(seconds / 3600, "h"), (seconds / 60 % 60, "min")];
    let mut words: Vec<String> = parts
        .iter()
        .filter(|(number, _)| *number > 0)
        .map(|(number, unit)| format!("{number} {unit}"))
        .collect();
    if rest > 0.0 || words.is_empty() {
        words.push(format!("{} s", rate(rest)));
    }
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_leave_out_what_is_zero() {
        for (milliseconds, text) in [
            (0, "0 s"),
            (1_500, "1.5 s"),
            (60_000, "1 min"),
            (3_723_000, "1 h 2 min 3 s"),
            (7_200_000, "2 h"),
        ] {
            assert_eq!(span(Duration::from_millis(milliseconds)), text);
        }
    }

    #[test]
    fn counts_keep_their_thousands_apart() {
        for (number, text) in [
            (7.0, "7"),
            (4.5, "4.5"),
            (1_234.4, "1,234"),
            (1_000_000.0, "1,000,000"),
        ] {
            assert_eq!(count(number), text);
        }
    }
}
