//! Summary to terminal, JSON, CSV, JUnit and one self-contained HTML file:
//! one file per format. Everything here is a pure function from a summary to
//! text; whoever calls writes it somewhere.

pub mod agents;
pub mod artillery_console;
pub mod artillery_json;
pub mod compare;
pub mod csv;
pub mod findings;
pub mod html;
pub mod junit;
pub mod live;
pub mod quick;
pub mod result;
pub mod windows;
mod wording;

#[cfg(test)]
mod demo;
