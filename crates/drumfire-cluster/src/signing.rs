//! Control messages under the cluster's run key, so that reaching the broker is not enough to aim the agents.
//!
//! A signed message is a head line and the message itself, which a person who listens can read:
//! `drumfire 1 <nonce> <expires_ms> <HMAC-SHA256>`, all but the words in hexadecimal or decimal digits. The code covers
//! the subject, the nonce, the expiry and every byte of the message.
//!
//! What is kept, and so may be read at any time and any number of times, has a [`RunKey::seal`] instead: a code without
//! nonce and expiry. Whoever reads it must be able to tell doubles by their numbers.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::collections::BTreeSet;
use std::fmt;

/// The shortest run key.
pub const MIN_KEY_BYTES: usize = 16;

/// How long a signed message is good for.
pub const VALIDITY_MS: u64 = 30_000;

/// Nonces that are remembered at a time. Where more come, the earliest to expire are forgotten, and what expires no later
/// than they do is refused.
pub const MAX_NONCES: usize = 200_000;

/// The length of a seal.
pub const SEAL_BYTES: usize = 32;

const WORD: &str = "drumfire";
const VERSION: &str = "1";
const MAX_HEAD_BYTES: usize = 160;

/// Why a message is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It has no head line.
    #[error("take a message: it is not signed")]
    Unsigned,
    /// Its head is of a version that is not known here.
    #[error("take a message: signature version {0} is unknown, this is version {VERSION}")]
    Version(String),
    /// It was signed with another key, for another subject, or altered.
    #[error("take a message: the signature is not of this run key and message")]
    Signature,
    /// It is too old, or its sender's clock is too far off.
    #[error("take a message: it expired {0} ms ago\nhint: compare the hosts' clocks")]
    Expired(u64),
    /// It claims to be good for longer than any message is.
    #[error(
        "take a message: it expires in {0} ms, more than {VALIDITY_MS} ms and the clock error\nhint: compare the hosts' clocks"
    )]
    FarFuture(u64),
    /// It was taken already.
    #[error("take a message: it was taken before")]
    Replayed,
    /// The key is too short to keep anyone out.
    #[error("take the run key: {0} bytes are fewer than {MIN_KEY_BYTES}")]
    ShortKey(usize),
}

/// The secret that a cluster's members share.
#[derive(Clone)]
pub struct RunKey(Hmac<Sha256>);

impl RunKey {
    /// Takes a key.
    ///
    /// # Errors
    /// When it has fewer than [`MIN_KEY_BYTES`].
    pub fn new(key: &[u8]) -> Result<Self, Refusal> {
        match Hmac::new_from_slice(key) {
            Ok(mac) if key.len() >= MIN_KEY_BYTES => Ok(Self(mac)),
            _ => Err(Refusal::ShortKey(key.len())),
        }
    }

    /// A code over what is kept at a place: the same for the same bytes.
    pub fn seal(&self, place: &str, parts: &[&[u8]]) -> [u8; SEAL_BYTES] {
        self.seal_mac(place, parts).finalize().into_bytes().into()
    }

    /// Whether the seal is that of this key, place and bytes.
    pub fn is_sealed(&self, place: &str, parts: &[&[u8]], seal: &[u8; SEAL_BYTES]) -> bool {
        self.seal_mac(place, parts).verify_slice(seal).is_ok()
    }

    /// Cannot be taken for the code of a message, whose second word is a version.
    fn seal_mac(&self, place: &str, parts: &[&[u8]]) -> Hmac<Sha256> {
        let mut mac = self.0.clone();
        mac.update(format!("{WORD} seal {VERSION} {}\n{place}", place.len()).as_bytes());
        parts.iter().for_each(|part| mac.update(part));
        mac
    }

    fn mac(&self, subject: &str, nonce: u128, expires_ms: u64, body: &[u8]) -> Hmac<Sha256> {
        let mut mac = self.0.clone();
        mac.update(format!("{WORD} {VERSION} {nonce:032x} {expires_ms}\n").as_bytes());
        mac.update(&(subject.len() as u64).to_be_bytes());
        mac.update(subject.as_bytes());
        mac.update(body);
        mac
    }
}

impl fmt::Debug for RunKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RunKey(…)")
    }
}

/// Signs what one sender sends.
#[derive(Debug)]
pub struct Signer {
    key: RunKey,
    nonce: u128,
}

impl Signer {
    /// A sender whose nonces are told from all others' by `chance`: 64 random bits.
    pub fn new(key: RunKey, chance: u64) -> Self {
        Self {
            key,
            nonce: u128::from(chance) << 64,
        }
    }

    /// The message under its head line. `now_ms` is the wall clock, since 1970.
    pub fn sign(&mut self, subject: &str, body: &[u8], now_ms: u64) -> Vec<u8> {
        let (nonce, expires_ms) = (self.nonce, now_ms.saturating_add(VALIDITY_MS));
        self.nonce = self.nonce.wrapping_add(1);
        let mac = self.key.mac(subject, nonce, expires_ms, body);
        let code = hexadecimal(&mac.finalize().into_bytes());
        let head = format!("{WORD} {VERSION} {nonce:032x} {expires_ms} {code}\n");
        let mut message = head.into_bytes();
        message.extend(body);
        message
    }
}

/// Takes signed messages, each once.
#[derive(Debug)]
pub struct Verifier {
    key: RunKey,
    clock_error_ms: u64,
    /// Nonces by the expiry of their messages.
    taken: BTreeSet<(u64, u128)>,
    /// What expires no later than this cannot be told from what was taken.
    forgotten_ms: u64,
    most: usize,
}

impl Verifier {
    /// A receiver; senders' clocks may be off by `clock_error_ms`.
    pub fn new(key: RunKey, clock_error_ms: u64) -> Self {
        Self {
            key,
            clock_error_ms,
            taken: BTreeSet::new(),
            forgotten_ms: 0,
            most: MAX_NONCES,
        }
    }

    /// The message itself, when it is one that a holder of the run key sent for this subject, and is new.
    ///
    /// # Errors
    /// When it is not: the refusal says why, and is to be counted.
    pub fn verify<'a>(
        &mut self,
        subject: &str,
        message: &'a [u8],
        now_ms: u64,
    ) -> Result<&'a [u8], Refusal> {
        let head = Head::read(message)?;
        let Head {
            nonce, expires_ms, ..
        } = head;
        let mac = self.key.mac(subject, nonce, expires_ms, head.body);
        if mac.verify_slice(&head.code).is_err() {
            return Err(Refusal::Signature);
        }
        let late_ms = now_ms.saturating_sub(expires_ms);
        if late_ms > self.clock_error_ms {
            return Err(Refusal::Expired(late_ms));
        }
        let early_ms = expires_ms.saturating_sub(now_ms);
        if early_ms > VALIDITY_MS + self.clock_error_ms {
            return Err(Refusal::FarFuture(early_ms));
        }
        if expires_ms <= self.forgotten_ms || self.taken.contains(&(expires_ms, nonce)) {
            return Err(Refusal::Replayed);
        }
        self.remember(expires_ms, nonce, now_ms);
        Ok(head.body)
    }

    fn remember(&mut self, expires_ms: u64, nonce: u128, now_ms: u64) {
        self.taken.insert((expires_ms, nonce));
        let expired_ms = now_ms.saturating_sub(self.clock_error_ms);
        while let Some(&(earliest_ms, _)) = self.taken.first() {
            if earliest_ms >= expired_ms && self.taken.len() <= self.most {
                return;
            }
            self.forgotten_ms = self.forgotten_ms.max(earliest_ms);
            self.taken.pop_first();
        }
    }
}

/// What a message says, whoever signed it or not: for those who have no key to check it with.
pub(crate) fn unverified(message: &[u8]) -> &[u8] {
    Head::read(message).map_or(message, |head| head.body)
}

struct Head<'a> {
    nonce: u128,
    expires_ms: u64,
    code: Vec<u8>,
    body: &'a [u8],
}

impl<'a> Head<'a> {
    fn read(message: &'a [u8]) -> Result<Self, Refusal> {
        let searched = &message[..message.len().min(MAX_HEAD_BYTES)];
        let end = searched.iter().position(|&byte| byte == b'\n');
        let head = end.and_then(|end| std::str::from_utf8(&message[..end]).ok());
        let (Some(end), Some(head)) = (end, head) else {
            return Err(Refusal::Unsigned);
        };
        let mut words = head.split(' ');
        if words.next() != Some(WORD) {
            return Err(Refusal::Unsigned);
        }
        match words.next() {
            Some(VERSION) => {}
            Some(version) => return Err(Refusal::Version(version.to_owned())),
            None => return Err(Refusal::Unsigned),
        }
        let mut read = || -> Option<Self> {
            let nonce = u128::from_str_radix(words.next()?, 16).ok()?;
            let expires_ms = words.next()?.parse().ok()?;
            let code = bytes(words.next()?)?;
            let body = &message[end + 1..];
            words.next().is_none().then_some(Self {
                nonce,
                expires_ms,
                code,
                body,
            })
        };
        read().ok_or(Refusal::Unsigned)
    }
}

pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Reads [`hexadecimal`].
pub(crate) fn bytes(digits: &str) -> Option<Vec<u8>> {
    let pairs = digits.as_bytes().chunks(2);
    pairs
        .map(|pair| {
            let [high, low] = pair else { return None };
            let digit = |byte: &u8| char::from(*byte).to_digit(16);
            Some((digit(high)? * 16 + digit(low)?) as u8)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW_MS: u64 = 1_800_000_000_000;

    fn key(text: &str) -> RunKey {
        RunKey::new(text.as_bytes()).expect("a long key")
    }

    fn pair() -> (Signer, Verifier) {
        let key = key("sixteen bytes or more");
        (Signer::new(key.clone(), 7), Verifier::new(key, 5_000))
    }

    #[test]
    fn what_was_signed_is_taken_once() {
        let (mut signer, mut verifier) = pair();
        let message = signer.sign("run.1", b"{\"stop\":1}", NOW_MS);
        assert_eq!(
            verifier.verify("run.1", &message, NOW_MS),
            Ok(&b"{\"stop\":1}"[..])
        );
        assert_eq!(
            verifier.verify("run.1", &message, NOW_MS),
            Err(Refusal::Replayed)
        );
        // Nor again when its nonce has been forgotten.
        let later_ms = NOW_MS + VALIDITY_MS + 5_001;
        assert_eq!(
            verifier.verify("run.1", &message, later_ms),
            Err(Refusal::Expired(5_001))
        );
    }

    #[test]
    fn who_has_no_key_can_read_what_is_signed() {
        let (mut signer, _) = pair();
        let message = signer.sign("run.1", b"{\"stop\":1}", NOW_MS);
        assert_eq!(unverified(&message), b"{\"stop\":1}");
        assert_eq!(unverified(b"{\"stop\":1}"), b"{\"stop\":1}");
        assert_eq!(unverified(b"drumfire 1\n{}"), b"drumfire 1\n{}");
    }

    #[test]
    fn what_is_not_right_is_refused_by_name() {
        let (mut signer, mut verifier) = pair();
        let message = signer.sign("run.1", b"body", NOW_MS);
        let head = message
            .split(|&byte| byte == b'\n')
            .next()
            .map(<[u8]>::to_vec)
            .unwrap_or_default();
        let mut of_version_2 = message.clone();
        of_version_2[9] = b'2';
        for (what, subject, message, now_ms, refusal) in [
            (
                "another subject",
                "run.2",
                message.clone(),
                NOW_MS,
                Refusal::Signature,
            ),
            ("nothing", "run.1", Vec::new(), NOW_MS, Refusal::Unsigned),
            (
                "no signature",
                "run.1",
                b"body".to_vec(),
                NOW_MS,
                Refusal::Unsigned,
            ),
            ("a head alone", "run.1", head, NOW_MS, Refusal::Unsigned),
            (
                "another version",
                "run.1",
                of_version_2,
                NOW_MS,
                Refusal::Version("2".to_owned()),
            ),
            (
                "too late",
                "run.1",
                message.clone(),
                NOW_MS + 35_001,
                Refusal::Expired(5_001),
            ),
            (
                "too early",
                "run.1",
                message.clone(),
                NOW_MS - 5_001,
                Refusal::FarFuture(35_001),
            ),
        ] {
            assert_eq!(
                verifier.verify(subject, &message, now_ms),
                Err(refusal),
                "{what}"
            );
        }
        let mut stranger = Verifier::new(key("another sixteen bytes"), 5_000);
        assert_eq!(
            stranger.verify("run.1", &message, NOW_MS),
            Err(Refusal::Signature)
        );
        assert_eq!(RunKey::new(b"short").map(drop), Err(Refusal::ShortKey(5)));
    }

    #[test]
    fn memory_is_bounded_and_still_nothing_is_taken_twice() {
        let (mut signer, mut verifier) = pair();
        verifier.most = 100;
        let messages: Vec<_> = (0..1_000)
            .map(|i| signer.sign("run", b"", NOW_MS + i))
            .collect();
        for message in &messages {
            assert!(verifier.verify("run", message, NOW_MS + 500).is_ok());
            assert!(verifier.taken.len() <= 100);
        }
        for message in &messages {
            assert_eq!(
                verifier.verify("run", message, NOW_MS + 500),
                Err(Refusal::Replayed)
            );
        }
    }

    #[test]
    fn a_seal_holds_for_its_key_place_and_bytes() {
        let (ours, other) = (key("sixteen bytes or more"), key("another sixteen bytes"));
        let seal = ours.seal("run.1", &[b"head", b"body"]);
        assert_eq!(seal, ours.seal("run.1", &[b"headbody"]));
        assert!(ours.is_sealed("run.1", &[b"head", b"body"], &seal));
        assert!(!ours.is_sealed("run.", &[b"1head", b"body"], &seal));
        assert!(!ours.is_sealed("run.1", &[b"head", b"Body"], &seal));
        assert!(!other.is_sealed("run.1", &[b"head", b"body"], &seal));
    }

    proptest! {
        #[test]
        fn an_altered_message_is_refused(body: Vec<u8>, at: prop::sample::Index, bit in 0..8_u32) {
            let (mut signer, mut verifier) = pair();
            let mut message = signer.sign("run", &body, NOW_MS);
            let at = at.index(message.len());
            message[at] ^= 1 << bit;
            // The case of a hexadecimal digit says nothing.
            let in_head = message.len() - at > body.len();
            let same = in_head && message[at].is_ascii_alphabetic() && bit == 5;
            prop_assert!(same || verifier.verify("run", &message, NOW_MS).is_err());
        }

        #[test]
        fn any_bytes_are_refused_without_panic(message: Vec<u8>) {
            let (_, mut verifier) = pair();
            prop_assert!(verifier.verify("run", &message, NOW_MS).is_err());
        }
    }
}
