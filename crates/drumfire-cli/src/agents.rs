//! Agents: what they make of a bundle, and those of `drumfire run --agents`, which are threads of one process.

use crate::args::LoadArguments;
use crate::bundle::Bundle;
use crate::execute::print;
use crate::{client, facts, words};
use anyhow::Context;
use drumfire_artillery::ArtilleryProgram;
use drumfire_cluster::memory::MemoryAgents;
use drumfire_cluster::{
    AgentNews, AgentPhase, AgentSettings, Loaded, Loader, Member, Standby, run_agent,
};
use drumfire_engine::Settings;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::watch;

/// So long an agent of this process waits for word of a coordinator that has ended.
const ABANDON_NS: u64 = 15_000_000_000;

/// Compiles the scripts of bundles to run as this process is asked to.
pub struct ScriptLoader {
    /// How load is run here.
    pub load: LoadArguments,
}

impl Loader for ScriptLoader {
    fn load(&self, bundle: &[u8]) -> Result<Loaded, String> {
        self.compile(bundle).map_err(|error| format!("{error:#}"))
    }
}

impl ScriptLoader {
    fn compile(&self, bundle: &[u8]) -> anyhow::Result<Loaded> {
        let bundle = Bundle::read(bundle)?;
        let script = Arc::new(bundle.script()?);
        let (seed, test_id) = (bundle.options.seed, bundle.options.test_id);
        let plan = drumfire_artillery::plan(&script, seed)?.context("the script has no load")?;
        let http2 = client::http2_of(&script, bundle.run.http2);
        let client = client::config(&script, &self.load, http2)?;
        let before = bundle.run.before;
        let program = ArtilleryProgram::new(script, client, before, test_id, seed, facts::now_s());
        let grace = bundle.run.graceful_stop_ms.map(Duration::from_millis);
        let own = self.load.settings();
        Ok(Loaded {
            plan: Arc::new(plan),
            program: Arc::new(program),
            settings: Settings {
                grace_after_end: grace,
                grace_after_stop: grace.unwrap_or(own.grace_after_stop),
                ..own
            },
        })
    }
}

/// Starts agents of this process; each takes part in one run and ends.
///
/// # Errors
/// A thread cannot be started.
pub fn start(
    agents: &MemoryAgents,
    count: u32,
    loader: &Arc<dyn Loader>,
    leave: &watch::Receiver<u32>,
) -> anyhow::Result<Vec<JoinHandle<()>>> {
    let start = |number| {
        let (agents, loader, leave) = (agents.clone(), Arc::clone(loader), leave.clone());
        let name = format!("agent-{number}");
        let thread = std::thread::Builder::new().name(name.clone());
        thread
            .spawn(move || take_part(agents, &name, loader, leave))
            .with_context(|| format!("start agent {number}"))
    };
    (1..=count).map(start).collect()
}

fn take_part(
    mut agents: MemoryAgents,
    name: &str,
    loader: Arc<dyn Loader>,
    leave: watch::Receiver<u32>,
) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return words::tell(&format!("{name} cannot run: {error}\n")),
    };
    runtime.block_on(async {
        let invitation = agents.invited().await;
        let member = Member::new(name, 1);
        match agents.join(&invitation.run, &member).await {
            Ok(link) => {
                let settings = AgentSettings {
                    abandon_ns: ABANDON_NS,
                    ..AgentSettings::new(member, env!("CARGO_PKG_VERSION"))
                };
                run_agent(link, settings, loader, leave, &mut |news| show(name, &news)).await;
            }
            Err(reason) => words::tell(&format!("{name} cannot join the run: {reason}\n")),
        }
    });
}

/// Lines of the script go where those of a run on one machine do.
fn show(name: &str, news: &AgentNews) {
    match news {
        AgentNews::Log(line) => print(&format!("{line}\n")),
        AgentNews::Phase(AgentPhase::Failed(reason)) => {
            words::tell(&format!("{name}: cannot {reason}\n"));
        }
        AgentNews::Phase(_) => {}
    }
}
