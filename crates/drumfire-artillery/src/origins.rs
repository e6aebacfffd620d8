//! Where a script goes, as far as that is known before it runs: its target, and the URLs of requests that are written out.

use crate::endpoint::prepend_target;
use crate::program::requests;
use crate::script::Script;
use drumfire_protocols::Origin;

/// The origins of a script's target and of the requests of scenarios that are picked, each once. A URL that holds a template
/// is known only when it is sent, and so is where a redirect goes.
pub fn origins(script: &Script) -> Vec<Origin> {
    let target = script.config.target.as_deref();
    let picked = script
        .scenarios
        .iter()
        .filter(|scenario| scenario.weight > 0);
    let constant = picked
        .flat_map(|scenario| requests(&scenario.flow))
        .filter_map(|request| request.url.as_constant())
        .map(|url| prepend_target(target, url));
    let urls = target.map(str::to_owned).into_iter().chain(constant);
    let mut origins: Vec<Origin> = Vec::new();
    // What is no URL fails when it is sent.
    for origin in urls.filter_map(|url| Origin::parse(&url).ok()) {
        if !origins.contains(&origin) {
            origins.push(origin);
        }
    }
    origins
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::{LoadOptions, load};
    use std::collections::BTreeMap;
    use std::sync::Arc;

    #[test]
    fn what_is_written_out_is_known() {
        let script = "
config: {target: 'http://shop:81/api', phases: [{duration: 1, arrivalRate: 1}]}
scenarios:
  - flow:
      - get: {url: /}
      - get: {url: 'https://login/a'}
      - get: {url: '{{ where }}/b'}
      - loop: [{parallel: [{get: {url: 'http://10.0.0.1:9/c'}}]}]
        count: 2
  - weight: 0
    flow: [{get: {url: 'http://never/'}}]
";
        let files: BTreeMap<String, Arc<[u8]>> =
            [("s.yml".to_owned(), script.as_bytes().into())].into();
        let options = LoadOptions {
            scripts: vec!["s.yml".into()],
            ..LoadOptions::default()
        };
        let script = load(&options, &files, &BTreeMap::new()).unwrap_or_else(|e| panic!("{e}"));
        let origins: Vec<String> = origins(&script).iter().map(Origin::to_string).collect();
        assert_eq!(
            origins,
            ["http://shop:81", "https://login", "http://10.0.0.1:9"]
        );
    }
}
