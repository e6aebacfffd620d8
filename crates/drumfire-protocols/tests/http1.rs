//! The client against raw servers that answer in every way, bad ways included.

use drumfire_metrics::Outcome;
use drumfire_protocols::{
    AllowedHost, AllowedTarget, AllowedTargets, Body, Client, ClientConfig, Connections, Exchange,
    Failure, Limits, Origin, RequestBytes, Timeouts, Wants,
};
use drumfire_reactor::Reactor;
use std::cell::RefCell;
use std::future::poll_fn;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::pin::pin;
use std::rc::Rc;
use std::sync::mpsc;
use std::task::Poll;
use std::thread::JoinHandle;

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// Reads one request; none where the client has closed.
fn read_request(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut request = Vec::new();
    let mut byte = [0];
    while !request.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(1) => request.push(byte[0]),
            _ => return None,
        }
    }
    Some(request)
}

/// Serves one connection after another, each by its own function.
fn serve(handlers: Vec<Box<dyn FnOnce(TcpStream) + Send>>) -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("a bound listener");
    let server = std::thread::spawn(move || {
        for handler in handlers {
            let (stream, _) = listener.accept().expect("a client");
            handler(stream);
        }
    });
    (address, server)
}

/// A connection that answers each request with the next of these, and closes after the last.
fn answering<T: Into<Vec<u8>>>(answers: Vec<T>) -> Box<dyn FnOnce(TcpStream) + Send> {
    let answers: Vec<Vec<u8>> = answers.into_iter().map(Into::into).collect();
    Box::new(move |mut stream| {
        for answer in answers {
            if read_request(&mut stream).is_none() || stream.write_all(&answer).is_err() {
                return;
            }
        }
        finish(stream);
    })
}

/// Closes so that the client has read everything before.
fn finish(mut stream: TcpStream) {
    stream.shutdown(Shutdown::Write).ok();
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).ok();
}

/// Closes with a reset, by leaving bytes of the client unread.
fn reset(stream: TcpStream) {
    drop(stream);
}

fn origin(address: SocketAddr) -> Origin {
    Origin::parse(&format!("http://{address}")).expect("an address is a URL")
}

struct User {
    client: Client,
    connections: Connections,
    origin: Origin,
    wants: Wants,
    timeouts: Timeouts,
}

impl User {
    fn new(address: SocketAddr, config: ClientConfig) -> User {
        let client = Client::new(config);
        let connections = client.connections();
        User {
            client,
            connections,
            origin: origin(address),
            wants: Wants {
                headers: true,
                body: Body::Keep,
            },
            timeouts: Timeouts::NEVER,
        }
    }

    async fn send(&self, method: &str, body: &[u8]) -> Exchange {
        let mut bytes = RequestBytes::default();
        bytes.start(method, "/").expect("a method");
        bytes
            .header("host", self.origin.authority().as_bytes())
            .expect("a host");
        bytes.finish(body);
        let intended_ns = drumfire_reactor::now();
        self.client
            .exchange(
                &self.connections,
                &self.origin,
                bytes.request(),
                self.wants,
                &self.timeouts,
                intended_ns,
            )
            .await
    }

    async fn get(&self) -> Exchange {
        self.send("GET", b"").await
    }
}

fn run<T>(test: impl Future<Output = T>) -> T {
    Reactor::new().expect("a reactor").block_on(test)
}

/// Outcome and body of one GET to a server that answers so and closes.
fn get_once(answer: impl Into<Vec<u8>>, config: ClientConfig) -> (Outcome, String) {
    let (address, server) = serve(vec![answering(vec![answer.into()])]);
    let exchange = run(async { User::new(address, config).get().await });
    server.join().expect("the server is done");
    let body = exchange.response.map(|response| response.body);
    let body = String::from_utf8_lossy(&body.unwrap_or_default()).into_owned();
    (exchange.sample.outcome, body)
}

#[test]
fn answers_are_read_whatever_their_framing() {
    for (answer, body) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "hello"),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n",
            "hello",
        ),
        ("HTTP/1.1 200 OK\r\n\r\nhello", "hello"),
        ("HTTP/1.0 200 OK\r\n\r\nhello", "hello"),
        (
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx",
            "x",
        ),
    ] {
        let found = get_once(answer, ClientConfig::default());
        assert_eq!(found, (Outcome::Status(200), body.to_owned()), "{answer:?}");
    }
}

#[test]
fn bad_answers_are_counted_by_their_code() {
    for (answer, outcome) in [
        ("", Outcome::Error("ECONNRESET".into())),
        ("HTTP/1.1 200", Outcome::Error("ECONNRESET".into())),
        (
            "garbage\r\n\r\n",
            Outcome::Error("HPE_INVALID_CONSTANT".into()),
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort",
            Outcome::Broken(200, "ECONNRESET".into()),
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            Outcome::Broken(200, "HPE_INVALID_CHUNK_SIZE".into()),
        ),
    ] {
        assert_eq!(
            get_once(answer, ClientConfig::default()).0,
            outcome,
            "{answer:?}"
        );
    }
}

#[test]
fn hostile_answers_stop_at_their_limits() {
    let limits = Limits {
        head_bytes: 4096,
        kept_body_bytes: 100_000,
        interim_responses: 3,
        ..Limits::default()
    };
    let endless_head = format!("HTTP/1.1 200 OK\r\n{}", "x: y\r\n".repeat(100_000));
    let big_body = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n{}",
        "x".repeat(300_000)
    );
    let interim = "HTTP/1.1 102 Wait\r\n\r\n".repeat(1000);
    for (answer, outcome) in [
        (endless_head, Outcome::Error("HPE_HEADER_OVERFLOW".into())),
        (big_body, Outcome::Broken(200, "ERR_BODY_TOO_LARGE".into())),
        (
            interim,
            Outcome::Error("ERR_TOO_MANY_INTERIM_RESPONSES".into()),
        ),
    ] {
        let config = ClientConfig {
            limits: limits.clone(),
            ..ClientConfig::default()
        };
        assert_eq!(get_once(answer, config).0, outcome);
    }
}

#[test]
fn a_big_body_that_nobody_reads_is_counted_and_not_kept() {
    const BODY_BYTES: usize = 20_000_000;
    let handler = Box::new(|mut stream: TcpStream| {
        read_request(&mut stream);
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {BODY_BYTES}\r\n\r\n");
        stream.write_all(head.as_bytes()).expect("a client");
        let piece = vec![b'x'; 100_000];
        for _ in 0..BODY_BYTES / piece.len() {
            stream.write_all(&piece).expect("a client that reads");
        }
        finish(stream);
    });
    let (address, server) = serve(vec![handler]);
    let exchange = run(async {
        let mut user = User::new(address, ClientConfig::default());
        user.wants = Wants::default();
        user.get().await
    });
    server.join().expect("the server is done");
    assert_eq!(exchange.sample.outcome, Outcome::Status(200));
    assert_eq!(exchange.sample.body_bytes, BODY_BYTES as u64);
    assert_eq!(exchange.response, None);
}

#[test]
fn a_connection_is_used_again_and_timed_once() {
    let (address, server) = serve(vec![answering(vec![OK; 3])]);
    run(async {
        let user = User::new(address, ClientConfig::default());
        for turn in 0..3 {
            let sample = user.get().await.sample;
            assert_eq!(sample.outcome, Outcome::Status(200));
            assert_eq!(sample.connected, turn == 0);
            assert_eq!(sample.phases.connect_ns > 0, turn == 0);
            assert!(sample.start_ns <= sample.end_ns && sample.intended_ns <= sample.start_ns);
            assert!(sample.phases.first_byte_ns > 0);
            assert_eq!(sample.body_bytes, 2);
        }
        assert_eq!(user.client.counts().opened, 1);
        assert_eq!(user.connections.open(), 1);
        user.connections.close_idle();
        assert_eq!(user.connections.open(), 0);
    });
    server.join().expect("the server is done");
}

#[test]
fn a_connection_that_must_not_be_used_again_is_not() {
    for answer in [
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok and more",
    ] {
        let (address, server) = serve(vec![answering(vec![answer]), answering(vec![answer])]);
        run(async {
            let user = User::new(address, ClientConfig::default());
            for _ in 0..2 {
                let exchange = user.get().await;
                assert_eq!(exchange.sample.outcome, Outcome::Status(200), "{answer:?}");
                assert!(exchange.sample.connected, "{answer:?}");
            }
            let leftover = user.client.counts().leftover;
            assert_eq!(leftover, if answer.ends_with("more") { 2 } else { 0 });
        });
        server.join().expect("the server is done");
    }
}

#[test]
fn a_connection_closed_while_idle_is_replaced_before_anything_is_sent() {
    let (closed, is_closed) = mpsc::channel();
    let first = Box::new(move |mut stream: TcpStream| {
        read_request(&mut stream);
        stream.write_all(OK.as_bytes()).expect("a client");
        drop(stream);
        closed.send(()).expect("the test waits");
    });
    let (address, server) = serve(vec![first, answering(vec![OK])]);
    run(async {
        let user = User::new(address, ClientConfig::default());
        assert_eq!(user.get().await.sample.outcome, Outcome::Status(200));
        is_closed.recv().expect("the server closes");
        drumfire_reactor::yield_now().await;
        let second = user.get().await.sample;
        assert_eq!(second.outcome, Outcome::Status(200));
        assert!(second.connected);
        assert_eq!(user.client.counts().closed_while_idle, 1);
    });
    server.join().expect("the server is done");
}

#[test]
fn resets_are_told_apart_by_whether_the_head_had_come() {
    let before = Box::new(|mut stream: TcpStream| {
        read_request(&mut stream);
        reset(stream);
    });
    let within = Box::new(|mut stream: TcpStream| {
        read_request(&mut stream);
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc")
            .expect("a client");
        reset(stream);
    });
    let (address, server) = serve(vec![before, within]);
    run(async {
        let user = User::new(address, ClientConfig::default());
        let first = user.send("POST", b"unread").await.sample.outcome;
        assert_eq!(first, Outcome::Error("ECONNRESET".into()));
        let second = user.send("POST", b"unread").await.sample.outcome;
        assert_eq!(second, Outcome::Broken(200, "ECONNRESET".into()));
        assert_eq!(user.connections.open(), 0);
    });
    server.join().expect("the server is done");
}

#[test]
fn a_refused_connection_has_a_code() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("a bound listener");
    drop(listener);
    let exchange = run(async { User::new(address, ClientConfig::default()).get().await });
    assert_eq!(
        exchange.sample.outcome,
        Outcome::Error("ECONNREFUSED".into())
    );
    assert_eq!(exchange.failure, Some(Failure::ConnectionRefused));
    assert!(!exchange.sample.connected);
}

/// The client itself refuses, before there is a connection.
#[test]
fn a_target_that_is_not_allowed_is_not_connected_to() {
    let network = |address: &str, port| AllowedTarget {
        host: AllowedHost::Network {
            address: address.parse().expect(address),
            prefix_bits: 8,
        },
        port,
    };
    let named = |name: &str| AllowedTarget {
        host: AllowedHost::Named(name.into()),
        port: None,
    };
    for (host, target, allowed) in [
        ("127.0.0.1", network("127.0.0.1", None), true),
        ("127.0.0.1", network("127.0.0.1", Some(1)), false),
        ("127.0.0.1", network("10.0.0.0", None), false),
        ("127.0.0.1", named("localhost"), false),
        ("localhost", named("localhost"), true),
        ("localhost", named("shop.example"), false),
        ("localhost", network("127.0.0.1", None), true),
        ("localhost", network("10.0.0.0", None), false),
    ] {
        let (address, server) = match allowed {
            true => serve(vec![answering(vec![OK])]),
            false => serve(Vec::new()),
        };
        let config = ClientConfig {
            allowed_targets: Some(AllowedTargets::new([target.clone()])),
            ..ClientConfig::default()
        };
        let exchange = run(async {
            let mut user = User::new(address, config);
            let url = format!("http://{host}:{}", address.port());
            user.origin = Origin::parse(&url).expect("a URL");
            user.get().await
        });
        server.join().expect("the server is done");
        let expected = match allowed {
            true => Outcome::Status(200),
            false => Outcome::Error("target_not_allowed".into()),
        };
        assert_eq!(exchange.sample.outcome, expected, "{host} {target:?}");
        assert_eq!(exchange.sample.connected, allowed);
    }
}

/// Simulated time jumps to the deadline as soon as nothing else can happen.
#[test]
fn an_answer_that_does_not_come_in_time_is_given_up() {
    const SECOND_NS: u64 = 1_000_000_000;
    let second = |change: fn(&mut Timeouts)| {
        let mut timeouts = Timeouts::NEVER;
        change(&mut timeouts);
        timeouts
    };
    let partial = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc";
    for (answer, timeouts, outcome) in [
        (
            "",
            second(|it| it.response_ns = SECOND_NS),
            Outcome::Error("ETIMEDOUT".into()),
        ),
        (
            "HTTP/1.1 2",
            second(|it| it.response_ns = SECOND_NS),
            Outcome::Error("ETIMEDOUT".into()),
        ),
        (
            partial,
            second(|it| it.idle_ns = SECOND_NS),
            Outcome::Broken(200, "ERR_SOCKET_TIMEOUT".into()),
        ),
        (
            partial,
            second(|it| it.total_ns = SECOND_NS),
            Outcome::Broken(200, "ETIMEDOUT".into()),
        ),
    ] {
        let (answered, is_answered) = mpsc::channel();
        let handler = Box::new(move |mut stream: TcpStream| {
            stream.write_all(answer.as_bytes()).expect("a client");
            answered.send(()).expect("the test waits");
            stream.read_to_end(&mut Vec::new()).ok();
        });
        let (address, server) = serve(vec![handler]);
        let reactor = Reactor::simulated(0).expect("a reactor");
        let sample = reactor.block_on(async {
            let mut user = User::new(address, ClientConfig::default());
            user.timeouts = timeouts;
            let mut exchange = pin!(user.get());
            let first = poll_fn(|context| Poll::Ready(exchange.as_mut().poll(context)));
            assert!(first.await.is_pending());
            is_answered.recv().expect("the server has answered");
            exchange.await.sample
        });
        server.join().expect("the server is done");
        assert_eq!(sample.outcome, outcome, "{answer:?}");
        let late_ns = sample.service_ns() - SECOND_NS;
        assert!(late_ns < 1_000_000, "{late_ns} ns late");
    }
}

#[test]
fn a_coded_body_is_decoded_only_where_that_is_asked_for_and_within_its_limit() {
    use flate2::{Compression, write::GzEncoder};
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder
        .write_all(&vec![b'x'; 1_000_000])
        .expect("memory takes everything");
    let coded = encoder.finish().expect("memory takes everything");
    let answer = |length: usize| {
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {length}\r\n\r\n"
        );
        [head.as_bytes(), &coded[..length]].concat()
    };
    for (length, body, decoded_body_bytes, kept, outcome) in [
        (coded.len(), Body::Discard, 1, 0, Outcome::Status(200)),
        (
            coded.len(),
            Body::Keep,
            1,
            coded.len(),
            Outcome::Status(200),
        ),
        (
            coded.len(),
            Body::KeepDecoded,
            1_000_000,
            1_000_000,
            Outcome::Status(200),
        ),
        (
            coded.len(),
            Body::KeepDecoded,
            999_999,
            coded.len(),
            Outcome::Broken(200, "ERR_DECODED_BODY_TOO_LARGE".into()),
        ),
        (
            200,
            Body::KeepDecoded,
            1_000_000,
            200,
            Outcome::Broken(200, "Z_BUF_ERROR".into()),
        ),
    ] {
        let (address, server) = serve(vec![answering(vec![answer(length)])]);
        let limits = Limits {
            decoded_body_bytes,
            ..Limits::default()
        };
        let exchange = run(async {
            let mut user = User::new(
                address,
                ClientConfig {
                    limits,
                    ..ClientConfig::default()
                },
            );
            user.wants = Wants {
                headers: false,
                body,
            };
            user.get().await
        });
        server.join().expect("the server is done");
        assert_eq!(exchange.sample.outcome, outcome, "{body:?}");
        assert_eq!(exchange.sample.body_bytes, length as u64);
        let response = exchange
            .response
            .expect("a coded answer has headers of consequence");
        assert_eq!(response.body.len(), kept, "{body:?}");
        assert_eq!(response.headers.get_str("content-encoding"), Some("gzip"));
    }
}

/// Serves each connection on a thread of its own, and counts them.
fn serve_all(connections: usize, requests_each: usize) -> (SocketAddr, JoinHandle<usize>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("a bound listener");
    let server = std::thread::spawn(move || {
        let serve = |_| {
            let (stream, _) = listener.accept().expect("a client");
            std::thread::spawn(move || answering(vec![OK; requests_each])(stream))
        };
        let threads: Vec<JoinHandle<()>> = (0..connections).map(serve).collect();
        let joined = threads.into_iter().map(JoinHandle::join);
        joined.filter(Result::is_ok).count()
    });
    (address, server)
}

/// The order in which fifty users of a pool get their answers.
fn answered_over_a_pool(sockets: usize) -> Vec<usize> {
    const USERS: usize = 50;
    let (address, server) = serve_all(sockets, USERS);
    let order = run(async {
        let config = ClientConfig {
            pool_sockets: Some(sockets),
            ..ClientConfig::default()
        };
        let client = Client::new(config);
        let order = Rc::new(RefCell::new(Vec::new()));
        for number in 0..USERS {
            let user = User {
                connections: client.connections(),
                client: client.clone(),
                origin: origin(address),
                wants: Wants::default(),
                timeouts: Timeouts::NEVER,
            };
            let order = order.clone();
            drumfire_reactor::spawn(async move {
                assert_eq!(user.get().await.sample.outcome, Outcome::Status(200));
                order.borrow_mut().push(number);
            });
        }
        while order.borrow().len() < USERS {
            drumfire_reactor::yield_now().await;
        }
        assert_eq!(client.counts().opened, sockets as u64);
        client.connections().close_idle();
        order.take()
    });
    assert_eq!(server.join().expect("the server is done"), sockets);
    order
}

#[test]
fn users_of_a_pool_are_served_in_the_order_in_which_they_came() {
    assert!(answered_over_a_pool(1).is_sorted());
}

#[test]
fn a_pool_opens_no_more_than_its_sockets() {
    // Between sockets the server decides who is answered first.
    let mut order = answered_over_a_pool(3);
    order.sort_unstable();
    assert_eq!(order, Vec::from_iter(0..50));
}

#[test]
fn requests_of_one_user_queue_for_its_socket() {
    let (address, server) = serve(vec![answering(vec![OK; 3])]);
    run(async {
        let user = User::new(address, ClientConfig::default());
        let (first, second, third) = futures_util::join!(user.get(), user.get(), user.get());
        for (exchange, connected) in [(&first, true), (&second, false), (&third, false)] {
            assert_eq!(exchange.sample.outcome, Outcome::Status(200));
            assert_eq!(exchange.sample.connected, connected);
        }
        assert!(first.sample.end_ns <= second.sample.end_ns);
        assert!(second.sample.end_ns <= third.sample.end_ns);
    });
    server.join().expect("the server is done");
}

#[test]
fn an_exchange_that_is_dropped_closes_its_connection_and_frees_its_place() {
    let silent = Box::new(|mut stream: TcpStream| {
        stream.read_to_end(&mut Vec::new()).ok();
    });
    let (address, server) = serve(vec![silent, answering(vec![OK])]);
    run(async {
        let user = User::new(address, ClientConfig::default());
        {
            let (mut first, mut waiting) = (Box::pin(user.get()), Box::pin(user.get()));
            for _ in 0..10 {
                let polls = poll_fn(|context| {
                    let first = first.as_mut().poll(context).is_pending();
                    Poll::Ready(first && waiting.as_mut().poll(context).is_pending())
                });
                assert!(polls.await);
                drumfire_reactor::yield_now().await;
            }
            assert_eq!(user.connections.open(), 1);
        }
        assert_eq!(user.connections.open(), 0);
        assert_eq!(user.get().await.sample.outcome, Outcome::Status(200));
    });
    server.join().expect("the server is done");
}

#[test]
fn an_answer_before_the_end_of_the_request_ends_the_exchange() {
    let (done, is_done) = mpsc::channel();
    let refusing = Box::new(move |mut stream: TcpStream| {
        read_request(&mut stream);
        let answer = "HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno";
        stream.write_all(answer.as_bytes()).expect("a client");
        // Reads nothing more while the client has something to send.
        is_done.recv().expect("the test goes on");
    });
    let (address, server) = serve(vec![refusing]);
    let sample = run(async {
        let user = User::new(address, ClientConfig::default());
        let sample = user.send("POST", &vec![b'x'; 30_000_000]).await.sample;
        assert_eq!(user.connections.open(), 0);
        sample
    });
    done.send(()).expect("the server waits");
    server.join().expect("the server is done");
    assert_eq!(sample.outcome, Outcome::Status(413));
    assert!(sample.sent_bytes < 30_000_000);
}

#[test]
fn a_large_request_is_sent_whole() {
    const BODY_BYTES: usize = 10_000_000;
    let counting = Box::new(|mut stream: TcpStream| {
        read_request(&mut stream);
        let mut body = vec![0; BODY_BYTES];
        stream.read_exact(&mut body).expect("a body");
        assert!(body.iter().all(|byte| *byte == b'x'));
        stream.write_all(OK.as_bytes()).expect("a client");
        finish(stream);
    });
    let (address, server) = serve(vec![counting]);
    let sample = run(async {
        let user = User::new(address, ClientConfig::default());
        user.send("POST", &vec![b'x'; BODY_BYTES]).await.sample
    });
    server.join().expect("the server is done");
    assert_eq!(sample.outcome, Outcome::Status(200));
    assert!(sample.sent_bytes > BODY_BYTES as u64);
}

#[test]
fn names_and_source_addresses_are_used() {
    let (told, peer) = mpsc::channel();
    let handler = Box::new(move |stream: TcpStream| {
        told.send(stream.peer_addr().expect("a peer").ip())
            .expect("the test waits");
        answering(vec![OK])(stream);
    });
    let (address, server) = serve(vec![handler]);
    let sample = run(async {
        let local_ips = vec![
            "::1".parse().expect("an address"),
            "127.0.0.7".parse().expect("an address"),
        ];
        let mut user = User::new(
            address,
            ClientConfig {
                local_ips,
                ..ClientConfig::default()
            },
        );
        user.origin =
            Origin::parse(&format!("http://localhost:{}", address.port())).expect("a URL");
        user.get().await.sample
    });
    server.join().expect("the server is done");
    assert_eq!(sample.outcome, Outcome::Status(200));
    assert!(sample.phases.dns_ns > 0);
    assert_eq!(
        peer.recv().expect("the server is called").to_string(),
        "127.0.0.7"
    );
}

#[test]
fn connections_opened_ahead_are_used_once_each_and_closed_ones_passed_over() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("a bound listener");
    run(async {
        let first = User::new(address, ClientConfig::default());
        let another = || User {
            connections: first.client.connections(),
            client: first.client.clone(),
            origin: first.origin.clone(),
            wants: first.wants,
            timeouts: first.timeouts,
        };
        assert_eq!(first.client.preconnect(&first.origin, 3).await, Ok(3));
        assert_eq!(first.connections.open(), 0);
        let accept = || listener.accept().expect("a client").0;
        let (kept, closed) = ([accept(), accept()], accept());
        drop(closed);
        drumfire_reactor::yield_now().await;
        let serve = |stream| std::thread::spawn(move || answering(vec![OK, OK])(stream));
        let mut served: Vec<_> = kept.into_iter().map(serve).collect();
        served.push(std::thread::spawn(move || {
            let (stream, _) = listener.accept().expect("a client");
            answering(vec![OK, OK])(stream);
        }));
        let mut closed = 0;
        let (second, third) = (another(), another());
        for (user, connects) in [(first, false), (second, false), (third, true)] {
            for connects in [connects, false] {
                let sample = user.get().await.sample;
                assert_eq!(sample.outcome, Outcome::Status(200));
                assert_eq!(sample.connected, connects);
                assert_eq!(sample.phases.connect_ns > 0, connects);
            }
            let counts = user.client.counts();
            assert_eq!(
                (counts.opened, counts.preconnected),
                (3 + u64::from(connects), 3)
            );
            closed = counts.closed_while_idle;
        }
        assert_eq!(closed, 1);
        served
            .into_iter()
            .for_each(|thread| thread.join().expect("the server is done"));
    });
}

#[test]
fn connections_opened_ahead_are_the_first_of_a_pool() {
    let (address, server) = serve(vec![answering(vec![OK; 3])]);
    run(async {
        let config = ClientConfig {
            pool_sockets: Some(1),
            ..ClientConfig::default()
        };
        let user = User::new(address, config);
        let client = &user.client;
        // No more than the pool takes.
        assert_eq!(client.preconnect(&user.origin, 5).await, Ok(1));
        assert_eq!(client.preconnect(&user.origin, 5).await, Ok(0));
        assert_eq!(user.connections.open(), 1);
        for _ in 0..3 {
            assert!(!user.get().await.sample.connected);
        }
        assert_eq!(client.counts().opened, 1);
    });
    server.join().expect("the server is done");
}

#[test]
fn a_target_that_cannot_be_reached_ahead_is_told_with_its_addresses() {
    let (address, server) = serve(Vec::new());
    server.join().expect("it serves nobody");
    let config = ClientConfig {
        allowed_targets: Some(AllowedTargets::new([AllowedTarget {
            host: AllowedHost::Named("localhost".to_owned()),
            port: Some(address.port()),
        }])),
        ..ClientConfig::default()
    };
    let port = address.port();
    let reach =
        "is the target up, can this machine reach it, and does it take so many connections?";
    let allowed = "allow-targets says where this machine may connect to";
    for (host, resolved, failed, hint) in [
        (
            "localhost",
            Ok(()),
            " (127.0.0.1, ::1) before the start: ECONNREFUSED",
            reach,
        ),
        (
            "127.0.0.1",
            Err(Failure::TargetNotAllowed),
            " before the start: target_not_allowed",
            allowed,
        ),
    ] {
        run(async {
            let client = Client::new(config.clone());
            let origin = Origin::parse(&format!("http://{host}:{port}")).expect("a URL");
            assert_eq!(client.resolve(&origin).await, resolved);
            let error = client
                .preconnect(&origin, 2)
                .await
                .expect_err("nobody listens");
            assert_eq!(
                error.to_string(),
                format!("open 2 connections to {origin}{failed} after 0 of them\nhint: {hint}")
            );
        });
    }
}
