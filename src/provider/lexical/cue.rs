use super::manner::Effect;

/// Is one thing that the reader understands in instructions: a row of [`CUES`].
#[derive(Clone, Copy, Debug)]
pub struct Cue {
    /// What the row is called.
    pub name: &'static str,
    /// What to a reader of instructions it means, in one sentence.
    pub meaning: &'static str,
    /// The phrases that give it: lower-case words that follow each other within a clause; `<n>` is any number, in digits or
    /// letters up to twenty.
    pub phrases: &'static [&'static str],
    /// What it does.
    pub(super) effect: Effect,
    /// What it does when a word that negates ("not", "never", "avoid", "without" …) is one of the two words before it.
    pub(super) negated: Option<Effect>,
}

/// Lists all that the reader understands in instructions. Whatever else they say has no effect.
///
/// Instructions are the system messages and what stands before the passage and the question in the user's; later ones win
/// over earlier ones. The reader's manner holds what comes of them.
pub const CUES: &[Cue] = &[
    Cue {
        name: "may abstain",
        meaning: "Says \"I don't know.\" when no span scores above the threshold; without it the reader always answers.",
        phrases: &[
            "i don't know",
            "i do not know",
            "unanswerable",
            "not answerable",
            "cannot be answered",
            "can't be answered",
            "can not be answered",
            "not in the passage",
            "not in the text",
            "not in the context",
            "not stated",
            "not contain the answer",
            "doesn't contain the answer",
            "not give the answer",
            "insufficient information",
            "not enough information",
            "not provided in the passage",
            "abstain",
            "decline to answer",
        ],
        effect: Effect::MayAbstain,
        negated: Some(Effect::MustAnswer),
    },
    Cue {
        name: "must answer",
        meaning: "Always answers, whatever was said of abstaining before; \"do not guess\" is the cue \"cautious\".",
        phrases: &["always answer", "always give an answer", "must answer", "answer every question", "guess"],
        effect: Effect::MustAnswer,
        negated: Some(Effect::Cautious),
    },
    Cue {
        name: "cautious",
        meaning: "May abstain, and does so below a threshold that is higher by `CAUTION`.",
        phrases: &[
            "only if certain",
            "only if you are certain",
            "only if you are sure",
            "only when certain",
            "only when you are certain",
            "only when you are sure",
            "unless you are certain",
            "unless you are sure",
            "if you are not certain",
            "if you are not sure",
            "if you are unsure",
            "if in doubt",
            "when in doubt",
            "any doubt",
            "slightest doubt",
        ],
        effect: Effect::Cautious,
        negated: None,
    },
    Cue {
        name: "brief",
        meaning: "Answers with a span; without it, with the sentence that holds the span.",
        phrases: &[
            "short",
            "shortest",
            "brief",
            "briefly",
            "concise",
            "concisely",
            "terse",
            "few words",
            "a word or two",
            "exact span",
            "only the answer",
            "just the answer",
            "answer only",
            "nothing else",
        ],
        effect: Effect::Brief,
        negated: Some(Effect::Sentence),
    },
    Cue {
        name: "sentence",
        meaning: "Answers with the sentence that holds the span.",
        phrases: &[
            "complete sentence",
            "complete sentences",
            "full sentence",
            "full sentences",
            "whole sentence",
            "explain",
            "explanation",
            "explanations",
            "in detail",
            "elaborate",
        ],
        effect: Effect::Sentence,
        negated: Some(Effect::Brief),
    },
    Cue {
        name: "verbatim",
        meaning: "Copies span or sentence as it stands; without it, a clause loses the word that opens it (\"because\") and a \
                  sentence its asides in brackets and its opening \"However,\".",
        phrases: &[
            "quote",
            "copy",
            "copied",
            "verbatim",
            "word for word",
            "exact words",
            "exact span",
            "exact wording",
        ],
        effect: Effect::Verbatim,
        negated: Some(Effect::Reworded),
    },
    Cue {
        name: "at most n words",
        meaning: "Considers only spans of at most so many words, and is brief up to twenty; \"at least\" is not understood.",
        phrases: &["<n> word", "<n> words", "<n> or fewer words", "<n> words or fewer"],
        effect: Effect::AtMost(0),
        negated: Some(Effect::AtMost(0)),
    },
];

/// Finds what a text of instructions asks for, in the order in which it is asked.
pub(super) fn effects(instructions: &str) -> Vec<Effect> {
    let words = clause_words(instructions);
    let mut found: Vec<(usize, usize, Effect)> = Vec::new();
    for cue in CUES {
        for phrase in cue.phrases {
            let pattern: Vec<&str> = phrase.split(' ').collect();
            for at in 0..words.len() {
                let Some(number) = matches_at(&words[at..], &pattern) else { continue };
                let negated = is_negated(&words[at.saturating_sub(2)..at]);
                let effect = if negated { cue.negated } else { Some(cue.effect) };
                match effect {
                    Some(Effect::AtMost(_)) if words[at.saturating_sub(1)] == "least" => {}
                    Some(Effect::AtMost(_)) => found.push((at, pattern.len(), Effect::AtMost(number))),
                    Some(effect) => found.push((at, pattern.len(), effect)),
                    None => {}
                }
            }
        }
    }
    // The order of reading; of two phrases that start together the longer is read last.
    found.sort_by_key(|(at, len, _)| (*at, *len));
    found.into_iter().map(|(_, _, effect)| effect).collect()
}

/// Stands between two clauses in a list of words.
const CLAUSE: &str = "|";

/// Lists the words in lower case, with [`CLAUSE`] wherever punctuation ends a clause. Quotation marks end none.
fn clause_words(text: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut word = String::new();
    let mut end = |word: &mut String, clause: bool| {
        let trimmed = word.trim_matches(['\'', '-']);
        if !trimmed.is_empty() {
            words.push(trimmed.to_owned());
        }
        word.clear();
        if clause && words.last().is_some_and(|w| w != CLAUSE) {
            words.push(CLAUSE.to_owned());
        }
    };
    for c in text.chars() {
        match c {
            '’' | '\'' => word.push('\''),
            '-' => word.push('-'),
            _ if c.is_alphanumeric() => word.extend(c.to_lowercase()),
            '.' | ',' | ';' | ':' | '!' | '?' | '(' | ')' | '\n' | '–' | '—' => end(&mut word, true),
            _ => end(&mut word, false),
        }
    }
    end(&mut word, true);
    words
}

/// Compares a pattern with the words at a place; gives the number that `<n>` stands for, or 0.
fn matches_at(words: &[String], pattern: &[&str]) -> Option<u32> {
    let mut number = 0;
    if words.len() < pattern.len() {
        return None;
    }
    for (word, expected) in words.iter().zip(pattern) {
        if *expected == "<n>" {
            number = read_number(word)?;
        } else if word != expected {
            return None;
        }
    }
    Some(number)
}

fn read_number(word: &str) -> Option<u32> {
    const LETTERS: [&str; 20] = [
        "one",
        "two",
        "three",
        "four",
        "five",
        "six",
        "seven",
        "eight",
        "nine",
        "ten",
        "eleven",
        "twelve",
        "thirteen",
        "fourteen",
        "fifteen",
        "sixteen",
        "seventeen",
        "eighteen",
        "nineteen",
        "twenty",
    ];
    let letters = LETTERS.iter().position(|letters| *letters == word).map(|i| i as u32 + 1);
    letters.or_else(|| word.parse().ok()).filter(|n| *n > 0)
}

/// Says whether the two words before a phrase negate it.
fn is_negated(before: &[String]) -> bool {
    let clause = before.iter().rposition(|w| w == CLAUSE).map_or(0, |at| at + 1);
    let words: Vec<&str> = before[clause..].iter().map(String::as_str).collect();
    let negates = |w: &str| matches!(w, "not" | "never" | "no" | "avoid" | "without" | "cannot") || w.ends_with("n't");
    words.iter().any(|w| negates(w)) || matches!(words[..], ["rather", "than"] | ["instead", "of"])
}

#[cfg(test)]
mod tests {
    use super::*;
    use Effect::{AtMost, Brief, Cautious, MayAbstain, MustAnswer, Reworded, Sentence, Verbatim};

    #[test]
    fn each_row_is_understood() {
        for cue in CUES {
            for phrase in cue.phrases {
                let text = format!("Please note. {}: thanks", phrase.replace("<n>", "5"));
                let expected = if cue.effect == AtMost(0) { AtMost(5) } else { cue.effect };
                assert!(effects(&text).contains(&expected), "{phrase}");
            }
        }
    }

    #[test]
    fn what_is_negated_is_turned_round() {
        for (text, expected) in [
            ("If the passage does not say, reply “I don’t know.”", vec![MayAbstain]),
            ("If you cannot find it, say I don't know", vec![MayAbstain]),
            ("Never say \"I don't know\".", vec![MustAnswer]),
            ("Do not guess.", vec![Cautious]),
            ("Give your best guess", vec![MustAnswer]),
            ("Do not explain.", vec![Brief]),
            ("Name it rather than explain.", vec![Brief]),
            ("Don't quote, answer in a complete sentence", vec![Reworded, Sentence]),
            ("Copy the exact span.", vec![Verbatim, Brief, Verbatim]),
            ("Use no more than Five words.", vec![AtMost(5)]),
            ("Write at least 5 words.", vec![]),
            ("You enjoy long walks and shortbread.", vec![]),
        ] {
            assert_eq!(effects(text), expected, "{text}");
        }
    }

    #[test]
    fn a_clause_bounds_phrases_and_negations() {
        assert_eq!(effects("Not here. Guess!"), [MustAnswer]);
        assert_eq!(effects("Be exact. Span it."), []);
    }
}
