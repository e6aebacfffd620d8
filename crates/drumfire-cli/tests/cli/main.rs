//! The binary as people use it: run in a folder of its own, against a target
//! in this process, judged by what it prints, writes and ends with.

mod drumfire;

mod agents;
mod check;
mod exit_codes;
mod merging;
mod quick;
mod reports;
mod signals;
mod target;
mod terminal;
