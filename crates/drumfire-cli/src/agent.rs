//! `drumfire agent`: waits at a broker for runs and takes part in one after another.

use crate::agents::ScriptLoader;
use crate::args::LoadArguments;
use crate::execute::print;
use crate::exit::Exit;
use crate::script::environment_variables;
use crate::settings::{AgentSettings, Flagged, ThisHost};
use crate::{broker, descriptors, signals, words};
use anyhow::Context;
use drumfire_cluster::nats::NatsAgents;
use drumfire_cluster::{
    AgentNews, AgentPhase, AgentSettings as MachineSettings, Loader, Member, Standby, run_agent,
};
use std::collections::HashSet;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use tokio::sync::watch;

/// So long without a word of a run's coordinator, and the agent is free for another run.
const ABANDON_NS: u64 = 600_000_000_000;

/// The command line of `drumfire agent`.
#[derive(Debug, clap::Args)]
pub struct AgentArguments {
    /// Threads that make the load; one per core unless said otherwise
    #[arg(
        long,
        visible_alias = "threads",
        value_name = "N",
        help_heading = "Load"
    )]
    shards: Option<NonZeroU32>,
    /// Connect from this address; several are used in turn, for more connections than ports
    #[arg(long, value_name = "ADDRESS", help_heading = "Load")]
    local_ip: Vec<IpAddr>,
}

impl AgentArguments {
    /// How load is run here; the rest is the coordinator's to say.
    fn load(&self) -> LoadArguments {
        LoadArguments {
            shards: self.shards,
            local_ip: self.local_ip.clone(),
            graceful_stop: None,
            max_duration: None,
            seed: None,
        }
    }
}

/// Takes part in runs until a signal, or in one.
///
/// # Errors
/// A setting is wrong, or the broker cannot be reached.
pub fn run(flagged: &Flagged<AgentArguments, AgentSettings>) -> anyhow::Result<Exit> {
    let (settings, warnings) = flagged.settings(&environment_variables(), &ThisHost)?;
    warnings.iter().for_each(words::warn_setting);
    let leave = leave_by_signals().context("wait for signals")?;
    descriptors::raise_limit();
    let runtime = broker::runtime()?;
    let loader: Arc<dyn Loader> = Arc::new(ScriptLoader {
        load: flagged.arguments.load(),
        allowed: settings.allow_targets.clone(),
    });
    runtime.block_on(async {
        let broker = broker::connect(&settings.broker).await?;
        let agents = NatsAgents::listen(&broker).await?;
        words::tell(&format!(
            "agent {} waits for runs of cluster {}, group {}\n",
            settings.name, settings.broker.cluster, settings.broker.group
        ));
        let agent = Agent {
            settings,
            loader,
            leave,
            failed: false,
        };
        agent.take_part(agents).await
    })
}

struct Agent {
    settings: AgentSettings,
    loader: Arc<dyn Loader>,
    leave: watch::Receiver<u32>,
    failed: bool,
}

impl Agent {
    async fn take_part(mut self, mut agents: NatsAgents) -> anyhow::Result<Exit> {
        let mut ended = HashSet::new();
        loop {
            let invitation = tokio::select! {
                invitation = agents.invited() => invitation,
                _ = self.leave.wait_for(|times| *times > 0) => break,
            };
            if !ended.insert(invitation.run.clone()) {
                continue;
            }
            // Which life of the agent this is: in each run another.
            let member = Member::new(&self.settings.name, uuid::Uuid::new_v4().as_u64_pair().0);
            words::tell(&format!(
                "joining run {} ({})\n",
                invitation.run, invitation.name
            ));
            let broker = &self.settings.broker;
            if broker.run_key.is_none() && broker.trust_broker {
                words::tell("without a run key nothing that its coordinator says is verified\n");
            }
            let link = agents.join(&invitation.run, &member).await;
            let link =
                link.map_err(|reason| anyhow::anyhow!("join run {}: {reason}", invitation.run))?;
            let settings = MachineSettings {
                capacity: self.settings.capacity,
                abandon_ns: ABANDON_NS,
                ..MachineSettings::new(member, env!("CARGO_PKG_VERSION"))
            };
            let failed = &mut self.failed;
            let mut watcher = |news| *failed |= show(&news);
            let (loader, leave) = (Arc::clone(&self.loader), self.leave.clone());
            run_agent(link, settings, loader, leave, &mut watcher).await;
            words::tell(&format!("run {} is over\n", invitation.run));
            if self.settings.once || *self.leave.borrow() > 0 {
                break;
            }
            self.failed = false;
        }
        Ok(match self.failed {
            true => Exit::AgentsFailed,
            false => Exit::Passed,
        })
    }
}

/// Shows what an agent has to say; gives whether it has failed.
fn show(news: &AgentNews) -> bool {
    let phase = match news {
        AgentNews::Log(line) => {
            print(&format!("{line}\n"));
            return false;
        }
        AgentNews::Warning(line) => {
            words::warn(line, None);
            return false;
        }
        AgentNews::Phase(phase) => phase,
    };
    let line = match phase {
        AgentPhase::Failed(reason) => format!("this agent cannot {reason}"),
        AgentPhase::Armed { .. } => "ready".to_owned(),
        AgentPhase::WarmingUp => "warming up".to_owned(),
        AgentPhase::Running => "running".to_owned(),
        AgentPhase::Draining => "draining".to_owned(),
        _ => return false,
    };
    words::tell(&format!("{line}\n"));
    matches!(phase, AgentPhase::Failed(_))
}

/// Counts signals: the first hands the share back and flushes, the second interrupts what runs, the third ends the
/// process.
fn leave_by_signals() -> std::io::Result<watch::Receiver<u32>> {
    let signals = signals::listen()?;
    let (count, times) = watch::channel(0);
    std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            for signal in signals.iter() {
                if *count.borrow() >= 2 {
                    std::process::exit(128 + signal.number());
                }
                count.send_modify(|times| *times += 1);
            }
        })?;
    Ok(times)
}
