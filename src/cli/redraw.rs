use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;

use camino::{Utf8Path, Utf8PathBuf};

use super::args::Global;
use super::asked_part::{AskedPart, asked_parts};
use super::build_args::{BuildArgs, ConditionArg};
use super::failure::{Exit, Failure};
use super::finish::thousands;
use super::output::Output;
use super::plan_inputs::PlanInputs;
use super::project::Project;
use crate::config::{Generation, with_reuse, write_yaml_string};
use crate::request::{AnswerStatus, Redraw, Redraws};
use crate::run::{Catalog, Manifest, RunRecord, RunState};
use crate::step::{DrawStatus, ParsedDraw, RequestsReader};
use crate::store::{Access, Store};

/// Is the name of the file of redraws, beside the config.
const FILE: &str = "redraws.jsonl";

/// Takes the generation after the config's for `--fresh`, in memory only; says what keeps it.
///
/// With `--condition` only that side's changes. To ask again with the same flags is to go on: the generation is the same.
pub fn fresh(project: &mut Project, args: &BuildArgs) -> Result<String, Failure> {
    let generation = &mut project.config.generation;
    let mut next = |side: fn(&mut Generation) -> &mut u32| -> Result<(), Failure> {
        let number = side(generation);
        *number = number.checked_add(1).ok_or_else(|| Failure::usage("there is no generation after this one"))?;
        Ok(())
    };
    if args.select.condition != ConditionArg::Treatment {
        next(|generation| &mut generation.control)?;
    }
    if args.select.condition != ConditionArg::Control {
        next(|generation| &mut generation.treatment)?;
    }
    Ok(format!("reuse: {{generation: {generation}}}"))
}

/// Opens a new generation for both arms of the items whose draws ended in one of the statuses of `--redraw-status` in the
/// last run: it is written into the file of redraws, and that file is named in the config. Returns the project as it is then.
pub fn redraw(global: &Global, project: Project, args: &BuildArgs, out: &Output) -> Result<Project, Failure> {
    let wanted = statuses(&args.redraw_status)?;
    if args.select.condition != ConditionArg::Both {
        return Err(Failure::usage("--redraw-status asks again under both arms: it goes without --condition").hint(
            "an arm that was asked again because of its answers is compared fairly only with one that was as well",
        ));
    }
    PlanInputs::check(&project, &args.select)?;
    let store = project.home.open_store(Access::ReadOnly, out)?;
    let inputs = PlanInputs::read(&project, &store, &args.select)?;
    // Of a model under one decoding every arm is redrawn: trials share their controls.
    let selected: BTreeSet<String> =
        inputs.trials.iter().map(|trial| format!("{}/{}/", trial.model.name, trial.decoding_label)).collect();
    let (record, manifest) = last_run(&store)?;
    let mut parts = asked_parts(&store, &manifest)?;
    parts.retain(|part| selected.iter().any(|start| format!("{}/", part.scope).starts_with(start.as_str())));
    let found = found(&store, &parts, &wanted)?;
    let items = found.len();
    let path = project.config.redraws.as_ref().map_or_else(|| beside(&project, FILE), |file| file.path.clone());
    let mut redraws = read(&path)?;
    let mut new = Vec::new();
    for line in lines(&store, &parts, &found)? {
        if redraws.add(line.clone()) {
            new.push(line);
        }
    }
    let names: Vec<String> = wanted.iter().map(ToString::to_string).collect();
    let said = format!("{} items of run {} ended as {}", thousands(items as u64), record.run_id, names.join(" or "));
    if new.is_empty() {
        let why = if items == 0 { "nothing is redrawn" } else { "they are redrawn already" };
        out.note(&format!("{said}: {why}"));
        return Ok(project);
    }
    if args.dry_run {
        out.note(&format!(
            "{said}: {} requests would be asked again; nothing was written",
            thousands(new.len() as u64)
        ));
        return Ok(project);
    }
    let edited = if project.config.redraws.is_some() { None } else { Some(named(&project, &path)?) };
    append(&path, &new)?;
    if let Some(text) = edited {
        replace(&project.config_path(), text.as_bytes())?;
    }
    let shown = project.home.shown(&path);
    let requests = thousands(new.len() as u64);
    out.note(&format!("{said}: {requests} requests are asked again, under every arm; `{shown}` says which"));
    drop(inputs);
    Project::load(global, out)
}

/// Reads the flag: statuses of completed answers.
fn statuses(names: &[String]) -> Result<BTreeSet<DrawStatus>, Failure> {
    let mut wanted = BTreeSet::new();
    for name in names.iter().flat_map(|text| text.split(',')).map(str::trim).filter(|name| !name.is_empty()) {
        let status = serde_json::from_value(serde_json::Value::String(name.to_owned())).ok();
        let known = "`length`, `content_filter`, `refusal`, `empty`, `no_answer`";
        match status {
            Some(DrawStatus::Failed(_)) => {
                return Err(Failure::usage(format!("`{name}` is no answer: every build asks for it again"))
                    .hint(format!("--redraw-status takes {known}")));
            }
            Some(DrawStatus::Answered(AnswerStatus::Stop)) => {
                return Err(Failure::usage("`stop` is how nearly every answer ends")
                    .hint("`exp build --fresh` asks for all of them again"));
            }
            Some(status) => drop(wanted.insert(status)),
            None => return Err(Failure::usage(format!("--redraw-status: `{name}` is none of {known}"))),
        }
    }
    Ok(wanted)
}

/// Finds the newest run that came to an end and read its answers.
fn last_run(store: &Store) -> Result<(RunRecord, Manifest), Failure> {
    let catalog = Catalog::read(store)?;
    let ended = |state| matches!(state, RunState::Complete | RunState::Partial | RunState::Failed);
    for entry in catalog.made_here().rev() {
        if ended(entry.record.state) && entry.record.manifest.is_some() {
            let manifest = Catalog::manifest(store, &entry.record)?;
            if manifest.actions.iter().any(|a| a.label.starts_with("parse/") && !a.outputs.is_empty()) {
                return Ok((entry.record.clone(), manifest));
            }
        }
    }
    Err(Failure::usage("no run has ended yet: no answer has a status").hint("`exp build` first"))
}

/// Is an item of a model under one decoding, with the statuses for which it is redrawn.
type Found = BTreeMap<(String, String), BTreeSet<DrawStatus>>;

fn found(store: &Store, parts: &[AskedPart], wanted: &BTreeSet<DrawStatus>) -> Result<Found, Failure> {
    let mut found = Found::new();
    for part in parts {
        let Some(parsed) = part.parse.as_ref().and_then(|parse| parse.outputs.get("parsed")) else { continue };
        for line in store.read(parsed)?.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let draw: ParsedDraw<'_> = serde_json::from_slice(line)
                .map_err(|error| Failure::new(Exit::Damage, format!("a `parsed` blob of {}: {error}", part.scope)))?;
            if wanted.contains(&draw.status) {
                let item = (part.scope.clone(), draw.item.as_str().to_owned());
                found.entry(item).or_default().insert(draw.status);
            }
        }
    }
    Ok(found)
}

/// Makes the lines of every request of the items: one redraw more than the run had.
fn lines(store: &Store, parts: &[AskedPart], found: &Found) -> Result<Vec<Redraw>, Failure> {
    let mut lines = Vec::new();
    for part in parts {
        for line in RequestsReader::new(store.open_blob(&part.requests)?)? {
            let line = line?;
            let Some(statuses) = found.get(&(part.scope.clone(), line.item.clone())) else { continue };
            lines.push(Redraw {
                request: line.key,
                times: part.redraws.times(&line.key).saturating_add(1),
                status: statuses.iter().map(ToString::to_string).collect(),
                scope: part.scope.clone(),
                arm: part.arm.clone(),
                item: line.item,
            });
        }
    }
    Ok(lines)
}

/// Returns the path of a file beside the config.
fn beside(project: &Project, name: &str) -> Utf8PathBuf {
    project.config_path().parent().map_or_else(|| name.into(), |dir| dir.join(name))
}

fn read(path: &Utf8Path) -> Result<Redraws, Failure> {
    match std::fs::read(path) {
        Ok(bytes) => Redraws::parse(&bytes).map_err(|error| Failure::usage(format!("`{path}`: {error}"))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Redraws::default()),
        Err(error) => Err(Failure::usage(format!("cannot read `{path}`: {error}"))),
    }
}

/// Returns the config's text with the file named in it.
fn named(project: &Project, path: &Utf8Path) -> Result<String, Failure> {
    let written = write_yaml_string(project.home.shown(path).as_str());
    let text = std::str::from_utf8(&project.config_bytes).ok();
    text.and_then(|text| with_reuse(text, "redraws", &written)).ok_or_else(|| {
        Failure::usage(format!("`{}` cannot be edited surely", project.config_label)).hint(format!(
            "write `redraws: {written}` under `reuse:` there, make that file (empty lines will do), and ask again"
        ))
    })
}

fn append(path: &Utf8Path, lines: &[Redraw]) -> Result<(), Failure> {
    let mut bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(Failure::usage(format!("cannot read `{path}`: {error}"))),
    };
    if !bytes.is_empty() && !bytes.ends_with(b"\n") {
        bytes.push(b'\n');
    }
    for line in lines {
        let text = serde_json::to_string(line).map_err(|error| Failure::new(Exit::Environment, error.to_string()))?;
        bytes.extend_from_slice(text.as_bytes());
        bytes.push(b'\n');
    }
    replace(path, &bytes)
}

/// Writes a file of the project in one step: there is the old one or the new one, never a part.
pub fn replace(path: &Utf8Path, bytes: &[u8]) -> Result<(), Failure> {
    // What a link leads to is written, not put in the link's place.
    let path = path.canonicalize_utf8().unwrap_or_else(|_| path.to_owned());
    let dir = path.parent().unwrap_or(Utf8Path::new("."));
    let write = || -> std::io::Result<()> {
        let mut temp = tempfile::NamedTempFile::new_in(dir)?;
        temp.write_all(bytes)?;
        match std::fs::metadata(&path) {
            Ok(old) => temp.as_file().set_permissions(old.permissions())?,
            Err(_) => temp.as_file().set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))?,
        }
        temp.as_file().sync_all()?;
        temp.persist(&path)?;
        Ok(())
    };
    write().map_err(|error| Failure::new(Exit::Environment, format!("cannot write `{path}`: {error}")))
}
