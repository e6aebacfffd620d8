//! Names to addresses. Lookups run on a thread of their own, shared by all
//! shards; each shard keeps the answers for their time to live.

use crate::{Failure, Origin};
use hickory_resolver::TokioResolver;
use std::cell::RefCell;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::rc::Rc;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// Lookups that may wait for the resolver's thread at once, over all shards.
const QUEUED_LOOKUPS: usize = 4096;
/// The shortest and longest time for which a shard keeps an answer.
const TIME_TO_LIVE_S: std::ops::RangeInclusive<u64> = 1..=3600;
/// Names that a shard keeps; a script that makes up more looks them up anew.
const NAMES_KEPT: usize = 16_384;
/// For how long a shard keeps the news that a name does not exist.
const NEGATIVE_TTL_NS: u64 = 1_000_000_000;

/// A handle to the lookup thread, which starts with the first name that is not an address.
#[derive(Clone, Default)]
pub struct Resolver {
    lookups: Arc<OnceLock<mpsc::Sender<Lookup>>>,
}

struct Lookup {
    host: String,
    answer: oneshot::Sender<Result<Addresses, Failure>>,
}

/// The addresses of a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addresses {
    /// At least one.
    pub ips: Vec<IpAddr>,
    /// For how long they hold.
    pub time_to_live: Duration,
}

impl Resolver {
    /// A resolver that follows the system's configuration and its hosts file.
    pub fn system() -> Resolver {
        Resolver::default()
    }

    /// Looks a name up.
    ///
    /// # Errors
    ///
    /// [`Failure::NameNotFound`], or [`Failure::NameLookupFailed`] where no name server answers.
    pub async fn lookup(&self, host: &str) -> Result<Addresses, Failure> {
        let lookups = self.lookups.get_or_init(start_thread);
        let (answer, answered) = oneshot::channel();
        let lookup = Lookup {
            host: host.to_owned(),
            answer,
        };
        let sent = lookups.send(lookup).await;
        sent.map_err(|_| Failure::NameLookupFailed)?;
        answered.await.unwrap_or(Err(Failure::NameLookupFailed))
    }
}

fn start_thread() -> mpsc::Sender<Lookup> {
    let (lookups, mut queue) = mpsc::channel::<Lookup>(QUEUED_LOOKUPS);
    let serve = move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let Ok(runtime) = runtime else { return };
        runtime.block_on(async {
            let resolver = system_resolver();
            while let Some(lookup) = queue.recv().await {
                tokio::spawn(answer(resolver.clone(), lookup));
            }
        });
    };
    // Without a thread the queue is closed, and every lookup fails as unanswered.
    drop(
        std::thread::Builder::new()
            .name("drumfire-names".into())
            .spawn(serve),
    );
    lookups
}

fn system_resolver() -> Option<Arc<TokioResolver>> {
    let mut builder = TokioResolver::builder_tokio().ok()?;
    // Each shard keeps answers itself; a second cache here would defeat looking up anew.
    builder.options_mut().cache_size = 0;
    builder.build().ok().map(Arc::new)
}

async fn answer(resolver: Option<Arc<TokioResolver>>, lookup: Lookup) {
    let found = match (is_localhost(&lookup.host), resolver) {
        (true, _) => Ok(localhost()),
        (false, Some(resolver)) => look_up(&resolver, &lookup.host).await,
        (false, None) => Err(Failure::NameLookupFailed),
    };
    // A user that stopped waiting is no longer interested.
    drop(lookup.answer.send(found));
}

async fn look_up(resolver: &TokioResolver, host: &str) -> Result<Addresses, Failure> {
    match resolver.lookup_ip(host).await {
        Ok(found) => {
            let records = found.as_lookup().answers();
            let ttl = records.iter().map(|record| record.ttl).min().unwrap_or(0);
            let ips: Vec<IpAddr> = found.iter().collect();
            match ips.is_empty() {
                true => Err(Failure::NameNotFound),
                false => Ok(Addresses {
                    ips,
                    time_to_live: Duration::from_secs(ttl.into()),
                }),
            }
        }
        Err(error) if error.is_nx_domain() || error.is_no_records_found() => {
            Err(Failure::NameNotFound)
        }
        Err(_) => Err(Failure::NameLookupFailed),
    }
}

/// RFC 6761 keeps `localhost` for this machine; it never goes to a name server.
fn is_localhost(host: &str) -> bool {
    let host = host.trim_end_matches('.');
    host.eq_ignore_ascii_case("localhost") || host.to_ascii_lowercase().ends_with(".localhost")
}

fn localhost() -> Addresses {
    Addresses {
        ips: vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()],
        time_to_live: Duration::from_secs(*TIME_TO_LIVE_S.end()),
    }
}

/// The addresses that one shard knows.
pub(crate) struct NameCache {
    resolver: Resolver,
    /// Look every name up again for every connection, as a balancer by name needs.
    each_connect: bool,
    names: RefCell<HashMap<String, Rc<Name>>>,
}

/// One name. The first user to ask holds the lock while it looks the name up,
/// the others wait for it.
struct Name {
    known: tokio::sync::Mutex<Option<Known>>,
}

struct Known {
    addresses: Result<Rc<[IpAddr]>, Failure>,
    expires_ns: u64,
    next: usize,
}

impl NameCache {
    pub(crate) fn new(resolver: Resolver, each_connect: bool) -> NameCache {
        NameCache {
            resolver,
            each_connect,
            names: RefCell::default(),
        }
    }

    /// The addresses of an origin, another one first each time.
    pub(crate) async fn addresses(&self, origin: &Origin) -> Result<Vec<IpAddr>, Failure> {
        if let Some(ip) = origin.ip() {
            return Ok(vec![ip]);
        }
        if self.each_connect {
            return Ok(self.resolver.lookup(origin.host()).await?.ips);
        }
        let name = self.name(origin.host());
        let mut known = name.known.lock().await;
        let now_ns = drumfire_reactor::now();
        let fresh = matches!(&*known, Some(known) if known.expires_ns > now_ns);
        if !fresh {
            let next = known.as_ref().map_or(0, |known| known.next);
            *known = Some(Known::new(self.resolver.lookup(origin.host()).await, next));
        }
        match &mut *known {
            Some(known) => known.rotated(),
            None => Err(Failure::NameLookupFailed),
        }
    }

    fn name(&self, host: &str) -> Rc<Name> {
        let mut names = self.names.borrow_mut();
        if names.len() >= NAMES_KEPT {
            names.clear();
        }
        if let Some(name) = names.get(host) {
            return name.clone();
        }
        let name = Rc::new(Name {
            known: tokio::sync::Mutex::new(None),
        });
        names.insert(host.to_owned(), name.clone());
        name
    }
}

impl Known {
    fn new(found: Result<Addresses, Failure>, next: usize) -> Known {
        let now_ns = drumfire_reactor::now();
        let ttl_ns = match &found {
            Ok(answer) => {
                let seconds = answer.time_to_live.as_secs();
                seconds.clamp(*TIME_TO_LIVE_S.start(), *TIME_TO_LIVE_S.end()) * 1_000_000_000
            }
            Err(_) => NEGATIVE_TTL_NS,
        };
        Known {
            addresses: found.map(|answer| answer.ips.into()),
            expires_ns: now_ns + ttl_ns,
            next,
        }
    }

    /// All addresses, each time beginning with the next; those of IPv4 come
    /// first, so that a name with both costs no failed connect where only one works.
    fn rotated(&mut self) -> Result<Vec<IpAddr>, Failure> {
        let addresses = self.addresses.as_ref().map_err(|failure| *failure)?;
        self.next = self.next.wrapping_add(1);
        Ok(rotate(addresses, self.next))
    }
}

fn rotate(addresses: &[IpAddr], by: usize) -> Vec<IpAddr> {
    let (mut v4, mut v6): (Vec<IpAddr>, Vec<IpAddr>) =
        addresses.iter().partition(|ip| ip.is_ipv4());
    for family in [&mut v4, &mut v6] {
        let places = by % family.len().max(1);
        family.rotate_left(places);
    }
    v4.append(&mut v6);
    v4
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_of_the_first_family_gets_its_turn() {
        let ip = |text: &str| -> IpAddr { text.parse().expect(text) };
        let addresses = [ip("::1"), ip("10.0.0.1"), ip("10.0.0.2")];
        let firsts: Vec<IpAddr> = (0..4).map(|by| rotate(&addresses, by)[0]).collect();
        assert_eq!(
            firsts,
            [
                ip("10.0.0.1"),
                ip("10.0.0.2"),
                ip("10.0.0.1"),
                ip("10.0.0.2")
            ]
        );
        assert_eq!(rotate(&addresses, 1)[2], ip("::1"));
        assert!(rotate(&[], 1).is_empty());
    }

    #[test]
    fn only_localhost_is_localhost() {
        for (host, expected) in [
            ("localhost", true),
            ("LocalHost.", true),
            ("a.localhost", true),
            ("localhost.example.org", false),
            ("notlocalhost", false),
        ] {
            assert_eq!(is_localhost(host), expected, "{host}");
        }
    }
}
