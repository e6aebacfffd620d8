//! Ending a run from outside: first with grace, then at once.

use tokio::sync::watch;

/// Why a run ends before its schedule does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopReason {
    /// A person or a supervisor asked (Ctrl-C, SIGTERM, the API).
    Requested,
    /// The longest allowed duration was reached.
    MaxDuration,
    /// A threshold that ends the run was crossed.
    Threshold,
}

/// How far the ending has gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    No,
    /// No new iterations; running ones may finish.
    Drain(StopReason),
    /// Running iterations are interrupted.
    Now(StopReason),
}

impl Stop {
    pub(crate) fn reason(self) -> Option<StopReason> {
        match self {
            Stop::No => None,
            Stop::Drain(reason) | Stop::Now(reason) => Some(reason),
        }
    }
}

/// The handle that stops a run, from any thread.
#[derive(Debug, Clone)]
pub struct Control {
    stop: watch::Sender<Stop>,
}

impl Default for Control {
    fn default() -> Self {
        Control {
            stop: watch::Sender::new(Stop::No),
        }
    }
}

impl Control {
    /// Begins no further iterations and lets the running ones finish within
    /// the grace; a second call interrupts them.
    pub fn stop(&self, reason: StopReason) {
        self.stop.send_modify(|stop| {
            *stop = match *stop {
                Stop::No => Stop::Drain(reason),
                Stop::Drain(first) | Stop::Now(first) => Stop::Now(first),
            };
        });
    }

    /// Begins to stop unless the run is stopping already.
    pub(crate) fn begin(&self, reason: StopReason) {
        self.stop.send_if_modified(|stop| {
            let first = *stop == Stop::No;
            if first {
                *stop = Stop::Drain(reason);
            }
            first
        });
    }

    /// Interrupts everything.
    pub fn stop_now(&self, reason: StopReason) {
        self.stop
            .send_modify(|stop| *stop = Stop::Now(stop.reason().unwrap_or(reason)));
    }

    /// Why the run is ending, if it is.
    pub fn stopping(&self) -> Option<StopReason> {
        self.stop.borrow().reason()
    }

    /// Whether running iterations are interrupted, too.
    pub fn interrupting(&self) -> bool {
        matches!(*self.stop.borrow(), Stop::Now(_))
    }

    /// Waits for the next call of [`stop`](Self::stop) or [`stop_now`](Self::stop_now) after this one.
    pub fn next_stop(&self) -> impl Future<Output = ()> + use<> {
        let mut stop = self.watch();
        async move {
            if stop.changed().await.is_err() {
                std::future::pending().await
            }
        }
    }

    pub(crate) fn watch(&self) -> watch::Receiver<Stop> {
        self.stop.subscribe()
    }
}
