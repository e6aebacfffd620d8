//! What stands for an agent's engine: it starts the arrivals that the agent owns when they are due, as far as it may go, and
//! records them.

use super::chance::Chance;
use super::story::SEED_OF_LOAD;
use drumfire_cluster::{EngineEpoch, scaled};
use drumfire_metrics::{DropReason, Recorder, Snapshot};
use drumfire_plan::Load;

/// An arrival, whoever starts it: the scale of its schedule, and its number there.
pub type ArrivalId = (u32, u64);

#[derive(Debug)]
pub struct Engine {
    load: Load,
    pub start_ns: u64,
    epochs: Vec<Stretch>,
    until_ns: u64,
    drop_before_ns: u64,
    /// All that is due before this is started or dropped.
    pub done_ns: u64,
    /// The run's time when it last looked.
    looked_ns: u64,
    close_ns: Option<u64>,
    stopped: bool,
    recorder: Recorder,
    /// Iterations under way: when each ends, and how long it took.
    running: Vec<(u64, u64)>,
    pub started: u64,
}

/// What an epoch makes the agent's: numbers and instants, from when on it counts.
#[derive(Debug)]
struct Stretch {
    from_ns: u64,
    permille: u32,
    own: Vec<(u64, u64)>,
}

impl Engine {
    pub fn new(load: &Load, start_ns: u64) -> Self {
        Self {
            load: load.clone(),
            start_ns,
            epochs: Vec::new(),
            until_ns: 0,
            drop_before_ns: 0,
            done_ns: 0,
            looked_ns: 0,
            close_ns: None,
            stopped: false,
            recorder: Recorder::new(),
            running: Vec::new(),
            started: 0,
        }
    }

    /// Whether the epoch leaves alone what this agent has started already.
    #[must_use]
    pub fn epoch(&mut self, epoch: &EngineEpoch) -> bool {
        let Ok(Load::Open(load)) = scaled(&self.load, epoch.permille, SEED_OF_LOAD) else {
            panic!("histories run open load");
        };
        let schedule = epoch.shares.iter().flat_map(|share| load.schedule(share));
        let own = schedule.map(|arrival| (arrival.number, arrival.at.as_nanos() as u64));
        let mut own: Vec<(u64, u64)> = own.collect();
        own.sort();
        let stretch = Stretch {
            from_ns: epoch.from_ns,
            permille: epoch.permille,
            own,
        };
        let same = self
            .epochs
            .last()
            .is_none_or(|last| (last.permille, &last.own) == (stretch.permille, &stretch.own));
        self.epochs.push(stretch);
        same || epoch.from_ns >= self.done_ns
    }

    /// Whether the agent has not gone further already.
    #[must_use]
    pub fn advance(&mut self, until_ns: u64, drop_before_ns: u64) -> bool {
        self.until_ns = until_ns;
        self.drop_before_ns = self.drop_before_ns.max(drop_before_ns);
        until_ns >= self.done_ns
    }

    pub fn close(&mut self, at_ns: u64) {
        self.close_ns = Some(at_ns);
    }

    pub fn stop(&mut self) {
        self.stopped = true;
    }

    /// Starts or drops what is due at `now_ns` of the agent's clock; gives each with whether it was started.
    pub fn look(&mut self, now_ns: u64, chance: &mut Chance) -> Vec<(ArrivalId, bool)> {
        let run_ns = now_ns.saturating_sub(self.start_ns);
        let looked_ns = std::mem::replace(&mut self.looked_ns, run_ns);
        let mut handled = Vec::new();
        if !self.stopped {
            let to_ns = run_ns.min(self.until_ns).max(self.done_ns);
            for (id, at_ns) in self.owned(self.done_ns, to_ns) {
                let started = at_ns >= self.drop_before_ns;
                handled.push((id, started));
                match started {
                    true => self.begin(at_ns, at_ns.max(looked_ns), chance),
                    false => self.recorder.iterations_dropped(DropReason::AgentLost, 1),
                }
            }
            self.done_ns = to_ns;
        }
        self.complete(run_ns);
        handled
    }

    pub fn take(&mut self) -> Snapshot {
        self.recorder.take(0, self.looked_ns / 1_000)
    }

    /// Up to where everything is accounted for, once all is over.
    pub fn drained(&self) -> Option<u64> {
        let over = self.done_ns >= self.load.duration().as_nanos() as u64;
        let closed = self.close_ns.is_some_and(|at_ns| self.done_ns >= at_ns);
        let ended = self.running.is_empty() && (over || closed || self.stopped);
        ended.then_some(if over { u64::MAX } else { self.done_ns })
    }

    fn owned(&self, from_ns: u64, to_ns: u64) -> Vec<(ArrivalId, u64)> {
        let mut owned = Vec::new();
        for (index, stretch) in self.epochs.iter().enumerate() {
            let next = self.epochs.get(index + 1).map(|next| next.from_ns);
            let from_ns = stretch.from_ns.max(from_ns);
            let to_ns = next.unwrap_or(u64::MAX).min(to_ns);
            let first = stretch.own.partition_point(|(_, at_ns)| *at_ns < from_ns);
            let due = stretch.own[first..].iter();
            let due = due.take_while(|(_, at_ns)| *at_ns < to_ns);
            owned.extend(due.map(|(number, at_ns)| ((stretch.permille, *number), *at_ns)));
        }
        owned
    }

    fn begin(&mut self, at_ns: u64, now_ns: u64, chance: &mut Chance) {
        let duration_ns = chance.within(1_000_000..800_000_000);
        self.started += 1;
        self.recorder.iteration_started(now_ns - at_ns);
        self.running.push((now_ns + duration_ns, duration_ns));
    }

    fn complete(&mut self, run_ns: u64) {
        let recorder = &mut self.recorder;
        self.running.retain(|(end_ns, duration_ns)| {
            let ended = *end_ns <= run_ns;
            if ended {
                recorder.iteration_completed(*duration_ns);
            }
            !ended
        });
    }
}
