use std::collections::HashMap;
use std::io::Write as _;
use std::sync::Arc;

use camino::{Utf8Path, Utf8PathBuf};

use super::args::{Global, RequestsArgs};
use super::failure::{Exit, Failure};
use super::finish::thousands;
use super::online::wire_of;
use super::output::Output;
use super::plan_inputs::PlanInputs;
use super::planning::Planning;
use super::preview::wanted_draws;
use super::project::Project;
use crate::ask::{
    HandedDraw, HandoutError, HandoutManifest, MANIFEST_NAME, PackedShard, Shard, WantedDraw, body_hash, pack, put_line,
};
use crate::config::Config;
use crate::digest::StreamHasher;
use crate::engine::StepLimits;
use crate::provider::{WireSettings, wire_body};
use crate::request::{ProviderIdentity, Request};
use crate::store::Access;

/// Writes the requests whose answers are missing as files that any engine answers; nothing is sent.
pub fn requests(global: &Global, args: &RequestsArgs, out: &Output) -> Result<Exit, Failure> {
    let project = Project::load(global, out)?;
    let store = project.home.open_store(Access::ReadOnly, out)?;
    let inputs = PlanInputs::read(&project, &store, &args.select)?;
    let mut planning = Planning::start(inputs, &store, StepLimits::default(), false)?;
    let seed = project.config.analysis.random_seed;
    let mut wires = Wires { config: &project.config, known: HashMap::new() };
    let under_way = store.draws_in_batches(&[])?;
    let (mut wanted, mut there, mut free, mut in_batches) = (Vec::new(), 0u64, 0u64, 0u64);
    for draw in wanted_draws(&mut planning, &store)? {
        if draw.is_there {
            there += 1;
        } else if under_way.contains(&draw.wanted.address) {
            in_batches += 1;
        } else if wires.of(&draw.wanted.request).is_none() {
            free += 1;
        } else {
            wanted.push(WantedDraw {
                turn: WantedDraw::turn_of(seed, &draw.wanted.item),
                request: draw.wanted.request,
                address: draw.wanted.address,
                is_rejected: false,
            });
        }
    }
    if free > 0 {
        out.note(&format!("{} answers come from providers that cost nothing: `exp build` makes them", thousands(free)));
    }
    if in_batches > 0 {
        out.note(&format!(
            "{} requests are left out: they are in batches under way, and `exp build` takes in their answers",
            thousands(in_batches)
        ));
    }
    if wanted.is_empty() {
        out.line("nothing is missing: no file was written");
        out.document(
            &serde_json::json!({"dir": null, "shards": [], "requests": 0, "reused": there, "in_batches": in_batches}),
        );
        return Ok(Exit::Done);
    }
    let dir = emptied(&args.out)?;
    let manifest = write(&dir, &mut wires, &pack(wanted, args.shards))?;
    for shard in &manifest.shards {
        out.line(&format!(
            "{}: {} requests to `{}` of {}, {} bytes",
            shard.file,
            thousands(shard.lines),
            shard.model,
            shard.identity,
            thousands(shard.bytes)
        ));
    }
    let count = manifest.draws.len() as u64;
    out.line(&format!(
        "{} requests in {} files and {MANIFEST_NAME} in {dir}; {} answers are there already",
        thousands(count),
        manifest.shards.len(),
        thousands(there)
    ));
    out.line(&format!("put each file's answers beside it as *.out.jsonl, then `exp ingest {dir}`"));
    out.document(&serde_json::json!({
        "dir": dir.as_str(), "shards": manifest.shards, "requests": count, "reused": there, "in_batches": in_batches,
    }));
    Ok(Exit::Done)
}

/// Makes the directory; one with something in it is another handout's, whose answers may be on their way.
fn emptied(dir: &Utf8Path) -> Result<Utf8PathBuf, Failure> {
    std::fs::create_dir_all(dir).map_err(|error| Failure::usage(format!("--out: cannot make `{dir}`: {error}")))?;
    let mut entries =
        std::fs::read_dir(dir).map_err(|error| Failure::usage(format!("--out: cannot read `{dir}`: {error}")))?;
    if entries.next().is_some() {
        return Err(Failure::usage(format!("--out: there is something in `{dir}` already"))
            .hint(format!("`exp ingest {dir}` takes in its answers; then name an empty directory")));
    }
    Ok(dir.to_owned())
}

/// Writes the shards, and last the manifest: a directory without one was not finished.
fn write(dir: &Utf8Path, wires: &mut Wires<'_>, shards: &[PackedShard]) -> Result<HandoutManifest, Failure> {
    let mut manifest = HandoutManifest::default();
    for (at, shard) in shards.iter().enumerate() {
        let Some(first) = shard.draws.first() else { continue };
        let Some(wire) = wires.of(&first.request) else { continue };
        let url = wire.protocol.path();
        let name = format!("shard-{at:04}.jsonl");
        let path = dir.join(&name);
        let file = std::fs::File::create_new(&path).map_err(HandoutError::io("write", &path))?;
        let mut file = std::io::BufWriter::new(file);
        let mut hasher = StreamHasher::new();
        let mut line = Vec::new();
        for draw in &shard.draws {
            let body = wire_body(&wire, &draw.request, &draw.address);
            let value: serde_json::Value = serde_json::from_str(&body)
                .map_err(|error| Failure::new(Exit::Failed, format!("a body is no JSON: {error}")))?;
            line.clear();
            put_line(&mut line, &draw.address, url, &body);
            hasher.update(&line);
            file.write_all(&line).map_err(HandoutError::io("write", &path))?;
            manifest.draws.push(HandedDraw {
                draw: draw.address,
                custom_id: draw.address.custom_id(),
                shard: at as u32,
                body: body_hash(&value),
            });
        }
        file.flush().map_err(HandoutError::io("write", &path))?;
        let (blake3, bytes) = hasher.finish();
        manifest.shards.push(Shard {
            file: name,
            identity: first.request.provider.0.clone(),
            model: first.request.model.clone(),
            url: url.to_owned(),
            lines: shard.draws.len() as u64,
            bytes,
            blake3,
        });
    }
    let text = manifest.to_text().map_err(|error| Failure::new(Exit::Failed, error.to_string()))?;
    let (path, aside) = (dir.join(MANIFEST_NAME), dir.join("manifest.json.partial"));
    std::fs::write(&aside, text).map_err(HandoutError::io("write", &aside))?;
    std::fs::rename(&aside, &path).map_err(HandoutError::io("write", &path))?;
    Ok(manifest)
}

/// Knows how the requests of each provider and model are written.
struct Wires<'c> {
    config: &'c Config,
    known: HashMap<(ProviderIdentity, String), Option<Arc<WireSettings>>>,
}

impl Wires<'_> {
    /// Returns how a request is written; `None`: who answers it is embedded here.
    fn of(&mut self, request: &Request) -> Option<Arc<WireSettings>> {
        let key = (request.provider.clone(), request.model.clone());
        let wire = self.known.entry(key).or_insert_with(|| wire_of(Some(self.config), request).map(Arc::new));
        wire.clone()
    }
}
