//! Sends N GET requests as C users to a URL and prints what came back, for
//! `perf` and `callgrind`: `get_loop http://127.0.0.1:8080/ 100000 100 [http2] [pool=S]`.
//! Certificates are not checked.

use drumfire_metrics::Outcome;
use drumfire_protocols::{
    Client, ClientConfig, Http2, Origin, RequestBytes, Scheme, Timeouts, Tls, TlsOptions, Wants,
};
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
    let [_, url, requests, users, options @ ..] = &arguments[..] else {
        return Err("usage: get_loop URL REQUESTS USERS [http2] [pool=SOCKETS]".into());
    };
    let url = url::Url::parse(url)?;
    let origin = Origin::of(&url)?;
    let requests: u64 = requests.parse()?;
    let users: u64 = users.parse()?;
    let mut request = RequestBytes::default();
    request.start("GET", url.path())?;
    request.header("host", origin.authority().as_bytes())?;
    request.header("user-agent", b"drumfire")?;
    request.header("accept", b"*/*")?;
    request.finish(b"");
    let wire: Rc<[u8]> = request.into_bytes().into();
    let config = config(options, origin.scheme())?;
    let counts = Rc::new(Counts::default());
    let began_ns = now();
    Reactor::new()?.block_on(async {
        let client = Client::new(config);
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

fn config(options: &[String], scheme: Scheme) -> Result<ClientConfig, Box<dyn Error>> {
    let tls = TlsOptions {
        insecure: true,
        ..TlsOptions::default()
    };
    let pool = options
        .iter()
        .find_map(|option| option.strip_prefix("pool="));
    Ok(ClientConfig {
        tls: Tls::new(&tls)?,
        pool_sockets: pool.map(str::parse).transpose()?,
        http2: match (options.iter().any(|option| option == "http2"), scheme) {
            (false, _) => Http2::Off,
            (true, Scheme::Http) => Http2::PriorKnowledge,
            (true, Scheme::Https) => Http2::Alpn,
        },
        ..ClientConfig::default()
    })
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
