use std::io::{Read as _, Write as _};

use camino::{Utf8Path, Utf8PathBuf};

use super::export_args::ImportArgs;
use super::failure::{Exit, Failure};
use super::finish::thousands;
use super::output::Output;
use super::project::Home;
use crate::run::{ForeignLog, read_foreign};

/// Reads a file as a log of another tool; `None`: it is none, so that it is for the archive's reader to say what it is.
pub fn foreign_log(path: &Utf8Path) -> Result<Option<ForeignLog>, Failure> {
    /// Begins every archive of ours: the magic number of zstd.
    const ZSTD: &[u8] = b"\x28\xb5\x2f\xfd";
    // An archive may be large: it is not read to find out that it is one.
    let mut begins = [0; 4];
    let opened = std::fs::File::open(path).and_then(|mut file| file.read_exact(&mut begins));
    if opened.is_err() || begins == *ZSTD {
        return Ok(None);
    }
    let Ok(bytes) = std::fs::read(path) else { return Ok(None) };
    let log = read_foreign(&bytes).transpose();
    log.map_err(|why| Failure::usage(format!("`{path}`: {why}")))
}

/// Writes the answers of a log as recordings for `replay`, and says what to write into the config. They never answer for the
/// provider that gave them: nobody here can know what it was asked.
pub fn import_log(args: &ImportArgs, home: &Home, log: &ForeignLog, out: &Output) -> Result<Exit, Failure> {
    let stem = args.file.file_stem().unwrap_or("log");
    let path = args.out.clone().unwrap_or_else(|| home.root.join("recordings").join(format!("{stem}.jsonl")));
    if args.trust {
        return Err(Failure::usage(
            "--trust is for archives: answers of another tool are recordings, whoever gave them",
        ));
    }
    if log.answers.is_empty() {
        return Err(Failure::usage(format!("`{}` holds no answer: {} samples have none", args.file, log.without)));
    }
    write(&path, log)?;
    let shown = home.shown(&path);
    let model = log.model.as_deref().map(|model| format!(" of `{model}`")).unwrap_or_default();
    out.line(&format!(
        "{} answers{model} from a log of {} are recordings in {shown}",
        thousands(log.answers.len() as u64),
        log.tool
    ));
    if log.without > 0 {
        out.line(&format!("{} samples have no answer", thousands(log.without)));
    }
    let (dataset, arm) = (args.dataset.as_deref().unwrap_or("DATASET"), args.arm.as_deref().unwrap_or("ARM"));
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    let has = |of: fn(&crate::run::ForeignAnswer) -> Option<u64>| log.answers.iter().all(|answer| of(answer).is_some());
    let mut fields = "key: item, text: text".to_owned();
    if has(|answer| answer.input_tokens) && has(|answer| answer.output_tokens) {
        fields.push_str(", input_tokens: input_tokens, output_tokens: output_tokens");
    }
    let line = format!(
        "recordings: {{{}: {{{}: {{path: {}, fields: {{{fields}}}}}}}}}",
        quoted(dataset),
        quoted(arm),
        quoted(shown.as_str())
    );
    out.line("to replay them, write into the config, for a provider of `kind: replay` or a model of it:");
    out.line(&format!("  {line}"));
    out.document(&serde_json::json!({
        "recordings": path.as_str(), "tool": log.tool, "model": log.model, "answers": log.answers.len(),
        "without": log.without, "config": line,
    }));
    Ok(Exit::Done)
}

fn write(path: &Utf8PathBuf, log: &ForeignLog) -> Result<(), Failure> {
    let cannot = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => {
            Failure::usage(format!("`{path}` is there already")).hint("`--out FILE` names another")
        }
        _ => Failure::usage(format!("cannot write `{path}`: {error}")),
    };
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).map_err(cannot)?;
    }
    let mut file = std::io::BufWriter::new(std::fs::File::create_new(path).map_err(cannot)?);
    for answer in &log.answers {
        let line = serde_json::to_string(answer).map_err(|error| Failure::new(Exit::Failed, error.to_string()))?;
        writeln!(file, "{line}").map_err(cannot)?;
    }
    file.flush().map_err(cannot)
}
