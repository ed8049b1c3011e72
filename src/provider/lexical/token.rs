use super::words;

/// Is what a token is, as a set of marks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Marks(u32);

impl Marks {
    /// Starts with a capital letter.
    pub(super) const CAPITAL: Self = Self(1);
    /// Is a number, in digits or letters.
    pub(super) const NUMBER: Self = Self(1 << 1);
    /// Is a number of four digits between 1000 and 2099, or a decade ("1960s").
    pub(super) const YEAR: Self = Self(1 << 2);
    /// Is a month.
    pub(super) const MONTH: Self = Self(1 << 3);
    /// Is a function word.
    pub(super) const FUNCTION: Self = Self(1 << 4);
    /// Is a verb form that bounds a noun phrase.
    pub(super) const VERB: Self = Self(1 << 5);
    /// Follows punctuation other than a hyphen.
    pub(super) const BREAK: Self = Self(1 << 6);
    /// Follows a comma and nothing else.
    pub(super) const COMMA: Self = Self(1 << 7);
    /// Starts a sentence.
    pub(super) const SENTENCE: Self = Self(1 << 8);
    /// Is an ordinal number ("third", "10th").
    pub(super) const ORDINAL: Self = Self(1 << 9);
    /// Is a weekday, season, or time of day.
    pub(super) const TIME: Self = Self(1 << 10);
    /// Is a unit.
    pub(super) const UNIT: Self = Self(1 << 11);
    /// May join two parts of a name.
    pub(super) const JOINS: Self = Self(1 << 12);
    /// Makes the name after it a place.
    pub(super) const PLACE: Self = Self(1 << 13);
    /// Follows an opening quotation mark.
    pub(super) const QUOTED: Self = Self(1 << 14);
    /// Multiplies a number.
    pub(super) const MAGNITUDE: Self = Self(1 << 15);
    /// Is short for another word.
    pub(super) const ABBREVIATION: Self = Self(1 << 16);

    /// Says whether any of the marks in `other` is set.
    pub(super) fn any(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Returns both sets together.
    pub(super) const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    fn without(&mut self, other: Self) {
        self.0 &= !other.0;
    }

    fn set(&mut self, other: Self, on: bool) {
        if on {
            self.0 |= other.0;
        }
    }
}

/// Is one word of a text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Token {
    /// Where it starts, in bytes.
    pub(super) start: u32,
    /// Where it ends, in bytes.
    pub(super) end: u32,
    /// The FNV-1a hash of its stem.
    pub(super) stem: u64,
    /// The FNV-1a hash of the word in lower case.
    pub(super) word: u64,
    /// What it is.
    pub(super) marks: Marks,
}

impl Token {
    /// Says whether it carries content: it is no function word.
    pub(super) fn is_content(&self) -> bool {
        !self.marks.any(Marks::FUNCTION)
    }
}

/// Cuts a text into words. A possessive `'s` belongs to no word; hyphens, apostrophes and the points and commas of numbers
/// and initials stay inside.
pub(super) fn tokenise(text: &str) -> Vec<Token> {
    let mut tokens = Vec::with_capacity(text.len() / 5);
    let mut lower = String::with_capacity(32);
    let mut at = 0;
    let mut last_end = 0;
    let mut after_abbreviation = false;
    while let Some((start, end)) = next_word(text, at) {
        let word = &text[start..end];
        lower.clear();
        if word.is_ascii() {
            lower.extend(word.bytes().map(|b| char::from(b.to_ascii_lowercase())));
        } else {
            lower.extend(word.chars().flat_map(char::to_lowercase));
        }
        let hash = fnv(&lower);
        let mut marks = marks_of(word, &lower, hash);
        gap_marks(&text[last_end..start], tokens.is_empty(), after_abbreviation, &mut marks);
        tokens.push(Token { start: start as u32, end: end as u32, stem: fnv(stem(&lower)), word: hash, marks });
        after_abbreviation = marks.any(Marks::ABBREVIATION) || (word.len() == 1 && marks.any(Marks::CAPITAL));
        last_end = end;
        at = end;
        // "'s" and the bare apostrophe of a plural are passed over.
        let rest = &text[end..];
        for suffix in ["'s", "’s"] {
            if let Some(after) = rest.strip_prefix(suffix)
                && !after.starts_with(char::is_alphanumeric)
            {
                at = end + suffix.len();
                last_end = at;
            }
        }
    }
    tokens
}

/// Finds the next word from a byte on: its start and end.
fn next_word(text: &str, from: usize) -> Option<(usize, usize)> {
    let bytes = text.as_bytes();
    let mut at = from;
    loop {
        let c = char_at(text, at)?;
        let is_start = c.is_alphanumeric()
            || (matches!(c, '$' | '£' | '€') && bytes.get(at + c.len_utf8()).is_some_and(u8::is_ascii_digit));
        if is_start {
            break;
        }
        at += c.len_utf8();
    }
    let start = at;
    at += char_at(text, at)?.len_utf8();
    while let Some(c) = char_at(text, at) {
        if c.is_alphanumeric() || is_mark(c) {
            at += c.len_utf8();
            continue;
        }
        if c == '%' {
            at += 1;
            break;
        }
        let next = char_at(text, at + c.len_utf8());
        let before = bytes[at - 1];
        let inside = match c {
            '-' => next.is_some_and(char::is_alphanumeric),
            '\'' | '’' => {
                next.is_some_and(char::is_alphanumeric) && {
                    let after = char_at(text, at + c.len_utf8() + 1);
                    !(next == Some('s') && after.is_none_or(|a| !a.is_alphanumeric()))
                }
            }
            '.' | ',' if before.is_ascii_digit() => next.is_some_and(|n| n.is_ascii_digit()),
            // Initials: U.S., A.D.
            '.' => {
                let initial = at == start + 1 || bytes[at - 2] == b'.';
                initial && before.is_ascii_alphabetic() && next.is_some_and(|n| n.is_ascii_alphabetic())
            }
            _ => false,
        };
        if !inside {
            break;
        }
        at += c.len_utf8();
    }
    Some((start, at))
}

/// Is a combining mark in the commonest block, which belongs to the letter before it.
fn is_mark(c: char) -> bool {
    ('\u{300}'..='\u{36f}').contains(&c)
}

fn char_at(text: &str, at: usize) -> Option<char> {
    match text.as_bytes().get(at) {
        Some(&byte) if byte.is_ascii() => Some(char::from(byte)),
        Some(_) => text.get(at..)?.chars().next(),
        None => None,
    }
}

fn marks_of(word: &str, lower: &str, hash: u64) -> Marks {
    let mut marks = words::listed(hash);
    let first = word.bytes().next().unwrap_or_default();
    let capital = if first.is_ascii() { first.is_ascii_uppercase() } else { word.starts_with(char::is_uppercase) };
    let digit =
        word.bytes().any(|b| b.is_ascii_digit()) && !word.bytes().next().is_some_and(|b| b.is_ascii_alphabetic());
    let digits = word.bytes().take_while(u8::is_ascii_digit).count();
    let century = matches!(word.as_bytes().first(), Some(b'1')) || word.starts_with("20");
    let suffix = &lower[digits.min(lower.len())..];
    let ordinal_digits = digits > 0 && matches!(suffix, "st" | "nd" | "rd" | "th");
    let range = suffix.strip_prefix(['-', '–']).is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_digit()));
    marks.set(Marks::CAPITAL, capital);
    marks.set(Marks::YEAR, digits == 4 && century && (matches!(suffix, "" | "s") || range));
    marks.set(Marks::ORDINAL, ordinal_digits);
    marks.set(Marks::NUMBER, (digit && !ordinal_digits) || words::is_compound_number(lower));
    marks.set(Marks::VERB, !capital && lower.len() > 4 && lower.ends_with("ed"));
    // "May" is a month and "may" is not.
    match (marks.any(Marks::MONTH), capital) {
        (true, true) => marks.without(Marks::FUNCTION.with(Marks::VERB)),
        (true, false) => marks.without(Marks::MONTH),
        (false, _) => {}
    }
    marks
}

/// Reads what stands between two words.
fn gap_marks(gap: &str, is_first: bool, after_abbreviation: bool, marks: &mut Marks) {
    let mut punctuation = 0;
    let mut commas = 0;
    let mut ends = is_first;
    let mut quoted = false;
    for c in gap.chars() {
        match c {
            ' ' | '-' | '\t' | '\r' => {}
            ',' => commas += 1,
            '.' if after_abbreviation => {}
            '.' | '!' | '?' | '…' => ends |= gap.contains([' ', '\n']),
            '\n' => ends = true,
            '"' | '“' | '‘' => {
                quoted = true;
                punctuation += 1;
            }
            _ => punctuation += 1,
        }
    }
    // "approx. 3" and "e.g. this" go on in lower case; a sentence starts with a capital, a digit or a quotation.
    let quoted = quoted && !gap.ends_with(' ');
    let starts = is_first || marks.any(Marks::CAPITAL.with(Marks::NUMBER)) || gap.contains('\n') || quoted;
    marks.set(Marks::SENTENCE, ends && starts);
    marks.set(Marks::BREAK, punctuation + commas > 0 || ends);
    marks.set(Marks::COMMA, commas == 1 && punctuation == 0 && !ends);
    marks.set(Marks::QUOTED, quoted);
}

/// Takes the commonest English endings off a lower-case word, so that "founded", "founder" and "founding" agree.
pub(super) fn stem(lower: &str) -> &str {
    if !lower.is_ascii() || lower.len() < 4 || lower.as_bytes()[0].is_ascii_digit() {
        return lower;
    }
    let mut word = lower;
    if let Some(rest) = word.strip_suffix("ies") {
        word = rest;
    } else if word.ends_with('s') && !word.ends_with("ss") && !word.ends_with("us") && !word.ends_with("is") {
        word = &word[..word.len() - 1];
    }
    for ending in [
        "ational", "ization", "isation", "ation", "ition", "ement", "ment", "ness", "ing", "ion", "ers", "ive", "ed",
        "er", "or", "ly", "al",
    ] {
        let least = if matches!(ending, "ed" | "ing") { 3 } else { 4.max(ending.len()) };
        if word.strip_suffix(ending).is_some_and(|rest| rest.len() >= least) {
            word = &word[..word.len() - ending.len()];
            break;
        }
    }
    if word.len() > 3 {
        word = word.strip_suffix(['e', 'y', 'i']).unwrap_or(word);
    }
    let bytes = word.as_bytes();
    if bytes.len() > 3 && bytes[bytes.len() - 1] == bytes[bytes.len() - 2] {
        word = &word[..word.len() - 1];
    }
    word
}

/// Hashes a word with FNV-1a, 64 bits: a name for look-ups within one answer, never an identity.
pub(super) const fn fnv(text: &str) -> u64 {
    let bytes = text.as_bytes();
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut i = 0;
    while i < bytes.len() {
        hash = (hash ^ bytes[i] as u64).wrapping_mul(0x0100_0000_01b3);
        i += 1;
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn words(text: &str) -> Vec<&str> {
        tokenise(text).iter().map(|t| &text[t.start as usize..t.end as usize]).collect()
    }

    #[test]
    fn words_keep_what_belongs_to_them() {
        let text = "O'Neil's well-known U.S. firm (est. 1,024) paid $3.5 million, 5% of Zoë’s share.";
        let expected = [
            "O'Neil",
            "well-known",
            "U.S",
            "firm",
            "est",
            "1,024",
            "paid",
            "$3.5",
            "million",
            "5%",
            "of",
            "Zoë",
            "share",
        ];
        assert_eq!(words(text), expected);
        assert_eq!(words(" \n…"), [""; 0]);
    }

    #[test]
    fn sentences_start_where_they_do() {
        let text = "Dr. Ann of the U.S. came at 3.15 p.m. on foot. \"Who?\" asked J. Peel. nobody knew\nEnd";
        let starts: Vec<_> = tokenise(text)
            .iter()
            .filter(|t| t.marks.any(Marks::SENTENCE))
            .map(|t| &text[t.start as usize..t.end as usize])
            .collect();
        assert_eq!(starts, ["Dr", "Who", "End"]);
    }

    #[test]
    fn stems_join_the_forms_of_a_word() {
        for forms in [
            ["founded", "founder"],
            ["ships", "ship"],
            ["running", "run"],
            ["located", "location"],
            ["city", "cities"],
            ["museum", "museums"],
        ] {
            assert_eq!(stem(forms[0]), stem(forms[1]), "{forms:?}");
        }
        for forms in [["glass", "glaze"], ["1950", "1960"], ["river", "rich"]] {
            assert_ne!(stem(forms[0]), stem(forms[1]), "{forms:?}");
        }
    }

    #[test]
    fn marks_say_what_a_word_is() {
        let has = |word: &str, marks| tokenise(word)[0].marks.any(marks);
        assert!(
            has("1847", Marks::YEAR)
                && has("1960s", Marks::YEAR)
                && !has("3000", Marks::YEAR)
                && !has("18471", Marks::YEAR)
        );
        assert!(has("10th", Marks::ORDINAL) && !has("10th", Marks::NUMBER) && has("eighteen", Marks::NUMBER));
        assert!(has("May", Marks::MONTH) && !has("may", Marks::MONTH) && has("may", Marks::FUNCTION));
    }

    proptest! {
        #[test]
        fn any_text_is_cut_in_order_and_at_characters(text in "([A-Za-z0-9$£%é’'.,\\- \u{301}]|\\PC){0,40}") {
            let mut last = 0;
            for token in tokenise(&text) {
                let (start, end) = (token.start as usize, token.end as usize);
                prop_assert!(last <= start && start < end);
                prop_assert!(text.is_char_boundary(start) && text.is_char_boundary(end));
                last = end;
            }
        }
    }
}
