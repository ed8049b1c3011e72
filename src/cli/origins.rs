use super::build::Building;
use super::failure::Failure;
use super::finish::{duration_text, thousands};
use super::stated::{Stated, UNPINNED};
use super::wanted_draws::each_answer_of;
use crate::config::{Reaction, Reuse};
use crate::engine::NodeDone;
use crate::plan::NodeIndex;
use crate::report::{ArmOrigin, ProvenancePage};
use crate::request::ProviderIdentity;
use crate::run::{ArmProvenance, Provenance, RunRecord, ViewEntry};
use crate::store::Commit;

/// Is what is to be said of where answers came from.
pub(super) struct Complaint {
    /// The words.
    pub(super) text: String,
    /// Whether the config makes an error of it.
    pub(super) is_error: bool,
}

/// Says when, by whom and how the answers of a run were given: views that are no part of its root.
impl Building<'_, '_> {
    /// Makes the views, durable, and says what the config does not put up with.
    pub(super) fn origins(
        &self,
        record: &RunRecord,
        done: &[Option<NodeDone>],
    ) -> Result<(Vec<ViewEntry>, Vec<Complaint>), Failure> {
        let (mut views, mut blobs, mut complaints) = (Vec::new(), Vec::new(), Vec::new());
        for trial in &self.planning.plan.trials {
            let slug = &trial.label.slug;
            let is_embedded =
                self.planning.trials.iter().any(|other| other.slug == *slug && other.provider.kind.is_embedded());
            let mut origins = Provenance::default();
            if !is_embedded {
                for (side, nodes) in &trial.infer {
                    for node in nodes {
                        self.gather(&mut origins, side, *node, done)?;
                    }
                }
            }
            let found = complaints_of(slug, &origins, &self.planning.project.config.reuse);
            let mut page = page(record, slug, trial.label.note.clone(), &origins, &found);
            for (model, nodes) in &trial.judged {
                let mut verdicts = Provenance::default();
                for node in nodes {
                    self.gather(&mut verdicts, "verdicts", *node, done)?;
                }
                let arms = verdicts.arms.values();
                page.arms.extend(arms.map(|arm| arm_origin(&format!("verdicts of {model}"), arm)));
            }
            for (name, dataset) in &self.planning.project.config.datasets {
                page.warnings.extend(dataset.externals.iter().map(|external| {
                    let (metric, program) = (&external.name, &external.program.written);
                    format!(
                        "Not hermetic: `{metric}` of `{name}` is scored by the executable `{program}`, which an audit does not run again."
                    )
                }));
            }
            page.warnings.extend(unpinned(&trial.label.model, &origins.arms.values().collect::<Vec<_>>()));
            complaints.extend(found);
            let mut files = vec![("reports/provenance.md", page.to_markdown().into_bytes())];
            if origins.is_remote() {
                files.push(("results/timings.csv", origins.timings_csv()?));
                files.extend(origins.latency_json()?.map(|bytes| ("results/latency.json", bytes)));
            }
            for (name, bytes) in files {
                let staged = self.session.stage(&bytes)?;
                let blob = staged.blob();
                views.push(ViewEntry { slug: slug.clone(), name: name.to_owned(), blob: blob.id, size: blob.size });
                blobs.push(staged);
            }
        }
        self.session.commit(vec![Commit { record: None, blobs }])?;
        Ok((views, complaints))
    }

    fn gather(
        &self,
        origins: &mut Provenance,
        side: &'static str,
        node: NodeIndex,
        done: &[Option<NodeDone>],
    ) -> Result<(), Failure> {
        let dataset = self.planning.plan.graph.node(node).scope.rsplit('/').nth(1).unwrap_or_default();
        let mut count = 0;
        let mut first = None;
        let mut added = Ok(());
        each_answer_of(&self.planning, self.store, done, node, |wanted, found| {
            for (wanted, draw) in wanted.iter().zip(found) {
                first.get_or_insert_with(|| wanted.request.clone());
                if let Some(draw) = draw.filter(|_| added.is_ok()) {
                    added = origins.add(side, dataset, &wanted.item, &draw);
                    count += 1;
                }
            }
        })?;
        added?;
        // All requests of one action are to one model.
        if let (Some(arm), Some(first)) = (origins.arms.get_mut(side), first) {
            count_stated(arm, &first.provider, &first.model, first.revision.as_deref(), count);
        }
        Ok(())
    }
}

/// Compares where the answers came from with what the config puts up with.
fn complaints_of(slug: &str, origins: &Provenance, reuse: &Reuse) -> Vec<Complaint> {
    let mut found = Vec::new();
    let served = origins.served_models();
    if reuse.same_served_model != Reaction::Ignore && served.len() > 1 {
        let counts: Vec<String> =
            served.iter().map(|(model, n)| format!("`{model}` {} times", thousands(*n))).collect();
        let text = format!(
            "trial {slug}: its answers were served by several models ({}); `exp build {slug} --fresh` asks for all of \
             them again, `exp build {slug} --fresh --condition control` for the control's",
            counts.join(", ")
        );
        found.push(Complaint { text, is_error: reuse.same_served_model == Reaction::Refuse });
    }
    if let Some(limit) = reuse.max_gap_between_arms
        && limit.then != Reaction::Ignore
        && let Some(gap) = origins.widest_gap()
        && gap.seconds > limit.seconds
    {
        let text = format!(
            "trial {slug}: the arms of item `{}` of `{}` were answered {} apart, and `max_gap_between_arms` allows {}; \
             `exp build {slug} --fresh --condition control` asks for the control again",
            gap.item,
            gap.dataset,
            duration_text(std::time::Duration::from_secs(gap.seconds)),
            duration_text(std::time::Duration::from_secs(limit.seconds)),
        );
        found.push(Complaint { text, is_error: limit.then == Reaction::Refuse });
    }
    found
}

fn page(
    record: &RunRecord,
    slug: &str,
    note: Option<String>,
    origins: &Provenance,
    found: &[Complaint],
) -> ProvenancePage {
    ProvenancePage {
        run_id: record.run_id.clone(),
        trial: slug.to_owned(),
        note,
        arms: origins.arms.iter().map(|(side, arm)| arm_origin(side, arm)).collect(),
        warnings: found.iter().map(|complaint| complaint.text.clone()).collect(),
    }
}

/// Counts so many draws under what was stated of the revision when they were asked for.
pub(super) fn count_stated(
    arm: &mut ArmProvenance,
    provider: &ProviderIdentity,
    model: &str,
    revision: Option<&str>,
    draws: u64,
) {
    if let Some(stated) = Stated::of(provider, model, revision)
        && draws > 0
    {
        *arm.stated.entry(stated.words()).or_default() += draws;
    }
}

/// Says of a trial's model that it is unpinned, and what to write; `None` where each of its draws was asked of what is stated.
pub(super) fn unpinned(model: &str, arms: &[&ArmProvenance]) -> Option<String> {
    let told = arms.iter().flat_map(|arm| &arm.revisions).map(|(revision, n)| (revision.clone(), *n)).collect();
    let is_unpinned = arms.iter().any(|arm| arm.stated.contains_key(UNPINNED));
    is_unpinned.then(|| Stated::Nothing.warning(model, &told)).flatten()
}

/// Takes an arm's provenance as pages show it.
pub(super) fn arm_origin(side: &str, arm: &ArmProvenance) -> ArmOrigin {
    ArmOrigin {
        side: side.to_owned(),
        draws: arm.draws,
        first: arm.first.clone(),
        last: arm.last.clone(),
        repeated: arm.repeated,
        counts: vec![
            ("bought", arm.bought.clone()),
            ("served model", arm.served.clone()),
            ("stated in the config", arm.stated.clone()),
            ("revision stated by the server", arm.revisions.clone()),
            ("fingerprint", arm.fingerprints.clone()),
            ("served behind a router by", arm.upstreams.clone()),
        ],
    }
}
