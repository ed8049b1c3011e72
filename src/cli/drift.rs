use super::args::{DriftArgs, Global};
use super::asked_part::asked_parts;
use super::build_args::SelectArgs;
use super::drift_ask::{Redrawn, ask_again};
use super::drift_print::{print, words};
use super::drift_sample::Sample;
use super::drift_score::pairs;
use super::failure::{Exit, Failure};
use super::heartbeat::with_heartbeat;
use super::output::Output;
use super::plan_inputs::PlanInputs;
use super::project::Project;
use super::redraw::replace;
use crate::config::with_reuse;
use crate::flow::Clock;
use crate::request::Redraws;
use crate::run::{Catalog, DriftReport, DriftRule};
use crate::store::{Access, Store};

/// Asks for some of a run's answers again and tests old against new: has the hosted model changed?
///
/// The new draws stand in a generation of their own, which no build uses unless the config names it (`--adopt`).
pub fn drift(global: &Global, args: &DriftArgs, out: &Output, clock: &Clock) -> Result<Exit, Failure> {
    let project = Project::load(global, out)?;
    let store = project.home.open_store(Access::ReadWrite, out)?;
    let catalog = Catalog::read(&store)?;
    let record = catalog.find(&args.run)?.record.clone();
    let manifest = Catalog::manifest(&store, &record)?;
    super::predecessor::refuse(&manifest, "has no answers that could be asked for again")?;
    let parts = asked_parts(&store, &manifest)?;
    let inputs = PlanInputs::read(&project, &store, &SelectArgs::default())?;
    let seed = args.seed.unwrap_or(project.config.analysis.random_seed);
    let sample = Sample::draw(&store, &parts, &inputs, args.n, seed)?;
    for note in &sample.notes {
        out.note(note);
    }
    if sample.chosen.is_empty() {
        return Err(nothing_to_ask(&sample, &record.run_id));
    }
    let known = redrawn_before(&project)?;
    let generation = match args.generation {
        Some(generation) => generation,
        None => unused(&store, &sample, &known, generation_of(&clock.now())?)?,
    };
    let asked = with_heartbeat(out, || {
        let asked = ask_again(&inputs, &store, &sample, (generation, &known), args, out, clock);
        out.doing("");
        asked
    })?;
    let Redrawn { draws, failed, end, spent } = &asked;
    if let Some(end) = end {
        out.note(&format!(
            "{} of {} requests were answered; to go on with these: `exp drift {} --n {} --seed {seed} --generation {generation}`",
            draws.len(),
            sample.chosen.len(),
            record.run_id,
            args.n
        ));
        return Err(end.failure());
    }
    let pairs = pairs(&store, &parts, &sample, draws)?;
    if pairs.is_empty() {
        return Err(Failure::new(Exit::Failed, "none of the requests was answered: nothing can be compared"));
    }
    let analysis = &project.config.analysis;
    let rule = DriftRule { alpha: analysis.alpha.to_f64(), resamples: analysis.permutation_samples.max(1000), seed };
    let report = DriftReport::new(&pairs, rule);
    print(&report, &record.run_id, (generation, pairs.len(), *failed), out);
    let adopted = if args.adopt { Some(adopt(&project, generation, out)?) } else { None };
    out.document(&serde_json::json!({
        "run_id": record.run_id,
        "generation": generation,
        "seed": seed,
        "requests": {
            "of_run": sample.of_run, "asked": sample.chosen.len(), "compared": pairs.len(), "failed": failed,
            "no_earlier_answer": sample.unanswered, "cannot_be_asked": sample.unaskable,
        },
        "cost_usd": spent,
        "drift": report.is_found(),
        "words": words(&report),
        "report": report,
        "adopted": adopted,
    }));
    Ok(if report.is_found() { Exit::Damage } else { Exit::Done })
}

fn nothing_to_ask(sample: &Sample, run: &str) -> Failure {
    let failure = Failure::usage(format!("nothing of run `{run}` can be asked again"));
    if sample.unaskable > 0 {
        failure
            .hint("recorded answers (`replay`) are what they are; for the rest, name its provider in the config again")
    } else {
        failure.hint("it has no answers: `exp build` first")
    }
}

/// Returns the generation of a drift that begins now: the seconds since 1970, beyond every generation that a person counts to.
fn generation_of(now: &str) -> Result<u32, Failure> {
    let seconds = now.parse::<jiff::Timestamp>().ok().and_then(|now| u32::try_from(now.as_second()).ok());
    seconds.ok_or_else(|| {
        Failure::new(Exit::Environment, "the clock shows a time before 1970 or after 2106").hint("set the clock")
    })
}

/// Returns the first generation from `first` on in which the sample has no draw: of a drift a moment ago.
fn unused(store: &Store, sample: &Sample, redraws: &Redraws, first: u32) -> Result<u32, Failure> {
    for generation in first.. {
        let addresses: Vec<_> = sample.chosen.iter().map(|chosen| redraws.address(chosen.key, generation, 0)).collect();
        if store.draws(&addresses)?.iter().all(Option::is_none) {
            return Ok(generation);
        }
    }
    Err(Failure::usage("every generation is used").hint("name one with --generation"))
}

/// Reads which requests the config has redrawn: their draws stand further on.
fn redrawn_before(project: &Project) -> Result<Redraws, Failure> {
    let Some(file) = &project.config.redraws else { return Ok(Redraws::default()) };
    let refused = |why: String| Failure::usage(format!("`{}`: {why}", file.written));
    let bytes = std::fs::read(&file.path).map_err(|error| refused(error.to_string()))?;
    Redraws::parse(&bytes).map_err(|error| refused(error.to_string()))
}

/// Writes the generation into the config, or says what to write; returns whether it was written.
fn adopt(project: &Project, generation: u32, out: &Output) -> Result<bool, Failure> {
    let config = &project.config_label;
    // What stands there now may be another text than the one that was read when this began.
    let text = std::fs::read_to_string(project.config_path()).ok();
    let edited = text.and_then(|text| with_reuse(&text, "generation", &generation.to_string()));
    let is_edited = edited.is_some();
    if let Some(text) = edited {
        replace(&project.config_path(), text.as_bytes())?;
        out.line(&format!("{config}: `reuse.generation` is {generation} now; the next build asks for the rest of it"));
    } else {
        out.line(&format!("{config} cannot be edited surely; write there: reuse: {{generation: {generation}}}"));
    }
    Ok(is_edited)
}
