//! The client against HTTP/2 servers: sharing a connection, bodies both ways,
//! and the codes of streams and sessions that end badly.

use bytes::Bytes;
use drumfire_metrics::Outcome;
use drumfire_protocols::{
    Body, Client, ClientConfig, Connections, Exchange, Failure, Http2, Origin, RequestBytes,
    Timeouts, Version, Wants,
};
use drumfire_reactor::{Reactor, spawn};
use h2::RecvStream;
use h2::server::SendResponse;
use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

/// Serves until it is dropped; counts connections.
struct Server {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    fn start() -> Server {
        let (stop, stopped) = oneshot::channel();
        let (told, address) = std::sync::mpsc::channel();
        let connections = Arc::new(AtomicUsize::new(0));
        let counted = connections.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            runtime.expect("a runtime").block_on(async {
                let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
                told.send(listener.local_addr().expect("an address"))
                    .expect("the test waits");
                tokio::select! {
                    () = accept(listener, &counted) => {}
                    _ = stopped => {}
                }
            });
        });
        Server {
            address: address.recv().expect("the server starts"),
            connections,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        let joined = self.thread.take().map(JoinHandle::join);
        assert!(matches!(joined, Some(Ok(()))) || std::thread::panicking());
    }
}

async fn accept(listener: TcpListener, connections: &AtomicUsize) {
    loop {
        let (stream, _) = listener.accept().await.expect("a client");
        connections.fetch_add(1, Ordering::SeqCst);
        tokio::spawn(async move {
            let mut connection = h2::server::handshake(stream).await.expect("a greeting");
            while let Some(Ok((request, respond))) = connection.accept().await {
                if request.uri().path() == "/goaway" {
                    connection.abrupt_shutdown(h2::Reason::ENHANCE_YOUR_CALM);
                    continue;
                }
                answer(request, respond);
            }
        });
    }
}

fn answer(request: http::Request<RecvStream>, mut respond: SendResponse<Bytes>) {
    tokio::spawn(async move {
        let path = request.uri().path().to_owned();
        let head = http::Response::builder()
            .header(
                "x-authority",
                request.uri().authority().map_or("", |it| it.as_str()),
            )
            .header(
                "x-has-connection",
                request.headers().contains_key("connection").to_string(),
            );
        let body = match path.as_str() {
            "/big" => Bytes::from(vec![b'x'; 3_000_000]),
            "/reset" => {
                respond.send_reset(h2::Reason::INTERNAL_ERROR);
                return;
            }
            _ => read_all(request.into_body()).await,
        };
        let head = head.body(()).expect("a head");
        let mut stream = respond.send_response(head, false).expect("a client");
        stream.send_data(body, true).expect("a client");
    });
}

async fn read_all(mut body: RecvStream) -> Bytes {
    let mut all = Vec::new();
    while let Some(piece) = body.data().await {
        let piece = piece.expect("a client");
        body.flow_control()
            .release_capacity(piece.len())
            .expect("a window");
        all.extend_from_slice(&piece);
    }
    all.into()
}

struct User {
    client: Client,
    connections: Connections,
    origin: Origin,
}

impl User {
    fn new(server: &Server, config: ClientConfig) -> User {
        let client = Client::new(ClientConfig {
            http2: Http2::PriorKnowledge,
            ..config
        });
        let connections = client.connections();
        let origin = Origin::parse(&format!("http://{}", server.address)).expect("a URL");
        User {
            client,
            connections,
            origin,
        }
    }

    async fn send(&self, path: &str, body: &[u8]) -> Exchange {
        let mut bytes = RequestBytes::default();
        bytes
            .start(if body.is_empty() { "GET" } else { "POST" }, path)
            .expect("a target");
        bytes.header("Host", b"shop.test").expect("a host");
        bytes.header("Connection", b"keep-alive").expect("a header");
        bytes.finish(body);
        let wants = Wants {
            headers: true,
            body: Body::Keep,
        };
        let request = bytes.request();
        let timeouts = &Timeouts::NEVER;
        self.client
            .exchange(&self.connections, &self.origin, request, wants, timeouts, 0)
            .await
    }
}

fn run<T>(test: impl Future<Output = T>) -> T {
    Reactor::new().expect("a reactor").block_on(test)
}

#[test]
fn one_connection_carries_one_request_after_another() {
    let server = Server::start();
    run(async {
        let user = User::new(&server, ClientConfig::default());
        for turn in 0..3 {
            let exchange = user.send("/echo", b"body").await;
            assert_eq!(exchange.sample.outcome, Outcome::Status(200));
            assert_eq!(exchange.sample.connected, turn == 0);
            assert_eq!(exchange.sample.body_bytes, 4);
            let response = exchange.response.expect("it was asked for");
            assert_eq!(response.version, Version::Http2);
            assert_eq!(response.headers.get_str("X-Authority"), Some("shop.test"));
            assert_eq!(response.headers.get_str("x-has-connection"), Some("false"));
            assert_eq!(response.body, "body");
        }
    });
    assert_eq!(server.connections(), 1);
}

#[test]
fn requests_of_one_length_are_told_apart() {
    let server = Server::start();
    run(async {
        let user = User::new(&server, ClientConfig::default());
        for body in ["one!", "two!", "one!", "tree", "a", "one!"] {
            let exchange = user.send("/echo", body.as_bytes()).await;
            assert_eq!(
                exchange.response.map(|response| response.body),
                Some(body.into())
            );
        }
    });
}

#[test]
fn bodies_larger_than_the_windows_go_both_ways() {
    let server = Server::start();
    run(async {
        let user = User::new(&server, ClientConfig::default());
        assert_eq!(user.send("/big", b"").await.sample.body_bytes, 3_000_000);
        let upload = vec![b'y'; 500_000];
        let exchange = user.send("/echo", &upload).await;
        assert_eq!(
            exchange.response.map(|response| response.body),
            Some(upload.into())
        );
    });
}

#[test]
fn users_of_a_pool_share_its_connections() {
    let server = Server::start();
    run(async {
        let config = ClientConfig {
            pool_sockets: Some(2),
            ..ClientConfig::default()
        };
        let user = Rc::new(User::new(&server, config));
        let outcomes = Rc::new(RefCell::new(Vec::new()));
        for _ in 0..20 {
            let (user, outcomes) = (user.clone(), outcomes.clone());
            spawn(async move {
                let outcome = user.send("/echo", b"body").await.sample.outcome;
                outcomes.borrow_mut().push(outcome);
            });
        }
        while outcomes.borrow().len() < 20 {
            drumfire_reactor::yield_now().await;
        }
        assert_eq!(*outcomes.borrow(), vec![Outcome::Status(200); 20]);
    });
    assert_eq!(server.connections(), 2);
}

#[test]
fn bad_ends_are_counted_by_their_code() {
    let server = Server::start();
    run(async {
        let user = User::new(&server, ClientConfig::default());
        for (path, outcome) in [
            ("/reset", Outcome::Error("ERR_HTTP2_STREAM_ERROR".into())),
            ("/echo", Outcome::Status(200)),
        ] {
            assert_eq!(user.send(path, b"").await.sample.outcome, outcome, "{path}");
        }
        // The farewell and the end of the connection arrive together.
        let codes = ["ERR_HTTP2_SESSION_ERROR", "EPIPE", "ECONNRESET"];
        let ended = user.send("/goaway", b"").await.failure.map(Failure::code);
        assert!(ended.is_some_and(|code| codes.contains(&code)), "{ended:?}");
        let after = user.send("/echo", b"").await.sample;
        assert_eq!(
            (after.outcome, after.connected),
            (Outcome::Status(200), true)
        );
    });
    assert_eq!(server.connections(), 2);
}

#[test]
fn a_server_of_http_1_has_a_code() {
    use std::io::{Read, Write};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("a bound listener");
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a client");
        stream
            .write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            .expect("a client");
        stream.shutdown(std::net::Shutdown::Write).ok();
        stream.read_to_end(&mut Vec::new()).ok();
    });
    let outcome = run(async {
        let client = Client::new(ClientConfig {
            http2: Http2::PriorKnowledge,
            ..ClientConfig::default()
        });
        let origin = Origin::parse(&format!("http://{address}")).expect("a URL");
        let connections = client.connections();
        let user = User {
            client,
            connections,
            origin,
        };
        user.send("/", b"").await.sample.outcome
    });
    server.join().expect("the server is done");
    assert_eq!(outcome, Outcome::Error("ERR_HTTP2_SESSION_ERROR".into()));
}

#[test]
fn connections_opened_ahead_are_greeted_and_used() {
    for (pool_sockets, connects) in [(None, [false, false, true]), (Some(2), [false; 3])] {
        let server = Server::start();
        run(async {
            let config = ClientConfig {
                pool_sockets,
                ..ClientConfig::default()
            };
            let first = User::new(&server, config);
            assert_eq!(first.client.preconnect(&first.origin, 2).await, Ok(2));
            let mut users = Vec::new();
            for connects in connects {
                let user = User {
                    client: first.client.clone(),
                    connections: first.client.connections(),
                    origin: first.origin.clone(),
                };
                for connects in [connects, false] {
                    let sample = user.send("/echo", b"body").await.sample;
                    assert_eq!(
                        (sample.outcome, sample.connected),
                        (Outcome::Status(200), connects)
                    );
                }
                users.push(user);
            }
            assert_eq!(first.client.counts().preconnected, 2);
        });
        let opened = 2 + connects.iter().filter(|connects| **connects).count();
        assert_eq!(server.connections(), opened);
    }
}
