use std::io::Write;
use std::sync::Arc;

use camino::Utf8Path;

use crate::config::{Config, Source};
use crate::engine::NodeFailure;
use crate::plan::{NodeIndex, Plan};
use crate::provider::{FetchError, Proxies, fetch_pinned};
use crate::step::{InputProblem, StepError};
use crate::store::StoreError;

/// Brings a dataset's pinned file from its address, and writes it as it comes.
pub fn fetch(
    config: &Config,
    plan: &Plan,
    node: NodeIndex,
    offline: bool,
    proxies: &Proxies,
    store: &Utf8Path,
    into: &mut dyn Write,
) -> Result<(), NodeFailure> {
    let name = plan.graph.node(node).scope.to_string();
    let problem = |message: String, remedy: &str| -> NodeFailure {
        let file = format!("dataset `{name}`");
        let remedy = remedy.to_owned();
        let problem = InputProblem { file, line: None, column: None, source_line: None, message, remedy };
        StepError::Inputs(vec![problem]).into()
    };
    let Some(Source::Url { url, sha256, .. }) = config.datasets.get(&name).map(|dataset| &dataset.source) else {
        return Err(problem("it has no address".into(), "this is a fault of the program: please report it"));
    };
    if offline {
        let message = format!("{url} is not in the store yet, and --offline forbids fetching it");
        return Err(problem(message, "build once without --offline"));
    }
    fetch_pinned(url, sha256, proxies, into).map_err(|error| match error {
        FetchError::Keep { source, .. } => {
            NodeFailure::Store(Arc::new(StoreError::Io { op: "write in", path: store.join("tmp"), source }))
        }
        other => problem(other.to_string(), other.remedy()),
    })
}
