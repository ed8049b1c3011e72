use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use camino::{Utf8Path, Utf8PathBuf};

use super::args::{Global, IngestArgs};
use super::build_args::SelectArgs;
use super::environment::{self, Variables};
use super::estimator::dataset_and_arm;
use super::failure::{Exit, Failure};
use super::finish::thousands;
use super::online::{Outside, online};
use super::output::Output;
use super::plan_inputs::PlanInputs;
use super::planning::Planning;
use super::preview::wanted_draws;
use super::project::Project;
use super::who;
use crate::ask::{Expectations, HandoutError, HandoutManifest, Ingest, Ingested, MANIFEST_NAME};
use crate::engine::StepLimits;
use crate::flow::Clock;
use crate::plan::is_open;
use crate::provider::Online;
use crate::request::ProviderIdentity;
use crate::step::merge::temperature_label;
use crate::store::{Access, Store};

/// Takes in answers that others got. What is checked is said in `docs/formats.md`; nothing is sent.
pub fn ingest(global: &Global, args: &IngestArgs, out: &Output, clock: &Clock) -> Result<Exit, Failure> {
    let project = Project::load(global, out)?;
    let manifest = manifest(&args.dir)?;
    let store = project.home.open_store(Access::ReadWrite, out)?;
    let providers = providers(&project, clock)?;
    let expected = match &manifest {
        Some(manifest) => of_manifest(&args.dir, manifest, args.identity.as_deref(), out)?,
        None => of_plan(&project, &store, &args.select, args.identity.as_deref(), &providers)?,
    };
    let shards: BTreeSet<&str> =
        manifest.iter().flat_map(|manifest| &manifest.shards).map(|shard| shard.file.as_str()).collect();
    let mut files = Vec::new();
    find(&args.dir, &mut files)?;
    files.retain(|path| path.strip_prefix(&args.dir).is_ok_and(|name| !shards.contains(name.as_str())));
    if files.is_empty() {
        return Err(Failure::usage(format!("there are no output files in `{}`", args.dir))
            .hint("output files end in `.jsonl` and stand beside the shards, or below them"));
    }
    let ingested = {
        let session = store.session()?;
        Ingest { session: &session, clock, providers: &providers, expected: &expected }.run(&files)?
    };
    Ok(say(&ingested, out))
}

/// Reads the manifest of a handout, if the directory has one.
fn manifest(dir: &Utf8Path) -> Result<Option<HandoutManifest>, Failure> {
    let path = dir.join(MANIFEST_NAME);
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(Some(HandoutManifest::parse(&path, &text)?)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(HandoutError::io("read", path)(error).into()),
    }
}

/// Makes who reads the responses, by identity. No key is needed: nobody is asked.
fn providers(project: &Project, clock: &Clock) -> Result<BTreeMap<ProviderIdentity, Arc<Online>>, Failure> {
    let variables = Variables::read(&project.config_path())?;
    let proxies = environment::proxies();
    let outside = Outside { variables: &variables, proxies: &proxies, clock };
    let mut providers = BTreeMap::new();
    for provider in project.config.providers.values().filter(|provider| !provider.kind.is_embedded()) {
        providers.insert(who::identity(provider, None), online(&project.config, provider, &outside)?);
    }
    Ok(providers)
}

/// Expects what the manifest lists, as far as the shards that are there still say it.
fn of_manifest(
    dir: &Utf8Path,
    manifest: &HandoutManifest,
    declared: Option<&str>,
    out: &Output,
) -> Result<Expectations, Failure> {
    let mut expected = Expectations::of_manifest(manifest);
    if let Some(declared) = declared
        && let Some(other) = expected.identities().iter().find(|identity| identity.0 != declared)
    {
        return Err(Failure::usage(format!("--identity says `{declared}`, and the manifest asks `{}`", other.0))
            .hint("nothing was taken in"));
    }
    let altered = expected.check_shards(dir, manifest)?;
    if altered > 0 {
        out.note(&format!(
            "{} lines of the shards ask something else than was handed out: their answers are refused",
            thousands(altered)
        ));
    }
    Ok(expected)
}

/// Expects every draw that the plan wants of who is declared to have answered, under our name for it and the predecessor's.
fn of_plan(
    project: &Project,
    store: &Store,
    select: &SelectArgs,
    declared: Option<&str>,
    providers: &BTreeMap<ProviderIdentity, Arc<Online>>,
) -> Result<Expectations, Failure> {
    let known = || providers.keys().map(|identity| format!("`{}`", identity.0)).collect::<Vec<_>>().join(", ");
    let Some(declared) = declared else {
        return Err(Failure::usage(format!("there is no {MANIFEST_NAME}: nothing says who gave these answers"))
            .hint(format!("state it with `--identity TEXT`; the providers of the config are {}", known())));
    };
    if !providers.keys().any(|identity| identity.0 == declared) {
        return Err(Failure::usage(format!("--identity: no provider of the config is `{declared}`"))
            .hint(format!("they are {}", known())));
    }
    let inputs = PlanInputs::read(project, store, select)?;
    let mut planning = Planning::start(inputs, store, StepLimits::default(), false)?;
    let mut expected = Expectations::default();
    for draw in wanted_draws(&mut planning, store)? {
        let (request, address) = (&draw.wanted.request, draw.wanted.address);
        if request.provider.0 != declared {
            continue;
        }
        expected.add(address, &request.provider, &request.model, None);
        let Some((dataset, arm)) = dataset_and_arm(&draw.scope) else { continue };
        let Some(described) = project.config.datasets.get(dataset) else { continue };
        let is_control = arm == "control" || arm.ends_with(".control");
        let condition = if is_control { "control" } else { "treatment" };
        let temperature = temperature_label(request.decoding.temperature);
        let kind = if is_open(described) { "open" } else { "closed" };
        let item = &draw.wanted.item;
        let number = address.number;
        // The first field is the row's own label, where it has one: then the rest has to do.
        for dataset in [dataset, "*"] {
            expected.name(format!("{dataset}|{item}|{condition}|{temperature}|{number}|{kind}"), address);
        }
    }
    Ok(expected)
}

/// Lists the output files below a directory, in an order that does not depend on it.
fn find(dir: &Utf8Path, files: &mut Vec<Utf8PathBuf>) -> Result<(), Failure> {
    let io = |error| Failure::from(HandoutError::io("read", dir)(error));
    for entry in dir.read_dir_utf8().map_err(io)? {
        let entry = entry.map_err(|error| Failure::from(HandoutError::io("read", dir)(error)))?;
        let kind = entry.file_type().map_err(|error| Failure::from(HandoutError::io("read", dir)(error)))?;
        if kind.is_dir() {
            find(entry.path(), files)?;
        } else if entry.path().extension() == Some("jsonl") {
            files.push(entry.path().to_owned());
        }
    }
    files.sort();
    Ok(())
}

/// Says what became of every line. What was refused makes the exit code 1: somebody has to look at it.
fn say(ingested: &Ingested, out: &Output) -> Exit {
    for sample in &ingested.samples {
        out.note(&format!("{}:{}: {}", sample.file, sample.line, sample.why));
    }
    let told = ingested.samples.len() as u64;
    let passed_over = ingested.errors + ingested.truncated + ingested.malformed + ingested.refused();
    if passed_over > told {
        out.note(&format!("… and {} more", thousands(passed_over - told)));
    }
    let counts = [
        (ingested.taken, "answers taken in"),
        (ingested.already, "there already"),
        (ingested.repeated, "said twice"),
        (ingested.surplus, "logged by somebody else meanwhile"),
        (ingested.errors, "errors, left missing"),
        (ingested.truncated, "cut off, left missing"),
        (ingested.malformed, "not readable, left missing"),
        (ingested.unknown, "refused: nothing was asked under their names"),
        (ingested.ambiguous, "refused: their names stand for several draws"),
        (ingested.wrong_body, "refused: something else was asked"),
        (ingested.other_identity, "refused: nobody in the config has the identity that was to answer"),
        (ingested.differing, "refused: another answer to the same draw"),
    ];
    let said: Vec<String> = counts
        .iter()
        .enumerate()
        .filter(|(at, (count, _))| *at == 0 || *count > 0)
        .map(|(_, (count, what))| format!("{} {what}", thousands(*count)))
        .collect();
    out.line(&format!(
        "{} lines in {} files: {}",
        thousands(ingested.lines),
        thousands(ingested.files),
        said.join(" · ")
    ));
    for (model, count) in &ingested.served {
        let model = if model.is_empty() { "a model that is not named".to_owned() } else { format!("`{model}`") };
        out.line(&format!("{} of them by {model}", thousands(*count)));
    }
    out.document(&serde_json::json!(ingested));
    if ingested.refused() > 0 { Exit::Failed } else { Exit::Done }
}
