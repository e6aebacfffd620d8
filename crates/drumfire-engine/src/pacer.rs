//! Open load: starts each arrival of the shard's stripe at its instant.

use crate::control::Stop;
use crate::shard::ShardRun;
use drumfire_metrics::DropReason;
use drumfire_plan::{Arrival, OpenLoad, Share};
use drumfire_reactor::{now, sleep_until_precise, yield_now};
use tokio::sync::watch;

/// Arrivals started in a row while behind schedule before sockets get a turn.
const CATCH_UP_BURST: u32 = 32;

/// Walks the schedule to its end or to the stop; what is not started is
/// counted as dropped with its reason.
pub(crate) async fn pace(load: &OpenLoad, share: &Share, run: &ShardRun) {
    let caps: Vec<u64> = load
        .stages()
        .iter()
        .map(|stage| {
            stage
                .max_users
                .map_or(run.users_limit, |cap| run.part_of(cap).min(run.users_limit))
        })
        .collect();
    let mut stop = run.control.watch();
    let mut burst = 0;
    let mut schedule = load.schedule(share);
    while let Some(arrival) = schedule.next() {
        let due_ns = run.start_ns + arrival.at.as_nanos() as u64;
        if now() < due_ns {
            burst = 0;
            wait(due_ns, &mut stop).await;
        } else {
            burst += 1;
            if burst % CATCH_UP_BURST == 0 {
                yield_now().await;
            }
        }
        if *stop.borrow() != Stop::No {
            run.drop_iterations(DropReason::Stopped, 1 + schedule.len() as u64);
            return;
        }
        start(run, arrival, due_ns, caps[arrival.stage as usize]);
    }
    // The stage after the last arrival belongs to the schedule too.
    wait(run.start_ns + load.duration().as_nanos() as u64, &mut stop).await;
}

async fn wait(until_ns: u64, stop: &mut watch::Receiver<Stop>) {
    if *stop.borrow() != Stop::No {
        return;
    }
    tokio::select! {
        biased;
        () = sleep_until_precise(until_ns) => {}
        // The sender lives as long as the run does.
        _ = stop.changed() => {}
    }
}

fn start(run: &ShardRun, arrival: Arrival, due_ns: u64, cap: u64) {
    if run.running.users() < cap {
        run.start_user(arrival.number, due_ns);
    } else if cap == run.users_limit {
        run.drop_iterations(DropReason::Generator, 1);
    } else {
        run.drop_iterations(DropReason::UserCap, 1);
    }
}
