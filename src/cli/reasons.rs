use std::collections::HashMap;

use super::failure::Failure;
use crate::digest::ActionKey;
use crate::engine::MissReason;
use crate::plan::ActionSpec;
use crate::run::Catalog;
use crate::store::Store;

/// How many actions are compared with the newest run, one by one; the rest get the short reason.
const COMPARED: usize = 2000;

/// Says why actions run, in a few words, by comparison with the newest run before.
pub struct Reasons<'s> {
    store: &'s Store,
    before: HashMap<String, ActionKey>,
    left: usize,
}

impl<'s> Reasons<'s> {
    /// Takes the actions of the newest run other than `except`.
    pub fn new(store: &'s Store, catalog: &Catalog, except: Option<&str>) -> Result<Self, Failure> {
        let newest = catalog
            .made_here()
            .rev()
            .find(|entry| entry.record.manifest.is_some() && Some(entry.record.run_id.as_str()) != except);
        let mut before = HashMap::new();
        if let Some(entry) = newest {
            for action in Catalog::manifest(store, &entry.record)?.actions {
                if let Some(key) = action.key {
                    before.insert(action.label, key);
                }
            }
        }
        Ok(Self { store, before, left: COMPARED })
    }

    /// Says why an action runs: for one that was never built, what its specification has that the last one had not.
    pub fn words(&mut self, reason: MissReason, label: &str, spec: impl FnOnce() -> Option<ActionSpec>) -> String {
        let short = reason.as_str().to_owned();
        let Some(old_key) = self.before.get(label).filter(|_| reason == MissReason::NeverBuilt && self.left > 0) else {
            return short;
        };
        self.left -= 1;
        let old = self.store.record(old_key).ok().flatten();
        let old = old.and_then(|record| serde_json::from_str::<ActionSpec>(record.spec.get()).ok());
        let (Some(old), Some(new)) = (old, spec()) else { return short };
        if old.revision != new.revision {
            return "revision changed".to_owned();
        }
        let mut changed: Vec<&str> = new
            .inputs
            .iter()
            .filter(|(name, blob)| old.inputs.get(*name) != Some(*blob))
            .map(|(name, _)| name.as_str())
            .chain(old.inputs.keys().filter(|name| !new.inputs.contains_key(*name)).map(String::as_str))
            .collect();
        if changed.is_empty() {
            return if old.params == new.params { short } else { "parameters changed".to_owned() };
        }
        let more = changed.len().saturating_sub(3);
        changed.truncate(3);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        format!("input changed: {}{more}", changed.join(", "))
    }
}
