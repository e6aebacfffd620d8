//! Artillery scripts to plan and program: the language, its plugins and its exit codes.

pub mod duration;
pub mod expression;
pub mod fake;
pub mod functions;
pub mod javascript;
pub mod path;
pub mod payload;
pub mod phases;
pub mod script;
pub mod source;
pub mod template;
pub mod variables;
