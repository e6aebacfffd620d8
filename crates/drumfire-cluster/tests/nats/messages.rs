//! What is said: invitations, heartbeats, directives and commands, by friends and by strangers.

use crate::{
    AGAIN, LIMIT, RUN, Server, beat, chance, connect, direct, directive, heartbeat, join, key,
    listening, member, open, our_key, within,
};
use drumfire_cluster::nats::{AskError, Broker, NatsAgents, NatsCommands};
use drumfire_cluster::{
    Command, CoordinatorLink, Directive, Invitation, Mail, Member, Order, Reply, Signer, Standby,
    write_directive, write_heartbeat,
};
use futures_util::StreamExt;
use std::time::Duration;

const WALL_MS: u64 = 1_800_000_000_000;

#[tokio::test]
async fn they_travel_with_a_key_and_without() {
    let Some(server) = Server::start("") else {
        return;
    };
    for key in [None, our_key()] {
        let broker = connect(&server, key).await;
        let (mut coordinator, record) = open(&broker).await;
        assert!(record.is_new());
        let mut agents = NatsAgents::listen(&broker).await.expect("a listener");
        let invitation = Invitation {
            run: RUN.to_owned(),
            name: "checkout".to_owned(),
        };
        let mut ticks = tokio::time::interval(AGAIN);
        let invited = within(async {
            loop {
                tokio::select! {
                    invited = agents.invited() => return invited,
                    _ = ticks.tick() => coordinator.invite(&invitation).await,
                }
            }
        });
        assert_eq!(invited.await, invitation);
        let mut agent = agents.join(RUN, &member()).await.expect("a link");
        let heard = beat(&mut agent, &mut coordinator).await;
        assert_eq!(heard, heartbeat(heard.number));
        let directive = directive(&member());
        assert_eq!(
            direct(&mut coordinator, &mut agent, &directive).await,
            directive
        );
        assert!(coordinator.refused().is_empty() && agent.refused().is_empty());
    }
}

#[tokio::test]
async fn a_strangers_heartbeats_are_refused_and_counted() {
    let Some(server) = Server::start("") else {
        return;
    };
    let broker = connect(&server, our_key()).await;
    let (mut coordinator, _) = open(&broker).await;
    let stranger = async_nats::connect(server.url()).await.expect("a client");
    let mut overheard = stranger
        .subscribe("drumfire.>")
        .await
        .expect("a subscription");
    let echo = stranger.publish("drumfire.echo", "".into()).await;
    echo.expect("published");
    within(overheard.next()).await.expect("its own echo");
    let mut agent = join(&broker, &member()).await;
    let taken = write_heartbeat(&beat(&mut agent, &mut coordinator).await);
    let genuine = within(async {
        loop {
            let message = overheard.next().await.expect("a message");
            if message.payload.ends_with(&taken) {
                return message;
            }
        }
    })
    .await;

    let subject = genuine.subject.to_string();
    let body = write_heartbeat(&heartbeat(u64::MAX));
    let wrong_key =
        Signer::new(key("another sixteen bytes"), chance()).sign(&subject, &body, WALL_MS);
    let right_key =
        |now_ms| Signer::new(key("sixteen bytes or more"), chance()).sign(&subject, &body, now_ms);
    let mut altered = genuine.payload.to_vec();
    let at = altered.len() - 10;
    altered[at] ^= 1;
    for message in [
        body.clone(),
        wrong_key,
        altered,
        genuine.payload.to_vec(),
        right_key(WALL_MS - 60_000),
        right_key(WALL_MS + 60_000),
    ] {
        let published = stranger.publish(subject.clone(), message.into()).await;
        published.expect("published");
    }
    let mut lines = Vec::new();
    within(async {
        while coordinator.refused().values().sum::<u64>() < 6 || lines.is_empty() {
            match coordinator.next().await {
                Mail::Trouble(line) => lines.push(line),
                Mail::Heartbeat(heartbeat) => assert_ne!(heartbeat.number, u64::MAX),
                other => panic!("{other:?}"),
            }
        }
    })
    .await;
    let counts: Vec<_> = coordinator
        .refused()
        .iter()
        .map(|(reason, n)| (*reason, *n))
        .collect();
    let expected = [
        ("expired", 1),
        ("from the future", 1),
        ("not signed", 1),
        ("replayed", 1),
        ("with a wrong signature", 2),
    ];
    assert_eq!(counts, expected);
    assert!(lines[0].starts_with("messages refused: "), "{lines:?}");
}

#[tokio::test]
async fn a_strangers_directives_are_refused_and_told() {
    let Some(server) = Server::start("") else {
        return;
    };
    let (options, lines) = listening(&server.url(), our_key());
    let broker = Broker::connect(options).await.expect("a connection");
    let (mut coordinator, _) = open(&broker).await;
    let mut agent = join(&broker, &member()).await;
    let ours = directive(&member());
    direct(&mut coordinator, &mut agent, &ours).await;

    let stranger = async_nats::connect(server.url()).await.expect("a client");
    let subject = "drumfire.test__cluster.run.01_2Erun.to.pod_2E1.ab";
    let stop = Directive {
        order: Order::Stop,
        ..ours.clone()
    };
    let of_another = Directive {
        to: Member::new("pod-2", 1),
        ..stop.clone()
    };
    let signed = Signer::new(key("sixteen bytes or more"), chance()).sign(
        subject,
        &write_directive(&of_another),
        WALL_MS,
    );
    for message in [write_directive(&stop), b"{}".to_vec(), signed] {
        let published = stranger.publish(subject, message.into()).await;
        published.expect("published");
    }
    // Until all three are refused, and ours comes through.
    within(async {
        while agent.refused().values().sum::<u64>() < 3
            || !lines
                .lock()
                .expect("no panic")
                .iter()
                .any(|line: &String| line.contains("messages refused"))
        {
            assert_eq!(direct(&mut coordinator, &mut agent, &ours).await, ours);
        }
    })
    .await;
    let counts: Vec<_> = agent
        .refused()
        .iter()
        .map(|(reason, n)| (*reason, *n))
        .collect();
    assert_eq!(counts, [("for another", 1), ("not signed", 2)]);
}

#[tokio::test]
async fn commands_are_answered_by_the_run_and_by_the_latest() {
    let Some(server) = Server::start("") else {
        return;
    };
    let broker = connect(&server, our_key()).await;
    let commands = NatsCommands::new(&broker);
    let nobody = commands.ask(Some(RUN), &Command::Status, LIMIT).await;
    assert!(matches!(nobody, Err(AskError::Nobody(whom)) if whom == format!("the run {RUN}")));
    assert_eq!(broker.latest_run().await.expect("an answer"), None);

    let (mut coordinator, _) = open(&broker).await;
    for run in [Some(RUN), None] {
        let command = Command::Scale { permille: 500 };
        // Its subscription may be later than the question.
        let asking = async {
            loop {
                match commands.ask(run, &command, LIMIT).await {
                    Err(AskError::Nobody(_)) => {}
                    other => return other,
                }
            }
        };
        let answering = async {
            loop {
                if let Mail::Command { id, command } = coordinator.next().await {
                    assert_eq!(command, Command::Scale { permille: 500 });
                    coordinator
                        .reply(id, &Reply::Refused("not now".to_owned()))
                        .await;
                    coordinator.reply(id, &Reply::Accepted).await;
                    std::future::pending::<()>().await;
                }
            }
        };
        let reply = tokio::select! {
            reply = within(asking) => reply,
            () = answering => unreachable!("it goes on for ever"),
        };
        assert_eq!(
            reply.expect("a reply"),
            Reply::Refused("not now".to_owned())
        );
    }

    // Another run is the latest from now on; the first still answers by its name alone.
    let latest = drumfire_cluster::nats::NatsCoordinator::open(&broker, "02", crate::BUNDLE).await;
    let (mut second, _) = latest.expect("an open run");
    let latest = broker
        .latest_run()
        .await
        .expect("an answer")
        .expect("a run");
    assert_eq!((latest.run.as_str(), latest.bundle), ("02", crate::BUNDLE));
    let asking = commands.ask(None, &Command::Resume, LIMIT);
    let answering = async {
        loop {
            tokio::select! {
                mail = second.next() => if let Mail::Command { id, .. } = mail {
                    second.reply(id, &Reply::Accepted).await;
                },
                mail = coordinator.next() => assert!(!matches!(mail, Mail::Command { .. })),
            }
        }
    };
    let reply = tokio::select! {
        reply = within(asking) => reply,
        () = answering => unreachable!("it goes on for ever"),
    };
    assert_eq!(reply.expect("a reply"), Reply::Accepted);
}

#[tokio::test]
async fn a_strangers_command_has_no_effect_and_no_reply() {
    let Some(server) = Server::start("") else {
        return;
    };
    let broker = connect(&server, our_key()).await;
    let (mut coordinator, _) = open(&broker).await;
    let stranger = connect(&server, Some(key("another sixteen bytes"))).await;
    let commands = NatsCommands::new(&stranger);
    let stop = Command::Stop {
        reason: "no".to_owned(),
    };
    let mut replies = Vec::new();
    within(async {
        while coordinator.refused().is_empty() {
            tokio::select! {
                mail = coordinator.next() => assert!(matches!(mail, Mail::Trouble(_)), "{mail:?}"),
                reply = commands.ask(Some(RUN), &stop, Duration::from_millis(100)) => replies.push(reply),
            }
        }
    })
    .await;
    assert!(replies.iter().all(Result::is_err));
}
