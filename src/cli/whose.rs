use std::collections::BTreeSet;

use super::failure::Failure;
use super::project::Home;
use crate::config::identifying;
use crate::run::{RunError, RunRecord};
use crate::store::Store;

/// Are names of users and machines that name nobody.
const GENERIC: [&str; 8] =
    ["administrator", "jenkins", "jupyter", "localhost", "localhost.localdomain", "nobody", "runner", "ubuntu"];
/// Is the length up to which a user's or a machine's name is a word like others.
const WORD: usize = 6;

/// Lists what says who ran an experiment, and where: what the run's config holds of it, and who and where we are.
///
/// Names of users and machines that are shorter than six letters are looked for in paths and addresses alone.
pub fn names_of(home: &Home, store: &Store, record: &RunRecord) -> Result<BTreeSet<String>, Failure> {
    let text = store.read(&record.config)?;
    let mut names = identifying(&String::from_utf8_lossy(&text)).ok_or_else(|| RunError::Incomplete {
        id: record.run_id.clone(),
        why: "its config cannot be read, so that nobody knows which hosts and paths it names".to_owned(),
    })?;
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
    names.insert(home.root.to_string());
    names.extend(variable("HOME").filter(|home| home.trim_matches('/').contains('/')));
    let machine = rustix::system::uname();
    let words = [
        variable("USER"),
        variable("LOGNAME"),
        variable("HOSTNAME"),
        machine.nodename().to_str().ok().map(str::to_owned),
    ];
    for word in words.into_iter().flatten() {
        if word.len() >= WORD && !GENERIC.contains(&word.to_lowercase().as_str()) {
            names.insert(word);
        }
    }
    Ok(names)
}
