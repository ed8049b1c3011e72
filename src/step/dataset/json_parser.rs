use std::borrow::Cow;
use std::collections::HashSet;

use super::{Json, Member};

/// Says why a text is not JSON that can be used, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonProblem {
    /// The byte offset.
    pub at: usize,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub remedy: String,
}

/// Says what becomes of `\ud800`, half a character, which some writers of JSON let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Surrogates {
    /// It is an error.
    Reject,
    /// It becomes U+FFFD, as in answers that come from a model.
    Replace,
}

/// How deep values may nest; below the limit of serde_json, which others read our files with.
const MAX_DEPTH: usize = 100;

/// From how many keys on a set is faster than comparing each with each.
const MANY_KEYS: usize = 24;

/// Reads one JSON value and nothing after it; unpaired surrogates are an error.
pub fn parse_json(text: &str) -> Result<Json<'_>, JsonProblem> {
    parse_json_with(text, Surrogates::Reject)
}

/// Reads one JSON value and nothing after it.
///
/// Stricter than serde_json in one thing, a key that stands twice in one object, and laxer in another: a number beyond
/// the range of a double is kept as text.
pub fn parse_json_with(text: &str, surrogates: Surrogates) -> Result<Json<'_>, JsonProblem> {
    let mut parser = Parser { text, at: 0, depth: 0, surrogates };
    parser.space();
    let value = parser.value()?;
    parser.space();
    if parser.at < text.len() {
        return Err(parser.problem("text stands after the end of the value", "write one value, or one a line"));
    }
    Ok(value)
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
    surrogates: Surrogates,
}

const CORRECT: &str = "correct the JSON here";

impl<'a> Parser<'a> {
    fn problem(&self, message: impl Into<String>, remedy: impl Into<String>) -> JsonProblem {
        JsonProblem { at: self.at, message: message.into(), remedy: remedy.into() }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// Describes what stands here, for messages.
    fn here(&self) -> String {
        self.text[self.at..].chars().next().map_or_else(|| "the end".to_owned(), |c| format!("`{}`", c.escape_debug()))
    }

    fn value(&mut self) -> Result<Json<'a>, JsonProblem> {
        match self.peek() {
            Some(b'{') => self.nested(Self::object),
            Some(b'[') => self.nested(Self::list),
            Some(b'"') => Ok(Json::Text(self.string()?)),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => self.word(),
        }
    }

    fn nested(&mut self, read: fn(&mut Self) -> Result<Json<'a>, JsonProblem>) -> Result<Json<'a>, JsonProblem> {
        if self.depth == MAX_DEPTH {
            return Err(self.problem(format!("values nest deeper than {MAX_DEPTH}"), "flatten the row"));
        }
        self.depth += 1;
        self.at += 1;
        let value = read(self)?;
        self.depth -= 1;
        Ok(value)
    }

    fn object(&mut self) -> Result<Json<'a>, JsonProblem> {
        let mut members: Vec<Member<'a>> = Vec::new();
        let mut names: HashSet<Cow<'a, str>> = HashSet::new();
        self.space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(Json::Object(members));
        }
        loop {
            self.space();
            let at = self.at;
            if self.peek() != Some(b'"') {
                return Err(self.problem(format!("expected a key in quotes, found {}", self.here()), CORRECT));
            }
            let name = self.string()?;
            if members.len() == MANY_KEYS {
                names.extend(members.iter().map(|member| member.name.clone()));
            }
            let repeated = if members.len() < MANY_KEYS {
                members.iter().any(|member| member.name == name)
            } else {
                !names.insert(name.clone())
            };
            if repeated {
                self.at = at;
                let message = format!("the key `{name}` stands twice in one object");
                return Err(self.problem(message, "remove one of the two"));
            }
            self.space();
            if self.peek() != Some(b':') {
                return Err(self.problem(format!("expected `:` after a key, found {}", self.here()), CORRECT));
            }
            self.at += 1;
            self.space();
            let value = self.value()?;
            members.push(Member { name, at, value });
            self.space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => {
                    self.at += 1;
                    return Ok(Json::Object(members));
                }
                _ => return Err(self.problem(format!("expected `,` or `}}`, found {}", self.here()), CORRECT)),
            }
        }
    }

    fn list(&mut self) -> Result<Json<'a>, JsonProblem> {
        let mut items = Vec::new();
        self.space();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(Json::List(items));
        }
        loop {
            self.space();
            items.push(self.value()?);
            self.space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => {
                    self.at += 1;
                    return Ok(Json::List(items));
                }
                _ => return Err(self.problem(format!("expected `,` or `]`, found {}", self.here()), CORRECT)),
            }
        }
    }

    fn word(&mut self) -> Result<Json<'a>, JsonProblem> {
        let rest = &self.text[self.at..];
        let end = rest.find(|c: char| !c.is_alphanumeric()).unwrap_or(rest.len());
        let value = match &rest[..end] {
            "true" => Json::Bool(true),
            "false" => Json::Bool(false),
            "null" => Json::Null,
            word @ ("NaN" | "Infinity" | "nan" | "inf") => {
                return Err(self.problem(format!("`{word}` is not JSON"), "write null, or a text in quotes"));
            }
            word @ ("None" | "True" | "False") => {
                let remedy = "write JSON (`null`, `true`, `false`), not Python's notation";
                return Err(self.problem(format!("`{word}` is not JSON"), remedy));
            }
            _ => return Err(self.problem(format!("expected a value, found {}", self.here()), CORRECT)),
        };
        self.at += end;
        Ok(value)
    }

    fn number(&mut self) -> Result<Json<'a>, JsonProblem> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
            if self.text[self.at..].starts_with("Infinity") {
                return Err(self.problem("`-Infinity` is not JSON", "write null, or a text in quotes"));
            }
        }
        let zero = self.peek() == Some(b'0');
        let whole = self.digits()?;
        if zero && whole > 1 {
            self.at = start;
            return Err(self.problem("a number begins with 0", "remove the zeros, or write a text in quotes"));
        }
        let mut exponent = false;
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            exponent = true;
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        let number = &self.text[start..self.at];
        // Only an exponent or more than 308 digits can leave the range of a double.
        let beyond = (exponent || whole > 308) && number.parse::<f64>().is_ok_and(f64::is_infinite);
        Ok(if beyond { Json::Text(Cow::Borrowed(number)) } else { Json::Number(number) })
    }

    /// Reads at least one digit and says how many there were.
    fn digits(&mut self) -> Result<usize, JsonProblem> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at == start {
            return Err(self.problem(format!("expected a digit, found {}", self.here()), CORRECT));
        }
        Ok(self.at - start)
    }

    fn string(&mut self) -> Result<Cow<'a, str>, JsonProblem> {
        let open = self.at;
        self.at += 1;
        let mut owned: Option<String> = None;
        let mut from = self.at;
        loop {
            let rest = &self.text.as_bytes()[self.at..];
            let Some(step) = rest.iter().position(|&b| b == b'"' || b == b'\\' || b < 0x20) else {
                self.at = open;
                return Err(self.problem("a text is not closed", "close it with `\"`"));
            };
            self.at += step;
            match rest[step] {
                b'"' => {
                    let piece = &self.text[from..self.at];
                    self.at += 1;
                    return Ok(match owned {
                        None => Cow::Borrowed(piece),
                        Some(mut text) => {
                            text.push_str(piece);
                            Cow::Owned(text)
                        }
                    });
                }
                b'\\' => {
                    let text = owned.get_or_insert_default();
                    text.push_str(&self.text[from..self.at]);
                    let c = self.escape()?;
                    owned.get_or_insert_default().push(c);
                    from = self.at;
                }
                control => {
                    let message = format!("an unescaped control character (0x{control:02X}) stands in a text");
                    return Err(self.problem(message, format!("write it as `\\u{control:04x}`")));
                }
            }
        }
    }

    /// Reads what a backslash stands for; leaves the position after it.
    fn escape(&mut self) -> Result<char, JsonProblem> {
        let start = self.at;
        self.at += 1;
        let c = match self.peek() {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode(start),
            _ => {
                let message = format!("a text holds `\\` before {}", self.here());
                return Err(self.problem(message, "write a backslash as `\\\\`"));
            }
        };
        self.at += 1;
        Ok(c)
    }

    fn unicode(&mut self, start: usize) -> Result<char, JsonProblem> {
        let first = self.hex()?;
        if let Some(c) = char::from_u32(first) {
            return Ok(c);
        }
        let after = self.at;
        if first < 0xDC00 && self.text[after..].starts_with("\\u") {
            self.at += 1;
            let second = self.hex()?;
            if (0xDC00..0xE000).contains(&second) {
                let code = 0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00);
                return Ok(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
        }
        // What follows is an escape of its own.
        self.at = after;
        if self.surrogates == Surrogates::Replace {
            return Ok(char::REPLACEMENT_CHARACTER);
        }
        self.at = start;
        let message = format!("`\\u{first:04x}` is half a character (an unpaired surrogate)");
        Err(self.problem(message, "write the character that was meant, or `\\ufffd`"))
    }

    /// Reads `uXXXX`.
    fn hex(&mut self) -> Result<u32, JsonProblem> {
        let digits = self.text.as_bytes().get(self.at + 1..self.at + 5).filter(|d| d.iter().all(u8::is_ascii_hexdigit));
        let Some(digits) = digits else {
            return Err(self.problem("`\\u` needs four hexadecimal digits", CORRECT));
        };
        let value = digits.iter().fold(0, |value, &d| value * 16 + char::from(d).to_digit(16).unwrap_or(0));
        self.at += 5;
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn problem(text: &str) -> (usize, String) {
        let problem = parse_json(text).unwrap_err();
        (problem.at, problem.message)
    }

    #[test]
    fn numbers_keep_their_text() {
        let text = r#"{"a":1.10,"b":123456789012345678901234567890,"c":1e400,"d":-0}"#;
        let json = parse_json(text).unwrap();
        assert_eq!(json.to_text(), r#"{"a":1.10,"b":123456789012345678901234567890,"c":"1e400","d":-0}"#);
    }

    #[test]
    fn problems_say_what_and_where() {
        assert_eq!(problem(r#"{"a":1,"a":2}"#), (7, "the key `a` stands twice in one object".into()));
        assert_eq!(problem(r#"{"a":{"b":1,"b":2}}"#), (12, "the key `b` stands twice in one object".into()));
        assert_eq!(problem(r#"["\ud800"]"#), (2, r"`\ud800` is half a character (an unpaired surrogate)".into()));
        assert_eq!(problem(r#"["\udc00\ud800"]"#).0, 2);
        assert_eq!(problem(r#"["\ud800\u0041"]"#).0, 2);
        assert_eq!(problem(r#"{"a":NaN}"#), (5, "`NaN` is not JSON".into()));
        assert_eq!(problem(r#"{"a":None}"#), (5, "`None` is not JSON".into()));
        assert_eq!(problem(r#"{"a" 1}"#), (5, "expected `:` after a key, found `1`".into()));
        assert_eq!(problem("{'a': 1}"), (1, "expected a key in quotes, found `\\'`".into()));
        assert_eq!(problem("[1,"), (3, "expected a value, found the end".into()));
        assert_eq!(problem("[\"a"), (1, "a text is not closed".into()));
        assert_eq!(problem("[\"a\tb\"]"), (3, "an unescaped control character (0x09) stands in a text".into()));
        assert_eq!(problem("1 2"), (2, "text stands after the end of the value".into()));
        assert_eq!(problem(&"[".repeat(101)).0, 100);
    }

    #[test]
    fn a_key_that_stands_twice_is_found_among_many() {
        let many: Vec<String> = (0..60).map(|n| format!("\"k{n}\":1")).collect();
        assert!(parse_json(&format!("{{{}}}", many.join(","))).is_ok());
        for repeated in ["k3", "k40", "k59"] {
            let text = format!("{{{},\"{repeated}\":1}}", many.join(","));
            assert_eq!(problem(&text).1, format!("the key `{repeated}` stands twice in one object"));
        }
    }

    #[test]
    fn half_characters_are_replaced_on_request() {
        let json = parse_json_with(r#"["a\ud800b","\ud83d\ude00","\ud800\u0041"]"#, Surrogates::Replace).unwrap();
        assert_eq!(json.to_text(), "[\"a\u{fffd}b\",\"😀\",\"\u{fffd}A\"]");
    }

    proptest! {
        /// On text without repeated keys and huge numbers the two readers agree, and so do the values.
        #[test]
        fn agrees_with_serde_json(text in r#"[\[\]{},:"\\u0-9a-e.+\- tn]{0,24}"#) {
            let theirs: Result<serde_json::Value, _> = serde_json::from_str(&text);
            match (parse_json(&text), theirs) {
                (Ok(ours), Ok(theirs)) => {
                    let again: serde_json::Value = serde_json::from_str(&ours.to_text_json()).unwrap();
                    prop_assert_eq!(again, theirs);
                }
                (Err(problem), Ok(_)) => prop_assert!(problem.message.contains("stands twice"), "{problem:?}"),
                (Ok(_), Err(error)) => prop_assert!(error.to_string().contains("out of range"), "{error}"),
                (Err(_), Err(_)) => {}
            }
        }

        #[test]
        fn texts_survive_a_round_trip(text in any::<String>()) {
            let json = Json::Text(Cow::Owned(text));
            let written = json.to_text_json();
            let theirs: String = serde_json::from_str(&written).unwrap();
            prop_assert_eq!(&theirs, &json.to_text());
            prop_assert_eq!(parse_json(&written).unwrap(), json);
        }
    }

    impl Json<'_> {
        fn to_text_json(&self) -> String {
            let mut out = String::new();
            self.write(&mut out);
            out
        }
    }
}
