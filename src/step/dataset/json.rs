use std::borrow::Cow;
use std::fmt::Write;

/// Is a JSON value that keeps what people wrote: the order of keys, the text of numbers, and where each key stands.
///
/// It borrows from the text it was read from. A number beyond the range of a double is a text, so that whatever is
/// written from here can be read by any JSON reader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Json<'a> {
    /// `null`.
    Null,
    /// A truth value.
    Bool(bool),
    /// A number, as written.
    Number(&'a str),
    /// A text.
    Text(Cow<'a, str>),
    /// A list.
    List(Vec<Json<'a>>),
    /// An object, in the order written; no key stands twice.
    Object(Vec<Member<'a>>),
}

/// Is one key of an object with its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member<'a> {
    /// The key.
    pub name: Cow<'a, str>,
    /// Where the key stands: a byte offset into the text that was parsed.
    pub at: usize,
    /// The value.
    pub value: Json<'a>,
}

/// Is what a dotted path leads to.
#[derive(Clone, Copy, Debug)]
pub struct Found<'j, 'a> {
    /// The value.
    pub value: &'j Json<'a>,
    /// Where its nearest key stands.
    pub at: usize,
}

impl<'a> Json<'a> {
    /// Names the kind of value, with its article.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a truth value",
            Self::Number(_) => "a number",
            Self::Text(_) => "a text",
            Self::List(_) => "a list",
            Self::Object(_) => "an object",
        }
    }

    /// Returns the members of an object, and none for anything else.
    pub fn members(&self) -> &[Member<'a>] {
        match self {
            Self::Object(members) => members,
            _ => &[],
        }
    }

    /// Follows a dotted path through objects and, by index from 0, lists.
    ///
    /// A key that holds dots itself is found under its full name.
    pub fn find(&self, path: &str) -> Option<Found<'_, 'a>> {
        self.find_from(path, 0)
    }

    fn find_from(&self, path: &str, at: usize) -> Option<Found<'_, 'a>> {
        match self {
            Self::Object(members) => {
                if let Some(member) = members.iter().find(|member| member.name == path) {
                    return Some(Found { value: &member.value, at: member.at });
                }
                path.match_indices('.').find_map(|(dot, _)| {
                    let member = members.iter().find(|member| member.name == path[..dot])?;
                    member.value.find_from(&path[dot + 1..], member.at)
                })
            }
            Self::List(items) => {
                let (index, rest) = path.split_once('.').map_or((path, None), |(index, rest)| (index, Some(rest)));
                let item = items.get(index.parse::<usize>().ok()?)?;
                rest.map_or(Some(Found { value: item, at }), |rest| item.find_from(rest, at))
            }
            _ => None,
        }
    }

    /// Lists the names on the level where a path that leads nowhere ends, each with the path up to it.
    pub fn names_near(&self, path: &str) -> Vec<String> {
        let names = |members: &[Member<'_>], prefix: &str| {
            members.iter().map(|member| format!("{prefix}{}", member.name)).collect()
        };
        path.match_indices('.')
            .rev()
            .find_map(|(dot, _)| match self.find(&path[..dot])?.value {
                Self::Object(members) => Some(names(members, &path[..=dot])),
                _ => None,
            })
            .unwrap_or_else(|| names(self.members(), ""))
    }

    /// Returns the value as a text to compare or join with: texts as they are, everything else as compact JSON.
    pub fn to_text(&self) -> Cow<'_, str> {
        match self {
            Self::Text(text) => Cow::Borrowed(text),
            Self::Number(number) => Cow::Borrowed(number),
            Self::Bool(true) => Cow::Borrowed("true"),
            Self::Bool(false) => Cow::Borrowed("false"),
            _ => {
                let mut out = String::new();
                self.write(&mut out);
                Cow::Owned(out)
            }
        }
    }

    /// Appends the value as compact JSON.
    pub fn write(&self, out: &mut String) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            Self::Number(number) => out.push_str(number),
            Self::Text(text) => write_text(text, out),
            Self::List(items) => {
                out.push('[');
                for (n, item) in items.iter().enumerate() {
                    if n > 0 {
                        out.push(',');
                    }
                    item.write(out);
                }
                out.push(']');
            }
            Self::Object(members) => {
                out.push('{');
                for (n, member) in members.iter().enumerate() {
                    if n > 0 {
                        out.push(',');
                    }
                    write_text(&member.name, out);
                    out.push(':');
                    member.value.write(out);
                }
                out.push('}');
            }
        }
    }
}

/// Appends a text as a JSON string: only `"`, `\` and control characters are escaped.
pub fn write_text(text: &str, out: &mut String) {
    out.push('"');
    let mut from = 0;
    for (at, byte) in text.bytes().enumerate() {
        if byte >= 0x20 && byte != b'"' && byte != b'\\' {
            continue;
        }
        // Escaped bytes are ASCII, so both ends of the slice are character boundaries.
        out.push_str(&text[from..at]);
        from = at + 1;
        match byte {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            _ => {
                // Writing to a `String` cannot fail.
                let _ = write!(out, "\\u{byte:04x}");
            }
        }
    }
    out.push_str(&text[from..]);
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::super::parse_json;

    fn found(text: &str, path: &str) -> Option<String> {
        parse_json(text).unwrap().find(path).map(|found| found.value.to_text().into_owned())
    }

    #[test]
    fn paths_reach_into_objects_and_lists() {
        let text = r#"{"a":{"b":[{"c":1.50},2]},"x.y":"dotted","x":{"z":null}}"#;
        assert_eq!(found(text, "a.b.0.c").as_deref(), Some("1.50"));
        assert_eq!(found(text, "a.b.1").as_deref(), Some("2"));
        assert_eq!(found(text, "x.y").as_deref(), Some("dotted"));
        assert_eq!(found(text, "x.z").as_deref(), Some("null"));
        assert_eq!(found(text, "a.b").as_deref(), Some(r#"[{"c":1.50},2]"#));
        assert_eq!(found(text, "a.b.2"), None);
        assert_eq!(found(text, "a.b.c"), None);
        assert_eq!(found(text, "q"), None);
    }

    #[test]
    fn names_near_are_those_of_the_level_reached() {
        let json = parse_json(r#"{"a":{"b":1,"c":2},"d":3}"#).unwrap();
        assert_eq!(json.names_near("a.x"), ["a.b", "a.c"]);
        assert_eq!(json.names_near("x.y"), ["a", "d"]);
        assert_eq!(json.names_near("d.y"), ["a", "d"]);
    }
}
