//! File descriptors: as many as the system lets us have, for every connection
//! takes one.

use crate::words;

/// Below this many, a load test soon finds itself and not the target at the limit.
const FEW: u64 = 10_000;

/// Raises the limit to what is allowed, and warns where that is little.
pub fn raise_limit() {
    let Some(limit) = raised() else {
        return words::warn("cannot read the limit of open files", None);
    };
    if limit < FEW {
        words::warn(
            &format!("at most {limit} files, and so connections, can be open at a time"),
            Some("raise the hard limit (ulimit -Hn, LimitNOFILE=)"),
        );
    }
}

/// Raises the soft limit to the hard one; what it is then.
fn raised() -> Option<u64> {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: `limit` is a valid rlimit to write to.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) } != 0 {
        return None;
    }
    let before = limit.rlim_cur;
    limit.rlim_cur = limit.rlim_max;
    // SAFETY: `limit` is a valid rlimit to read from.
    let refused = unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) } != 0;
    Some(if refused { before } else { limit.rlim_cur })
}
