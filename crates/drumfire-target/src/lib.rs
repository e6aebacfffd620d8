//! A small HTTP service to aim at, with delays, stalls and faults on request.
//!
//! The way of a request: `server` accepts and speaks HTTP, `faults` says what goes wrong with it,
//! `routes` finds its answer, `hostile` takes the connection over where the answer is none that a
//! well-behaved server gives, `stats` keeps what was seen. `fast` is a second, bare server that
//! only ever says the same thing, for benchmarks in which the target must not be the limit.

mod options;

mod server;

mod routes;

mod hostile;

mod fast;

mod faults;

mod delay;

mod stats;

mod tls;

mod wire;

mod duration;

mod descriptors;

mod test_target;

pub use delay::{Delay, DelayError};
pub use fast::{FastOptions, FastTarget};
pub use faults::{StallError, StallSchedule};
pub use options::TargetOptions;
pub use server::{Ready, TargetError, run, serve};
pub use stats::{Gaps, TargetStats};
pub use test_target::TestTarget;
pub use tls::{Authority, Identity, TlsError};
