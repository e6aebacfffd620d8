//! Snapshots in pieces that a broker takes: each piece with a head and a seal, put together again in whatever order they come,
//! within bounds of memory.
//!
//! A chunk is `DFSC`, a version byte, the snapshot's number, the chunk's index, how many there are, how many bytes they
//! are together, the seal, and its bytes; numbers are big-endian. The seal is the run key's over the subject and all the rest
//! of the chunk, and without a key their SHA-256. The version rule: a reader takes its own version alone.

use super::options::NatsOptions;
use crate::outbox::MAX_IN_FLIGHT;
use crate::signing::{RunKey, SEAL_BYTES};
use crate::snapshot_wire::MAX_SNAPSHOT_BYTES;
use bytes::Bytes;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashMap};

/// The largest chunk, in bytes, where the broker would take larger ones.
pub const MAX_CHUNK_BYTES: usize = 256 << 10;

/// What is kept of one member's unfinished snapshots, in bytes; the oldest gives way.
pub const MAX_PARTIAL_BYTES_PER_MEMBER: usize = MAX_SNAPSHOT_BYTES;

/// What is kept of all members' unfinished snapshots, in bytes; more is refused.
pub const MAX_PARTIAL_BYTES: usize = 1 << 30;

const MAGIC: [u8; 4] = *b"DFSC";
const VERSION: u8 = 1;
const HEAD_BYTES: usize = MAGIC.len() + 1 + 8 + 3 * 4;

/// What the broker counts beside a chunk: its headers.
const HEADERS_BYTES: usize = 1_024;

/// However little a broker takes.
const MIN_CHUNK_BYTES: usize = 1_024;

/// Why a chunk is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum ChunkError {
    #[error("take a chunk of a snapshot: it does not begin as one of this version")]
    Head,
    #[error("take a chunk of a snapshot: the seal is not of this run key and chunk")]
    Seal,
    #[error("take a chunk of a snapshot: chunk {index} of {count} with {total} bytes cannot be")]
    Value { index: u32, count: u32, total: u32 },
    #[error(
        "take a chunk of a snapshot: {MAX_PARTIAL_BYTES} bytes of unfinished ones are waiting already"
    )]
    TooMuch,
}

impl ChunkError {
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::Head | Self::Value { .. } => "not readable",
            Self::Seal => "with a wrong signature",
            Self::TooMuch => "too much",
        }
    }
}

/// One chunk on its way: what tells it from all others, and its bytes.
#[derive(Debug)]
pub(super) struct Chunk {
    pub(super) id: String,
    pub(super) payload: Vec<u8>,
}

/// A snapshot as bytes, cut into what fits `max_payload`.
pub(super) fn split<'a>(
    subject: &'a str,
    number: u64,
    bytes: &'a [u8],
    max_payload: usize,
    key: Option<&'a RunKey>,
) -> impl Iterator<Item = Chunk> + use<'a> {
    let room = max_payload.saturating_sub(HEAD_BYTES + SEAL_BYTES + HEADERS_BYTES);
    let pieces = bytes.chunks(room.clamp(MIN_CHUNK_BYTES, MAX_CHUNK_BYTES));
    let (count, total) = (pieces.len() as u32, bytes.len() as u32);
    (0..count).zip(pieces).map(move |(index, piece)| {
        let mut payload = Vec::with_capacity(HEAD_BYTES + SEAL_BYTES + piece.len());
        payload.extend(MAGIC);
        payload.push(VERSION);
        payload.extend(number.to_be_bytes());
        for value in [index, count, total] {
            payload.extend(value.to_be_bytes());
        }
        payload.extend(seal(subject, &payload, piece, key));
        payload.extend(piece);
        let id = format!("{subject}.{number}.{index}.{count}");
        Chunk { id, payload }
    })
}

fn seal(subject: &str, head: &[u8], piece: &[u8], key: Option<&RunKey>) -> [u8; SEAL_BYTES] {
    match key {
        Some(key) => key.seal(subject, &[head, piece]),
        None => digest(subject, head, piece),
    }
}

fn digest(subject: &str, head: &[u8], piece: &[u8]) -> [u8; SEAL_BYTES] {
    let mut digest = Sha256::new();
    for part in [subject.as_bytes(), head, piece] {
        digest.update(part);
    }
    digest.finalize().into()
}

struct Head {
    number: u64,
    index: u32,
    count: u32,
    total: u32,
}

/// Reads a chunk: its head, and its bytes.
fn read(subject: &str, payload: &Bytes, seals: &Seals) -> Result<(Head, Bytes), ChunkError> {
    let (head, rest) = payload
        .split_first_chunk::<HEAD_BYTES>()
        .ok_or(ChunkError::Head)?;
    let (found, piece) = rest
        .split_first_chunk::<SEAL_BYTES>()
        .ok_or(ChunkError::Head)?;
    if !head.starts_with(&MAGIC) || head[MAGIC.len()] != VERSION {
        return Err(ChunkError::Head);
    }
    let whole = || *found == digest(subject, head, piece);
    let good = match &seals.key {
        Some(key) => key.is_sealed(subject, &[head, piece], found) || (seals.trusts && whole()),
        None => whole(),
    };
    if !good {
        return Err(ChunkError::Seal);
    }
    let word = |at: usize| head[at..].first_chunk().copied().map(u32::from_be_bytes);
    let at = MAGIC.len() + 1;
    let number = head[at..].first_chunk().copied().map(u64::from_be_bytes);
    let (Some(number), Some(index), Some(count), Some(total)) =
        (number, word(at + 8), word(at + 12), word(at + 16))
    else {
        return Err(ChunkError::Head);
    };
    let fits = index < count && count <= total.max(1) && total as usize <= MAX_SNAPSHOT_BYTES;
    match fits && piece.len() <= total as usize {
        true => Ok((
            Head {
                number,
                index,
                count,
                total,
            },
            payload.slice(HEAD_BYTES + SEAL_BYTES..),
        )),
        false => Err(ChunkError::Value {
            index,
            count,
            total,
        }),
    }
}

/// Which seals are good.
#[derive(Debug)]
pub(super) struct Seals {
    /// Those of this key; without one, digests.
    key: Option<RunKey>,
    /// Digests beside a key, too: of members who have none.
    trusts: bool,
}

impl Seals {
    pub(super) fn of(options: &NatsOptions) -> Self {
        Self {
            key: options.key.clone(),
            trusts: options.trust_broker,
        }
    }
}

/// Puts chunks together.
#[derive(Debug)]
pub(super) struct Assembly {
    seals: Seals,
    /// By the subject, which is a member's, and the snapshot's number.
    partials: HashMap<String, BTreeMap<u64, Partial>>,
    bytes: usize,
    max_bytes: usize,
    max_bytes_per_member: usize,
}

#[derive(Debug)]
struct Partial {
    count: u32,
    total: u32,
    pieces: BTreeMap<u32, Bytes>,
    bytes: usize,
}

impl Assembly {
    pub(super) fn new(seals: Seals) -> Self {
        Self {
            seals,
            partials: HashMap::new(),
            bytes: 0,
            max_bytes: MAX_PARTIAL_BYTES,
            max_bytes_per_member: MAX_PARTIAL_BYTES_PER_MEMBER,
        }
    }

    /// Takes a chunk; gives the snapshot that it was the last missing one of.
    ///
    /// # Errors
    /// When it is no chunk, or there is no room for it.
    pub(super) fn take(
        &mut self,
        subject: &str,
        payload: &Bytes,
    ) -> Result<Option<Bytes>, ChunkError> {
        let (head, piece) = read(subject, payload, &self.seals)?;
        if head.count == 1 {
            return Ok(Some(piece));
        }
        if self.bytes + piece.len() > self.max_bytes {
            self.forget(subject, head.number);
            return Err(ChunkError::TooMuch);
        }
        self.enter(subject, &head, piece);
        let member = &self.partials[subject];
        let done = member
            .get(&head.number)
            .filter(|partial| partial.is_whole());
        let whole = done.map(Partial::join);
        if whole.is_some() {
            self.forget(subject, head.number);
        } else {
            self.make_room(subject, head.number);
        }
        Ok(whole)
    }

    fn enter(&mut self, subject: &str, head: &Head, piece: Bytes) {
        let member = self.partials.entry(subject.to_owned()).or_default();
        let new = || Partial {
            count: head.count,
            total: head.total,
            pieces: BTreeMap::new(),
            bytes: 0,
        };
        let partial = member.entry(head.number).or_insert_with(new);
        // A sender that learned of another limit begins again.
        if (partial.count, partial.total) != (head.count, head.total) {
            self.bytes -= partial.bytes;
            *partial = new();
        }
        let added = piece.len();
        let replaced = partial.pieces.insert(head.index, piece);
        let replaced = replaced.map_or(0, |piece| piece.len());
        partial.bytes = partial.bytes + added - replaced;
        self.bytes = self.bytes + added - replaced;
    }

    /// A member's oldest give way to the one that grows.
    fn make_room(&mut self, subject: &str, growing: u64) {
        loop {
            let member = &self.partials[subject];
            let bytes: usize = member.values().map(|partial| partial.bytes).sum();
            if bytes <= self.max_bytes_per_member && member.len() <= MAX_IN_FLIGHT {
                return;
            }
            let oldest = member.keys().copied().find(|number| *number != growing);
            self.forget(subject, oldest.unwrap_or(growing));
            if oldest.is_none() {
                return;
            }
        }
    }

    fn forget(&mut self, subject: &str, number: u64) {
        let Some(member) = self.partials.get_mut(subject) else {
            return;
        };
        self.bytes -= member.remove(&number).map_or(0, |partial| partial.bytes);
        if member.is_empty() {
            self.partials.remove(subject);
        }
    }
}

impl Partial {
    fn is_whole(&self) -> bool {
        self.pieces.len() == self.count as usize && self.bytes == self.total as usize
    }

    fn join(&self) -> Bytes {
        let mut whole = Vec::with_capacity(self.bytes);
        self.pieces
            .values()
            .for_each(|piece| whole.extend_from_slice(piece));
        whole.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key() -> RunKey {
        RunKey::new(b"sixteen bytes or more").expect("a long key")
    }

    fn assembly(key: Option<RunKey>) -> Assembly {
        let trusts = false;
        Assembly::new(Seals { key, trusts })
    }

    fn chunks(number: u64, bytes: &[u8], key: Option<&RunKey>) -> Vec<Bytes> {
        let chunks = split("run.snapshot.a.1", number, bytes, 0, key);
        chunks.map(|chunk| chunk.payload.into()).collect()
    }

    #[test]
    fn what_is_altered_or_elsewhere_is_refused() {
        for key in [None, Some(key())] {
            let chunk = &chunks(7, b"snapshot", key.as_ref())[0];
            let mut assembly = assembly(key.clone());
            let whole = assembly.take("run.snapshot.a.1", chunk);
            assert_eq!(whole, Ok(Some(Bytes::from_static(b"snapshot"))));
            let elsewhere = assembly.take("run.snapshot.a.2", chunk);
            assert_eq!(elsewhere, Err(ChunkError::Seal));
            for at in [HEAD_BYTES - 1, HEAD_BYTES, chunk.len() - 1] {
                let mut altered = chunk.to_vec();
                altered[at] ^= 1;
                let altered = assembly.take("run.snapshot.a.1", &altered.into());
                assert_eq!(altered, Err(ChunkError::Seal));
            }
            let nothing = assembly.take("run.snapshot.a.1", &Bytes::new());
            assert_eq!(nothing, Err(ChunkError::Head));
        }
        let of_a_stranger = &chunks(7, b"snapshot", None)[0];
        let refused = assembly(Some(key())).take("run.snapshot.a.1", of_a_stranger);
        assert_eq!(refused, Err(ChunkError::Seal));
    }

    #[test]
    fn where_the_broker_is_trusted_members_without_a_key_are_heard() {
        let mut trusting = Assembly::new(Seals {
            key: Some(key()),
            trusts: true,
        });
        let whole = Ok(Some(Bytes::from_static(b"snapshot")));
        for key in [None, Some(key())] {
            let chunk = &chunks(7, b"snapshot", key.as_ref())[0];
            assert_eq!(trusting.take("run.snapshot.a.1", chunk), whole);
        }
        // Of another key is nobody's.
        let other = RunKey::new(b"another of sixteen bytes").expect("a long key");
        let chunk = &chunks(7, b"snapshot", Some(&other))[0];
        let refused = trusting.take("run.snapshot.a.1", chunk);
        assert_eq!(refused, Err(ChunkError::Seal));
    }

    #[test]
    fn memory_is_bounded() {
        let mut assembly = assembly(None);
        assembly.max_bytes_per_member = 4 * MIN_CHUNK_BYTES;
        assembly.max_bytes = 6 * MIN_CHUNK_BYTES;
        let bytes = vec![1; 3 * MIN_CHUNK_BYTES];
        // Unfinished ones of a member: the first gives way.
        for number in 0..3 {
            for chunk in &chunks(number, &bytes, None)[..2] {
                assert_eq!(assembly.take("run.snapshot.a.1", chunk), Ok(None));
            }
        }
        let kept: Vec<_> = assembly.partials["run.snapshot.a.1"]
            .keys()
            .copied()
            .collect();
        assert_eq!(kept, [1, 2]);
        // Unfinished ones of many members: what is too much is refused.
        let mut refused = 0;
        for member in 2..5 {
            let subject = format!("run.snapshot.a.{member}");
            for chunk in split(&subject, 0, &bytes, 0, None).take(2) {
                let taken = assembly.take(&subject, &chunk.payload.into());
                refused += usize::from(taken == Err(ChunkError::TooMuch));
                assert!(assembly.bytes <= assembly.max_bytes);
            }
        }
        assert!(refused > 0);
        // And what is finished is forgotten.
        let last = &chunks(1, &bytes, None)[2];
        let whole = assembly.take("run.snapshot.a.1", last);
        let whole = whole.or_else(|_| assembly.take("run.snapshot.a.1", last));
        assert!(whole.is_ok());
    }

    proptest! {
        #[test]
        fn in_any_order_and_doubled_they_come_back_once(
            bytes in prop::collection::vec(any::<u8>(), 0..6 * MIN_CHUNK_BYTES),
            order in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
        ) {
            let chunks = chunks(3, &bytes, Some(&key()));
            let mut assembly = assembly(Some(key()));
            let mut whole = Vec::new();
            let some = order.iter().filter(|_| chunks.len() > 1).map(|index| index.get(&chunks));
            for chunk in some.chain(&chunks) {
                whole.extend(assembly.take("run.snapshot.a.1", chunk).expect("a chunk"));
                if !whole.is_empty() {
                    break;
                }
            }
            prop_assert_eq!(whole.as_slice(), &[Bytes::from(bytes.clone())][..chunks.len().min(1)]);
            prop_assert_eq!(assembly.bytes, 0);
        }
    }
}
