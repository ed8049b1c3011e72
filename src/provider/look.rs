//! What a server says of the model it serves, before anything is asked of it.

use serde_json::Value;

use super::http::Reply;
use super::online::{Online, complaint_of};
use super::send_failure::Trouble;
use super::verdict::{of_failure, of_status};
use super::wire::Protocol;
use super::{Advice, Line, LookError, Served, json};

/// Asks a server what it serves; `Ok(None)` where it is a provider's own service, or has no way to say.
pub(super) fn look(online: &Online, line: &mut Line, model: &str) -> Result<Option<Served>, LookError> {
    let settings = online.settings();
    if !settings.is_own_server {
        return Ok(None);
    }
    let base = settings.base_url.trim_end_matches('/');
    match settings.wire.protocol {
        Protocol::Messages => Ok(None),
        Protocol::Ollama => of_ollama(online, line, base, model),
        Protocol::Chat | Protocol::Responses => {
            if settings.is_llama_cpp {
                let root = base.strip_suffix("/v1").unwrap_or(base);
                let props = ask(online, line, &format!("{root}/props"), None, model)?;
                if let Some(served) = props.as_ref().and_then(of_props) {
                    return Ok(Some(served));
                }
            }
            let models = ask(online, line, &format!("{base}/models"), None, model)?;
            Ok(models.as_ref().and_then(|models| of_models(models, model)))
        }
    }
}

/// Sends one question. What says that the server has no such address, or is no JSON, is no answer, not an error.
pub(super) fn ask(
    online: &Online,
    line: &mut Line,
    url: &str,
    body: Option<String>,
    model: &str,
) -> Result<Option<Value>, LookError> {
    let whom = online.whom(url, model);
    let sent = online.client(line).send(&online.call(url, None, body));
    let reply = match sent {
        Ok(reply) => reply,
        Err(failure) if matches!(failure.trouble, Trouble::TooLarge | Trouble::Broken) => return Ok(None),
        Err(failure) => {
            let verdict = of_failure(&failure, whom);
            return Err(if let Advice::StopProvider { why } = verdict.advice {
                LookError::lasting(why)
            } else {
                let why = format!("`{}`: {url} cannot be asked what it serves: {}", whom.provider, failure.why);
                LookError::passing(why)
            });
        }
    };
    if (200..300).contains(&reply.status) {
        return Ok(json::parse(&reply.body).ok().map(|(value, _)| value));
    }
    refused(&reply, online, url, model)
}

fn refused(reply: &Reply, online: &Online, url: &str, model: &str) -> Result<Option<Value>, LookError> {
    let verdict = of_status(reply.status, &complaint_of(&reply.body), reply, online.whom(url, model), None);
    match verdict.advice {
        Advice::StopProvider { why } if matches!(reply.status, 401..=403) => Err(LookError::lasting(why)),
        Advice::Retry { .. } => {
            let name = &online.settings().name;
            let why = format!("`{name}`: {url} cannot be asked what it serves: HTTP {}", reply.status);
            Err(LookError::passing(why))
        }
        _ => Ok(None),
    }
}

/// Finds a model's entry in a list of models; what changes with each start of the server (`created`) is left out.
fn of_models(models: &Value, model: &str) -> Option<Served> {
    let entry = models.get("data")?.as_array()?.iter().find(|entry| json::text_at(entry, &["id"]) == Some(model))?;
    let meta = |name: &str| json::count_at(entry, &["meta", name]).map(|value| format!("{name}={value}"));
    let root = json::text_at(entry, &["root"]).map(|root| format!("root={}", unlocated(root)));
    let slug = json::text_at(entry, &["canonical_slug"]).map(|slug| format!("canonical_slug={slug}"));
    let stable: Vec<String> =
        [root, slug, meta("n_params"), meta("size"), meta("n_vocab")].into_iter().flatten().collect();
    let lengths = [&["max_model_len"][..], &["context_length"], &["meta", "n_ctx_train"]];
    Some(Served {
        revision: (!stable.is_empty()).then(|| stable.join(" ")),
        context_length: lengths.into_iter().find_map(|path| json::count_at(entry, path)),
        note: json::text_at(entry, &["owned_by"]).map(|owner| format!("owned by {owner}")),
    })
}

/// Reads the properties of llama.cpp's server.
fn of_props(props: &Value) -> Option<Served> {
    let path = json::text_at(props, &["model_path"])?;
    Some(Served {
        revision: Some(unlocated(path).to_owned()),
        context_length: json::count_at(props, &["default_generation_settings", "n_ctx"]),
        note: json::text_at(props, &["build_info"]).map(|build| format!("build {build}")),
    })
}

/// Takes the directories off the path of a file: they are the machine's, not the model's. Names with one `/` stay.
fn unlocated(path: &str) -> &str {
    let is_path = path.starts_with(['/', '.', '~']) || path.contains('\\') || path.matches('/').count() > 1;
    if is_path { path.rsplit(['/', '\\']).next().unwrap_or(path) } else { path }
}

fn of_ollama(online: &Online, line: &mut Line, base: &str, model: &str) -> Result<Option<Served>, LookError> {
    let Some(tags) = ask(online, line, &format!("{base}/api/tags"), None, model)? else { return Ok(None) };
    let Some(models) = tags.get("models").and_then(Value::as_array) else { return Ok(None) };
    let latest = format!("{model}:latest");
    let is_named = |entry: &&Value| {
        ["name", "model"]
            .iter()
            .any(|key| json::text_at(entry, &[key]).is_some_and(|name| name == model || name == latest))
    };
    let Some(entry) = models.iter().find(is_named) else {
        let name = &online.settings().name;
        let why = format!("`{name}` has no model `{model}`: run `ollama pull {model}` there, or correct `model:`");
        return Err(LookError::lasting(why));
    };
    let question = format!("{{\"model\":{}}}", Value::from(model));
    let show = ask(online, line, &format!("{base}/api/show"), Some(question), model)?.unwrap_or_default();
    let stated = online.settings().wire.models.get(model).and_then(|model| model.num_ctx);
    Ok(Some(of_tag(entry, &show, stated)))
}

/// Makes the record of an Ollama model: the digest of its tag, and what `/api/show` says.
fn of_tag(entry: &Value, show: &Value, stated: Option<u64>) -> Served {
    let info = show.get("model_info").and_then(Value::as_object).into_iter().flatten();
    let context_length =
        info.into_iter().find(|(name, _)| name.ends_with(".context_length")).and_then(|(_, value)| value.as_u64());
    let quantisation = json::text_at(show, &["details", "quantization_level"])
        .or_else(|| json::text_at(entry, &["details", "quantization_level"]));
    let beyond = match (stated, context_length) {
        (Some(stated), Some(length)) if stated > length => {
            Some(format!("num_ctx {stated} is more than the model's {length}"))
        }
        _ => None,
    };
    let notes: Vec<String> =
        quantisation.map(|level| format!("quantisation {level}")).into_iter().chain(beyond).collect();
    Served {
        revision: json::text_at(entry, &["digest"]).map(str::to_owned),
        context_length,
        note: (!notes.is_empty()).then(|| notes.join("; ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_list_of_models_says_what_is_stable() {
        let models = |created: u64| {
            json!({"object": "list", "data": [
                {"id": "other", "created": created},
                {"id": "m", "object": "model", "created": created, "owned_by": "vllm", "root": "/srv/models/m-7b",
                 "max_model_len": 4096, "permission": [{"id": format!("modelperm-{created}")}]}
            ]})
        };
        let served = of_models(&models(1), "m").unwrap();
        assert_eq!(served, of_models(&models(2), "m").unwrap());
        let expected = Served {
            revision: Some("root=m-7b".into()),
            context_length: Some(4096),
            note: Some("owned by vllm".into()),
        };
        assert_eq!(served, expected);
        assert_eq!(of_models(&models(1), "x"), None);
        assert_eq!(of_models(&json!({"data": [{"id": "m"}]}), "m").unwrap().revision, None);
    }

    #[test]
    fn llama_cpp_says_its_file() {
        let props = json!({"model_path": "/home/me/models/q.gguf", "build_info": "b4321-abc",
                           "default_generation_settings": {"n_ctx": 2048}});
        let served = of_props(&props).unwrap();
        assert_eq!((served.revision.as_deref(), served.context_length), (Some("q.gguf"), Some(2048)));
        assert_eq!(served.note.as_deref(), Some("build b4321-abc"));
        assert_eq!(of_props(&json!({"error": "x"})), None);
        assert_eq!(unlocated("meta-llama/Llama-3"), "meta-llama/Llama-3");
        assert_eq!(unlocated("C:\\m\\q.gguf"), "q.gguf");
    }

    #[test]
    fn ollama_says_its_digest() {
        let entry = json!({"name": "llama3.2:latest", "model": "llama3.2:latest", "digest": "a80c4f17acd5"});
        let show = json!({"details": {"quantization_level": "Q4_K_M"},
                          "model_info": {"general.architecture": "llama", "llama.context_length": 8192}});
        let served = of_tag(&entry, &show, Some(16_384));
        assert_eq!((served.revision.as_deref(), served.context_length), (Some("a80c4f17acd5"), Some(8192)));
        assert_eq!(served.note.as_deref(), Some("quantisation Q4_K_M; num_ctx 16384 is more than the model's 8192"));
        assert_eq!(of_tag(&entry, &json!({}), None).note, None);
    }
}
