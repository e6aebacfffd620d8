//! Numbers, times and judgements as words, the same in every report.

use drumfire_metrics::{DropReason, Saturation, SaturationCause};

/// Rounds to one digit after the point, halves upward.
pub(crate) fn tenths(value: f64) -> f64 {
    (value * 10.0 + 0.5).floor() / 10.0
}

/// Microseconds as milliseconds with about three significant digits: `0.052`, `1.25`, `12.5`, `1250`.
pub(crate) fn ms(us: f64) -> String {
    let ms = us / 1e3;
    let digits = match ms {
        ms if ms < 1.0 => 3,
        ms if ms < 10.0 => 2,
        ms if ms < 100.0 => 1,
        _ => 0,
    };
    format!("{ms:.digits$}")
}

/// A count with its thousands apart: `1,234,567`.
pub(crate) fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Events per second: one digit after the point below a thousand.
pub(crate) fn per_second(events: u64, duration_us: u64) -> String {
    let rate = rate(events, duration_us);
    if rate < 1_000.0 {
        format!("{rate:.1}/s")
    } else {
        format!("{}/s", count(rate.round() as u64))
    }
}

/// Events per second; zero for no time.
pub(crate) fn rate(events: u64, duration_us: u64) -> f64 {
    if duration_us == 0 {
        return 0.0;
    }
    events as f64 * 1e6 / duration_us as f64
}

/// A share of a whole as a percentage; zero of nothing.
pub(crate) fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        return 0.0;
    }
    part as f64 * 100.0 / whole as f64
}

/// Bytes in the largest unit that leaves at least one: `12 B`, `3.4 KiB`.
pub(crate) fn bytes(n: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let step = (0..UNITS.len())
        .rev()
        .find(|step| n >> (10 * step) > 0)
        .unwrap_or(0);
    if step == 0 {
        return format!("{n} B");
    }
    format!(
        "{:.1} {}",
        n as f64 / (1u64 << (10 * step)) as f64,
        UNITS[step]
    )
}

/// A length of time or an offset from the run's start: `0.8 s`, `12 s`, `2 min 05 s`, `1 h 02 min`.
pub(crate) fn span(us: u64) -> String {
    let seconds = (us + 500_000) / 1_000_000;
    match seconds {
        _ if us < 9_950_000 && !us.is_multiple_of(1_000_000) => format!("{:.1} s", us as f64 / 1e6),
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        _ => format!("{} h {:02} min", seconds / 3_600, seconds / 60 % 60),
    }
}

/// Why iterations were dropped.
pub(crate) fn drop_reason(reason: DropReason) -> &'static str {
    match reason {
        DropReason::UserCap => "cap on concurrent users",
        DropReason::Generator => "generator full",
        DropReason::Stopped => "run stopped",
        DropReason::AgentLost => "agent lost",
    }
}

/// One stretch of saturation: `from 12 s to 40 s: late by p99 85 ms`, `from 12 s to 40 s on agent-3: …`.
pub(crate) fn saturation(stretch: &Saturation) -> String {
    let from = span(stretch.start_us);
    let to = span(stretch.end_us);
    let worst_ms = ms(stretch.worst as f64);
    let times = count(stretch.worst);
    let what = match stretch.cause {
        SaturationCause::Late => format!("late by p99 {worst_ms} ms"),
        SaturationCause::LoopLag => format!("event loop lagged by p99 {worst_ms} ms"),
        SaturationCause::Processor => "no processor time left".to_owned(),
        SaturationCause::Descriptors => format!("out of file descriptors {times} times"),
        SaturationCause::Ports => format!("out of local ports {times} times"),
        SaturationCause::Users => format!("no room for {times} more users"),
    };
    let agent = stretch.agent.as_ref();
    let on = agent.map_or_else(String::new, |agent| format!(" on {agent}"));
    format!("from {from} to {to}{on}: {what}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use drumfire_metrics::WorstAgent;

    #[test]
    fn numbers_read_well() {
        let texts = [
            (ms(52.4), "0.052"),
            (ms(1_250.0), "1.25"),
            (ms(12_540.0), "12.5"),
            (ms(1_250_400.0), "1250"),
            (count(0), "0"),
            (count(999), "999"),
            (count(1_234_567), "1,234,567"),
            (per_second(15, 2_000_000), "7.5/s"),
            (per_second(123_456, 1_000_000), "123,456/s"),
            (per_second(1, 0), "0.0/s"),
            (bytes(0), "0 B"),
            (bytes(1_023), "1023 B"),
            (bytes(3_482), "3.4 KiB"),
            (bytes(5 << 30), "5.0 GiB"),
            (span(800_000), "0.8 s"),
            (span(12_000_000), "12 s"),
            (span(12_400_000), "12 s"),
            (span(125_000_000), "2 min 05 s"),
            (span(3_725_000_000), "1 h 02 min"),
        ];
        for (text, expected) in texts {
            assert_eq!(text, expected);
        }
    }

    #[test]
    fn tenths_round_halves_upward() {
        let cases = [
            (0.04, 0.0),
            (0.05, 0.1),
            (1.25, 1.3),
            (-0.85, -0.8),
            (-3.0, -3.0),
        ];
        for (value, expected) in cases {
            assert_eq!(tenths(value), expected);
        }
    }

    #[test]
    fn every_cause_of_saturation_has_words() {
        let cases = [
            (
                SaturationCause::Late,
                "from 12 s to 40 s: late by p99 85.0 ms",
            ),
            (
                SaturationCause::LoopLag,
                "from 12 s to 40 s: event loop lagged by p99 85.0 ms",
            ),
            (
                SaturationCause::Processor,
                "from 12 s to 40 s: no processor time left",
            ),
            (
                SaturationCause::Descriptors,
                "from 12 s to 40 s: out of file descriptors 85,000 times",
            ),
            (
                SaturationCause::Ports,
                "from 12 s to 40 s: out of local ports 85,000 times",
            ),
            (
                SaturationCause::Users,
                "from 12 s to 40 s: no room for 85,000 more users",
            ),
        ];
        for (cause, expected) in cases {
            let stretch = Saturation {
                cause,
                start_us: 12_000_000,
                end_us: 40_000_000,
                worst: 85_000,
                agent: None,
            };
            assert_eq!(saturation(&stretch), expected);
            let named = Saturation {
                agent: Some(WorstAgent {
                    name: "agent-3".to_owned(),
                    others: 1,
                }),
                ..stretch
            };
            let expected = expected.replace(": ", " on agent-3 and 1 more agent: ");
            assert_eq!(saturation(&named), expected);
        }
    }
}
