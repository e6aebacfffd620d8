//! The generators by name.

use rand::RngExt;

use super::Generator;

pub(super) static GENERATORS: [Generator; 1] = [Generator {
    name: "datatypeBoolean",
    make: |rng, _| rng.random::<bool>().to_string(),
}];
