//! How many answers took how long, second by second: counts over log-spaced
//! bands of latency.

use crate::{EndpointStats, Histogram, Interval};

/// Bands in which latency grows tenfold.
const BANDS_PER_DECADE: u32 = 10;
/// Decades from one microsecond up; what is slower falls into the last band.
const DECADES: u32 = 9;

/// Which of the latencies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// From the request written to the first byte of the answer.
    FirstByte,
    /// From the start of the work to the last byte.
    Service,
    /// From the intended start to the last byte.
    Intended,
}

/// Counts by interval and band.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HeatMap {
    /// Lowest (included) and highest (excluded) latency of each band in
    /// microseconds, ascending, from the fastest answer's band to the slowest's.
    pub bands_us: Vec<(u64, u64)>,
    /// For each interval of the timeline the answers in each band.
    pub rows: Vec<Vec<u64>>,
}

impl HeatMap {
    /// The heat map of all endpoints together.
    pub fn of(timeline: &[Interval], reading: Reading) -> Self {
        let bounds = bounds_us();
        let rows: Vec<Vec<u64>> = timeline
            .iter()
            .map(|at| row(at, reading, &bounds))
            .collect();
        let used = |band: &usize| rows.iter().any(|row| row[*band] > 0);
        let bands = 0..bounds.len() - 1;
        let (Some(first), Some(last)) = (bands.clone().find(used), bands.rev().find(used)) else {
            return Self {
                bands_us: Vec::new(),
                rows: vec![Vec::new(); rows.len()],
            };
        };
        Self {
            bands_us: (first..=last)
                .map(|band| (bounds[band], bounds[band + 1]))
                .collect(),
            rows: rows.iter().map(|row| row[first..=last].to_vec()).collect(),
        }
    }
}

fn row(at: &Interval, reading: Reading, bounds: &[u64]) -> Vec<u64> {
    let mut row = vec![0; bounds.len() - 1];
    for endpoint in at.snapshot.endpoints.values() {
        for (lowest, highest, n) in histograms(endpoint, reading).flat_map(Histogram::buckets) {
            let middle = lowest + (highest - lowest) / 2;
            let band = bounds
                .partition_point(|bound| *bound <= middle)
                .saturating_sub(1);
            row[band.min(bounds.len() - 2)] += n;
        }
    }
    row
}

fn histograms(endpoint: &EndpointStats, reading: Reading) -> impl Iterator<Item = &Histogram> {
    match reading {
        Reading::FirstByte => endpoint.first_byte_us.iter(),
        Reading::Service => std::slice::from_ref(&endpoint.service_us).iter(),
        Reading::Intended => std::slice::from_ref(&endpoint.intended_us).iter(),
    }
}

/// Zero, then the powers of ten and the steps between, each once.
fn bounds_us() -> Vec<u64> {
    let steps = 0..=DECADES * BANDS_PER_DECADE;
    let power = |step| {
        10f64
            .powf(f64::from(step) / f64::from(BANDS_PER_DECADE))
            .round() as u64
    };
    let mut bounds: Vec<u64> = std::iter::once(0).chain(steps.map(power)).collect();
    bounds.dedup();
    bounds
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Snapshot;

    fn second(latencies_us: &[u64]) -> Interval {
        let stats = EndpointStats {
            service_us: latencies_us.iter().copied().collect(),
            ..EndpointStats::default()
        };
        let mut snapshot = Snapshot::default();
        snapshot.endpoints.insert("/".to_owned(), stats.clone());
        snapshot.endpoints.insert("/again".to_owned(), stats);
        Interval {
            planned: 0.0,
            snapshot,
        }
    }

    #[test]
    fn answers_fall_into_bands() {
        let timeline = [second(&[100, 110, 130]), second(&[]), second(&[190])];
        let map = HeatMap::of(&timeline, Reading::Service);
        assert_eq!(map.bands_us, [(100, 126), (126, 158), (158, 200)]);
        assert_eq!(map.rows, [vec![4, 2, 0], vec![0, 0, 0], vec![0, 0, 2]]);
    }

    #[test]
    fn nothing_and_extremes_have_a_place() {
        assert_eq!(
            HeatMap::of(&[second(&[])], Reading::Service).rows,
            [Vec::<u64>::new()]
        );
        assert_eq!(HeatMap::of(&[second(&[5])], Reading::Intended).bands_us, []);
        let map = HeatMap::of(&[second(&[0, Histogram::MAX_VALUE])], Reading::Service);
        assert_eq!((map.bands_us[0], map.rows[0][0]), ((0, 1), 2));
        assert_eq!(map.rows[0].last(), Some(&2));
    }

    #[test]
    fn bands_follow_each_other() {
        let bounds = bounds_us();
        assert!(bounds.is_sorted_by(|a, b| a < b), "{bounds:?}");
        assert_eq!((bounds[0], bounds.last()), (0, Some(&1_000_000_000)));
    }
}
