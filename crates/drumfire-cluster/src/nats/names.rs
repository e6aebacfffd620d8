//! Names as tokens of subjects, keys, buckets and streams, and the subjects made of them.
//!
//! Letters, digits and `-` stand for themselves, `__` for `_`, and `_` with two hexadecimal digits for any other byte: what
//! a broker takes everywhere, and different for different names.

use crate::member::Member;
use std::fmt;

/// The longest name, in bytes of its token.
pub const MAX_NAME_BYTES: usize = 192;

/// A name that the broker takes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Name {
    text: String,
    token: String,
}

/// Why a name cannot be one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing names nothing.
    #[error("name a cluster, group, run or agent: the name is empty")]
    Empty,
    /// Subjects and streams have a longest name.
    #[error("name a cluster, group, run or agent: {0:?} has more than {MAX_NAME_BYTES} bytes")]
    TooLong(String),
}

impl Name {
    /// Takes a name.
    ///
    /// # Errors
    /// When it is empty, or longer than [`MAX_NAME_BYTES`].
    pub fn new(text: &str) -> Result<Self, NameError> {
        let token = token(text);
        let text = text.to_owned();
        match token.len() {
            0 => Err(NameError::Empty),
            1..=MAX_NAME_BYTES => Ok(Self { text, token }),
            _ => Err(NameError::TooLong(text)),
        }
    }

    /// As it was given.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn token(text: &str) -> String {
    let mut token = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'-' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => token.push(char::from(byte)),
            b'_' => token.push_str("__"),
            _ => token.push_str(&format!("_{byte:02X}")),
        }
    }
    token
}

/// Where a cluster's messages and memory are.
#[derive(Debug, Clone)]
pub(super) struct Places {
    cluster: String,
}

impl Places {
    pub(super) fn new(cluster: &Name) -> Self {
        Self {
            cluster: cluster.token.clone(),
        }
    }

    pub(super) fn invitation(&self, group: &Name) -> String {
        format!("drumfire.{}.{}.invitation", self.cluster, group.token)
    }

    /// Commands to the coordinator of the latest run.
    pub(super) fn command(&self) -> String {
        format!("drumfire.{}.command", self.cluster)
    }

    pub(super) fn run(&self, run: &Name) -> RunPlaces {
        RunPlaces {
            root: format!("drumfire.{}.run.{}", self.cluster, run.token),
            facts: format!("{}.fact.", run.token),
            leases: format!("{}.lease.", run.token),
        }
    }

    pub(super) fn snapshots_stream(&self) -> String {
        format!("drumfire-{}-snapshots", self.cluster)
    }

    /// All snapshots of all runs.
    pub(super) fn snapshots(&self) -> String {
        format!("drumfire.{}.run.*.snapshot.>", self.cluster)
    }

    pub(super) fn record_bucket(&self) -> String {
        format!("drumfire-{}-record", self.cluster)
    }

    pub(super) fn bundles_bucket(&self) -> String {
        format!("drumfire-{}-bundles", self.cluster)
    }
}

/// The key of the latest run.
pub(super) const LATEST_KEY: &str = "latest";

/// Where one run's are.
#[derive(Debug, Clone)]
pub(super) struct RunPlaces {
    root: String,
    facts: String,
    leases: String,
}

impl RunPlaces {
    pub(super) fn heartbeat(&self) -> String {
        format!("{}.heartbeat", self.root)
    }

    pub(super) fn command(&self) -> String {
        format!("{}.command", self.root)
    }

    pub(super) fn directive(&self, to: &Member) -> Result<String, NameError> {
        Ok(format!("{}.to.{}", self.root, life(to)?))
    }

    pub(super) fn snapshot(&self, of: &Member) -> Result<String, NameError> {
        Ok(format!("{}.snapshot.{}", self.root, life(of)?))
    }

    /// Every member's.
    pub(super) fn snapshots(&self) -> String {
        format!("{}.snapshot.>", self.root)
    }

    pub(super) fn fact(&self, number: u64) -> String {
        format!("{}{number}", self.facts)
    }

    /// The key of a member's lease.
    pub(super) fn lease(&self, of: &Member) -> Result<String, NameError> {
        Ok(format!("{}{}", self.leases, life(of)?))
    }

    /// Every fact's key.
    pub(super) fn facts(&self) -> String {
        format!("{}*", self.facts)
    }

    /// Reads [`RunPlaces::fact`].
    pub(super) fn fact_number(&self, key: &str) -> Option<u64> {
        key.strip_prefix(&self.facts)?.parse().ok()
    }
}

fn life(member: &Member) -> Result<String, NameError> {
    let agent = Name::new(&member.agent)?;
    Ok(format!("{}.{:x}", agent.token, member.incarnation))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Reads [`token`].
    fn text(token: &str) -> Option<String> {
        let mut bytes = Vec::new();
        let mut rest = token.bytes();
        while let Some(byte) = rest.next() {
            bytes.push(match byte {
                b'_' => match rest.next()? {
                    b'_' => b'_',
                    high => {
                        let digits = [high, rest.next()?];
                        u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
                    }
                },
                other => other,
            });
        }
        String::from_utf8(bytes).ok()
    }

    #[test]
    fn names_are_plain_where_they_can_be() {
        for (name, expected) in [
            ("loadtest-agent-0", "loadtest-agent-0"),
            ("my_cluster", "my__cluster"),
            ("a.b c*>", "a_2Eb_20c_2A_3E"),
            ("ü", "_C3_BC"),
        ] {
            assert_eq!(
                Name::new(name).map(|name| name.token),
                Ok(expected.to_owned())
            );
        }
        assert_eq!(Name::new(""), Err(NameError::Empty));
        let long = "a".repeat(MAX_NAME_BYTES + 1);
        assert_eq!(Name::new(&long), Err(NameError::TooLong(long)));
    }

    #[test]
    fn a_fact_is_found_by_its_key() {
        let places = Places::new(&Name::new("c").expect("a name"));
        let run = places.run(&Name::new("r.1").expect("a name"));
        assert_eq!(run.fact(12), "r_2E1.fact.12");
        assert_eq!(run.fact_number("r_2E1.fact.12"), Some(12));
        assert_eq!(run.fact_number("r.fact.12"), None);
    }

    proptest! {
        #[test]
        fn every_name_is_a_token_of_its_own(name in ".{1,16}") {
            let token = Name::new(&name).expect("not too long").token;
            prop_assert!(token.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)));
            prop_assert_eq!(text(&token), Some(name));
        }
    }
}
