//! How far a coordinator's clock is ahead of an agent's: echoes of heartbeats, of which the one with the shortest round trip wins.

/// Echoes that an agent waits for before it calls itself armed.
pub const MIN_ECHOES: u32 = 5;

/// A measured difference of two clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockOffset {
    /// The coordinator's clock minus the agent's.
    pub offset_ns: i64,
    /// The round trip that it was measured with: the error is at most half of it.
    pub round_trip_ns: u64,
}

impl ClockOffset {
    /// An instant of the coordinator's clock on the agent's.
    pub fn to_agent_ns(self, coordinator_ns: u64) -> u64 {
        coordinator_ns.saturating_add_signed(self.offset_ns.saturating_neg())
    }
}

/// The coordinator's answer to one heartbeat, in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Echo {
    /// When the agent sent the heartbeat, by its own clock.
    pub sent_ns: u64,
    /// When the coordinator received and answered it, by its own.
    pub answered_ns: u64,
}

/// What an agent has measured so far.
#[derive(Debug, Clone, Default)]
pub(crate) struct ClockSamples {
    best: Option<ClockOffset>,
    count: u32,
}

impl ClockSamples {
    /// Takes an echo that arrived at `now_ns` of the agent's clock.
    pub(crate) fn add(&mut self, echo: Echo, now_ns: u64) {
        let Some(round_trip_ns) = now_ns.checked_sub(echo.sent_ns) else {
            return;
        };
        let middle_ns = echo.sent_ns + round_trip_ns / 2;
        let sample = ClockOffset {
            offset_ns: echo.answered_ns.wrapping_sub(middle_ns) as i64,
            round_trip_ns,
        };
        self.count = self.count.saturating_add(1);
        if self
            .best
            .is_none_or(|best| round_trip_ns < best.round_trip_ns)
        {
            self.best = Some(sample);
        }
    }

    /// The best sample, once there are [`MIN_ECHOES`].
    pub(crate) fn offset(&self) -> Option<ClockOffset> {
        self.best.filter(|_| self.count >= MIN_ECHOES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shortest_round_trip_wins() {
        let mut samples = ClockSamples::default();
        // The coordinator is 1,000,000 ahead; delays there and back differ.
        for (there, back) in [(50, 10), (90, 90), (7, 5), (5, 300), (40, 40)] {
            assert_eq!(samples.offset(), None);
            let sent_ns = 5_000;
            let answered_ns = sent_ns + there + 1_000_000;
            samples.add(
                Echo {
                    sent_ns,
                    answered_ns,
                },
                sent_ns + there + back,
            );
        }
        let offset = samples.offset().expect("five echoes came");
        assert_eq!(offset.round_trip_ns, 12);
        assert_eq!(offset.offset_ns, 1_000_001);
        assert_eq!(offset.to_agent_ns(2_000_000), 999_999);
    }

    #[test]
    fn an_echo_from_before_its_heartbeat_is_ignored() {
        let mut samples = ClockSamples::default();
        let echo = Echo {
            sent_ns: 10,
            answered_ns: 10,
        };
        (0..10).for_each(|_| samples.add(echo, 9));
        assert_eq!(samples.offset(), None);
    }
}
