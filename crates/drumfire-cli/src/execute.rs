//! A plan and a program to an end: watched, stopped by signals or checks,
//! judged, reported. What `run` and `quick` have in common.

use crate::args::VerdictArguments;
use crate::exit::Exit;
use crate::files::{ReportOptions, Reports};
use crate::view::{self, View};
use crate::{facts, signals, words};
use drumfire_engine::{
    Control, Event, Observer, Outcome, Program, RunError, Settings, StopReason, Tenure,
};
use drumfire_metrics::{Abort, NameOptions, RunFacts, Summary, ThresholdOutcome, Verdict};
use drumfire_plan::{Plan, Share};
use drumfire_report::artillery_console::Console;
use jiff::tz::TimeZone;
use std::io::{self, Write};
use std::sync::Arc;

/// Counter of failed expectations, by which Artillery decides its exit code.
const EXPECT_FAILED: &str = "plugins.expect.failed";

/// Something to run.
pub struct Job<'a> {
    /// What to do.
    pub plan: Arc<Plan>,
    /// How to do it.
    pub program: Arc<dyn Program>,
    /// How to run it.
    pub settings: Settings,
    /// What is known of the run before it starts.
    pub facts: RunFacts,
    /// How to print it.
    pub view: view::Kind,
    /// How metrics are named.
    pub names: NameOptions,
    /// Whether metrics by endpoint are printed.
    pub by_endpoint: bool,
    /// What must hold.
    pub checks: &'a dyn Checks,
}

/// What must hold of a run's numbers.
pub trait Checks {
    /// The check whose failure ends the run now, given everything so far.
    fn abort(&self, so_far: &Summary) -> Option<Abort>;

    /// All checks, judged by the whole run.
    fn judge(&self, whole: &Summary) -> Vec<ThresholdOutcome>;
}

/// Nothing must hold.
pub struct NoChecks;

impl Checks for NoChecks {
    fn abort(&self, _so_far: &Summary) -> Option<Abort> {
        None
    }

    fn judge(&self, _whole: &Summary) -> Vec<ThresholdOutcome> {
        Vec::new()
    }
}

/// Runs a job to its end or its stop, and judges it.
///
/// # Errors
/// It cannot be started.
pub fn execute(job: Job<'_>, control: &Control) -> Result<Outcome, RunError> {
    let console = console(&job.facts, &job.names, job.by_endpoint);
    let mut watch = Watch {
        job: &job,
        started_at_us: job.facts.started_at_us,
        view: view::open(job.view, &console),
        aborted: None,
    };
    let tenure = Tenure::of(Share::whole());
    let mut outcome = drumfire_engine::run(
        &job.plan,
        &tenure,
        &job.program,
        &job.settings,
        control,
        &mut watch,
    )?;
    let (started_at_us, aborted) = (watch.started_at_us, watch.aborted);
    facts::state(&mut outcome.summary.facts, &job.facts, started_at_us);
    judge(&mut outcome.summary, &job, aborted);
    Ok(outcome)
}

/// Judges a run that is over.
pub fn judge(summary: &mut Summary, job: &Job<'_>, aborted: Option<Abort>) {
    summary.verdict = Verdict::judge(summary, job.checks.judge(summary), aborted);
}

/// Shows the run, and ends it where a check asks for it.
struct Watch<'a> {
    job: &'a Job<'a>,
    started_at_us: u64,
    view: Box<dyn View>,
    aborted: Option<Abort>,
}

impl Observer for Watch<'_> {
    fn event(&mut self, event: &Event, summary: &Summary) -> Option<StopReason> {
        if *event == Event::Started {
            self.started_at_us = facts::now_us();
            let mut facts = summary.facts.clone();
            facts::state(&mut facts, &self.job.facts, self.started_at_us);
            self.view.begin(facts);
        }
        self.view.event(event, summary);
        if *event != Event::Interval || self.aborted.is_some() {
            return None;
        }
        self.aborted = self.job.checks.abort(summary);
        self.aborted.map(|_| StopReason::Threshold)
    }
}

/// Writes the reports, says what was lost, and gives the code to end with.
pub fn finish(
    outcome: &Outcome,
    reports: &Reports,
    options: &ReportOptions,
    arguments: VerdictArguments,
) -> Exit {
    let lost = reports.write(&outcome.summary, options);
    for error in &lost {
        words::tell(&words::error(error));
    }
    if let Some(page) = reports.html() {
        words::tell(&format!("report: {}\n", page.display()));
    }
    let mut exit = exit_of(outcome, arguments);
    if !lost.is_empty() {
        exit = exit.max(Exit::ReportLost);
    }
    say_reason(exit);
    exit
}

/// Says why a run did not pass, if it did not.
fn say_reason(exit: Exit) {
    if let Some(reason) = exit.reason() {
        words::tell(&format!(
            "run failed: {reason} (exit code {})\n",
            exit.code()
        ));
    }
}

/// The worst of what happened.
fn exit_of(outcome: &Outcome, arguments: VerdictArguments) -> Exit {
    let summary = &outcome.summary;
    let signal = signals::first().filter(|_| outcome.stopped == Some(StopReason::Requested));
    let broken = !summary.verdict.trustworthy() || !summary.check_invariants().is_empty();
    let reasons = [
        signal.map(Exit::Signalled),
        (outcome.stopped == Some(StopReason::Threshold)).then_some(Exit::Aborted),
        (!summary.verdict.passed()).then_some(Exit::Failed),
        (summary.total.counters.get(EXPECT_FAILED) > Some(&0)).then_some(Exit::Expect),
        (arguments.fail_on_errors && errors(summary) > 0).then_some(Exit::Errors),
        (arguments.strict && broken).then_some(Exit::Saturated),
    ];
    reasons.into_iter().flatten().max().unwrap_or(Exit::Passed)
}

/// Failed exchanges, other errors and failed users.
fn errors(summary: &Summary) -> u64 {
    let total = &summary.total;
    let exchanges = total.endpoints.values().flat_map(|e| e.errors.values());
    exchanges.chain(total.errors.values()).sum::<u64>() + total.iterations.failed
}

/// Artillery's console for a run with these facts.
pub fn console(facts: &RunFacts, names: &NameOptions, by_endpoint: bool) -> Console {
    Console {
        started_at_us: facts.started_at_us,
        zone: TimeZone::system(),
        names: names.clone(),
        by_endpoint,
    }
}

/// Prints to standard output. A reader that has gone away is no reason to lose
/// a run, so an error is none.
pub fn print(text: &str) {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .ok();
}
