//! Leases at a real broker: extended, locked, contended for, and what an agent sees of a broker that is gone.

use crate::{Server, connect, join, key, listening, member, open, our_key, within};
use drumfire_cluster::nats::{Broker, NatsCoordinator};
use drumfire_cluster::{AgentLink, AgentMail, CoordinatorLink, LockId, Mail};

const NEVER: LockId = LockId { term: 0, number: 0 };

fn lock(number: u64) -> LockId {
    LockId { term: 1, number }
}

/// Locks the member's lease; gives how far it was extended before.
async fn locked(coordinator: &mut NatsCoordinator, lock: LockId) -> u64 {
    coordinator.lock(&member(), lock).await;
    within(async {
        loop {
            if let Mail::Locked {
                member: whose,
                lock: by,
                extended_until_ns,
            } = coordinator.next().await
            {
                assert_eq!((whose, by), (member(), lock));
                return extended_until_ns;
            }
        }
    })
    .await
}

#[tokio::test]
async fn a_locked_lease_is_extended_by_one_who_knows_of_the_lock() {
    let Some(server) = Server::start("") else {
        return;
    };
    for key in [None, our_key()] {
        let broker = connect(&server, key.clone()).await;
        let run = if key.is_none() { "open" } else { "sealed" };
        let opened = NatsCoordinator::open(&broker, run, crate::BUNDLE).await;
        let (mut coordinator, _) = opened.expect("an open run");
        let mut agents = drumfire_cluster::nats::NatsAgents::listen(&broker)
            .await
            .expect("a listener");
        let joined = drumfire_cluster::Standby::join(&mut agents, run, &member()).await;
        let mut agent = joined.expect("a link");
        assert!(agent.extend(5, NEVER).await);
        assert!(agent.extend(9, NEVER).await);
        assert_eq!(locked(&mut coordinator, lock(1)).await, 9);
        assert!(!agent.extend(12, NEVER).await);
        assert!(agent.extend(12, lock(1)).await);
        assert_eq!(locked(&mut coordinator, lock(2)).await, 12);
        assert!(!agent.extend(13, lock(1)).await);
        // Asked again, as after a lost answer.
        assert_eq!(locked(&mut coordinator, lock(2)).await, 12);
    }
}

#[tokio::test]
async fn one_of_two_at_once_comes_first_and_the_other_knows() {
    let Some(server) = Server::start("") else {
        return;
    };
    let (ours, theirs) = (connect(&server, None).await, connect(&server, None).await);
    let (mut coordinator, _) = open(&ours).await;
    let mut agent = join(&theirs, &member()).await;
    let mut known = NEVER;
    for round in 1..=30 {
        let extension = tokio::spawn(agent.extend(round, known));
        let until_ns = locked(&mut coordinator, lock(round)).await;
        let extended = extension.await.expect("no panic");
        assert_eq!(until_ns == round, extended, "{until_ns} in round {round}");
        known = lock(round);
    }
}

#[tokio::test]
async fn a_lease_of_another_key_is_not_extended() {
    let Some(server) = Server::start("") else {
        return;
    };
    let (mut coordinator, _) = open(&connect(&server, our_key()).await).await;
    locked(&mut coordinator, lock(1)).await;
    let (options, lines) = listening(&server.url(), Some(key("another sixteen bytes")));
    let broker = Broker::connect(options).await.expect("a connection");
    let mut agent = join(&broker, &member()).await;
    assert!(!agent.extend(5, lock(1)).await);
    let lines = lines.lock().expect("no panic").join("\n");
    assert!(
        lines.contains("was not written with this run key"),
        "{lines}"
    );
}

#[tokio::test]
async fn an_agent_is_refused_by_a_broker_that_is_gone_and_the_coordinator_knows_of_the_outage() {
    let Some(mut server) = Server::start("") else {
        return;
    };
    let broker = connect(&server, None).await;
    let (mut coordinator, _) = open(&broker).await;
    let mut agent = join(&connect(&server, None).await, &member()).await;
    assert!(agent.extend(5, NEVER).await);
    let before = (coordinator.outages(), drumfire_reactor::now());
    server.kill();
    let AgentMail::Refused { began_ns, ended_ns } = within(agent.next()).await else {
        panic!("nobody directs it");
    };
    assert!(before.1 < began_ns && began_ns <= ended_ns);
    assert!(!agent.extend(6, NEVER).await);
    server.start_again();
    assert_eq!(locked(&mut coordinator, lock(1)).await, 5);
    assert!(coordinator.outages() > before.0);
}
