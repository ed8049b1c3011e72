use crate::digest::Digest;

/// Chooses `n` members of several strata, in proportion to their sizes, the same ones for the same seed.
///
/// Each stratum is given by its members' names; the result holds, for each stratum, the places of those chosen, in the
/// order of the stratum. The shares are rounded by the largest remainder (Hamilton), the earlier stratum first at equal ones.
/// Within a stratum those are chosen whose hashes with the seed come first: two strata of the same names (the arms of a
/// dataset) choose the same ones, and a larger `n` adds to a smaller one's choice.
pub fn stratified(strata: &[Vec<&str>], n: usize, seed: u64) -> Vec<Vec<usize>> {
    let total: usize = strata.iter().map(Vec::len).sum();
    let n = n.min(total);
    let mut shares: Vec<usize> = strata.iter().map(|names| scaled(names.len(), n, total).0).collect();
    let mut by_remainder: Vec<usize> = (0..strata.len()).collect();
    by_remainder.sort_by_key(|at| std::cmp::Reverse(scaled(strata[*at].len(), n, total).1));
    let given: usize = shares.iter().sum();
    for at in by_remainder.into_iter().take(n - given) {
        shares[at] += 1;
    }
    strata.iter().zip(shares).map(|(names, share)| first_by_hash(names, share, seed)).collect()
}

/// Returns the whole part and the remainder of `size` × `n` / `total`.
fn scaled(size: usize, n: usize, total: usize) -> (usize, u128) {
    if total == 0 {
        return (0, 0);
    }
    let product = size as u128 * n as u128;
    ((product / total as u128) as usize, product % total as u128)
}

fn first_by_hash(names: &[&str], share: usize, seed: u64) -> Vec<usize> {
    let hash = |at: &usize| (*Digest::of(format!("{seed}/{}", names[*at]).as_bytes()).as_bytes(), *at);
    let mut order: Vec<usize> = (0..names.len()).collect();
    order.sort_by_cached_key(hash);
    order.truncate(share);
    order.sort_unstable();
    order
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn arms_of_one_dataset_choose_the_same_items_and_more_adds_to_less() {
        let names: Vec<String> = (0..50).map(|n| format!("i{n}")).collect();
        let arm: Vec<&str> = names.iter().map(String::as_str).collect();
        let few = stratified(&[arm.clone(), arm.clone()], 10, 7);
        assert_eq!((few[0].len(), &few[0]), (5, &few[1]));
        let more = stratified(&[arm.clone(), arm.clone()], 40, 7);
        assert!(few[0].iter().all(|at| more[0].contains(at)));
        assert_ne!(stratified(&[arm.clone(), arm], 10, 8), few, "another seed chooses others");
    }

    #[test]
    fn shares_follow_the_sizes() {
        let names = vec!["x"; 60];
        let sizes = |strata: &[usize], n| -> Vec<usize> {
            let strata: Vec<Vec<&str>> = strata.iter().map(|size| names[..*size].to_vec()).collect();
            stratified(&strata, n, 1).iter().map(Vec::len).collect()
        };
        assert_eq!(sizes(&[60, 30, 10], 10), [6, 3, 1]);
        assert_eq!(sizes(&[1, 1, 1], 2), [1, 1, 0]);
        assert_eq!(sizes(&[3, 0, 2], 100), [3, 0, 2]);
        assert_eq!(sizes(&[0], 5), [0]);
    }

    proptest! {
        #[test]
        fn as_many_are_chosen_as_were_asked_for(sizes in prop::collection::vec(0_usize..40, 0..6), n in 0_usize..100) {
            let strata: Vec<Vec<&str>> = sizes.iter().map(|size| vec!["x"; *size]).collect();
            let chosen = stratified(&strata, n, 3);
            prop_assert_eq!(chosen.iter().map(Vec::len).sum::<usize>(), n.min(sizes.iter().sum()));
            for (places, size) in chosen.iter().zip(sizes) {
                prop_assert!(places.windows(2).all(|two| two[0] < two[1]) && places.iter().all(|at| *at < size));
            }
        }
    }
}
