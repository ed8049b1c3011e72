use std::collections::BTreeMap;

use super::failure::{Exit, Failure};
use crate::engine::StoreBlobs;
use crate::plan::{ActionSpec, InferParams, ParamsDoc, StepKind};
use crate::request::DrawAddress;
use crate::step::{self, Demand, Input, Inputs};
use crate::store::{ActionRecord, Store};

/// Executes an action again from its record, in memory; `None` where nothing can be computed: what a fetch brought, answers
/// of which some had failed.
pub fn again(store: &Store, record: &ActionRecord) -> Result<Option<BTreeMap<String, Vec<u8>>>, Failure> {
    let spec = spec_of(record)?;
    let params = ParamsDoc::new(&spec.params)?;
    let reader = StoreBlobs(store);
    let inputs = Inputs::new(inputs_of(&spec), &reader);
    let mut made: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    match spec.step {
        // What a fetch brought is pinned by its own hash; there is nothing to compute.
        StepKind::Fetch => return Ok(None),
        // It is somebody else's program: that it would say the same again is not claimed.
        kind if !kind.is_hermetic() => return Ok(None),
        StepKind::Infer | StepKind::JudgeInfer => {
            let demand = demand(&params, &inputs)?;
            let addresses: Vec<DrawAddress> = demand.wanted.iter().map(|wanted| wanted.address).collect();
            let draws: BTreeMap<DrawAddress, _> = addresses
                .iter()
                .zip(store.draws(&addresses)?)
                .filter_map(|(address, draw)| Some((*address, draw?.answer)))
                .collect();
            if record.failures > 0 {
                // Failures are logged, not stored by address: only what was answered can be made again.
                return Ok(None);
            }
            demand.collect(|address| draws.get(address).cloned().map(Ok), &mut made)?;
        }
        kind => step::run(kind, &params, &inputs, &mut made)?,
    }
    Ok(Some(made))
}

/// Reads which draws an `infer` action wanted.
pub fn demand_of(store: &Store, record: &ActionRecord) -> Result<Demand, Failure> {
    let spec = spec_of(record)?;
    let reader = StoreBlobs(store);
    demand(&ParamsDoc::new(&spec.params)?, &Inputs::new(inputs_of(&spec), &reader))
}

fn demand(params: &ParamsDoc, inputs: &Inputs<'_>) -> Result<Demand, Failure> {
    let infer: InferParams = params.read()?;
    let redraws = step::redraws(inputs)?;
    Ok(step::demand(inputs.open("requests")?, redraws.as_ref(), &infer)?)
}

/// Lists what an action read, by name.
pub fn inputs_of(spec: &ActionSpec) -> Vec<Input> {
    spec.inputs.iter().map(|(name, blob)| Input { name: name.clone(), blob: *blob, label: name.clone() }).collect()
}

/// Reads what decided an action's output.
pub fn spec_of(record: &ActionRecord) -> Result<ActionSpec, Failure> {
    serde_json::from_str(record.spec.get())
        .map_err(|error| Failure::new(Exit::Damage, format!("the record of action {}: {error}", record.key)))
}
