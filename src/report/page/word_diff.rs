use similar::{ChangeTag, TextDiff};

/// Is the length, in bytes of both texts together, beyond which texts are shown without their difference.
const LONGEST: usize = 16_000;

/// Is a run of words of one side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiffPart {
    /// The words, white space included.
    pub text: String,
    /// Whether the other side does not have them here.
    pub is_own: bool,
}

/// Compares two texts word by word: the parts of the one, and of the other, each whole when joined.
///
/// Texts that are too long to compare are one part each.
pub fn word_diff(control: &str, treatment: &str) -> [Vec<DiffPart>; 2] {
    if control.len() + treatment.len() > LONGEST {
        return [control, treatment].map(|text| vec![DiffPart { text: text.to_owned(), is_own: false }]);
    }
    let diff = TextDiff::from_words(control, treatment);
    let mut sides = [Vec::new(), Vec::new()];
    for change in diff.iter_all_changes() {
        let (on, is_own): (&[usize], bool) = match change.tag() {
            ChangeTag::Equal => (&[0, 1], false),
            ChangeTag::Delete => (&[0], true),
            ChangeTag::Insert => (&[1], true),
        };
        for side in on {
            let parts: &mut Vec<DiffPart> = &mut sides[*side];
            match parts.last_mut() {
                Some(last) if last.is_own == is_own => last.text.push_str(change.value()),
                _ => parts.push(DiffPart { text: change.value().to_owned(), is_own }),
            }
        }
    }
    sides
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_differs_is_marked_on_its_side() {
        let [control, treatment] = word_diff("the red house", "the blue house");
        let own =
            |parts: &[DiffPart]| parts.iter().filter(|part| part.is_own).map(|p| p.text.clone()).collect::<String>();
        assert_eq!((own(&control).as_str(), own(&treatment).as_str()), ("red", "blue"));
    }

    proptest! {
        #[test]
        fn parts_joined_are_the_text(a in ".{0,60}", b in ".{0,60}") {
            let join = |parts: &[DiffPart]| parts.iter().map(|part| part.text.as_str()).collect::<String>();
            let [control, treatment] = word_diff(&a, &b);
            prop_assert_eq!((join(&control), join(&treatment)), (a, b));
        }
    }
}
