//! Who takes part: an agent's name, and which of its lives it is in.

use crate::signing;
use sha2::{Digest as _, Sha256};
use std::fmt;
use std::sync::Arc;

/// One life of one agent. An agent whose process starts anew is a new member, so that nothing its earlier
/// life owned, sent or numbered is taken for its own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Member {
    /// The agent's name: the pod's, or the host's.
    pub agent: Arc<str>,
    /// Which life of it: any number that no other life of this agent has.
    pub incarnation: u64,
}

impl Member {
    /// A life of an agent.
    pub fn new(agent: &str, incarnation: u64) -> Self {
        Self {
            agent: agent.into(),
            incarnation,
        }
    }
}

impl fmt::Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{:x}", self.agent, self.incarnation)
    }
}

/// The SHA-256 of a bundle: what agents check before they run it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// Of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&signing::hexadecimal(&self.0))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}
