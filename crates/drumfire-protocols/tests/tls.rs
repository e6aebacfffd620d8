//! The client against TLS servers: trust, identity, names, resumption, and
//! the codes of what goes wrong.

use drumfire_metrics::Outcome;
use drumfire_protocols::{
    Body, Client, ClientConfig, ClientIdentity, Exchange, Origin, RequestBytes, Timeouts, Tls,
    TlsError, TlsOptions, Wants,
};
use drumfire_reactor::Reactor;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{HandshakeKind, RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

type Issuer = CertifiedIssuer<'static, KeyPair>;

fn issuer(name: &str) -> Issuer {
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().expect("a key");
    CertifiedIssuer::self_signed(params, key).expect("a certificate")
}

/// A certificate and its key, with the issuers that are sent along.
struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: KeyPair,
    chain_pem: String,
}

fn issued(issuer: &Issuer, name: &str, change: fn(&mut CertificateParams)) -> Identity {
    let mut params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
    change(&mut params);
    let key = KeyPair::generate().expect("a key");
    let certificate = params.signed_by(&key, issuer).expect("a certificate");
    Identity {
        chain: vec![certificate.der().clone()],
        key,
        chain_pem: certificate.pem(),
    }
}

fn self_signed(name: &str) -> Identity {
    let params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
    let key = KeyPair::generate().expect("a key");
    let certificate = params.self_signed(&key).expect("a certificate");
    Identity {
        chain: vec![certificate.der().clone()],
        key,
        chain_pem: certificate.pem(),
    }
}

fn server_config(identity: &Identity, clients: Option<&Issuer>) -> Arc<ServerConfig> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .expect("versions");
    let builder = match clients {
        Some(issuer) => {
            let mut roots = RootCertStore::empty();
            roots.add(issuer.der().clone()).expect("a root");
            let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider);
            builder.with_client_cert_verifier(verifier.build().expect("a verifier"))
        }
        None => builder.with_no_client_auth(),
    };
    let key = PrivateKeyDer::try_from(identity.key.serialize_der()).expect("a key");
    let config = builder.with_single_cert(identity.chain.clone(), key);
    Arc::new(config.expect("a certificate"))
}

/// What a server saw of one connection.
#[derive(Debug, PartialEq)]
struct Seen {
    name: Option<String>,
    resumed: bool,
    certificates: usize,
}

/// Serves so many connections, each with one answer where the handshake succeeds.
fn serve(
    config: Arc<ServerConfig>,
    connections: usize,
) -> (SocketAddr, JoinHandle<Vec<Option<Seen>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("a bound listener");
    let server = std::thread::spawn(move || {
        let one = |_| {
            let (stream, _) = listener.accept().expect("a client");
            let connection = ServerConnection::new(config.clone()).expect("a config");
            answer_once(StreamOwned::new(connection, stream))
        };
        (0..connections).map(one).collect()
    });
    (address, server)
}

fn answer_once(mut stream: StreamOwned<ServerConnection, std::net::TcpStream>) -> Option<Seen> {
    let mut request = [0; 4096];
    stream.read(&mut request).ok().filter(|read| *read > 0)?;
    stream.write_all(OK).ok()?;
    stream.conn.send_close_notify();
    stream.flush().ok()?;
    Some(Seen {
        name: stream.conn.server_name().map(str::to_owned),
        resumed: stream.conn.handshake_kind() == Some(HandshakeKind::Resumed),
        certificates: stream.conn.peer_certificates().map_or(0, <[_]>::len),
    })
}

fn trusting(issuer: &Issuer) -> TlsOptions {
    TlsOptions {
        ca: vec![issuer.pem().into_bytes()],
        ..TlsOptions::default()
    }
}

async fn get(client: &Client, origin: &Origin) -> Exchange {
    let connections = client.connections();
    let mut bytes = RequestBytes::default();
    bytes.start("GET", "/").expect("a method");
    bytes.finish(b"");
    let wants = Wants {
        headers: false,
        body: Body::Keep,
    };
    let request = bytes.request();
    client
        .exchange(&connections, origin, request, wants, &Timeouts::NEVER, 0)
        .await
}

/// The outcome of one GET to `https://localhost` and what the server saw.
fn get_once(config: Arc<ServerConfig>, options: &TlsOptions) -> (Exchange, Option<Seen>) {
    let (address, server) = serve(config, 1);
    let tls = Tls::new(options).expect("options");
    let exchange = Reactor::new().expect("a reactor").block_on(async {
        let client = Client::new(ClientConfig {
            tls,
            ..ClientConfig::default()
        });
        let origin = Origin::parse(&format!("https://localhost:{}", address.port()));
        get(&client, &origin.expect("a URL")).await
    });
    let seen = server.join().expect("the server is done").pop();
    (exchange, seen.flatten())
}

fn code(exchange: &Exchange) -> String {
    match &exchange.sample.outcome {
        Outcome::Status(status) => status.to_string(),
        Outcome::Broken(status, code) => format!("{status} {code}"),
        Outcome::Error(code) => code.to_string(),
    }
}

#[test]
fn a_trusted_server_answers_and_its_parts_are_timed() {
    let issuer = issuer("trusted");
    let identity = issued(&issuer, "localhost", |_| {});
    let (exchange, seen) = get_once(server_config(&identity, None), &trusting(&issuer));
    assert_eq!(code(&exchange), "200");
    assert!(exchange.sample.phases.tls_ns > 0 && exchange.sample.phases.dns_ns > 0);
    assert_eq!(
        exchange.response.map(|response| response.body),
        Some("ok".into())
    );
    let expected = Seen {
        name: Some("localhost".into()),
        resumed: false,
        certificates: 0,
    };
    assert_eq!(seen, Some(expected));
}

#[test]
fn a_server_that_is_not_trusted_has_the_code_of_openssl() {
    let trusted = issuer("trusted");
    let other = issuer("other");
    let mut with_root = issued(&other, "localhost", |_| {});
    with_root.chain.push(other.der().clone());
    let mut with_stranger = issued(&other, "localhost", |_| {});
    with_stranger
        .chain
        .push(issued(&trusted, "x", |_| {}).chain.remove(0));
    for (identity, expected) in [
        (self_signed("localhost"), "DEPTH_ZERO_SELF_SIGNED_CERT"),
        (
            issued(&other, "localhost", |_| {}),
            "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
        ),
        (with_root, "SELF_SIGNED_CERT_IN_CHAIN"),
        (with_stranger, "UNABLE_TO_GET_ISSUER_CERT_LOCALLY"),
        (
            issued(&trusted, "example.org", |_| {}),
            "ERR_TLS_CERT_ALTNAME_INVALID",
        ),
        (
            issued(&trusted, "localhost", |params| {
                params.not_after = date_time_ymd(2020, 1, 1)
            }),
            "CERT_HAS_EXPIRED",
        ),
        (
            issued(&trusted, "localhost", |params| {
                params.not_before = date_time_ymd(2090, 1, 1)
            }),
            "CERT_NOT_YET_VALID",
        ),
    ] {
        let (exchange, seen) = get_once(server_config(&identity, None), &trusting(&trusted));
        assert_eq!((code(&exchange).as_str(), seen), (expected, None));
        let insecure = TlsOptions {
            insecure: true,
            ..TlsOptions::default()
        };
        let (exchange, _) = get_once(server_config(&identity, None), &insecure);
        assert_eq!(code(&exchange), "200", "insecure instead of {expected}");
    }
}

#[test]
fn a_client_shows_its_certificate() {
    let issuer = issuer("trusted");
    let identity = issued(&issuer, "localhost", |_| {});
    let client = issued(&issuer, "client", |_| {});
    let mut options = trusting(&issuer);
    options.client = Some(ClientIdentity {
        chain: client.chain_pem.into_bytes(),
        key: client.key.serialize_pem().into_bytes(),
    });
    let (exchange, seen) = get_once(server_config(&identity, Some(&issuer)), &options);
    assert_eq!(code(&exchange), "200");
    assert_eq!(seen.map(|seen| seen.certificates), Some(1));
    let (exchange, _) = get_once(server_config(&identity, Some(&issuer)), &trusting(&issuer));
    assert_eq!(code(&exchange), "ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED");
}

#[test]
fn another_name_can_be_asked_for() {
    let issuer = issuer("trusted");
    let identity = issued(&issuer, "shop.example.org", |_| {});
    let mut options = trusting(&issuer);
    options.server_name = Some("shop.example.org".into());
    let (exchange, seen) = get_once(server_config(&identity, None), &options);
    assert_eq!(code(&exchange), "200");
    assert_eq!(
        seen.and_then(|seen| seen.name).as_deref(),
        Some("shop.example.org")
    );
}

#[test]
fn sessions_are_resumed_unless_that_is_switched_off() {
    let issuer = issuer("trusted");
    let identity = issued(&issuer, "localhost", |_| {});
    for no_resumption in [false, true] {
        let (address, server) = serve(server_config(&identity, None), 2);
        let tls = Tls::new(&TlsOptions {
            no_resumption,
            ..trusting(&issuer)
        })
        .expect("options");
        Reactor::new().expect("a reactor").block_on(async {
            let client = Client::new(ClientConfig {
                tls,
                ..ClientConfig::default()
            });
            let origin = Origin::parse(&format!("https://localhost:{}", address.port()));
            let origin = origin.expect("a URL");
            for _ in 0..2 {
                assert_eq!(code(&get(&client, &origin).await), "200");
            }
        });
        let seen = server.join().expect("the server is done");
        let resumed: Vec<bool> = seen
            .into_iter()
            .flatten()
            .map(|seen| seen.resumed)
            .collect();
        assert_eq!(resumed, [false, !no_resumption]);
    }
}

#[test]
fn a_server_without_tls_has_a_code() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("a bound listener");
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a client");
        stream
            .write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            .expect("a client");
        stream.read_to_end(&mut Vec::new()).ok();
    });
    let exchange = Reactor::new().expect("a reactor").block_on(async {
        let origin = Origin::parse(&format!("https://{address}")).expect("a URL");
        let client = Client::new(ClientConfig::default());
        get(&client, &origin).await
    });
    server.join().expect("the server is done");
    assert_eq!(code(&exchange), "ERR_SSL_WRONG_VERSION_NUMBER");
}

#[test]
fn options_that_cannot_be_used_are_refused_at_once() {
    let issuer = issuer("trusted");
    let client = issued(&issuer, "client", |_| {});
    let other_key = KeyPair::generate().expect("a key").serialize_pem();
    let identity = |chain: &str, key: &str| TlsOptions {
        client: Some(ClientIdentity {
            chain: chain.into(),
            key: key.into(),
        }),
        ..TlsOptions::default()
    };
    let refusal = |options: &TlsOptions| Tls::new(options).err();
    let no_ca = TlsOptions {
        ca: vec![b"nonsense".to_vec()],
        ..TlsOptions::default()
    };
    assert!(matches!(refusal(&no_ca), Some(TlsError::Ca(_))));
    let no_chain = identity("nonsense", &other_key);
    assert!(matches!(refusal(&no_chain), Some(TlsError::Certificate(_))));
    let no_key = identity(&client.chain_pem, "nonsense");
    assert!(matches!(refusal(&no_key), Some(TlsError::Key(_))));
    let wrong_key = identity(&client.chain_pem, &other_key);
    assert!(matches!(refusal(&wrong_key), Some(TlsError::Identity(_))));
    let no_name = TlsOptions {
        server_name: Some("a b".into()),
        ..TlsOptions::default()
    };
    assert!(matches!(refusal(&no_name), Some(TlsError::ServerName(_))));
}

#[test]
fn a_connection_opened_ahead_has_its_handshake_behind_it() {
    let issuer = issuer("trusted");
    let identity = issued(&issuer, "localhost", |_| {});
    let (address, server) = serve(server_config(&identity, None), 1);
    let tls = Tls::new(&trusting(&issuer)).expect("options");
    let exchange = Reactor::new().expect("a reactor").block_on(async {
        let client = Client::new(ClientConfig {
            tls,
            ..ClientConfig::default()
        });
        let origin = Origin::parse(&format!("https://localhost:{}", address.port()));
        let origin = origin.expect("a URL");
        assert_eq!(client.preconnect(&origin, 1).await, Ok(1));
        get(&client, &origin).await
    });
    assert_eq!(code(&exchange), "200");
    let (sample, phases) = (&exchange.sample, exchange.sample.phases);
    assert!(!sample.connected);
    assert_eq!((phases.dns_ns, phases.connect_ns, phases.tls_ns), (0, 0, 0));
    let seen = server.join().expect("the server is done");
    assert!(matches!(&seen[..], [Some(_)]));
}
