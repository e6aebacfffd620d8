//! Closed load: keeps the shard's part of the users iterating.

use crate::control::Stop;
use crate::shard::ShardRun;
use crate::tenure::{Epoch, Terms};
use drumfire_metrics::DropReason;
use drumfire_plan::{ClosedLoad, Iterations, UserChange, UserChangeKind, UserChanges};
use drumfire_reactor::{now, sleep_until_precise, spawn, yield_now};
use std::cell::Cell;
use std::collections::{BTreeMap, HashMap};
use std::iter::Peekable;
use std::rc::Rc;
use std::time::Duration;
use tokio::sync::{Notify, watch};

/// Turns that a user may make in one epoch: the numbers of its iterations differ from those of other epochs, in which
/// it may have been another process's.
const TURNS_PER_EPOCH: u64 = 1 << 24;

/// Starts and stops users as the load says, until it is over, stopped, or all
/// iterations are begun. What a fixed number of iterations leaves unbegun is
/// counted as dropped.
pub(crate) async fn keep(load: &ClosedLoad, run: &Rc<ShardRun>) {
    Keeper::new(load, run).keep().await;
}

struct Keeper<'a> {
    plan: &'a ClosedLoad,
    run: &'a Rc<ShardRun>,
    /// News of the terms, and the shard's part of them as last heard.
    news: watch::Receiver<Terms>,
    terms: Terms,
    stop: watch::Receiver<Stop>,
    quota: Rc<Quota>,
    active: HashMap<u32, Rc<Cell<bool>>>,
    /// The place of the epoch that is kept, and what is still to change in it.
    place: Option<usize>,
    changes: Vec<Peekable<UserChanges>>,
    held: bool,
    planned_users: u64,
}

impl<'a> Keeper<'a> {
    fn new(plan: &'a ClosedLoad, run: &'a Rc<ShardRun>) -> Self {
        let terms = run.terms();
        // Iterations that are counted go to the users of the first epoch.
        let iterations = iterations(plan, terms.epochs.first());
        Keeper {
            plan,
            run,
            news: run.tenure.watch(),
            terms,
            stop: run.control.watch(),
            quota: Rc::new(Quota::new(iterations)),
            active: HashMap::new(),
            place: None,
            changes: Vec::new(),
            held: false,
            planned_users: 0,
        }
    }

    async fn keep(mut self) {
        while *self.stop.borrow() == Stop::No {
            let at = self.elapsed();
            let end = self.end();
            if at >= end {
                break;
            }
            self.follow(at);
            let next = self.next_instant().min(end);
            let next_ns = self.run.start_ns + next.as_nanos() as u64;
            tokio::select! {
                biased;
                () = sleep_until_precise(next_ns) => {}
                () = self.quota.used_up() => break,
                // Both senders live as long as the run does.
                _ = self.stop.changed() => {}
                _ = self.news.changed() => self.terms = self.run.terms(),
            }
        }
        self.active.values().for_each(|user| user.set(false));
        let unbegun = self.quota.unbegun(self.planned_users);
        self.run.drop_iterations(DropReason::Stopped, unbegun);
    }

    fn elapsed(&self) -> Duration {
        Duration::from_nanos(now().saturating_sub(self.run.start_ns))
    }

    /// When the schedule is over.
    fn end(&self) -> Duration {
        let duration = self.load().duration();
        self.terms.closed_at.map_or(duration, |at| at.min(duration))
    }

    fn epoch(&self) -> Option<&Epoch> {
        self.terms.epochs.get(self.place?)
    }

    fn load(&self) -> &ClosedLoad {
        self.epoch()
            .map_or(self.plan, |epoch| epoch.closed_load(self.plan))
    }

    /// Does what is due: begins epochs, starts and stops users, holds and goes on.
    fn follow(&mut self, at: Duration) {
        let begun = self.terms.epochs.iter().filter(|epoch| epoch.from <= at);
        let place = begun.count().checked_sub(1);
        let held = self.terms.until.is_some_and(|until| at >= until);
        if (place, held) != (self.place, self.held) {
            let goes_on = self.held && !held;
            (self.place, self.held) = (place, held);
            self.enter(at, goes_on);
        }
        while let Some(change) = self.next_change(at) {
            match change.kind {
                UserChangeKind::Start => self.start(change.user, change.at),
                UserChangeKind::Stop => self.end_user(change.user),
            }
        }
    }

    /// Begins an epoch, holds, or goes on: those users iterate who are wanted then.
    fn enter(&mut self, at: Duration, goes_on: bool) {
        let epoch = self.epoch().filter(|_| !self.held);
        let from = epoch.map_or(at, |epoch| if goes_on { at } else { epoch.from });
        let shares = epoch.map_or(&[][..], |epoch| &epoch.shares);
        let changes = shares
            .iter()
            .map(|share| self.load().changes(share).peekable());
        self.changes = changes.collect();
        let mut wanted = BTreeMap::new();
        while let Some(change) = self.next_change(at) {
            match change.kind {
                UserChangeKind::Start => drop(wanted.insert(change.user, change.at)),
                UserChangeKind::Stop => drop(wanted.remove(&change.user)),
            }
        }
        self.active.retain(|user, wants| {
            let stays = wanted.contains_key(user);
            wants.set(stays);
            stays
        });
        for (user, start) in wanted {
            if !self.active.contains_key(&user) {
                self.start(user, start.max(from));
            }
        }
    }

    /// The earliest change of all shares, if it is due.
    fn next_change(&mut self, at: Duration) -> Option<UserChange> {
        let instants = self.changes.iter_mut().enumerate();
        let instants = instants.filter_map(|(of, changes)| Some((changes.peek()?.at, of)));
        let (_, of) = instants.min()?;
        self.changes[of].next_if(|change| change.at <= at)
    }

    /// When something is to be done again.
    fn next_instant(&mut self) -> Duration {
        let changes = self.changes.iter_mut().filter_map(Peekable::peek);
        let change = changes.map(|change| change.at).min();
        let after = self.place.map_or(0, |place| place + 1);
        let epoch = self.terms.epochs.get(after).map(|epoch| epoch.from);
        let hold = self.terms.until.filter(|_| !self.held);
        let instants = change.into_iter().chain(epoch).chain(hold);
        instants.min().unwrap_or(Duration::MAX)
    }

    fn start(&mut self, user: u32, due: Duration) {
        let wanted = Rc::new(Cell::new(true));
        self.active.insert(user, wanted.clone());
        self.planned_users += 1;
        self.quota.users.set(self.quota.users.get() + 1);
        let turns = Turns {
            user: u64::from(user),
            stride: u64::from(self.load().max_users()),
            first: self.place.unwrap_or(0) as u64 * TURNS_PER_EPOCH,
        };
        let due_ns = self.run.start_ns + due.as_nanos() as u64;
        spawn(iterate(
            self.run.clone(),
            turns,
            due_ns,
            wanted,
            self.quota.clone(),
        ));
    }

    fn end_user(&mut self, user: u32) {
        if let Some(wanted) = self.active.remove(&user) {
            wanted.set(false);
        }
    }
}

/// How many iterations are this process's, whose users those of the first epoch are.
pub(crate) fn iterations(plan: &ClosedLoad, first: Option<&Epoch>) -> Iterations {
    let shares = first.map_or(&[][..], |epoch| &epoch.shares);
    let of_shares = shares.iter().map(|share| plan.iterations_of(share));
    of_shares.fold(none_of(plan.iterations()), |sum, part| match (sum, part) {
        (Iterations::Shared(sum), Iterations::Shared(part)) => Iterations::Shared(sum + part),
        (_, part) => part,
    })
}

fn none_of(iterations: Iterations) -> Iterations {
    match iterations {
        Iterations::Shared(_) => Iterations::Shared(0),
        other => other,
    }
}

/// How the iterations of a user are numbered.
struct Turns {
    user: u64,
    stride: u64,
    first: u64,
}

/// One user, from its start to its stop.
async fn iterate(
    run: Rc<ShardRun>,
    turns: Turns,
    start_ns: u64,
    wanted: Rc<Cell<bool>>,
    quota: Rc<Quota>,
) {
    let mut user = run.user(turns.user);
    let mut done = 0;
    let mut due_ns = start_ns;
    while wanted.get() && quota.take(done) {
        let iterating = run.iterating(turns.user + (turns.first + done) * turns.stride, due_ns);
        iterating.run(user.as_mut()).await;
        done += 1;
        // A scenario that never waits must not keep the sockets and timers from their turn.
        yield_now().await;
        due_ns = now();
    }
    quota.leave();
}

/// How many iterations may still begin on this shard.
struct Quota {
    limit: Iterations,
    begun: Cell<u64>,
    users: Cell<u64>,
    used_up: Notify,
}

impl Quota {
    fn new(limit: Iterations) -> Self {
        Quota {
            limit,
            begun: Cell::new(0),
            users: Cell::new(0),
            used_up: Notify::new(),
        }
    }

    /// Whether a user that has done `done` iterations may begin another.
    fn take(&self, done: u64) -> bool {
        let allowed = match self.limit {
            Iterations::Unlimited => true,
            Iterations::Shared(total) => self.begun.get() < total,
            Iterations::PerUser(each) => done < each,
        };
        self.begun.set(self.begun.get() + u64::from(allowed));
        allowed
    }

    /// A user has begun its last iteration.
    fn leave(&self) {
        self.users.set(self.users.get() - 1);
        let shared_out =
            matches!(self.limit, Iterations::Shared(total) if self.begun.get() >= total);
        if shared_out || (self.users.get() == 0 && self.limit != Iterations::Unlimited) {
            self.used_up.notify_one();
        }
    }

    async fn used_up(&self) {
        match self.limit {
            // A share without iterations has nothing to wait for.
            Iterations::Shared(0) => {}
            _ => self.used_up.notified().await,
        }
    }

    fn unbegun(&self, planned_users: u64) -> u64 {
        match self.limit {
            Iterations::Unlimited => 0,
            Iterations::Shared(total) => total - self.begun.get(),
            Iterations::PerUser(each) => planned_users * each - self.begun.get(),
        }
    }
}
