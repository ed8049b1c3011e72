use std::io::Write;

use super::again::inputs_of;
use super::arms_drawn::arms_drawn;
use super::failure::{Exit, Failure};
use super::finish::thousands;
use super::origins::{arm_origin, unpinned};
use super::records::Records;
use super::trial_items::{ItemFilter, TrialItems};
use crate::engine::StoreBlobs;
use crate::plan::{AggregateParams, ReportParams, ScoreParams, StepKind};
use crate::report::{
    ItemList, JudgeCost, Methods, PageTrial, PooledEffects, RiskCurve, RunPage, SourceFile, TokenCounts, TrialReport,
};
use crate::run::{ActionEntry, Manifest, PAGE_NAME, RunBlobs, RunState, ViewDir};
use crate::step::{Inputs, Significance, aggregate, report};
use crate::store::Store;

/// Is how many items the page shows in all, and the least and the most of one trial.
const ITEMS: usize = 600;
const ITEMS_OF_TRIAL: (usize, usize) = (20, 300);

/// Is a run's page, collected: the page, and the items of its trials.
pub struct CollectedPage {
    /// The page but for its items.
    pub page: RunPage,
    items: Vec<ItemList>,
}

/// Writes a run's page into its directory.
pub fn write_page(dir: &ViewDir, store: &Store, manifest: &Manifest, with_items: bool) -> Result<(), Failure> {
    let collected = CollectedPage::of(store, manifest, with_items)?;
    let path = dir.path().join(PAGE_NAME);
    dir.write_with(PAGE_NAME, |out| {
        let written = collected.write(out, with_items);
        written.map_err(|error| Failure::new(Exit::Environment, format!("cannot write `{path}`: {error}")))
    })
}

impl CollectedPage {
    /// Collects what the page says from the manifest, the blobs it names, and the draw log.
    pub fn of(store: &Store, manifest: &Manifest, with_items: bool) -> Result<Self, Failure> {
        let (mut trials, mut unfinished, mut items) = (Vec::new(), Vec::new(), Vec::new());
        let most = (ITEMS / manifest.trials.len().max(1)).clamp(ITEMS_OF_TRIAL.0, ITEMS_OF_TRIAL.1);
        for trial in &manifest.trials {
            let Some((mut shown, primary)) = page_trial(store, manifest, &trial.slug)? else {
                unfinished.push(trial.slug.clone());
                continue;
            };
            if let Some(found) = TrialItems::find(store, manifest, &trial.slug, &primary)? {
                let (list, tokens) = found.collect(&ItemFilter::default(), if with_items { most } else { 0 })?;
                shown.tokens = tokens;
                items.push(list);
            }
            trials.push(shown);
        }
        let file = |path: &str, size, digest: String| SourceFile { path: path.to_owned(), size, digest };
        let page = RunPage {
            run_id: manifest.run_id.clone(),
            state: manifest.state.to_string(),
            is_complete: manifest.state == RunState::Complete,
            created: manifest.created_utc.clone(),
            tool: manifest.tool.clone(),
            root: manifest.root.map(|root| root.to_string()),
            narrowed: manifest.narrowed.clone(),
            failed_requests: manifest.requests.failed,
            failures: manifest.failures.iter().map(|failure| (failure.label.clone(), failure.why.clone())).collect(),
            judges: judges(store, manifest, &trials)?,
            trials,
            unfinished,
            facts: facts(manifest)?,
            sources: manifest
                .sources
                .iter()
                .map(|source| file(&source.path, source.size, source.blob.to_string()))
                .collect(),
            views: manifest.shown().map(|view| file(&view.path(), view.size, view.blob.to_string())).collect(),
            methods: Methods { outcomes: outcomes(store, manifest)? },
        };
        Ok(Self { page, items })
    }

    /// Writes the page.
    fn write(&self, out: &mut dyn Write, with_items: bool) -> std::io::Result<()> {
        self.page.write_head(out, with_items)?;
        if with_items {
            RunPage::write_items_head(out)?;
            for list in &self.items {
                RunPage::write_items(list, out)?;
            }
            RunPage::write_items_foot(out)?;
        }
        RunPage::write_foot(out)
    }
}

fn find<'m>(manifest: &'m Manifest, label: &str) -> Option<&'m ActionEntry> {
    manifest.actions.iter().find(|action| action.label == label)
}

/// Reads what a trial's report says; none where the trial has none yet.
pub fn trial_report(
    store: &Store,
    manifest: &Manifest,
    slug: &str,
) -> Result<Option<(TrialReport, ReportParams)>, Failure> {
    let Some(action) = find(manifest, &format!("{}/{slug}", StepKind::Report)) else { return Ok(None) };
    let Some(made) = Records::open(store, manifest)?.of(action)? else { return Ok(None) };
    let params: ReportParams = made.params.read()?;
    let blobs = StoreBlobs(store);
    let report = report::compose(&params, &Inputs::new(inputs_of(&made.spec), &blobs))?;
    Ok(Some((report, params)))
}

/// Sums up what models that judge took over all trials, as the run's report does; nothing where no trial has any, or where that report
/// is not made yet.
fn judges(store: &Store, manifest: &Manifest, trials: &[PageTrial]) -> Result<Vec<JudgeCost>, Failure> {
    if trials.iter().all(|trial| trial.report.cost.judges.is_empty()) {
        return Ok(Vec::new());
    }
    let Some(action) = find(manifest, &StepKind::Aggregate.to_string()) else { return Ok(Vec::new()) };
    let Some(made) = Records::open(store, manifest)?.of(action)? else { return Ok(Vec::new()) };
    let params: AggregateParams = made.params.read()?;
    Ok(aggregate::judges(&params, &Inputs::new(inputs_of(&made.spec), &StoreBlobs(store)))?)
}

/// Is a dataset and its primary metric.
type Primary = Vec<(String, String)>;

fn page_trial(store: &Store, manifest: &Manifest, slug: &str) -> Result<Option<(PageTrial, Primary)>, Failure> {
    let Some((report, ReportParams { trial, .. })) = trial_report(store, manifest, slug)? else { return Ok(None) };
    let Some(bytes) = super::show::view(store, manifest, slug, "results/significance.json")? else { return Ok(None) };
    let results: Significance = serde_json::from_slice(&bytes)
        .map_err(|error| Failure::new(Exit::Damage, format!("significance.json of {slug}: {error}")))?;
    let primary = report.verdicts.iter().map(|one| (one.dataset.clone(), one.metric.name.clone())).collect();
    // A baseline or a recording was asked of nobody.
    let arms = match trial.note {
        Some(_) => Vec::new(),
        None => arms_drawn(RunBlobs::Store(store), &Records::open(store, manifest)?, manifest, slug)?,
    };
    let origins = arms.iter().map(|(side, arm)| arm_origin(side, arm)).collect();
    let unpinned = unpinned(&trial.model, &arms.iter().map(|(_, arm)| arm).collect::<Vec<_>>());
    let page = PageTrial {
        model: trial.model,
        prompt_set: trial.prompt_set,
        point: trial.point,
        curves: curves(&results),
        pooled: pooled(&results),
        report,
        tokens: TokenCounts::default(),
        origins,
        unpinned,
    };
    Ok(Some((page, primary)))
}

fn curves(results: &Significance) -> Vec<RiskCurve> {
    let mut curves = Vec::new();
    for (dataset, block) in results.results.iter().flat_map(|(_, results)| results.datasets.iter()) {
        let Some(risk) = &block.selective_risk else { continue };
        let arms = risk.points.both().map(|points| {
            let mut known: Vec<(f64, f64)> =
                points.into_iter().flatten().filter_map(|point| Some((point.coverage?, point.risk?))).collect();
            known.sort_by(|a, b| a.0.total_cmp(&b.0));
            known.dedup();
            known
        });
        // Where all draws of an item agree, no threshold tells items apart: there is a point, and no curve.
        if arms.iter().any(|points| points.len() > 1) {
            curves.push(RiskCurve { dataset: dataset.to_owned(), arms });
        }
    }
    curves
}

fn pooled(results: &Significance) -> Vec<PooledEffects> {
    let mut all = Vec::new();
    for (kind, block) in results
        .results
        .iter()
        .flat_map(|(_, results)| [("closed-book", &results.closed), ("open-book", &results.open)])
        .filter_map(|(kind, block)| Some((kind, block.as_ref()?)))
    {
        let Some(metas) = &block.meta else { continue };
        for (metric, meta) in metas.iter() {
            if metric == "output_tokens" {
                continue;
            }
            let study = |name: &String| {
                let found = block.subgroups.as_ref()?.dataset.get(name)?.metrics.get(metric)?;
                Some((name.clone(), found.delta_mean?, found.ci_95.map(|[low, high]| (low, high))))
            };
            let effect = |name: &str, effect: &crate::step::PooledEffect| {
                let [low, high] = effect.ci_95;
                (name.to_owned(), effect.delta_mean, (low, high))
            };
            all.push(PooledEffects {
                metric: metric.to_owned(),
                sets: format!("{kind} datasets"),
                studies: meta.studies.iter().filter_map(study).collect(),
                pooled: vec![effect("one common effect", &meta.fixed), effect("random effects", &meta.random)],
                q: (meta.heterogeneity.q, meta.heterogeneity.df, meta.heterogeneity.p_value),
                i2: meta.heterogeneity.i2,
                tau2: meta.random.tau2,
            });
        }
    }
    all
}

/// Lists the rules by which outcomes were scored, as the scoring recorded them.
fn outcomes(store: &Store, manifest: &Manifest) -> Result<Vec<(String, String)>, Failure> {
    let mut scored =
        manifest.actions.iter().filter(|action| action.label.starts_with("score/") && !action.outputs.is_empty());
    let Some(action) = scored.next() else { return Ok(Vec::new()) };
    let Some(made) = Records::open(store, manifest)?.of(action)? else { return Ok(Vec::new()) };
    let params: ScoreParams = made.params.read()?;
    let rules = params.outcomes;
    let word = |rule| match rule {
        crate::config::OutcomeRule::Wrong => "as wrong",
        crate::config::OutcomeRule::Missing => "as missing",
        crate::config::OutcomeRule::AsIs => "by what the text says",
    };
    let named = [
        ("cut at the token limit", rules.length),
        ("refused", rules.refusal),
        ("withheld by a filter", rules.content_filter),
        ("empty", rules.empty),
        ("without an extractable answer", rules.no_answer),
    ];
    Ok(named.map(|(name, rule)| (name.to_owned(), word(rule).to_owned())).to_vec())
}

fn facts(manifest: &Manifest) -> Result<Vec<(String, String)>, Failure> {
    let text = manifest.to_text()?;
    let digest = Manifest::parse("the manifest", &text)?.1;
    let mut facts = vec![
        ("run".to_owned(), manifest.run_id.clone()),
        ("state".to_owned(), manifest.state.to_string()),
        (
            "root".to_owned(),
            manifest.root.map_or_else(|| "none: not every view is there".to_owned(), |root| root.to_string()),
        ),
        ("manifest".to_owned(), digest.to_string()),
        ("plan".to_owned(), manifest.plan.to_string()),
        (format!("config {}", manifest.config.path), manifest.config.blob.to_string()),
        ("tool".to_owned(), manifest.tool.clone()),
        ("begun".to_owned(), manifest.created_utc.clone()),
        ("written".to_owned(), manifest.updated_utc.clone()),
    ];
    if let Some(parent) = &manifest.parent {
        facts.push(("scores again".to_owned(), parent.clone()));
    }
    let requests = &manifest.requests;
    facts.push((
        "requests".to_owned(),
        format!(
            "{} in all: {} reused, {} sent, {} failed",
            thousands(requests.total),
            thousands(requests.reused),
            thousands(requests.sent),
            thousands(requests.failed)
        ),
    ));
    facts.push(("spent".to_owned(), super::spending::words(&manifest.cost_usd)));
    for served in &manifest.served {
        let stated = served.revision.as_deref().unwrap_or("states no revision");
        facts.push((format!("served by {}", served.provider), format!("{} {stated}", served.model)));
    }
    if let Some(sealed) = &manifest.sealed {
        let words = format!(
            "{} at {}, {} of {} answers logged before",
            sealed.blob, sealed.sealed_at, sealed.draws_before, sealed.draws
        );
        facts.push(("sealed plan".to_owned(), words));
    }
    Ok(facts)
}
