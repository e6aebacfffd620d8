//! `drumfire run`: an Artillery script in, the truth out.

use crate::args::{LoadArguments, VerdictArguments, ViewArguments};
use crate::bundle::{Bundle, RunOptions};
use crate::checks::EnsureChecks;
use crate::coordinator::Cluster;
use crate::execute::{Job, console, execute, finish, print};
use crate::exit::Exit;
use crate::files::{ReportArguments, ReportOptions, Reports};
use crate::script::ScriptArguments;
use crate::view::Kind;
use crate::{client, descriptors, facts, fleet, signals, words};
use anyhow::Context;
use drumfire_artillery::ensure;
use drumfire_artillery::script::{Ensure, Script};
use drumfire_artillery::{ArtilleryProgram, Section, SectionError, SectionOutcome};
use drumfire_engine::{Control, Outcome};
use drumfire_metrics::{NameOptions, RunFacts, Summary};
use drumfire_report::findings;
use jiff::Zoned;
use serde_json::Map;
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;

/// The command line of `drumfire run`.
#[derive(Debug, clap::Args)]
pub struct RunArguments {
    #[command(flatten)]
    pub script: ScriptArguments,
    #[command(flatten)]
    pub load: LoadArguments,
    /// Speak HTTP/2: over TLS where the target agrees, over plain TCP always
    #[arg(long, help_heading = "Load")]
    pub http2: bool,
    /// Share the load between this many agents in this process, as agents on many machines would
    #[arg(long, value_name = "N", help_heading = "Load")]
    pub agents: Option<NonZeroU32>,
    #[command(flatten)]
    pub verdict: VerdictArguments,
    #[command(flatten)]
    pub reports: ReportArguments,
    /// Name the run in its reports
    #[arg(long, value_name = "NAME", help_heading = "Reports")]
    pub name: Option<String>,
    /// Print no report, only what the script logs
    #[arg(short, long, help_heading = "Display")]
    pub quiet: bool,
    #[command(flatten)]
    pub view: ViewArguments,
}

/// Who makes the load.
pub enum Agents {
    /// This process.
    None,
    /// Agents in this process.
    Threads(NonZeroU32),
    /// Agents elsewhere.
    Cluster(Box<Cluster>),
}

/// Runs a script.
///
/// # Errors
/// The script is not valid, a report cannot be written, or the load cannot be
/// started.
pub fn run(arguments: &RunArguments) -> anyhow::Result<Exit> {
    let agents = arguments.agents.map_or(Agents::None, Agents::Threads);
    begin(arguments, || Ok(agents))
}

/// Runs a script on agents, which are met once signals are heeded.
///
/// # Errors
/// As [`run`], and what `meet` says.
pub fn begin(
    arguments: &RunArguments,
    meet: impl FnOnce() -> anyhow::Result<Agents>,
) -> anyhow::Result<Exit> {
    let control = Control::default();
    signals::stop_by(control.clone()).context("wait for signals")?;
    descriptors::raise_limit();
    let reports = Reports::prepare(&arguments.reports, &Zoned::now())?;
    let agents = meet()?;
    let begun = Begun::of(arguments, &agents)?;
    reports.begin(&begun.run_id)?;
    Run {
        arguments,
        facts: arguments.facts(&begun.script, begun.run_id),
        names: names(&begun.script),
        script: begun.script,
        bundle: begun.bundle,
        resumed: begun.resumed,
        seed: begun.seed,
    }
    .go(agents, &control, &reports)
}

/// A script, loaded for a new run or for one that goes on.
struct Begun {
    script: Arc<Script>,
    /// What agents get, where there are any.
    bundle: Option<Bundle>,
    run_id: String,
    seed: u64,
    resumed: bool,
}

impl Begun {
    fn of(arguments: &RunArguments, agents: &Agents) -> anyhow::Result<Self> {
        let unfinished = match agents {
            Agents::Cluster(cluster) => cluster.unfinished(&arguments.script.scripts)?,
            Agents::None | Agents::Threads(_) => None,
        };
        if let Some(bundle) = unfinished {
            let run_id = bundle.options.test_id.clone();
            words::tell(&format!("going on with run {run_id}\n"));
            return Ok(Begun {
                script: Arc::new(bundle.script()?),
                run_id,
                seed: bundle.options.seed,
                bundle: Some(bundle),
                resumed: true,
            });
        }
        let asked = match agents {
            Agents::Cluster(cluster) => cluster.run_id(),
            Agents::None | Agents::Threads(_) => None,
        };
        let (seed, run_id) = (arguments.load.seed(), asked.unwrap_or_else(facts::run_id));
        let (script, bundle) = match agents {
            Agents::None => (arguments.script.load(&run_id, seed)?, None),
            Agents::Threads(_) => {
                let (script, bundle) = arguments.script.bundle(&run_id, seed)?;
                (script, Some(bundle))
            }
            Agents::Cluster(cluster) => {
                let (mut script, mut bundle) = arguments.script.bundle(&run_id, seed)?;
                bundle.run.scenarios = cluster.picked(&script)?;
                bundle.run.pick(&mut script);
                (script, Some(bundle))
            }
        };
        Ok(Begun {
            script: Arc::new(script),
            bundle,
            run_id,
            seed,
            resumed: false,
        })
    }
}

/// A run with everything it needs.
struct Run<'a> {
    arguments: &'a RunArguments,
    bundle: Option<Bundle>,
    /// Whether another coordinator has begun it.
    resumed: bool,
    script: Arc<Script>,
    facts: RunFacts,
    names: NameOptions,
    seed: u64,
}

impl Run<'_> {
    fn go(&self, agents: Agents, control: &Control, reports: &Reports) -> anyhow::Result<Exit> {
        let arguments = self.arguments;
        self.say(&console(&self.facts, &self.names, false).run_id(&self.facts.run_id));
        let Some(plan) = drumfire_artillery::plan(&self.script, self.seed)? else {
            self.say("No phase has any load, so there is nothing to run\n");
            return Ok(self.finish(&self.nothing(), reports));
        };
        let program = Arc::new(self.prepared(control)?);
        let ensure = self.ensure();
        let checks = EnsureChecks {
            ensure: &ensure,
            names: &self.names,
        };
        let job = Job {
            plan: Arc::new(plan),
            program: program.clone(),
            settings: arguments.load.settings(),
            facts: self.facts.clone(),
            view: arguments.kind(),
            names: self.names.clone(),
            by_endpoint: self.by_endpoint(),
            checks: &checks,
        };
        let (outcome, failed) = self.execute(agents, job, control, &program)?;
        let cleaned = self.run_section(&program, Section::After, control);
        self.report(&outcome, reports);
        let exit = self.finish(&outcome, reports);
        let cleaned = match cleaned {
            Ok(outcome) => signals::first()
                .filter(|_| outcome.interrupted)
                .map_or(Exit::Passed, Exit::Signalled),
            Err(error) => {
                words::tell(&words::error(&error));
                Exit::Failed
            }
        };
        Ok(exit.max(cleaned).max(failed))
    }

    /// Runs the load: here, or on agents.
    fn execute(
        &self,
        agents: Agents,
        job: Job<'_>,
        control: &Control,
        program: &ArtilleryProgram,
    ) -> anyhow::Result<(Outcome, Exit)> {
        let arguments = self.arguments;
        let bundle = self.bundle.as_ref().map(|bundle| Bundle {
            run: RunOptions {
                http2: arguments.http2,
                graceful_stop_ms: arguments
                    .load
                    .graceful_stop
                    .map(|grace| grace.as_millis() as u64),
                before: program.before().clone(),
                scenarios: bundle.run.scenarios.clone(),
            },
            ..bundle.clone()
        });
        let shared = match (agents, bundle) {
            (Agents::Threads(count), Some(bundle)) => {
                fleet::execute(&job, control, count, &arguments.load, &bundle)?
            }
            // What agents of a run that goes on have fetched is not made anew.
            (Agents::Cluster(cluster), Some(bundle)) => {
                let begun = self.bundle.as_ref().filter(|_| self.resumed);
                cluster.execute(&job, control, begun.unwrap_or(&bundle))?
            }
            _ => return Ok((execute(job, control)?, Exit::Passed)),
        };
        let exit = match shared.failure {
            Some(_) => Exit::AgentsFailed,
            None => Exit::Passed,
        };
        Ok((shared.outcome, exit))
    }

    fn finish(&self, outcome: &Outcome, reports: &Reports) -> Exit {
        let verdict = self.arguments.verdict;
        let options = ReportOptions {
            names: self.names.clone(),
            strict: verdict.strict,
        };
        finish(outcome, reports, &options, verdict)
    }

    /// What a run without load comes to; reports are owed for it too.
    fn nothing(&self) -> Outcome {
        Outcome {
            summary: Summary {
                facts: self.facts.clone(),
                ..Summary::default()
            },
            stopped: None,
        }
    }

    /// The program, with the variables that `before` set.
    fn prepared(&self, control: &Control) -> anyhow::Result<ArtilleryProgram> {
        let load = &self.arguments.load;
        let client = client::config(
            &self.script,
            load,
            client::http2_of(&self.script, self.arguments.http2),
        )?;
        let program = |variables| {
            ArtilleryProgram::new(
                self.script.clone(),
                client.clone(),
                variables,
                self.facts.run_id.clone(),
                self.seed,
                facts::now_s(),
            )
        };
        // Whoever began the run has run it.
        if let Some(bundle) = self.bundle.as_ref().filter(|_| self.resumed) {
            return Ok(program(bundle.run.before.clone()));
        }
        let before = program(Map::new());
        let before = self.run_section(&before, Section::Before, control)?;
        Ok(program(before.variables))
    }

    /// Runs a section and prints its lines.
    fn run_section(
        &self,
        program: &ArtilleryProgram,
        section: Section,
        control: &Control,
    ) -> anyhow::Result<SectionOutcome> {
        let mut ended = program.run_section(section, control);
        let lines = match &mut ended {
            Ok(outcome) => std::mem::take(&mut outcome.lines),
            Err(SectionError::Failed { lines, .. }) => std::mem::take(lines),
            Err(SectionError::Invalid { .. } | SectionError::Reactor { .. }) => Vec::new(),
        };
        for line in lines {
            print(&format!("{line}\n"));
        }
        if ended.as_ref().is_ok_and(|outcome| outcome.interrupted) {
            let section = section.key();
            words::tell(&format!("stopping: `{section}` was cut short\n"));
        }
        Ok(ended?)
    }

    /// What must hold at the end; nothing where the environment says so.
    fn ensure(&self) -> Ensure {
        let disabled = std::env::var_os(ensure::DISABLING_VARIABLE).is_some();
        let ensure = self.script.config.plugins.ensure.as_ref();
        ensure
            .filter(|_| !disabled)
            .cloned()
            .unwrap_or_else(|| Ensure { checks: Vec::new() })
    }

    fn by_endpoint(&self) -> bool {
        !self
            .script
            .config
            .plugins
            .metrics_by_endpoint
            .suppress_output
    }

    fn report(&self, outcome: &Outcome, reports: &Reports) {
        let summary = &outcome.summary;
        let console = console(&summary.facts, &self.names, self.by_endpoint());
        let artillery = reports.artillery().and_then(Path::to_str);
        self.say(&console.report(summary, artillery));
        self.say(&findings::render(summary));
    }

    fn say(&self, text: &str) {
        if !self.arguments.quiet {
            print(text);
        }
    }
}

impl RunArguments {
    fn kind(&self) -> Kind {
        match (self.quiet, self.view.live()) {
            (true, _) => Kind::Quiet,
            (false, true) => Kind::Live,
            (false, false) => Kind::Lines,
        }
    }

    fn facts(&self, script: &Script, run_id: String) -> RunFacts {
        let title = self.name.as_deref().unwrap_or(self.script.title());
        let target = script.config.target.as_deref().unwrap_or_default();
        facts::of(run_id, title, target)
    }
}

/// How the script wants its metrics named.
fn names(script: &Script) -> NameOptions {
    NameOptions {
        by_endpoint: script
            .config
            .plugins
            .metrics_by_endpoint
            .metrics_namespace
            .clone(),
        phases: script.config.http.extended_metrics,
        own: true,
    }
}
