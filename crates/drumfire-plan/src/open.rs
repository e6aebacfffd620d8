//! Open load: stages of arrivals, the cumulative count A(t) over all of them, and its inverse.
//!
//! The rate is integrated over all stages into one A(t), and arrival k (from 0) happens where
//! A(t) leaves k. A constant rate R thus arrives at 0, 1/R, 2/R, …; a stage's last gap
//! runs into the next stage, whatever its shape; half an arrival left over by one stage counts in
//! the next. Nothing is summed while a test runs: every arrival is computed from its number alone, in
//! whole nanoseconds, from masses that are exact (see [`crate::curve`]).

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use crate::curve::{Curve, MASS_PER_ARRIVAL, Mass, Segment};
use crate::error::{PlanError, StageFault};
use crate::poisson::{Block, PoissonProcess};
use crate::schedule::Schedule;
use crate::share::Share;

/// The longest load: 100 days.
pub const MAX_DURATION: Duration = Duration::from_secs(100 * 24 * 60 * 60);

/// The most arrivals of one load.
pub const MAX_ARRIVALS: u64 = 1_000_000_000_000;

/// The most Poisson arrivals (expected) of one load: their counts are drawn and kept per 1024.
pub const MAX_POISSON_ARRIVALS: u64 = 1_000_000_000;

/// The highest rate, in arrivals per second: one each nanosecond.
pub const MAX_RATE_PER_SECOND: f64 = 1e9;

/// The lowest rate above 0, and the step in which rates are taken, in arrivals per second.
pub const MIN_RATE_PER_SECOND: f64 = 1e-9;

/// The most stages of one load.
pub const MAX_STAGES: usize = 10_000;

/// One stage of open load.
#[derive(Debug, Clone, PartialEq)]
pub struct OpenStage {
    /// The stage's name in the script.
    pub name: Option<String>,
    /// How long it lasts.
    pub duration: Duration,
    /// How many users arrive, and how their rate goes.
    pub arrivals: Arrivals,
    /// Whether they come evenly or by chance.
    pub spacing: Spacing,
    /// The cap on concurrent users; an arrival above it is dropped and counted by whoever runs the schedule.
    pub max_users: Option<u32>,
}

/// How many users arrive in a stage, and how their rate goes.
#[derive(Debug, Clone, PartialEq)]
pub enum Arrivals {
    /// None.
    Pause,
    /// A constant rate.
    Constant {
        /// Arrivals per second; may be a fraction, or 0.
        per_second: f64,
    },
    /// A rate that changes linearly over the stage.
    Ramp {
        /// Arrivals per second at the start.
        from: f64,
        /// Arrivals per second at the end.
        to: f64,
    },
    /// A number of arrivals spread evenly over the stage.
    Count(u64),
    /// The number of arrivals of each second, spread evenly in it. There is one entry per begun
    /// second of the duration; a last second that is cut short gets its arrivals in what there is.
    PerSecond(Vec<u32>),
}

/// Whether arrivals come evenly or by chance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Spacing {
    /// Evenly, as the rate says.
    #[default]
    Uniform,
    /// As a Poisson process with that rate, drawn from the load's seed.
    Poisson,
}

/// Validated open load: the pure function from time to arrivals and back. Cheap to clone.
#[derive(Debug, Clone, PartialEq)]
pub struct OpenLoad {
    stages: Arc<[OpenStage]>,
    timeline: Arc<Timeline>,
}

impl OpenLoad {
    /// Validates the stages and, for Poisson ones, draws how many arrivals there are.
    ///
    /// # Errors
    /// When a rate is negative, not finite or beyond a limit, a stage has no duration, or the load is
    /// longer or larger than the `MAX_` constants of this crate; the error names the stage.
    pub fn new(stages: Vec<OpenStage>, seed: u64) -> Result<Self, PlanError> {
        Ok(Self {
            timeline: Arc::new(Timeline::of(&stages, seed)?),
            stages: stages.into(),
        })
    }

    /// The stages as they were given.
    pub fn stages(&self) -> &[OpenStage] {
        &self.stages
    }

    /// A(t): how many arrivals come before `t` from the start. For Poisson stages, of those drawn.
    pub fn arrivals_before(&self, t: Duration) -> u64 {
        self.timeline.arrivals_before(nanoseconds(t))
    }

    /// When arrival `number` (from 0) comes, from the start, rounded down to a nanosecond;
    /// none from the total on.
    pub fn time_of(&self, number: u64) -> Option<Duration> {
        let mut cursor = Cursor::default();
        (number < self.timeline.total())
            .then(|| Duration::from_nanos(self.timeline.time_of(number, &mut cursor)))
    }

    /// All arrivals.
    pub fn total(&self) -> u64 {
        self.timeline.total()
    }

    /// How many arrivals stage `index` has; for a Poisson stage, how many were drawn.
    ///
    /// # Panics
    /// When there is no such stage.
    pub fn stage_total(&self, index: usize) -> u64 {
        self.timeline.spans[index].count
    }

    /// How long all stages last together.
    pub fn duration(&self) -> Duration {
        Duration::from_nanos(self.timeline.end_ns())
    }

    /// The index of the stage that `t` lies in; the last one's from the end on.
    pub fn stage_at(&self, t: Duration) -> usize {
        self.timeline.span_at(nanoseconds(t))
    }

    /// When stage `index` starts and ends, from the start of the load.
    ///
    /// # Panics
    /// When there is no such stage.
    pub fn stage_bounds(&self, index: usize) -> Range<Duration> {
        let span = &self.timeline.spans[index];
        Duration::from_nanos(span.start_ns)..Duration::from_nanos(span.end_ns)
    }

    /// The arrivals of a share, in order. The schedule owns what it needs and can move to another thread.
    pub fn schedule(&self, share: &Share) -> Schedule {
        self.schedule_from(share, Duration::ZERO)
    }

    /// The arrivals of a share that come at `from` or later, in order.
    pub fn schedule_from(&self, share: &Share, from: Duration) -> Schedule {
        let first = self.arrivals_before(from);
        Schedule::new(Arc::clone(&self.timeline), share.clone(), first)
    }
}

/// Nanoseconds, or the last representable one: no load lasts as long.
fn nanoseconds(t: Duration) -> u64 {
    u64::try_from(t.as_nanos()).unwrap_or(u64::MAX)
}

/// All stages laid end to end.
#[derive(Debug, PartialEq)]
pub(crate) struct Timeline {
    spans: Vec<Span>,
    pieces: Vec<Piece>,
}

/// One stage on the axes of time, mass and arrival numbers.
#[derive(Debug, PartialEq)]
struct Span {
    start_ns: u64,
    end_ns: u64,
    start_mass: Mass,
    end_mass: Mass,
    first_number: u64,
    count: u64,
    pieces: Range<usize>,
    /// The drawn points; none when arrivals are even, at every whole number of the mass axis.
    poisson: Option<PoissonProcess>,
}

/// One segment in its place.
#[derive(Debug, PartialEq)]
struct Piece {
    segment: Segment,
    start_ns: u64,
    start_mass: Mass,
    end_mass: Mass,
}

/// What the last lookup found, so that a walk in order looks up almost nothing.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cursor {
    span: usize,
    piece: usize,
    block: Block,
    /// The span that `block` belongs to.
    block_span: usize,
}

impl Cursor {
    /// The stage of the last arrival looked up.
    pub(crate) fn stage(&self) -> usize {
        self.span
    }
}

impl Timeline {
    fn of(stages: &[OpenStage], seed: u64) -> Result<Self, PlanError> {
        check_count(stages.len())?;
        let mut timeline = Self {
            spans: Vec::with_capacity(stages.len()),
            pieces: Vec::new(),
        };
        for (index, stage) in stages.iter().enumerate() {
            timeline
                .append(stage, seed)
                .map_err(|fault| PlanError::stage(index, stage.name.as_deref(), fault))?;
        }
        Ok(timeline)
    }

    fn append(&mut self, stage: &OpenStage, seed: u64) -> Result<(), StageFault> {
        let (start_ns, start_mass) = (self.end_ns(), self.end_mass());
        let end_ns = stage_end(start_ns, stage.duration)?;
        let first_piece = self.pieces.len();
        for segment in segments(&stage.arrivals, end_ns - start_ns)? {
            self.append_segment(segment)?;
        }
        let end_mass = self.pieces.last().map_or(0, |piece| piece.end_mass);
        let poisson = match stage.spacing {
            Spacing::Uniform => None,
            Spacing::Poisson => {
                self.check_poisson(end_mass - start_mass)?;
                let index = self.spans.len() as u64;
                Some(PoissonProcess::draw(seed, index, end_mass - start_mass))
            }
        };
        let count = match &poisson {
            Some(process) => process.count(),
            None => arrivals_in(end_mass) - arrivals_in(start_mass),
        };
        self.spans.push(Span {
            start_ns,
            end_ns,
            start_mass,
            end_mass,
            first_number: self.total(),
            count,
            pieces: first_piece..self.pieces.len(),
            poisson,
        });
        Ok(())
    }

    fn append_segment(&mut self, segment: Segment) -> Result<(), StageFault> {
        let (start_ns, start_mass) = self.pieces.last().map_or((0, 0), |last| {
            (last.start_ns + last.segment.length_ns, last.end_mass)
        });
        let end_mass = start_mass + segment.mass();
        if end_mass > Mass::from(MAX_ARRIVALS) * MASS_PER_ARRIVAL {
            return Err(StageFault::TooManyArrivals);
        }
        self.pieces.push(Piece {
            segment,
            start_ns,
            start_mass,
            end_mass,
        });
        Ok(())
    }

    fn check_poisson(&self, mass: Mass) -> Result<(), StageFault> {
        let drawn = self.spans.iter().filter(|span| span.poisson.is_some());
        let before: Mass = drawn.map(|span| span.end_mass - span.start_mass).sum();
        if before + mass > Mass::from(MAX_POISSON_ARRIVALS) * MASS_PER_ARRIVAL {
            return Err(StageFault::TooManyPoissonArrivals);
        }
        Ok(())
    }

    pub(crate) fn total(&self) -> u64 {
        self.spans
            .last()
            .map_or(0, |span| span.first_number + span.count)
    }

    fn end_ns(&self) -> u64 {
        self.spans.last().map_or(0, |span| span.end_ns)
    }

    fn end_mass(&self) -> Mass {
        self.spans.last().map_or(0, |span| span.end_mass)
    }

    fn span_at(&self, at_ns: u64) -> usize {
        let ended = self.spans.partition_point(|span| span.end_ns <= at_ns);
        ended.min(self.spans.len() - 1)
    }

    fn arrivals_before(&self, at_ns: u64) -> u64 {
        if at_ns >= self.end_ns() {
            return self.total();
        }
        let span = &self.spans[self.span_at(at_ns)];
        let pieces = &self.pieces[span.pieces.clone()];
        let after = pieces.partition_point(|piece| piece.start_ns <= at_ns);
        let piece = &pieces[after - 1];
        let mass = piece.start_mass + piece.segment.mass_at(at_ns - piece.start_ns);
        span.first_number
            + match &span.poisson {
                Some(process) => process.count_below(mass - span.start_mass),
                None => arrivals_in(mass) - arrivals_in(span.start_mass),
            }
    }

    /// The nanosecond of arrival `number`, which is below the total. Constant time when called in order.
    pub(crate) fn time_of(&self, number: u64, cursor: &mut Cursor) -> u64 {
        let span = self.find_span(number, cursor);
        let index = number - span.first_number;
        let mass = match &span.poisson {
            Some(process) => {
                if cursor.block_span != cursor.span {
                    cursor.block = Block::default();
                    cursor.block_span = cursor.span;
                }
                span.start_mass + process.point(index, &mut cursor.block)
            }
            None => Mass::from(arrivals_in(span.start_mass) + index) * MASS_PER_ARRIVAL,
        };
        let piece = self.find_piece(mass, span, cursor);
        piece.start_ns + piece.segment.time_at(mass - piece.start_mass)
    }

    fn find_span(&self, number: u64, cursor: &mut Cursor) -> &Span {
        let holds =
            |span: &Span| (span.first_number..span.first_number + span.count).contains(&number);
        if !holds(&self.spans[cursor.span]) {
            let ended = |span: &Span| span.first_number + span.count <= number;
            cursor.span = self.spans.partition_point(ended);
        }
        &self.spans[cursor.span]
    }

    fn find_piece(&self, mass: Mass, span: &Span, cursor: &mut Cursor) -> &Piece {
        let holds = |piece: &Piece| (piece.start_mass..piece.end_mass).contains(&mass);
        if !holds(&self.pieces[cursor.piece]) {
            let pieces = &self.pieces[span.pieces.clone()];
            let ended = pieces.partition_point(|piece| piece.end_mass <= mass);
            cursor.piece = span.pieces.start + ended;
        }
        &self.pieces[cursor.piece]
    }
}

/// How many arrivals lie below a mass: those at 0, 1, 2, … arrivals.
fn arrivals_in(mass: Mass) -> u64 {
    mass.div_ceil(MASS_PER_ARRIVAL) as u64
}

/// Whether a load of `stages` stages is allowed.
pub(crate) fn check_count(stages: usize) -> Result<(), PlanError> {
    match stages {
        0 => Err(PlanError::NoStages),
        1..=MAX_STAGES => Ok(()),
        _ => Err(PlanError::TooManyStages { stages }),
    }
}

/// Where a stage ends that starts at `start_ns`, in nanoseconds from the start of the load.
pub(crate) fn stage_end(start_ns: u64, duration: Duration) -> Result<u64, StageFault> {
    if duration.is_zero() {
        return Err(StageFault::NoDuration);
    }
    let end = Duration::from_nanos(start_ns).saturating_add(duration);
    if end > MAX_DURATION {
        return Err(StageFault::TooLong);
    }
    Ok(nanoseconds(end))
}

/// The segments of a stage of `length_ns`, which together last exactly so long.
fn segments(arrivals: &Arrivals, length_ns: u64) -> Result<Vec<Segment>, StageFault> {
    let curve = match arrivals {
        Arrivals::Pause => Curve::Flat,
        Arrivals::Constant { per_second } => steady(rate(*per_second)?),
        Arrivals::Ramp { from, to } => match (rate(*from)?, rate(*to)?) {
            (from, to) if from == to => steady(from),
            (from_nano, to_nano) => Curve::Ramp { from_nano, to_nano },
        },
        Arrivals::Count(count) => even(*count)?,
        Arrivals::PerSecond(counts) => return seconds(counts, length_ns),
    };
    Ok(vec![Segment { curve, length_ns }])
}

/// A rate in billionths of an arrival per second. Written decimals of up to nine places are exact.
fn rate(per_second: f64) -> Result<u64, StageFault> {
    if !per_second.is_finite() {
        return Err(StageFault::RateNotFinite { per_second });
    }
    if per_second < 0.0 {
        return Err(StageFault::RateNegative { per_second });
    }
    if per_second > MAX_RATE_PER_SECOND {
        return Err(StageFault::RateTooHigh { per_second });
    }
    let nano_per_second = (per_second * 1e9).round() as u64;
    if nano_per_second == 0 && per_second > 0.0 {
        return Err(StageFault::RateTooLow { per_second });
    }
    Ok(nano_per_second)
}

fn steady(nano_per_second: u64) -> Curve {
    match nano_per_second {
        0 => Curve::Flat,
        _ => Curve::Rate { nano_per_second },
    }
}

fn even(count: u64) -> Result<Curve, StageFault> {
    match count {
        0 => Ok(Curve::Flat),
        1..=MAX_ARRIVALS => Ok(Curve::Even { count }),
        _ => Err(StageFault::TooManyArrivals),
    }
}

/// One segment per run of equal seconds; the last second may be cut short.
fn seconds(counts: &[u32], length_ns: u64) -> Result<Vec<Segment>, StageFault> {
    const SECOND_NS: u64 = 1_000_000_000;
    if counts.len() as u64 != length_ns.div_ceil(SECOND_NS) {
        return Err(StageFault::SecondsMissing {
            counts: counts.len(),
            duration: Duration::from_nanos(length_ns),
        });
    }
    let (whole, cut_short) = counts.split_at((length_ns / SECOND_NS) as usize);
    let mut segments = Vec::new();
    for run in whole.chunk_by(|a, b| a == b) {
        let seconds = run.len() as u64;
        segments.push(Segment {
            curve: even(u64::from(run[0]) * seconds)?,
            length_ns: seconds * SECOND_NS,
        });
    }
    for &count in cut_short {
        segments.push(Segment {
            curve: even(u64::from(count))?,
            length_ns: length_ns % SECOND_NS,
        });
    }
    Ok(segments)
}
