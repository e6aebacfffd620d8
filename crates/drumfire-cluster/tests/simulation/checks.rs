//! What holds after every history.

use super::story::SEED_OF_LOAD;
use super::world::{Agent, World};
use drumfire_cluster::{Epoch, Event, Fact, scaled};
use drumfire_metrics::{DropReason, Snapshot};
use drumfire_plan::Load;

/// Everything that does not hold.
pub fn broken(world: &World) -> Vec<String> {
    let mut broken = world.violations.clone();
    if broken.is_empty() {
        broken.extend(balance(world));
        broken.extend(histograms(world));
        broken.extend(record(world));
    }
    broken
}

/// The record alone tells the same as the coordinator that wrote it.
fn record(world: &World) -> Option<String> {
    let (closed, total) = world.closed_again();
    let same = closed == world.closed && total.iterations == accepted(world).iterations;
    (!same).then(|| {
        format!(
            "the record tells {closed:?}, the coordinator {:?}",
            world.closed
        )
    })
}

/// Planned = started + dropped, counted in two ways.
fn balance(world: &World) -> Vec<String> {
    let Some((phase, balance)) = &world.closed else {
        return vec!["the run was never closed".to_owned()];
    };
    let planned = planned(world);
    let claims = [
        (
            balance.is_even(),
            "planned is started plus dropped".to_owned(),
        ),
        (
            balance.planned == Some(planned),
            format!("the schedules have {planned} arrivals"),
        ),
        (
            balance.contradictions == 0,
            "no report contradicts its share".to_owned(),
        ),
        (
            reported_drops(world, DropReason::AgentLost) <= dropped(balance, DropReason::AgentLost),
            "what agents dropped is in the balance".to_owned(),
        ),
        (
            phase != &drumfire_cluster::Phase::Finished
                || dropped(balance, DropReason::Stopped) == 0,
            "a run that was not stopped has stopped nothing".to_owned(),
        ),
    ];
    let broken = claims.into_iter().filter(|(holds, _)| !holds);
    broken
        .map(|(_, claim)| format!("not so: {claim}; {phase:?}, {balance:?}"))
        .collect()
}

fn dropped(balance: &drumfire_cluster::Balance, reason: DropReason) -> u64 {
    balance.dropped.get(&reason).copied().unwrap_or(0)
}

fn reported_drops(world: &World, reason: DropReason) -> u64 {
    let total = accepted(world);
    total.iterations.dropped.get(&reason).copied().unwrap_or(0)
}

/// The arrivals of all epochs' schedules, walked through one by one.
fn planned(world: &World) -> u64 {
    let epochs: Vec<&Epoch> = world
        .record
        .iter()
        .filter_map(|fact| match fact {
            Fact::Started { epoch, .. } | Fact::Epoch(epoch) => Some(epoch),
            _ => None,
        })
        .collect();
    let load = &world.story.settings.load;
    let ends = epochs
        .iter()
        .skip(1)
        .map(|next| next.from_ns)
        .chain([u64::MAX]);
    let spans = epochs.iter().zip(ends);
    let count = |permille, span: std::ops::Range<u64>| {
        let Ok(Load::Open(load)) = scaled(load, permille, SEED_OF_LOAD) else {
            panic!("histories run open load");
        };
        let times = load.schedule(&drumfire_plan::Share::whole());
        times
            .filter(|arrival| span.contains(&(arrival.at.as_nanos() as u64)))
            .count() as u64
    };
    match epochs.is_empty() {
        true => count(1_000, 0..u64::MAX),
        false => spans
            .map(|(epoch, end_ns)| count(epoch.permille, epoch.from_ns..end_ns))
            .sum(),
    }
}

fn accepted(world: &World) -> Snapshot {
    let mut total = Snapshot::default();
    let coordinator = world.coordinator.iter();
    coordinator
        .flat_map(|it| it.accepted.values())
        .for_each(|of_agent| total.merge(of_agent));
    total
}

/// What was accepted is what agents recorded: all of those that lived or left in good order, and of a lost one
/// everything up to some snapshot.
fn histograms(world: &World) -> Vec<String> {
    let Some(coordinator) = &world.coordinator else {
        return vec!["the run was closed by nobody".to_owned()];
    };
    let mut broken = Vec::new();
    let mut expected = Snapshot::default();
    for agent in &world.agents {
        let accepted = coordinator.accepted.get(&agent.member);
        let accepted = accepted.cloned().unwrap_or_default();
        let (member, recorded) = (&agent.member, agent.recorded());
        let survived = agent.left_well || agent.alive && !given_up(world, agent);
        if survived && accepted.iterations != recorded.iterations {
            let (theirs, ours) = (recorded.iterations.started, accepted.iterations.started);
            broken.push(format!(
                "{member} recorded {theirs} iterations, {ours} of them came in"
            ));
        }
        if !agent.recorded_so_far(&accepted.iterations.duration_us) {
            broken.push(format!(
                "what came in of {member} is not what it recorded up to any snapshot"
            ));
        }
        expected.merge(&accepted);
    }
    let machine = &coordinator.machine;
    let counted = machine.ledger().so_far(machine.epochs(), u64::MAX);
    let iterations = &expected.iterations;
    if (counted.started, &counted.dropped) != (iterations.started, &iterations.dropped) {
        broken.push(format!(
            "the ledger counts {counted:?}, its agents reported {iterations:?}"
        ));
    }
    broken
}

/// Whether the coordinator had to close the run without the rest of an agent that was cut off for too long.
fn given_up(world: &World, agent: &Agent) -> bool {
    let lost = world
        .events
        .iter()
        .any(|(_, event)| matches!(event, Event::Lost { member, .. } if *member == agent.member));
    let closed = world.coordinator.as_ref().and_then(|it| {
        let account = it.machine.ledger().account(&agent.member)?;
        Some(account.is_closed())
    });
    let cut_off = agent.cut_off || world.story.network.lost_permille > 150;
    lost && cut_off && !closed.unwrap_or(false)
}
