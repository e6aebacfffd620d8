//! CSV files (RFC 4180): the timeline, one row per interval, the endpoints,
//! one row each, and of a shared run the agents.

use crate::agents;
use crate::findings::{Exchanges, Latencies};
use drumfire_metrics::{
    Agent, AgentEnding, AgentId, DropReason, EndpointStats, Histogram, Interval, Summary,
};

/// Percentiles of each latency, as they stand in the column names.
const PERCENTILES: [(&str, f64); 3] = [("p50", 0.5), ("p95", 0.95), ("p99", 0.99)];

/// The timeline. Times are microseconds; `start_us` and `end_us` count from the
/// run's start. A latency is empty where nothing was measured.
pub fn timeline(summary: &Summary) -> String {
    let columns = [
        "start_us,end_us,planned,started,completed,failed,interrupted,dropped,users",
        "requests,responses,errors,received_bytes,sent_bytes,connections",
        &latency_columns("service"),
        &latency_columns("intended"),
        "cpu_us,cpu_available_us,busiest_shard,memory_bytes,sockets",
        "loop_lag_us_p99,lateness_us_p99,descriptors_exhausted,ports_exhausted",
    ];
    let rows = summary.timeline.iter().map(interval_row);
    file(columns.join(","), rows)
}

/// The endpoints of the whole run, in the order of their names.
pub fn endpoints(summary: &Summary) -> String {
    let columns = [
        "endpoint,requests,responses,errors,error_codes,status_codes",
        "received_bytes,sent_bytes,connections",
        &latency_columns("service"),
        "service_us_min,service_us_mean,service_us_max",
        &latency_columns("intended"),
        "intended_us_min,intended_us_mean,intended_us_max",
    ];
    let rows = summary.total.endpoints.iter();
    file(
        columns.join(","),
        rows.map(|(name, stats)| endpoint_row(name, stats)),
    )
}

/// The agents of a shared run, in the order of their names; nothing but the columns' names of another run. A cell is empty
/// where nothing is known.
pub fn agents(summary: &Summary) -> String {
    let dropped = DropReason::ALL.map(|reason| format!("dropped_{}", reason.word()));
    let columns = [
        "agent,life,version,ending,capacity,weight,started,started_share",
        "completed,failed,interrupted,dropped",
        &dropped.join(","),
        "requests,responses,errors,error_codes,status_codes,received_bytes,sent_bytes,connections",
        &latency_columns("response"),
        "response_us_max",
        &latency_columns("service"),
        "service_us_max",
        &latency_columns("intended"),
        "intended_us_max",
        "saturations,cpu_us,cpu_available_us,busiest_shard,memory_bytes,sockets,users",
        "loop_lag_us_p99,lateness_us_p99,descriptors_exhausted,ports_exhausted",
        "clock_offset_ns,clock_error_ns,start_late_ns",
    ];
    let rows = summary.agents.iter().flat_map(|agents| {
        let all = agents::started(agents);
        let rows = agents::in_order(agents).into_iter();
        rows.map(move |(id, agent)| agent_row(id, agent, all))
    });
    file(columns.join(","), rows)
}

fn file(header: String, rows: impl Iterator<Item = String>) -> String {
    let lines = std::iter::once(header).chain(rows);
    lines.map(|line| line + "\r\n").collect()
}

fn latency_columns(name: &str) -> String {
    PERCENTILES
        .map(|(percentile, _)| format!("{name}_us_{percentile}"))
        .join(",")
}

fn interval_row(interval: &Interval) -> String {
    let snapshot = &interval.snapshot;
    let iterations = &snapshot.iterations;
    let health = &snapshot.health;
    let sums = Exchanges::of(snapshot);
    let latencies = Latencies::of(snapshot);
    let mut cells = vec![
        snapshot.start_us.to_string(),
        snapshot.end_us.to_string(),
        interval.planned.to_string(),
        iterations.started.to_string(),
        iterations.completed.to_string(),
        iterations.failed.to_string(),
        iterations.interrupted.to_string(),
        iterations.dropped_total().to_string(),
        health.users.to_string(),
        sums.requests.to_string(),
        sums.responses.to_string(),
        sums.errors.to_string(),
        sums.body_bytes.to_string(),
        sums.sent_bytes.to_string(),
        sums.connections.to_string(),
    ];
    cells.extend(percentiles(&latencies.service_us));
    cells.extend(percentiles(&latencies.intended_us));
    cells.extend([
        health.cpu_us.to_string(),
        health.cpu_available_us.to_string(),
        health.busiest_shard.to_string(),
        health.memory_bytes.to_string(),
        health.sockets.to_string(),
        quantile(&health.loop_lag_us, 0.99),
        quantile(&iterations.lateness_us, 0.99),
        health.descriptors_exhausted.to_string(),
        health.ports_exhausted.to_string(),
    ]);
    cells.join(",")
}

fn agent_row(id: &AgentId, agent: &Agent, all_started: u64) -> String {
    let (iterations, exchanges) = (&agent.iterations, &agent.exchanges);
    let share = match all_started {
        0 => 0.0,
        all => iterations.started as f64 / all as f64,
    };
    let dropped = DropReason::ALL.map(|reason| iterations.dropped.get(&reason).unwrap_or(&0));
    let mut cells = vec![
        quoted(&id.name),
        format!("{:x}", id.life),
        quoted(&agent.version),
        ending(agent.ending).to_owned(),
        agent.capacity.to_string(),
        agent.weight.to_string(),
        iterations.started.to_string(),
        format!("{share:.6}"),
        iterations.completed.to_string(),
        iterations.failed.to_string(),
        iterations.interrupted.to_string(),
        iterations.dropped_total().to_string(),
    ];
    cells.extend(dropped.map(u64::to_string));
    cells.extend(exchange_cells(exchanges));
    for histogram in [
        &exchanges.all_first_byte_us(),
        &exchanges.service_us,
        &exchanges.intended_us,
    ] {
        cells.extend(percentiles(histogram));
        cells.push(present(histogram, || histogram.max().to_string()));
    }
    cells.extend(generator_cells(agent));
    cells.join(",")
}

fn ending(ending: AgentEnding) -> &'static str {
    match ending {
        AgentEnding::Stayed => "stayed",
        other => agents::ending(other),
    }
}

/// From `saturations` on.
fn generator_cells(agent: &Agent) -> Vec<String> {
    let health = &agent.health;
    let stretches = agent.saturations.len() as u64 + agent.saturations_left_out;
    let known = |n: Option<String>| n.unwrap_or_default();
    vec![
        stretches.to_string(),
        health.cpu_us.to_string(),
        health.cpu_available_us.to_string(),
        health.busiest_shard.to_string(),
        health.memory_bytes.to_string(),
        health.sockets.to_string(),
        health.users.to_string(),
        quantile(&health.loop_lag_us, 0.99),
        quantile(&agent.iterations.lateness_us, 0.99),
        health.descriptors_exhausted.to_string(),
        health.ports_exhausted.to_string(),
        known(agent.clock.map(|clock| clock.offset_ns.to_string())),
        known(agent.clock.map(|clock| clock.error_ns.to_string())),
        known(agent.start_late_ns.map(|ns| ns.to_string())),
    ]
}

fn endpoint_row(name: &str, stats: &EndpointStats) -> String {
    let mut cells = vec![quoted(name)];
    cells.extend(exchange_cells(stats));
    for histogram in [&stats.service_us, &stats.intended_us] {
        cells.extend(percentiles(histogram));
        cells.extend(extremes(histogram));
    }
    cells.join(",")
}

/// From `requests` to `connections`.
fn exchange_cells(stats: &EndpointStats) -> [String; 8] {
    let codes = stats.codes.iter().map(|(code, n)| format!("{code}:{n}"));
    let errors = stats.errors.iter().map(|(code, n)| format!("{code}:{n}"));
    [
        stats.requests.to_string(),
        stats.responses().to_string(),
        stats.failures().to_string(),
        quoted(&errors.collect::<Vec<_>>().join(" ")),
        quoted(&codes.collect::<Vec<_>>().join(" ")),
        stats.body_bytes.to_string(),
        stats.sent_bytes.to_string(),
        stats.connections.to_string(),
    ]
}

fn percentiles(histogram: &Histogram) -> [String; 3] {
    PERCENTILES.map(|(_, q)| quantile(histogram, q))
}

fn quantile(histogram: &Histogram, q: f64) -> String {
    present(histogram, || histogram.quantile(q).to_string())
}

fn extremes(histogram: &Histogram) -> [String; 3] {
    [
        present(histogram, || histogram.min().to_string()),
        present(histogram, || format!("{:.1}", histogram.mean())),
        present(histogram, || histogram.max().to_string()),
    ]
}

fn present(histogram: &Histogram, text: impl Fn() -> String) -> String {
    if histogram.count() == 0 {
        return String::new();
    }
    text()
}

/// A text cell, quoted where it must be.
fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) {
        return format!("\"{}\"", text.replace('"', "\"\""));
    }
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::{Demo, demo_summary, shared};

    /// Splits a row that has no quotes in it.
    fn cells(text: &str, row: usize) -> Vec<&str> {
        text.split("\r\n")
            .nth(row)
            .expect("a row")
            .split(',')
            .collect()
    }

    #[test]
    fn the_timeline_has_a_row_per_interval() {
        let summary = demo_summary();
        let text = timeline(&summary);
        assert_eq!(
            text.split_terminator("\r\n").count(),
            1 + summary.timeline.len()
        );
        for row in 1..=summary.timeline.len() {
            assert_eq!(cells(&text, row).len(), cells(&text, 0).len());
        }
        let started = cells(&text, 0)
            .iter()
            .position(|c| *c == "started")
            .expect("a column");
        let sum: u64 = (1..=summary.timeline.len())
            .map(|row| cells(&text, row)[started].parse::<u64>().expect("a number"))
            .sum();
        assert_eq!(sum, summary.total.iterations.started);
    }

    #[test]
    fn the_first_rows_read_well() {
        let small = Demo {
            seconds: 2,
            stall_s: 0..0,
            ..Demo::default()
        };
        let summary = small.run();
        insta::assert_snapshot!(
            (timeline(&summary) + "\n" + &endpoints(&summary)).replace("\r\n", "\n")
        );
    }

    #[test]
    fn agents_have_a_row_each() {
        let summary = shared(3, &Demo::default());
        let text = agents(&summary);
        for row in 1..=3 {
            assert_eq!(cells(&text, row).len(), cells(&text, 0).len());
        }
        let column = |name| {
            cells(&text, 0)
                .iter()
                .position(|c| *c == name)
                .expect("a column")
        };
        let sum = |name| -> u64 {
            let rows = (1..=3).map(|row| cells(&text, row)[column(name)].parse::<u64>());
            rows.map(|n| n.expect("a number")).sum()
        };
        let total = &summary.total.iterations;
        assert_eq!(
            (sum("started"), sum("dropped")),
            (total.started, total.dropped_total())
        );
        assert_eq!(sum("requests"), Exchanges::of(&summary.total).requests);
        insta::assert_snapshot!(text.replace("\r\n", "\n"));
    }

    #[test]
    fn a_run_that_nobody_shared_has_no_agents() {
        assert_eq!(agents(&demo_summary()).split_terminator("\r\n").count(), 1);
    }

    #[test]
    fn text_is_quoted_where_it_must_be() {
        let cases = [
            ("/a", "/a"),
            ("/a, b", "\"/a, b\""),
            ("say \"hi\"", "\"say \"\"hi\"\"\""),
            ("two\nlines", "\"two\nlines\""),
        ];
        for (text, expected) in cases {
            assert_eq!(quoted(text), expected);
        }
    }

    #[test]
    fn what_was_not_measured_is_empty() {
        assert_eq!(quantile(&Histogram::new(), 0.5), "");
        assert_eq!(extremes(&Histogram::new()), ["", "", ""]);
    }
}
