//! Results to where others keep theirs, by the protocols that they speak. Nothing here disturbs a run: what fails is told.
//!
//! - reports to an object store: [`ObjectFolder`]

mod http;
mod objects;

pub use objects::{ObjectFolder, UploadError};
