//! Reading files by path, so that a script may come from a disk, from a bundle or from a test.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

/// Where files come from.
pub trait Files {
    /// The bytes of the file at `path`.
    ///
    /// # Errors
    ///
    /// When there is no such file, or it cannot be read.
    fn read(&self, path: &str) -> io::Result<Arc<[u8]>>;
}

/// Files on the disk.
#[derive(Debug, Clone, Copy, Default)]
pub struct DiskFiles;

/// The largest file a script may bring along, in bytes.
pub const FILE_BYTES_LIMIT: u64 = 4 << 30;

impl Files for DiskFiles {
    fn read(&self, path: &str) -> io::Result<Arc<[u8]>> {
        let length = std::fs::metadata(path)?.len();
        if length > FILE_BYTES_LIMIT {
            let message =
                format!("file of {length} bytes, more than the {FILE_BYTES_LIMIT} allowed");
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
        }
        Ok(std::fs::read(path)?.into())
    }
}

impl Files for BTreeMap<String, Arc<[u8]>> {
    fn read(&self, path: &str) -> io::Result<Arc<[u8]>> {
        self.get(path)
            .cloned()
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

/// `path` as seen from `folder`, without `.` and `..` in it; an absolute path stands for itself.
pub fn resolve(folder: &str, path: &str) -> String {
    let joined = match (folder, path.starts_with('/')) {
        ("", _) | (_, true) => path.to_owned(),
        _ => format!("{folder}/{path}"),
    };
    let mut parts: Vec<&str> = Vec::new();
    for part in joined.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            ".." if joined.starts_with('/') => {}
            part => parts.push(part),
        }
    }
    let root = if joined.starts_with('/') { "/" } else { "" };
    format!("{root}{}", parts.join("/"))
}

/// The folder of the file at `path`; empty for a bare name.
pub fn folder(path: &str) -> &str {
    match path.rsplit_once('/') {
        Some(("", _)) => "/",
        Some((folder, _)) => folder,
        None => "",
    }
}

/// The file's own name.
pub fn name(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_resolve_from_a_folder() {
        for (folder, path, expected) in [
            ("", "a.yml", "a.yml"),
            ("", "./x/../a.yml", "a.yml"),
            ("tests", "data/u.csv", "tests/data/u.csv"),
            ("tests", "../u.csv", "u.csv"),
            ("tests", "../../u.csv", "../u.csv"),
            ("/home/me", "u.csv", "/home/me/u.csv"),
            ("/home", "../../etc", "/etc"),
            ("/home", "/tmp/u.csv", "/tmp/u.csv"),
        ] {
            assert_eq!(resolve(folder, path), expected);
        }
        assert_eq!(folder_and_name("/a.yml"), ("/", "a.yml"));
        assert_eq!(folder_and_name("x/y/a.yml"), ("x/y", "a.yml"));
        assert_eq!(folder_and_name("a.yml"), ("", "a.yml"));
    }

    fn folder_and_name(path: &str) -> (&str, &str) {
        (folder(path), name(path))
    }
}
