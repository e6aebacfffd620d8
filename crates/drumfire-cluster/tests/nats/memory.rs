//! What outlives its writer: facts, snapshots and bundles, over restarts of coordinators and of the broker.

use crate::{
    AGAIN, BUNDLE, RUN, Server, beat, connect, direct, directive, heartbeat, join, key, member,
    open, our_key, reported, snapshot, within,
};
use drumfire_cluster::nats::{NatsCoordinator, NatsError};
use drumfire_cluster::{AgentLink, CoordinatorLink, Digest, Fact, Persisted, Phase};
use std::sync::Arc;

#[tokio::test]
async fn a_large_snapshot_arrives_once_though_it_was_sent_twice() {
    let Some(server) = Server::start("max_payload: 64KB") else {
        return;
    };
    for key in [None, our_key()] {
        let broker = connect(&server, key.clone()).await;
        let (mut coordinator, _) = open(&broker).await;
        let mut agent = join(&broker, &member()).await;
        let number = if key.is_none() { 0 } else { 10 };
        let large = snapshot(number, 5_000);
        agent.snapshot(&large).await;
        agent.snapshot(&large).await;
        agent.snapshot(&snapshot(number + 1, 1)).await;
        // The first of these runs is read with the second's key, and refused.
        let mut came = Vec::new();
        while came.len() < 2 {
            came.push(reported(&mut coordinator).await);
        }
        assert_eq!(came, [large, snapshot(number + 1, 1)]);
    }
    let client = async_nats::connect(server.url()).await.expect("a client");
    let jetstream = async_nats::jetstream::new(client);
    let stream = jetstream.get_stream("drumfire-test__cluster-snapshots");
    let messages = stream.await.expect("a stream").cached_info().state.messages;
    // Some 280 kB in each of the two, in chunks of less than 64 kB, and a small one.
    assert!((10..=16).contains(&messages), "{messages}");
}

#[tokio::test]
async fn of_two_coordinators_the_later_goes_on() {
    let Some(server) = Server::start("") else {
        return;
    };
    let broker = connect(&server, our_key()).await;
    let (mut first, record) = open(&broker).await;
    assert!(record.is_new());
    assert_eq!(record.count(), 0);
    let facts = [Fact::Term(1), Fact::Scaled { permille: 700 }];
    for fact in &facts {
        assert_eq!(first.persist(fact).await, Persisted::Done);
    }
    let mut agent = join(&connect(&server, our_key()).await, &member()).await;
    let sent = [snapshot(0, 3), snapshot(1, 3)];
    for snapshot in &sent {
        agent.snapshot(snapshot).await;
        assert_eq!(reported(&mut first).await, *snapshot);
        let fact = Fact::Snapshot(Arc::clone(snapshot));
        assert_eq!(first.persist(&fact).await, Persisted::Done);
    }

    let (mut second, record) = open(&connect(&server, our_key()).await).await;
    assert!(!record.is_new() && record.end().is_none());
    let expected = facts.into_iter().chain(sent.map(Fact::Snapshot));
    assert_eq!(record.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
    assert_eq!(second.persist(&Fact::Term(2)).await, Persisted::Done);
    assert_eq!(first.persist(&Fact::Resumed).await, Persisted::Superseded);
    // Also when both say the same.
    let (mut third, _) = open(&broker).await;
    let end = Fact::Ended(Phase::Finished);
    assert_eq!(second.persist(&end).await, Persisted::Done);
    assert_eq!(third.persist(&end).await, Persisted::Superseded);

    // What comes later comes as mail, once, and is in the record before the end.
    agent.snapshot(&snapshot(2, 3)).await;
    assert_eq!(reported(&mut second).await, snapshot(2, 3));
    let (_, record) = open(&broker).await;
    assert_eq!(record.end(), Some(&Phase::Finished));
    let facts: Vec<_> = record.collect();
    assert_eq!(facts[5..], [Fact::Snapshot(snapshot(2, 3)), end]);
    assert_eq!(facts[2], Fact::Term(2));

    let stranger = connect(&server, Some(key("another sixteen bytes"))).await;
    let opened = NatsCoordinator::open(&stranger, RUN, BUNDLE).await;
    assert!(matches!(opened.map(drop), Err(NatsError::Altered { .. })));
}

#[tokio::test]
async fn links_outlive_a_restart_of_the_broker() {
    let Some(mut server) = Server::start("") else {
        return;
    };
    let broker = connect(&server, our_key()).await;
    let (mut coordinator, _) = open(&broker).await;
    let mut agent = join(&connect(&server, our_key()).await, &member()).await;
    agent.snapshot(&snapshot(0, 3)).await;
    assert_eq!(reported(&mut coordinator).await, snapshot(0, 3));

    for round in 0..2 {
        server.kill();
        // Nothing that an agent says waits for the broker.
        for number in 0..10_000 {
            agent.heartbeat(&heartbeat(number)).await;
        }
        for _ in 0..20 {
            agent.snapshot(&snapshot(1 + round, 3)).await;
        }
        // A fact waits.
        let fact = Fact::Term(round);
        let (persisted, ()) = tokio::join!(within(coordinator.persist(&fact)), async {
            tokio::task::yield_now().await;
            server.start_again();
        });
        assert_eq!(persisted, Persisted::Done);
        assert_eq!(reported(&mut coordinator).await, snapshot(1 + round, 3));
        beat(&mut agent, &mut coordinator).await;
        let directive = directive(&member());
        assert_eq!(
            direct(&mut coordinator, &mut agent, &directive).await,
            directive
        );
    }
    drop(coordinator);
    let (_, record) = open(&broker).await;
    let facts: Vec<_> = record.collect();
    assert_eq!(facts[..2], [Fact::Term(0), Fact::Term(1)]);
    let numbers = facts.iter().filter_map(|fact| match fact {
        Fact::Snapshot(snapshot) => Some(snapshot.number),
        _ => None,
    });
    let mut numbers: Vec<_> = numbers.collect();
    numbers.dedup();
    assert_eq!(numbers, [0, 1, 2]);
}

#[tokio::test]
async fn a_run_goes_on_when_the_broker_has_lost_its_memory() {
    let Some(mut server) = Server::start("") else {
        return;
    };
    let broker = connect(&server, our_key()).await;
    let (mut coordinator, _) = open(&broker).await;
    let mut agent = join(&connect(&server, our_key()).await, &member()).await;
    let facts = [Fact::Term(1), Fact::Resumed, Fact::Scaled { permille: 1 }];
    for fact in &facts[..2] {
        assert_eq!(coordinator.persist(fact).await, Persisted::Done);
    }
    agent.snapshot(&snapshot(0, 3)).await;
    assert_eq!(reported(&mut coordinator).await, snapshot(0, 3));

    server.kill();
    server.forget();
    server.start_again();
    assert_eq!(
        within(coordinator.persist(&facts[2])).await,
        Persisted::Done
    );
    // Sent again until it is there, as an agent's machine does.
    let mut ticks = tokio::time::interval(AGAIN);
    let came = within(async {
        loop {
            tokio::select! {
                came = reported(&mut coordinator) => return came,
                _ = ticks.tick() => agent.snapshot(&snapshot(1, 3)).await,
            }
        }
    });
    assert_eq!(came.await, snapshot(1, 3));
    let (_, record) = open(&broker).await;
    assert_eq!(record.take(3).collect::<Vec<_>>(), facts);
}

#[tokio::test]
async fn a_bundle_is_laid_down_once_and_fetched() {
    let Some(server) = Server::start("max_payload: 64KB") else {
        return;
    };
    let broker = connect(&server, our_key()).await;
    let (mut coordinator, _) = open(&broker).await;
    let mut agent = join(&broker, &member()).await;
    let bundle: Vec<u8> = (0..300_000_u32).map(|i| (i % 251) as u8).collect();
    coordinator
        .publish_bundle(BUNDLE, &bundle)
        .await
        .expect("published");
    let client = async_nats::connect(server.url()).await.expect("a client");
    let jetstream = async_nats::jetstream::new(client);
    let last = || async {
        let stream = jetstream
            .get_stream("OBJ_drumfire-test__cluster-bundles")
            .await;
        stream.expect("a stream").cached_info().state.last_sequence
    };
    let before = last().await;
    coordinator
        .publish_bundle(BUNDLE, &bundle)
        .await
        .expect("published");
    assert_eq!(last().await, before);
    // The link is free while the bundle comes.
    let fetching = agent.fetch(BUNDLE);
    beat(&mut agent, &mut coordinator).await;
    assert_eq!(within(fetching).await, Ok(bundle));
    let missing = within(agent.fetch(Digest([1; 32]))).await;
    assert_eq!(missing, Err("object not found".to_owned()));
    assert!(coordinator.refused().is_empty());
}
