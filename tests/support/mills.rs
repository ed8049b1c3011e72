//! The small project that many tests build: questions about mills, answered by `lexical`, one prompt set.

use super::Project;

/// Fills a project with `items` questions in `parts` parts.
pub fn mills(project: Project, items: u32, parts: u32) -> Project {
    project.file("prompts/control.txt", "Answer.\n").file("prompts/brief.txt", "Answer briefly.\n");
    let item = |n: u32| {
        format!(
            "{{\"id\":\"{n}\",\"question\":\"Who built mill {n}?\",\"answers\":[\"Ada\"],\
             \"context\":\"Mill {n} was built by Ada. Mill {} by Bert.\"}}\n",
            n + 1
        )
    };
    project.file("data/mills.jsonl", (0..items).map(item).collect::<String>());
    project.config(&config(parts));
    project
}

/// The config of [`mills`].
pub fn config(parts: u32) -> String {
    format!(
        "\
version: 1
models: [{{name: reader, provider: lexical}}]
datasets:
  mills:
    path: data/mills.jsonl
    fields: {{id: id, question: question, answers: answers, context: context}}
control: prompts/control.txt
prompt_sets: {{brief: prompts/brief.txt}}
decoding: {{temperature: 0, max_output_tokens: 64}}
parts_per_dataset: {parts}
analysis: {{bootstrap_samples: 50, permutation_samples: 50}}
"
    )
}
