//! The NATS links against a real nats-server: what travels, what is kept, what is refused, and what a restart leaves.

mod broker;

mod access;
mod leases;
mod memory;
mod messages;

use broker::Server;
use drumfire_cluster::nats::{
    Broker, Credentials, Name, NatsAgentLink, NatsAgents, NatsCoordinator, NatsOptions, Record,
    TlsFiles,
};
use drumfire_cluster::{
    AgentLink, AgentMail, AgentPhase, CoordinatorLink, Digest, Directive, Heartbeat, Mail, Member,
    NumberedSnapshot, Order, RunKey, Standby,
};
use drumfire_metrics::Snapshot;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Bounds a failure; nothing waits for it.
const LIMIT: Duration = Duration::from_secs(60);

/// Between two tries of what is said again until it is heard.
const AGAIN: Duration = Duration::from_millis(20);

const RUN: &str = "01.run";
const BUNDLE: Digest = Digest([9; 32]);

async fn within<T>(future: impl Future<Output = T>) -> T {
    let done = tokio::time::timeout(LIMIT, future).await;
    done.expect("it happens before the limit")
}

fn key(text: &str) -> RunKey {
    RunKey::new(text.as_bytes()).expect("a long key")
}

fn our_key() -> Option<RunKey> {
    Some(key("sixteen bytes or more"))
}

/// Every call another number: a seal or a nonce for each.
fn chance() -> u64 {
    static CALLS: AtomicU64 = AtomicU64::new(1);
    CALLS.fetch_add(1, Ordering::Relaxed)
}

fn options(url: &str, key: Option<RunKey>) -> NatsOptions {
    NatsOptions {
        urls: vec![url.to_owned()],
        credentials: Credentials::Url,
        tls: TlsFiles::default(),
        cluster: Name::new("test_cluster").expect("a name"),
        group: Name::new("default").expect("a name"),
        key,
        trust_broker: false,
        patience: Duration::ZERO,
        replicas: 1,
        wall_ms: || 1_800_000_000_000,
        chance,
        tell: Arc::new(drop),
    }
}

/// Options that keep the lines, and where they are.
fn listening(url: &str, key: Option<RunKey>) -> (NatsOptions, Arc<Mutex<Vec<String>>>) {
    // The connection's own task writes, the test reads.
    let lines = Arc::new(Mutex::new(Vec::new()));
    let written = Arc::clone(&lines);
    let tell = Arc::new(move |line| written.lock().expect("no panic").push(line));
    let options = NatsOptions {
        tell,
        ..options(url, key)
    };
    (options, lines)
}

async fn connect(server: &Server, key: Option<RunKey>) -> Broker {
    let connected = Broker::connect(options(&server.url(), key)).await;
    connected.expect("a connection")
}

async fn open(broker: &Broker) -> (NatsCoordinator, Record) {
    let opened = NatsCoordinator::open(broker, RUN, BUNDLE).await;
    opened.expect("an open run")
}

async fn join(broker: &Broker, member: &Member) -> NatsAgentLink {
    let mut agents = NatsAgents::listen(broker).await.expect("a listener");
    agents.join(RUN, member).await.expect("a link")
}

fn member() -> Member {
    Member::new("pod.1", 0xab)
}

fn heartbeat(number: u64) -> Heartbeat {
    Heartbeat {
        member: member(),
        number,
        term: 0,
        directive: 0,
        sent_ns: 1,
        phase: AgentPhase::Announced,
        capacity: 1,
        version: "0.1.0".to_owned(),
        clock: None,
        begun_late_ns: None,
        epoch: None,
        promise: None,
        reached_ns: 0,
        leaving: false,
    }
}

fn directive(to: &Member) -> Directive {
    Directive {
        run: RUN.to_owned(),
        to: to.clone(),
        term: 1,
        number: 1,
        order: Order::Wait,
        echo: None,
        epochs: Vec::new(),
        proposal: None,
        grant: None,
        interval_ns: 1,
        snapshots_before: 0,
    }
}

/// A snapshot with so many endpoints.
fn snapshot(number: u64, endpoints: usize) -> Arc<NumberedSnapshot> {
    let mut snapshot = Snapshot::default();
    for endpoint in 0..endpoints {
        let name = format!("GET /a/rather/long/name/of/an/endpoint/{endpoint}");
        snapshot.counters.insert(name, endpoint as u64);
    }
    Arc::new(NumberedSnapshot {
        member: member(),
        number,
        from_ns: number,
        to_ns: number + 1,
        last: false,
        snapshot,
    })
}

/// Sends heartbeats until one is heard; gives it.
async fn beat(agent: &mut NatsAgentLink, coordinator: &mut NatsCoordinator) -> Heartbeat {
    let mut ticks = tokio::time::interval(AGAIN);
    let mut number = 0;
    within(async {
        loop {
            tokio::select! {
                mail = coordinator.next() => if let Mail::Heartbeat(heartbeat) = mail {
                    return heartbeat;
                },
                _ = ticks.tick() => {
                    number += 1;
                    agent.heartbeat(&heartbeat(number)).await;
                }
            }
        }
    })
    .await
}

/// Sends a directive until one is heard; gives it.
async fn direct(
    coordinator: &mut NatsCoordinator,
    agent: &mut NatsAgentLink,
    directive: &Directive,
) -> Directive {
    let mut ticks = tokio::time::interval(AGAIN);
    within(async {
        loop {
            tokio::select! {
                mail = agent.next() => if let AgentMail::Directive(heard) = mail {
                    return *heard;
                },
                _ = ticks.tick() => coordinator.send(directive).await,
            }
        }
    })
    .await
}

/// The next snapshot.
async fn reported(coordinator: &mut NatsCoordinator) -> Arc<NumberedSnapshot> {
    within(async {
        loop {
            if let Mail::Snapshot(snapshot) = coordinator.next().await {
                return snapshot;
            }
        }
    })
    .await
}
