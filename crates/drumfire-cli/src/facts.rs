//! What a report says about a run beside its numbers: who, where, when. The
//! only place that reads the wall clock.

use crate::words::masked;
use drumfire_metrics::RunFacts;
use drumfire_plan::MAX_DURATION;
use jiff::Timestamp;

/// Environment variable that names the run, as in Artillery.
const RUN_ID_VARIABLE: &str = "ARTILLERY_TEST_RUN_ID";
/// The longest stage there is.
const FOR_EVER_US: u64 = MAX_DURATION.as_micros() as u64;
/// What run ids are spelled with: nothing that reads like something else.
const LETTERS: &[u8; 32] = b"23456789abcdefghijkmnpqrstuvwxyz";
/// Letters in the three parts of a run id, as Artillery has them.
const RUN_ID_PARTS: [usize; 3] = [4, 29, 4];

/// The facts known before the run; its start is set when it starts.
pub fn of(run_id: String, title: &str, target: &str) -> RunFacts {
    RunFacts {
        run_id,
        title: title.to_owned(),
        target: masked(target),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        started_at_us: now_us(),
        host: host(),
        ..RunFacts::default()
    }
}

/// Adds to the facts of a run what the engine does not know.
pub fn state(of_run: &mut RunFacts, known: &RunFacts, started_at_us: u64) {
    *of_run = RunFacts {
        run_id: known.run_id.clone(),
        title: known.title.clone(),
        target: known.target.clone(),
        version: known.version.clone(),
        host: known.host.clone(),
        started_at_us,
        ..std::mem::take(of_run)
    };
    // A stage that only a count of iterations ends was planned to last for ever.
    for stage in &mut of_run.stages {
        if stage.end_us >= FOR_EVER_US {
            stage.end_us = of_run.duration_us;
        }
    }
}

/// The wall clock, microseconds since 1970.
pub fn now_us() -> u64 {
    u64::try_from(Timestamp::now().as_microsecond()).unwrap_or(0)
}

/// The wall clock, nanoseconds since 1970.
pub fn now_ns() -> u64 {
    u64::try_from(Timestamp::now().as_nanosecond()).unwrap_or(0)
}

/// The wall clock, milliseconds since 1970.
pub fn now_ms() -> i64 {
    Timestamp::now().as_millisecond()
}

/// The wall clock, seconds since 1970.
pub fn now_s() -> i64 {
    Timestamp::now().as_second()
}

/// The id given by the environment, or a new one.
pub fn run_id() -> String {
    std::env::var(RUN_ID_VARIABLE)
        .ok()
        .filter(|id| !id.is_empty())
        .unwrap_or_else(|| {
            let chance = || uuid::Uuid::new_v4().into_bytes();
            spelled([chance(), chance(), chance()].as_flattened())
        })
}

fn spelled(chance: &[u8]) -> String {
    let mut letters = chance
        .iter()
        .map(|byte| LETTERS[usize::from(byte % 32)] as char);
    let parts = RUN_ID_PARTS.map(|length| letters.by_ref().take(length).collect::<String>());
    format!("t{}", parts.join("_"))
}

/// What this machine, or the container, is called.
pub fn host() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname");
    name.map_or_else(|_| "unknown".into(), |name| name.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn run_ids_look_like_artillerys() {
        let chance: Vec<u8> = (0..48).collect();
        assert_eq!(spelled(&chance), "t2345_6789abcdefghijkmnpqrstuvwxyz2_3456");
    }
}
