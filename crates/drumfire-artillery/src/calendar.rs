//! Days and moments of the Gregorian calendar, in UTC.

const DAY_MS: i64 = 86_400_000;

/// A moment taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment {
    pub(crate) year: i64,
    /// From 1.
    pub(crate) month: i64,
    /// From 1.
    pub(crate) day: i64,
    /// From Sunday, 0.
    pub(crate) weekday: usize,
    pub(crate) hour: i64,
    pub(crate) minute: i64,
    pub(crate) second: i64,
    pub(crate) millisecond: i64,
}

impl Moment {
    /// The moment `unix_ms` milliseconds after 1970.
    pub(crate) fn from_unix_ms(unix_ms: i64) -> Moment {
        let days = unix_ms.div_euclid(DAY_MS);
        let of_day = unix_ms.rem_euclid(DAY_MS);
        let (year, month, day) = civil_from_days(days);
        Moment {
            year,
            month,
            day,
            weekday: (days + 4).rem_euclid(7) as usize,
            hour: of_day / 3_600_000,
            minute: of_day / 60_000 % 60,
            second: of_day / 1_000 % 60,
            millisecond: of_day % 1_000,
        }
    }

    /// The moment in ISO 8601, as JSON shows dates.
    pub(crate) fn iso(&self) -> String {
        let Moment {
            year,
            month,
            day,
            hour,
            minute,
            second,
            millisecond,
            ..
        } = self;
        format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millisecond:03}Z")
    }
}

/// Days from 1970-01-01 to a date; months and days beyond their range roll over.
pub(crate) fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = year + (month - 1).div_euclid(12);
    let month = (month - 1).rem_euclid(12) + 1;
    // In years that start in March the leap day comes last.
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468 + day - 1
}

/// The reverse of [`days_from_civil`].
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_taken_apart() {
        for (unix_ms, iso, weekday) in [
            (0, "1970-01-01T00:00:00.000Z", 4),
            (-1, "1969-12-31T23:59:59.999Z", 3),
            (1_709_210_096_789, "2024-02-29T12:34:56.789Z", 4),
            (951_782_400_000, "2000-02-29T00:00:00.000Z", 2),
        ] {
            let moment = Moment::from_unix_ms(unix_ms);
            assert_eq!((moment.iso().as_str(), moment.weekday), (iso, weekday));
            let days = days_from_civil(moment.year, moment.month, moment.day);
            assert_eq!(days, unix_ms.div_euclid(DAY_MS));
        }
    }
}
