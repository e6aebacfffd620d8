//! The binary `drumfire`.
fn main() {}
