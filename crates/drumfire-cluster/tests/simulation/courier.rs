//! Carries messages as bytes: written, signed, now and then altered on the way, verified and read.

use super::chance::Chance;
use drumfire_cluster::{
    Directive, Fact, Heartbeat, Member, NumberedSnapshot, RunKey, Signer, Verifier, read_directive,
    read_fact, read_heartbeat, read_snapshot, write_directive, write_fact, write_heartbeat,
    write_snapshot,
};
use std::collections::BTreeMap;

const KEY: &[u8] = b"the run key of a simulated cluster";
const CLOCK_ERROR_MS: u64 = 2_000;
const TO_COORDINATOR: &str = "coordinator";
const SNAPSHOTS: &str = "snapshots";

pub struct Courier {
    signer: Signer,
    verifiers: BTreeMap<String, Verifier>,
    pub refused: u64,
}

impl Courier {
    pub fn new(chance: u64) -> Self {
        Self {
            signer: Signer::new(key(), chance),
            verifiers: BTreeMap::new(),
            refused: 0,
        }
    }

    pub fn seal_heartbeat(&mut self, heartbeat: &Heartbeat, now_ns: u64) -> Vec<u8> {
        let body = write_heartbeat(heartbeat);
        self.signer.sign(TO_COORDINATOR, &body, now_ns / 1_000_000)
    }

    pub fn seal_snapshot(&mut self, snapshot: &NumberedSnapshot, now_ns: u64) -> Vec<u8> {
        let body = write_snapshot(snapshot);
        self.signer.sign(SNAPSHOTS, &body, now_ns / 1_000_000)
    }

    pub fn seal_directive(&mut self, directive: &Directive, now_ns: u64) -> Vec<u8> {
        let body = write_directive(directive);
        self.signer
            .sign(&directive.to.to_string(), &body, now_ns / 1_000_000)
    }

    pub fn open_heartbeat(&mut self, sealed: &[u8], now_ns: u64) -> Option<Heartbeat> {
        let body = self.open(TO_COORDINATOR, sealed, now_ns)?;
        Some(read_heartbeat(&body).expect("what was signed is well-formed"))
    }

    pub fn open_snapshot(&mut self, sealed: &[u8], now_ns: u64) -> Option<NumberedSnapshot> {
        let body = self.open(SNAPSHOTS, sealed, now_ns)?;
        Some(read_snapshot(&body).expect("what was signed is well-formed"))
    }

    pub fn open_directive(&mut self, to: &Member, sealed: &[u8], now_ns: u64) -> Option<Directive> {
        let body = self.open(&to.to_string(), sealed, now_ns)?;
        Some(read_directive(&body).expect("what was signed is well-formed"))
    }

    fn open(&mut self, subject: &str, sealed: &[u8], now_ns: u64) -> Option<Vec<u8>> {
        let verifier = self.verifiers.entry(subject.to_owned());
        let verifier = verifier.or_insert_with(|| Verifier::new(key(), CLOCK_ERROR_MS));
        let body = verifier.verify(subject, sealed, now_ns / 1_000_000);
        self.refused += u64::from(body.is_err());
        body.ok().map(<[u8]>::to_vec)
    }
}

/// One time in a hundred a bit is turned over; a refused message is a lost one.
pub fn altered(mut sealed: Vec<u8>, chance: &mut Chance) -> Vec<u8> {
    if chance.happens(10) {
        let at = chance.within(0..sealed.len() as u64) as usize;
        sealed[at] ^= 1 << chance.within(0..8);
    }
    sealed
}

/// A fact as the record gives it back.
pub fn recalled(fact: &Fact) -> Fact {
    match write_fact(fact) {
        Some(written) => read_fact(&written).expect("what was written can be read"),
        None => fact.clone(),
    }
}

fn key() -> RunKey {
    RunKey::new(KEY).expect("a long key")
}
