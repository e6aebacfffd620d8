//! The latest run of a cluster, on its way to the record.

use super::{WireError, read_digest};
use crate::record::LatestRun;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
pub(super) struct Body {
    run: String,
    bundle: String,
}

impl From<&LatestRun> for Body {
    fn from(latest: &LatestRun) -> Self {
        Self {
            run: latest.run.clone(),
            bundle: latest.bundle.to_string(),
        }
    }
}

impl Body {
    pub(super) fn into_latest(self) -> Result<LatestRun, WireError> {
        Ok(LatestRun {
            run: self.run,
            bundle: read_digest("latest run", "bundle", &self.bundle)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::member::Digest;
    use crate::record::LatestRun;
    use crate::wire::{read_latest_run, write_latest_run};

    #[test]
    fn it_comes_back() {
        let latest = LatestRun {
            run: "01".to_owned(),
            bundle: Digest([7; 32]),
        };
        let written = write_latest_run(&latest);
        assert_eq!(read_latest_run(&written).ok(), Some(latest));
    }
}
