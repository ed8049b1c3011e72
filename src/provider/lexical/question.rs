use std::collections::HashMap;
use std::sync::LazyLock;

use super::passage::BuildStemHasher;
use super::token::{Marks, Token, fnv, tokenise};
use super::words::table;

/// Says what kind of thing a question asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Want {
    /// Somebody: who, whom, whose, "which king".
    Person,
    /// A time: when, "what year".
    Date,
    /// A year.
    Year,
    /// A place: where, "what city".
    Place,
    /// A count: how many, "what percentage".
    Count,
    /// A measure or a sum: how much, how long, how tall.
    Measure,
    /// A reason: why.
    Reason,
    /// A way: how.
    Manner,
    /// Something with a name: "which river", "what is the name of".
    Named,
    /// Anything else.
    Thing,
}

/// Says on which side of the question's words the answer is likelier to stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// Before them: the question word is the subject ("Who founded the town?").
    Before,
    /// After them: an auxiliary follows the question word ("What did the town export?").
    After,
}

/// Is a question as read.
#[derive(Debug)]
pub(super) struct Question {
    /// The stems of its words that carry content, each once, with whether the word is a name or a number.
    pub(super) stems: Vec<(u64, bool)>,
    /// What it asks for.
    pub(super) want: Want,
    /// Where the answer stands.
    pub(super) side: Side,
    /// The stem of the noun that the question word governs ("country" in "in what country"), if any.
    pub(super) focus: Option<u64>,
}

impl Question {
    /// Reads a question.
    pub(super) fn read(text: &str) -> Self {
        let tokens = tokenise(text);
        let asking = tokens.iter().position(|token| ASKING.contains(&token.word));
        let (want, noun) = asking.map_or((Want::Thing, None), |at| wanted(&tokens, at));
        // The first word after the question word that is no noun: "did", "was" (an auxiliary), or "founded", "of".
        let bounds = |token: &&Token| token.marks.any(Marks::VERB) || !token.is_content();
        let rest = asking.map_or(&[][..], |at| &tokens[at + 1..]);
        let is_auxiliary = rest.iter().find(bounds).is_some_and(|t| t.marks.any(Marks::VERB) && !t.is_content());
        let mut stems: Vec<(u64, bool)> = Vec::with_capacity(tokens.len());
        for (i, token) in tokens.iter().enumerate() {
            // A noun that names the kind of the answer need not stand beside it ("year", "city"), but what is counted does.
            let names_kind = Some(i) == noun && !matches!(want, Want::Thing | Want::Count);
            if token.is_content() && !names_kind && !stems.iter().any(|(stem, _)| *stem == token.stem) {
                stems.push((token.stem, i > 0 && token.marks.any(Marks::CAPITAL.with(Marks::NUMBER))));
            }
        }
        let side = if is_auxiliary { Side::After } else { Side::Before };
        Self { stems, want, side, focus: noun.map(|at| tokens[at].stem) }
    }
}

/// Says what the question word at `at` asks for, and which word is the noun that it governs.
fn wanted(tokens: &[Token], at: usize) -> (Want, Option<usize>) {
    let after = at + 1;
    let next = tokens.get(after).map_or(0, |token| token.word);
    let asking = tokens[at].word;
    if asking == fnv("who") || asking == fnv("whom") || asking == fnv("whose") {
        return (Want::Person, None);
    } else if asking == fnv("when") {
        return (Want::Date, None);
    } else if asking == fnv("where") {
        return (Want::Place, None);
    } else if asking == fnv("why") {
        return (Want::Reason, None);
    } else if asking == fnv("how") && next == fnv("many") {
        return (Want::Count, Some(at + 2).filter(|noun| *noun < tokens.len()));
    } else if asking == fnv("how") {
        return (if MEASURED.contains(&next) { Want::Measure } else { Want::Manner }, None);
    }
    // What, which: the noun after it says what is wanted, also over "is the", "was the first" and the like.
    let is_led = LEADS.contains(&next);
    let mut from = after + usize::from(is_led);
    while is_led && tokens.get(from).is_some_and(|token| !token.is_content()) {
        from += 1;
    }
    let nouns = tokens.iter().skip(from).take(4).take_while(|t| t.is_content() && !t.marks.any(Marks::VERB)).count();
    let named = (from..from + nouns).rev().find_map(|i| Some((wanted_by(tokens[i].word)?, Some(i))));
    named.unwrap_or((Want::Thing, (!is_led && nouns > 0).then(|| from + nouns - 1)))
}

/// Are the question words.
const ASKING: [u64; 9] = [
    fnv("who"),
    fnv("whom"),
    fnv("whose"),
    fnv("when"),
    fnv("where"),
    fnv("why"),
    fnv("how"),
    fnv("what"),
    fnv("which"),
];

/// Are the words after "how" that ask for a measure.
const MEASURED: [u64; 12] = [
    fnv("much"),
    fnv("long"),
    fnv("tall"),
    fnv("high"),
    fnv("deep"),
    fnv("wide"),
    fnv("far"),
    fnv("old"),
    fnv("large"),
    fnv("big"),
    fnv("heavy"),
    fnv("often"),
];

/// Are the words between "what" and the noun that says what is wanted ("what is the name", "what kind of").
const LEADS: [u64; 6] = [fnv("is"), fnv("are"), fnv("was"), fnv("were"), fnv("type"), fnv("kind")];

/// Says what a noun asks for, when it follows "what" or "which".
fn wanted_by(word: u64) -> Option<Want> {
    NOUNS.get(&word).copied()
}

/// Holds [`NOUN_LISTS`] by hash.
static NOUNS: LazyLock<HashMap<u64, Want, BuildStemHasher>> = LazyLock::new(|| table(NOUN_LISTS, |first, _| first));

/// Are nouns, by what they ask for.
const NOUN_LISTS: &[(Want, &str)] = &[
    (Want::Year, "year years"),
    (Want::Date, "date day month century centuries decade time season period era weekday"),
    (
        Want::Place,
        "country countries city town village place state region island province location continent area harbour \
         county street room",
    ),
    (
        Want::Person,
        "king queen person man woman president minister author artist leader ruler general engineer architect \
         captain scientist writer painter emperor",
    ),
    (
        Want::Count,
        "number percentage percent amount proportion share population height length depth weight price cost \
         distance width size age speed",
    ),
    (
        Want::Named,
        "name names named called title river ship company language religion group organisation organization party \
         war battle treaty dynasty book nickname",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn question_words_say_what_is_wanted() {
        for (text, want) in [
            ("Who founded the museum?", Want::Person),
            ("Under whom did it open?", Want::Person),
            ("When was it lit?", Want::Date),
            ("In what year was it lit?", Want::Year),
            ("Where does it rise?", Want::Place),
            ("In which country is it?", Want::Place),
            ("How many locks are there?", Want::Count),
            ("What is the population of Saltby?", Want::Count),
            ("How tall is the tower?", Want::Measure),
            ("Why was it lost?", Want::Reason),
            ("How did it end?", Want::Manner),
            ("What was the name of the ship?", Want::Named),
            ("What gives it its glaze?", Want::Thing),
            ("Name the mill", Want::Thing),
        ] {
            assert_eq!(Question::read(text).want, want, "{text}");
        }
        assert_eq!(Question::read("").stems, []);
    }

    #[test]
    fn the_answer_is_expected_on_the_right_side() {
        assert_eq!(Question::read("Who founded the museum?").side, Side::Before);
        assert_eq!(Question::read("What did the Fabers call it?").side, Side::After);
    }
}
