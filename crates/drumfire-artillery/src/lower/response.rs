//! What is looked for in a response: captures, matches and expectations.

use super::Lowering;
use crate::error::ScriptError;
use crate::javascript;
use crate::nearest::nearest;
use crate::node::{Node, NodeValue};
use crate::path::Path;
use crate::script::{Capture, Config, Expect, ExpectKind, Extractor, Group, Match, SelectorIndex};

/// Keys of a capture.
const CAPTURE_KEYS: [&str; 12] = [
    "as", "strict", "json", "multiple", "xpath", "regexp", "group", "flags", "header", "selector",
    "attr", "index",
];

/// Keys of a match.
const MATCH_KEYS: [&str; 12] = [
    "value", "strict", "json", "multiple", "xpath", "regexp", "group", "flags", "header",
    "selector", "attr", "index",
];

/// The expectations there are.
const EXPECT_KEYS: [&str; 12] = [
    "statusCode",
    "notStatusCode",
    "contentType",
    "hasProperty",
    "notHasProperty",
    "equals",
    "hasHeader",
    "headerEquals",
    "matchesRegexp",
    "cdnHit",
    "jmespath",
    "jpath",
];

impl Lowering<'_> {
    pub(super) fn captures(
        &mut self,
        node: Option<&Node>,
        config: &Config,
    ) -> Result<Vec<Capture>, ScriptError> {
        let mut captures = Vec::new();
        for item in node.map_or(&[][..], Node::as_items) {
            self.check_keys(item, "a capture", &CAPTURE_KEYS);
            let Some(variable) = self.optional_text(item, "as")? else {
                return Err(self.error(item, "a capture needs `as`, the variable to put it in"));
            };
            captures.push(Capture {
                extractor: self.extractor(item)?,
                variable: Path::parse(&variable),
                strict: strict(item).unwrap_or(config.http.strict_capture),
                span: item.span,
            });
        }
        Ok(captures)
    }

    pub(super) fn matches(&mut self, node: Option<&Node>) -> Result<Vec<Match>, ScriptError> {
        let mut matches = Vec::new();
        for item in node.map_or(&[][..], Node::as_items) {
            self.check_keys(item, "a match", &MATCH_KEYS);
            let Some(value) = item.member("value").map(|member| &member.node) else {
                self.warn(item.span, "a match without `value` is ignored", None);
                continue;
            };
            matches.push(Match {
                extractor: self.extractor(item)?,
                value: self.value_template(value),
                strict: strict(item).unwrap_or(true),
                span: item.span,
            });
        }
        Ok(matches)
    }

    fn extractor(&mut self, node: &Node) -> Result<Extractor, ScriptError> {
        let given = |key: &str| node.get(key).filter(|member| member.is_truthy());
        if let Some(json) = given("json") {
            let pick_one = !matches!(
                node.get("multiple").map(|multiple| &multiple.value),
                Some(NodeValue::Bool(false))
            );
            return Ok(Extractor::Json {
                expression: self.template(json),
                pick_one,
            });
        }
        if let Some(xpath) = given("xpath") {
            return Ok(Extractor::Xpath(self.template(xpath)));
        }
        if let Some(regexp) = given("regexp") {
            return self.regexp(node, regexp);
        }
        if let Some(header) = given("header") {
            let template = self.template(header);
            if template
                .as_constant()
                .is_some_and(|name| name.chars().any(|letter| letter.is_ascii_uppercase()))
            {
                let hint = Some("write header names in lower case".to_owned());
                self.warn(
                    header.span,
                    "header names of responses are in lower case: this one is never found",
                    hint,
                );
            }
            return Ok(Extractor::Header(template));
        }
        if let Some(selector) = given("selector") {
            return Ok(Extractor::Selector {
                expression: self.template(selector),
                attribute: self
                    .optional_text(node, "attr")?
                    .map(|attribute| attribute.to_string()),
                index: selector_index(node.get("index")),
            });
        }
        let hint = "say where with json, xpath, regexp, header or selector".to_owned();
        self.warn(
            node.span,
            "nothing says what to look for, so nothing is ever found",
            Some(hint),
        );
        Ok(Extractor::Nothing)
    }

    fn regexp(&mut self, node: &Node, regexp: &Node) -> Result<Extractor, ScriptError> {
        let flags = self
            .optional_text(node, "flags")?
            .unwrap_or_default()
            .to_string();
        let expression = self.template(regexp);
        if let Some(pattern) = expression.as_constant()
            && let Err(error) = regress::Regex::with_flags(pattern, flags.as_str())
        {
            return Err(self.error(regexp, format!("not a valid regular expression: {error}")));
        }
        let group = node
            .get("group")
            .filter(|group| group.is_truthy())
            .map(group);
        Ok(Extractor::Regexp {
            expression,
            group,
            flags,
        })
    }

    /// Expectations of a request: a map of them, or a list of maps with one each.
    pub(super) fn expects(&mut self, node: Option<&Node>) -> Result<Vec<Expect>, ScriptError> {
        let Some(node) = node else {
            return Ok(Vec::new());
        };
        if !self.expect_loaded {
            let hint = Some("load it with config.plugins: expect: {}".to_owned());
            self.warn(
                node.span,
                "`expect` does nothing: the expect plugin is not loaded",
                hint,
            );
            return Ok(Vec::new());
        }
        let mut expects = Vec::new();
        if let Some(items) = node.as_list() {
            for item in items {
                if let Some((name, member)) = item.as_map().and_then(|members| members.first()) {
                    expects.extend(self.expect(name, &member.node, item)?);
                }
            }
        } else if let Some(members) = node.as_map() {
            for (name, member) in members {
                expects.extend(self.expect(name, &member.node, node)?);
            }
        }
        Ok(expects)
    }

    fn expect(
        &mut self,
        name: &str,
        node: &Node,
        whole: &Node,
    ) -> Result<Option<Expect>, ScriptError> {
        let kind = match name {
            "statusCode" => ExpectKind::StatusCode(self.value_template(node)),
            "notStatusCode" => ExpectKind::NotStatusCode(self.value_template(node)),
            "contentType" => ExpectKind::ContentType(self.template(node)),
            "hasProperty" => ExpectKind::HasProperty(self.template(node)),
            "notHasProperty" => ExpectKind::NotHasProperty(self.template(node)),
            "equals" => ExpectKind::Equals(
                node.as_items()
                    .iter()
                    .map(|item| self.template(item))
                    .collect(),
            ),
            "hasHeader" => ExpectKind::HasHeader(self.template(node)),
            "headerEquals" => self.header_equals(node)?,
            "matchesRegexp" => ExpectKind::MatchesRegexp(self.template(node)),
            "cdnHit" => ExpectKind::CdnHit(node.is_truthy()),
            "jmespath" | "jpath" => self.jmespath(name, node, whole)?,
            _ => {
                let hint =
                    nearest(name, &EXPECT_KEYS).map(|known| format!("did you mean `{known}`?"));
                self.warn(
                    node.span,
                    format!("expectation `{name}` is not supported and ignored"),
                    hint,
                );
                return Ok(None);
            }
        };
        Ok(Some(Expect {
            kind,
            span: node.span,
        }))
    }

    fn header_equals(&mut self, node: &Node) -> Result<ExpectKind, ScriptError> {
        match node.as_list() {
            Some([name, value, ..]) => Ok(ExpectKind::HeaderEquals(
                self.template(name),
                self.value_template(value),
            )),
            _ => Err(self.error(
                node,
                "`headerEquals` must be a list of a header's name and its value",
            )),
        }
    }

    fn jmespath(
        &mut self,
        name: &str,
        node: &Node,
        whole: &Node,
    ) -> Result<ExpectKind, ScriptError> {
        let expression = javascript::text(&node.to_value());
        if let Err(error) = jmespath::compile(&expression) {
            let reason = error.to_string();
            let reason = reason.lines().next().unwrap_or_default();
            return Err(self.error(node, format!("not a valid JMESPath query: {reason}")));
        }
        Ok(ExpectKind::JmesPath {
            name: if name == "jpath" { "jpath" } else { "jmespath" },
            expression,
            description: self
                .optional_text(whole, "description")?
                .map(|description| description.to_string()),
        })
    }
}

fn strict(node: &Node) -> Option<bool> {
    match node.get("strict")?.value {
        NodeValue::Bool(strict) => Some(strict),
        // Anything but `false` is as good as `true`.
        _ => Some(true),
    }
}

fn group(node: &Node) -> Group {
    let text = javascript::text(&node.to_value());
    text.parse().map_or(Group::Name(text), Group::Index)
}

fn selector_index(node: Option<&Node>) -> SelectorIndex {
    let Some(node) = node else {
        return SelectorIndex::At(0);
    };
    match node.as_text().map(|text| &**text) {
        Some("random") => SelectorIndex::Random,
        Some("last") => SelectorIndex::Last,
        _ => SelectorIndex::At(javascript::value_to_number(&node.to_value()) as i64),
    }
}
