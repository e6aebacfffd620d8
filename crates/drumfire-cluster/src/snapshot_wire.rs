//! Numbered snapshots as bytes: what agents stream to the coordinator every second, so small and quick to read rather than
//! readable.
//!
//! `DFSN`, a version byte, then the fields in the order of the structs: numbers as LEB128, texts and histograms with their
//! length before them, an empty histogram as length 0. Histograms are in the V2 encoding of HdrHistogram, followed by
//! what that does not hold (minimum, maximum, sum, saturated count). The version rule: a reader takes its own version
//! alone; any change of a field raises the version.

use crate::member::Member;
use crate::messages::NumberedSnapshot;
use drumfire_metrics::{
    DecodeError, DropReason, EndpointStats, GeneratorHealth, Histogram, IterationStats, Snapshot,
    Unit,
};
use std::collections::BTreeMap;

/// The version of snapshots as bytes.
pub const SNAPSHOT_VERSION: u8 = 1;

/// The largest snapshot, in bytes, all chunks of it together.
pub const MAX_SNAPSHOT_BYTES: usize = 256 << 20;

const MAGIC: [u8; 4] = *b"DFSN";

/// Why bytes are not a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// Something else.
    #[error("read a snapshot: it does not begin as one")]
    Magic,
    /// Of a version that is not known here.
    #[error(
        "read a snapshot: version {0} is unknown, this is version {SNAPSHOT_VERSION}\nhint: run the same version of drumfire everywhere"
    )]
    Version(u8),
    /// More than [`MAX_SNAPSHOT_BYTES`].
    #[error("read a snapshot: {0} bytes are more than {MAX_SNAPSHOT_BYTES}")]
    TooLarge(usize),
    /// It ends in the middle.
    #[error("read a snapshot: it is cut off in {0}")]
    CutOff(&'static str),
    /// A value that cannot be.
    #[error("read a snapshot: {0} cannot be {1}")]
    Value(&'static str, String),
    /// There is more than a snapshot.
    #[error("read a snapshot: {0} bytes follow it")]
    Trailing(usize),
    /// A histogram in it is none.
    #[error("read a snapshot: {0}")]
    Histogram(&'static str, #[source] DecodeError),
}

/// A snapshot as bytes.
pub fn write_snapshot(numbered: &NumberedSnapshot) -> Vec<u8> {
    let mut writer = Writer(MAGIC.to_vec());
    writer.0.push(SNAPSHOT_VERSION);
    writer.text(&numbered.member.agent);
    writer.number(numbered.member.incarnation);
    writer.number(numbered.number);
    writer.number(numbered.from_ns);
    writer.number(numbered.to_ns);
    writer.number(u64::from(numbered.last));
    writer.snapshot(&numbered.snapshot);
    writer.0
}

/// Reads [`write_snapshot`].
///
/// # Errors
/// When the bytes are not a snapshot of this version.
pub fn read_snapshot(bytes: &[u8]) -> Result<NumberedSnapshot, SnapshotError> {
    if bytes.len() > MAX_SNAPSHOT_BYTES {
        return Err(SnapshotError::TooLarge(bytes.len()));
    }
    match bytes.strip_prefix(&MAGIC).and_then(<[u8]>::split_first) {
        None => Err(SnapshotError::Magic),
        Some((&SNAPSHOT_VERSION, rest)) => Reader { rest }.numbered(),
        Some((version, _)) => Err(SnapshotError::Version(*version)),
    }
}

struct Writer(Vec<u8>);

impl Writer {
    fn snapshot(&mut self, snapshot: &Snapshot) {
        self.number(snapshot.start_us);
        self.number(snapshot.end_us);
        self.map(&snapshot.endpoints, |writer, name, stats| {
            writer.text(name);
            writer.endpoint(stats);
        });
        self.iterations(&snapshot.iterations);
        for counts in [&snapshot.errors, &snapshot.counters, &snapshot.rates] {
            self.counts(counts);
        }
        self.map(&snapshot.histograms, |writer, name, (unit, histogram)| {
            writer.text(name);
            writer.number(u64::from(*unit == Unit::Number));
            writer.histogram(histogram);
        });
        self.health(&snapshot.health);
    }

    fn endpoint(&mut self, stats: &EndpointStats) {
        self.number(stats.requests);
        self.map(&stats.codes, |writer, code, n| {
            writer.number(u64::from(*code));
            writer.number(*n);
        });
        self.counts(&stats.errors);
        self.number(stats.body_bytes);
        self.number(stats.sent_bytes);
        self.number(stats.connections);
        stats
            .first_byte_us
            .iter()
            .for_each(|class| self.histogram(class));
        for histogram in [
            &stats.service_us,
            &stats.intended_us,
            &stats.dns_us,
            &stats.connect_us,
            &stats.tls_us,
        ] {
            self.histogram(histogram);
        }
    }

    fn iterations(&mut self, iterations: &IterationStats) {
        self.number(iterations.started);
        self.number(iterations.completed);
        self.number(iterations.failed);
        self.number(iterations.interrupted);
        self.map(&iterations.dropped, |writer, reason, n| {
            writer.text(reason.word());
            writer.number(*n);
        });
        self.histogram(&iterations.duration_us);
        self.histogram(&iterations.lateness_us);
    }

    fn health(&mut self, health: &GeneratorHealth) {
        self.number(health.cpu_us);
        self.number(health.cpu_available_us);
        self.0.extend(health.busiest_shard.to_be_bytes());
        self.number(health.memory_bytes);
        self.number(health.sockets);
        self.number(health.users);
        self.histogram(&health.loop_lag_us);
        self.number(health.descriptors_exhausted);
        self.number(health.ports_exhausted);
    }

    fn counts(&mut self, counts: &BTreeMap<String, u64>) {
        self.map(counts, |writer, name, n| {
            writer.text(name);
            writer.number(*n);
        });
    }

    fn map<K, V>(&mut self, map: &BTreeMap<K, V>, entry: impl Fn(&mut Self, &K, &V)) {
        self.number(map.len() as u64);
        map.iter().for_each(|(key, value)| entry(self, key, value));
    }

    fn histogram(&mut self, histogram: &Histogram) {
        if histogram.is_empty() {
            return self.number(0);
        }
        self.bytes(&histogram.encode_v2());
        self.number(histogram.min());
        self.number(histogram.max());
        self.wide(histogram.sum());
        self.number(histogram.saturated());
    }

    fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.0.extend(bytes);
    }

    fn number(&mut self, number: u64) {
        self.wide(u128::from(number));
    }

    fn wide(&mut self, mut number: u128) {
        while number >= 0x80 {
            self.0.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
    }
}

struct Reader<'a> {
    rest: &'a [u8],
}

type Read<T> = Result<T, SnapshotError>;

impl<'a> Reader<'a> {
    fn numbered(mut self) -> Read<NumberedSnapshot> {
        let agent = self.text("the agent's name")?;
        let incarnation = self.number("the incarnation")?;
        let numbered = NumberedSnapshot {
            member: Member::new(agent, incarnation),
            number: self.number("the number")?,
            from_ns: self.number("the span")?,
            to_ns: self.number("the span")?,
            last: self.flag("the last mark")?,
            snapshot: self.snapshot()?,
        };
        match self.rest.len() {
            0 => Ok(numbered),
            left => Err(SnapshotError::Trailing(left)),
        }
    }

    fn snapshot(&mut self) -> Read<Snapshot> {
        Ok(Snapshot {
            start_us: self.number("the interval")?,
            end_us: self.number("the interval")?,
            endpoints: self.map("endpoints", |reader| {
                Ok((reader.text("an endpoint")?.to_owned(), reader.endpoint()?))
            })?,
            iterations: self.iterations()?,
            errors: self.counts("errors")?,
            counters: self.counts("counters")?,
            rates: self.counts("rates")?,
            histograms: self.map("histograms", |reader| {
                let name = reader.text("a histogram's name")?.to_owned();
                let unit = match reader.flag("a unit")? {
                    true => Unit::Number,
                    false => Unit::Duration,
                };
                Ok((name, (unit, reader.histogram("a histogram")?)))
            })?,
            health: self.health()?,
        })
    }

    fn endpoint(&mut self) -> Read<EndpointStats> {
        let what = "an endpoint";
        let mut stats = EndpointStats {
            requests: self.number(what)?,
            codes: self.map("status codes", |reader| {
                let code = reader.number("a status code")?;
                let known = u16::try_from(code);
                let known =
                    known.map_err(|_| SnapshotError::Value("a status code", code.to_string()))?;
                Ok((known, reader.number("a status code")?))
            })?,
            errors: self.counts("an endpoint's errors")?,
            body_bytes: self.number(what)?,
            sent_bytes: self.number(what)?,
            connections: self.number(what)?,
            ..EndpointStats::default()
        };
        for class in &mut stats.first_byte_us {
            *class = self.histogram(what)?;
        }
        for histogram in [
            &mut stats.service_us,
            &mut stats.intended_us,
            &mut stats.dns_us,
            &mut stats.connect_us,
            &mut stats.tls_us,
        ] {
            *histogram = self.histogram(what)?;
        }
        Ok(stats)
    }

    fn iterations(&mut self) -> Read<IterationStats> {
        let what = "iterations";
        Ok(IterationStats {
            started: self.number(what)?,
            completed: self.number(what)?,
            failed: self.number(what)?,
            interrupted: self.number(what)?,
            dropped: self.map(what, |reader| {
                let word = reader.text("a reason")?;
                let reason = DropReason::from_word(word)
                    .ok_or_else(|| SnapshotError::Value("a reason", word.to_owned()))?;
                Ok((reason, reader.number("a reason")?))
            })?,
            duration_us: self.histogram(what)?,
            lateness_us: self.histogram(what)?,
        })
    }

    fn health(&mut self) -> Read<GeneratorHealth> {
        let what = "the generator's health";
        Ok(GeneratorHealth {
            cpu_us: self.number(what)?,
            cpu_available_us: self.number(what)?,
            busiest_shard: self.fraction(what)?,
            memory_bytes: self.number(what)?,
            sockets: self.number(what)?,
            users: self.number(what)?,
            loop_lag_us: self.histogram(what)?,
            descriptors_exhausted: self.number(what)?,
            ports_exhausted: self.number(what)?,
        })
    }

    fn counts(&mut self, what: &'static str) -> Read<BTreeMap<String, u64>> {
        self.map(what, |reader| {
            Ok((reader.text(what)?.to_owned(), reader.number(what)?))
        })
    }

    /// Entries are read until their number is reached or the bytes are: a false number costs no memory.
    fn map<K: Ord, V>(
        &mut self,
        what: &'static str,
        mut entry: impl FnMut(&mut Self) -> Read<(K, V)>,
    ) -> Read<BTreeMap<K, V>> {
        let count = self.number(what)?;
        (0..count).map(|_| entry(self)).collect()
    }

    fn histogram(&mut self, what: &'static str) -> Read<Histogram> {
        let bytes = self.bytes(what)?;
        if bytes.is_empty() {
            return Ok(Histogram::new());
        }
        let (min, max) = (self.number(what)?, self.number(what)?);
        let (sum, saturated) = (self.wide(what)?, self.number(what)?);
        let histogram = Histogram::decode_exact(bytes, min, max, sum, saturated);
        histogram.map_err(|error| SnapshotError::Histogram(what, error))
    }

    fn flag(&mut self, what: &'static str) -> Read<bool> {
        match self.number(what)? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(SnapshotError::Value(what, other.to_string())),
        }
    }

    fn fraction(&mut self, what: &'static str) -> Read<f64> {
        let (bytes, rest) = self
            .rest
            .split_first_chunk()
            .ok_or(SnapshotError::CutOff(what))?;
        self.rest = rest;
        Ok(f64::from_be_bytes(*bytes))
    }

    fn text(&mut self, what: &'static str) -> Read<&'a str> {
        let bytes = self.bytes(what)?;
        std::str::from_utf8(bytes)
            .map_err(|_| SnapshotError::Value(what, String::from_utf8_lossy(bytes).into_owned()))
    }

    fn bytes(&mut self, what: &'static str) -> Read<&'a [u8]> {
        let cut_off = || SnapshotError::CutOff(what);
        let length = usize::try_from(self.number(what)?).map_err(|_| cut_off())?;
        let (bytes, rest) = self.rest.split_at_checked(length).ok_or_else(cut_off)?;
        self.rest = rest;
        Ok(bytes)
    }

    fn number(&mut self, what: &'static str) -> Read<u64> {
        let number = self.wide(what)?;
        u64::try_from(number).map_err(|_| SnapshotError::Value(what, number.to_string()))
    }

    fn wide(&mut self, what: &'static str) -> Read<u128> {
        let mut number = 0_u128;
        for place in (0..u128::BITS).step_by(7) {
            let (byte, rest) = self.rest.split_first().ok_or(SnapshotError::CutOff(what))?;
            self.rest = rest;
            number |= u128::from(byte & 0x7f) << place;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        let endless = "a number without end".to_owned();
        Err(SnapshotError::Value(what, endless))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use drumfire_metrics::{Outcome, Phases, Recorder, Sample};
    use proptest::prelude::*;

    fn recorded(values: &[(u64, u16)]) -> NumberedSnapshot {
        let mut recorder = Recorder::new();
        let endpoints = [recorder.endpoint("GET /ü"), recorder.unlisted_endpoint()];
        let counter = recorder.counter("bought");
        let sizes = recorder.histogram("sizes", Unit::Number);
        let waits = recorder.histogram("waits", Unit::Duration);
        for (value, status) in values {
            let endpoint = endpoints[usize::from(status % 2)];
            let outcome = match status % 5 {
                0 => Outcome::Error("ETIMEDOUT".into()),
                _ => Outcome::Status(*status),
            };
            recorder.iteration_started(value % 1_000);
            recorder.iteration_completed(*value);
            recorder.iterations_dropped(DropReason::UserCap, value % 3);
            recorder.request(endpoint);
            recorder.add(counter, *value);
            recorder.observe(sizes, *value);
            recorder.observe(waits, value / 2);
            recorder.error("capture");
            let sample = Sample {
                intended_ns: 0,
                start_ns: value / 3,
                end_ns: *value,
                phases: Phases {
                    first_byte_ns: value / 2,
                    ..Phases::default()
                },
                connected: status % 3 == 0,
                outcome,
                body_bytes: 7,
                sent_bytes: 8,
            };
            recorder.sample(endpoint, &sample);
        }
        let mut snapshot = recorder.take(1_000, 2_000);
        snapshot.health.busiest_shard = 0.375;
        snapshot.health.loop_lag_us.record(5);
        NumberedSnapshot {
            member: Member::new("pod-1", u64::MAX),
            number: 3,
            from_ns: 9,
            to_ns: u64::MAX,
            last: values.len().is_multiple_of(2),
            snapshot,
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(values in prop::collection::vec((0..u64::MAX / 1_000, 100..600_u16), 0..50)) {
            let numbered = recorded(&values);
            let written = write_snapshot(&numbered);
            prop_assert_eq!(read_snapshot(&written), Ok(numbered));
        }

        #[test]
        fn no_bytes_make_it_panic(at: prop::sample::Index, byte: u8, cut: prop::sample::Index) {
            let mut written = write_snapshot(&recorded(&[(5_000, 200), (70_000, 404), (1, 500)]));
            let at = at.index(written.len());
            let same = written[at] == byte;
            written[at] = byte;
            let read = read_snapshot(&written);
            prop_assert!(!same || read.is_ok());
            let cut = cut.index(written.len());
            prop_assert!(read_snapshot(&written[..cut]).is_err());
        }
    }

    #[test]
    fn what_is_not_a_snapshot_is_refused_by_name() {
        let written = write_snapshot(&recorded(&[]));
        let mut of_version_2 = written.clone();
        of_version_2[4] = 2;
        let mut longer = written.clone();
        longer.push(0);
        for (bytes, error) in [
            (Vec::new(), SnapshotError::Magic),
            (b"{\"v\":1}".to_vec(), SnapshotError::Magic),
            (of_version_2, SnapshotError::Version(2)),
            (longer, SnapshotError::Trailing(1)),
            (
                written[..8].to_vec(),
                SnapshotError::CutOff("the agent's name"),
            ),
        ] {
            assert_eq!(read_snapshot(&bytes), Err(error));
        }
    }
}
