//! Who may connect, and what one is told who may not.

use crate::{Server, connect, options, our_key, within};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use drumfire_cluster::nats::{Broker, Credentials, NatsError, NatsOptions, TlsFiles};
use nkeys::KeyPair;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair as TlsKey,
};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

async fn refusal(options: NatsOptions) -> String {
    let connected = within(Broker::connect(options)).await;
    connected.expect_err("no connection").to_string()
}

async fn accepted(options: NatsOptions) {
    let connected = within(Broker::connect(options)).await;
    connected.map(drop).expect("a connection");
}

fn refused_as_unauthorised(server: &Server) -> String {
    format!(
        "connect to nats://{}: authorization violation: nats: authorization violation\nhint: check the broker's user and password, token or key file",
        server.address()
    )
}

#[tokio::test]
async fn a_user_needs_the_password() {
    let configuration = "authorization { user: load, password: \"s3c/ret\" }";
    let Some(server) = Server::start(configuration) else {
        return;
    };
    let at = |userinfo: &str| format!("nats://{userinfo}{}", server.address());
    let user = |password: &str| Credentials::User {
        user: "load".to_owned(),
        password: password.to_owned(),
    };
    accepted(options(&at("load:s3c%2Fret@"), None)).await;
    let with = |url: &str, credentials| NatsOptions {
        credentials,
        ..options(url, None)
    };
    accepted(with(&at(""), user("s3c/ret"))).await;
    accepted(with(&at("load:wrong@"), user("s3c/ret"))).await;
    for wrong in [
        options(&at(""), None),
        options(&at("load:wrong@"), None),
        with(&at("load:s3c%2Fret@"), user("wrong")),
        with(&at(""), Credentials::Token("s3c/ret".to_owned())),
    ] {
        assert_eq!(refusal(wrong).await, refused_as_unauthorised(&server));
    }
}

#[tokio::test]
async fn a_token_opens() {
    let Some(server) = Server::start("authorization { token: \"s3cret\" }") else {
        return;
    };
    accepted(options(
        &format!("nats://s3cret@{}", server.address()),
        None,
    ))
    .await;
    let token = |token: &str| NatsOptions {
        credentials: Credentials::Token(token.to_owned()),
        ..options(&server.url(), None)
    };
    accepted(token("s3cret")).await;
    assert_eq!(
        refusal(token("wrong")).await,
        refused_as_unauthorised(&server)
    );
}

#[tokio::test]
async fn an_nkey_opens() {
    let ours = KeyPair::new_user();
    let configuration = format!(
        "authorization {{ users: [{{ nkey: {} }}] }}",
        ours.public_key()
    );
    let Some(server) = Server::start(&configuration) else {
        return;
    };
    let folder = TempDir::new().expect("a temporary folder");
    let file = |text: &str| {
        let path = folder.path().join("user.nk");
        fs::write(&path, text).expect("a file written");
        NatsOptions {
            credentials: Credentials::NkeySeedFile(path),
            ..options(&server.url(), None)
        }
    };
    accepted(file(&format!("{}\n", ours.seed().expect("a seed")))).await;
    let another = KeyPair::new_user().seed().expect("a seed");
    assert_eq!(
        refusal(file(&another)).await,
        refused_as_unauthorised(&server)
    );
    let nothing = refusal(file("seed")).await;
    assert!(
        nothing.ends_with("user.nk: it holds no seed of a user's nkey"),
        "{nothing}"
    );
    let missing = NatsOptions {
        credentials: Credentials::NkeySeedFile(folder.path().join("none")),
        ..options(&server.url(), None)
    };
    let missing = refusal(missing).await;
    assert!(
        missing.starts_with("read ") && missing.ends_with("none"),
        "{missing}"
    );
}

/// A JWT as nats-server reads it.
fn jwt(issuer: &KeyPair, subject: &KeyPair, nats: &str) -> String {
    let (issued_by, about) = (issuer.public_key(), subject.public_key());
    let claims = format!(
        r#"{{"jti":"1","iat":1700000000,"iss":"{issued_by}","name":"test","sub":"{about}","nats":{nats}}}"#
    );
    let head = URL_SAFE_NO_PAD.encode(r#"{"typ":"JWT","alg":"ed25519-nkey"}"#);
    let said = format!("{head}.{}", URL_SAFE_NO_PAD.encode(claims));
    let signature = issuer.sign(said.as_bytes()).expect("a signature");
    format!("{said}.{}", URL_SAFE_NO_PAD.encode(signature))
}

fn credentials_file(folder: &Path, jwt: &str, user: &KeyPair) -> PathBuf {
    let path = folder.join("user.creds");
    let seed = user.seed().expect("a seed");
    let text = format!(
        "-----BEGIN NATS USER JWT-----\n{jwt}\n------END NATS USER JWT------\n\n-----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
    );
    fs::write(&path, text).expect("a file written");
    path
}

#[tokio::test]
async fn a_credentials_file_opens() {
    let [operator, account, user] = [
        KeyPair::new_operator(),
        KeyPair::new_account(),
        KeyPair::new_user(),
    ];
    let operator_jwt = jwt(&operator, &operator, r#"{"type":"operator","version":2}"#);
    let limits = r#"{"subs":-1,"data":-1,"payload":-1,"imports":-1,"exports":-1,"wildcards":true,"conn":-1,"leaf":-1}"#;
    let account_claims = format!(r#"{{"limits":{limits},"type":"account","version":2}}"#);
    let account_jwt = jwt(&operator, &account, &account_claims);
    let user_claims =
        r#"{"pub":{},"sub":{},"subs":-1,"data":-1,"payload":-1,"type":"user","version":2}"#;
    let user_jwt = jwt(&account, &user, user_claims);
    let configuration = format!(
        "operator: {operator_jwt}\nresolver: MEMORY\nresolver_preload: {{ {}: {account_jwt} }}\n",
        account.public_key()
    );
    let folder = TempDir::new().expect("a temporary folder");
    let Some(server) = Server::start_in(TempDir::new().expect("a folder"), &configuration) else {
        return;
    };
    let with = |jwt: &str, user: &KeyPair| NatsOptions {
        credentials: Credentials::CredentialsFile(credentials_file(folder.path(), jwt, user)),
        ..options(&server.url(), None)
    };
    accepted(with(&user_jwt, &user)).await;
    let of_no_account = jwt(&KeyPair::new_account(), &user, user_claims);
    let refused = refused_as_unauthorised(&server);
    assert_eq!(refusal(with(&of_no_account, &user)).await, refused);
    assert_eq!(
        refusal(with(&user_jwt, &KeyPair::new_user())).await,
        refused
    );
    fs::write(folder.path().join("empty.creds"), "").expect("a file written");
    let empty = NatsOptions {
        credentials: Credentials::CredentialsFile(folder.path().join("empty.creds")),
        ..options(&server.url(), None)
    };
    let empty = refusal(empty).await;
    assert!(
        empty.ends_with("empty.creds: it holds no user's JWT and seed"),
        "{empty}"
    );
}

/// A certification authority, and where its certificates are written.
struct Authority {
    issuer: CertifiedIssuer<'static, TlsKey>,
    folder: PathBuf,
}

impl Authority {
    fn new(folder: &Path, name: &str) -> Self {
        let folder = folder.join(name);
        fs::create_dir(&folder).expect("a folder");
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = TlsKey::generate().expect("a key");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("a certificate");
        fs::write(folder.join("ca.pem"), issuer.pem()).expect("a file written");
        Self { issuer, folder }
    }

    fn ca(&self) -> PathBuf {
        self.folder.join("ca.pem")
    }

    fn certify(&self, host: &str) -> (PathBuf, PathBuf) {
        let key = TlsKey::generate().expect("a key");
        let params = CertificateParams::new([host.to_owned()]).expect("a host");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        let paths =
            ["certificate", "key"].map(|what| self.folder.join(format!("{host}.{what}.pem")));
        let [certificate_path, key_path] = paths;
        fs::write(&certificate_path, certificate.pem()).expect("a file written");
        fs::write(&key_path, key.serialize_pem()).expect("a file written");
        (certificate_path, key_path)
    }
}

#[tokio::test]
async fn tls_asks_both_who_they_are() {
    let folder = TempDir::new().expect("a temporary folder");
    let [ours, another] = ["ours", "another"].map(|name| Authority::new(folder.path(), name));
    let (certificate, key) = ours.certify("127.0.0.1");
    let configuration = format!(
        "tls {{ cert_file: {certificate:?}, key_file: {key:?}, ca_file: {:?}, verify: true }}",
        ours.ca()
    );
    let Some(server) = Server::start(&configuration) else {
        return;
    };
    let with = |ca: &Authority, identity: Option<(PathBuf, PathBuf)>| NatsOptions {
        tls: TlsFiles {
            required: true,
            ca: Some(ca.ca()),
            identity,
        },
        ..options(&format!("tls://{}", server.address()), None)
    };
    accepted(with(&ours, Some(ours.certify("agent")))).await;
    for (wrong, expected) in [
        (with(&another, Some(ours.certify("agent"))), "UnknownIssuer"),
        (with(&ours, None), "CertificateRequired"),
        (with(&ours, Some(another.certify("agent"))), "UnknownCA"),
    ] {
        let refused = refusal(wrong).await;
        assert!(
            refused.starts_with("connect to tls://127.0.0.1:"),
            "{refused}"
        );
        assert!(refused.contains(expected), "{refused}");
    }
    let broken = NatsOptions {
        tls: TlsFiles {
            required: true,
            ca: Some(key.clone()),
            identity: None,
        },
        ..options(&server.url(), None)
    };
    let broken = refusal(broken).await;
    assert!(
        broken.ends_with("127.0.0.1.key.pem: it holds no PEM certificate"),
        "{broken}"
    );
}

#[tokio::test]
async fn without_a_key_only_this_host_is_trusted() {
    // Nothing listens at either: the documentation's network is never reached.
    for url in ["nats://192.0.2.1:4222", "tls://[2001:db8::1]"] {
        let error = Broker::connect(options(url, None)).await;
        let error = error.expect_err("a stranger");
        assert!(matches!(error, NatsError::Stranger { .. }), "{error}");
        let text = error.to_string();
        assert!(text.starts_with(&format!("connect to {url}: ")), "{text}");
        assert!(text.contains("\nhint: set DRUMFIRE_RUN_KEY"), "{text}");
    }
    let nowhere = refusal(NatsOptions {
        urls: Vec::new(),
        ..options("", None)
    });
    assert!(nowhere.await.contains("there is none"));
}

#[tokio::test]
async fn a_broker_that_comes_late_is_waited_for() {
    let Some(mut server) = Server::start("") else {
        return;
    };
    server.kill();
    let at_once = refusal(options(&server.url(), our_key())).await;
    assert!(
        at_once.starts_with(&format!("connect to {}: ", server.url())),
        "{at_once}"
    );
    let patient = NatsOptions {
        patience: Duration::from_secs(60),
        ..options(&server.url(), our_key())
    };
    let (connected, ()) = tokio::join!(within(Broker::connect(patient)), async {
        tokio::task::yield_now().await;
        server.start_again();
    });
    connected.map(drop).expect("a connection");
    drop(connect(&server, our_key()).await);
}
