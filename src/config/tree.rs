//! Text to a tree with spans, by the events of a YAML parser. What YAML allows and a config should not is refused here.

use std::collections::BTreeMap;
use std::sync::Arc;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError};

use super::{Diagnostic, Span};

/// Is the deepest nesting of a config.
pub(super) const MAX_DEPTH: usize = 64;
/// Is the largest number of values in a config, those that aliases repeat included.
pub(super) const MAX_NODES: usize = 50_000;

/// Is how many bytes of a text count as one value.
const TEXT_PER_NODE: usize = 64;

/// Is one value of the config, with its place.
#[derive(Clone, Debug)]
pub(super) struct Node {
    /// What it is.
    pub kind: Kind,
    /// Where it stands.
    pub span: Span,
}

/// Says what a value is.
#[derive(Clone, Debug)]
pub(super) enum Kind {
    /// A single text: what was written, not what YAML would make of it.
    Scalar {
        /// The text, with quotes and escapes resolved.
        text: Arc<str>,
        /// Whether it stands without quotes and is no block, so that it may be a number, a truth value or null.
        plain: bool,
    },
    /// A list.
    Sequence(Vec<Node>),
    /// Keys with values, in the order written; no key occurs twice.
    Mapping(Vec<Entry>),
}

/// Is one key of a mapping, with its value.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// The key's text.
    pub key: Arc<str>,
    /// Where the key stands.
    pub span: Span,
    /// The value.
    pub value: Node,
}

impl Node {
    /// Says whether nothing was written, or `null`.
    pub fn is_null(&self) -> bool {
        matches!(&self.kind, Kind::Scalar { text, plain: true }
            if matches!(&**text, "" | "~" | "null" | "Null" | "NULL"))
    }

    /// Returns the text of a scalar other than null.
    pub fn text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Scalar { text, .. } if !self.is_null() => Some(text),
            _ => None,
        }
    }

    /// Returns the text of a scalar that stands without quotes and is not null.
    pub fn plain(&self) -> Option<&str> {
        match &self.kind {
            Kind::Scalar { plain: true, .. } => self.text(),
            _ => None,
        }
    }

    /// Returns the entries of a list; none for anything else.
    pub fn items(&self) -> &[Self] {
        if let Kind::Sequence(items) = &self.kind { items } else { &[] }
    }

    /// Returns the keys and values of a mapping; none for anything else.
    pub fn entries(&self) -> &[Entry] {
        if let Kind::Mapping(entries) = &self.kind { entries } else { &[] }
    }

    /// Returns the key's entry, if it has a value that is not null.
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries().iter().find(|entry| &*entry.key == key && !entry.value.is_null())
    }

    /// Returns the key's value, unless it is null.
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.entry(key).map(|entry| &entry.value)
    }

    /// Says what it is, in words.
    pub fn words(&self) -> &'static str {
        match &self.kind {
            Kind::Sequence(_) => "a list",
            Kind::Mapping(_) => "a mapping",
            Kind::Scalar { .. } if self.is_null() => "nothing",
            Kind::Scalar { plain: false, .. } => "text in quotes",
            Kind::Scalar { .. } => "text",
        }
    }
}

/// Is a mapping or list that has begun and not ended.
struct Frame {
    node: Node,
    anchor: usize,
    /// The key that waits for its value; `None` in `key.0` is a key that was refused.
    key: Option<(Option<Arc<str>>, Span)>,
    seen: BTreeMap<Arc<str>, Span>,
    /// The values in it so far, itself included.
    size: usize,
    /// The levels below it so far.
    height: usize,
}

/// Is a value that an alias may repeat.
struct Anchored {
    node: Node,
    size: usize,
    height: usize,
}

/// Builds the tree from events.
#[derive(Default)]
struct Builder {
    frames: Vec<Frame>,
    anchors: BTreeMap<usize, Anchored>,
    /// All values made so far.
    nodes: usize,
    /// All values kept for aliases so far: nested anchors keep a value more than once.
    kept: usize,
    root: Option<Node>,
    found: Vec<Diagnostic>,
}

/// Reads a text: the tree, if there is one, and what was found wrong on the way.
///
/// Duplicate keys, merge keys, tags and keys that are no text are reported and passed over, so that the rest is still
/// looked at; a text that is no YAML, or breaks a limit, ends there.
pub(super) fn parse(text: &str) -> (Option<Node>, Vec<Diagnostic>) {
    let mut builder = Builder::default();
    if let Some(found) = too_dense(text) {
        return (None, vec![*found]);
    }
    let mut parser = Parser::new_from_str(text);
    let mut documents = 0;
    while let Some(event) = parser.next_event() {
        let outcome = match event {
            Err(error) => Err(syntax_error(&error, text)),
            Ok((Event::DocumentStart(_), at)) => {
                documents += 1;
                if documents > 1 {
                    let message = "a second document begins here, and a config is one document";
                    let found = Diagnostic::error(span(at.start, at.end), message);
                    let remedy = "take out the line `---`, or keep the second part in a file of its own";
                    Err(Box::new(found.remedy(remedy)))
                } else {
                    Ok(())
                }
            }
            Ok((event, at)) => builder.take(event, span(at.start, at.end)),
        };
        if let Err(found) = outcome {
            builder.found.push(*found);
            return (None, builder.found);
        }
    }
    if builder.root.as_ref().is_none_or(Node::is_null) {
        builder.found.push(nothing_written());
        return (None, builder.found);
    }
    (builder.root, builder.found)
}

/// Says that a config holds nothing.
pub fn nothing_written() -> Diagnostic {
    let found = Diagnostic::error(Span::new(1, 1, 0), "the config is empty");
    found.remedy("`exp init` writes a project that builds at once")
}

impl Builder {
    fn take(&mut self, event: Event<'_>, at: Span) -> Result<(), Box<Diagnostic>> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.refuse_tag(tag.as_deref(), at);
                let kind = Kind::Scalar { text: Arc::from(&*text), plain: style == ScalarStyle::Plain };
                // A long text that is repeated costs whoever looks at it.
                let size = 1 + text.len() / TEXT_PER_NODE;
                self.count(size, at)?;
                self.finish(Node { kind, span: at }, anchor, size, 0)
            }
            Event::SequenceStart(anchor, tag) => {
                self.refuse_tag(tag.as_deref(), at);
                self.begin(Node { kind: Kind::Sequence(Vec::new()), span: at }, anchor)
            }
            Event::MappingStart(anchor, tag) => {
                self.refuse_tag(tag.as_deref(), at);
                self.begin(Node { kind: Kind::Mapping(Vec::new()), span: at }, anchor)
            }
            Event::SequenceEnd | Event::MappingEnd => match self.frames.pop() {
                Some(frame) => self.finish(frame.node, frame.anchor, frame.size, frame.height),
                None => Ok(()),
            },
            Event::Alias(anchor) => self.repeat(anchor, at),
            _ => Ok(()),
        }
    }

    /// Puts the value of an anchor where its alias stands.
    fn repeat(&mut self, anchor: usize, at: Span) -> Result<(), Box<Diagnostic>> {
        let Some(known) = self.anchors.get(&anchor) else {
            let found = Diagnostic::error(at, "an alias stands inside the value that it repeats");
            return Err(Box::new(found.remedy("write the value out")));
        };
        let (size, height) = (known.size, known.height);
        if self.nodes + size > MAX_NODES {
            return Err(too_many(at));
        }
        if self.frames.len() + height > MAX_DEPTH {
            return Err(too_deep(at));
        }
        self.nodes += size;
        let node = known.node.clone();
        self.finish(node, 0, size, height)
    }

    fn refuse_tag(&mut self, tag: Option<&saphyr_parser::Tag>, at: Span) {
        if let Some(tag) = tag {
            let shown = if tag.is_yaml_core_schema() { format!("!!{}", tag.suffix) } else { tag.to_string() };
            let message =
                format!("the tag `{shown}` is not allowed: a config holds texts, numbers, lists and mappings");
            self.found.push(Diagnostic::error(at, message).remedy("take the tag out; put a text in quotes"));
        }
    }

    fn count(&mut self, size: usize, at: Span) -> Result<(), Box<Diagnostic>> {
        self.nodes += size;
        if self.nodes > MAX_NODES { Err(too_many(at)) } else { Ok(()) }
    }

    fn begin(&mut self, node: Node, anchor: usize) -> Result<(), Box<Diagnostic>> {
        if self.frames.len() >= MAX_DEPTH {
            return Err(too_deep(node.span));
        }
        self.count(1, node.span)?;
        self.frames.push(Frame { node, anchor, key: None, seen: BTreeMap::new(), size: 1, height: 1 });
        Ok(())
    }

    /// Puts a finished value where it belongs: into the list, after its key, or as a key.
    fn finish(&mut self, node: Node, anchor: usize, size: usize, height: usize) -> Result<(), Box<Diagnostic>> {
        if anchor != 0 {
            self.kept += size;
            if self.kept > MAX_NODES {
                return Err(too_many(node.span));
            }
            self.anchors.insert(anchor, Anchored { node: node.clone(), size, height });
        }
        let Some(frame) = self.frames.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        frame.size += size;
        frame.height = frame.height.max(height + 1);
        match &mut frame.node.kind {
            Kind::Sequence(items) => items.push(node),
            Kind::Mapping(entries) => match frame.key.take() {
                Some((Some(key), span)) => entries.push(Entry { key, span, value: node }),
                Some((None, _)) => {}
                None => {
                    let key = match usable_key(&node, &frame.seen) {
                        Ok(key) => {
                            frame.seen.insert(Arc::clone(&key), node.span);
                            Some(key)
                        }
                        Err(found) => {
                            self.found.push(*found);
                            None
                        }
                    };
                    frame.key = Some((key, node.span));
                }
            },
            Kind::Scalar { .. } => {}
        }
        Ok(())
    }
}

/// Returns the text of a key that may stand in a config.
fn usable_key(node: &Node, seen: &BTreeMap<Arc<str>, Span>) -> Result<Arc<str>, Box<Diagnostic>> {
    let Kind::Scalar { text, .. } = &node.kind else {
        let message = format!("a key is a text, not {}", node.words());
        return Err(Box::new(
            Diagnostic::error(node.span, message).remedy("write the key as plain text before the colon"),
        ));
    };
    if node.is_null() {
        let found = Diagnostic::error(node.span, "a key is missing before the colon");
        return Err(Box::new(found.remedy("write the key")));
    }
    if &**text == "<<" {
        let message = "merge keys (`<<`) are not supported";
        return Err(Box::new(Diagnostic::error(node.span, message).remedy("write the merged keys out")));
    }
    if let Some(first) = seen.get(text) {
        let message = format!("the key `{text}` stands twice (lines {} and {})", first.at.line, node.span.at.line);
        let found = Diagnostic::error(node.span, message).label("here again").related(*first, "here first");
        return Err(Box::new(found.remedy("keep one of the two")));
    }
    Ok(Arc::clone(text))
}

/// Refuses a text that cannot be a config before it is scanned: the scanner holds all of a bracket's content in memory.
fn too_dense(text: &str) -> Option<Box<Diagnostic>> {
    let mut indicators = text.bytes().enumerate().filter(|(_, byte)| matches!(byte, b',' | b'[' | b'{' | b':'));
    let (at, _) = indicators.nth(3 * MAX_NODES)?;
    let line = text[..at].bytes().filter(|byte| *byte == b'\n').count() as u32 + 1;
    Some(too_many(Span::new(line, 1, 1)))
}

fn too_many(at: Span) -> Box<Diagnostic> {
    let message = format!("the config has more than {MAX_NODES} values, those that aliases repeat included");
    Box::new(
        Diagnostic::error(at, message).remedy("a config describes an experiment; keep data in files that it names"),
    )
}

fn too_deep(at: Span) -> Box<Diagnostic> {
    let found = Diagnostic::error(at, format!("the config is nested more than {MAX_DEPTH} levels deep"));
    Box::new(found.remedy("nothing in the language is that deep; is a bracket missing?"))
}

/// Says what is wrong with a text that is no YAML.
fn syntax_error(error: &ScanError, text: &str) -> Box<Diagnostic> {
    let at = Span::new(error.marker().line() as u32, error.marker().col() as u32 + 1, 1);
    let line = text.lines().nth(error.marker().line().saturating_sub(1)).unwrap_or_default();
    let indentation = line.chars().take_while(|c| c.is_whitespace());
    if let Some(tab) = indentation.clone().position(|c| c == '\t') {
        let tabs = indentation.skip(tab).take_while(|c| *c == '\t').count();
        let at = Span::new(at.at.line, tab as u32 + 1, tabs as u32);
        return Box::new(Diagnostic::error(at, "a tab stands in the indentation").remedy("indent with spaces"));
    }
    let info = error.info();
    if info.contains("recursion limit") {
        return too_deep(at);
    }
    if info.contains("unknown anchor") {
        let found = Diagnostic::error(at, "an alias (`*name`) without an anchor (`&name`) before it");
        return Box::new(found.remedy("put a text that begins with `*` in quotes"));
    }
    let remedy = if info.contains("unexpected character") {
        "put a text that begins with a special character in quotes"
    } else if info.contains("mapping values are not allowed") || info.contains("placement of ':'") {
        "put a text that holds a colon in quotes; close every bracket before the next key"
    } else {
        "look at this line and the one before it: quotes, brackets, indentation"
    };
    Box::new(Diagnostic::error(at, format!("this is not valid YAML: {info}")).remedy(remedy))
}

fn span(start: Marker, end: Marker) -> Span {
    let length = if start.line() == end.line() { end.col().saturating_sub(start.col()) } else { 1 };
    Span::new(start.line() as u32, start.col() as u32 + 1, length as u32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn messages(text: &str) -> Vec<String> {
        let (_, found) = parse(text);
        found.iter().map(|d| format!("{}:{} {}", d.at.at.line, d.at.at.column, d.message)).collect()
    }

    #[test]
    fn text_stays_text() {
        let (root, found) = parse("a: 1.10\nb: 0o17\nc: 1_000\nd: 2026-11-23\ne: no\nf: '7'\ng: ~\nh: 'null'\n");
        assert!(found.is_empty());
        let root = root.unwrap();
        let text = |key| root.get(key).and_then(Node::text);
        assert_eq!(text("a"), Some("1.10"));
        assert_eq!(text("b"), Some("0o17"));
        assert_eq!(text("c"), Some("1_000"));
        assert_eq!(text("d"), Some("2026-11-23"));
        assert_eq!(text("e"), Some("no"));
        assert_eq!(text("f"), Some("7"));
        assert_eq!(root.get("f").and_then(Node::plain), None);
        assert_eq!(text("g"), None);
        assert_eq!(text("h"), Some("null"));
    }

    #[test]
    fn all_is_reported_at_its_place() {
        let text = "a: 1\na: 2\nb: {<<: 1}\nc: !!python/name:os.system x\n? [d]\n: 1\n: 2\n";
        let expected = [
            "2:1 the key `a` stands twice (lines 1 and 2)",
            "3:5 merge keys (`<<`) are not supported",
            "4:4 the tag `!!python/name:os.system` is not allowed: a config holds texts, numbers, lists and mappings",
            "5:3 a key is a text, not a list",
            "7:1 a key is missing before the colon",
        ];
        assert_eq!(messages(text), expected);
    }

    #[test]
    fn syntax_errors_have_places() {
        assert_eq!(messages("a:\n\tb: 1\n"), ["2:1 a tab stands in the indentation"]);
        assert_eq!(messages("a: 1\n---\nb: 1\n"), ["2:1 a second document begins here, and a config is one document"]);
        assert_eq!(messages("a: *x\n"), ["1:4 an alias (`*name`) without an anchor (`&name`) before it"]);
        assert_eq!(messages(""), ["1:1 the config is empty"]);
        assert_eq!(messages("# words\n"), ["1:1 the config is empty"]);
        assert_eq!(messages("a: &a [*a]\n"), ["1:8 an alias stands inside the value that it repeats"]);
    }

    #[test]
    fn bombs_end_early() {
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
        for n in 1..12 {
            let items = vec![format!("*a{}", n - 1); 9].join(", ");
            bomb.extend([format!("a{n}: &a{n} [{items}]\n")]);
        }
        let depths = ["[".repeat(1 << 20), "{a: ".repeat(1 << 18), "- ".repeat(1 << 19), "? ".repeat(1 << 19)];
        let anchors = (0..60).fold(String::new(), |text, n| text + &format!("&a{n} ["));
        let nested = format!("{anchors}{}", "x, ".repeat(60_000)) + &"]".repeat(60);
        for text in [bomb, nested].into_iter().chain(depths) {
            let start = std::time::Instant::now();
            assert_eq!(messages(&text).len(), 1, "{}", &text[..8]);
            // A bomb that goes off takes minutes; the bound leaves room for a busy machine.
            assert!(start.elapsed().as_secs_f64() < 10.0, "{} took {:?}", &text[..8], start.elapsed());
        }
    }

    #[test]
    fn long_texts_repeat_a_few_times_only() {
        let text = |times| format!("a: &a {}\nb: [{}]\n", "x".repeat(500_000), "*a, ".repeat(times));
        assert!(messages(&text(3)).is_empty());
        assert_eq!(messages(&text(10_000)).len(), 1);
    }

    /// Writes a value as JSON, which is YAML too, or as block YAML by the other crate.
    fn values() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i32>().prop_map(Into::into),
            "[ -~é€\n]{0,12}".prop_map(Into::into),
        ];
        leaf.prop_recursive(4, 40, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Into::into),
                prop::collection::btree_map("[a-z]{1,8}", inner, 0..5)
                    .prop_map(|m| serde_json::Value::Object(m.into_iter().collect())),
            ]
        })
    }

    /// Compares a tree with a value, scalar by scalar.
    fn agrees(node: &Node, value: &serde_yaml::Value) -> bool {
        use serde_yaml::Value;
        match value {
            Value::Null => node.is_null(),
            Value::Bool(b) => node.plain() == Some(if *b { "true" } else { "false" }),
            Value::Number(n) => node.plain() == Some(&n.to_string()),
            Value::String(s) => matches!(&node.kind, Kind::Scalar { text, .. } if **text == **s),
            Value::Sequence(items) => {
                node.items().len() == items.len() && node.items().iter().zip(items).all(|(n, v)| agrees(n, v))
            }
            Value::Mapping(map) => {
                node.entries().len() == map.len()
                    && node
                        .entries()
                        .iter()
                        .zip(map)
                        .all(|(entry, (key, value))| key.as_str() == Some(&entry.key) && agrees(&entry.value, value))
            }
            Value::Tagged(_) => false,
        }
    }

    proptest! {
        #[test]
        fn trees_agree_with_the_other_parser(value in values()) {
            prop_assume!(!value.is_null());
            for text in [serde_json::to_string(&value).unwrap(), serde_yaml::to_string(&value).unwrap()] {
                let (root, found) = parse(&text);
                prop_assert!(found.is_empty(), "{text}: {found:?}");
                let other: serde_yaml::Value = serde_yaml::from_str(&text).unwrap();
                prop_assert!(agrees(&root.unwrap(), &other), "{text}");
            }
        }

        #[test]
        fn no_text_panics(text in "[ -~\n\té\u{feff}]{0,60}") {
            let (root, found) = parse(&text);
            prop_assert!(root.is_some() || !found.is_empty());
        }
    }
}
