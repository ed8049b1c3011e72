/// Finds the known word that was probably meant; ties go to the first.
///
/// The distance counts insertions, deletions, replacements and swaps of neighbours (optimal string alignment), without
/// case; a word further than a third of the longer length is no suggestion.
pub(crate) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word: Vec<char> = word.chars().take(80).flat_map(char::to_lowercase).collect();
    let mut best: Option<(usize, &str)> = None;
    for candidate in known {
        let other: Vec<char> = candidate.chars().flat_map(char::to_lowercase).collect();
        let distance = distance(&word, &other);
        let limit = (word.len().max(other.len()) / 3).max(1);
        if distance <= limit && best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

fn distance(a: &[char], b: &[char]) -> usize {
    let mut before = vec![0; b.len() + 1];
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let replaced = above[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            row[j] = replaced.min(above[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before[j - 2] + 1);
            }
        }
        before = std::mem::replace(&mut above, row);
    }
    above[b.len()]
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn close_words_are_found_and_far_ones_are_not() {
        let known = ["temperature", "top_p", "top_k", "stop"];
        assert_eq!(nearest("temprature", known), Some("temperature"));
        assert_eq!(nearest("Temperature", known), Some("temperature"));
        assert_eq!(nearest("top-p", known), Some("top_p"));
        assert_eq!(nearest("sotp", known), Some("stop"));
        assert_eq!(nearest("colour", known), None);
        assert_eq!(nearest("", known), None);
    }
}
