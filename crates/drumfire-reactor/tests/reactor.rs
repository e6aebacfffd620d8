//! The reactor from outside: order of tasks, time, sockets, other threads.

use drumfire_reactor::{
    ConnectOptions, Reactor, TcpListener, TcpStream, now, scratch, sleep, sleep_until,
    sleep_until_precise, spawn, yield_now,
};
use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

const SECOND_NS: u64 = 1_000_000_000;
const TICK_NS: u64 = 1 << 16;

fn loopback() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 0).into()
}

#[test]
fn simulated_time_jumps_to_each_deadline() {
    let reactor = Reactor::simulated(7).unwrap();
    let log = Rc::new(RefCell::new(Vec::new()));
    let out = log.clone();
    reactor.block_on(async move {
        for (name, seconds) in [("c", 3600), ("a", 1), ("b", 60)] {
            let log = log.clone();
            spawn(async move {
                sleep(Duration::from_secs(seconds)).await;
                log.borrow_mut().push((name, now()));
            });
        }
        sleep_until(7 + 3601 * SECOND_NS).await;
    });
    let names: Vec<_> = out.borrow().iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["a", "b", "c"]);
    for (&(name, at), seconds) in out.borrow().iter().zip([1, 60, 3600]) {
        let due = 7 + seconds * SECOND_NS;
        assert!((due..=due + TICK_NS).contains(&at), "{name} at {at}");
    }
}

#[test]
fn precise_timers_wake_at_their_nanosecond_and_in_order() {
    let reactor = Reactor::simulated(0).unwrap();
    let seen = reactor.block_on(async {
        let mut seen = Vec::new();
        for deadline in [500_001, 500_002, 1_000_003] {
            sleep_until_precise(deadline).await;
            seen.push(now());
        }
        seen
    });
    assert_eq!(seen, [500_001, 500_002, 1_000_003]);
}

#[test]
fn a_sleep_moved_later_fires_at_the_later_time_only() {
    let reactor = Reactor::simulated(0).unwrap();
    let fired_at = reactor.block_on(async {
        let mut timer = sleep_until(SECOND_NS);
        poll_fn(|context| {
            assert!(std::pin::Pin::new(&mut timer).poll(context).is_pending());
            std::task::Poll::Ready(())
        })
        .await;
        timer.reset(5 * SECOND_NS);
        timer.await;
        now()
    });
    assert!((5 * SECOND_NS..=5 * SECOND_NS + TICK_NS).contains(&fired_at));
}

#[test]
fn a_sleep_moved_earlier_fires_at_the_earlier_time() {
    let reactor = Reactor::simulated(0).unwrap();
    let fired_at = reactor.block_on(async {
        let mut timer = sleep_until(5 * SECOND_NS);
        poll_fn(|context| {
            assert!(std::pin::Pin::new(&mut timer).poll(context).is_pending());
            std::task::Poll::Ready(())
        })
        .await;
        timer.reset(SECOND_NS);
        timer.await;
        now()
    });
    assert!((SECOND_NS..=SECOND_NS + TICK_NS).contains(&fired_at));
}

#[test]
fn sockets_echo_through_a_tiny_buffer() {
    let reactor = Reactor::new().unwrap();
    let sent: Vec<u8> = (0..200_000u32).map(|i| i as u8).collect();
    let expected = sent.clone();
    let received = reactor.block_on(async move {
        let listener = TcpListener::bind(loopback()).unwrap();
        let address = listener.local_addr().unwrap();
        spawn(async move {
            let peer = listener.accept().await.unwrap();
            let mut buffer = [0; 1000];
            loop {
                let count = poll_fn(|context| peer.poll_recv(context, &mut buffer))
                    .await
                    .unwrap();
                if count == 0 {
                    return;
                }
                send_all(&peer, &buffer[..count]).await;
            }
        });
        let stream = Rc::new(
            TcpStream::connect(address, &ConnectOptions::default())
                .await
                .unwrap(),
        );
        let writer = stream.clone();
        spawn(async move { send_all(&writer, &sent).await });
        let mut received = Vec::new();
        while received.len() < 200_000 {
            let chunk = poll_fn(|context| {
                scratch(|buffer| {
                    stream
                        .poll_recv(context, buffer)
                        .map_ok(|count| buffer[..count].to_vec())
                })
            })
            .await
            .unwrap();
            received.extend(chunk);
        }
        received
    });
    assert!(received == expected);
}

async fn send_all(stream: &TcpStream, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        let count = poll_fn(|context| stream.poll_send(context, bytes))
            .await
            .unwrap();
        bytes = &bytes[count..];
    }
}

#[test]
fn a_refused_connection_is_an_error() {
    let reactor = Reactor::new().unwrap();
    let error = reactor.block_on(async {
        let listener = TcpListener::bind(loopback()).unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        TcpStream::connect(address, &ConnectOptions::default())
            .await
            .unwrap_err()
    });
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
}

#[test]
fn an_idle_connection_shows_that_its_peer_has_gone() {
    let reactor = Reactor::new().unwrap();
    reactor.block_on(async {
        let listener = TcpListener::bind(loopback()).unwrap();
        let options = ConnectOptions {
            local: Some(Ipv4Addr::new(127, 0, 0, 9).into()),
            ..ConnectOptions::default()
        };
        let stream = TcpStream::connect(listener.local_addr().unwrap(), &options)
            .await
            .unwrap();
        assert_eq!(
            stream.local_addr().unwrap().ip(),
            Ipv4Addr::new(127, 0, 0, 9)
        );
        let peer = listener.accept().await.unwrap();
        assert!(!stream.is_readable());
        drop(peer);
        let mut buffer = [0; 16];
        let count = poll_fn(|context| stream.poll_recv(context, &mut buffer))
            .await
            .unwrap();
        assert_eq!(count, 0);
        assert!(stream.is_readable());
    });
}

#[test]
fn another_thread_wakes_a_task() {
    let reactor = Reactor::new().unwrap();
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let thread = std::thread::spawn(move || sender.send(42).unwrap());
    assert_eq!(reactor.block_on(receiver), Ok(42));
    thread.join().unwrap();
}

#[test]
fn tasks_are_dropped_with_the_reactor_and_may_hold_its_timers() {
    struct OnDrop(Rc<Cell<u32>>);
    impl Drop for OnDrop {
        fn drop(&mut self) {
            self.0.set(self.0.get() + 1);
        }
    }
    let drops = Rc::new(Cell::new(0));
    let reactor = Reactor::simulated(0).unwrap();
    reactor.block_on(async {
        for _ in 0..10 {
            let guard = OnDrop(drops.clone());
            spawn(async move {
                sleep(Duration::from_secs(3600)).await;
                drop(guard);
            });
        }
        yield_now().await;
    });
    assert_eq!((drops.get(), reactor.live_tasks()), (0, 10));
    drop(reactor);
    assert_eq!(drops.get(), 10);
}
