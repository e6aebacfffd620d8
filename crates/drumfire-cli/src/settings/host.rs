//! What settings ask of the machine: files, the names in a folder, and its own name.

use crate::facts;
use drumfire_artillery::files::{DiskFiles, Files};
use std::io;
use std::sync::Arc;

/// A machine, as far as settings look at it.
pub trait Host {
    /// The bytes of the file at `path`.
    ///
    /// # Errors
    /// It is not there or cannot be read.
    fn read(&self, path: &str) -> io::Result<Arc<[u8]>>;

    /// The names of what is in `folder`, in any order.
    ///
    /// # Errors
    /// It is not there, no folder, or cannot be read.
    fn list(&self, folder: &str) -> io::Result<Vec<String>>;

    /// What the machine, or the container, is called.
    fn name(&self) -> String;
}

/// The machine that this process runs on.
#[derive(Debug, Clone, Copy, Default)]
pub struct ThisHost;

impl Host for ThisHost {
    fn read(&self, path: &str) -> io::Result<Arc<[u8]>> {
        DiskFiles.read(path)
    }

    fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        let names = std::fs::read_dir(folder)?.map(|entry| {
            let name = entry?.file_name();
            Ok(name.to_string_lossy().into_owned())
        });
        names.collect()
    }

    fn name(&self) -> String {
        facts::host()
    }
}
