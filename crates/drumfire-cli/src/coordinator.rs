//! `drumfire coordinator`: a run whose agents are processes anywhere, met at a broker. What it must remember is with the
//! broker, so that a coordinator that is started again, here or elsewhere, goes on where the last one ended.

use crate::args::{LoadArguments, VerdictArguments, ViewArguments};
use crate::bundle::Bundle;
use crate::execute::Job;
use crate::exit::Exit;
use crate::fleet::{self, SharedOutcome};
use crate::own_load::OwnLoad;
use crate::run::{self, Agents, RunArguments};
use crate::script::{ScriptArguments, ScriptOptions, environment_variables};
use crate::settings::{CoordinatorSettings, Flagged, TestSettings, ThisHost};
use crate::{broker, facts, words};
use anyhow::{Context, anyhow};
use drumfire_cluster::nats::{Broker, NatsCoordinator};
use drumfire_cluster::{CoordinatorLink, Digest, Fact, LatestRun, Settings};
use drumfire_engine::{Control, StopReason};
use std::time::Duration;
use tokio::runtime::Runtime;

/// The command line of `drumfire coordinator`.
#[derive(Debug, clap::Args)]
pub struct CoordinatorArguments {
    #[command(flatten)]
    script: ScriptOptions,
    /// Speak HTTP/2: over TLS where the target agrees, over plain TCP always
    #[arg(long, help_heading = "Load")]
    http2: bool,
    /// Stop after this long, whatever the load plans
    #[arg(long, value_name = "DURATION", value_parser = crate::args::positive_duration, help_heading = "Load")]
    max_duration: Option<Duration>,
    /// Make everything that happens by chance happen again
    #[arg(long, value_name = "N", help_heading = "Load")]
    seed: Option<u64>,
    #[command(flatten)]
    view: ViewArguments,
}

/// Coordinates a run.
///
/// # Errors
/// A setting is wrong, the script is not valid, or the broker cannot be reached.
pub fn run(flagged: &Flagged<CoordinatorArguments, CoordinatorSettings>) -> anyhow::Result<Exit> {
    let (settings, warnings) = flagged.settings(&environment_variables(), &ThisHost)?;
    warnings.iter().for_each(words::warn_setting);
    let test = &settings.test;
    let arguments = flagged.arguments.run_arguments(&settings.scripts, test);
    let targets = test.targets.clone();
    run::begin(&arguments, &targets, || {
        Ok(Agents::Cluster(Box::new(Cluster::meet(settings)?)))
    })
}

impl CoordinatorArguments {
    /// What `drumfire run` would be given for the same test.
    pub fn run_arguments(&self, scripts: &[String], test: &TestSettings) -> RunArguments {
        RunArguments {
            script: ScriptArguments {
                scripts: scripts.to_vec(),
                options: self.script.clone(),
            },
            load: LoadArguments {
                shards: None,
                graceful_stop: test.graceful_stop,
                max_duration: self.max_duration,
                seed: self.seed,
                local_ip: Vec::new(),
            },
            http2: self.http2,
            preconnect: test.preconnect,
            agents: None,
            verdict: VerdictArguments {
                strict: test.strict,
                fail_on_errors: test.fail_on_errors,
            },
            reports: test.reports.clone(),
            name: test.name.clone(),
            quiet: test.quiet,
            view: self.view,
        }
    }
}

/// A cluster, seen by a coordinator that has not begun its run.
pub struct Cluster {
    runtime: Runtime,
    broker: Broker,
    settings: CoordinatorSettings,
}

impl Cluster {
    /// Connects to the broker.
    fn meet(settings: CoordinatorSettings) -> anyhow::Result<Self> {
        let runtime = broker::runtime()?;
        let broker = runtime.block_on(broker::connect(&settings.broker))?;
        Ok(Cluster {
            runtime,
            broker,
            settings,
        })
    }

    /// The identity that the run is asked to have, if any.
    pub fn run_id(&self) -> Option<String> {
        self.settings.test.run_id.clone()
    }

    /// How long running iterations are waited for at the end.
    pub fn drain_timeout(&self) -> Duration {
        Duration::from_nanos(self.settings.timing.drain_ns)
    }

    /// The bundle of a run of the same script that another coordinator has begun and not ended, if there is one.
    ///
    /// # Errors
    /// The broker does not answer, or what it has is not readable.
    pub fn unfinished(&self, scripts: &[String]) -> anyhow::Result<Option<Bundle>> {
        self.runtime.block_on(self.find_unfinished(scripts))
    }

    async fn find_unfinished(&self, scripts: &[String]) -> anyhow::Result<Option<Bundle>> {
        let Some(latest) = self.broker.latest_run().await? else {
            return Ok(None);
        };
        if self.run_id().is_some_and(|asked| asked != latest.run) {
            return Ok(None);
        }
        let Some(bundle) = self.bundle_of(&latest).await? else {
            return Ok(None);
        };
        let facts = self.broker.facts(&latest.run).await?;
        let over = facts.iter().any(|fact| matches!(fact, Fact::Ended(_)));
        let may = self.run_id().is_some() || !over && self.may_go_on(&facts, &bundle)?;
        let same = bundle.options.scripts == scripts;
        Ok(Some(bundle).filter(|_| may && same && !facts.is_empty()))
    }

    async fn bundle_of(&self, latest: &LatestRun) -> anyhow::Result<Option<Bundle>> {
        match self.broker.bundle(latest.bundle).await {
            Ok(bytes) if Digest::of(&bytes) == latest.bundle => Ok(Some(Bundle::read(&bytes)?)),
            Ok(_) => Err(anyhow!("the bundle of run {} is another one", latest.run)),
            // A run whose bundle has expired is none to go on with.
            Err(_) => Ok(None),
        }
    }

    /// Whether a run that has not ended may still be under way: a later one of the same script is another run.
    fn may_go_on(&self, record: &[Fact], bundle: &Bundle) -> anyhow::Result<bool> {
        let timing = &self.settings.timing;
        let started = record.iter().find_map(|fact| match fact {
            Fact::Started { start_ns, .. } => Some(*start_ns),
            _ => None,
        });
        let made_ns = u64::try_from(bundle.options.now_ms).unwrap_or(0) * 1_000_000;
        let until_ns = match started {
            None => made_ns + timing.gather_ns + timing.prepare_ns,
            Some(start_ns) => {
                let script = bundle.script()?;
                let plan = drumfire_artillery::plan(&script, bundle.options.seed)?;
                let lasts = plan.map_or(Duration::ZERO, |plan| plan.load.duration());
                start_ns + lasts.as_nanos() as u64 + timing.drain_ns
            }
        };
        Ok(facts::now_ns() <= until_ns)
    }

    /// Whether a run that this coordinator goes on with was ended early: then nothing of it is begun any more.
    fn is_ending(&self, run: &str) -> anyhow::Result<bool> {
        let facts = self.runtime.block_on(self.broker.facts(run))?;
        let ends = |fact: &Fact| matches!(fact, Fact::Stopping { .. } | Fact::Ended(_));
        Ok(facts.iter().any(ends))
    }

    /// Runs a job on the cluster's agents.
    ///
    /// # Errors
    /// The broker does not take the bundle or the run.
    pub fn execute(
        self,
        job: &Job<'_>,
        control: &Control,
        bundle: &Bundle,
        own: Option<OwnLoad>,
    ) -> anyhow::Result<SharedOutcome> {
        if let Some(own) = &own
            && self.is_ending(&job.facts.run_id)?
        {
            own.stop(StopReason::Requested);
        }
        let bytes = bundle.write();
        let digest = Digest::of(&bytes);
        let opened = self.runtime.block_on(async {
            let (mut link, record) =
                NatsCoordinator::open(&self.broker, &job.facts.run_id, digest).await?;
            let published = link.publish_bundle(digest, &bytes).await;
            published.map_err(|reason| anyhow!("publish the bundle: {reason}"))?;
            anyhow::Ok((link, record))
        });
        let (link, record) = opened.context("open the run at the broker")?;
        let settings = Settings {
            run: job.facts.run_id.clone(),
            bundle: digest,
            load: job.plan.load.clone(),
            agents: self.settings.agents,
            quorum: self.settings.quorum,
            policy: self.settings.policy,
            paused: self.settings.paused,
            warm_up: self.settings.test.warm_up,
            timing: self.settings.timing,
        };
        fleet::coordinate(job, control, self.runtime, link, settings, record, own)
    }
}
