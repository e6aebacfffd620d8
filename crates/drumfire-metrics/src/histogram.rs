//! A log-linear histogram with three significant digits (the bucketing of
//! HdrHistogram), its memory allocated in pages only where values fall.
//!
//! It has three bodies. An *empty* one allocates nothing. A *paged* one is for
//! recording and merging: a table says which page holds a run of 64 buckets,
//! a counter is 32 bits wide, and what a counter cannot hold stands in a map
//! beside. A *packed* one is for keeping (a timeline of thousands): the counts
//! as they stand in the V2 encoding, a byte or two for each non-empty bucket.
//! All three count the same, and reading does not ask which it is.

use crate::bucket::{BUCKETS, MAX_VALUE, index_of, middle_of, range_of};
use crate::encoding::{self, DecodeError, Run};
use std::collections::BTreeMap;
use std::fmt;

/// Counts of values, lossless under merge. A bucket saturates at `i64::MAX`,
/// the most that the V2 encoding can say.
#[derive(Clone, Default)]
pub struct Histogram {
    body: Body,
}

#[derive(Clone, Default)]
enum Body {
    #[default]
    Empty,
    Paged(Box<Paged>),
    Packed(Box<Packed>),
}

/// What is known exactly beside the buckets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Totals {
    count: u64,
    sum: u128,
    min: u64,
    max: u64,
    saturated: u64,
}

#[derive(Clone)]
struct Paged {
    totals: Totals,
    /// Page number to its place in `counters`, counted in pages.
    places: [u16; PAGES],
    counters: Vec<u32>,
    /// By bucket, what its counter could not hold.
    carries: BTreeMap<usize, u64>,
}

#[derive(Clone)]
struct Packed {
    totals: Totals,
    runs: Box<[u8]>,
}

const MAX_COUNT: u64 = i64::MAX as u64;
/// Buckets in a page.
const PAGE: usize = 64;
const PAGES: usize = BUCKETS.div_ceil(PAGE);
const ABSENT: u16 = u16::MAX;

impl Histogram {
    /// Largest value that is told apart; larger ones are counted as this one
    /// and in [`Histogram::saturated`].
    pub const MAX_VALUE: u64 = MAX_VALUE;

    /// An empty histogram; allocates nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Counts one value.
    #[inline]
    pub fn record(&mut self, value: u64) {
        self.paged().record(value);
    }

    /// Counts `n` equal values.
    pub fn record_n(&mut self, value: u64, n: u64) {
        if n == 0 {
            return;
        }
        let kept = value.min(MAX_VALUE);
        let paged = self.paged();
        paged.totals.merge(&Totals {
            count: n,
            sum: u128::from(kept).saturating_mul(u128::from(n)),
            min: kept,
            max: kept,
            saturated: if value > MAX_VALUE { n } else { 0 },
        });
        paged.add(index_of(kept), n);
    }

    /// Adds all of another's counts; associative and commutative.
    pub fn merge(&mut self, other: &Histogram) {
        if self.is_empty() {
            *self = other.clone();
            return;
        }
        match &other.body {
            Body::Empty => {}
            Body::Paged(theirs) => {
                let ours = self.paged();
                ours.totals.merge(&theirs.totals);
                ours.add_pages(theirs);
            }
            Body::Packed(theirs) => {
                let ours = self.paged();
                ours.totals.merge(&theirs.totals);
                encoding::counts(&theirs.runs).for_each(|(index, n)| ours.add(index, n));
            }
        }
    }

    /// Turns to the form that takes least memory; recording or merging into it
    /// later turns it back.
    pub fn pack(&mut self) {
        if let Body::Paged(paged) = &self.body {
            let runs = encoding::runs(self.counts());
            let totals = paged.totals;
            self.body = Body::Packed(Box::new(Packed {
                totals,
                runs: runs.into_boxed_slice(),
            }));
        }
    }

    /// Whether nothing has been counted.
    pub fn is_empty(&self) -> bool {
        matches!(self.body, Body::Empty)
    }

    /// Number of values.
    pub fn count(&self) -> u64 {
        self.totals().count
    }

    /// Exact sum of the values.
    pub fn sum(&self) -> u128 {
        self.totals().sum
    }

    /// Smallest value, exact; zero when empty.
    pub fn min(&self) -> u64 {
        self.totals().min
    }

    /// Largest value, exact; zero when empty.
    pub fn max(&self) -> u64 {
        self.totals().max
    }

    /// Number of values that were larger than [`Histogram::MAX_VALUE`].
    pub fn saturated(&self) -> u64 {
        self.totals().saturated
    }

    /// Exact mean (the sum is kept); zero when empty.
    pub fn mean(&self) -> f64 {
        let totals = self.totals();
        if totals.count == 0 {
            return 0.0;
        }
        totals.sum as f64 / totals.count as f64
    }

    /// The smallest value that at least `quantile` (0 to 1) of the values do
    /// not exceed: of n sorted values the one at rank ceil(quantile × n), within 0.05 %.
    /// The first and the last rank are exact. Zero when empty.
    pub fn quantile(&self, quantile: f64) -> u64 {
        let totals = self.totals();
        let rank = rank_of(quantile, totals.count);
        if quantile >= 1.0 || rank >= totals.count {
            return totals.max;
        }
        if rank <= 1 {
            return totals.min;
        }
        let mut seen = 0u64;
        self.counts()
            .find(|(_, n)| {
                seen = seen.saturating_add(*n);
                seen >= rank
            })
            .map_or(totals.max, |(index, _)| {
                middle_of(index).clamp(totals.min, totals.max)
            })
    }

    /// How many values lie at or below `value`'s bucket.
    pub fn count_at_or_below(&self, value: u64) -> u64 {
        let last = index_of(value.min(MAX_VALUE));
        self.counts()
            .take_while(|(index, _)| *index <= last)
            .fold(0, |sum, (_, n)| sum.saturating_add(n))
    }

    /// Non-empty buckets in ascending order: lowest value, highest value, count.
    pub fn buckets(&self) -> impl Iterator<Item = (u64, u64, u64)> + '_ {
        self.counts().map(|(index, n)| {
            let (lowest, highest) = range_of(index);
            (lowest, highest, n)
        })
    }

    /// Heap memory in use, in bytes.
    pub fn memory_bytes(&self) -> usize {
        match &self.body {
            Body::Empty => 0,
            Body::Paged(paged) => {
                size_of::<Paged>()
                    + paged.counters.capacity() * size_of::<u32>()
                    + paged.carries.len() * size_of::<(usize, u64)>()
            }
            Body::Packed(packed) => size_of::<Packed>() + packed.runs.len(),
        }
    }

    /// The HdrHistogram V2 encoding (uncompressed), readable by its libraries.
    /// It holds the counts (each up to `i64::MAX`) and not the exact minimum,
    /// maximum and sum: see [`Histogram::restore`].
    pub fn encode_v2(&self) -> Vec<u8> {
        match &self.body {
            Body::Packed(packed) => encoding::with_header(&packed.runs, packed.totals.max),
            _ => encoding::with_header(&encoding::runs(self.counts()), self.max()),
        }
    }

    /// Reads the V2 encoding of three significant digits; needs no more memory
    /// than the bytes do. Minimum, maximum and sum are those of the buckets until
    /// [`Histogram::restore`] says better.
    ///
    /// # Errors
    ///
    /// Says what is wrong with the bytes and where.
    pub fn decode_v2(bytes: &[u8]) -> Result<Self, DecodeError> {
        let runs = encoding::read(bytes)?;
        let packed = runs.bytes();
        let mut totals = Totals::default();
        for run in runs {
            let Run { index, count } = run?;
            let (min, max) = range_of(index);
            let middle = u128::from(middle_of(index).min(MAX_VALUE));
            totals.merge(&Totals {
                count,
                sum: middle.saturating_mul(u128::from(count)),
                min,
                max,
                saturated: 0,
            });
        }
        if totals.count == 0 {
            return Ok(Self::new());
        }
        let runs = packed.into();
        Ok(Histogram {
            body: Body::Packed(Box::new(Packed { totals, runs })),
        })
    }

    /// Gives a decoded histogram back what the encoding does not hold.
    ///
    /// # Errors
    ///
    /// Fails where the numbers cannot be those of its buckets.
    pub fn restore(
        &mut self,
        min: u64,
        max: u64,
        sum: u128,
        saturated: u64,
    ) -> Result<(), DecodeError> {
        let totals = self.totals();
        let mut bounds = Bounds::default();
        self.counts()
            .for_each(|(index, count)| bounds.add(&Run { index, count }));
        // A count above what the encoding can say is less in the buckets.
        let bounds = Bounds {
            count: totals.count,
            ..bounds
        };
        let exact = bounds.exact(min, max, sum, saturated)?;
        match &mut self.body {
            Body::Empty => {}
            Body::Paged(paged) => paged.totals = exact,
            Body::Packed(packed) => packed.totals = exact,
        }
        Ok(())
    }

    /// [`Histogram::decode_v2`] and [`Histogram::restore`] in one walk through the bytes: for whoever reads thousands a
    /// second.
    ///
    /// # Errors
    ///
    /// As both.
    pub fn decode_exact(
        bytes: &[u8],
        min: u64,
        max: u64,
        sum: u128,
        saturated: u64,
    ) -> Result<Self, DecodeError> {
        let runs = encoding::read(bytes)?;
        let packed = runs.bytes();
        let mut bounds = Bounds::default();
        for run in runs {
            bounds.add(&run?);
        }
        let totals = bounds.exact(min, max, sum, saturated)?;
        if totals.count == 0 {
            return Ok(Self::new());
        }
        let runs = packed.into();
        Ok(Histogram {
            body: Body::Packed(Box::new(Packed { totals, runs })),
        })
    }

    fn totals(&self) -> Totals {
        match &self.body {
            Body::Empty => Totals::default(),
            Body::Paged(paged) => paged.totals,
            Body::Packed(packed) => packed.totals,
        }
    }

    /// Bucket and count of the non-empty buckets, ascending.
    fn counts(&self) -> impl Iterator<Item = (usize, u64)> + '_ {
        let (paged, packed) = match &self.body {
            Body::Empty => (None, None),
            Body::Paged(paged) => (Some(paged.counts()), None),
            Body::Packed(packed) => (None, Some(encoding::counts(&packed.runs))),
        };
        paged
            .into_iter()
            .flatten()
            .chain(packed.into_iter().flatten())
    }

    #[inline]
    fn paged(&mut self) -> &mut Paged {
        if !matches!(self.body, Body::Paged(_)) {
            self.unpack();
        }
        match &mut self.body {
            Body::Paged(paged) => paged,
            Body::Empty | Body::Packed(_) => unreachable!("unpack leaves a paged body"),
        }
    }

    #[cold]
    fn unpack(&mut self) {
        let mut paged = Box::new(Paged::new());
        if let Body::Packed(packed) = &self.body {
            paged.totals = packed.totals;
            encoding::counts(&packed.runs).for_each(|(index, n)| paged.add(index, n));
        }
        self.body = Body::Paged(paged);
    }
}

impl PartialEq for Histogram {
    fn eq(&self, other: &Self) -> bool {
        self.totals() == other.totals() && self.counts().eq(other.counts())
    }
}

impl fmt::Debug for Histogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Histogram")
            .field("count", &self.count())
            .field("min", &self.min())
            .field("mean", &self.mean())
            .field("max", &self.max())
            .finish()
    }
}

impl Extend<u64> for Histogram {
    fn extend<T: IntoIterator<Item = u64>>(&mut self, values: T) {
        values.into_iter().for_each(|value| self.record(value));
    }
}

impl FromIterator<u64> for Histogram {
    fn from_iter<T: IntoIterator<Item = u64>>(values: T) -> Self {
        let mut histogram = Self::new();
        histogram.extend(values);
        histogram
    }
}

/// What the totals of some buckets can be.
#[derive(Default)]
struct Bounds {
    count: u64,
    first: usize,
    last: usize,
    least_sum: u128,
    greatest_sum: u128,
}

impl Bounds {
    /// Takes the next bucket, in ascending order.
    #[inline]
    fn add(&mut self, run: &Run) {
        let Run { index, count } = *run;
        if self.count == 0 {
            self.first = index;
        }
        self.last = index;
        self.count = self.count.saturating_add(count);
        // So many buckets of so large values and counts are below what 128 bits hold.
        let (lowest, highest) = range_of(index);
        self.least_sum += u128::from(lowest) * u128::from(count);
        self.greatest_sum += u128::from(highest) * u128::from(count);
    }

    /// The totals that are said, if they can be.
    fn exact(&self, min: u64, max: u64, sum: u128, saturated: u64) -> Result<Totals, DecodeError> {
        let fits = match self.count {
            0 => (min, max, sum, saturated) == (0, 0, 0, 0),
            count => {
                min <= max
                    && max <= MAX_VALUE
                    && index_of(min) == self.first
                    && index_of(max) == self.last
                    && (self.least_sum..=self.greatest_sum).contains(&sum)
                    && saturated <= count
            }
        };
        let totals = Totals {
            count: self.count,
            sum,
            min,
            max,
            saturated,
        };
        fits.then_some(totals).ok_or(DecodeError::Totals)
    }
}

impl Totals {
    fn merge(&mut self, other: &Totals) {
        self.min = if self.count == 0 {
            other.min
        } else {
            self.min.min(other.min)
        };
        self.max = self.max.max(other.max);
        self.count = self.count.saturating_add(other.count);
        self.sum = self.sum.saturating_add(other.sum);
        self.saturated = self.saturated.saturating_add(other.saturated);
    }
}

impl Paged {
    fn new() -> Self {
        Self {
            // A minimum that any value is below saves a branch in `record`.
            totals: Totals {
                min: u64::MAX,
                ..Totals::default()
            },
            places: [ABSENT; PAGES],
            counters: Vec::new(),
            carries: BTreeMap::new(),
        }
    }

    #[inline]
    fn record(&mut self, value: u64) {
        let kept = value.min(MAX_VALUE);
        let totals = &mut self.totals;
        totals.count = totals.count.saturating_add(1);
        totals.sum = totals.sum.saturating_add(u128::from(kept));
        totals.min = totals.min.min(kept);
        totals.max = totals.max.max(kept);
        totals.saturated += u64::from(value > MAX_VALUE);
        let index = index_of(kept);
        let counter = self.counter(index);
        if let Some(n) = counter.checked_add(1) {
            *counter = n;
        } else {
            self.carry(index, 1);
        }
    }

    fn add(&mut self, index: usize, n: u64) {
        let counter = self.counter(index);
        match u32::try_from(n).ok().and_then(|n| counter.checked_add(n)) {
            Some(sum) => *counter = sum,
            None => self.carry(index, n),
        }
    }

    fn add_pages(&mut self, other: &Paged) {
        for (page, place) in other.allocated() {
            let theirs = &other.counters[place * PAGE..][..PAGE];
            let first = page * PAGE;
            self.counter(first);
            let ours = usize::from(self.places[page]) * PAGE;
            for (offset, n) in theirs.iter().enumerate() {
                match self.counters[ours + offset].checked_add(*n) {
                    Some(sum) => self.counters[ours + offset] = sum,
                    None => self.carry(first + offset, u64::from(*n)),
                }
            }
        }
        for (index, n) in &other.carries {
            self.carry(*index, *n);
        }
    }

    #[inline]
    fn counter(&mut self, index: usize) -> &mut u32 {
        let mut place = self.places[index / PAGE];
        if place == ABSENT {
            place = self.allocate(index / PAGE);
        }
        &mut self.counters[usize::from(place) * PAGE + index % PAGE]
    }

    #[cold]
    fn allocate(&mut self, page: usize) -> u16 {
        let place = (self.counters.len() / PAGE) as u16;
        if self.counters.len() == self.counters.capacity() {
            // Doubling would leave up to half of a wide histogram unused.
            self.counters
                .reserve_exact((self.counters.len() / 4).max(4 * PAGE));
        }
        self.counters.resize(self.counters.len() + PAGE, 0);
        self.places[page] = place;
        place
    }

    #[cold]
    fn carry(&mut self, index: usize, n: u64) {
        let carried = self.carries.entry(index).or_insert(0);
        *carried = carried.saturating_add(n);
    }

    /// Page number and place of the allocated pages, ascending.
    fn allocated(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        let places = self.places.iter().enumerate();
        places
            .filter(|(_, place)| **place != ABSENT)
            .map(|(page, place)| (page, usize::from(*place)))
    }

    fn counts(&self) -> impl Iterator<Item = (usize, u64)> + '_ {
        self.allocated()
            .flat_map(|(page, place)| {
                let counters = self.counters[place * PAGE..][..PAGE].iter().enumerate();
                counters.map(move |(offset, n)| (page * PAGE + offset, u64::from(*n)))
            })
            .map(|(index, n)| (index, n.saturating_add(self.carried(index)).min(MAX_COUNT)))
            .filter(|(_, n)| *n > 0)
    }

    fn carried(&self, index: usize) -> u64 {
        if self.carries.is_empty() {
            return 0;
        }
        self.carries.get(&index).copied().unwrap_or(0)
    }
}

/// Rank, from 1, of a quantile among `count` values. The product is shrunk by
/// a rounding error, so that 0.07 of 100 values is the 7th and not the 8th.
fn rank_of(quantile: f64, count: u64) -> u64 {
    let rank = quantile.clamp(0.0, 1.0) * count as f64 * (1.0 - 2.0 * f64::EPSILON);
    (rank.ceil() as u64).max(1)
}
