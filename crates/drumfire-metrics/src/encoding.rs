//! The V2 encoding of HdrHistogram, uncompressed: a header, then the counts
//! from the lowest bucket up, each a ZigZag number in LEB128 of at most nine
//! bytes; a negative number skips that many empty buckets.

use crate::bucket::{BUCKETS, MAX_VALUE};

/// Why bytes are not a histogram of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Shorter than a header.
    #[error("read histogram: {0} bytes are too few for a header of {HEADER} bytes")]
    Header(usize),
    /// Another format.
    #[error("read histogram: unknown format {0:#010x}, expected {COOKIE:#010x}")]
    Cookie(u32),
    /// A feature of the format that Drumfire never writes.
    #[error("read histogram: {0} is not supported")]
    Unsupported(&'static str),
    /// The header says another length than the bytes have.
    #[error("read histogram: {said} bytes of counts announced, {found} found")]
    Length {
        /// As the header says.
        said: usize,
        /// As there are.
        found: usize,
    },
    /// A number that does not end.
    #[error("read histogram: counts are cut off in the number at byte {0}")]
    CutOff(usize),
    /// A count beyond the last bucket.
    #[error("read histogram: bucket {0} is beyond the last, {last}", last = BUCKETS - 1)]
    Beyond(u64),
    /// Minimum, maximum, sum or saturated count contradict the buckets.
    #[error("read histogram: minimum, maximum, sum or saturated count contradict the buckets")]
    Totals,
}

/// Count of one non-empty bucket.
pub(crate) struct Run {
    pub(crate) index: usize,
    pub(crate) count: u64,
}

const COOKIE: u32 = 0x1c84_9313;
/// Cookie, length, normalizing offset, digits, lowest, highest, ratio.
const HEADER: usize = 40;
const DIGITS: u32 = 3;
/// Bytes of the longest number; the last holds eight bits of it.
const LONGEST_NUMBER: usize = 9;

/// Puts the header before counts made by [`runs`]. `max` is the largest value.
pub(crate) fn with_header(runs: &[u8], max: u64) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER + runs.len());
    bytes.extend(COOKIE.to_be_bytes());
    bytes.extend((runs.len() as u32).to_be_bytes());
    bytes.extend(0u32.to_be_bytes());
    bytes.extend(DIGITS.to_be_bytes());
    bytes.extend(1u64.to_be_bytes());
    bytes.extend(highest_trackable(max).to_be_bytes());
    bytes.extend(1f64.to_be_bytes());
    bytes.extend(runs);
    bytes
}

/// Counts (bucket, count; ascending, none zero) as the encoding has them.
pub(crate) fn runs(counts: impl Iterator<Item = (usize, u64)>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut next = 0;
    for (index, n) in counts {
        match index - next {
            0 => {}
            1 => write_number(&mut bytes, 0),
            empty => write_number(&mut bytes, -(empty as i64)),
        }
        write_number(&mut bytes, i64::try_from(n).unwrap_or(i64::MAX));
        next = index + 1;
    }
    bytes
}

/// Reads what [`runs`] wrote.
pub(crate) fn counts(runs: &[u8]) -> impl Iterator<Item = (usize, u64)> + '_ {
    Runs::new(runs).map(|run| {
        let run = run.expect("bytes of our own making are well-formed");
        (run.index, run.count)
    })
}

/// Checks the header and gives the counts behind it.
pub(crate) fn read(bytes: &[u8]) -> Result<Runs<'_>, DecodeError> {
    let Some((header, runs)) = bytes.split_at_checked(HEADER) else {
        return Err(DecodeError::Header(bytes.len()));
    };
    match word(header, 0) {
        COOKIE => {}
        other => return Err(DecodeError::Cookie(other)),
    }
    let said = word(header, 4) as usize;
    if said != runs.len() {
        return Err(DecodeError::Length {
            said,
            found: runs.len(),
        });
    }
    let lowest = u64::from(word(header, 16)) << 32 | u64::from(word(header, 20));
    let ratio = u64::from(word(header, 32)) << 32 | u64::from(word(header, 36));
    match () {
        () if word(header, 8) != 0 => Err(DecodeError::Unsupported("a normalizing offset")),
        () if word(header, 12) != DIGITS => Err(DecodeError::Unsupported(
            "a precision other than 3 significant digits",
        )),
        () if lowest != 1 => Err(DecodeError::Unsupported("a lowest value other than 1")),
        () if ratio != 1f64.to_bits() => Err(DecodeError::Unsupported("a conversion ratio")),
        () => Ok(Runs::new(runs)),
    }
}

/// The counts of non-empty buckets as they stand in the bytes.
pub(crate) struct Runs<'a> {
    bytes: &'a [u8],
    at: usize,
    next: u64,
}

impl<'a> Runs<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            at: 0,
            next: 0,
        }
    }

    /// What they are read from.
    pub(crate) fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    #[inline]
    fn read_number(&mut self) -> Result<i64, DecodeError> {
        // Nearly all counts and gaps fit one byte.
        match self.bytes.get(self.at) {
            Some(&byte) if byte < 0x80 => {
                self.at += 1;
                Ok(unzigzag(u64::from(byte)))
            }
            _ => self.read_long_number(),
        }
    }

    fn read_long_number(&mut self) -> Result<i64, DecodeError> {
        let start = self.at;
        let mut number = 0u64;
        for place in 0..LONGEST_NUMBER {
            let byte = *self.bytes.get(self.at).ok_or(DecodeError::CutOff(start))?;
            self.at += 1;
            if place + 1 == LONGEST_NUMBER {
                number |= u64::from(byte) << (7 * place);
                break;
            }
            number |= u64::from(byte & 0x7f) << (7 * place);
            if byte & 0x80 == 0 {
                break;
            }
        }
        Ok(unzigzag(number))
    }

    fn read_run(&mut self) -> Result<Option<Run>, DecodeError> {
        while self.at < self.bytes.len() {
            let number = self.read_number()?;
            if number < 0 {
                self.next = self.next.saturating_add(number.unsigned_abs());
                continue;
            }
            let index = self.next;
            self.next = index.saturating_add(1);
            if number == 0 {
                continue;
            }
            if index >= BUCKETS as u64 {
                return Err(DecodeError::Beyond(index));
            }
            return Ok(Some(Run {
                index: index as usize,
                count: number.unsigned_abs(),
            }));
        }
        Ok(None)
    }
}

impl Iterator for Runs<'_> {
    type Item = Result<Run, DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        let run = self.read_run();
        if run.is_err() {
            self.at = self.bytes.len();
        }
        run.transpose()
    }
}

/// A range that holds `max` and is no wider than needed: readers allocate by it.
fn highest_trackable(max: u64) -> u64 {
    (max | 2047)
        .checked_next_power_of_two()
        .map_or(MAX_VALUE, |power| power - 1)
        .min(MAX_VALUE)
}

fn unzigzag(number: u64) -> i64 {
    (number >> 1) as i64 ^ -((number & 1) as i64)
}

fn write_number(bytes: &mut Vec<u8>, number: i64) {
    let mut rest = ((number << 1) ^ (number >> 63)) as u64;
    for _ in 1..LONGEST_NUMBER {
        if rest < 0x80 {
            bytes.push(rest as u8);
            return;
        }
        bytes.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    bytes.push(rest as u8);
}

fn word(header: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
}
