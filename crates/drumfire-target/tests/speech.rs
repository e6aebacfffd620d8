//! What the target speaks: HTTP/2 with and without TLS, HTTP/1.1 over TLS, certificates asked for
//! and given, and the door that a command line uses.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use drumfire_target::{Authority, Identity, Ready, TargetOptions, TestTarget, serve};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Who a client trusts, who it says it is, and what it offers to speak.
struct Caller<'a> {
    authority_pem: String,
    identity: Option<Identity>,
    protocols: &'a [&'a [u8]],
}

impl Caller<'_> {
    async fn call(&self, address: SocketAddr) -> std::io::Result<TlsStream<TcpStream>> {
        connect(&Arc::new(self.config()), address).await
    }

    fn config(&self) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots
            .add(certificate(&self.authority_pem))
            .expect("an authority");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots);
        let mut config = match &self.identity {
            None => builder.with_no_client_auth(),
            Some(identity) => {
                let key = PrivateKeyDer::from_pem_slice(identity.key_pem.as_bytes());
                let chain = vec![certificate(&identity.certificate_pem)];
                builder
                    .with_client_auth_cert(chain, key.expect("a key"))
                    .expect("an identity")
            }
        };
        config.alpn_protocols = self.protocols.iter().map(|name| name.to_vec()).collect();
        config
    }
}

async fn connect(
    config: &Arc<ClientConfig>,
    address: SocketAddr,
) -> std::io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from("localhost").expect("a name");
    let connector = TlsConnector::from(Arc::clone(config));
    connector.connect(name, stream).await
}

fn certificate(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).expect("a certificate")
}

fn authority_of(target: &TestTarget) -> &Authority {
    target.authority().expect("an authority")
}

/// Asks over HTTP/2 and gives the status and the body.
async fn ask_http2(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    path: &str,
) -> Result<(u16, Bytes), h2::Error> {
    let (mut sender, connection) = h2::client::handshake(stream).await?;
    let driver = tokio::spawn(connection);
    let request = http::Request::get(format!("http://localhost{path}")).body(());
    let (answer, _) = sender.send_request(request.expect("a request"), true)?;
    let answer = answer.await?;
    let status = answer.status().as_u16();
    let mut body = answer.into_body();
    let mut bytes = Vec::new();
    while let Some(piece) = body.data().await {
        let piece = piece?;
        body.flow_control().release_capacity(piece.len())?;
        bytes.extend_from_slice(&piece);
    }
    drop(sender);
    driver.abort();
    Ok((status, bytes.into()))
}

/// Asks over HTTP/1.1 and gives everything up to the end of the connection.
async fn ask_http1(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    path: &str,
) -> std::io::Result<String> {
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

fn echoed(body: &[u8], pointer: &str) -> Option<Value> {
    let echo: Value = serde_json::from_slice(body).ok()?;
    echo.pointer(pointer).cloned()
}

#[tokio::test]
async fn http2_is_spoken_with_prior_knowledge() {
    let target = TestTarget::start().expect("a target");
    let stream = TcpStream::connect(target.address())
        .await
        .expect("a connection");
    let (status, body) = ask_http2(stream, "/echo?a=1").await.expect("an answer");
    assert_eq!(status, 200);
    assert_eq!(echoed(&body, "/version"), Some(json!("HTTP/2.0")));
    assert_eq!(echoed(&body, "/query"), Some(json!({"a": "1"})));
}

#[tokio::test]
async fn bodies_and_faults_over_http2() {
    let target = TestTarget::start().expect("a target");
    let table = [
        ("/bytes/200000", 200, Some(200_000)),
        ("/stream/3", 200, Some(48)),
        ("/close", 200, None),
        ("/hostile/huge-body?bytes=3000000", 200, Some(3_000_000)),
        ("/hostile/slow-drip?bytes=5&interval_ms=1", 200, Some(5)),
        ("/early-hints", 501, None),
        ("/hostile/endless-headers", 501, None),
        ("/hostile/1xx-flood", 501, None),
    ];
    for (path, status, bytes) in table {
        let stream = TcpStream::connect(target.address())
            .await
            .expect("a connection");
        let answer = ask_http2(stream, path).await.expect(path);
        assert_eq!(answer.0, status, "{path}");
        if let Some(bytes) = bytes {
            assert_eq!(answer.1.len(), bytes, "{path}");
        }
    }
    for path in [
        "/hostile/reset",
        "/hostile/reset-mid-body",
        "/hostile/garbage",
    ] {
        let stream = TcpStream::connect(target.address())
            .await
            .expect("a connection");
        let error = ask_http2(stream, path).await.expect_err(path);
        assert!(error.is_io(), "{path}: {error}");
    }
}

#[tokio::test]
async fn tls_speaks_what_is_agreed_on() {
    let target = TestTarget::start_tls(&TargetOptions::default()).expect("a target");
    let caller = |protocols| Caller {
        authority_pem: authority_of(&target).certificate_pem(),
        identity: None,
        protocols,
    };
    let stream = caller(&[b"h2", b"http/1.1"])
        .call(target.address())
        .await
        .expect("TLS");
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let (_, body) = ask_http2(stream, "/echo").await.expect("an answer");
    assert_eq!(echoed(&body, "/version"), Some(json!("HTTP/2.0")));
    let expected = json!({
        "version": "TLSv1_3",
        "alpn": "h2",
        "server_name": "localhost",
        "resumed": false,
        "client_certificate": false,
    });
    assert_eq!(echoed(&body, "/tls"), Some(expected));

    for protocols in [&[&b"http/1.1"[..]][..], &[]] {
        let stream = caller(protocols).call(target.address()).await.expect("TLS");
        let answer = ask_http1(stream, "/echo").await.expect("an answer");
        assert!(answer.contains("\"version\":\"HTTP/1.1\""), "{answer}");
    }
}

#[tokio::test]
async fn sessions_resume() {
    let target = TestTarget::start_tls(&TargetOptions::default()).expect("a target");
    let caller = Caller {
        authority_pem: authority_of(&target).certificate_pem(),
        identity: None,
        protocols: &[],
    };
    let config = Arc::new(caller.config());
    for resumed in [false, true, true] {
        let stream = connect(&config, target.address()).await.expect("TLS");
        let answer = ask_http1(stream, "/echo").await.expect("an answer");
        assert!(
            answer.contains(&format!("\"resumed\":{resumed}")),
            "{answer}"
        );
    }
}

#[tokio::test]
async fn a_stranger_is_not_trusted() {
    let target = TestTarget::start_tls(&TargetOptions::default()).expect("a target");
    let stranger = Caller {
        authority_pem: Authority::new().expect("an authority").certificate_pem(),
        identity: None,
        protocols: &[],
    };
    let error = stranger
        .call(target.address())
        .await
        .expect_err("not trusted");
    assert!(error.to_string().contains("certificate"), "{error}");
}

#[tokio::test]
async fn mutual_tls_wants_a_certificate_of_its_authority() {
    let target = TestTarget::start_mutual_tls(&TargetOptions::default()).expect("a target");
    let stranger = Authority::new().expect("an authority");
    let table = [
        (
            Some(authority_of(&target).client("ada").expect("a client")),
            true,
        ),
        (Some(stranger.client("eve").expect("a client")), false),
        (None, false),
    ];
    for (identity, welcome) in table {
        let caller = Caller {
            authority_pem: authority_of(&target).certificate_pem(),
            identity,
            protocols: &[],
        };
        // With TLS 1.3 the refusal comes after the client's side of the handshake is done.
        let answer = match caller.call(target.address()).await {
            Ok(stream) => ask_http1(stream, "/").await,
            Err(refused) => Err(refused),
        };
        assert_eq!(
            answer.is_ok_and(|text| text.starts_with("HTTP/1.1 200")),
            welcome
        );
    }
}

/// Serves as a command line would while `calls` go on.
async fn serving<F: Future<Output = ()>>(options: TargetOptions, calls: impl FnOnce(Ready) -> F) {
    let (tell, told) = oneshot::channel();
    let (stop, stopped) = oneshot::channel::<()>();
    let ready = |ready: &Ready| tell.send(ready.clone()).expect("a listener");
    let service = serve(options, ready, async {
        stopped.await.expect("a stop");
    });
    let calls = async {
        calls(told.await.expect("an address")).await;
        stop.send(()).expect("a service");
    };
    let (served, ()) = tokio::join!(service, calls);
    served.expect("a service");
}

fn free_port() -> TargetOptions {
    TargetOptions {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        ..TargetOptions::default()
    }
}

#[tokio::test]
async fn the_authority_is_written_for_clients() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("ca.pem");
    let options = TargetOptions {
        tls: true,
        tls_write_ca: Some(file.clone()),
        ..free_port()
    };
    serving(options, async |ready| {
        assert_eq!(
            ready.to_string(),
            format!("listening on https://{}", ready.address)
        );
        let caller = Caller {
            authority_pem: std::fs::read_to_string(&file).expect("a certificate"),
            identity: None,
            protocols: &[b"http/1.1"],
        };
        let stream = caller.call(ready.address).await.expect("TLS");
        let answer = ask_http1(stream, "/").await.expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    })
    .await;
}

#[tokio::test]
async fn given_certificates_are_used() {
    let folder = tempfile::tempdir().expect("a folder");
    let authority = Authority::new().expect("an authority");
    let identity = authority.server(&["localhost"]).expect("an identity");
    let write = |name: &str, text: &str| {
        let file = folder.path().join(name);
        std::fs::write(&file, text).expect(name);
        file
    };
    let options = TargetOptions {
        tls_cert: Some(write("cert.pem", &identity.certificate_pem)),
        tls_key: Some(write("key.pem", &identity.key_pem)),
        tls_client_ca: Some(write("ca.pem", &authority.certificate_pem())),
        ..free_port()
    };
    serving(options, async |ready| {
        let caller = Caller {
            authority_pem: authority.certificate_pem(),
            identity: Some(authority.client("ada").expect("a client")),
            protocols: &[b"h2"],
        };
        let stream = caller.call(ready.address).await.expect("TLS");
        assert_eq!(ask_http2(stream, "/").await.expect("an answer").0, 200);
    })
    .await;
}

#[tokio::test]
async fn files_that_hold_nothing_are_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("empty.pem");
    std::fs::write(&file, "").expect("a file");
    let given = |certificate, key| TargetOptions {
        tls_cert: Some(certificate),
        tls_key: Some(key),
        ..free_port()
    };
    let missing = folder.path().join("missing.pem");
    for options in [
        given(file.clone(), file.clone()),
        given(missing.clone(), missing),
    ] {
        let error = serve(options, |_| panic!("not ready"), std::future::pending()).await;
        let error =
            std::error::Error::source(&error.expect_err("no certificate")).map(ToString::to_string);
        let error = error.expect("a reason");
        assert!(error.contains("cannot read a certificate from"), "{error}");
    }
}

#[tokio::test]
async fn an_address_in_use_is_named() {
    let target = TestTarget::start().expect("a target");
    let options = TargetOptions {
        listen: target.address(),
        ..TargetOptions::default()
    };
    for fast in [false, true] {
        let options = TargetOptions {
            fast,
            ..options.clone()
        };
        let error = serve(options, |_| panic!("not ready"), std::future::pending()).await;
        let error = error.expect_err("in use").to_string();
        assert_eq!(error, format!("cannot listen on {}", target.address()));
    }
}

#[tokio::test]
async fn the_bare_server_is_served_on_request() {
    let options = TargetOptions {
        fast: true,
        ..free_port()
    };
    serving(options, async |ready| {
        let mut stream = TcpStream::connect(ready.address)
            .await
            .expect("a connection");
        let request = b"GET / HTTP/1.1\r\nHost: t\r\n\r\n";
        stream.write_all(request).await.expect("a request");
        let mut start = [0; 15];
        stream.read_exact(&mut start).await.expect("an answer");
        assert_eq!(&start, b"HTTP/1.1 200 OK");
    })
    .await;
}
