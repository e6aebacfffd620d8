//! What a history is made of, drawn from its seed: the cluster, its load, its network, and what befalls it.

use super::chance::Chance;
use drumfire_cluster::{Digest, Policy, Settings, Timing, WarmUp};
use drumfire_plan::{Arrivals, Load, OpenLoad, OpenStage, Spacing};
use std::time::Duration;

pub const MS_NS: u64 = 1_000_000;
pub const SECOND_NS: u64 = 1_000 * MS_NS;
pub const SEED_OF_LOAD: u64 = 5;
pub const BUNDLE: Digest = Digest([7; 32]);

#[derive(Debug, Clone)]
pub struct Story {
    pub seed: u64,
    pub settings: Settings,
    pub agents: usize,
    /// What agents may weigh.
    pub capacities: [u32; 4],
    pub network: Network,
    /// What happens, and how long after the beginning.
    pub faults: Vec<(u64, Fault)>,
    /// How far clocks are off.
    pub clock_error_ns: u64,
    /// Whether messages are encoded and signed on the way.
    pub encoded: bool,
}

/// How the network treats a message.
#[derive(Debug, Clone, Copy)]
pub struct Network {
    pub least_delay_ns: u64,
    pub most_delay_ns: u64,
    /// Of a thousand messages, how many take up to ten times as long.
    pub slow_permille: u64,
    pub lost_permille: u64,
    pub doubled_permille: u64,
}

#[derive(Debug, Clone, Copy)]
pub enum Fault {
    /// The process ends; whether the transport notices, and when it comes back, if it does.
    KillAgent {
        agent: usize,
        noticed: bool,
        back_after_ns: Option<u64>,
    },
    Leave {
        agent: usize,
    },
    /// Another agent starts, with this weight.
    Join {
        capacity: u32,
    },
    Partition {
        agent: usize,
        for_ns: u64,
    },
    /// After so many outputs of its next step, if that has any; back after so long.
    KillCoordinator {
        outputs: usize,
        back_after_ns: u64,
    },
    /// What the agent says is lost, what it is told arrives.
    Mute {
        agent: usize,
        for_ns: u64,
    },
    /// Another coordinator takes over while this one is still there.
    TakeOver,
    PartitionCoordinator {
        for_ns: u64,
    },
    /// The broker is out of order; so many of a thousand agents are told so.
    BrokerOutage {
        for_ns: u64,
        told_permille: u64,
    },
    Scale {
        permille: u32,
    },
    Stop,
    Resume,
    Status,
    /// The next agent that fetches gets another bundle.
    WrongBundle {
        agent: usize,
    },
}

/// As usual, but shorter, so that a short history has room for a lease; sometimes with leads that the network outlasts.
fn timing(chance: &mut Chance) -> Timing {
    let (lead_ms, decide_ms) = chance.pick(&[(800, 200), (800, 200), (60, 20)]);
    Timing {
        gather_ns: 8 * SECOND_NS,
        prepare_ns: 8 * SECOND_NS,
        start_lead_ns: 600 * MS_NS,
        epoch_lead_ns: lead_ms * MS_NS,
        decide_ns: decide_ms * MS_NS,
        resend_ns: 150 * MS_NS,
        interval_ns: 500 * MS_NS,
        silence_ns: 1_500 * MS_NS,
        lease_ns: chance.pick(&[1_500, 4_000]) * MS_NS,
        outage_ns: 7 * SECOND_NS,
        clock_error_ns: 2 * SECOND_NS,
        drain_ns: 20 * SECOND_NS,
        empty_ns: 4 * SECOND_NS,
    }
}

pub fn load(chance: &mut Chance) -> Load {
    let spacing = chance.pick(&[Spacing::Uniform, Spacing::Uniform, Spacing::Poisson]);
    let stage = |arrivals, seconds| OpenStage {
        name: None,
        duration: Duration::from_millis(seconds * 1_000 + 137),
        arrivals,
        spacing,
        max_users: None,
    };
    let rate = |chance: &mut Chance| chance.within(5..150) as f64;
    let stages = vec![
        stage(
            Arrivals::Ramp {
                from: rate(chance),
                to: rate(chance),
            },
            chance.within(1..6),
        ),
        stage(
            Arrivals::Constant {
                per_second: rate(chance),
            },
            chance.within(3..9),
        ),
    ];
    Load::Open(OpenLoad::new(stages, SEED_OF_LOAD).expect("a valid load"))
}

impl Story {
    pub fn draw(seed: u64) -> Self {
        let mut chance = Chance::new(seed);
        let many = chance.happens(20);
        let agents = if many {
            chance.within(20..65)
        } else {
            chance.within(2..9)
        } as usize;
        let faults = faults(agents, &mut chance);
        let rough = chance.happens(600);
        Self {
            seed,
            settings: Settings {
                run: format!("run-{seed}"),
                bundle: BUNDLE,
                load: load(&mut chance),
                agents: agents as u32,
                quorum: chance.within(1..agents as u64 + 1) as u32,
                policy: chance.pick(&[
                    Policy::Rebalance,
                    Policy::Rebalance,
                    Policy::Rebalance,
                    Policy::Rebalance,
                    Policy::Continue,
                    Policy::Abort,
                ]),
                paused: false,
                warm_up: chance.happens(150).then_some(WarmUp {
                    permille: 100,
                    duration_ns: SECOND_NS,
                }),
                timing: timing(&mut chance),
            },
            agents,
            capacities: [1, 1, 1, 2],
            network: Network {
                least_delay_ns: MS_NS,
                most_delay_ns: chance.pick(&[3, 20, 60]) * MS_NS,
                slow_permille: if rough { chance.within(0..100) } else { 0 },
                lost_permille: if rough { chance.within(0..250) } else { 0 },
                doubled_permille: if rough { chance.within(0..200) } else { 0 },
            },
            faults,
            clock_error_ns: chance.pick(&[50, 400]) * MS_NS,
            encoded: seed.is_multiple_of(10),
        }
    }
}

/// A run without chance: `seconds` of 60 arrivals per second on a good network, with the usual periods.
pub fn plain(agents: usize, seconds: u64, faults: Vec<(u64, Fault)>) -> Story {
    let stage = OpenStage {
        name: None,
        duration: Duration::from_secs(seconds),
        arrivals: Arrivals::Constant { per_second: 60.0 },
        spacing: Spacing::Uniform,
        max_users: None,
    };
    let load = OpenLoad::new(vec![stage], SEED_OF_LOAD).expect("a valid load");
    Story {
        seed: 1,
        settings: Settings {
            run: "run-1".to_owned(),
            bundle: BUNDLE,
            load: Load::Open(load),
            agents: agents as u32,
            quorum: agents as u32,
            policy: Policy::Rebalance,
            paused: false,
            warm_up: None,
            timing: Timing::default(),
        },
        agents,
        capacities: [1; 4],
        network: Network {
            least_delay_ns: MS_NS,
            most_delay_ns: 20 * MS_NS,
            slow_permille: 0,
            lost_permille: 0,
            doubled_permille: 0,
        },
        faults,
        clock_error_ns: 50 * MS_NS,
        encoded: false,
    }
}

fn faults(agents: usize, chance: &mut Chance) -> Vec<(u64, Fault)> {
    let count = chance.within(0..6);
    let mut faults: Vec<(u64, Fault)> = (0..count)
        .map(|_| (chance.within(0..18 * SECOND_NS), fault(agents, chance)))
        .collect();
    faults.sort_by_key(|(at_ns, _)| *at_ns);
    faults
}

fn fault(agents: usize, chance: &mut Chance) -> Fault {
    let agent = chance.within(0..agents as u64) as usize;
    let back = chance.happens(400);
    let back_after_ns = chance.within(100 * MS_NS..6 * SECOND_NS);
    match chance.within(0..100) {
        0..30 => Fault::KillAgent {
            agent,
            noticed: chance.happens(700),
            back_after_ns: back.then_some(back_after_ns),
        },
        30..45 => Fault::Leave { agent },
        45..57 => Fault::Join {
            capacity: chance.within(1..4) as u32,
        },
        57..68 => Fault::Partition {
            agent,
            for_ns: chance.within(200 * MS_NS..8 * SECOND_NS),
        },
        68..75 => Fault::Mute {
            agent,
            for_ns: chance.within(200 * MS_NS..8 * SECOND_NS),
        },
        75..78 => Fault::TakeOver,
        78..88 => Fault::KillCoordinator {
            outputs: chance.within(0..12) as usize,
            back_after_ns,
        },
        88..91 => Fault::PartitionCoordinator {
            for_ns: chance.within(200 * MS_NS..8 * SECOND_NS),
        },
        91..95 => Fault::BrokerOutage {
            for_ns: chance.within(200 * MS_NS..8 * SECOND_NS),
            told_permille: chance.pick(&[0, 700, 1_000]),
        },
        95..97 => Fault::Scale {
            permille: chance.pick(&[500, 1_500, 2_000]),
        },
        97..98 => Fault::Stop,
        _ => Fault::WrongBundle { agent },
    }
}
