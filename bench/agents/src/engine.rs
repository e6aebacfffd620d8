//! What stands for an agent's engine: it says at the end of each interval how many arrivals of it were the agent's own, by
//! the plan's arithmetic alone, as if each of them had been started in time.

use drumfire_cluster::{EngineEpoch, scaled};
use drumfire_plan::{Load, OpenLoad, Share};
use std::ops::Range;
use std::time::Duration;

/// Intervals end at whole seconds of the run, as those of real engines do.
const SECOND_NS: u64 = 1_000_000_000;

/// What an agent did from one instant of the run to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Nanoseconds since the run's start.
    pub from_ns: u64,
    /// Every arrival before this is in this part or an earlier one.
    pub to_ns: u64,
    /// Arrivals that were started.
    pub started: u64,
    /// Arrivals that were held for too long, and dropped.
    pub dropped: u64,
    /// Whether nothing comes after it.
    pub last: bool,
}

/// One agent's.
#[derive(Debug)]
pub struct Engine {
    load: Load,
    epochs: Vec<Stretch>,
    begun: bool,
    interval_ns: u64,
    until_ns: u64,
    close_ns: u64,
    /// Everything of the agent's before this is started or dropped.
    done_ns: u64,
    /// Everything before this is in a part.
    told_ns: u64,
    /// What was dropped and is not in a part yet.
    dropped: Vec<Range<u64>>,
    stopped: bool,
    ended: bool,
}

/// An epoch, as far as it is the agent's.
#[derive(Debug)]
struct Stretch {
    from_ns: u64,
    load: OpenLoad,
    shares: Vec<Share>,
}

impl Engine {
    /// An engine that has no share yet.
    pub fn new(load: &Load) -> Self {
        Self {
            load: load.clone(),
            epochs: Vec::new(),
            begun: false,
            interval_ns: SECOND_NS,
            until_ns: 0,
            close_ns: u64::MAX,
            done_ns: 0,
            told_ns: 0,
            dropped: Vec::new(),
            stopped: false,
            ended: false,
        }
    }

    /// Whether this is the first time that it is asked.
    pub fn begin(&mut self) -> bool {
        !std::mem::replace(&mut self.begun, true)
    }

    /// From its instant on the agent's share is another.
    ///
    /// # Panics
    /// When the load is closed, which has no arrivals, or cannot be scaled so, which the coordinator has tried.
    pub fn epoch(&mut self, epoch: EngineEpoch) {
        // An even load draws nothing from its seed.
        let Ok(Load::Open(load)) = scaled(&self.load, epoch.permille, 0) else {
            panic!("simulated agents run open load");
        };
        self.epochs.push(Stretch {
            from_ns: epoch.from_ns,
            load,
            shares: epoch.shares,
        });
    }

    /// Start what is due before `until_ns`, drop what was held from before `drop_before_ns`.
    pub fn advance(&mut self, until_ns: u64, drop_before_ns: u64) {
        if drop_before_ns > self.done_ns {
            self.dropped.push(self.done_ns..drop_before_ns);
            self.done_ns = drop_before_ns;
        }
        self.until_ns = until_ns;
    }

    /// Parts are so long from now on, in whole seconds.
    pub fn report_every(&mut self, interval_ns: u64) {
        self.interval_ns = interval_ns.div_ceil(SECOND_NS).max(1) * SECOND_NS;
    }

    /// Nothing comes from this instant of the run on.
    pub fn close(&mut self, at_ns: u64) {
        self.close_ns = at_ns;
    }

    /// Nothing more is started.
    pub fn stop(&mut self) {
        self.stopped = true;
    }

    /// What is complete at this instant of the run.
    pub fn look(&mut self, run_ns: u64) -> Vec<Part> {
        if !self.stopped {
            let to_ns = run_ns.min(self.until_ns).min(self.end_ns());
            self.done_ns = self.done_ns.max(to_ns);
        }
        let mut parts = Vec::new();
        while !self.ended && self.next_ns() <= self.done_ns {
            parts.push(self.part(self.next_ns()));
        }
        if !self.ended && (self.stopped || self.done_ns >= self.end_ns()) {
            self.ended = true;
            let last = self.part(self.done_ns);
            parts.push(Part { last: true, ..last });
        }
        parts
    }

    /// When it has something to say, nanoseconds since the run's start; none when it never has.
    pub fn wake_ns(&self) -> Option<u64> {
        let wake_ns = match self.begun && !self.stopped {
            true => self.next_ns().min(self.end_ns()),
            false => 0,
        };
        // Beyond what is granted it waits for a word.
        (!self.ended && wake_ns <= self.until_ns).then_some(wake_ns)
    }

    /// The end of the next part that is not the last.
    fn next_ns(&self) -> u64 {
        (self.told_ns + self.interval_ns) / SECOND_NS * SECOND_NS
    }

    /// What is due at the very end of the load is before this.
    fn end_ns(&self) -> u64 {
        let whole_ns = self.load.duration().as_nanos() as u64 + 1;
        whole_ns.min(self.close_ns)
    }

    fn part(&mut self, to_ns: u64) -> Part {
        let from_ns = std::mem::replace(&mut self.told_ns, to_ns);
        let within = |span: &Range<u64>| span.start.max(from_ns)..span.end.min(to_ns);
        let dropped = self.dropped.iter().map(within);
        let dropped = dropped.map(|span| self.owned(span)).sum();
        self.dropped.retain(|span| span.end > to_ns);
        Part {
            from_ns,
            to_ns,
            started: self.owned(from_ns..to_ns) - dropped,
            dropped,
            last: false,
        }
    }

    /// How many arrivals of a span are the agent's.
    fn owned(&self, span: Range<u64>) -> u64 {
        let ends = self.epochs.iter().skip(1).map(|next| next.from_ns);
        let stretches = self.epochs.iter().zip(ends.chain([u64::MAX]));
        let owned = stretches.map(|(stretch, end_ns)| {
            let (from_ns, to_ns) = (stretch.from_ns.max(span.start), end_ns.min(span.end));
            stretch.owned(from_ns..to_ns.max(from_ns))
        });
        owned.sum()
    }
}

impl Stretch {
    fn owned(&self, span: Range<u64>) -> u64 {
        let before = |at_ns| self.load.arrivals_before(Duration::from_nanos(at_ns));
        let (first, end) = (before(span.start), before(span.end));
        let shares = self.shares.iter();
        shares
            .map(|share| share.count_below(end) - share.count_below(first))
            .sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use drumfire_cluster::{Epoch, Epochs, Member, Slot};
    use drumfire_plan::{Arrivals, OpenStage, Spacing};
    use proptest::prelude::*;

    const DURATION_S: u64 = 12;

    fn load() -> Load {
        let stage = OpenStage {
            name: None,
            duration: Duration::from_secs(DURATION_S),
            arrivals: Arrivals::Count(997),
            spacing: Spacing::Uniform,
            max_users: None,
        };
        Load::Open(OpenLoad::new(vec![stage], 0).expect("a valid load"))
    }

    fn member(name: usize) -> Member {
        Member::new(&format!("agent-{name}"), 1)
    }

    /// The epochs of three agents: when, in which scale, and with which weights.
    fn decided(list: &[(u64, u32, [u32; 3])]) -> Epochs {
        let mut epochs = Epochs::new(load(), 0);
        for (number, (from_ns, permille, weights)) in (0..).zip(list) {
            let slots = weights
                .iter()
                .enumerate()
                .filter(|(_, weight)| **weight > 0);
            let slot = |(name, weight): (usize, &u32)| Slot {
                member: Some(member(name)),
                weight: *weight,
            };
            let epoch = Epoch {
                number,
                from_ns: *from_ns,
                permille: *permille,
                slots: slots.map(slot).collect(),
            };
            epochs.push(epoch).expect("weights that can be split");
        }
        epochs
    }

    fn engine(epochs: &Epochs, member: &Member) -> Engine {
        let mut engine = Engine::new(&load());
        for epoch in epochs.news_for(member, None) {
            let shares = epoch.shares.iter().map(|share| share.share());
            engine.epoch(EngineEpoch {
                number: epoch.number,
                from_ns: epoch.from_ns,
                permille: epoch.permille,
                number_shift: 0,
                shares: shares.collect::<Result<_, _>>().expect("shares"),
            });
        }
        engine
    }

    /// Looks at these instants of the run, and at its end.
    fn parts(engine: &mut Engine, looks: &[u64]) -> Vec<Part> {
        let looks = looks.iter().copied().chain([(DURATION_S + 1) * SECOND_NS]);
        looks.flat_map(|run_ns| engine.look(run_ns)).collect()
    }

    fn total(parts: &[Part]) -> u64 {
        parts.iter().map(|part| part.started + part.dropped).sum()
    }

    fn a_list() -> impl Strategy<Value = Vec<(u64, u32, [u32; 3])>> {
        let weights = prop::array::uniform3(0..4_u32);
        let weights = weights.prop_filter("someone", |weights| weights.iter().any(|&w| w > 0));
        let permille = prop::sample::select(vec![1_000, 500, 1_700]);
        let entry = (0..DURATION_S * SECOND_NS, permille, weights);
        prop::collection::vec(entry, 1..4).prop_map(|mut list| {
            list.sort();
            list[0].0 = 0;
            list
        })
    }

    proptest! {
        /// Part by part each agent has what the coordinator says that it owned, and all have what was planned.
        #[test]
        fn parts_are_what_the_epochs_give(
            list in a_list(), interval_s in 1..4_u64,
            mut looks in prop::collection::vec(0..DURATION_S * SECOND_NS, 0..20),
        ) {
            looks.sort();
            let epochs = decided(&list);
            let mut all = 0;
            for name in 0..3 {
                let member = member(name);
                let mut engine = engine(&epochs, &member);
                engine.report_every(interval_s * SECOND_NS);
                engine.advance(u64::MAX, 0);
                let parts = parts(&mut engine, &looks);
                let mut to_ns = 0;
                for part in &parts {
                    prop_assert_eq!(part.from_ns, to_ns);
                    to_ns = part.to_ns;
                    let owned = epochs.owned_between(&member, part.from_ns, part.to_ns);
                    prop_assert_eq!((part.started, part.dropped), (owned, 0));
                }
                prop_assert!(parts.last().is_some_and(|part| part.last));
                prop_assert_eq!(parts.iter().filter(|part| part.last).count(), 1);
                all += total(&parts);
            }
            prop_assert_eq!(Some(all), epochs.planned_before(u64::MAX));
        }

        /// What is held for too long is dropped, and counted once.
        #[test]
        fn what_is_dropped_is_counted(held_ns in 0..5 * SECOND_NS, longer_ns in 0..5 * SECOND_NS) {
            let epochs = decided(&[(0, 1_000, [1, 2, 0])]);
            let mut engine = engine(&epochs, &member(1));
            engine.advance(held_ns, 0);
            let to_ns = held_ns + longer_ns;
            let mut parts_of_run = engine.look(to_ns);
            engine.advance(u64::MAX, to_ns);
            parts_of_run.extend(parts(&mut engine, &[]));
            let owned = |from_ns, to_ns| epochs.owned_between(&member(1), from_ns, to_ns);
            let dropped: u64 = parts_of_run.iter().map(|part| part.dropped).sum();
            prop_assert_eq!(dropped, owned(held_ns, to_ns));
            prop_assert_eq!(total(&parts_of_run), owned(0, u64::MAX));
        }
    }

    #[test]
    fn a_stop_and_a_close_end_it_where_it_is() {
        let epochs = decided(&[(0, 1_000, [1, 1, 1])]);
        let at_ns = 3 * SECOND_NS + 500_000_000;
        let stop = |engine: &mut Engine| {
            engine.look(at_ns);
            engine.stop();
        };
        let close = |engine: &mut Engine| engine.close(at_ns);
        for end in [&stop as &dyn Fn(&mut Engine), &close] {
            let mut engine = engine(&epochs, &member(0));
            engine.advance(u64::MAX, 0);
            end(&mut engine);
            let told = parts(&mut engine, &[]);
            let last = told.last().expect("it has ended");
            assert_eq!((last.last, last.to_ns), (true, at_ns));
            assert_eq!(engine.wake_ns(), None);
        }
    }
}
