//! Artillery scripts to plan and program: the language, its plugins and its exit codes.

mod dotenv;
pub mod duration;
pub mod error;
pub mod expression;
pub mod fake;
pub mod files;
pub mod functions;
pub mod javascript;
pub mod load;
mod lower;
mod merge;
pub mod node;
pub mod path;
pub mod payload;
pub mod phases;
pub mod script;
pub mod source;
pub mod template;
mod validate;
pub mod variables;
pub mod yaml;
