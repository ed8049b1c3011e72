use std::fmt::Write as _;

use serde_json::Value;

/// Is the body of a request while it is made: members in a fixed order, numbers as they were written.
#[derive(Debug, Default)]
pub(super) struct Body(Vec<(String, Member)>);

/// Is a value: JSON as it is, or an object whose members can be added to.
#[derive(Debug, Default)]
struct Member {
    json: Option<String>,
    members: Body,
}

impl Body {
    /// Sets the member at a path, whose segments dots part, to a value that is JSON already; the objects on the way are made.
    pub fn set(&mut self, path: &str, json: impl Into<String>) {
        match path.split_once('.') {
            None => self.put(path, json.into()),
            Some((first, rest)) => self.object(first).set(rest, json),
        }
    }

    /// Sets the member at a path to a text.
    pub fn set_text(&mut self, path: &str, text: &str) {
        self.set(path, quoted(text));
    }

    /// Adds a member that the config gives. An object is joined with one that is there; anything else replaces what is
    /// there.
    pub fn join(&mut self, name: &str, value: &Value) {
        match value {
            Value::Object(members) if self.find(name).is_some_and(|known| known.json.is_none()) => {
                let object = self.object(name);
                for (name, value) in members {
                    object.join(name, value);
                }
            }
            _ => self.put(name, value.to_string()),
        }
    }

    /// Returns the JSON text.
    pub fn text(&self) -> String {
        let mut out = String::with_capacity(self.size());
        self.write(&mut out);
        out
    }

    /// Returns about how long the text is, in bytes.
    fn size(&self) -> usize {
        let of = |member: &Member| member.json.as_ref().map_or_else(|| member.members.size(), String::len);
        2 + self.0.iter().map(|(name, member)| name.len() + 4 + of(member)).sum::<usize>()
    }

    fn write(&self, out: &mut String) {
        out.push('{');
        for (at, (name, member)) in self.0.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            // Writing to a string cannot fail.
            let _ = write!(out, "{comma}{}:", quoted(name));
            match &member.json {
                Some(json) => out.push_str(json),
                None => member.members.write(out),
            }
        }
        out.push('}');
    }

    fn find(&self, name: &str) -> Option<&Member> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, member)| member)
    }

    fn put(&mut self, name: &str, json: String) {
        self.member(name).json = Some(json);
    }

    fn object(&mut self, name: &str) -> &mut Self {
        let member = self.member(name);
        if member.json.take().is_some() {
            member.members = Self::default();
        }
        &mut member.members
    }

    fn member(&mut self, name: &str) -> &mut Member {
        let at = self.0.iter().position(|(known, _)| known == name).unwrap_or_else(|| {
            self.0.push((name.to_owned(), Member::default()));
            self.0.len() - 1
        });
        &mut self.0[at].1
    }
}

/// Writes a text as JSON.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    // Writing to a string cannot fail.
    let _ = write!(out, "{}", Value::from(text));
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn members_keep_their_order_and_objects_are_joined() {
        let mut body = Body::default();
        body.set_text("model", "m\"x\"");
        body.set("options.temperature", "0.70");
        body.set("options.seed", "1");
        body.set("max_tokens", "5");
        body.join("options", &json!({"seed": 2, "mirostat": 1}));
        body.join("max_tokens", &json!(7));
        body.join("a.b", &json!({"c": null}));
        let expected = r#"{"model":"m\"x\"","options":{"temperature":0.70,"seed":2,"mirostat":1},"max_tokens":7,"a.b":{"c":null}}"#;
        assert_eq!(body.text(), expected);
        assert!(serde_json::from_str::<Value>(&body.text()).is_ok());
    }
}
