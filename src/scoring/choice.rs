//! The answer chooses the right one of some options.

use super::normalize::{Articles, normal};
use super::{Gold, Score, Scores};

/// How a gold answer of [`Choice`] names its option.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum GoldOption {
    /// By the option's text, else by its letter.
    #[default]
    TextOrLetter,
    /// By its place, counted from 0.
    Index,
    /// By its place, counted from 1.
    Number,
}

/// The settings of [`Choice`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ChoiceSettings {
    /// The options, in order; empty where each item brings its own ([`Gold::options`]).
    pub options: Vec<String>,
    /// How gold answers name them.
    pub gold: GoldOption,
}

/// Scores 1 if the answer chooses an option that a gold answer names, else 0.
///
/// The options have letters, `A` for the first. What an answer chooses is found by the first of these rules that names an
/// option at all; where that rule names more than one, or no rule names any, the answer chooses nothing
/// ([`Scores::is_unclear`]):
///
/// 1. All of the answer is an option's text, in the normal form of [`qa_normal`](super::qa_normal) with articles kept.
/// 2. All of the answer is a letter, in either case, whatever brackets, stops and asterisks stand around it.
/// 3. Letters after the word `answer` (`the answer is B`, `Answer: (b)`), or after `option` or `choice`.
/// 4. A capital letter with a bracket, stop or colon (`B)`, `(B)`, `**B.**`) at the start of the answer, but for `A) or B)`.
/// 5. Options' texts that occur in the answer as whole words, one that stands within another found one aside.
/// 6. Capital letters in brackets anywhere.
#[derive(Debug, Clone, Default)]
pub struct Choice {
    settings: ChoiceSettings,
}

impl Choice {
    /// Makes the scorer.
    pub fn new(settings: ChoiceSettings) -> Self {
        Self { settings }
    }

    /// Finds the place of the option that `answer` chooses.
    pub fn chosen(options: &[String], answer: &str) -> Option<usize> {
        let texts: Vec<String> = options.iter().map(|option| form(option)).collect();
        let whole = form(answer);
        let rules: [&dyn Fn() -> Vec<usize>; 6] = [
            &|| places(&texts, |text| !text.is_empty() && *text == whole),
            &|| bare_letter(answer).and_then(|letter| place(letter, options.len())).into_iter().collect(),
            &|| announced(answer, options.len()),
            &|| leading(answer).and_then(|letter| place(letter, options.len())).into_iter().collect(),
            &|| mentioned(&texts, &whole),
            &|| bracketed(answer, options.len()),
        ];
        let mut found = rules.iter().map(|rule| rule()).find(|found| !found.is_empty())?;
        found.sort_unstable();
        found.dedup();
        match found[..] {
            [only] => Some(only),
            _ => None,
        }
    }

    fn named(&self, options: &[String], gold: &str) -> Option<usize> {
        let counted = |from: usize| {
            let place = gold.trim().parse::<usize>().ok()?.checked_sub(from)?;
            (place < options.len()).then_some(place)
        };
        match self.settings.gold {
            GoldOption::Index => counted(0),
            GoldOption::Number => counted(1),
            GoldOption::TextOrLetter => {
                let wanted = form(gold);
                let by_text = options.iter().position(|option| form(option) == wanted);
                by_text.or_else(|| place(bare_letter(gold)?, options.len()))
            }
        }
    }
}

/// Brings a text into the form in which options are compared: one of nothing but punctuation is itself.
fn form(text: &str) -> String {
    let normal = normal(text, true, Articles::Kept);
    if normal.is_empty() { text.trim().to_owned() } else { normal }
}

fn places<T>(all: &[T], test: impl Fn(&T) -> bool) -> Vec<usize> {
    all.iter().enumerate().filter(|(_, one)| test(one)).map(|(at, _)| at).collect()
}

/// Returns the place that a letter names among `count` options.
fn place(letter: char, count: usize) -> Option<usize> {
    let at = (letter.to_ascii_uppercase() as usize).checked_sub('A' as usize)?;
    (letter.is_ascii_alphabetic() && at < count).then_some(at)
}

fn bare_letter(text: &str) -> Option<char> {
    let mut rest = text.trim_matches(|c: char| c.is_whitespace() || "()[]{}*_`'\".:,;".contains(c)).chars();
    rest.next().filter(|c| c.is_ascii_alphabetic() && rest.next().is_none())
}

/// Finds the letters that stand after a word for an answer, alone and followed by no word: `answer is a dog` names none.
fn announced(answer: &str, count: usize) -> Vec<usize> {
    let words: Vec<&str> = answer.split_whitespace().collect();
    let bare = |word: &str| word.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase();
    let mut found = Vec::new();
    for (at, word) in words.iter().enumerate() {
        let (word, glued) = word.split_once(':').unwrap_or((word, ""));
        if !matches!(bare(word).as_str(), "answer" | "option" | "choice") {
            continue;
        }
        let rest = words[at + 1..].iter().copied().skip_while(|word| matches!(bare(word).as_str(), "is" | ""));
        let mut after = [glued].into_iter().filter(|glued| !bare(glued).is_empty()).chain(rest);
        let Some(written) = after.next() else { continue };
        let Some(letter) = bare_letter(written) else { continue };
        // `a` and `i` are words too: they are letters of options only as capitals, or where nothing goes on after them.
        let is_word =
            matches!(letter, 'a' | 'i') && written.chars().all(char::is_alphanumeric) && after.next().is_some();
        found.extend(place(letter, count).filter(|_| !is_word));
    }
    found
}

fn leading(answer: &str) -> Option<char> {
    let start = answer.trim_start_matches(|c: char| c.is_whitespace() || "([*_`".contains(c));
    let letter = start.chars().next().filter(char::is_ascii_uppercase)?;
    let rest = start[1..].strip_prefix([')', '.', ':', ']'])?;
    // `U.S.` and `A.M.` begin with no option's letter, and `A) or B)` begins with more than one.
    let goes_on = rest.starts_with(char::is_alphanumeric)
        || rest.split_whitespace().next().is_some_and(|word| matches!(word, "or" | "and" | "/" | "&"));
    (!goes_on).then_some(letter)
}

/// Finds the options whose texts occur as whole words, longest first: a find within one that is taken does not count.
fn mentioned(texts: &[String], whole: &str) -> Vec<usize> {
    let mut order: Vec<usize> = (0..texts.len()).filter(|at| !texts[*at].is_empty()).collect();
    order.sort_by_key(|at| (std::cmp::Reverse(texts[*at].len()), *at));
    let mut rest = format!(" {whole} ");
    let mut found = Vec::new();
    for at in order {
        let needle = format!(" {} ", texts[at]);
        if rest.contains(&needle) {
            found.push(at);
            // Two spaces on either side of a mark that no normal form holds, so that neighbours still stand alone.
            rest = rest.replace(&needle, " \u{0} ");
        }
    }
    found
}

fn bracketed(answer: &str, count: usize) -> Vec<usize> {
    let chars: Vec<char> = answer.chars().collect();
    let inside =
        |w: &[char]| (matches!((w[0], w[2]), ('(', ')') | ('[', ']')) && w[1].is_ascii_uppercase()).then_some(w[1]);
    chars.windows(3).filter_map(inside).filter_map(|letter| place(letter, count)).collect()
}

impl Score for Choice {
    const NAME: &'static str = "choice";
    const REVISION: u32 = 1;

    fn metrics(&self, _open: bool) -> &'static [&'static str] {
        &["choice"]
    }

    fn score(&self, answer: &str, gold: &Gold<'_>) -> Scores {
        let options = if self.settings.options.is_empty() { gold.options } else { &self.settings.options };
        let chosen = Self::chosen(options, answer);
        let value = gold.any(|gold| chosen.is_some() && self.named(options, gold) == chosen);
        Scores::new(self.metrics(gold.open), &[value]).unclear(chosen.is_none())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(texts: &[&str]) -> Vec<String> {
        texts.iter().map(ToString::to_string).collect()
    }

    fn chosen(answer: &str) -> Option<usize> {
        Choice::chosen(&options(&["billing", "tech", "tech support", "U.S. sales"]), answer)
    }

    #[test]
    fn text_or_letter_whole_or_within() {
        for answer in ["tech", " Tech.\n", "b", "B", "(b)", "**B.**", "B) tech", "(B) the second", "B: it is"] {
            assert_eq!(chosen(answer), Some(1), "{answer}");
        }
        for answer in ["The answer is B.", "Answer: b", "answer:B", "I pick option **B**", "so the choice is (B)"] {
            assert_eq!(chosen(answer), Some(1), "{answer}");
        }
        assert_eq!(chosen("It goes to tech support, surely"), Some(2));
        assert_eq!(chosen("us sales"), Some(3));
        assert_eq!(chosen("I would say (D) here"), Some(3));
    }

    #[test]
    fn what_names_none_or_several_chooses_nothing() {
        for answer in
            ["", "none of them", "E", "billing or tech", "tech and tech support", "(A) or (B)", "Answer: A. Answer: B"]
        {
            assert_eq!(chosen(answer), None, "{answer}");
        }
    }

    #[test]
    fn an_earlier_rule_settles_what_a_later_one_would_not() {
        assert_eq!(chosen("B) tech, not billing"), Some(1));
        assert_eq!(chosen("Not billing, not tech. Answer: C"), Some(2));
    }

    #[test]
    fn words_are_no_letters() {
        assert_eq!(chosen("The answer is a tech matter"), Some(1));
        assert_eq!(chosen("The answer is a"), Some(0));
        assert_eq!(chosen("A.M. hours"), None);
        assert_eq!(chosen("technical"), None);
        assert_eq!(Choice::chosen(&options(&["a cat", "a dog"]), "A dog"), Some(1));
    }

    #[test]
    fn gold_by_text_letter_or_place() {
        let score = |gold: GoldOption, answers: &[&str], answer: &str| {
            let choice = Choice::new(ChoiceSettings { options: options(&["x", "y", "z"]), gold });
            choice.score(answer, &Gold::closed(&options(answers))).get("choice")
        };
        assert_eq!(score(GoldOption::TextOrLetter, &["y"], "B"), Some(1.0));
        assert_eq!(score(GoldOption::TextOrLetter, &["b"], "y"), Some(1.0));
        assert_eq!(score(GoldOption::Index, &["1"], "y"), Some(1.0));
        assert_eq!(score(GoldOption::Number, &["2"], "y"), Some(1.0));
        assert_eq!(score(GoldOption::Number, &["0"], "x"), Some(0.0));
        assert_eq!(score(GoldOption::TextOrLetter, &["q"], "x"), Some(0.0));
        assert_eq!(score(GoldOption::TextOrLetter, &["x", "y"], "y"), Some(1.0));
    }

    #[test]
    fn an_unclear_answer_is_marked_even_where_gold_names_nothing() {
        let choice = Choice::new(ChoiceSettings { options: options(&["x", "y"]), gold: GoldOption::TextOrLetter });
        let score = |answer: &str| choice.score(answer, &Gold::closed(&options(&["q"])));
        assert!(score("x or y").is_unclear());
        assert!(!score("x").is_unclear());
        assert_eq!(score("x or y").get("choice"), Some(0.0));
    }

    #[test]
    fn items_may_bring_their_options() {
        let own = options(&["red", "blue"]);
        let gold_answers = options(&["blue"]);
        let gold = Gold { options: &own, ..Gold::closed(&gold_answers) };
        assert_eq!(Choice::default().score("B", &gold).get("choice"), Some(1.0));
        assert!(Choice::default().score("B", &Gold::closed(&gold_answers)).is_unclear());
    }
}
