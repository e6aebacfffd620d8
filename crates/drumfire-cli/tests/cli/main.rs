//! The binary as people use it: run in a folder of its own, against a target
//! in this process, judged by what it prints, writes and ends with.

#[expect(dead_code, reason = "tests of the transport need more of it")]
#[path = "../../../drumfire-cluster/tests/nats/broker.rs"]
mod broker;
mod drumfire;
mod network;
mod recorder;

mod aborts;
mod agents;
mod check;
mod cluster;
mod exit_codes;
mod loadstrike;
mod merging;
mod namespaces;
mod pods;
mod preconnect;
mod quick;
mod reports;
mod signals;
mod skew;
mod target;
mod targets;
mod terminal;
mod upload;
