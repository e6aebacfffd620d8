//! YAML (and so JSON) text to a tree of nodes, with the types that js-yaml 3 gives: `yes` and `on`
//! are texts, `017` is 15, `1:30` is 90, dates become the text JSON would show. Aliases, merge keys
//! and hostile documents are kept within named budgets.

mod scalar;

use std::collections::HashMap;
use std::sync::Arc;

use granit_parser::{Event, Parser, ScalarStyle, ScanError, Tag};

use crate::error::ScriptError;
use crate::node::{Member, Members, Node, NodeValue};
use crate::source::{FileId, Sources, Span};

/// The longest document, in bytes.
pub const BYTES_LIMIT: usize = 16 << 20;

/// The most values in a document, those that aliases bring in counted each time.
pub const NODES_LIMIT: usize = 250_000;

/// The most text in a document, in bytes, that which aliases bring in counted each time.
pub const TEXT_LIMIT: usize = 64 << 20;

/// How deep lists and maps may nest, aliases followed.
pub const DEPTH_LIMIT: usize = 100;

/// Reads the document `file` of `sources`; `None` when it is empty.
///
/// # Errors
///
/// When the text is no YAML, holds a key twice or more than one document, or is beyond a limit.
pub fn parse(
    text: &str,
    file: FileId,
    sources: &Arc<Sources>,
) -> Result<Option<Node>, ScriptError> {
    if text.len() > BYTES_LIMIT {
        let message = format!(
            "document of {} bytes, more than the {BYTES_LIMIT} allowed",
            text.len()
        );
        return Err(ScriptError::new(message).at(Span::start_of(file), sources));
    }
    let mut options = granit_parser::options! {
        flow_nesting_limit: DEPTH_LIMIT,
        block_nesting_limit: DEPTH_LIMIT,
    };
    options.set_emit_comments(false);
    Composer {
        parser: Parser::new_from_str_with_options(text, options),
        file,
        sources,
        anchors: HashMap::new(),
        nodes_left: NODES_LIMIT,
        text_left: TEXT_LIMIT,
    }
    .document()
}

/// What an anchor stands for, and what bringing it in costs.
struct Anchored {
    node: Node,
    size: Size,
}

/// What a node costs of the budgets.
#[derive(Clone, Copy, Default)]
struct Size {
    nodes: usize,
    text: usize,
    depth: usize,
}

impl Size {
    fn add(&mut self, inner: Size) {
        self.nodes += inner.nodes;
        self.text += inner.text;
        self.depth = self.depth.max(inner.depth + 1);
    }
}

type Composed = Result<(Node, Size), ScriptError>;

struct Composer<'a> {
    parser: Parser<'a, granit_parser::StrInput<'a>>,
    file: FileId,
    sources: &'a Arc<Sources>,
    anchors: HashMap<usize, Anchored>,
    nodes_left: usize,
    text_left: usize,
}

impl<'a> Composer<'a> {
    fn document(mut self) -> Result<Option<Node>, ScriptError> {
        let mut document = None;
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamEnd => return Ok(document),
                Event::StreamStart | Event::DocumentEnd => {}
                Event::DocumentStart(..) if document.is_some() => {
                    return Err(self.error(span, "expected a single document, but found more"));
                }
                Event::DocumentStart(..) => {}
                event => document = Some(self.node(event, span, 0)?.0),
            }
        }
    }

    fn next(&mut self) -> Result<(Event<'a>, Span), ScriptError> {
        match self.parser.next_event() {
            Some(Ok((event, span))) => {
                let span = self.span(span);
                Ok((event, span))
            }
            Some(Err(error)) => Err(self.scan_error(&error)),
            None => Ok((Event::StreamEnd, Span::start_of(self.file))),
        }
    }

    fn span(&self, span: granit_parser::Span) -> Span {
        let offset = span.start.byte_offset().unwrap_or(0);
        let end = span.end.byte_offset().unwrap_or(offset);
        Span {
            file: self.file,
            line: span.start.line() as u32,
            column: span.start.col() as u32 + 1,
            offset: offset as u32,
            length: end.saturating_sub(offset) as u32,
        }
    }

    fn error(&self, span: Span, message: impl Into<String>) -> ScriptError {
        ScriptError::new(message).at(span, self.sources)
    }

    fn scan_error(&self, error: &ScanError) -> ScriptError {
        let marker = *error.marker();
        let span = self.span(granit_parser::Span::empty(marker));
        self.error(span, format!("not valid YAML: {}", error.info()))
    }

    fn node(&mut self, event: Event<'a>, span: Span, depth: usize) -> Composed {
        self.spend(span, 1, 0)?;
        if depth >= DEPTH_LIMIT {
            return Err(self.error(span, format!("nested deeper than {DEPTH_LIMIT} levels")));
        }
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.spend(span, 0, text.len())?;
                let size = Size {
                    nodes: 1,
                    text: text.len(),
                    depth: 0,
                };
                let node = self.scalar(&text, style, tag.as_deref(), span)?;
                Ok(self.keep(anchor, node, size))
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.check_tag(tag.as_deref(), &["seq", "omap", "pairs"], span)?;
                let (node, size) = self.list(span, depth)?;
                Ok(self.keep(anchor, node, size))
            }
            Event::MappingStart(_, anchor, tag) => {
                self.check_tag(tag.as_deref(), &["map", "set"], span)?;
                let (node, size) = self.map(span, depth)?;
                Ok(self.keep(anchor, node, size))
            }
            Event::Alias(anchor) => self.alias(anchor, span, depth),
            _ => Err(self.error(span, "expected a value")),
        }
    }

    fn keep(&mut self, anchor: usize, node: Node, size: Size) -> (Node, Size) {
        if anchor != 0 {
            self.anchors.insert(
                anchor,
                Anchored {
                    node: node.clone(),
                    size,
                },
            );
        }
        (node, size)
    }

    fn spend(&mut self, span: Span, nodes: usize, text: usize) -> Result<(), ScriptError> {
        let (nodes_left, text_left) = (
            self.nodes_left.checked_sub(nodes),
            self.text_left.checked_sub(text),
        );
        self.nodes_left = nodes_left.ok_or_else(|| {
            self.error(
                span,
                format!("document with more than {NODES_LIMIT} values"),
            )
        })?;
        self.text_left = text_left.ok_or_else(|| {
            self.error(
                span,
                format!("document with more than {TEXT_LIMIT} bytes of text"),
            )
        })?;
        Ok(())
    }

    fn alias(&mut self, anchor: usize, span: Span, depth: usize) -> Composed {
        let Some(anchored) = self.anchors.get(&anchor) else {
            return Err(self.error(span, "alias inside the value it stands for"));
        };
        let size = anchored.size;
        if depth + size.depth >= DEPTH_LIMIT {
            return Err(self.error(
                span,
                format!("alias nests deeper than {DEPTH_LIMIT} levels"),
            ));
        }
        let node = anchored.node.clone();
        self.spend(span, size.nodes, size.text)?;
        Ok((node, size))
    }

    fn list(&mut self, span: Span, depth: usize) -> Composed {
        let mut items = Vec::new();
        let mut size = Size {
            nodes: 1,
            ..Size::default()
        };
        loop {
            let (event, item_span) = self.next()?;
            if let Event::SequenceEnd = event {
                let value = NodeValue::List(items);
                return Ok((Node { value, span }, size));
            }
            let (item, item_size) = self.node(event, item_span, depth + 1)?;
            size.add(item_size);
            items.push(item);
        }
    }

    fn map(&mut self, span: Span, depth: usize) -> Composed {
        let mut members = Members::default();
        let mut merged = std::collections::HashSet::new();
        let mut size = Size {
            nodes: 1,
            ..Size::default()
        };
        loop {
            let (event, key_span) = self.next()?;
            let is_merge = match &event {
                Event::MappingEnd => {
                    let value = NodeValue::Map(members);
                    return Ok((Node { value, span }, size));
                }
                Event::Scalar(text, ScalarStyle::Plain, ..) => text == "<<",
                _ => false,
            };
            let (key, key_size) = self.node(event, key_span, depth + 1)?;
            size.add(key_size);
            let (event, value_span) = self.next()?;
            let (node, value_size) = self.node(event, value_span, depth + 1)?;
            size.add(value_size);
            if is_merge {
                self.merge(&mut members, &mut merged, node)?;
                continue;
            }
            let key = self.key(&key)?;
            if members.contains_key(&key) && !merged.remove(&key) {
                return Err(self.error(key_span, format!("duplicated key `{key}`")));
            }
            members.insert(key, Member { key_span, node });
        }
    }

    /// Brings in the members of a map, or of each map in a list, that are not there yet.
    fn merge(
        &self,
        members: &mut Members,
        merged: &mut std::collections::HashSet<Arc<str>>,
        source: Node,
    ) -> Result<(), ScriptError> {
        let sources = match source.value {
            NodeValue::List(items) => items,
            _ => vec![source],
        };
        for source in sources {
            let NodeValue::Map(source_members) = source.value else {
                return Err(self.error(
                    source.span,
                    "a merge key (`<<`) needs a map or a list of maps",
                ));
            };
            for (key, member) in source_members {
                if !members.contains_key(&key) {
                    merged.insert(key.clone());
                    members.insert(key, member);
                }
            }
        }
        Ok(())
    }

    fn key(&self, key: &Node) -> Result<Arc<str>, ScriptError> {
        match &key.value {
            NodeValue::Text(text) => Ok(text.clone()),
            NodeValue::List(_) | NodeValue::Map(_) => Err(self
                .error(key.span, "a key must be a text, not a list or a map")
                .hint("a value that starts with `{{` needs quotes: \"{{ name }}\"")),
            _ => Ok(crate::javascript::text(&key.to_value()).into()),
        }
    }

    fn scalar(
        &self,
        text: &str,
        style: ScalarStyle,
        tag: Option<&Tag>,
        span: Span,
    ) -> Result<Node, ScriptError> {
        let value = match tag {
            None if style == ScalarStyle::Plain => scalar::resolve(text),
            None => NodeValue::Text(text.into()),
            Some(tag) => {
                let resolved = scalar::resolve_tagged(text, core_tag(tag));
                resolved
                    .ok_or_else(|| self.error(span, format!("unknown or unfitting tag `{tag}`")))?
            }
        };
        Ok(Node { value, span })
    }

    fn check_tag(&self, tag: Option<&Tag>, known: &[&str], span: Span) -> Result<(), ScriptError> {
        match tag {
            Some(tag) if !known.contains(&core_tag(tag)) => {
                Err(self.error(span, format!("unknown or unfitting tag `{tag}`")))
            }
            _ => Ok(()),
        }
    }
}

/// The short name of one of YAML's own tags; of any other its whole text.
fn core_tag(tag: &Tag) -> &str {
    match tag.handle() {
        "tag:yaml.org,2002:" => tag.suffix(),
        _ => "",
    }
}
