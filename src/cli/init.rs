use std::fmt::Write as _;

use camino::{Utf8Path, Utf8PathBuf};

use super::args::InitArgs;
use super::failure::{Exit, Failure};
use super::guess::{Guess, guess};
use super::output::Output;
use crate::config::write_yaml_string;

/// The bundled example, as it stands in the repository.
const EXAMPLE: [(&str, &str); 12] = [
    ("config/eval_config.yaml", include_str!("../../config/eval_config.yaml")),
    ("config/README.md", include_str!("../../config/README.md")),
    ("config/data/open_book.jsonl", include_str!("../../config/data/open_book.jsonl")),
    ("config/data/closed_book.jsonl", include_str!("../../config/data/closed_book.jsonl")),
    ("config/data/corpus.jsonl", include_str!("../../config/data/corpus.jsonl")),
    ("config/data/shots.jsonl", include_str!("../../config/data/shots.jsonl")),
    ("config/prompts/control_system.txt", include_str!("../../config/prompts/control_system.txt")),
    ("config/prompts/operational_only_system.md", include_str!("../../config/prompts/operational_only_system.md")),
    ("config/prompts/length_matched_system.md", include_str!("../../config/prompts/length_matched_system.md")),
    ("config/prompts/cautious_system.md", include_str!("../../config/prompts/cautious_system.md")),
    ("config/task_instructions/open_book.txt", include_str!("../../config/task_instructions/open_book.txt")),
    ("config/task_instructions/closed_book.txt", include_str!("../../config/task_instructions/closed_book.txt")),
];

const IGNORE: &str = "/store/\n/experiments/\n";

/// Makes a project that builds at once: the bundled example, or one around a data file, whose fields are guessed.
pub fn init(args: &InitArgs, out: &Output) -> Result<Exit, Failure> {
    let dir = args.dir.clone().unwrap_or_else(|| Utf8PathBuf::from("."));
    let mut files: Vec<(String, Vec<u8>)> = Vec::new();
    let mut guessed = None;
    if let Some(path) = &args.from {
        let bytes =
            std::fs::read(path).map_err(|error| Failure::usage(format!("--from: cannot read `{path}`: {error}")))?;
        let found = guess(path, &bytes, &stated(&args.fields)?)?;
        let name = path.file_name().unwrap_or("data");
        files.push((format!("config/data/{name}"), bytes));
        let (provider, model) = model_of(args)?;
        files.push(("config/eval_config.yaml".into(), config_for(&found, name, &provider, &model).into_bytes()));
        for (name, text) in starter_prompts() {
            files.push((name.to_owned(), text.as_bytes().to_vec()));
        }
        guessed = Some(found);
    } else {
        if args.model.is_some() {
            return Err(Failure::usage("--model goes with --from: the example has a model of its own"));
        }
        if !args.fields.is_empty() {
            return Err(Failure::usage("--fields goes with --from: the example has data of its own"));
        }
        files.extend(EXAMPLE.iter().map(|(name, text)| ((*name).to_owned(), text.as_bytes().to_vec())));
    }
    files.push((".gitignore".into(), IGNORE.as_bytes().to_vec()));
    write_all(&dir, &files)?;

    let shown = |name: &str| if dir == "." { name.to_owned() } else { format!("{dir}/{name}") };
    for (name, _) in &files {
        out.line(&format!("wrote {}", shown(name)));
    }
    if let Some(guess) = &guessed {
        out.line("");
        out.line(&guess.table());
        out.line(&format!("not what you meant? correct `fields:` in {}", shown("config/eval_config.yaml")));
    }
    let step = if dir == "." { "exp build".to_owned() } else { format!("cd {dir} && exp build") };
    out.line(&format!("next: {step}"));
    out.document(&serde_json::json!({
        "dir": dir.as_str(),
        "files": files.iter().map(|(name, _)| name).collect::<Vec<_>>(),
        "fields": guessed.as_ref().map(Guess::fields),
        "split": guessed.as_ref().and_then(|guess| guess.split.clone()),
        "repeats_ids": guessed.as_ref().map(|guess| guess.repeats_ids),
    }));
    Ok(Exit::Done)
}

/// Reads `question=q`.
fn stated(fields: &[String]) -> Result<Vec<(String, String)>, Failure> {
    let pair = |text: &String| match text.split_once('=') {
        Some((part, field)) if !part.is_empty() && !field.is_empty() => Ok((part.to_owned(), field.to_owned())),
        _ => Err(Failure::usage(format!("--fields: `{text}` is not PART=FIELD, such as question=prompt"))),
    };
    fields.iter().map(pair).collect()
}

fn model_of(args: &InitArgs) -> Result<(String, String), Failure> {
    let Some(text) = &args.model else { return Ok(("lexical".into(), "lexical-baseline".into())) };
    match text.split_once('/') {
        Some((provider, model)) if !provider.is_empty() && !model.is_empty() => Ok((provider.into(), model.into())),
        _ => Err(Failure::usage("--model: write PROVIDER/MODEL, such as lexical/lexical-baseline")),
    }
}

/// Writes every file, or none where one is there already.
fn write_all(dir: &Utf8Path, files: &[(String, Vec<u8>)]) -> Result<(), Failure> {
    let there: Vec<&str> = files
        .iter()
        .filter(|(name, _)| name != ".gitignore" && dir.join(name).symlink_metadata().is_ok())
        .map(|(name, _)| name.as_str())
        .collect();
    if !there.is_empty() {
        return Err(Failure::usage(format!("already there, and left alone: {}", there.join(", ")))
            .hint("choose another directory: `exp init DIR`"));
    }
    for (name, bytes) in files {
        let path = dir.join(name);
        if path.symlink_metadata().is_ok() {
            continue;
        }
        let fail = |error: std::io::Error| Failure::new(Exit::Environment, format!("cannot write `{path}`: {error}"));
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(fail)?;
        }
        std::fs::write(&path, bytes).map_err(fail)?;
    }
    Ok(())
}

fn starter_prompts() -> [(&'static str, &'static str); 2] {
    [
        ("config/prompts/control_system.txt", "Answer the question. Keep the answer short.\n"),
        (
            "config/prompts/treatment_system.txt",
            "Answer the question in as few words as possible. If you cannot know the answer, say \"I don't know.\" and nothing else.\n",
        ),
    ]
}

fn config_for(guess: &Guess, file: &str, provider: &str, model: &str) -> String {
    let mut yaml = String::from(
        "# One experiment: a control and a treatment, asked the same questions. `exp schema` describes every key.\nversion: 1\n",
    );
    let quote = |text: &str| write_yaml_string(text);
    let _ = write!(
        yaml,
        "models:\n  - {{name: {}, provider: {}, model: {}}}\n",
        quote(model.rsplit('/').next().unwrap_or(model)),
        quote(provider),
        quote(model)
    );
    let name = file.split('.').next().unwrap_or("data");
    let _ = write!(
        yaml,
        "datasets:\n  {}:\n    path: {}\n    format: {}\n    fields:\n",
        quote(name),
        quote(&format!("config/data/{file}")),
        guess.format
    );
    for (part, field) in guess.fields() {
        let _ = writeln!(yaml, "      {part}: {}", quote(&field));
    }
    if let Some(split) = &guess.split {
        let _ = writeln!(yaml, "    split: {}", quote(split));
    }
    if guess.repeats_ids {
        yaml.push_str("    duplicate_ids: number      # some ids occur more than once\n");
    }
    yaml.push_str("    scorers: [qa]              # or exact, includes, numeric, squad, regex\n");
    yaml.push_str(
        "control: config/prompts/control_system.txt\nprompt_sets:\n  treatment: config/prompts/treatment_system.txt\n",
    );
    yaml
}
