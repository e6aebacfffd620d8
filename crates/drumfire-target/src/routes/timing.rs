//! Answers that come late, or only sometimes.

use std::time::Duration;

use http::StatusCode;
use rand_xoshiro::Xoshiro256PlusPlus;
use serde_json::json;

use super::{Query, Refusal, Reply, document, with_status};
use crate::delay::{Delay, LONGEST_DELAY, unit};
use crate::faults::parse_rate;
use crate::server::Target;

type Answer = Result<Reply, Refusal>;

const DEFAULT_FLAKY_RATE: &str = "0.5";

pub(super) fn fixed(query: &Query, _: &mut Xoshiro256PlusPlus, _: &Target) -> Answer {
    let delay_ms = query.param("ms", 0, LONGEST_DELAY.as_millis() as u64)?;
    Ok(late(Duration::from_millis(delay_ms)))
}

pub(super) fn drawn(query: &Query, chance: &mut Xoshiro256PlusPlus, _: &Target) -> Answer {
    let delay: Delay = specification(query)?
        .parse()
        .map_err(|error: crate::delay::DelayError| Refusal(error.to_string()))?;
    Ok(late(delay.draw(chance)))
}

/// Writes the query as the command line would: the keys of each distribution, in its order.
fn specification(query: &Query) -> Result<String, Refusal> {
    let value = |name: &str| {
        query
            .value(name)
            .ok_or_else(|| Refusal(format!("{name} is missing")))
    };
    let distribution = query
        .value("distribution")
        .unwrap_or_else(|| "fixed".to_owned());
    let values = match distribution.as_str() {
        "uniform" => format!("{}..{}", value("low")?, value("high")?),
        "normal" => format!("{},{}", value("mean")?, value("deviation")?),
        "lognormal" => format!("{},{}", value("median")?, value("sigma")?),
        _ => value("mean")?,
    };
    Ok(format!("{distribution}:{values}"))
}

fn late(delay: Duration) -> Reply {
    let body = json!({"delay_us": delay.as_micros() as u64});
    Reply::Later(delay, document(&body))
}

pub(super) fn flaky(query: &Query, chance: &mut Xoshiro256PlusPlus, _: &Target) -> Answer {
    let rate = query.value("rate");
    let rate = parse_rate(rate.as_deref().unwrap_or(DEFAULT_FLAKY_RATE)).map_err(Refusal)?;
    let failed = unit(chance) < rate;
    let answer = document(&json!({"failed": failed}));
    Ok(Reply::Now(if failed {
        with_status(StatusCode::SERVICE_UNAVAILABLE, answer)
    } else {
        answer
    }))
}
