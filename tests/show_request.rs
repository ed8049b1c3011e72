//! The exact bodies that each kind of provider is sent, as `exp show --request … --exact` prints them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use serde_json::Value;
use support::Project;

const DECODING: &str = "{temperature: 0.70, max_output_tokens: 64, stop: [\"\\n\\n\", END], seed: 7}";

/// Makes a project with these providers and this model, and builds its requests.
fn project(providers: &str, model: &str, decoding: &str) -> Project {
    let project = Project::in_memory();
    let config = format!(
        "version: 1\nproviders: {providers}\nmodels: [{model}]\ndatasets:\n  mill:\n    path: data/mill.jsonl\n    \
         fields: {{id: id, question: question, answers: answers}}\n    user: prompts/user.txt\n\
         control: prompts/control.txt\nprompt_sets: {{plain: prompts/plain.txt}}\ndecoding: {decoding}\n"
    );
    project
        .config(&config)
        .file("data/mill.jsonl", "{\"id\":\"m1\",\"question\":\"Who \\\"built\\\" it? é\",\"answers\":[\"Ada\"]}\n");
    project.file("prompts/control.txt", "Answer.\n").file("prompts/plain.txt", "Copy.\n");
    project.file("prompts/user.txt", "Q: {{question}}\n");
    project.json(&["build", "--to-step", "build", "--run-id", "mine"]);
    project
}

fn exact(providers: &str, model: &str, decoding: &str) -> String {
    let project = project(providers, model, decoding);
    project.exp(&["show", "mine", "--request", "m1", "control", "--exact"]).expect_code(0).stdout
}

const MESSAGES: &str = r#"[{"role":"system","content":"Answer."},{"role":"user","content":"Q: Who \"built\" it? é"}]"#;

#[test]
fn chat_completions() {
    let sent = exact("{p: {kind: openai}}", "{name: m, provider: p, model: gpt-4.1}", DECODING);
    let expected = format!(
        r#"{{"model":"gpt-4.1","messages":{MESSAGES},"temperature":0.7,"max_tokens":64,"stop":["\n\n","END"],"seed":7,"store":false}}"#
    );
    assert_eq!(sent, expected + "\n");
    let reasoning =
        exact("{p: {kind: openai}}", "{name: m, provider: p, model: o4-mini}", "{effort: low, max_output_tokens: 64}");
    let expected = format!(
        r#"{{"model":"o4-mini","messages":{MESSAGES},"max_completion_tokens":64,"reasoning_effort":"low","store":false}}"#
    );
    assert_eq!(reasoning, expected + "\n");
}

#[test]
fn responses() {
    let decoding = "{effort: low, max_output_tokens: 64}";
    let provider = "{p: {kind: openai, api: responses, extra_body: {reasoning: {summary: auto}}}}";
    let sent = exact(provider, "{name: m, provider: p, model: gpt-5}", decoding);
    let expected = format!(
        r#"{{"model":"gpt-5","input":{MESSAGES},"max_output_tokens":64,"reasoning":{{"effort":"low","summary":"auto"}},"store":false}}"#
    );
    assert_eq!(sent, expected + "\n");
}

#[test]
fn a_server_of_ones_own() {
    let provider = "{p: {kind: openai, base_url: \"http://127.0.0.1:9/v1\", response_format: {type: json_object}, \
                    extra_body: {chat_template_kwargs: {enable_thinking: false}, metadata: {by: me}, logprobs: true}, \
                    not_identity: [metadata], headers: {X-A: b}}}";
    let model = "{name: m, provider: p, extra_body: {chat_template_kwargs: {x: 1}}, sends_as: {max_output_tokens: max_completion_tokens}}";
    let sent = exact(provider, model, "{top_k: 40, min_p: 0.05, max_output_tokens: 64}");
    let expected = format!(
        r#"{{"model":"m","messages":{MESSAGES},"top_k":40,"min_p":0.05,"max_completion_tokens":64,"chat_template_kwargs":{{"enable_thinking":false,"x":1}},"logprobs":true,"response_format":{{"type":"json_object"}},"metadata":{{"by":"me"}}}}"#
    );
    assert_eq!(sent, expected + "\n");
}

#[test]
fn anthropic_messages() {
    let decoding = "{temperature: 0.70, max_output_tokens: 64, stop: END}";
    let user = r#"[{"role":"user","content":"Q: Who \"built\" it? é"}]"#;
    let model = "{name: m, provider: p, model: claude-3-haiku-20240307}";
    let sent = exact("{p: {kind: anthropic}}", model, decoding);
    let expected = format!(
        r#"{{"model":"claude-3-haiku-20240307","system":"Answer.","messages":{user},"temperature":0.7,"max_tokens":64,"stop_sequences":["END"]}}"#
    );
    assert_eq!(sent, expected + "\n");
    let opus = "{name: m, provider: p, model: claude-opus-4-7}";
    let kept = exact("{p: {kind: anthropic, prompt_caching: 1h}}", opus, "{effort: low, max_output_tokens: 64}");
    let expected = format!(
        r#"{{"model":"claude-opus-4-7","system":[{{"type":"text","text":"Answer.","cache_control":{{"type":"ephemeral","ttl":"1h"}}}}],"messages":{user},"max_tokens":64,"output_config":{{"effort":"low"}}}}"#
    );
    assert_eq!(kept, expected + "\n");
}

#[test]
fn ollama_chat() {
    let model = "{name: m, provider: p, model: \"llama3.2:3b\", num_ctx: 8192}";
    let sent = exact("{p: {kind: ollama}}", model, DECODING);
    let expected = format!(
        r#"{{"model":"llama3.2:3b","messages":{MESSAGES},"stream":false,"options":{{"temperature":0.7,"num_predict":64,"stop":["\n\n","END"],"seed":7,"num_ctx":8192}}}}"#
    );
    assert_eq!(sent, expected + "\n");
}

#[test]
fn fireworks_and_llama_cpp() {
    let decoding = "{temperature: 0.7, top_k: 50, max_output_tokens: 64}";
    let sent = exact("{p: {kind: fireworks}}", "{name: m, provider: p, model: accounts/fireworks/models/x}", decoding);
    let expected = format!(
        r#"{{"model":"accounts/fireworks/models/x","messages":{MESSAGES},"temperature":0.7,"top_k":50,"max_tokens":64}}"#
    );
    assert_eq!(sent, expected + "\n");
    let sent = exact("{p: {kind: llama_cpp}}", "{name: m, provider: p}", decoding);
    assert_eq!(
        sent,
        format!(r#"{{"model":"m","messages":{MESSAGES},"temperature":0.7,"top_k":50,"max_tokens":64}}"#) + "\n"
    );
}

/// A seed for each draw is that of the first; the body can also be read; and it is told without the config.
#[test]
fn a_seed_for_each_draw_and_no_config() {
    let project = project("{p: {kind: openai}}", "{name: m, provider: p, model: gpt-4.1}", "{seed: per_draw}");
    let shown = project.json(&["show", "mine", "--request", "m1", "control"]);
    let body: Value = serde_json::from_str(shown[0]["exact"].as_str().unwrap()).unwrap();
    assert_eq!(body, shown[0]["body"]);
    let seed = body["seed"].as_u64().unwrap();
    assert!(seed < 1 << 31, "{seed}");
    let other = project.json(&["show", "mine", "--request", "m1", "plain"])[0]["body"]["seed"].as_u64().unwrap();
    assert_ne!(seed, other);
    let sent = project.exp(&["show", "mine", "--request", "m1", "control", "--exact"]).expect_code(0).stdout;
    std::fs::remove_file(project.path("config/eval_config.yaml")).unwrap();
    assert_eq!(project.exp(&["show", "mine", "--request", "m1", "control", "--exact"]).expect_code(0).stdout, sent);
}
