//! Validated load profiles, arrivals and shares as pure functions of time.
