//! Agents' leases in the bucket of the record: each changed by compare-and-set, so that of an agent that extends its own
//! and a coordinator that locks it one comes first, and the other knows.

use super::broker::{Attempts, Broker};
use super::record::{find, sealed, unsealed};
use crate::lease::{Lease, LockId};
use crate::wire::{read_lease, write_lease};
use async_nats::jetstream::kv::{CreateErrorKind, Store, UpdateErrorKind};

/// Locks a lease, however long it takes; gives it as it was before.
pub(super) async fn lock(broker: &Broker, key: &str, lock: LockId) -> Lease {
    let mut attempts = Attempts::new(&broker.options.tell);
    loop {
        match change(broker, key, |lease| Some(lease.locked(lock))).await {
            Ok(lease) => return lease,
            Err(reason) => attempts.failed(&format!("lock {key}"), reason).await,
        }
    }
}

/// Extends a lease; gives whether it is extended.
pub(super) async fn extend(broker: &Broker, key: &str, until_ns: u64, known: LockId) -> bool {
    let extended = |lease: Lease| lease.extended(until_ns, known);
    match change(broker, key, extended).await {
        Ok(lease) => extended(lease).is_some(),
        Err(reason) => {
            broker.tell(format!("extend {key}: {reason}"));
            false
        }
    }
}

/// Changes a lease, unless there is nothing to change; gives it as it was before.
async fn change(
    broker: &Broker,
    key: &str,
    to: impl Fn(Lease) -> Option<Lease>,
) -> Result<Lease, String> {
    let store = find(broker).await.map_err(|error| error.to_string())?;
    let store = store.ok_or("the broker has no record of the run")?;
    loop {
        let (before, revision) = read(broker, &store, key).await?;
        let Some(after) = to(before) else {
            return Ok(before);
        };
        if write(broker, &store, key, after, revision).await? {
            return Ok(before);
        }
        // Another has changed it meanwhile.
    }
}

/// A lease with its revision; 0 when it was never written.
async fn read(broker: &Broker, store: &Store, key: &str) -> Result<(Lease, u64), String> {
    let entry = store.entry(key).await.map_err(|error| error.to_string())?;
    let Some(entry) = entry else {
        return Ok((Lease::default(), 0));
    };
    let body = unsealed(broker.options.key.as_ref(), key, &entry.value);
    let body = body.ok_or("it was not written with this run key")?;
    let lease = read_lease(body).map_err(|error| error.to_string())?;
    Ok((lease, entry.revision))
}

/// Writes a lease in the place of a revision; whether it was still that one.
async fn write(
    broker: &Broker,
    store: &Store,
    key: &str,
    lease: Lease,
    revision: u64,
) -> Result<bool, String> {
    let writer = (broker.options.chance)();
    let run_key = broker.options.key.as_ref();
    let value = sealed(run_key, key, writer, &write_lease(lease)).into();
    if revision == 0 {
        return match store.create(key, value).await {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == CreateErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(error.to_string()),
        };
    }
    match store.update(key, value, revision).await {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == UpdateErrorKind::WrongLastRevision => Ok(false),
        Err(error) => Err(error.to_string()),
    }
}
