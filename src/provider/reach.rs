//! Whether a server can be reached with the key that is set: one call that costs nothing.

use serde_json::Value;

use super::look::ask;
use super::online::Online;
use super::wire::Protocol;
use super::{Line, Provider as _, Served, json};

/// Is what a server said when it was asked for its models.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reached {
    /// The ids of its models; absent where it lists none.
    pub models: Option<Vec<String>>,
    /// What it says of one of them, where it is somebody's own server.
    pub served: Option<Served>,
}

impl Online {
    /// Asks for the list of models, and what is served under one of them; the error is one sentence.
    pub fn reach(&self, line: &mut Line, model: &str) -> Result<Reached, String> {
        let base = self.settings().base_url.trim_end_matches('/');
        let url = match self.settings().wire.protocol {
            Protocol::Chat | Protocol::Responses => format!("{base}/models"),
            // As many as a page can hold.
            Protocol::Messages => format!("{}/v1/models?limit=1000", base.strip_suffix("/v1").unwrap_or(base)),
            Protocol::Ollama => format!("{base}/api/tags"),
        };
        let listed = ask(self, line, &url, None, model);
        let listed = listed.map_err(|error| self.redaction().sentence(&error.why))?;
        let models = listed.as_ref().and_then(ids);
        Ok(Reached { models, served: self.look(line, model).map_err(|error| error.why)? })
    }
}

/// Reads the ids of a list of models: OpenAI's and Anthropic's `data`, Ollama's `models`.
fn ids(listed: &Value) -> Option<Vec<String>> {
    let entries = listed.get("data").or_else(|| listed.get("models"))?.as_array()?;
    let id = |entry: &Value| {
        let name = ["id", "name", "model"].into_iter().find_map(|key| json::text_at(entry, &[key]));
        name.map(str::to_owned)
    };
    Some(entries.iter().filter_map(id).collect())
}

#[cfg(test)]
mod tests {
    use super::ids;

    #[test]
    fn the_lists_of_all_protocols_are_read() {
        let openai = serde_json::json!({"object": "list", "data": [{"id": "a"}, {"id": "b"}, {"x": 1}]});
        let ollama = serde_json::json!({"models": [{"name": "c:latest", "model": "c:latest"}]});
        assert_eq!(ids(&openai), Some(vec!["a".to_owned(), "b".to_owned()]));
        assert_eq!(ids(&ollama), Some(vec!["c:latest".to_owned()]));
        assert_eq!(ids(&serde_json::json!({"error": "x"})), None);
    }
}
