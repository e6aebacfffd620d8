//! Who is still running, and waiting for them.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};

/// Counts the users in the middle of an iteration and wakes who waits for the
/// last of them.
#[derive(Debug, Default)]
pub(crate) struct Running {
    users: Cell<u64>,
    waiting: RefCell<Option<Waker>>,
}

impl Running {
    /// Counts one in; dropping the guard counts it out.
    pub(crate) fn enter(self: &Rc<Self>) -> RunningGuard {
        self.users.set(self.users.get() + 1);
        RunningGuard(self.clone())
    }

    pub(crate) fn users(&self) -> u64 {
        self.users.get()
    }

    /// Waits until nobody runs.
    pub(crate) async fn empty(&self) {
        poll_fn(|context| {
            if self.users.get() == 0 {
                return Poll::Ready(());
            }
            *self.waiting.borrow_mut() = Some(context.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

/// One who runs.
#[derive(Debug)]
pub(crate) struct RunningGuard(Rc<Running>);

impl Drop for RunningGuard {
    fn drop(&mut self) {
        self.0.users.set(self.0.users.get() - 1);
        if self.0.users.get() == 0
            && let Some(waker) = self.0.waiting.borrow_mut().take()
        {
            waker.wake();
        }
    }
}
