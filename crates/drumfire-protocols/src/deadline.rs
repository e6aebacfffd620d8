//! One timer for many deadlines: it is armed once and moved lazily, so that a
//! request costs no insertion into the reactor's timers.

use drumfire_reactor::{Sleep, sleep_until};
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

/// A timer that may be asked about one deadline after another.
#[derive(Debug, Default)]
pub(crate) struct Deadline {
    timer: Option<Sleep>,
}

impl Deadline {
    /// Whether `due_ns` is past; `u64::MAX` never is. Wakes the task when it is.
    #[inline]
    pub(crate) fn poll(&mut self, due_ns: u64, context: &mut Context<'_>) -> Poll<()> {
        if due_ns == u64::MAX {
            return Poll::Pending;
        }
        let timer = self.timer.get_or_insert_with(|| sleep_until(due_ns));
        timer.reset(due_ns);
        Pin::new(timer).poll(context)
    }

    /// The future's output, or nothing where it is not there at `due_ns`.
    pub(crate) async fn within<T>(
        &mut self,
        due_ns: u64,
        future: impl Future<Output = T>,
    ) -> Option<T> {
        let mut future = pin!(future);
        poll_fn(|context| match future.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending => self.poll(due_ns, context).map(|()| None),
        })
        .await
    }
}
