use std::collections::{HashMap, HashSet};

use super::explain_diff::{param_changes, text_change};
use super::{ActionEntry, Manifest, RunError};
use crate::digest::{ActionKey, BlobId};
use crate::plan::ActionSpec;
use crate::store::Store;

/// Says why one action ran or was a hit.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Explanation {
    /// The action.
    pub label: String,
    /// `hit`, `ran`, `failed` or `not_run`.
    pub verdict: String,
    /// The reason that the manifest gives.
    pub reason: Option<String>,
    /// The label, in the earlier run, of the action it is compared with.
    pub compared_with: Option<String>,
    /// What differs, down to files and parameters.
    pub causes: Vec<Cause>,
}

/// Is one difference between what decided an action then and now.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Cause {
    /// The actions from the one that was asked about to the one that differs.
    pub via: Vec<String>,
    /// What differs there.
    pub change: Change,
}

/// Says what differs.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Change {
    /// No earlier run has an action of this step to compare with.
    New,
    /// A record is gone or damaged, so that there is nothing to compare.
    RecordGone {
        /// Of which action.
        key: ActionKey,
    },
    /// The step's code has another revision.
    Revision {
        /// Then.
        old: u32,
        /// Now.
        new: u32,
    },
    /// A parameter differs.
    Parameter {
        /// Where, as `decoding.temperature` or `scorers[0].revision`.
        path: String,
        /// Then; absent where it was not set.
        old: Option<serde_json::Value>,
        /// Now; absent where it is not set.
        new: Option<serde_json::Value>,
    },
    /// A file of the project differs.
    File {
        /// The input's name.
        input: String,
        /// The path now; absent where the file is no longer read.
        path: Option<String>,
        /// The path then, where it was another.
        old_path: Option<String>,
        /// The content then.
        old: Option<BlobId>,
        /// The content now.
        new: Option<BlobId>,
        /// The difference as a unified diff, for texts of at most 64 KiB.
        diff: Option<String>,
        /// Why there is no diff.
        note: Option<String>,
    },
    /// An input is read now that was not, or the reverse, or it comes from nowhere that is known.
    Input {
        /// The input's name.
        input: String,
        /// The content then.
        old: Option<BlobId>,
        /// The content now.
        new: Option<BlobId>,
    },
    /// The same specification gave something else: draws that had failed were answered, or the step is not deterministic.
    OtherOutput {
        /// The output's name.
        output: String,
        /// Then.
        old: BlobId,
        /// Now.
        new: BlobId,
    },
}

/// Explains each action of `newer` that `pattern` names, by comparison with `older`.
///
/// A pattern is a label, the beginning of one, a step, a trial's slug, a part (`3` or `00003`), or any other run of
/// segments of a label. An action is compared with the one of its label, failing that with the nearest of its step.
pub fn explain(
    store: &Store,
    newer: &Manifest,
    older: Option<&Manifest>,
    pattern: &str,
) -> Result<Vec<Explanation>, RunError> {
    let mut explainer =
        Explainer { store, newer: Side::new(newer), older: older.map(Side::new), specs: HashMap::new() };
    let mut explanations = Vec::new();
    for action in newer.actions.iter().filter(|action| is_named(&action.label, pattern)) {
        explanations.push(explainer.explain(action)?);
    }
    Ok(explanations)
}

/// Says whether a pattern names an action: its segments are, in one piece, among those of the label.
fn is_named(label: &str, pattern: &str) -> bool {
    let pattern: Vec<&str> = pattern.split('/').filter(|segment| !segment.is_empty()).collect();
    let label: Vec<&str> = label.split('/').collect();
    let same = |(a, b): (&&str, &&str)| a == b || (is_part(a) && b.parse() == a.parse::<u32>());
    !pattern.is_empty() && label.windows(pattern.len()).any(|window| window.iter().zip(&pattern).all(same))
}

/// Says whether a segment of a label is the number of a part.
fn is_part(segment: &str) -> bool {
    segment.len() == 5 && segment.bytes().all(|byte| byte.is_ascii_digit())
}

/// Is one run, with ways to find things in it.
struct Side<'a> {
    manifest: &'a Manifest,
    by_label: HashMap<&'a str, &'a ActionEntry>,
    by_output: HashMap<BlobId, Vec<&'a ActionEntry>>,
    sources: HashMap<BlobId, &'a str>,
}

impl<'a> Side<'a> {
    fn new(manifest: &'a Manifest) -> Self {
        let actions = manifest.actions.iter();
        let mut by_output: HashMap<BlobId, Vec<&ActionEntry>> = HashMap::new();
        for (action, output) in actions.clone().flat_map(|action| action.outputs.iter().map(move |o| (action, o))) {
            by_output.entry(output.blob).or_default().push(action);
        }
        Self {
            manifest,
            by_label: actions.map(|action| (action.label.as_str(), action)).collect(),
            by_output,
            sources: manifest.sources.iter().map(|source| (source.blob, source.path.as_str())).collect(),
        }
    }

    /// Finds the action of a label, or failing that the one of its step that shares the most segments with it.
    fn like(&self, label: &str) -> Option<&'a ActionEntry> {
        if let Some(action) = self.by_label.get(label) {
            return Some(action);
        }
        let segments: Vec<&str> = label.split('/').collect();
        let shared = |other: &str| other.split('/').filter(|segment| segments.contains(segment)).count();
        let same_step = |action: &&ActionEntry| action.label.split('/').next() == segments.first().copied();
        let mut best: Option<(usize, &ActionEntry)> = None;
        for action in self.manifest.actions.iter().filter(same_step) {
            let shared = shared(&action.label);
            if best.is_none_or(|(most, _)| shared > most) {
                best = Some((shared, action));
            }
        }
        best.map(|(_, action)| action)
    }
}

/// Adds a cause; one that was reached by another way already is not repeated.
fn add(causes: &mut Vec<Cause>, via: &[String], change: Change) {
    if !causes.iter().any(|known| known.change == change) {
        causes.push(Cause { via: via.to_vec(), change });
    }
}

struct Explainer<'a> {
    store: &'a Store,
    newer: Side<'a>,
    older: Option<Side<'a>>,
    specs: HashMap<ActionKey, Option<ActionSpec>>,
}

impl<'a> Explainer<'a> {
    fn explain(&mut self, action: &'a ActionEntry) -> Result<Explanation, RunError> {
        let old = self.older.as_ref().and_then(|older| older.like(&action.label));
        let mut causes = Vec::new();
        match old {
            Some(old) => self.compare(action, old, &mut Vec::new(), &mut HashSet::new(), &mut causes)?,
            None => causes.push(Cause { via: vec![action.label.clone()], change: Change::New }),
        }
        Ok(Explanation {
            label: action.label.clone(),
            verdict: action.verdict.clone(),
            reason: action.reason.clone(),
            compared_with: old.map(|old| old.label.clone()),
            causes,
        })
    }

    /// Compares two actions and, where they read what other actions made, these; each pair is looked at once.
    fn compare(
        &mut self,
        new: &'a ActionEntry,
        old: &'a ActionEntry,
        via: &mut Vec<String>,
        seen: &mut HashSet<(&'a str, &'a str)>,
        causes: &mut Vec<Cause>,
    ) -> Result<(), RunError> {
        if !seen.insert((&new.label, &old.label)) {
            return Ok(());
        }
        via.push(new.label.clone());
        let found = self.compare_one(new, old, via, seen, causes);
        via.pop();
        found
    }

    fn compare_one(
        &mut self,
        new: &'a ActionEntry,
        old: &'a ActionEntry,
        via: &mut Vec<String>,
        seen: &mut HashSet<(&'a str, &'a str)>,
        causes: &mut Vec<Cause>,
    ) -> Result<(), RunError> {
        let (Some(new_key), Some(old_key)) = (new.key, old.key) else {
            // An action that never ran has no key: what it waited for has its own explanation.
            return Ok(());
        };
        if new_key == old_key {
            for output in &new.outputs {
                let before = old.outputs.iter().find(|other| other.name == output.name);
                if let Some(before) = before.filter(|before| before.blob != output.blob) {
                    let (output, new) = (output.name.clone(), output.blob);
                    add(causes, via, Change::OtherOutput { output, old: before.blob, new });
                }
            }
            return Ok(());
        }
        let (new_spec, old_spec) = match (self.spec(&new_key)?, self.spec(&old_key)?) {
            (Some(new), Some(old)) => (new, old),
            (None, _) => {
                add(causes, via, Change::RecordGone { key: new_key });
                return Ok(());
            }
            (_, None) => {
                add(causes, via, Change::RecordGone { key: old_key });
                return Ok(());
            }
        };
        if new_spec.revision != old_spec.revision {
            add(causes, via, Change::Revision { old: old_spec.revision, new: new_spec.revision });
        }
        for (path, old, new) in param_changes(&old_spec.params, &new_spec.params) {
            add(causes, via, Change::Parameter { path, old, new });
        }
        let names: std::collections::BTreeSet<&String> = new_spec.inputs.keys().chain(old_spec.inputs.keys()).collect();
        for name in names {
            let (before, now) = (old_spec.inputs.get(name).copied(), new_spec.inputs.get(name).copied());
            if before == now {
                continue;
            }
            if let Some(change) = self.file(name, before, now) {
                add(causes, via, change);
                continue;
            }
            match self.makers(now, before) {
                Some((now, then)) => self.compare(now, then, via, seen, causes)?,
                None => add(causes, via, Change::Input { input: name.clone(), old: before, new: now }),
            }
        }
        Ok(())
    }

    /// Finds who made an input now and then: of several that made the same bytes, two of one label.
    fn makers(&self, now: Option<BlobId>, then: Option<BlobId>) -> Option<(&'a ActionEntry, &'a ActionEntry)> {
        let older = self.older.as_ref()?;
        let now = self.newer.by_output.get(&now?)?;
        let then: &[&ActionEntry] = then.and_then(|blob| older.by_output.get(&blob)).map_or(&[], Vec::as_slice);
        for now in now {
            if let Some(then) = then.iter().find(|then| then.label == now.label) {
                return Some((now, then));
            }
        }
        let now = *now.first()?;
        let then = then.first().copied().or_else(|| older.by_label.get(now.label.as_str()).copied());
        Some((now, then?))
    }

    fn spec(&mut self, key: &ActionKey) -> Result<Option<ActionSpec>, RunError> {
        if let Some(known) = self.specs.get(key) {
            return Ok(known.clone());
        }
        let record = self.store.record(key)?;
        let spec = record.and_then(|record| serde_json::from_str(record.spec.get()).ok());
        self.specs.insert(*key, spec.clone());
        Ok(spec)
    }

    /// Describes an input that is a file of the project, then or now.
    fn file(&self, input: &str, old: Option<BlobId>, new: Option<BlobId>) -> Option<Change> {
        let path = new.and_then(|blob| self.newer.sources.get(&blob).copied());
        let old_path = old.and_then(|blob| self.older.as_ref()?.sources.get(&blob).copied());
        let named = path.or(old_path)?;
        let (diff, note) = match (old, new) {
            (Some(old), Some(new)) => match text_change(self.store, &old, &new, old_path.unwrap_or(named), named) {
                Ok(diff) => (Some(diff), None),
                Err(why) => (None, Some(why)),
            },
            _ => (None, None),
        };
        Some(Change::File {
            input: input.to_owned(),
            path: path.map(str::to_owned),
            old_path: old_path.filter(|old| Some(*old) != path).map(str::to_owned),
            old,
            new,
            diff,
            note,
        })
    }
}
