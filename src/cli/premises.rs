use super::plan_inputs::PlanInputs;
use super::program::Program;
use crate::config::Parts;
use crate::digest::{ConclusionKey, Value};
use crate::engine::StepLimits;
use crate::plan::{Selection, Side, SourceBlob, StepKind};

/// Is all that decides what a build finds done, but for the actions that are recorded.
pub struct Premises<'a> {
    /// The config, what is meant of it, and the content of its files.
    pub inputs: &'a PlanInputs<'a>,
    /// Which steps are part of the build, and which of them may run.
    pub limits: &'a StepLimits,
    /// The program: all that is in its code, every step's and scorer's revision included.
    pub program: &'a Program,
}

impl Premises<'_> {
    /// Names them together.
    ///
    /// The config enters twice: as it is written, and as it was understood, since that depends on the environment, on where the
    /// project is and on which files there are as well. How the latter is written down is the program's own affair, and the
    /// program is part of the key.
    pub fn key(&self) -> ConclusionKey {
        let PlanInputs { project, selection, trials: _, sources } = self.inputs;
        let mut files: Vec<&SourceBlob> = sources.values().collect();
        files.sort_by(|a, b| a.path.cmp(&b.path));
        let revision =
            |kind: &StepKind| Value::List(vec![Value::text(kind.as_str()), Value::Int(i64::from(kind.revision()))]);
        let kinds = |has: &dyn Fn(StepKind) -> bool| {
            let held = StepKind::ALL.into_iter().filter(|kind| has(*kind));
            Value::List(held.map(|kind| Value::text(kind.as_str())).collect())
        };
        let all = Value::map([
            ("config", Some(Value::Digest(*project.config_blob().digest()))),
            ("label", Some(Value::text(project.config_label.clone()))),
            ("understood", Some(Value::text(format!("{:?}", project.config)))),
            ("root", Some(Value::text(project.home.root.as_str()))),
            ("selection", Some(selection_value(selection))),
            ("may_run", Some(kinds(&|kind| self.limits.may_run(kind)))),
            ("wanted", Some(kinds(&|kind| self.limits.is_wanted(kind)))),
            ("files", Some(Value::List(files.into_iter().map(file_value).collect()))),
            ("revisions", Some(Value::List(StepKind::ALL.iter().map(revision).collect()))),
            ("program", Some(self.program.value())),
        ]);
        ConclusionKey::new(all.digest("exp 2026-11 conclusion"))
    }
}

fn file_value(file: &SourceBlob) -> Value {
    let SourceBlob { blob, size, label, path } = file;
    Value::List(vec![
        Value::text(path.as_str()),
        Value::text(label.as_str()),
        Value::Digest(*blob.digest()),
        Value::Int(*size as i64),
    ])
}

/// Takes the selection apart by name, so that a new flag cannot be forgotten here.
fn selection_value(selection: &Selection) -> Value {
    let Selection { trials, models, prompt_sets, temperatures, side, no_sweep, limit_items, parts } = selection;
    let texts = |list: &[String]| Value::List(list.iter().map(Value::text).collect());
    Value::map([
        ("trials", Some(texts(trials))),
        ("models", Some(texts(models))),
        ("prompt_sets", Some(texts(prompt_sets))),
        ("temperatures", Some(Value::List(temperatures.iter().map(|t| Value::Decimal(*t)).collect()))),
        ("side", side.map(Side::as_str).map(Value::text)),
        ("no_sweep", Some(Value::Bool(*no_sweep))),
        ("limit_items", limit_items.map(|n| Value::text(n.to_string()))),
        (
            "parts",
            parts.map(|parts| match parts {
                Parts::Count(n) => Value::List(vec![Value::text("count"), Value::Int(i64::from(n))]),
                Parts::Lines(n) => Value::List(vec![Value::text("lines"), Value::Int(i64::from(n))]),
            }),
        ),
    ])
}
