//! The two normal forms of an answer.
//!
//! Both put a text in lower case, delete ASCII punctuation, drop English articles and collapse white space. They differ
//! in what an article is: the official SQuAD 2.0 evaluator finds it between word boundaries, `qa` only as a whole token.
//! So `l’a b` keeps its `a` in one and loses it in the other. Letters are not otherwise touched: no Unicode
//! normalisation, no case folding.

use unicode_normalization::char::is_combining_mark;

/// Where an article is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Articles {
    /// Between word boundaries, as Python's `re` sees them.
    AtWordBoundary,
    /// Between white space.
    WholeToken,
    /// Nowhere.
    Kept,
}

/// Normalises as the official SQuAD 2.0 evaluator does.
///
/// Lower case; the 32 ASCII punctuation characters deleted; every `a`, `an`, `the` between word boundaries (as Python's
/// `re` has them) replaced by a space; white space (as Python's `str.split` has it) collapsed and trimmed.
pub fn squad_normal(text: &str) -> String {
    normal(text, true, Articles::AtWordBoundary)
}

/// Normalises as the `qa` scorer does.
///
/// As [`squad_normal`], but an article is dropped only where it is a whole token between white space.
pub fn qa_normal(text: &str) -> String {
    normal(text, true, Articles::WholeToken)
}

/// Normalises with a choice of case and articles.
pub(super) fn normal(text: &str, lower: bool, articles: Articles) -> String {
    if let Some(plain) = plain_normal(text, lower, articles) {
        return plain;
    }
    let mut out = String::with_capacity(text.len());
    if lower {
        // The whole text at once: a final sigma depends on its neighbours, and punctuation counts among those.
        fold(text.to_lowercase().chars(), articles, &mut out);
    } else {
        fold(text.chars(), articles, &mut out);
    }
    out
}

/// Is what an ASCII character is to a normal form.
#[derive(Clone, Copy)]
enum Kind {
    /// A letter or digit.
    Kept,
    /// Punctuation.
    Dropped,
    /// White space.
    Space,
    /// A control character: neither a word nor a space.
    Other,
}

/// Are the kinds of all bytes; passages are long, and nearly all of them are nothing but ASCII.
const KINDS: [Kind; 256] = {
    let mut kinds = [Kind::Other; 256];
    let mut byte = 0;
    while byte < 128 {
        let c = byte as u8;
        kinds[byte] = match c {
            b'\t'..=b'\r' | 0x1c..=b' ' => Kind::Space,
            _ if c.is_ascii_alphanumeric() => Kind::Kept,
            _ if c.is_ascii_punctuation() => Kind::Dropped,
            _ => Kind::Other,
        };
        byte += 1;
    }
    kinds
};

/// Does the same for a text of ASCII letters, digits, punctuation and white space, in which a word boundary is where a
/// token ends; `None` for any other.
fn plain_normal(text: &str, lower: bool, articles: Articles) -> Option<String> {
    let mut out = Vec::with_capacity(text.len() + 1);
    // Where the token begins that is being read: whatever is before it ends in a space.
    let mut start = 0;
    for &byte in text.as_bytes() {
        match KINDS[usize::from(byte)] {
            Kind::Kept => out.push(if lower { byte.to_ascii_lowercase() } else { byte }),
            Kind::Dropped => {}
            Kind::Space => end_token(&mut out, &mut start, articles),
            Kind::Other => return None,
        }
    }
    end_token(&mut out, &mut start, articles);
    out.pop();
    String::from_utf8(out).ok()
}

/// Ends a token with a space, or takes it back if it is an article.
fn end_token(out: &mut Vec<u8>, start: &mut usize, articles: Articles) {
    let token = &out[*start..];
    if token.is_empty() {
        return;
    }
    let is_article = articles != Articles::Kept
        && token.len() <= 3
        && [&b"a"[..], b"an", b"the"].iter().any(|article| token.eq_ignore_ascii_case(article));
    if is_article {
        out.truncate(*start);
    } else {
        out.push(b' ');
        *start = out.len();
    }
}

/// Appends the normal form of `chars` to the empty `out`, in one pass.
fn fold(chars: impl Iterator<Item = char>, articles: Articles, out: &mut String) {
    // A run is what could be an article: since punctuation vanishes before articles are sought, it does not end one.
    let mut run_start = None;
    let mut space_due = false;
    for c in chars {
        if c.is_ascii_punctuation() {
            continue;
        }
        let space = is_space(c);
        if space || (articles == Articles::AtWordBoundary && !is_word(c)) {
            space_due |= end_run(&mut run_start, articles, out) | space;
            if space {
                continue;
            }
            push_space(&mut space_due, out);
            out.push(c);
        } else {
            push_space(&mut space_due, out);
            run_start.get_or_insert(out.len());
            out.push(c);
        }
    }
    end_run(&mut run_start, articles, out);
    out.truncate(out.trim_end_matches(' ').len());
}

/// Ends a run; takes it back and says so if it is an article.
fn end_run(run_start: &mut Option<usize>, articles: Articles, out: &mut String) -> bool {
    let Some(start) = run_start.take() else {
        return false;
    };
    let run = &out[start..];
    let is_article = articles != Articles::Kept
        && run.len() <= 3
        && ["a", "an", "the"].iter().any(|article| run.eq_ignore_ascii_case(article));
    if is_article {
        out.truncate(start);
    }
    is_article
}

/// Pushes the space that is due, unless it would lead or double.
fn push_space(due: &mut bool, out: &mut String) {
    if std::mem::take(due) && !out.is_empty() && !out.ends_with(' ') {
        out.push(' ');
    }
}

/// Says whether Python's `str.split` splits at `c`: Unicode white space and the four ASCII separators.
pub(super) fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

/// Says whether `\w` of Python's `re` matches `c`: a letter, a number (general categories L and N) or an underscore.
///
/// Rust's notion is wider: it takes in the combining vowel signs and the circled and squared Latin letters, which are
/// alphabetic without being letters.
pub(super) fn is_word(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_alphanumeric() || c == '_';
    }
    let is_symbol = matches!(
        c,
        '\u{24b6}'..='\u{24e9}' | '\u{1f130}'..='\u{1f149}' | '\u{1f150}'..='\u{1f169}' | '\u{1f170}'..='\u{1f189}'
    );
    c.is_alphanumeric() && !is_symbol && !is_combining_mark(c)
}

/// Splits a normal form into its words, as a split on Python's `\W+` without the empty pieces does.
pub(super) fn words(normal: &str) -> impl Iterator<Item = &str> {
    normal.split(|c: char| !is_word(c)).filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use regex::Regex;

    /// The evaluator's four steps one after the other, each as plain as it can be.
    fn slow(text: &str, word_boundary: bool) -> String {
        let kept: String =
            text.to_lowercase().chars().filter(|c| !"!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~".contains(*c)).collect();
        let kept = if word_boundary {
            let run = Regex::new(r"[\p{L}\p{N}_]+").unwrap();
            let drop = |found: &regex::Captures<'_>| match &found[0] {
                "a" | "an" | "the" => " ".to_owned(),
                other => other.to_owned(),
            };
            run.replace_all(&kept, drop).into_owned()
        } else {
            kept
        };
        let split = Regex::new(r"[\s\x1c-\x1f]+").unwrap();
        split
            .split(&kept)
            .filter(|token| !token.is_empty())
            .filter(|token| word_boundary || !["a", "an", "the"].contains(token))
            .collect::<Vec<_>>()
            .join(" ")
    }

    #[test]
    fn word_characters_are_letters_and_numbers_by_category() {
        // Only characters of Unicode 14: the three tables in play may be of different, later versions.
        let class = Regex::new(r"^[\p{L}\p{N}_]$").unwrap();
        let age = Regex::new(r"^\p{age:14.0}$").unwrap();
        let mut buffer = [0; 4];
        let mut seen = 0;
        for c in '\0'..=char::MAX {
            let text: &str = c.encode_utf8(&mut buffer);
            if age.is_match(text) {
                seen += 1;
                assert_eq!(is_word(c), class.is_match(text), "U+{:04X}", c as u32);
            }
        }
        assert!(seen > 140_000, "{seen}");
    }

    #[test]
    fn spaces_are_those_of_python() {
        let mut spaces: Vec<u32> = ('\0'..=char::MAX).filter(|c| is_space(*c)).map(u32::from).collect();
        spaces.retain(|c| !(0x2000..=0x200a).contains(c));
        let expected = [
            9, 10, 11, 12, 13, 0x1c, 0x1d, 0x1e, 0x1f, 0x20, 0x85, 0xa0, 0x1680, 0x2028, 0x2029, 0x202f, 0x205f, 0x3000,
        ];
        assert_eq!(spaces, expected);
    }

    #[test]
    fn punctuation_vanishes_without_a_trace() {
        assert_eq!(qa_normal("U.S."), "us");
        assert_eq!(qa_normal("3.14"), "314");
        assert_eq!(qa_normal("e=mc²"), "emc²");
        assert_eq!(qa_normal("t.h.e cat"), "cat");
        assert_eq!(squad_normal("t.h.e cat"), "cat");
        assert_eq!(qa_normal(" “Hamlet” — A\u{a0}play "), "“hamlet” — play");
    }

    #[test]
    fn articles_at_every_place() {
        for form in [squad_normal, qa_normal] {
            assert_eq!(form("the cat the"), "cat");
            assert_eq!(form("cat a an the dog"), "cat dog");
            assert_eq!(form("a the"), "");
            assert_eq!(form("theatre an2 a1"), "theatre an2 a1");
        }
        assert_eq!(squad_normal("x’a’y"), "x’ ’y");
        assert_eq!(qa_normal("x’a’y"), "x’a’y");
        assert_eq!(normal("The CAT", false, Articles::WholeToken), "CAT");
        assert_eq!(normal("The CAT", true, Articles::Kept), "the cat");
    }

    #[test]
    fn lower_case_is_pythons() {
        assert_eq!(qa_normal("İSTANBUL"), "i\u{307}stanbul");
        assert_eq!(qa_normal("ΟΔΟΣ. ΣΑΣ"), "οδος σας");
        assert_eq!(qa_normal("Straße ﬁ Ｆ"), "straße ﬁ ｆ");
    }

    #[test]
    fn words_split_at_what_is_not_a_word() {
        assert_eq!(words("o’neil –10\u{200d}x—").collect::<Vec<_>>(), ["o", "neil", "10", "x"]);
    }

    proptest! {
        #[test]
        fn a_plain_text_is_no_exception(text in "([aAnNtThHeE]|the|an| |_|\\t|\\n|\x1d|\x07|[ -~]){0,24}") {
            prop_assert_eq!(squad_normal(&text), slow(&text, true));
            prop_assert_eq!(qa_normal(&text), slow(&text, false));
            let cased = normal(&text, false, Articles::WholeToken);
            prop_assert_eq!(cased.to_lowercase(), slow(&text, false));
        }

        #[test]
        fn one_pass_equals_the_plain_steps(text in "([aAnNtThHeE]|the|an| |\\.|’|_|\u{301}|Σ|İ|²|\u{1d}|\u{a0}|😀|[ -~]|\\PC){0,24}") {
            prop_assert_eq!(squad_normal(&text), slow(&text, true));
            prop_assert_eq!(qa_normal(&text), slow(&text, false));
        }
    }
}
