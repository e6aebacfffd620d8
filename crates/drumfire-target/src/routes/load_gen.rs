//! `/load-gen/loop`: work for the CPU, `count` times the sum of the first `range` Fibonacci
//! numbers, as the sample worker of the AWS and Locust walkthrough does it.

use std::hint::black_box;

use http::Response;
use rand_xoshiro::Xoshiro256PlusPlus;
use serde_json::json;
use tokio::time::Instant;

use super::{Body, Query, Refusal, Reply, document};
use crate::server::Target;

const DEFAULT_COUNT: u64 = 50;
const DEFAULT_RANGE: u64 = 1_000;
const COUNT_LIMIT: u64 = 1_000_000;
const RANGE_LIMIT: u64 = 1_000_000;

/// Additions that one request may ask for: about a tenth of a second.
const WORK_LIMIT: u64 = 100_000_000;

/// Additions that may be done on the event loop: some tens of microseconds.
const INLINE_LIMIT: u64 = 100_000;

/// Work within the limits.
pub(crate) struct LoopWork {
    count: u64,
    range: u64,
}

pub(super) fn answer(
    query: &Query,
    _: &mut Xoshiro256PlusPlus,
    _: &Target,
) -> Result<Reply, Refusal> {
    let count = query.number("count", DEFAULT_COUNT, COUNT_LIMIT)?;
    let range = query.number("range", DEFAULT_RANGE, RANGE_LIMIT)?;
    if count * range > WORK_LIMIT {
        return Err(Refusal(format!(
            "count times range is {}, above {WORK_LIMIT}",
            count * range
        )));
    }
    Ok(Reply::Compute(LoopWork { count, range }))
}

impl LoopWork {
    pub(crate) async fn perform(self) -> Response<Body> {
        if self.count * self.range <= INLINE_LIMIT {
            return self.burn();
        }
        match tokio::task::spawn_blocking(move || self.burn()).await {
            Ok(answer) => answer,
            Err(stopped) => std::panic::resume_unwind(stopped.into_panic()),
        }
    }

    fn burn(&self) -> Response<Body> {
        let started = Instant::now();
        let mut sum = 0;
        for _ in 0..self.count {
            sum = black_box(fibonacci_sum(black_box(self.range)));
        }
        document(&json!({
            "count": self.count,
            "range": self.range,
            "sum": sum.to_string(),
            "elapsed_us": started.elapsed().as_micros() as u64,
        }))
    }
}

/// The sum of the first `range` Fibonacci numbers, modulo 2^64.
fn fibonacci_sum(range: u64) -> u64 {
    let (mut sum, mut now, mut next) = (0_u64, 0_u64, 1_u64);
    for _ in 0..range {
        sum = sum.wrapping_add(now);
        (now, next) = (next, now.wrapping_add(next));
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::fibonacci_sum;

    #[test]
    fn sums_of_fibonacci_numbers() {
        // the sum of the first n is the (n + 2)-th less one
        for (range, sum) in [(0, 0), (1, 0), (2, 1), (3, 2), (10, 88), (20, 10_945)] {
            assert_eq!(fibonacci_sum(range), sum, "{range}");
        }
    }
}
