//! Secrets: taken from where they are, and shown nowhere.

use super::*;

const SECRET: &str = "hunter2-hunter2-hunter2";

#[test]
fn secrets_come_from_files_and_the_closer_place_wins() {
    let key = |given: Given| {
        let settings = given.settings::<AgentSettings>();
        settings.broker.run_key.map(|key| key.expose().to_owned())
    };
    let file = || Given::agent().file("k", &format!("{SECRET}\r\n"));
    let in_file = file().variable("DRUMFIRE_RUN_KEY_FILE", "k");
    assert_eq!(key(in_file.clone()).as_deref(), Some(SECRET));
    let flag = in_file.typed(&["--run-key", "another-key-of-32-bytes"]);
    assert_eq!(key(flag).as_deref(), Some("another-key-of-32-bytes"));
    // Ours in the environment wins over LoadStrike's there, also by way of a file.
    let both = file()
        .variable("DRUMFIRE_RUN_KEY_FILE", "k")
        .variable("LoadStrike__RunnerKey", "rkr_your_remote_runner_key");
    assert_eq!(key(both).as_deref(), Some(SECRET));
    assert_eq!(
        Given::agent()
            .file("k", "short\n")
            .variable("DRUMFIRE_RUN_KEY_FILE", "k")
            .error::<AgentSettings>(),
        "settings: run-key from k:1: it has fewer than 16 bytes"
    );
    assert_eq!(
        Given::agent()
            .variable("DRUMFIRE_RUN_KEY_FILE", "gone")
            .error::<AgentSettings>(),
        "settings: read gone (DRUMFIRE_RUN_KEY_FILE): entity not found"
    );
}

#[test]
fn every_way_to_say_who_one_is_is_taken() {
    let credentials = |variables: &[(&str, &str)]| {
        let given = Given::agent()
            .variables(variables)
            .file("p", "pw\n")
            .file("t", "tok\n");
        given.settings::<AgentSettings>().broker.credentials
    };
    let user = Credentials::User {
        user: "me".into(),
        password: Secret::new("pw"),
    };
    for (variables, expected) in [
        (&[][..], Credentials::Url),
        (
            &[
                ("DRUMFIRE_NATS_USER", "me"),
                ("DRUMFIRE_NATS_PASSWORD", "pw"),
            ],
            user.clone(),
        ),
        (
            &[
                ("DRUMFIRE_NATS_USER", "me"),
                ("DRUMFIRE_NATS_PASSWORD_FILE", "p"),
            ],
            user,
        ),
        (
            &[("DRUMFIRE_NATS_TOKEN", "tok")],
            Credentials::Token(Secret::new("tok")),
        ),
        (
            &[("DRUMFIRE_NATS_TOKEN_FILE", "t")],
            Credentials::Token(Secret::new("tok")),
        ),
        (
            &[("DRUMFIRE_NATS_CREDENTIALS", "c.creds")],
            Credentials::File("c.creds".into()),
        ),
        (
            &[("DRUMFIRE_NATS_NKEY", "k.nk")],
            Credentials::Nkey("k.nk".into()),
        ),
    ] {
        assert_eq!(credentials(variables), expected);
    }
    let tls = Given::agent().typed(&["--nats-tls-ca=a", "--nats-tls-cert=c", "--nats-tls-key=k"]);
    let expected = TlsFiles {
        ca: Some("a".into()),
        identity: Some(("c".into(), "k".into())),
    };
    assert_eq!(tls.settings::<AgentSettings>().broker.tls, expected);
}

#[test]
fn nothing_shows_a_secret() {
    let url = format!("nats://me:{SECRET}@broker");
    let wrong_url = format!("nats:/me:{SECRET}@broker");
    let yaml = format!("run-key: {SECRET}\nrun-key-file: k\n");
    let list = format!("run-key: [{SECRET}, b]\n");
    for variables in [
        &[("DRUMFIRE_RUN_KEY", SECRET), ("DRUMFIRE_NATS", &url)][..],
        &[
            ("DRUMFIRE_NATS_USER", "me"),
            ("DRUMFIRE_NATS_PASSWORD", SECRET),
        ],
        &[("DRUMFIRE_NATS_TOKEN", SECRET)],
        &[("DRUMFIRE_NATS_PASSWORD", SECRET)],
        &[("DRUMFIRE_NATS_TOKEN", SECRET), ("DRUMFIRE_NATS_NKEY", "k")],
        &[("DRUMFIRE_NATS", &wrong_url)],
        &[
            ("LoadStrike__RunnerKey", SECRET),
            ("LOADSTRIKE__RUNNERKEY", "another"),
        ],
        &[("LoadStrike__NatsServerUrl", &url)],
        &[("DRUMFIRE_RUN_KEY", SECRET), ("DRUMFIRE_RUN_KEY_FILE", "k")],
        &[("DRUMFIRE_SETTINGS", "s.yml")],
        &[("DRUMFIRE_SETTINGS", "list.yml")],
    ] {
        let given = Given::coordinator()
            .variables(variables)
            .file("s.yml", &yaml)
            .file("list.yml", &list)
            .typed(&["--RunnerKey=hunter2-hunter2-hunter2"]);
        let shown = format!("{:?}", given.read::<CoordinatorSettings>());
        assert!(!shown.contains("hunter2"), "{shown}");
    }
    let typed = ["c", "--run-key", SECRET, "--nats", &url];
    let command = Flagged::<NoArguments, CoordinatorSettings>::augment_args(Command::new("c"));
    let matches = command.try_get_matches_from(typed).unwrap();
    let flagged = Flagged::<NoArguments, CoordinatorSettings>::from_arg_matches(&matches).unwrap();
    let shown = format!("{flagged:?}");
    assert!(
        shown.contains("run-key") && !shown.contains("hunter2"),
        "{shown}"
    );
}
