//! Reports into a folder of an object store, one below it for each run.

use crate::broker;
use anyhow::Context;
use drumfire_outputs::ObjectFolder;
use tokio::runtime::Runtime;

/// Says that a run has begun whose reports will come; and that they could come.
const MARK: &str = "started.txt";

/// Where reports are taken to.
#[derive(Debug)]
pub struct Upload {
    url: String,
    runtime: Runtime,
}

impl Upload {
    /// To the folder that a URL names; nothing is asked for yet.
    ///
    /// # Errors
    /// The URL or the environment cannot be understood.
    pub fn to(url: &str) -> anyhow::Result<Self> {
        ObjectFolder::open(url)?;
        Ok(Self {
            url: url.to_owned(),
            runtime: broker::runtime()?,
        })
    }

    /// Marks the folder of a run, so that what keeps reports from coming is known before the run.
    ///
    /// # Errors
    /// The folder takes no files.
    pub fn begin(&self, run_id: &str) -> anyhow::Result<()> {
        let text = format!("The run {run_id} has begun. Its reports come here when it is over.\n");
        let folder = self.folder(run_id)?;
        let put = self.runtime.block_on(folder.put(MARK, text.into_bytes()));
        put.context("prepare the upload of reports")
    }

    /// Takes files to a run's folder; gives its URL, and the errors of those that did not get there.
    pub fn put(
        &self,
        run_id: &str,
        files: impl Iterator<Item = (String, String)>,
    ) -> (String, Vec<anyhow::Error>) {
        let folder = match self.folder(run_id) {
            Ok(folder) => folder,
            Err(error) => return (self.url.clone(), vec![error]),
        };
        let lost = files.filter_map(|(name, text)| {
            let put = self.runtime.block_on(folder.put(&name, text.into_bytes()));
            put.err().map(anyhow::Error::from)
        });
        let lost = lost.collect();
        (folder.url().to_owned(), lost)
    }

    fn folder(&self, run_id: &str) -> anyhow::Result<ObjectFolder> {
        Ok(ObjectFolder::open(&self.url)?.within(run_id))
    }
}
