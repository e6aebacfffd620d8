//! What was read of a run's snapshots, until a machine takes it: a long run of many agents is more than memory holds, so all
//! but a first part of it goes through a temporary file.

use std::io::{self, BufReader, BufWriter, Read, Seek, Write};
use tempfile::SpooledTempFile;

/// What is kept in memory, in bytes, before a file is made.
const MAX_IN_MEMORY_BYTES: usize = 64 << 20;

/// Takes snapshots as bytes.
pub(super) struct SpoolWriter(BufWriter<SpooledTempFile>);

impl SpoolWriter {
    pub(super) fn new() -> Self {
        Self::with_memory(MAX_IN_MEMORY_BYTES)
    }

    fn with_memory(bytes: usize) -> Self {
        Self(BufWriter::new(tempfile::spooled_tempfile(bytes)))
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(&(bytes.len() as u64).to_be_bytes())?;
        self.0.write_all(bytes)
    }

    pub(super) fn finish(self) -> io::Result<Spool> {
        let mut file = self
            .0
            .into_inner()
            .map_err(io::IntoInnerError::into_error)?;
        file.rewind()?;
        Ok(Spool(BufReader::new(file)))
    }
}

/// Gives them back, in order.
pub(super) struct Spool(BufReader<SpooledTempFile>);

impl Spool {
    /// The next; none at the end.
    pub(super) fn read(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut length = [0; 8];
        match self.0.read_exact(&mut length) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            Err(error) => return Err(error),
        }
        let mut bytes = vec![0; u64::from_be_bytes(length) as usize];
        self.0.read_exact(&mut bytes)?;
        Ok(Some(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_went_in_comes_out_in_order() {
        let written: Vec<Vec<u8>> = (0..50).map(|n| vec![n; usize::from(n) * 10]).collect();
        for memory_bytes in [0, 1_000, 1 << 20] {
            let mut writer = SpoolWriter::with_memory(memory_bytes);
            for bytes in &written {
                writer.write(bytes).expect("written");
            }
            let mut spool = writer.finish().expect("finished");
            let read = std::iter::from_fn(|| spool.read().expect("read"));
            assert_eq!(read.collect::<Vec<_>>(), written);
        }
    }
}
