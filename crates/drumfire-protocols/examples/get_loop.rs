//! Sends N GET requests over C connections to an address and prints what came
//! back, for `perf` and `callgrind`: `get_loop 127.0.0.1:8080 100000 100 [/path]`.

use drumfire_metrics::Outcome;
use drumfire_protocols::{Client, ClientConfig, Origin, RequestBytes, Timeouts, Wants};
use drumfire_reactor::{Reactor, now, spawn, yield_now};
use std::cell::Cell;
use std::error::Error;
use std::rc::Rc;
use std::time::Duration;

#[derive(Default)]
struct Counts {
    started: Cell<u64>,
    answered: Cell<u64>,
    failed: Cell<u64>,
    running: Cell<u64>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, address, requests, users, rest @ ..] = &arguments[..] else {
        return Err("usage: get_loop ADDRESS REQUESTS CONNECTIONS [PATH]".into());
    };
    let path = rest.first().map_or("/", String::as_str);
    let origin = Origin::parse(&format!("http://{address}"))?;
    let requests: u64 = requests.parse()?;
    let users: u64 = users.parse()?;
    let mut request = RequestBytes::default();
    request.start("GET", path)?;
    request.header("host", origin.authority().as_bytes())?;
    request.header("user-agent", b"drumfire")?;
    request.header("accept", b"*/*")?;
    request.finish(b"");
    let wire: Rc<[u8]> = request.into_bytes().into();
    let counts = Rc::new(Counts::default());
    let began_ns = now();
    Reactor::new()?.block_on(async {
        let client = Client::new(ClientConfig::default());
        counts.running.set(users);
        for _ in 0..users {
            spawn(user(
                client.clone(),
                origin.clone(),
                wire.clone(),
                counts.clone(),
                requests,
            ));
        }
        while counts.running.get() > 0 {
            drumfire_reactor::sleep(Duration::from_millis(1)).await;
            yield_now().await;
        }
    });
    let seconds = (now() - began_ns) as f64 / 1e9;
    let (answered, failed) = (counts.answered.get(), counts.failed.get());
    println!(
        "{answered} answered, {failed} failed, {:.0} requests/s",
        answered as f64 / seconds
    );
    Ok(())
}

async fn user(client: Client, origin: Origin, wire: Rc<[u8]>, counts: Rc<Counts>, requests: u64) {
    let connections = client.connections();
    let timeouts = Timeouts::artillery(Duration::from_secs(10));
    while counts.started.get() < requests {
        counts.started.set(counts.started.get() + 1);
        let request = drumfire_protocols::Request::from_wire(&wire);
        let exchange = client.exchange(
            &connections,
            &origin,
            request,
            Wants::default(),
            &timeouts,
            now(),
        );
        let counter = match exchange.await.sample.outcome {
            Outcome::Status(_) => &counts.answered,
            _ => &counts.failed,
        };
        counter.set(counter.get() + 1);
    }
    counts.running.set(counts.running.get() - 1);
}
