use super::item_set::ItemSet;
use crate::stats::{self, DrawMoments, NestedVariance};
use crate::step::significance::{ArmDraws, AtK, DrawsBlock};

/// The largest number of draws for which chances at every k are written; beyond it, for powers of two.
const EVERY_K: u64 = 10;

/// Splits what items and what their draws contribute, under both arms; none where no item has two draws.
///
/// Beside it stand, where they are known, the variance that one draw of each arm adds to an item's difference, and the
/// part of the variance of the item differences that comes of sampling.
pub(super) fn draws(set: &ItemSet<'_>, metric: usize) -> Option<(DrawsBlock, Option<(f64, f64)>)> {
    let arms = [0, 1].map(|arm| -> Vec<DrawMoments> {
        set.items.iter().filter_map(|&item| set.moments(item, arm, metric)).collect()
    });
    if !arms.iter().flatten().any(|item| item.draws > 1) {
        return None;
    }
    let [control, treatment] = arms.each_ref().map(|items| stats::nested_variance_of_moments(items.iter().copied()));
    let sum = |of: fn(&NestedVariance) -> Option<f64>| Some(of(&control)? + of(&treatment)?);
    let within = sum(|arm| arm.within).zip(sum(|arm| arm.from_sampling));
    let block = DrawsBlock { control: arm(&control, &arms[0]), treatment: arm(&treatment, &arms[1]) };
    Some((block, within))
}

fn arm(variance: &NestedVariance, items: &[DrawMoments]) -> ArmDraws {
    ArmDraws {
        items: variance.items,
        draws: variance.draws,
        within_item_variance: variance.within,
        item_mean_variance: variance.of_item_means,
        sampling_share: variance.sampling_share,
        at_k: at_k(items),
    }
}

fn at_k(items: &[DrawMoments]) -> Vec<AtK> {
    // Items with equal counts are one term.
    let mut counts: Vec<(u64, u64)> = Vec::with_capacity(items.len());
    for item in items {
        let Some(right) = item.right() else { return Vec::new() };
        counts.push((item.draws, right));
    }
    counts.sort_unstable();
    let most = counts.last().map_or(0, |last| last.0);
    let ks = (1..=most).filter(|&k| k <= EVERY_K || k == most || k.is_power_of_two());
    let row = |k: u64| {
        let (mut n, mut pass, mut majority) = (0, stats::ExactSum::new(), stats::ExactSum::new());
        for part in counts.chunk_by(|a, b| a == b).filter(|part| part[0].0 >= k) {
            let (draws, right) = part[0];
            n += part.len() as u64;
            pass.add_times(stats::pass_at_k(draws, right, k)?, part.len() as u64);
            majority.add_times(stats::majority_at_k(draws, right, k)?, part.len() as u64);
        }
        Some(AtK { k, items: n, pass: pass.total() / n as f64, majority: majority.total() / n as f64 })
    };
    ks.filter_map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chances_are_averaged_over_items() {
        let item = |draws: u64, right: u64| DrawMoments { draws, sum: right as f64, squares: right as f64 };
        let rows = at_k(&[item(2, 1), item(2, 2), item(1, 0)]);
        assert_eq!((rows[0].k, rows[0].items, rows[0].pass, rows[0].majority), (1, 3, 0.5, 0.5));
        // One of two right: both drawn hold it, and tie.
        assert_eq!((rows[1].items, rows[1].pass, rows[1].majority), (2, 1.0, 0.75));
        assert_eq!(at_k(&[DrawMoments { draws: 2, sum: 1.0, squares: 0.5 }]), []);
        assert_eq!(at_k(&[]), []);
    }
}
