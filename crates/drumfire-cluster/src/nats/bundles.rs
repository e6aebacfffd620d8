//! Bundles in an object store, each under its digest, where agents fetch them.

use super::broker::{Attempts, Broker};
use super::record::is_there;
use crate::link::MAX_BUNDLE_BYTES;
use crate::member::Digest;
use crate::memory::too_large;
use async_nats::jetstream::object_store::{
    Config, InfoErrorKind, ObjectInfo, ObjectMetadata, ObjectStore,
};
use std::time::Duration;
use tokio::io::AsyncReadExt;

/// How long a broker keeps a bundle: a run begins in the first half of it and may need it to its end.
pub const BUNDLE_RETENTION: Duration = Duration::from_secs(14 * 86_400);

/// The largest part that a bundle is stored in, in bytes.
const MAX_PART_BYTES: usize = 128 << 10;

/// Where a bundle says when it was laid down, by the coordinator's wall clock.
const PUBLISHED_MS: &str = "published_ms";

/// How often an agent tries to fetch a bundle, and how long one attempt may take.
const FETCH_ATTEMPTS: u32 = 5;
const FETCH_LIMIT: Duration = Duration::from_secs(60);

/// Lays a bundle in the store, unless it is there.
pub(super) async fn publish(broker: &Broker, digest: Digest, bundle: &[u8]) -> Result<(), String> {
    if bundle.len() > MAX_BUNDLE_BYTES {
        return Err(too_large(bundle.len()));
    }
    let mut attempts = Attempts::new(&broker.options.tell);
    while let Err(reason) = try_publish(broker, digest, bundle).await {
        attempts.failed("publish the bundle", reason).await;
    }
    Ok(())
}

/// Fetches a bundle.
pub(super) async fn fetch(broker: Broker, digest: Digest) -> Result<Vec<u8>, String> {
    let mut attempts = Attempts::new(&broker.options.tell);
    let mut attempt = 0;
    loop {
        attempt += 1;
        let fetched = tokio::time::timeout(FETCH_LIMIT, try_fetch(&broker, digest)).await;
        let seconds = FETCH_LIMIT.as_secs();
        let fetched = fetched.unwrap_or_else(|_| Err(format!("it took longer than {seconds} s")));
        match fetched {
            Err(reason) if attempt < FETCH_ATTEMPTS => {
                attempts.failed("fetch the bundle", reason).await;
            }
            last => return last,
        }
    }
}

impl Broker {
    /// A bundle that a coordinator has laid down. Whether the bytes have that digest is for the caller to check.
    ///
    /// # Errors
    /// When it is not there, is larger than [`MAX_BUNDLE_BYTES`], or cannot be read.
    pub async fn bundle(&self, digest: Digest) -> Result<Vec<u8>, String> {
        fetch(self.clone(), digest).await
    }
}

async fn try_publish(broker: &Broker, digest: Digest, bundle: &[u8]) -> Result<(), String> {
    let store = make(broker).await?;
    let name = digest.to_string();
    let now_ms = (broker.options.wall_ms)();
    match store.info(&name).await {
        Ok(info) if is_good(&info, bundle, now_ms) => return Ok(()),
        Ok(_) => {}
        Err(error) if error.kind() == InfoErrorKind::NotFound => {}
        Err(error) => return Err(error.to_string()),
    }
    let metadata = ObjectMetadata {
        name,
        metadata: [(PUBLISHED_MS.to_owned(), now_ms.to_string())].into(),
        chunk_size: Some(MAX_PART_BYTES.min(broker.client.max_payload() / 2)),
        ..ObjectMetadata::default()
    };
    let mut unread = bundle;
    let put = store.put(metadata, &mut unread).await;
    put.map(drop).map_err(|error| error.to_string())
}

/// Whether what is there is whole, and stays for long enough.
fn is_good(info: &ObjectInfo, bundle: &[u8], now_ms: u64) -> bool {
    let published_ms = info.metadata.get(PUBLISHED_MS);
    let published_ms = published_ms.and_then(|text| text.parse().ok());
    let age_ms = now_ms.saturating_sub(published_ms.unwrap_or(0));
    let stays = u128::from(age_ms) < BUNDLE_RETENTION.as_millis() / 2;
    !info.deleted && info.size == bundle.len() && stays
}

async fn try_fetch(broker: &Broker, digest: Digest) -> Result<Vec<u8>, String> {
    let bucket = broker.places.bundles_bucket();
    let store = broker.jetstream.get_object_store(&bucket).await;
    let store = store.map_err(|error| error.to_string())?;
    let object = store.get(digest.to_string()).await;
    let object = object.map_err(|error| error.to_string())?;
    if object.info.size > MAX_BUNDLE_BYTES {
        return Err(too_large(object.info.size));
    }
    let mut bundle = Vec::with_capacity(object.info.size);
    let limit = MAX_BUNDLE_BYTES as u64 + 1;
    let read = object.take(limit).read_to_end(&mut bundle).await;
    match read.map_err(|error| error.to_string())? {
        read if read > MAX_BUNDLE_BYTES => Err(too_large(read)),
        _ => Ok(bundle),
    }
}

async fn make(broker: &Broker) -> Result<ObjectStore, String> {
    let bucket = broker.places.bundles_bucket();
    let there = is_there(broker, &format!("OBJ_{bucket}")).await;
    if there.map_err(|error| error.to_string())? {
        let store = broker.jetstream.get_object_store(&bucket).await;
        return store.map_err(|error| error.to_string());
    }
    let config = Config {
        bucket,
        description: Some("drumfire: the bundles of a cluster's runs".to_owned()),
        max_age: BUNDLE_RETENTION,
        num_replicas: broker.options.replicas,
        ..Config::default()
    };
    let store = broker.jetstream.create_object_store(config).await;
    store.map_err(|error| error.to_string())
}
