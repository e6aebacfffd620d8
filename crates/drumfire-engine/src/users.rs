//! Closed load: keeps the shard's stripe of the users iterating.

use crate::control::Stop;
use crate::shard::ShardRun;
use drumfire_metrics::DropReason;
use drumfire_plan::{ClosedLoad, Iterations, Share, UserChange, UserChangeKind};
use drumfire_reactor::{now, sleep_until_precise, spawn, yield_now};
use std::cell::Cell;
use std::collections::HashMap;
use std::rc::Rc;
use tokio::sync::Notify;

/// Starts and stops users as the load says, until it is over, stopped, or all
/// iterations are begun. What a fixed number of iterations leaves unbegun is
/// counted as dropped.
pub(crate) async fn keep(load: &ClosedLoad, share: &Share, run: &Rc<ShardRun>) {
    let quota = Rc::new(Quota::new(load.iterations_of(share)));
    let mut active: HashMap<u32, Rc<Cell<bool>>> = HashMap::new();
    let mut stop = run.control.watch();
    let mut changes = load.changes(share);
    let mut planned_users = 0;
    loop {
        let change = changes.next();
        let due = change.as_ref().map_or(load.duration(), |change| change.at);
        let due_ns = run.start_ns + due.as_nanos() as u64;
        let over = *stop.borrow() != Stop::No
            || tokio::select! {
                biased;
                () = sleep_until_precise(due_ns) => false,
                () = quota.used_up() => true,
                // The sender lives as long as the run does.
                _ = stop.changed() => true,
            };
        let Some(change) = change.filter(|_| !over) else {
            break;
        };
        planned_users += u64::from(change.kind == UserChangeKind::Start);
        apply(&change, due_ns, load, &mut active, &quota, run);
    }
    active.values().for_each(|user| user.set(false));
    run.drop_iterations(DropReason::Stopped, quota.unbegun(planned_users));
}

fn apply(
    change: &UserChange,
    due_ns: u64,
    load: &ClosedLoad,
    active: &mut HashMap<u32, Rc<Cell<bool>>>,
    quota: &Rc<Quota>,
    run: &Rc<ShardRun>,
) {
    match change.kind {
        UserChangeKind::Stop => {
            if let Some(user) = active.remove(&change.user) {
                user.set(false);
            }
        }
        UserChangeKind::Start => {
            let wanted = Rc::new(Cell::new(true));
            active.insert(change.user, wanted.clone());
            quota.users.set(quota.users.get() + 1);
            let stride = u64::from(load.max_users());
            spawn(iterate(
                run.clone(),
                u64::from(change.user),
                stride,
                due_ns,
                wanted,
                quota.clone(),
            ));
        }
    }
}

/// One user, from its start to its stop.
async fn iterate(
    run: Rc<ShardRun>,
    number: u64,
    stride: u64,
    start_ns: u64,
    wanted: Rc<Cell<bool>>,
    quota: Rc<Quota>,
) {
    let mut user = run.user(number);
    let mut done = 0;
    let mut due_ns = start_ns;
    while wanted.get() && quota.take(done) {
        let iterating = run.iterating(number + done * stride, due_ns);
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
