//! A check with `abortOnFail` is judged by the merged run, and ends it for all agents: as a target sees it that fails from an
//! instant on.

use crate::cluster::{Cluster, dismiss};
use crate::recorder::{self, Recorder, Request};
use drumfire_metrics::DropReason;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

const AGENTS: usize = 3;
const SECONDS: u64 = 60;
const RATE: u64 = 60;

/// The run is to end within 2 s, which is measured by `bench/skew.py`; a busy machine may take longer, but a run that nobody
/// ends goes on for a minute.
const BOUND_S: f64 = 10.0;

const CHECK: &str = "plugins: {ensure: {conditions: \
     [{expression: http.codes.500 < 1, abortOnFail: true}]}}";

#[test]
fn a_check_that_fails_in_the_merged_run_ends_it_for_all_agents() {
    let Some(cluster) = Cluster::start() else {
        return;
    };
    let mut target = Recorder::start(Ipv4Addr::LOCALHOST.into());
    recorder::write_script(&cluster.folder, &target.url(), SECONDS, RATE, CHECK);
    let mut agents = Vec::new();
    for number in 0..AGENTS {
        let address = Ipv4Addr::new(127, 0, 0, 2 + number as u8).to_string();
        agents.push(cluster.agent_with(&format!("agent-{number}"), &["--local-ip", &address]));
    }
    let coordinator = cluster.coordinator(&["--agents", "3"]);
    target.wait_for(2 * RATE);
    target.fail();
    coordinator.end().expect_code(20);
    for agent in &mut agents {
        agent.wait_for_error("is over");
    }
    let (planned, started, dropped) = cluster.balance();
    let [(DropReason::Stopped, stopped)] = dropped[..] else {
        panic!("{dropped:?}");
    };
    assert_eq!((planned, started + stopped), (SECONDS * RATE, planned));
    let requests = target.take();
    assert_eq!(requests.len() as u64, started);
    let took_s = seconds_from_failure_to_the_end(&requests);
    assert_eq!(took_s.len(), AGENTS);
    assert!(
        took_s.values().all(|took_s| *took_s < BOUND_S),
        "{took_s:?}"
    );
    dismiss(agents);
}

/// How long after the first failure each agent went on.
fn seconds_from_failure_to_the_end(requests: &[Request]) -> BTreeMap<IpAddr, f64> {
    let failed = requests.iter().filter(|request| request.failed);
    let failed_ns = failed.map(|request| request.at_ns).min();
    let failed_ns = failed_ns.expect("some failed");
    let mut last = BTreeMap::new();
    for request in requests {
        let took_s = request.at_ns.saturating_sub(failed_ns) as f64 / 1e9;
        let longest = last.entry(request.from).or_insert(took_s);
        *longest = longest.max(took_s);
    }
    last
}
