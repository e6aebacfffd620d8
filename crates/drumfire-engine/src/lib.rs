//! Plan and clock in, virtual users run, samples out: one shard per core.
//!
//! [`run`] starts one thread per shard, each with its own reactor, users,
//! recorder and stripe of the schedule. Shards share nothing while load runs;
//! once a second each hands its interval to the `aggregate` on the caller's
//! thread, which tells the [`Observer`].

mod aggregate;
mod control;
mod drain;
mod event;
mod health;
mod pacer;
mod program;
mod run;
mod shard;
mod snapshots;
mod stages;
mod tenure;
mod users;
mod walk;

pub use control::{Control, StopReason};
pub use event::{Event, Observer};
pub use program::{
    Iteration, IterationEnd, IterationFuture, PreparingFuture, Program, ProgramError,
    ProgramHealth, Seed, Shard, ShardProgram, VirtualUser, Warnings,
};
pub use run::{Outcome, Prepared, RunError, Settings, prepare, run, run_simulated};
pub use stages::{boundaries, stage_facts};
pub use tenure::{Epoch, Tenure};
