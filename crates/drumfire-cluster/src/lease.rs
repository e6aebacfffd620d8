//! A lease that its agent may extend by itself: what stands in the broker for one agent, so that it goes on while it hears
//! no coordinator, and that a coordinator can lock, so that what it takes from the agent stays taken.
//!
//! The broker changes it for one at a time. Whoever comes first wins: an extension before a lock is known to whoever
//! locks, and after a lock there is none, until the coordinator tells the agent of that lock in a grant.

/// Names a lock; those of a later term, and later ones of a term, are greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct LockId {
    /// The coordinator's term; 0 where nothing was locked.
    pub term: u64,
    /// Counts up in the term.
    pub number: u64,
}

/// What the broker keeps of one agent's lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Lease {
    /// The end of everything that the agent gave itself, nanoseconds since the run's start.
    pub extended_until_ns: u64,
    /// The newest lock.
    pub lock: LockId,
}

impl Lease {
    /// The lease extended by its agent, to whom the newest of the locks that were undone is `known`; none when it is locked.
    pub fn extended(self, until_ns: u64, known: LockId) -> Option<Self> {
        (self.lock <= known).then(|| Self {
            extended_until_ns: self.extended_until_ns.max(until_ns),
            ..self
        })
    }

    /// The lease locked.
    pub fn locked(self, lock: LockId) -> Self {
        Self {
            lock: self.lock.max(lock),
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: LockId = LockId { term: 1, number: 1 };
    const NEXT: LockId = LockId { term: 2, number: 1 };

    #[test]
    fn a_locked_lease_is_not_extended() {
        let lease = Lease::default()
            .extended(5, LockId::default())
            .expect("nothing is locked");
        let locked = lease.locked(FIRST);
        assert_eq!(locked.extended_until_ns, 5);
        assert_eq!(locked.extended(9, LockId::default()), None);
        let extended = locked.extended(9, FIRST).expect("the lock is undone");
        assert_eq!(extended.extended_until_ns, 9);
        assert_eq!(extended.locked(NEXT).extended(10, FIRST), None);
        // A coordinator that was superseded undoes no later lock.
        assert_eq!(extended.locked(NEXT).locked(FIRST).lock, NEXT);
    }
}
