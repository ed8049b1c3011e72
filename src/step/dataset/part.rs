use crate::plan::Parts;

/// Hashes an item's id for the choice of its part: the first 8 bytes, little endian, of BLAKE3.
pub fn part_hash(id: &str) -> u64 {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&blake3::hash(id.as_bytes()).as_bytes()[..8]);
    u64::from_le_bytes(bytes)
}

/// Returns into how many parts so many items are divided.
///
/// With [`Parts::Lines`] it is the smallest power of two with at most so many items a part on average, so that the
/// number changes rarely as a dataset grows.
pub fn part_count(parts: Parts, items: u64) -> u64 {
    match parts {
        Parts::Count(count) => u64::from(count).max(1),
        Parts::Lines(lines) => items.div_ceil(u64::from(lines).max(1)).max(1).next_power_of_two(),
    }
}

/// Names a part in the outputs of prepare and after: five digits.
pub fn part_name(part: u64) -> String {
    format!("{part:05}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A part is an input of everything after: these never change.
    #[test]
    fn golden_parts_stand() {
        assert_eq!(["", "q1", "é"].map(|id| part_hash(id) % 24), [7, 9, 6]);
    }

    #[test]
    fn counts() {
        assert_eq!(part_count(Parts::Count(6), 0), 6);
        assert_eq!(part_count(Parts::Count(0), 9), 1);
        assert_eq!(
            [0, 1, 100, 101, 200, 201, 400, 401].map(|n| part_count(Parts::Lines(100), n)),
            [1, 1, 1, 2, 2, 4, 4, 8]
        );
    }

    proptest! {
        #[test]
        fn lines_give_the_smallest_power_of_two(lines in 1u32..50, items in 0u64..5000) {
            let count = part_count(Parts::Lines(lines), items);
            prop_assert!(count.is_power_of_two());
            prop_assert!(items <= count * u64::from(lines));
            prop_assert!(count == 1 || items > count / 2 * u64::from(lines));
        }

        /// With a power of two, twice the parts divides each part and moves nothing between parts.
        #[test]
        fn doubling_divides_parts(id in ".*", power in 0u32..10) {
            let n = 1u64 << power;
            prop_assert_eq!(part_hash(&id) % (2 * n) % n, part_hash(&id) % n);
        }
    }
}
