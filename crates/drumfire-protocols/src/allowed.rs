//! Where a client may connect to, when that is limited: checked with the resolved address before each connection, so that
//! neither a redirect nor a URL that is only known at run time leads elsewhere.

use crate::Origin;
use std::net::IpAddr;
use std::sync::Arc;

/// Something that a client may connect to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowedTarget {
    /// Which hosts.
    pub host: AllowedHost,
    /// Which port; any where it is none.
    pub port: Option<u16>,
}

/// Hosts that a client may connect to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AllowedHost {
    /// The host of this name, in lower case, wherever its name leads.
    Named(String),
    /// Every address whose first bits are those of this one.
    Network {
        /// One of them.
        address: IpAddr,
        /// How many bits they share.
        prefix_bits: u8,
    },
}

/// The only targets of a client; clones share one list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowedTargets(Arc<[AllowedTarget]>);

impl AllowedTargets {
    /// These and no others.
    pub fn new(targets: impl IntoIterator<Item = AllowedTarget>) -> Self {
        AllowedTargets(targets.into_iter().collect())
    }

    /// Whether any address of `origin` would do. Where that hangs on what its name leads to, it would.
    pub fn may_reach(&self, origin: &Origin) -> bool {
        match origin.ip() {
            Some(address) => self.allows(origin, address),
            None => self.names(origin) || self.of_port(origin).any(AllowedTarget::is_network),
        }
    }

    /// Whether `origin` may be connected to at this address.
    pub fn allows(&self, origin: &Origin, address: IpAddr) -> bool {
        self.names(origin) || self.of_port(origin).any(|target| target.has(address))
    }

    fn names(&self, origin: &Origin) -> bool {
        let asked = origin.host().trim_end_matches('.');
        self.of_port(origin).any(|target| match &target.host {
            AllowedHost::Named(name) => name.trim_end_matches('.') == asked,
            AllowedHost::Network { .. } => false,
        })
    }

    fn of_port(&self, origin: &Origin) -> impl Iterator<Item = &AllowedTarget> {
        let port = origin.port();
        let is_of = move |target: &&AllowedTarget| target.port.is_none_or(|only| only == port);
        self.0.iter().filter(is_of)
    }
}

impl AllowedTarget {
    fn is_network(&self) -> bool {
        matches!(self.host, AllowedHost::Network { .. })
    }

    fn has(&self, asked: IpAddr) -> bool {
        match self.host {
            AllowedHost::Named(_) => false,
            AllowedHost::Network {
                address,
                prefix_bits,
            } => share_bits(address, asked, prefix_bits),
        }
    }
}

/// Whether two addresses begin with the same bits. An IPv4 address that is written as one of IPv6 is the IPv4 address.
fn share_bits(one: IpAddr, other: IpAddr, bits: u8) -> bool {
    match (one, other.to_canonical()) {
        (IpAddr::V4(one), IpAddr::V4(other)) => {
            let differing = one.to_bits() ^ other.to_bits();
            differing.leading_zeros() >= u32::from(bits)
        }
        (IpAddr::V6(one), IpAddr::V6(other)) => {
            let differing = one.to_bits() ^ other.to_bits();
            differing.leading_zeros() >= u32::from(bits)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str, port: Option<u16>) -> AllowedTarget {
        AllowedTarget {
            host: AllowedHost::Named(name.to_owned()),
            port,
        }
    }

    fn network(address: &str, prefix_bits: u8, port: Option<u16>) -> AllowedTarget {
        AllowedTarget {
            host: AllowedHost::Network {
                address: address.parse().expect(address),
                prefix_bits,
            },
            port,
        }
    }

    fn origin(url: &str) -> Origin {
        Origin::parse(url).expect(url)
    }

    #[test]
    fn a_connection_goes_to_an_allowed_name_or_address() {
        let ten = || network("10.0.0.0", 8, None);
        for (target, url, address, allowed) in [
            (named("shop", None), "http://shop", "192.0.2.1", true),
            (named("shop", None), "http://SHOP.:81", "192.0.2.1", true),
            (named("shop", Some(81)), "http://shop", "192.0.2.1", false),
            (named("shop", Some(443)), "https://shop", "192.0.2.1", true),
            (named("shop", None), "http://a.shop", "192.0.2.1", false),
            (ten(), "http://shop", "10.255.0.1", true),
            (ten(), "http://shop", "11.0.0.1", false),
            (ten(), "http://shop", "::ffff:10.1.2.3", true),
            (ten(), "http://shop", "::10.1.2.3", false),
            (network("0.0.0.0", 0, None), "http://shop", "11.0.0.1", true),
            (network("0.0.0.0", 0, None), "http://shop", "fd00::1", false),
            (network("::", 0, None), "http://shop", "fd00::1", true),
            (network("fd00::", 8, None), "http://shop", "fe00::1", false),
            (
                network("::1", 128, Some(80)),
                "http://shop:81",
                "::1",
                false,
            ),
        ] {
            let targets = AllowedTargets::new([target]);
            let address = address.parse().expect(address);
            let found = targets.allows(&origin(url), address);
            assert_eq!(found, allowed, "{targets:?} {url} {address}");
        }
    }

    #[test]
    fn what_no_address_can_allow_needs_none() {
        for (target, url, may) in [
            (named("shop", None), "http://shop", true),
            (named("shop", None), "http://other", false),
            (named("shop", None), "http://10.0.0.1", false),
            (network("10.0.0.0", 8, None), "http://other", true),
            (network("10.0.0.0", 8, Some(81)), "http://other", false),
            (network("10.0.0.0", 8, None), "http://10.0.0.1", true),
            (network("10.0.0.0", 8, None), "http://11.0.0.1", false),
        ] {
            let targets = AllowedTargets::new([target]);
            let found = targets.may_reach(&origin(url));
            assert_eq!(found, may, "{targets:?} {url}");
        }
        assert!(!AllowedTargets::new([]).may_reach(&origin("http://shop")));
    }
}
