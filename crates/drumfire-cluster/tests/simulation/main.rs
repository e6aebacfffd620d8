//! Whole clusters on simulated time, over a network that delays, drops, doubles, reorders and partitions, with agents and
//! coordinators that die, come back, leave and join: each history from one seed, which a failing one prints.
//!
//! `make simulate N=… SEED=…` lives more of them, or one again: `DRUMFIRE_SIMULATE=N` runs N histories, from
//! `DRUMFIRE_SEED=S` on; with a seed alone, that one.

mod chance;
mod checks;
mod clock;
mod courier;
mod engine;
mod scenes;
mod story;
mod world;

use drumfire_reactor::now;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use story::Story;
use world::World;

/// Histories of an ordinary test run.
const HISTORIES: u64 = 1_000;

/// Threads that live them.
const THREADS: u64 = 2;

/// Between two lines about how far it is.
const LINE_NS: u64 = 10_000_000_000;

/// Set when a history fails: the other thread need not go on.
static FAILED: AtomicBool = AtomicBool::new(false);

#[test]
fn every_history_adds_up() {
    let asked = |name| std::env::var(name).ok().filter(|text| !text.is_empty());
    let seeds = seeds(asked("DRUMFIRE_SIMULATE"), asked("DRUMFIRE_SEED"));
    let progress = Progress::new(seeds.end - seeds.start);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let own = seeds.clone().skip(thread as usize);
            let own = own.step_by(THREADS as usize);
            let mut own = own.take_while(|_| !FAILED.load(Ordering::Relaxed));
            let progress = &progress;
            scope.spawn(move || {
                own.by_ref().for_each(|seed| {
                    live(seed);
                    progress.lived();
                });
            });
        }
    });
    progress.tell(progress.lived.load(Ordering::Relaxed));
}

/// The seeds of the histories that are asked for: how many, and from where on.
fn seeds(histories: Option<String>, first: Option<String>) -> Range<u64> {
    let number = |text: &String| {
        let read = text.parse::<u64>();
        read.unwrap_or_else(|error| {
            panic!("read {text:?} as a number of histories or a seed: {error}")
        })
    };
    let first = first.as_ref().map(number);
    let usual = if first.is_some() { 1 } else { HISTORIES };
    let histories = histories.as_ref().map_or(usual, number);
    let first = first.unwrap_or(0);
    first..first.saturating_add(histories)
}

#[test]
fn seeds_are_as_asked() {
    for (histories, first, expected) in [
        (None, None, 0..HISTORIES),
        (Some("5"), None, 0..5),
        (None, Some("7"), 7..8),
        (Some("5"), Some("7"), 7..12),
    ] {
        let asked = [histories, first].map(|text| text.map(str::to_owned));
        let [histories, first] = asked;
        assert_eq!(seeds(histories, first), expected);
    }
}

/// How many histories have been lived, and how fast.
struct Progress {
    asked: u64,
    lived: AtomicU64,
    begun_ns: u64,
    /// When the next line is due.
    line_ns: AtomicU64,
}

impl Progress {
    fn new(asked: u64) -> Self {
        let begun_ns = now();
        Self {
            asked,
            lived: AtomicU64::new(0),
            begun_ns,
            line_ns: AtomicU64::new(begun_ns + LINE_NS),
        }
    }

    fn lived(&self) {
        let lived = self.lived.fetch_add(1, Ordering::Relaxed) + 1;
        let (due_ns, now_ns) = (self.line_ns.load(Ordering::Relaxed), now());
        let next_ns = now_ns + LINE_NS;
        let order = Ordering::Relaxed;
        // Of two threads that find it due one tells it.
        if now_ns >= due_ns
            && self
                .line_ns
                .compare_exchange(due_ns, next_ns, order, order)
                .is_ok()
        {
            self.tell(lived);
        }
    }

    fn tell(&self, lived: u64) {
        let seconds = (now() - self.begun_ns) as f64 / 1e9;
        let rate = lived as f64 / seconds.max(1e-9);
        eprintln!(
            "{lived} of {} histories in {seconds:.1} s: {rate:.0} a second",
            self.asked
        );
    }
}

fn live(seed: u64) {
    let told = Told(seed);
    let mut world = World::new(Story::draw(seed));
    world.run();
    let broken = checks::broken(&world);
    assert!(
        broken.is_empty(),
        "seed {seed}:\n{}\n{}",
        broken.join("\n"),
        world.tale(),
    );
    drop(told);
}

/// Names the seed when a history panics on its way.
struct Told(u64);

impl Drop for Told {
    fn drop(&mut self) {
        if std::thread::panicking() {
            FAILED.store(true, Ordering::Relaxed);
            eprintln!(
                "hint: this was seed {0}; make simulate N=1 SEED={0} lives this history again",
                self.0
            );
        }
    }
}
