use super::super::WantedDraw;
use crate::request::DrawAddress;

/// Is what stands in one file: draws of one provider and model, all arms of an item one after the other.
#[derive(Clone, Debug)]
pub struct PackedShard {
    /// The draws, in the order of the lines.
    pub draws: Vec<WantedDraw>,
}

/// Divides draws over about `shards` files of about equal numbers of lines; each draw once, however often it is wanted.
///
/// A file holds one provider and model, so that there are at least as many files as there are of those; an item's draws are
/// never parted, so that there may be fewer than `shards`.
pub fn pack(mut draws: Vec<WantedDraw>, shards: usize) -> Vec<PackedShard> {
    draws.sort_by(|a, b| {
        let key = |draw: &WantedDraw| (draw.turn, draw.address.number, draw.address.request, draw.address.generation);
        let who = |draw: &WantedDraw| (draw.request.provider.clone(), draw.request.model.clone());
        who(a).cmp(&who(b)).then_with(|| key(a).cmp(&key(b)))
    });
    draws.dedup_by_key(|draw| draw.address);
    let total = draws.len();
    let mut packed = Vec::new();
    let groups = draws.chunk_by(|a, b| a.request.provider == b.request.provider && a.request.model == b.request.model);
    for group in groups {
        let share = (shards * group.len()).div_ceil(total.max(1)).max(1);
        let mut begun: Vec<WantedDraw> = Vec::new();
        let (mut done, mut cut) = (0, 1);
        for item in group.chunk_by(|a, b| a.turn == b.turn) {
            begun.extend_from_slice(item);
            done += item.len();
            if done * share >= cut * group.len() {
                packed.push(PackedShard { draws: std::mem::take(&mut begun) });
                cut = done * share / group.len() + 1;
            }
        }
    }
    packed
}

/// Appends one line: `custom_id`, `method`, `url`, `body`, as OpenAI's batches and vLLM's `run-batch` read it.
pub fn put_line(out: &mut Vec<u8>, address: &DrawAddress, url: &str, body: &str) {
    out.extend_from_slice(
        format!(
            "{{\"custom_id\":\"{}\",\"method\":\"POST\",\"url\":\"{url}\",\"body\":{body}}}\n",
            address.custom_id()
        )
        .as_bytes(),
    );
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Arc;

    use super::*;
    use crate::request::{Message, ProviderIdentity, Request, Role, Terms};

    fn draw(model: &str, item: u64, arm: &str, number: u32) -> WantedDraw {
        let request = Request {
            terms: Terms::new(ProviderIdentity("p".into()), model).into(),
            messages: vec![Message::new(Role::System, arm), Message::new(Role::User, item.to_string())],
            recording: None,
        };
        let address = DrawAddress { request: request.key(), generation: 0, number };
        WantedDraw { request: Arc::new(request), address, turn: item, is_rejected: false }
    }

    fn all(items: u64, models: &[&str]) -> Vec<WantedDraw> {
        let arms = |model: &str, item| {
            [draw(model, item, "a", 0), draw(model, item, "b", 0), draw(model, item, "a", 1), draw(model, item, "b", 1)]
        };
        models.iter().flat_map(|model| (0..items).flat_map(move |item| arms(model, item))).collect()
    }

    #[test]
    fn shards_are_even_and_part_no_item() {
        for shards in 1..9 {
            let packed = pack(all(10, &["m"]), shards);
            assert_eq!(packed.len(), shards);
            let sizes: BTreeSet<usize> = packed.iter().map(|shard| shard.draws.len()).collect();
            assert!(sizes.last().unwrap() - sizes.first().unwrap() <= 4, "{sizes:?}");
            for shard in &packed {
                // Arms of an item stand side by side, draw after draw.
                for four in shard.draws.chunks(4) {
                    let at: Vec<(u64, u32)> = four.iter().map(|draw| (draw.turn, draw.address.number)).collect();
                    assert_eq!(at, [(at[0].0, 0), (at[0].0, 0), (at[0].0, 1), (at[0].0, 1)]);
                }
            }
        }
        assert_eq!(pack(all(3, &["m"]), 7).len(), 3, "no empty files");
        assert!(pack(Vec::new(), 4).is_empty());
    }

    #[test]
    fn a_shard_holds_one_model_and_each_draw_once() {
        let twice = [all(5, &["m", "n"]), all(5, &["n"])].concat();
        let packed = pack(twice, 1);
        assert_eq!(packed.iter().map(|shard| shard.draws.len()).collect::<Vec<_>>(), [20, 20]);
        for shard in packed {
            assert!(shard.draws.iter().all(|draw| draw.request.model == shard.draws[0].request.model));
        }
    }
}
