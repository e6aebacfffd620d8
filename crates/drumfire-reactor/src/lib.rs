//! The load plane's event loop: one thread, its tasks, timers and sockets,
//! nothing shared.
//!
//! A general runtime pays for what the load plane never uses (work stealing,
//! millisecond timers, a driver behind several layers) on every request. This
//! loop does five things: it polls tasks, it fetches into the cache what the
//! next ones said that they [`will_touch`], it waits on an edge-triggered epoll
//! until the next deadline with nanosecond resolution, it fires timers, and it
//! takes wake-ups from other threads through an eventfd. Sockets implement
//! tokio's `AsyncRead` and `AsyncWrite`, so libraries that need only the traits
//! (TLS, HTTP/2) run on it unchanged.
//!
//! Time is real, or simulated: a [`Reactor::simulated`] jumps to the next
//! deadline when nothing is runnable, so that tests of pacing take no time.

mod clock;
mod executor;
mod idle;
mod near;
mod socket;
mod timer;
mod wheel;

pub use clock::now;
pub use executor::{Reactor, spawn, yield_now};
pub use near::{Part, will_touch};
pub use socket::{ConnectOptions, TcpListener, TcpStream, open_sockets, scratch};
pub use timer::{Sleep, sleep, sleep_until, sleep_until_precise};
