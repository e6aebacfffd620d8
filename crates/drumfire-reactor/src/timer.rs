//! Sleeping until an instant of the reactor's clock.

use crate::executor::{Inner, with_current};
use crate::now;
use crate::wheel::TimerKey;
use std::cmp::Reverse;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

/// Waits until `deadline_ns` of the reactor's clock, at most 65.5 µs longer.
pub fn sleep_until(deadline_ns: u64) -> Sleep {
    Sleep {
        deadline_ns,
        key: None,
    }
}

/// Waits for `duration`, at most 65.5 µs longer.
pub fn sleep(duration: Duration) -> Sleep {
    let ns = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
    sleep_until(now().saturating_add(ns))
}

/// Waits until `deadline_ns` as exactly as the kernel wakes us. For the few
/// timers that pace: each costs a heap operation, and one that is dropped early
/// stays queued until its time.
pub async fn sleep_until_precise(deadline_ns: u64) {
    let mut queued = false;
    std::future::poll_fn(|context| {
        with_current(|current| {
            let inner = current.expect("a precise sleep runs on a reactor");
            if inner.clock.now() >= deadline_ns {
                return Poll::Ready(());
            }
            if !queued {
                queued = true;
                let entry = PreciseEntry(deadline_ns, context.waker().clone());
                inner.precise.borrow_mut().push(Reverse(entry));
            }
            Poll::Pending
        })
    })
    .await;
}

/// A timer that can be moved cheaply: moving it later only stores the new
/// deadline, and the timer is armed again when the old one comes.
#[derive(Debug)]
pub struct Sleep {
    deadline_ns: u64,
    key: Option<TimerKey>,
}

impl Sleep {
    /// Moves the deadline. Moving it later costs a store.
    pub fn reset(&mut self, deadline_ns: u64) {
        if deadline_ns < self.deadline_ns {
            self.disarm();
        }
        self.deadline_ns = deadline_ns;
    }

    /// When it is due.
    pub fn deadline_ns(&self) -> u64 {
        self.deadline_ns
    }

    fn disarm(&mut self) {
        if let Some(key) = self.key.take() {
            with_current(|current| {
                if let Some(inner) = current {
                    inner.wheel.borrow_mut().remove(key);
                }
            });
        }
    }

    fn poll_on(&mut self, inner: &Inner, context: &Context<'_>) -> Poll<()> {
        let mut wheel = inner.wheel.borrow_mut();
        match self.key {
            Some(key) if !wheel.fired(key) => {
                wheel.set_waker(key, context.waker());
                return Poll::Pending;
            }
            _ if inner.clock.now() >= self.deadline_ns => {}
            Some(key) => {
                wheel.rearm(key, self.deadline_ns, context.waker().clone());
                return Poll::Pending;
            }
            None => {
                self.key = Some(wheel.insert(self.deadline_ns, context.waker().clone()));
                return Poll::Pending;
            }
        }
        if let Some(key) = self.key.take() {
            wheel.remove(key);
        }
        Poll::Ready(())
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        with_current(|current| {
            let inner = current.expect("a sleep is polled on a reactor");
            self.poll_on(inner, context)
        })
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        self.disarm();
    }
}

/// A deadline and whom it wakes, ordered by the deadline alone.
pub(crate) struct PreciseEntry(pub(crate) u64, pub(crate) std::task::Waker);

impl PartialEq for PreciseEntry {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}
impl Eq for PreciseEntry {}
impl PartialOrd for PreciseEntry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for PreciseEntry {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.cmp(&other.0)
    }
}
