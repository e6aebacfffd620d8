//! `drumfire run`: an Artillery script in, the truth out.

use crate::args::{LoadArguments, VerdictArguments, ViewArguments};
use crate::bundle::{Bundle, RunOptions};
use crate::checks::EnsureChecks;
use crate::coordinator::Cluster;
use crate::execute::{Job, console, execute, finish, print};
use crate::exit::Exit;
use crate::files::{ReportArguments, ReportOptions, Reports};
use crate::own_load::{OwnLoad, OwnScenarios};
use crate::script::ScriptArguments;
use crate::settings::TargetNames;
use crate::view::Kind;
use crate::{client, descriptors, facts, fleet, signals, targeting, words};
use anyhow::Context;
use drumfire_artillery::ensure;
use drumfire_artillery::script::{Ensure, Script};
use drumfire_artillery::{ArtilleryProgram, Section, SectionError, SectionOutcome};
use drumfire_engine::{Control, Outcome, Settings};
use drumfire_metrics::{NameOptions, RunFacts, Summary};
use drumfire_report::findings;
use jiff::Zoned;
use serde_json::{Map, Value};
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;

/// What the seed of a coordinator's own scenarios differs in from that of its agents'.
const OWN_SEED: u64 = 0x6f77_6e00_6f77_6e00;

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
    /// Open this many connections to the target before the run starts, for the first users that need one
    #[arg(long, value_name = "N", default_value_t = 0, help_heading = "Load")]
    pub preconnect: u32,
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
    begin(arguments, &TargetNames::default(), || Ok(agents))
}

/// Runs the scenarios of a script that are targeted, on agents that are met once signals are heeded.
///
/// # Errors
/// As [`run`], and what `meet` says.
pub fn begin(
    arguments: &RunArguments,
    targets: &TargetNames,
    meet: impl FnOnce() -> anyhow::Result<Agents>,
) -> anyhow::Result<Exit> {
    let control = Control::default();
    signals::stop_by(control.clone()).context("wait for signals")?;
    descriptors::raise_limit();
    let reports = Reports::prepare(&arguments.reports, &Zoned::now())?;
    let agents = meet()?;
    let begun = Begun::of(arguments, targets, &agents)?;
    reports.begin(&begun.run_id)?;
    Run {
        arguments,
        facts: arguments.facts(&begun.script, begun.run_id),
        names: names(&begun.script),
        script: begun.script,
        own: begun.own,
        bundle: begun.bundle,
        resumed: begun.resumed,
        seed: begun.seed,
    }
    .go(agents, &control, &reports)
}

/// A script, loaded for a new run or for one that goes on.
struct Begun {
    script: Arc<Script>,
    /// The same with the scenarios that the coordinator of agents runs itself, where it does.
    own: Option<Arc<Script>>,
    /// What agents get, where there are any.
    bundle: Option<Bundle>,
    run_id: String,
    seed: u64,
    resumed: bool,
}

impl Begun {
    fn of(
        arguments: &RunArguments,
        targets: &TargetNames,
        agents: &Agents,
    ) -> anyhow::Result<Self> {
        let unfinished = match agents {
            Agents::Cluster(cluster) => cluster.unfinished(&arguments.script.scripts)?,
            Agents::None | Agents::Threads(_) => None,
        };
        if let Some(bundle) = unfinished {
            let run_id = bundle.options.test_id.clone();
            words::tell(&format!("going on with run {run_id}\n"));
            return Ok(Begun {
                script: Arc::new(bundle.script()?),
                own: bundle.own_script()?.map(Arc::new),
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
        if let Agents::None = agents {
            let (script, mut run) = (arguments.script.load(&run_id, seed)?, RunOptions::default());
            targeting::pick(targets, &script, &mut run)?;
            return Ok(Begun {
                script: Arc::new(run.picked(script)),
                own: None,
                bundle: None,
                run_id,
                seed,
                resumed: false,
            });
        }
        let (script, mut bundle) = arguments.script.bundle(&run_id, seed)?;
        targeting::pick(targets, &script, &mut bundle.run)?;
        Ok(Begun {
            script: Arc::new(bundle.run.picked(script)),
            own: bundle.own_script()?.map(Arc::new),
            bundle: Some(bundle),
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
    own: Option<Arc<Script>>,
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
        let without_row = drumfire_artillery::users_without_row(&self.script, &plan);
        if without_row > 0 {
            let message = format!("the payload has no row for the last {without_row} users");
            let hint = "with `order: unique` they will fail; add rows, or use `order: sequence`";
            words::warn(&message, Some(hint));
        }
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
        let (outcome, failure) = self.execute(agents, job, control, &program)?;
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
        let failed = match failure {
            Some(reason) => {
                let code = Exit::AgentsFailed.code();
                words::tell(&words::failed(&reason, code));
                Exit::AgentsFailed
            }
            None => Exit::Passed,
        };
        Ok(exit.max(cleaned).max(failed))
    }

    /// Runs the load: here, or on agents, who may fail it for a reason.
    fn execute(
        &self,
        agents: Agents,
        job: Job<'_>,
        control: &Control,
        program: &ArtilleryProgram,
    ) -> anyhow::Result<(Outcome, Option<String>)> {
        let arguments = self.arguments;
        let bundle = self.bundle.as_ref().map(|bundle| Bundle {
            run: RunOptions {
                http2: arguments.http2,
                preconnect: arguments.preconnect,
                graceful_stop_ms: arguments
                    .load
                    .graceful_stop
                    .map(|grace| grace.as_millis() as u64),
                before: program.before().clone(),
                ..bundle.run.clone()
            },
            ..bundle.clone()
        });
        let own = self.own_load(&agents, program)?;
        let shared = match (agents, bundle) {
            (Agents::Threads(count), Some(bundle)) => {
                fleet::execute(&job, control, count, &arguments.load, &bundle, own)?
            }
            // What agents of a run that goes on have fetched is not made anew.
            (Agents::Cluster(cluster), Some(bundle)) => {
                let begun = self.bundle.as_ref().filter(|_| self.resumed);
                cluster.execute(&job, control, begun.unwrap_or(&bundle), own)?
            }
            _ => return Ok((execute(job, control)?, None)),
        };
        Ok((shared.outcome, shared.failure))
    }

    /// The load of the scenarios that this process runs beside its agents, ready to start.
    fn own_load(
        &self,
        agents: &Agents,
        program: &ArtilleryProgram,
    ) -> anyhow::Result<Option<OwnLoad>> {
        let Some(script) = &self.own else {
            return Ok(None);
        };
        let drain_timeout = match agents {
            Agents::Cluster(cluster) => Some(cluster.drain_timeout()),
            Agents::None | Agents::Threads(_) => None,
        };
        let load = &self.arguments.load;
        // Its chance is its own, lest both loads do the same at the same time.
        let seed = self.seed ^ OWN_SEED;
        let plan = drumfire_artillery::plan(script, seed)?.context("the script has no load")?;
        let own = OwnScenarios {
            plan: Arc::new(plan),
            program: Arc::new(self.program(script, program.before().clone(), seed)?),
            settings: Settings {
                // The coordinator ends both.
                max_duration: None,
                // Only agents have a part of what is asked for.
                ahead: None,
                grace_after_end: load.graceful_stop.or(drain_timeout),
                ..load.settings()
            },
        };
        OwnLoad::prepare(own).map(Some)
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
        let program = |variables| self.program(&self.script, variables, self.seed);
        // Whoever began the run has run it.
        if let Some(bundle) = self.bundle.as_ref().filter(|_| self.resumed) {
            return program(bundle.run.before.clone());
        }
        let before = self.run_section(&program(Map::new())?, Section::Before, control)?;
        program(before.variables)
    }

    fn program(
        &self,
        script: &Arc<Script>,
        variables: Map<String, Value>,
        seed: u64,
    ) -> anyhow::Result<ArtilleryProgram> {
        let http2 = client::http2_of(script, self.arguments.http2);
        let client = client::config(script, &self.arguments.load, http2)?;
        Ok(ArtilleryProgram::new(
            script.clone(),
            client,
            variables,
            self.facts.run_id.clone(),
            seed,
            facts::now_s(),
        )
        .preconnecting(self.arguments.preconnect))
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
