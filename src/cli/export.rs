use std::io::Write as _;

use camino::{Utf8Path, Utf8PathBuf};

use super::args::Global;
use super::export_args::{ExportArgs, ExportFormat};
use super::export_run::export_run;
use super::failure::{Exit, Failure};
use super::output::Output;
use super::project::Home;
use crate::plan::path_segment;
use crate::report::export::{
    ExportFile, SheetOptions, csv_table, inspect_logs, json_lines, junit_suites, label_sheets, latex_table,
    lm_eval_files, parquet_table, zip_file,
};
use crate::report::junit_xml;
use crate::run::{Catalog, Manifest};
use crate::store::{Access, Store};

/// Writes a run as other tools read it.
pub fn export(global: &Global, args: &ExportArgs, out: &Output) -> Result<Exit, Failure> {
    let home = Home::find(global)?;
    let store = home.open_store(Access::ReadOnly, out)?;
    let catalog = Catalog::read(&store)?;
    let entry = catalog.find(&args.run)?;
    let manifest = Catalog::manifest(&store, &entry.record)?;
    super::predecessor::refuse(&manifest, "has no items that could be exported")?;
    if args.spreadsheet_safe && args.format != ExportFormat::Csv {
        return Err(Failure::usage("--spreadsheet-safe is about `--format csv`"));
    }
    if (args.sample.is_some() || args.blind) && args.format != ExportFormat::Labels {
        return Err(Failure::usage("--sample and --blind are about `--format labels`"));
    }
    let id = &manifest.run_id;
    let run = || export_run(&store, &manifest);
    match args.format {
        ExportFormat::Csv => {
            let table = csv_table(&run()?, args.spreadsheet_safe)?;
            one(args, format!("{id}.csv"), &table, out)
        }
        ExportFormat::Jsonl => one(args, format!("{id}.jsonl"), &json_lines(&run()?), out),
        ExportFormat::Parquet => one(args, format!("{id}.parquet"), &parquet_table(&run()?)?, out),
        ExportFormat::Junit => one(args, format!("{id}.xml"), junit_xml(id, &junit_suites(&run()?)).as_bytes(), out),
        ExportFormat::Latex => one(args, format!("{id}.tex"), latex_table(&run()?).as_bytes(), out),
        ExportFormat::LmEval => many(args, format!("{id}-lm-eval"), &lm_eval_files(&run()?), out),
        ExportFormat::Inspect => {
            let logs = inspect_logs(&run()?)?;
            many(args, format!("{id}-inspect"), &logs, out)
        }
        ExportFormat::Labels => {
            let sample = args.sample.map(|sample| usize::try_from(sample).unwrap_or(usize::MAX));
            let mut sheets = label_sheets(&run()?, SheetOptions { sample, is_blind: args.blind })?;
            match sheets.pop() {
                Some((_, sheet)) if sheets.is_empty() => one(args, format!("{id}-labels.csv"), &sheet, out),
                Some(last) => {
                    sheets.push(last);
                    let named = sheets.into_iter().map(|(name, sheet)| (format!("{}.csv", path_segment(&name)), sheet));
                    many(args, format!("{id}-labels"), &named.collect::<Vec<_>>(), out)
                }
                None => Err(Failure::usage(format!("run `{id}` has no answer to rate"))),
            }
        }
        ExportFormat::Dir => many(args, format!("{id}-files"), &plain_files(&store, &manifest, &entry.record)?, out),
        ExportFormat::Zip => {
            let files = plain_files(&store, &manifest, &entry.record)?;
            let zip = zip_file(&files)?;
            one(args, format!("{id}.zip"), &zip, out)
        }
    }
}

/// Reads every file that the run shows, and its manifest.
fn plain_files(store: &Store, manifest: &Manifest, record: &crate::run::RunRecord) -> Result<Vec<ExportFile>, Failure> {
    let mut files = Vec::new();
    if let Some(blob) = &record.manifest {
        files.push(("multi_trial_manifest.json".to_owned(), store.read(blob)?));
    }
    for view in &manifest.views {
        files.push((view.path(), store.read(&view.blob)?));
    }
    Ok(files)
}

/// Writes one file; `-` is standard output. What is there already is not replaced.
fn one(args: &ExportArgs, default: String, bytes: &[u8], out: &Output) -> Result<Exit, Failure> {
    let path = args.out.clone().unwrap_or_else(|| default.into());
    if path == "-" {
        if matches!(args.format, ExportFormat::Zip | ExportFormat::Parquet) {
            return Err(Failure::usage("--out -: these bytes are not text, and go into a file"));
        }
        Output::exact(&String::from_utf8_lossy(bytes));
        return Ok(Exit::Done);
    }
    write(&path, bytes)?;
    out.line(&format!("{path}: {} bytes", bytes.len()));
    out.document(&serde_json::json!({"files": [{"path": path.as_str(), "bytes": bytes.len()}]}));
    Ok(Exit::Done)
}

/// Writes files into a directory that is empty or not there.
fn many(args: &ExportArgs, default: String, files: &[ExportFile], out: &Output) -> Result<Exit, Failure> {
    let dir = args.out.clone().unwrap_or_else(|| default.into());
    std::fs::create_dir_all(&dir).map_err(cannot_write(&dir))?;
    if std::fs::read_dir(&dir).map_err(cannot_write(&dir))?.next().is_some() {
        return Err(Failure::usage(format!("there is something in `{dir}` already"))
            .hint("`--out DIR` names another directory"));
    }
    let mut written = Vec::new();
    for (name, bytes) in files {
        let path: Utf8PathBuf = dir.join(name);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(cannot_write(parent))?;
        }
        write(&path, bytes)?;
        written.push(serde_json::json!({"path": path.as_str(), "bytes": bytes.len()}));
    }
    out.line(&format!("{} files in {dir}", files.len()));
    out.document(&serde_json::json!({"files": written}));
    Ok(Exit::Done)
}

/// Writes a file that is not there yet, whole or not at all.
fn write(path: &Utf8Path, bytes: &[u8]) -> Result<(), Failure> {
    let mut file = std::fs::File::create_new(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => {
            Failure::usage(format!("`{path}` is there already")).hint("`--out PATH` names another")
        }
        _ => cannot_write(path)(error),
    })?;
    file.write_all(bytes).map_err(|error| {
        // The beginning of a file would be taken for one, and stand in the way of the next export.
        let _ = std::fs::remove_file(path);
        cannot_write(path)(error)
    })
}

fn cannot_write(path: &Utf8Path) -> impl Fn(std::io::Error) -> Failure {
    move |error| Failure::new(Exit::Environment, format!("cannot write `{path}`: {error}"))
}
