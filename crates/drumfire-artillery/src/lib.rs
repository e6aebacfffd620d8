//! Artillery scripts to plan and program: the language, its plugins and its exit codes.

mod build;
mod calendar;
mod dotenv;
pub mod duration;
mod endpoint;
pub mod error;
pub mod expression;
pub mod fake;
pub mod files;
mod flow;
pub mod functions;
mod jar;
pub mod javascript;
mod judge;
pub mod load;
mod lower;
mod merge;
pub mod node;
pub mod path;
pub mod payload;
pub mod phases;
mod plan;
mod program;
pub mod script;
mod section;
mod send;
mod session;
pub mod source;
pub mod template;
mod validate;
pub mod variables;
pub mod yaml;

pub use plan::plan;
pub use program::ArtilleryProgram;
pub use section::{Section, SectionError, SectionOutcome};
