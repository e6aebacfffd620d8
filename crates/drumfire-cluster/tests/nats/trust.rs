//! Members without a run key beside a coordinator that has one, where the broker is trusted: what is taken, and what never is.

use crate::leases::{NEVER, lock, locked};
use crate::{
    AGAIN, RUN, Server, beat, direct, directive, heartbeat, join, listening, member, open, our_key,
    reported, snapshot, within,
};
use drumfire_cluster::nats::{Broker, NatsCommands, NatsOptions};
use drumfire_cluster::{AgentLink, Command, CoordinatorLink, Mail};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A coordinator with the key that trusts the broker, and its log.
async fn trusting(server: &Server) -> (Broker, Arc<Mutex<Vec<String>>>) {
    let (options, lines) = listening(&server.url(), our_key());
    let options = NatsOptions {
        trust_broker: true,
        ..options
    };
    let connected = Broker::connect(options).await;
    (connected.expect("a connection"), lines)
}

/// A member without a key that trusts the broker.
async fn keyless(server: &Server) -> Broker {
    let (options, _) = listening(&server.url(), None);
    let options = NatsOptions {
        trust_broker: true,
        ..options
    };
    let connected = Broker::connect(options).await;
    connected.expect("a connection")
}

#[tokio::test]
async fn an_agent_without_a_key_takes_part_and_it_is_said() {
    let Some(server) = Server::start("") else {
        return;
    };
    let (broker, lines) = trusting(&server).await;
    let (mut coordinator, _) = open(&broker).await;
    let mut agent = join(&keyless(&server).await, &member()).await;
    let heard = beat(&mut agent, &mut coordinator).await;
    assert_eq!(heard, heartbeat(heard.number));
    let ours = directive(&member());
    assert_eq!(direct(&mut coordinator, &mut agent, &ours).await, ours);
    let snapshot = snapshot(0, 1);
    agent.snapshot(&snapshot).await;
    assert_eq!(reported(&mut coordinator).await, snapshot);
    assert!(coordinator.refused().is_empty() && agent.refused().is_empty());
    let lines = lines.lock().expect("no panic").clone();
    let told = lines.iter().filter(|line| line.contains("no run key"));
    assert_eq!(
        told.collect::<Vec<_>>(),
        ["agent pod.1/ab has no run key: what it reports is taken unsigned"]
    );
}

#[tokio::test]
async fn an_agent_with_the_key_is_heard_beside_and_takes_nothing_unsigned() {
    let Some(server) = Server::start("") else {
        return;
    };
    let (broker, lines) = trusting(&server).await;
    let (mut coordinator, _) = open(&broker).await;
    // It trusts the broker too, and has the key: that is what counts.
    let mut agent = join(&trusting(&server).await.0, &member()).await;
    beat(&mut agent, &mut coordinator).await;
    let (mut unsigned, _) = open(&keyless(&server).await).await;
    let ours = directive(&member());
    let mut ticks = tokio::time::interval(AGAIN);
    within(async {
        while agent.refused().is_empty() {
            tokio::select! {
                heard = agent.next() => panic!("{heard:?} was not signed"),
                _ = ticks.tick() => unsigned.send(&ours).await,
            }
        }
    })
    .await;
    assert_eq!(agent.refused().keys().collect::<Vec<_>>(), [&"not signed"]);
    assert_eq!(direct(&mut coordinator, &mut agent, &ours).await, ours);
    assert!(
        !lines
            .lock()
            .expect("no panic")
            .iter()
            .any(|line| line.contains("no run key"))
    );
}

#[tokio::test]
async fn commands_without_a_signature_are_refused_also_where_the_broker_is_trusted() {
    let Some(server) = Server::start("") else {
        return;
    };
    let (broker, _) = trusting(&server).await;
    let (mut coordinator, _) = open(&broker).await;
    let stranger = keyless(&server).await;
    let commands = NatsCommands::new(&stranger);
    let stop = Command::Stop {
        reason: "no".to_owned(),
    };
    within(async {
        while coordinator.refused().is_empty() {
            tokio::select! {
                mail = coordinator.next() => assert!(matches!(mail, Mail::Trouble(_)), "{mail:?}"),
                reply = commands.ask(Some(RUN), &stop, Duration::from_millis(100)) => assert!(reply.is_err()),
            }
        }
    })
    .await;
    assert_eq!(coordinator.refused().get("not signed"), Some(&1));
}

#[tokio::test]
async fn a_lease_that_an_agent_without_a_key_extends_can_be_locked() {
    let Some(server) = Server::start("") else {
        return;
    };
    let (mut coordinator, _) = open(&trusting(&server).await.0).await;
    let mut agent = join(&keyless(&server).await, &member()).await;
    assert!(agent.extend(5, NEVER).await);
    assert_eq!(locked(&mut coordinator, lock(1)).await, 5);
    assert!(!agent.extend(9, NEVER).await);
    assert!(agent.extend(9, lock(1)).await);
    // Where the broker is not trusted, nothing that is not sealed is believed.
    let (options, lines) = listening(&server.url(), our_key());
    let broker = Broker::connect(options).await.expect("a connection");
    let mut strict = join(&broker, &member()).await;
    assert!(!strict.extend(12, lock(1)).await);
    let lines = lines.lock().expect("no panic").join("\n");
    assert!(
        lines.contains("was not written with this run key"),
        "{lines}"
    );
}
