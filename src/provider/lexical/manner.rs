/// Is what one cue does to the manner of answering.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// Permits to abstain.
    MayAbstain,
    /// Takes the permission away.
    MustAnswer,
    /// Permits to abstain, and raises the threshold.
    Cautious,
    /// Asks for a span.
    Brief,
    /// Asks for a sentence.
    Sentence,
    /// Forbids any rewording.
    Verbatim,
    /// Permits it again.
    Reworded,
    /// Bounds the number of words.
    AtMost(u32),
}

/// Says how long an answer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// The span alone.
    Brief,
    /// The sentence that holds it.
    Sentence,
}

/// Is how the reader answers: what its instructions and examples come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Manner {
    /// Whether it may say that it does not know.
    pub(super) may_abstain: bool,
    /// Whether it does so at the higher threshold.
    pub(super) cautious: bool,
    /// How long the answer is; not said: a sentence.
    pub(super) form: Option<Form>,
    /// Whether nothing is reworded.
    pub(super) verbatim: bool,
    /// The most words that a span may have.
    pub(super) at_most: Option<u32>,
}

/// Is the longest mean length of example answers, in words, that reads as brief; and of a stated bound.
const BRIEF_WORDS: usize = 8;

impl Manner {
    /// Takes in one effect; later ones win.
    pub(super) fn apply(&mut self, effect: Effect) {
        match effect {
            Effect::MayAbstain => self.may_abstain = true,
            Effect::MustAnswer => (self.may_abstain, self.cautious) = (false, false),
            Effect::Cautious => (self.may_abstain, self.cautious) = (true, true),
            Effect::Brief => self.form = Some(Form::Brief),
            Effect::Sentence => self.form = Some(Form::Sentence),
            Effect::Verbatim => self.verbatim = true,
            Effect::Reworded => self.verbatim = false,
            Effect::AtMost(n) => {
                self.at_most = Some(n);
                if n <= 20 {
                    self.form = Some(Form::Brief);
                }
            }
        }
    }

    /// Takes in worked examples: short answers make it brief and bound the span by the longest of them, long ones make it
    /// answer in sentences, and one that abstains permits to abstain.
    pub(super) fn follow(&mut self, answers: &[&str]) {
        let (mut words, mut longest, mut shown) = (0, 0, 0);
        for answer in answers {
            if is_abstention(answer) {
                self.may_abstain = true;
                continue;
            }
            let count = answer.split_whitespace().count();
            words += count;
            longest = longest.max(count);
            shown += 1;
        }
        if shown == 0 {
            return;
        }
        if words <= BRIEF_WORDS * shown {
            self.form = Some(Form::Brief);
            self.at_most = Some(self.at_most.map_or(longest as u32, |n| n.min(longest as u32)));
        } else {
            self.form = Some(Form::Sentence);
        }
    }
}

/// Says whether an example's answer abstains.
fn is_abstention(answer: &str) -> bool {
    let plain: String =
        answer.trim().trim_end_matches(['.', '!']).chars().map(|c| if c == '’' { '\'' } else { c }).collect();
    ["i don't know", "i do not know", "unanswerable", "unknown", "not in the passage", "no answer"]
        .iter()
        .any(|phrase| plain.eq_ignore_ascii_case(phrase))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn examples_set_length_and_permission() {
        let mut manner = Manner::default();
        manner.follow(&["1841", "the harbour board", "I don’t know."]);
        assert_eq!(
            manner,
            Manner { may_abstain: true, form: Some(Form::Brief), at_most: Some(3), ..Manner::default() }
        );
        let mut manner = Manner::default();
        manner.follow(&["It was built in 1841 by the harbour board of the town."]);
        assert_eq!(manner, Manner { form: Some(Form::Sentence), ..Manner::default() });
        let mut manner = Manner::default();
        manner.follow(&[]);
        manner.follow(&["unknown"]);
        assert_eq!(manner, Manner { may_abstain: true, ..Manner::default() });
    }
}
