//! Whether a broker that is lost is out of order for everyone, or only out of reach from here: a host that refuses
//! connections says that nothing listens there, one that is cut off says nothing.

use super::broker::Broker;
use crate::link::AgentMail;
use drumfire_reactor::now;
use std::io::ErrorKind;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::mpsc::Sender;
use tokio::time::{sleep, timeout};

/// Between two looks at the connection, and between two attempts to make another.
const LOOK: Duration = Duration::from_millis(100);

/// Who has said nothing for so long does not refuse.
const ANSWER_LIMIT: Duration = Duration::from_millis(500);

/// Tells of each time that the broker refuses, as long as anyone listens.
pub(super) async fn watch(broker: Broker, refusals: Sender<AgentMail>) {
    let mut lost = broker.lost.clone();
    while !refusals.is_closed() {
        if !broker.is_away() {
            tokio::select! {
                changed = lost.changed() => if changed.is_err() {
                    return;
                },
                () = refusals.closed() => return,
            }
        }
        sleep(LOOK).await;
        if !broker.is_away() {
            continue;
        }
        let began_ns = now();
        if refuses(&broker).await {
            let ended_ns = now();
            // What is not taken is out of date soon.
            drop(refusals.try_send(AgentMail::Refused { began_ns, ended_ns }));
        }
    }
}

/// Whether every server of the broker that is known refuses connections.
async fn refuses(broker: &Broker) -> bool {
    let discovered = broker.client.server_info().connect_urls;
    let known = broker.servers.iter();
    let known = known.map(|server| (server.host().to_owned(), server.port()));
    let mut places: Vec<(String, u16)> = known.collect();
    for place in discovered {
        match place
            .rsplit_once(':')
            .map(|(host, port)| (host, port.parse()))
        {
            Some((host, Ok(port))) => {
                places.push((host.trim_matches(['[', ']']).to_owned(), port));
            }
            _ => return false,
        }
    }
    for (host, port) in places {
        let connected = timeout(ANSWER_LIMIT, TcpStream::connect((host.as_str(), port))).await;
        let refused = connected.is_ok_and(|connected| {
            connected.is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
        });
        if !refused {
            return false;
        }
    }
    true
}
