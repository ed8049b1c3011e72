use std::cmp::Ordering;

use super::item_contents::{ContentHashes, ItemContent};

/// Says which items two trials have in common: an item is what is asked about and held to be right, whatever its id.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct MatchedItems {
    /// How many both have; what is compared is compared on these.
    pub matched: u64,
    /// How many of them have been matched by dataset and id alone, since what they are made of cannot be read.
    pub by_id_alone: u64,
    /// Those of them that have another id in `b`.
    pub renamed: Vec<RenamedItem>,
    /// Ids that stand for something else in `b`: they are not compared.
    pub changed: Vec<ChangedItem>,
    /// Items that only `a` has.
    pub only_in_a: Vec<String>,
    /// Items that only `b` has.
    pub only_in_b: Vec<String>,
}

/// Is an item that both have under different ids.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct RenamedItem {
    /// Its key in `a`.
    pub a: String,
    /// Its key in `b`.
    pub b: String,
}

/// Is an id that stands for different things.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct ChangedItem {
    /// The key: `dataset|item`.
    pub item: String,
    /// What differs, of `question`, `context`, `fields`, `gold`.
    pub what: Vec<&'static str>,
}

/// Is one side's items: keys, sorted, and what is known of each.
#[derive(Clone, Copy)]
pub(super) struct SideItems<'a> {
    pub(super) keys: &'a [String],
    pub(super) contents: &'a [ItemContent],
}

/// Matches the items of two sides; the second value is, for each item of `a`, its place among those of `b`.
///
/// First by key, where nothing is known that contradicts it; then what is left by content, within a dataset's label, in the
/// order of the keys.
pub(super) fn match_items(a: SideItems<'_>, b: SideItems<'_>) -> (MatchedItems, Vec<Option<u32>>) {
    let mut partner: Vec<Option<u32>> = vec![None; a.keys.len()];
    let mut found = MatchedItems::default();
    let (mut left_a, mut left_b) = (Vec::new(), Vec::new());
    let (mut at_a, mut at_b) = (0, 0);
    while at_a < a.keys.len() || at_b < b.keys.len() {
        let order = match (a.keys.get(at_a), b.keys.get(at_b)) {
            (Some(one), Some(other)) => one.cmp(other),
            (Some(_), None) => Ordering::Less,
            _ => Ordering::Greater,
        };
        if order.is_eq() {
            match (a.contents[at_a], b.contents[at_b]) {
                (ItemContent::Known(one), ItemContent::Known(other)) if one != other => {
                    left_a.push(at_a);
                    left_b.push(at_b);
                }
                (one, other) => {
                    let is_unknown = [one, other].contains(&ItemContent::Unknown);
                    found.by_id_alone += u64::from(is_unknown);
                    partner[at_a] = Some(at_b as u32);
                }
            }
        } else if order.is_lt() {
            left_a.push(at_a);
        } else {
            left_b.push(at_b);
        }
        at_a += usize::from(order.is_le());
        at_b += usize::from(order.is_ge());
    }
    let mut taken = vec![false; b.keys.len()];
    for (one, other) in by_content(a.contents, &left_a, b.contents, &left_b) {
        partner[one] = Some(other as u32);
        taken[other] = true;
        found.renamed.push(RenamedItem { a: a.keys[one].clone(), b: b.keys[other].clone() });
    }
    found.renamed.sort_by(|one, other| one.a.cmp(&other.a));
    for at in left_a.into_iter().filter(|at| partner[*at].is_none()) {
        let key = &a.keys[at];
        let same = b.keys.binary_search(key).ok().filter(|other| !taken[*other]);
        match (a.contents[at], same.map(|other| (other, b.contents[other]))) {
            (ItemContent::Known(one), Some((same, ItemContent::Known(other)))) => {
                taken[same] = true;
                found.changed.push(ChangedItem { item: key.clone(), what: one.differing(&other) });
            }
            _ => found.only_in_a.push(key.clone()),
        }
    }
    found.only_in_b = left_b.into_iter().filter(|at| !taken[*at]).map(|at| b.keys[at].clone()).collect();
    found.matched = partner.iter().flatten().count() as u64;
    (found, partner)
}

/// Pairs what is equal in content.
fn by_content(a: &[ItemContent], left_a: &[usize], b: &[ItemContent], left_b: &[usize]) -> Vec<(usize, usize)> {
    let sorted = |contents: &[ItemContent], left: &[usize]| {
        let mut known: Vec<(ContentHashes, usize)> = left
            .iter()
            .filter_map(|at| match contents[*at] {
                ItemContent::Known(hashes) => Some((hashes, *at)),
                ItemContent::Shared | ItemContent::Unknown => None,
            })
            .collect();
        known.sort_unstable();
        known
    };
    let (a, b) = (sorted(a, left_a), sorted(b, left_b));
    let (mut at_a, mut at_b, mut pairs) = (0, 0, Vec::new());
    while let (Some((one, item)), Some((other, partner))) = (a.get(at_a), b.get(at_b)) {
        let order = one.cmp(other);
        if order.is_eq() {
            pairs.push((*item, *partner));
        }
        at_a += usize::from(order.is_le());
        at_b += usize::from(order.is_ge());
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::item_contents::ItemContent::{Known, Shared, Unknown};

    fn content(n: u128, gold: u128) -> ItemContent {
        Known(ContentHashes::of_test(n, gold))
    }

    fn matched(a: &[(&str, ItemContent)], b: &[(&str, ItemContent)]) -> (MatchedItems, Vec<Option<u32>>) {
        let side = |items: &[(&str, ItemContent)]| -> (Vec<String>, Vec<ItemContent>) {
            items.iter().map(|(key, content)| ((*key).to_owned(), *content)).unzip()
        };
        let ((keys_a, contents_a), (keys_b, contents_b)) = (side(a), side(b));
        let sides = [(&keys_a, &contents_a), (&keys_b, &contents_b)];
        let [a, b] = sides.map(|(keys, contents)| SideItems { keys, contents });
        match_items(a, b)
    }

    #[test]
    fn what_is_equal_is_matched_whatever_its_id_and_an_id_alone_is_not() {
        let a = [
            ("d|1", content(1, 0)),
            ("d|2", content(2, 0)),
            ("d|3", content(3, 0)),
            ("d|4", content(4, 0)),
            ("d|5", content(5, 0)),
        ];
        let b = [
            ("d|1", content(1, 0)),
            // Moved on by one line: 2 is now 3, and what stands at 2 is new.
            ("d|2", content(9, 0)),
            ("d|3", content(2, 0)),
            ("d|4", content(4, 7)),
            ("d|6", content(3, 0)),
        ];
        let (found, partner) = matched(&a, &b);
        assert_eq!(partner, [Some(0), Some(2), Some(4), None, None]);
        let renamed = |a: &str, b: &str| RenamedItem { a: a.into(), b: b.into() };
        assert_eq!(found.renamed, [renamed("d|2", "d|3"), renamed("d|3", "d|6")]);
        assert_eq!(found.changed, [ChangedItem { item: "d|4".into(), what: vec!["gold"] }]);
        assert_eq!((found.only_in_a, found.only_in_b), (vec!["d|5".to_owned()], vec!["d|2".to_owned()]));
        assert_eq!((found.matched, found.by_id_alone), (3, 0));
    }

    #[test]
    fn equal_items_are_paired_one_to_one() {
        let (found, partner) = matched(
            &[("d|1", content(1, 0)), ("d|2", content(1, 0)), ("d|3", content(1, 0))],
            &[("d|2", content(1, 0)), ("d|8", content(1, 0))],
        );
        assert_eq!(partner, [Some(1), Some(0), None]);
        assert_eq!((found.matched, found.only_in_a), (2, vec!["d|3".to_owned()]));
    }

    #[test]
    fn what_is_not_known_is_matched_by_id_and_counted() {
        let (found, partner) =
            matched(&[("d|1", Unknown), ("d|2", Shared)], &[("d|1", content(1, 0)), ("d|2", Shared)]);
        assert_eq!((partner, found.matched, found.by_id_alone), (vec![Some(0), Some(1)], 2, 1));
    }
}
