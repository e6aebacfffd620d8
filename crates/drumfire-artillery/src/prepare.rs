//! Before the start: names that a script is known to need are looked up, and connections to its target opened where asked.

use crate::origins::origins;
use crate::program::ShardScript;
use drumfire_engine::{ProgramError, Warnings};
use drumfire_plan::Share;
use drumfire_protocols::Origin;
use futures_util::future::join_all;

/// The counter of connections that were opened before the start.
const PRECONNECTED: &str = "drumfire.preconnected";

/// Makes one shard ready. `ahead` is its part of the connections that all shards open together.
pub(crate) async fn prepare(
    shard: &ShardScript,
    ahead: Option<Share>,
) -> Result<Warnings, ProgramError> {
    let asked = u64::from(shard.preconnect);
    let count = ahead.map_or(0, |share| share.count_below(asked));
    let target = shard.script.config.target.as_deref();
    let target = target.and_then(|url| Origin::parse(url).ok());
    // A name that connections are opened to is an error where it is not found.
    let opened_to = target.as_ref().filter(|_| count > 0);
    let mut warnings = look_up(shard, opened_to).await;
    if count > 0 {
        let target = target.as_ref().ok_or_else(no_target)?;
        warnings.extend(open(shard, target, count).await?);
    }
    Ok(warnings)
}

/// Looks up all names but that of `except`; warns of those that are not found.
async fn look_up(shard: &ShardScript, except: Option<&Origin>) -> Warnings {
    let mut origins = origins(&shard.script);
    origins.retain(|origin| origin.ip().is_none() && Some(origin) != except);
    let found = join_all(origins.iter().map(|origin| shard.client.resolve(origin))).await;
    let failed = origins.iter().zip(found);
    let warning = |(origin, found): (&Origin, Result<(), _>)| {
        let (host, failure) = (origin.host(), found.err()?);
        Some(format!("{host} cannot be looked up: {failure}"))
    };
    failed.filter_map(warning).collect()
}

/// Opens connections; warns where not all fit.
async fn open(
    shard: &ShardScript,
    target: &Origin,
    count: u64,
) -> Result<Option<String>, ProgramError> {
    let wanted = usize::try_from(count).unwrap_or(usize::MAX);
    let opened = shard.client.preconnect(target, wanted).await;
    let opened = opened.map_err(|error| ProgramError(error.to_string()))? as u64;
    let mut recorder = shard.recorder().borrow_mut();
    let counter = recorder.counter(PRECONNECTED);
    recorder.add(counter, opened);
    let fewer = opened < count;
    Ok(fewer.then(|| {
        format!("not all connections are opened before the start: http.pool takes no more than {opened} here")
    }))
}

fn no_target() -> ProgramError {
    let why = "open connections before the start: the script has no target with a host";
    ProgramError(format!("{why}\nhint: set config.target"))
}
