//! Agents: what they make of a bundle, and those of `drumfire run --agents`, which are threads of one process.

use crate::args::LoadArguments;
use crate::bundle::Bundle;
use crate::execute::print;
use crate::{client, facts, words};
use anyhow::{Context, bail};
use drumfire_artillery::ArtilleryProgram;
use drumfire_artillery::script::Script;
use drumfire_cluster::memory::MemoryAgents;
use drumfire_cluster::{
    AgentNews, AgentPhase, AgentSettings, Loaded, Loader, Member, Standby, run_agent,
};
use drumfire_engine::Settings;
use drumfire_protocols::{AllowedTargets, ClientConfig};
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
    /// The only targets that load is made for here; any where it is none.
    pub allowed: Option<AllowedTargets>,
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
        self.refuse_targets(&script)?;
        let client = ClientConfig {
            allowed_targets: self.allowed.clone(),
            ..client::config(&script, &self.load, http2)?
        };
        let before = bundle.run.before;
        let program = ArtilleryProgram::new(script, client, before, test_id, seed, facts::now_s())
            .preconnecting(bundle.run.preconnect);
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

    /// Refuses what is known already to go where it may not; the client refuses the rest, connection by connection.
    fn refuse_targets(&self, script: &Script) -> anyhow::Result<()> {
        let Some(allowed) = &self.allowed else {
            return Ok(());
        };
        let mut origins = drumfire_artillery::origins(script).into_iter();
        match origins.find(|origin| !allowed.may_reach(origin)) {
            Some(origin) => {
                bail!("target {origin} is not among the allowed targets of this agent")
            }
            None => Ok(()),
        }
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
        AgentNews::Warning(line) => words::warn(&format!("{name}: {line}"), None),
        AgentNews::Phase(AgentPhase::Failed(reason)) => {
            words::tell(&format!("{name}: cannot {reason}\n"));
        }
        AgentNews::Phase(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::RunOptions;
    use drumfire_artillery::load::LoadOptions;
    use drumfire_protocols::{AllowedHost, AllowedTarget};
    use std::num::NonZeroU32;

    /// What an agent that takes `shop:80` and `10.0.0.0/8` makes of a script.
    fn load(target: &str, url: &str) -> Result<(), String> {
        let script = format!(
            "config: {{target: '{target}', phases: [{{duration: 1, arrivalRate: 1}}]}}\n\
             scenarios: [{{flow: [{{get: {{url: '{url}'}}}}]}}]\n"
        );
        let bundle = Bundle {
            options: LoadOptions {
                scripts: vec!["a.yml".to_owned()],
                ..LoadOptions::default()
            },
            run: RunOptions::default(),
            files: [("a.yml".to_owned(), script.into_bytes().into())].into(),
        };
        let shop = AllowedTarget {
            host: AllowedHost::Named("shop".to_owned()),
            port: Some(80),
        };
        let network = AllowedTarget {
            host: AllowedHost::Network {
                address: [10, 0, 0, 0].into(),
                prefix_bits: 8,
            },
            port: Some(8080),
        };
        let loader = ScriptLoader {
            load: LoadArguments {
                shards: Some(NonZeroU32::MIN),
                graceful_stop: None,
                max_duration: None,
                seed: None,
                local_ip: Vec::new(),
            },
            allowed: Some(AllowedTargets::new([shop, network])),
        };
        loader.load(&bundle.write()).map(|_| ())
    }

    #[test]
    fn a_script_that_goes_elsewhere_is_refused() {
        for (target, url, refused) in [
            ("http://shop", "/", None),
            ("http://shop", "http://10.1.2.3:8080/", None),
            ("http://shop:81", "/", Some("http://shop:81")),
            ("https://shop", "/", Some("https://shop")),
            ("http://shop", "http://10.1.2.3/", Some("http://10.1.2.3")),
            (
                "http://shop",
                "http://11.0.0.1:8080/",
                Some("http://11.0.0.1:8080"),
            ),
            // Where these go is known when they are sent.
            ("http://shop", "http://elsewhere:8080/", None),
            ("http://shop", "{{ url }}", None),
        ] {
            let error = refused.map(|origin| {
                format!("target {origin} is not among the allowed targets of this agent")
            });
            assert_eq!(load(target, url).err(), error, "{target} {url}");
        }
    }
}
