use std::collections::BTreeMap;

use super::Manifest;
use crate::digest::BlobId;
use crate::plan::StepKind;

/// Is one blob that a manifest names, and all the places where it does.
#[derive(Debug, Default)]
pub(super) struct NamedBlob {
    /// The sizes that the manifest gives; one, unless it contradicts itself.
    pub(super) sizes: Vec<u64>,
    /// What it is, in words.
    pub(super) uses: Vec<String>,
    /// Whether an action of the run made it.
    pub(super) made: bool,
    /// Whether it is the answers of an `infer`.
    pub(super) answers: bool,
    /// The first file of the project that it is.
    pub(super) source: Option<String>,
}

impl NamedBlob {
    fn add(&mut self, size: u64, what: String) {
        if !self.sizes.contains(&size) {
            self.sizes.push(size);
        }
        self.uses.push(what);
    }

    /// Writes where the manifest names it, shortened.
    pub(super) fn words(&self) -> String {
        let shown = self.uses.iter().take(3).cloned().collect::<Vec<_>>().join("; ");
        match self.uses.len().saturating_sub(3) {
            0 => shown,
            more => format!("{shown}; and {more} more"),
        }
    }

    /// Says how it can be had again.
    pub(super) fn remedy(&self) -> String {
        if self.answers {
            "`exp build` makes it again from the draw log, without asking".to_owned()
        } else if self.made {
            "`exp build` makes it again".to_owned()
        } else {
            let source = self.source.as_deref().unwrap_or("the file");
            format!("`exp build` with `{source}` as it was, or `exp import` of an archive of the run, brings it back")
        }
    }
}

/// Lists every blob that a manifest names: config, sources, views, outputs of actions.
pub(super) fn named_blobs(manifest: &Manifest) -> BTreeMap<BlobId, NamedBlob> {
    let mut blobs: BTreeMap<BlobId, NamedBlob> = BTreeMap::new();
    for view in manifest.shown() {
        blobs.entry(view.blob).or_default().add(view.size, format!("view `{}`", view.path()));
    }
    for (kind, source) in
        std::iter::once(("config", &manifest.config)).chain(manifest.sources.iter().map(|source| ("source", source)))
    {
        let blob = blobs.entry(source.blob).or_default();
        blob.add(source.size, format!("{kind} `{}`", source.path));
        blob.source.get_or_insert_with(|| source.path.clone());
    }
    for action in &manifest.actions {
        for output in &action.outputs {
            let blob = blobs.entry(output.blob).or_default();
            blob.add(output.size, format!("output `{}` of `{}`", output.name, action.label));
            // What was taken in with a run of the predecessor's has no action that could make it again.
            blob.made |= action.key.is_some();
            blob.answers |=
                StepKind::parse(action.label.split('/').next().unwrap_or_default()).is_some_and(StepKind::asks);
        }
    }
    blobs
}
