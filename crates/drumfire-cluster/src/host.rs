//! Who runs the machines: brings them time and messages, and carries out what they ask for.

mod agent;
mod coordinator;
mod load;

pub use agent::{AgentNews, run_agent};
pub use coordinator::{CoordinatorHost, Update};
pub use load::{Loaded, Loader};
