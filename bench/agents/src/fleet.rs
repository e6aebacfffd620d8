//! All simulated agents on one thread, over a few connections.

use crate::agent::Agent;
use crate::arguments::Arguments;
use crate::figures::Figures;
use crate::samples::Samples;
use drumfire_cluster::nats::{Broker, Credentials, Name, NatsAgents, NatsOptions, TlsFiles};
use drumfire_cluster::{Digest, Member, RunKey, Standby};
use drumfire_plan::Load;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::OnceCell;
use tokio::task::{JoinSet, LocalSet};

/// How long the broker is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where a run key may be, as `drumfire agent` takes it.
const KEY_VARIABLE: &str = "DRUMFIRE_RUN_KEY";

/// What the agents of this process share.
pub struct World {
    /// The load of the run.
    pub load: Load,
    /// What they report.
    pub samples: Samples,
    /// The digest of the bundle, which the first of them fetches.
    pub bundle: OnceCell<Result<Digest, String>>,
    /// What they see.
    pub figures: RefCell<Figures>,
}

/// Takes part in one run, to its end.
///
/// # Errors
/// The broker cannot be reached, or an agent cannot join.
pub fn run(arguments: &Arguments) -> Result<Figures, String> {
    let world = World {
        load: arguments.load()?,
        samples: Samples::draw(arguments),
        bundle: OnceCell::new(),
        figures: RefCell::default(),
    };
    let world = Rc::new(world);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(|error| format!("start the event loop: {error}"))?;
    LocalSet::new().block_on(&runtime, live(arguments, &world))?;
    Ok(world.figures.take())
}

async fn live(arguments: &Arguments, world: &Rc<World>) -> Result<(), String> {
    let connections = arguments.connections.get();
    let mut parts = JoinSet::new();
    for connection in 0..connections {
        let numbers = (0..arguments.agents.get()).skip(connection as usize);
        let numbers: Vec<u32> = numbers.step_by(connections as usize).collect();
        let broker = Broker::connect(options(&arguments.nats)?).await;
        let broker = broker.map_err(|error| error.to_string())?;
        parts.spawn_local(take_part(broker, numbers, Rc::clone(world)));
    }
    while let Some(part) = parts.join_next().await {
        part.map_err(|error| format!("simulate agents: {error}"))??;
    }
    Ok(())
}

/// The agents of one connection.
async fn take_part(broker: Broker, numbers: Vec<u32>, world: Rc<World>) -> Result<(), String> {
    let listening = NatsAgents::listen(&broker).await;
    let mut standby = listening.map_err(|error| error.to_string())?;
    let run = standby.invited().await.run;
    let mut agents = JoinSet::new();
    for number in numbers {
        let member = Member::new(&format!("agent-{number:05}"), u64::from(number) + 1);
        let link = standby.join(&run, &member).await?;
        agents.spawn_local(Agent::new(link, member, Rc::clone(&world)).take_part());
    }
    while let Some(agent) = agents.join_next().await {
        agent.map_err(|error| format!("simulate an agent: {error}"))?;
    }
    Ok(())
}

fn options(url: &str) -> Result<NatsOptions, String> {
    let name = || Name::new("default").map_err(|error| error.to_string());
    let key = std::env::var(KEY_VARIABLE).ok();
    let key = key.map(|key| RunKey::new(key.as_bytes())).transpose();
    Ok(NatsOptions {
        urls: vec![url.to_owned()],
        credentials: Credentials::Url,
        tls: TlsFiles::default(),
        cluster: name()?,
        group: name()?,
        key: key.map_err(|error| error.to_string())?,
        trust_broker: false,
        patience: PATIENCE,
        replicas: 1,
        wall_ms: || u64::try_from(jiff::Timestamp::now().as_millisecond()).unwrap_or(0),
        chance: || uuid::Uuid::new_v4().as_u64_pair().0,
        tell: Arc::new(|line| eprintln!("{line}")),
    })
}
