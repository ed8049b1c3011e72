//! Holds each step's output on a fixture against its revision: whoever changes what a step writes must raise the revision.
//!
//! To renew after a deliberate change: raise `StepKind::revision`, run the test, and copy the line it prints.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::io::Read;

use exp::digest::{BlobId, Encoder};
use exp::plan::{ParamsDoc, StepKind};
use exp::step::{self, Input, Inputs, ReadBlobs};

/// (step, revision, digest of names and bytes of all outputs on the fixture).
const TABLE: [(&str, u32, &str); 17] = [
    ("prepare", 1, "8fe9916da9525daea793229818765028fda32e216e275c4c742e32651033f1c0"),
    ("build", 1, "236bfb08da0b2b99f598b280426216008407446efc4fec56a812b81368376264"),
    ("infer", 1, "6b0df6b2b1cb1bc93da27a2be48b3668b49bb2f965111267346f2e9314ba3aa6"),
    ("parse", 1, "7a8024c48bdf69826fd9d268944bbb9e753f83eae5cc2970cfe8afa9955b8785"),
    ("labels", 1, "2e38dd13efcb2fab6f91274dab876da302ee7db5b95ae9e20579cf5d34cadf5e"),
    ("judge_build", 1, "7313f8f3e6c102b9f7835520d74b29d3730b78919e10d122b780821b15a556ca"),
    ("pairwise_build", 1, "246e367773936f7893a77dbd26e5d3f073e88c1690ccf416e7f92a45642d96e6"),
    ("judge_infer", 1, "e90bd534b14c83a2f1bba399993087de9d83290c89f599b7c5456c8f11f65d3a"),
    ("judge", 1, "ca96553e47bdf73ad1086abf7acc99025373022e0c91ea4d708c5f3191d9a49a"),
    ("external", 1, "a6cce1d5b95b6a53276755b87f49a8a4e737e453282002b940775b7c7ccdb13a"),
    ("score", 2, "14ca4c1bd4e0814781024b55f00c2de9ea2f2c24771ac03b9ba1764692d67f7e"),
    ("merge", 2, "e740366964c703a59cd0644316d6fe4a597ecb30fecf061bdae01879d550c256"),
    ("stats", 3, "86c7523947f1a05304f0dacec549013759bd4cb7117e1a6a3668634b6f9b25ba"),
    ("costs", 3, "0a9e90254633a64e9055bc33dc64d4f8a9f5630815cb074d0468331cc4e213ce"),
    ("pairwise", 1, "bade844d9a9c7cecaf2e77a7ea9e030db4520fdca320b2f8f7307d3ec74fda9d"),
    ("report", 6, "bc1894fde54e05e7907590ed181e97340be6619b30df7e400c3f85802a941a46"),
    ("aggregate", 7, "794bc8b51fa7ae6187f073b6ae863110cd4fd2486ed78e5a0c62308254e6056d"),
];

#[derive(Default)]
struct Memory(BTreeMap<BlobId, Vec<u8>>);

impl ReadBlobs for Memory {
    fn open(&self, blob: &BlobId) -> Result<Box<dyn Read + '_>, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Box::new(self.0[blob].as_slice()))
    }
}

struct Pipeline {
    blobs: Memory,
    digests: BTreeMap<&'static str, String>,
}

impl Pipeline {
    fn add(&mut self, bytes: &[u8]) -> BlobId {
        let id = BlobId::of(bytes);
        self.blobs.0.insert(id, bytes.to_vec());
        id
    }

    fn run(
        &mut self,
        kind: StepKind,
        params: &serde_json::Value,
        inputs: &[(&str, BlobId)],
    ) -> BTreeMap<String, BlobId> {
        let params = ParamsDoc::new(params).unwrap();
        let entries = inputs
            .iter()
            .map(|(name, blob)| Input { name: (*name).to_owned(), blob: *blob, label: (*name).to_owned() })
            .collect();
        let mut made: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        {
            let inputs = Inputs::new(entries, &self.blobs);
            if kind.asks() {
                let requests = inputs.open("requests").unwrap();
                let wanted = step::demand(requests, None, &params.read().unwrap()).unwrap().wanted;
                let settle = |address: &exp::request::DrawAddress| {
                    let provider = exp::provider::Lexical::new(exp::provider::LexicalSettings::default());
                    let request = &wanted.iter().find(|wanted| wanted.address == *address)?.request;
                    match exp::provider::Provider::answer(
                        &provider,
                        &mut exp::provider::Line::default(),
                        request,
                        address,
                    )
                    .outcome
                    {
                        exp::request::Outcome::Answer(answer) => Some(Ok(answer)),
                        exp::request::Outcome::Failure(code) => Some(Err(code)),
                    }
                };
                made.insert("answers".to_owned(), step::collect(&wanted, settle).unwrap().0);
            } else if kind == StepKind::External {
                let params = params.read().unwrap();
                let told = step::external::told(&params, &inputs).unwrap();
                // It scores by the length of what it is told.
                let said: Vec<String> = String::from_utf8(told.clone())
                    .unwrap()
                    .lines()
                    .map(|line| {
                        let told: serde_json::Value = serde_json::from_str(line).unwrap();
                        serde_json::json!({"item": told["item"], "n": told["n"], "score": line.len()}).to_string()
                    })
                    .collect();
                step::external::scores(&params, &inputs, (&told, said.join("\n").as_bytes()), &mut made).unwrap();
            } else {
                step::run(kind, &params, &inputs, &mut made).unwrap_or_else(|error| panic!("{kind}: {error:?}"));
            }
        }
        let mut encoder = Encoder::new("exp test revisions");
        for (name, bytes) in &made {
            encoder.text(name);
            encoder.digest(BlobId::of(bytes).digest());
        }
        if let Some(old) = self.digests.get(kind.as_str()) {
            encoder.text(old);
        }
        self.digests.insert(kind.as_str(), encoder.finish().to_hex());
        made.into_iter().map(|(name, bytes)| (name, self.add(&bytes))).collect()
    }
}

#[test]
fn output_changes_only_with_the_revision() {
    let digests = pipeline();
    let found: Vec<(&str, u32, String)> = StepKind::ALL
        .into_iter()
        .filter(|kind| *kind != StepKind::Fetch)
        .map(|kind| (kind.as_str(), kind.revision(), digests[kind.as_str()].clone()))
        .collect();
    let expected: Vec<(&str, u32, String)> =
        TABLE.iter().map(|(step, revision, digest)| (*step, *revision, (*digest).to_owned())).collect();
    let lines: Vec<String> = found.iter().map(|(s, r, d)| format!("    (\"{s}\", {r}, \"{d}\"),")).collect();
    assert_eq!(found, expected, "now:\n{}", lines.join("\n"));
}

fn pipeline() -> BTreeMap<&'static str, String> {
    let mut p = Pipeline { blobs: Memory::default(), digests: BTreeMap::new() };
    let rows = [
        r#"{"id":"a1","question":"Who built the bridge?","context":"The bridge was built by Ada Stone in 1890. It burned in 1920.","answers":["Ada Stone"],"group":"g1","is_unanswerable":false}"#,
        r#"{"id":"a2","question":"When did it burn?","context":"The bridge was built by Ada Stone in 1890. It burned in 1920.","answers":["1920","in 1920"],"group":"g1","is_unanswerable":false}"#,
        r#"{"id":"b1","question":"Who sold the mill?","context":"The mill – über alles – was sold by Otto Kant.","answers":["Otto Kant"],"group":"g2","is_unanswerable":false}"#,
        r#"{"id":"b2","question":"How deep is the well?","context":"The mill was sold by Otto Kant.","answers":[],"group":"g2","is_unanswerable":true}"#,
    ];
    let source = p.add((rows.join("\n") + "\n").as_bytes());
    let prepared = p.run(
        StepKind::Prepare,
        &serde_json::json!({
            "format": "jsonl", "duplicate_ids": "error", "parts": {"count": 2},
            "fields": {"id": "id", "question": "question", "answers": "answers", "context": "context",
                       "group": "group", "unanswerable": "is_unanswerable"},
        }),
        &[("source", source)],
    );
    let parts: Vec<String> =
        prepared.keys().filter_map(|name| name.strip_prefix("items/")).map(str::to_owned).collect();
    let instructions = p.add(b"Answer from the passage.");
    let mut priced_inputs: Vec<(String, BlobId)> = Vec::new();
    let mut merge_inputs: Vec<(String, BlobId)> = vec![("order/d".to_owned(), prepared["order"])];
    let mut compared: Vec<(String, BlobId)> = Vec::new();
    for part in &parts {
        let mut arms = BTreeMap::new();
        merge_inputs.push((format!("gold/d/{part}"), prepared[&format!("gold/{part}")]));
        merge_inputs.push((format!("items/d/{part}"), prepared[&format!("items/{part}")]));
        for (side, system) in [("control", "Answer."), ("treatment", "Answer in as few words as possible.")] {
            let system = p.add(system.as_bytes());
            let built = p.run(
                StepKind::Build,
                &serde_json::json!({
                    "provider": exp::provider::Lexical::identity_of(None, None), "model": "m",
                    "decoding": {"temperature": 0.7}, "frame": "open_book",
                }),
                &[("items", prepared[&format!("items/{part}")]), ("system", system), ("instructions", instructions)],
            );
            let asked = p.run(
                StepKind::Infer,
                &serde_json::json!({"generation": 0, "draws": 2}),
                &[("requests", built["requests"])],
            );
            let parsed = p.run(
                StepKind::Parse,
                &serde_json::json!({"extraction": {"extract": "(?s)^(.*)$", "pick": "last", "if_absent": "whole"}}),
                &[("answers", asked["answers"])],
            );
            let said = p.add(b"item,rater,verdict\na1,ann,good\na1,bob,bad\nb1,ann,bad\n");
            p.run(
                StepKind::Labels,
                &serde_json::json!({
                    "name": "people", "model": "m", "arm": side,
                    "reading": {"format": "csv", "rule": "majority", "values": {"good": 1, "bad": 0},
                                "fields": {"item": "item", "model": "model", "arm": "arm", "draw": "draw",
                                           "answer": "answer", "rater": "rater", "verdict": "verdict"}},
                }),
                &[("parsed", parsed["parsed"]), ("labels", said)],
            );
            arms.insert(side, parsed["parsed"]);
            let rubric = p.add(b"{{question}} {{gold}} {{answer}}");
            let to_judge = p.run(
                StepKind::JudgeBuild,
                &serde_json::json!({
                    "provider": exp::provider::Lexical::identity_of(None, None), "model": "j",
                    "decoding": {"temperature": 0},
                    "outcomes": {"length": "wrong", "refusal": "wrong", "content_filter": "missing",
                                 "empty": "wrong", "no_answer": "missing"},
                }),
                &[
                    ("items", prepared[&format!("items/{part}")]),
                    ("gold", prepared[&format!("gold/{part}")]),
                    ("parsed", parsed["parsed"]),
                    ("user", rubric),
                ],
            );
            let verdicts = p.run(
                StepKind::JudgeInfer,
                &serde_json::json!({"generation": 0, "draws": 1}),
                &[("requests", to_judge["requests"])],
            );
            priced_inputs.push((format!("judge_requests/{side}/judge/d/{part}"), to_judge["requests"]));
            priced_inputs.push((format!("judge_answers/{side}/judge/d/{part}"), verdicts["answers"]));
            p.run(
                StepKind::Judge,
                &serde_json::json!({"name": "judge", "reading": {"rule": "majority", "values": {"ada stone": 1}}}),
                &[("parsed", parsed["parsed"]), ("answers", verdicts["answers"])],
            );
            p.run(
                StepKind::External,
                &serde_json::json!({"name": "length", "outcomes": {"length": "wrong", "refusal": "wrong",
                                    "content_filter": "missing", "empty": "wrong", "no_answer": "missing"}}),
                &[
                    ("items", prepared[&format!("items/{part}")]),
                    ("gold", prepared[&format!("gold/{part}")]),
                    ("parsed", parsed["parsed"]),
                ],
            );
            let scorer = serde_json::json!({"name": "qa", "settings": {"qa": {
                "support": "overlap", "threshold": 0.5, "min_token_overlap": 0.6}}});
            let scored = p.run(
                StepKind::Score,
                &serde_json::json!({
                    "scorers": [{"scorer": scorer, "revision": 1}], "open": true, "support_shares": true,
                    "outcomes": {"length": "wrong", "refusal": "wrong", "content_filter": "missing",
                                 "empty": "wrong", "no_answer": "missing"},
                }),
                &[("parsed", parsed["parsed"]), ("gold", prepared[&format!("gold/{part}")])],
            );
            merge_inputs.push((format!("parsed/{side}/d/{part}"), parsed["parsed"]));
            merge_inputs.push((format!("scores/{side}/d/{part}"), scored["scores"]));
        }
        let template = p.add(b"{{question}} {{gold}} {{answer_a}} {{text_b}}");
        // The baseline says the same under both arms: some pairs are made to differ.
        let differing = String::from_utf8(p.blobs.0[&arms["treatment"]].clone())
            .unwrap()
            .replace(r#""answer":"1"#, r#""answer":"in 1"#);
        let differing = p.add(differing.replace(r#""answer":"A"#, r#""answer":"Ms A"#).as_bytes());
        let paired = p.run(
            StepKind::PairwiseBuild,
            &serde_json::json!({
                "provider": exp::provider::Lexical::identity_of(None, None), "model": "j",
                "decoding": {"temperature": 0},
                "outcomes": {"length": "wrong", "refusal": "wrong", "content_filter": "missing",
                             "empty": "wrong", "no_answer": "missing"},
            }),
            &[
                ("items", prepared[&format!("items/{part}")]),
                ("gold", prepared[&format!("gold/{part}")]),
                ("control", arms["control"]),
                ("treatment", differing),
                ("user", template),
            ],
        );
        let verdicts = ["a1", "a2", "b1", "b2"].map(|item| {
            let says = |order: &str, text: &str| {
                format!("{{\"item\":\"0.{order}/{item}\",\"n\":0,\"answer\":{{\"status\":\"stop\",\"text\":\"{text}\",\"usage\":{{}}}}}}\n")
            };
            says("control_first", if item == "b1" { "a" } else { "B" }) + &says("treatment_first", if item == "a2" { "tie" } else { "A" })
        });
        compared.push((format!("gold/d/{part}"), prepared[&format!("gold/{part}")]));
        compared.push((format!("pairs/j/d/{part}"), paired["pairs"]));
        let verdicts = p.add(verdicts.concat().as_bytes());
        compared.push((format!("answers/j/d/{part}"), verdicts));
        let asked = p.run(
            StepKind::JudgeInfer,
            &serde_json::json!({"generation": 0, "draws": 1}),
            &[("requests", paired["requests"])],
        );
        priced_inputs.push((format!("pair_requests/j/d/{part}"), paired["requests"]));
        priced_inputs.push((format!("pair_answers/j/d/{part}"), asked["answers"]));
    }
    let metrics = ["em", "f1", "abstain_rate", "false_answer_rate", "unsupported_rate"];
    let datasets = serde_json::json!([{"name": "d", "open": true, "metrics": metrics}]);
    let inputs: Vec<(&str, BlobId)> = merge_inputs.iter().map(|(name, blob)| (name.as_str(), *blob)).collect();
    let merged = p.run(
        StepKind::Merge,
        &serde_json::json!({"temperature": 0.7, "draws": 2, "datasets": datasets, "conditions": ["control", "treatment"],
                            "subgroups": ["question"]}),
        &inputs,
    );
    let analysis = serde_json::json!({
        "primary": [], "alpha": 0.05, "multiplicity": "holm", "bootstrap_samples": 200, "permutation_samples": 200,
        "random_seed": 7, "cluster": true, "margins": {"d.em": 0.05}, "risk_thresholds": [0, 0.5, 1],
        "wilcoxon_zeros": "wilcox", "subgroups": ["question"], "power": 0.8, "targets": [0.02, 0.05],
    });
    let tested = p.run(
        StepKind::Stats,
        &serde_json::json!({
            "temperature": 0.7, "datasets": datasets, "analysis": analysis,
            "optional": {"unsupported_sensitivity": true, "mixed_effects": true, "power_analysis": true,
                         "cost_effectiveness": true},
        }),
        &[("paired", merged["paired"])],
    );
    let priced_model = serde_json::json!({"provider": "lexical", "model": "m", "price": {"input": 0.4, "output": 1.6}, "batch": false});
    priced_inputs.push(("paired".to_owned(), merged["paired"]));
    let inputs: Vec<(&str, BlobId)> = priced_inputs.iter().map(|(name, blob)| (name.as_str(), *blob)).collect();
    let priced = p.run(
        StepKind::Costs,
        &serde_json::json!({
            "model": priced_model, "judges": [{"name": "j", "model": priced_model, "scorers": [["d", "judge"]], "pairs": [["d", "j"]]}],
            "bootstrap_samples": 200, "random_seed": 7, "alpha": 0.05,
            "effectiveness": {"temperature": 0.7, "datasets": datasets, "cluster": true},
        }),
        &inputs,
    );
    let label = serde_json::json!({
        "slug": "m-s", "model": "m", "provider": "lexical", "prompt_set": "s", "point": "t07",
        "decoding": [["temperature", "0.7"]], "draws": 2,
    });
    let inputs: Vec<(&str, BlobId)> = compared.iter().map(|(name, blob)| (name.as_str(), *blob)).collect();
    p.run(
        StepKind::Pairwise,
        &serde_json::json!({"alpha": 0.05, "cluster": true,
                            "datasets": [{"name": "d", "judges": [{"name": "j", "model": "m", "reading": {}}]}]}),
        &inputs,
    );
    let system = p.add(b"Answer.");
    p.run(
        StepKind::Report,
        &serde_json::json!({"trial": label, "alpha": 0.05}),
        &[
            ("significance", tested["significance.json"]),
            ("costs", priced["costs.json"]),
            ("prompt/control/system", system),
            ("power_analysis", tested["power_analysis.json"]),
            ("mixed_models", tested["mixed_models.json"]),
            ("unsupported_sensitivity", tested["unsupported_sensitivity.json"]),
            ("cost_effectiveness", priced["cost_effectiveness.json"]),
        ],
    );
    p.run(
        StepKind::Aggregate,
        &serde_json::json!({"trials": [label], "alpha": 0.05, "resamples": 200, "random_seed": 7, "cluster": true}),
        &[
            ("significance/m-s", tested["significance.json"]),
            ("differences/m-s", tested["differences"]),
            ("costs/m-s", priced["costs.json"]),
            ("verdict_tokens/m-s", priced["verdict_tokens"]),
        ],
    );
    p.digests
}
