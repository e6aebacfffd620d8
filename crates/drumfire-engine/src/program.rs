//! What a front end gives the engine: a factory of virtual users, slow to make
//! and fast to run.

use drumfire_metrics::Recorder;
use drumfire_plan::Share;
use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;

/// A compiled script, shared by all shards.
pub trait Program: Send + Sync {
    /// Makes the program of one shard, on that shard's thread and reactor.
    ///
    /// # Errors
    /// What the shard needs cannot be had (a certificate, a resolver).
    fn open(&self, shard: Shard) -> Result<Rc<dyn ShardProgram>, ProgramError>;

    /// Most shards the program can be divided over; a pool of five connections,
    /// say, cannot serve six.
    fn shards_limit(&self) -> Option<u32> {
        None
    }
}

/// A program on one shard.
pub trait ShardProgram {
    /// Makes a user. Under open load each arrival is a new one; under closed
    /// load it stays for its share of the run.
    fn user(&self, number: u64) -> Box<dyn VirtualUser>;

    /// What the program knows of the limits it has met.
    fn health(&self) -> ProgramHealth;

    /// Makes ready, before the shard says that it is, what the load needs from its first instant on: names, connections.
    /// `ahead` is this shard's part of what all shards of all processes make ready together; none: nothing of that.
    /// Dropped before its end where the run is given up.
    fn prepare(&self, _ahead: Option<Share>) -> PreparingFuture<'_> {
        Box::pin(std::future::ready(Ok(Warnings::default())))
    }
}

/// The future of getting ready.
pub type PreparingFuture<'a> = Pin<Box<dyn Future<Output = Result<Warnings, ProgramError>> + 'a>>;

/// What a person should know before the start, and what keeps no run from it; one line each.
pub type Warnings = Vec<String>;

/// A virtual user.
pub trait VirtualUser {
    /// Runs the scenario once.
    fn iterate(&mut self, iteration: Iteration) -> IterationFuture<'_>;
}

/// The future of one iteration.
pub type IterationFuture<'a> = Pin<Box<dyn Future<Output = IterationEnd> + 'a>>;

/// One iteration as planned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Iteration {
    /// Its place in the global schedule; unique over all shards and agents.
    pub number: u64,
    /// When it should start, in nanoseconds of the reactor's clock.
    pub intended_ns: u64,
    /// Where its chance comes from.
    pub seed: Seed,
}

/// How an iteration ended; what failed is in the metrics already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IterationEnd {
    /// All steps were done.
    Completed,
    /// A step failed and ended it.
    Failed,
}

/// A number that all chance of one iteration derives from, so that a run with
/// the same seed draws the same whatever the number of shards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seed(pub u64);

impl Seed {
    /// The seed of the `number`-th part of what this seed is for (the finalizer
    /// of Steele, Lea and Flood's SplitMix64, 2014).
    pub fn part(self, number: u64) -> Seed {
        let mut z = self
            .0
            .wrapping_add(number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Seed(z ^ (z >> 31))
    }
}

/// What a shard offers to its program.
#[derive(Clone)]
pub struct Shard {
    /// Which of `shards`.
    pub index: u32,
    /// How many there are.
    pub shards: u32,
    /// Where samples go.
    pub recorder: Rc<RefCell<Recorder>>,
    log: Rc<dyn Fn(String) -> bool>,
}

impl Shard {
    /// One of `shards`. `log` takes a line, or says that it has no room for it.
    pub fn new(index: u32, shards: u32, log: Rc<dyn Fn(String) -> bool>) -> Shard {
        Shard {
            index,
            shards,
            recorder: Rc::default(),
            log,
        }
    }

    /// Shows a line to the person who watches the run. Lines are dropped and
    /// counted rather than slow the load down.
    pub fn log(&self, line: String) {
        if !(self.log)(line) {
            self.recorder.borrow_mut().error("log_line_dropped");
        }
    }
}

/// What a shard's program knows of the limits it has met.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ProgramHealth {
    /// Times no descriptor was left, since the start.
    pub descriptors_exhausted: u64,
    /// Times no local port was left, since the start.
    pub ports_exhausted: u64,
}

/// Why a program cannot be opened on a shard, or not get ready there.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ProgramError(pub String);
