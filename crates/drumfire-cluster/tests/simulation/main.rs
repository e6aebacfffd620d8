//! Whole clusters on simulated time, over a network that delays, drops, doubles, reorders and partitions, with agents and
//! coordinators that die, come back, leave and join: each history from one seed, which a failing one prints.
//!
//! `DRUMFIRE_SIMULATE=N` runs N histories, `DRUMFIRE_SEED=S` that one alone.

mod chance;
mod checks;
mod clock;
mod courier;
mod engine;
mod scenes;
mod story;
mod world;

use std::sync::atomic::{AtomicBool, Ordering};
use story::Story;
use world::World;

/// Histories of an ordinary test run.
const HISTORIES: u64 = 1_000;

/// Threads that live them.
const THREADS: u64 = 2;

/// Set when a history fails: the other thread need not go on.
static FAILED: AtomicBool = AtomicBool::new(false);

#[test]
fn every_history_adds_up() {
    let number = |name| std::env::var(name).ok()?.parse::<u64>().ok();
    if let Some(seed) = number("DRUMFIRE_SEED") {
        return live(seed);
    }
    let histories = number("DRUMFIRE_SIMULATE").unwrap_or(HISTORIES);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let seeds = (thread..histories).step_by(THREADS as usize);
            let mut seeds = seeds.take_while(|_| !FAILED.load(Ordering::Relaxed));
            scope.spawn(move || seeds.by_ref().for_each(live));
        }
    });
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
            eprintln!("hint: DRUMFIRE_SEED={} lives this history again", self.0);
        }
    }
}
