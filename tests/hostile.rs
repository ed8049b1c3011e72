//! Text that tries everything, as answers, passages, gold answers, questions, item ids, model names and prompt names: parsers of HTML and
//! of Markdown find nothing that came of it, and a terminal gets nothing that it would obey.
#![allow(clippy::unwrap_used, clippy::panic, clippy::format_push_string, clippy::collapsible_match)]

mod support;

use std::cell::RefCell;
use std::collections::BTreeMap;

use html5ever::tendril::StrTendril;
use html5ever::tokenizer::{BufferQueue, Tag, Token, TokenSink, TokenSinkResult, Tokenizer, TokenizerOpts};
use pulldown_cmark::{Event, Options, Parser, Tag as Mark};
use serde_json::json;
use support::{Project, slugs};

/// Is what no text from outside may make: elements and attributes of these names are in no page of ours.
const PLANTED: &[&str] = &["planted", "onplanted"];

/// Lists texts that each try to be more than text.
fn hostile() -> Vec<String> {
    [
        "<script planted>alert(1)</script>",
        "</script><planted onplanted=1>",
        "\"><planted a='",
        "' onplanted='x",
        "<!--<planted>--><![CDATA[<planted>]]>",
        "</textarea></style></title></details></main><planted>",
        "<svg/onload=planted><planted/>",
        "&lt;planted&gt; &#60;planted&#62;",
        "[planted](http://planted.example) ![planted](http://planted.example/x.png) <http://planted.example>",
        "# planted\n\n- planted\n\n```\nplanted\n```\n\n| a | b |\n|---|---|\n| *planted* | **planted** |",
        "\u{1b}[31mplanted\u{1b}[0m\u{7}\u{8}\r\n\u{9b}31m\u{1b}]0;planted\u{7}",
        "=cmd|' /C planted'!A0",
        "\u{202e}planted\u{2066}\u{200f}\u{feff}\0\u{1}",
        "`` `planted` `` |planted| \\| \\`",
    ]
    .map(str::to_owned)
    .to_vec()
}

/// Collects the elements and attributes of a page, as a browser's tokenizer finds them.
#[derive(Default)]
struct Found {
    tags: RefCell<BTreeMap<String, usize>>,
    attributes: RefCell<BTreeMap<String, usize>>,
    comments: RefCell<usize>,
}

impl TokenSink for Found {
    type Handle = ();

    fn process_token(&self, token: Token, _line: u64) -> TokenSinkResult<()> {
        use html5ever::tokenizer::states::RawKind;
        match token {
            Token::TagToken(Tag { name, attrs, kind, .. }) => {
                if kind == html5ever::tokenizer::TagKind::StartTag {
                    *self.tags.borrow_mut().entry(name.to_string()).or_default() += 1;
                    for attribute in &attrs {
                        *self.attributes.borrow_mut().entry(attribute.name.local.to_string()).or_default() += 1;
                    }
                    // As a tree builder does, so that style and script are read as a browser reads them.
                    match &*name {
                        "script" => return TokenSinkResult::RawData(RawKind::ScriptData),
                        "style" => return TokenSinkResult::RawData(RawKind::Rawtext),
                        "title" => return TokenSinkResult::RawData(RawKind::Rcdata),
                        _ => {}
                    }
                }
            }
            Token::CommentToken(_) => *self.comments.borrow_mut() += 1,
            _ => {}
        }
        TokenSinkResult::Continue
    }
}

fn parsed(html: &str) -> Found {
    let tokenizer = Tokenizer::new(Found::default(), TokenizerOpts::default());
    let input = BufferQueue::default();
    input.push_back(StrTendril::from_slice(html));
    let _ = tokenizer.feed(&input);
    tokenizer.end();
    tokenizer.sink
}

fn project() -> Project {
    let project = Project::new();
    let texts = hostile();
    let mut rows = String::new();
    let (mut control, mut treatment) = (String::new(), String::new());
    for (at, text) in texts.iter().enumerate() {
        let id = format!("{at} {text}");
        rows += &format!("{}\n", json!({"id": id, "question": text, "answers": [text], "context": text, "kind": text}));
        control += &format!("{}\n", json!({"id": id, "text": format!("no {text}")}));
        treatment += &format!("{}\n", json!({"id": id, "text": text}));
    }
    let long = format!("<planted>{}", "y<planted>".repeat(100_000));
    rows += &format!("{}\n", json!({"id": "long", "question": "long", "answers": ["x"], "context": long, "kind": "x"}));
    control += &format!("{}\n", json!({"id": "long", "text": long}));
    treatment += &format!("{}\n", json!({"id": "long", "text": "x"}));
    project.file("data/d.jsonl", rows).file("data/c.jsonl", control).file("data/t.jsonl", treatment);
    project.file("prompts/c.txt", "<planted>").file("prompts/t.txt", "<planted onplanted=1>");
    let fields = json!({"key": "id", "text": "text"});
    project.config(
        &json!({
            "version": 1,
            "providers": {"replay": {"kind": "replay"}},
            "models": [{"name": texts[0], "provider": "replay", "recordings": {"d": {
                "control": {"path": "data/c.jsonl", "fields": fields}, "treatment": {"path": "data/t.jsonl", "fields": fields},
            }}}],
            "datasets": {"d": {"path": "data/d.jsonl", "fields": {"id": "id", "question": "question", "answers": "answers", "context": "context"},
                "scorers": ["exact"]}},
            "control": "prompts/c.txt",
            "prompt_sets": {texts[7].clone(): "prompts/t.txt"},
            "analysis": {"subgroups": ["kind"], "bootstrap_samples": 200},
        })
        .to_string(),
    );
    project
}

#[test]
fn no_parser_finds_a_node_that_came_of_a_text() {
    let project = project();
    let built = project.build();
    assert_eq!(built["state"], "complete", "{built:#}");

    let html = project.run_file(&built, "report.html");
    let found = parsed(&html);
    let (tags, attributes) = (found.tags.borrow(), found.attributes.borrow());
    for name in PLANTED {
        assert!(!tags.contains_key(*name) && !attributes.contains_key(*name), "{name}");
    }
    assert_eq!(*found.comments.borrow(), 0);
    assert_eq!((tags["script"], tags["style"], tags["title"]), (1, 1, 1));
    assert!(!attributes.contains_key("src") && !attributes.contains_key("onload"));
    assert!(tags["details"] > hostile().len(), "the items are shown: {tags:?}");
    // All of it is there to be read.
    for text in [
        "&lt;script planted&gt;alert(1)&lt;/script&gt;",
        "␛[31mplanted",
        "[U+202E]planted[U+2066]",
        "=cmd|&#39; /C planted",
    ] {
        assert!(html.contains(text), "{text}");
    }
    let controls = html.chars().filter(|c| c.is_control() && !matches!(c, '\n' | '\t')).count();
    assert_eq!(controls, 0);

    for name in std::iter::once("aggregate_report.md".to_owned()).chain(
        slugs(&built)
            .iter()
            .flat_map(|slug| ["report.md", "provenance.md"].map(|name| format!("{slug}/reports/{name}"))),
    ) {
        let text = project.run_file(&built, &name);
        for event in Parser::new_ext(&text, Options::all()) {
            match event {
                Event::Html(html) | Event::InlineHtml(html) => panic!("{name}: HTML {html}"),
                Event::Start(Mark::Link { dest_url, .. } | Mark::Image { dest_url, .. }) => {
                    assert!(dest_url.ends_with("provenance.md"), "{name}: a link to {dest_url}");
                }
                Event::Text(text) => {
                    assert!(!text.contains("planted.example") || !text.contains("]("), "{name}: {text}");
                }
                _ => {}
            }
        }
    }
}

/// A run without a score has no effects and no bars; a page without items no section of them.
#[test]
fn every_link_of_a_page_leads_to_a_section_that_it_has() {
    let project = Project::new();
    project.file("data/q.jsonl", "{\"id\": \"a\", \"question\": \"Who?\", \"answers\": [\"Ann\"]}\n");
    for (arm, text) in [("c", "Ann"), ("t", "Bob"), ("none", "")] {
        project.file(&format!("data/{arm}.jsonl"), format!("{{\"id\": \"a\", \"text\": \"{text}\"}}\n"));
    }
    let config = |arm: &str| {
        let of = |file: &str| format!("{{path: data/{file}.jsonl, fields: {{key: id, text: text}}}}");
        format!(
            "version: 1\nproviders: {{recorded: {{kind: replay}}}}\nmodels:\n  - name: m\n    provider: recorded\n    \
             recordings: {{d: {{control: {}, brief: {}}}}}\ndatasets: {{d: {{path: data/q.jsonl, fields: {{id: id, question: \
             question, answers: answers}}}}}}\ncontrol: null\nprompt_sets: {{brief: {{treatment: {{system: null, draw_salt: b}}}}}}\n\
             outcomes: {{empty: missing}}\n",
            of("c"),
            of(arm)
        )
    };
    for (arm, args, has_effects, has_items) in
        [("t", vec![], true, true), ("none", vec![], false, true), ("t", vec!["--without-items"], true, false)]
    {
        project.config(&config(arm));
        let built = project.build();
        let run = built["run_id"].as_str().unwrap();
        project.exp(&[&["report", run], args.as_slice()].concat()).expect_code(0);
        let html = project.run_file(&built, "report.html");
        let linked: Vec<&str> =
            html.split("href=\"#").skip(1).map(|rest| rest.split('"').next().unwrap_or_default()).collect();
        assert!(linked.contains(&"verdict") && linked.len() >= 4, "{linked:?}");
        for id in &linked {
            assert!(html.contains(&format!("<section id=\"{id}\">")), "{arm} {args:?}: nothing is called {id}");
        }
        assert_eq!(
            (linked.contains(&"effects"), linked.contains(&"items")),
            (has_effects, has_items),
            "{arm} {args:?}: {linked:?}"
        );
        let read = html.split("<script>").next().unwrap();
        assert!(!read.contains("()"), "brackets around nothing");
    }
}

#[test]
fn a_terminal_gets_nothing_that_it_would_obey() {
    let project = project();
    let built = project.exp(&["build"]).expect_code(0);
    let shown = project.exp(&["show", "--items", "-v"]).expect_code(0);
    assert!(shown.stdout.contains("planted") && shown.stdout.contains("gold:"), "{}", shown.stdout);
    let compared = project.exp(&["compare", "latest", "latest"]).expect_code(0);
    let methods = project.exp(&["report", "--methods"]).expect_code(0);
    for output in [built, shown, compared, methods, project.exp(&["show"]), project.exp(&["status"])] {
        for text in [&output.stdout, &output.stderr] {
            let obeyed: Vec<char> = text
                .chars()
                .filter(|c| {
                    (c.is_control() && *c != '\n')
                        || ('\u{202a}'..='\u{202e}').contains(c)
                        || ('\u{2066}'..='\u{2069}').contains(c)
                })
                .collect();
            assert_eq!(obeyed, []);
        }
    }
}
