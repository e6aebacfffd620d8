//! A host's clock: off by some, and running a little fast or slow.

/// True time begins here, so that clocks that are behind stay above zero.
pub const BEGIN_NS: u64 = 1_000_000_000_000;

#[derive(Debug, Clone, Copy)]
pub struct Clock {
    pub ahead_ns: i64,
    /// Parts per million.
    pub fast_ppm: i64,
}

impl Clock {
    pub fn at(self, true_ns: u64) -> u64 {
        let drift_ns = (true_ns as i64 - BEGIN_NS as i64) * self.fast_ppm / 1_000_000;
        true_ns.saturating_add_signed(self.ahead_ns + drift_ns)
    }

    /// When the clock will show `own_ns`, never too early.
    pub fn true_ns(self, own_ns: u64) -> u64 {
        let near_ns = own_ns.saturating_add_signed(-self.ahead_ns);
        let drift_ns = (near_ns as i64 - BEGIN_NS as i64) * self.fast_ppm / 1_000_000;
        near_ns.saturating_add_signed(-drift_ns) + 1_000
    }
}
