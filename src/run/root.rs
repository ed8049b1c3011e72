use super::ViewEntry;
use crate::digest::{Encoder, RootId};

/// Names a run's reproducible views together: the schema version and, sorted, each view's trial, name and content.
pub fn root_of(views: &[ViewEntry]) -> RootId {
    let mut sorted: Vec<&ViewEntry> = views.iter().collect();
    sorted.sort_by(|a, b| (&a.slug, &a.name).cmp(&(&b.slug, &b.name)));
    let mut encoder = Encoder::new("exp 2026-11 root");
    encoder.int(1);
    encoder.list(sorted.len());
    for view in sorted {
        encoder.text(&view.slug);
        encoder.text(&view.name);
        encoder.digest(view.blob.digest());
    }
    RootId::new(encoder.finish())
}
