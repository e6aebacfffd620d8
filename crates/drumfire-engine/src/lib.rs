//! Plan and clock in, virtual users run, samples out: one shard per core.
