use super::args::{Global, SealArgs};
use super::failure::{Exit, Failure};
use super::output::Output;
use super::project::Project;
use super::who::FACTS;
use crate::config::{AnalysisPlan, Config};
use crate::flow::Clock;
use crate::plan::{Selection, select};

/// Is the name of the file, in the project's root.
const NAME: &str = "analysis_plan.lock";

/// Writes down what is to be tested, before the answers are seen.
pub fn seal(global: &Global, args: &SealArgs, out: &Output, clock: &Clock) -> Result<Exit, Failure> {
    let project = Project::load(global, out)?;
    let path = project.home.root.join(NAME);
    let plan = plan(&project.config, clock.now())?;
    let mut text = serde_json::to_string_pretty(&plan)
        .map_err(|error| Failure::new(Exit::Environment, format!("the plan cannot be written: {error}")))?;
    text.push('\n');
    if path.exists() && !args.replace && !args.dry_run {
        return Err(Failure::usage(format!("`{NAME}` is there already: the plan is sealed"))
            .hint("build and see what differs from it; `exp seal --replace` seals anew, and says so by its time"));
    }
    if !args.dry_run {
        std::fs::write(&path, &text)
            .map_err(|error| Failure::new(Exit::Environment, format!("cannot write {path}: {error}")))?;
    }
    let (metrics, trials) = (plan.primary.len(), plan.trials.len());
    let verb = if args.dry_run { "would seal" } else { "sealed" };
    out.line(&format!(
        "{verb} {NAME}: {metrics} primary {} in {trials} {}, alpha {}",
        if metrics == 1 { "metric" } else { "metrics" },
        if trials == 1 { "trial" } else { "trials" },
        plan.alpha,
    ));
    for metric in &plan.primary {
        out.line(&format!("  {metric}"));
    }
    out.line("every build reads it from now on; keep it under version control");
    out.document(&serde_json::json!({"path": path.as_str(), "written": !args.dry_run, "plan": plan}));
    Ok(Exit::Done)
}

/// Collects what the config decides about the analysis, defaults written out.
fn plan(config: &Config, sealed_at: String) -> Result<AnalysisPlan, Failure> {
    let analysis = &config.analysis;
    let mut primary = analysis.primary.clone();
    if primary.is_empty() {
        let first = config.datasets.iter().filter_map(|(name, dataset)| {
            let metric = FACTS.metrics_of(dataset).into_iter().next()?;
            Some(format!("{name}.{metric}"))
        });
        primary = first.collect();
    }
    let trials = select(config, &Selection::default())?;
    Ok(AnalysisPlan {
        version: AnalysisPlan::VERSION,
        sealed_at,
        primary,
        trials: trials.into_iter().map(|trial| trial.slug).collect(),
        alpha: analysis.alpha,
        multiplicity: analysis.multiplicity,
        cluster: analysis.cluster,
        margins: analysis.margins.clone(),
        subgroups: analysis.subgroups.clone(),
        seed: analysis.random_seed,
        exclusions: config.exclusions(),
    })
}
