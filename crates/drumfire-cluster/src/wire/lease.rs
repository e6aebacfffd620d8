//! An agent's lease, on its way to the broker.

use crate::lease::{Lease, LockId};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
pub(super) struct Body {
    extended_until_ns: u64,
    lock: WireLock,
}

#[derive(Serialize, Deserialize)]
pub(super) struct WireLock {
    term: u64,
    number: u64,
}

impl From<Lease> for Body {
    fn from(lease: Lease) -> Self {
        Self {
            extended_until_ns: lease.extended_until_ns,
            lock: lease.lock.into(),
        }
    }
}

impl From<Body> for Lease {
    fn from(body: Body) -> Self {
        Self {
            extended_until_ns: body.extended_until_ns,
            lock: body.lock.into(),
        }
    }
}

impl From<LockId> for WireLock {
    fn from(lock: LockId) -> Self {
        Self {
            term: lock.term,
            number: lock.number,
        }
    }
}

impl From<WireLock> for LockId {
    fn from(lock: WireLock) -> Self {
        Self {
            term: lock.term,
            number: lock.number,
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::lease::{Lease, LockId};
    use crate::wire::{read_lease, write_lease};

    #[test]
    fn it_comes_back() {
        let lease = Lease {
            extended_until_ns: 5,
            lock: LockId { term: 2, number: 3 },
        };
        assert_eq!(read_lease(&write_lease(lease)).ok(), Some(lease));
    }
}
