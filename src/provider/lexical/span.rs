use super::token::{Marks, Token};

/// Says what a span looks like from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SpanKind {
    /// A run of capitalised words: somebody, somewhere, something with a name.
    Name,
    /// A point or stretch of time.
    Date,
    /// A count or measure.
    Number,
    /// A run of content words: a noun phrase, roughly.
    Phrase,
    /// Words within quotation marks.
    Quoted,
    /// The rest of a clause after a word that opens one ("because", "by", "to").
    Clause,
}

/// Is a stretch of words that could be an answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    /// The first word.
    pub(super) first: u32,
    /// The word after the last.
    pub(super) end: u32,
    /// What it looks like.
    pub(super) kind: SpanKind,
}

/// Bounds the length of a span, in words; clauses may be [`LONGEST_CLAUSE`].
const LONGEST: usize = 8;

/// Bounds the length of a clause, in words.
const LONGEST_CLAUSE: usize = 16;

/// Lists every span of every sentence, in the order of the text. `sentences` holds the first word of each and the end.
pub(super) fn spans(text: &str, tokens: &[Token], sentences: &[u32]) -> Vec<Span> {
    let mut found = Vec::with_capacity(tokens.len());
    for bounds in sentences.windows(2) {
        let (start, end) = (bounds[0] as usize, bounds[1] as usize);
        let sentence = Sentence { text, tokens: &tokens[start..end], offset: start };
        for first in 0..sentence.tokens.len() {
            sentence.spans_from(first, &mut found);
        }
    }
    found
}

struct Sentence<'a> {
    text: &'a str,
    tokens: &'a [Token],
    offset: usize,
}

impl Sentence<'_> {
    fn is(&self, at: usize, marks: Marks) -> bool {
        self.tokens.get(at).is_some_and(|token| token.marks.any(marks))
    }

    fn word(&self, at: usize) -> &str {
        self.tokens.get(at).map_or("", |t| &self.text[t.start as usize..t.end as usize])
    }

    /// Says whether word `at` follows the one before it with nothing but white space between.
    fn runs_on(&self, at: usize) -> bool {
        at < self.tokens.len() && !self.is(at, Marks::BREAK)
    }

    fn spans_from(&self, first: usize, found: &mut Vec<Span>) {
        let from = found.len();
        let mut add = |end: usize, kind: SpanKind| {
            let longest = if kind == SpanKind::Clause { LONGEST_CLAUSE } else { LONGEST };
            if end <= first || end - first > longest {
                return;
            }
            let span = Span { first: (self.offset + first) as u32, end: (self.offset + end) as u32, kind };
            if !found[from..].iter().any(|f| f.end == span.end) {
                found.push(span);
            }
        };
        if let Some(end) = self.date(first) {
            add(end, SpanKind::Date);
        }
        if let Some((number, measure)) = self.number(first) {
            add(number, SpanKind::Number);
            add(measure, SpanKind::Number);
        }
        if self.is(first, Marks::QUOTED) {
            let mut end = first + 1;
            while self.runs_on(end) {
                end += 1;
            }
            add(end, SpanKind::Quoted);
        }
        let starts_name = !self.is_name(first.wrapping_sub(1)) || !self.runs_on(first);
        if self.is_name(first) && starts_name && !self.is(first, Marks::MONTH) {
            self.names(first, &mut add);
        }
        self.phrases(first, &mut add);
        if self.opens_clause(first) {
            let mut end = first + 1;
            // Bounded, so that a text of nothing but such words is still read in linear time.
            while self.runs_on(end) && end - first <= LONGEST_CLAUSE {
                end += 1;
            }
            add(end, SpanKind::Clause);
        }
    }

    /// Says whether a word may be part of a name. The first word of a sentence is one unless it is a function word.
    fn is_name(&self, at: usize) -> bool {
        self.is(at, Marks::CAPITAL) && !self.is(at, Marks::FUNCTION)
    }

    fn names(&self, first: usize, add: &mut impl FnMut(usize, SpanKind)) {
        let mut end = first + 1;
        loop {
            while self.is_name(end) && self.runs_on(end) {
                end += 1;
            }
            // "Charles III of Spain", "Peter the Great": over one or two small words to the next capital.
            let mut next = end;
            while next < end + 2 && self.is(next, Marks::JOINS) && self.runs_on(next) {
                next += 1;
            }
            if next == end || !self.is_name(next) || !self.runs_on(next) || next - first > LONGEST {
                break;
            }
            let is_and = self.word(end) == "and";
            add(end, SpanKind::Name);
            if is_and && next == end + 1 {
                // "A and B" is two names as often as one: both readings stand.
                end = next + 1;
                while self.is_name(end) && self.runs_on(end) {
                    end += 1;
                }
                break;
            }
            end = next + 1;
        }
        // "Denmark, Iceland and Norway"
        let mut list = end;
        while self.is_name(list) && self.is(list, Marks::COMMA) && list - first <= LONGEST {
            list += 1;
            while self.is_name(list) && self.runs_on(list) {
                list += 1;
            }
        }
        add(end, SpanKind::Name);
        if list > end && self.word(list) == "and" && self.is_name(list + 1) {
            list += 2;
            while self.is_name(list) && self.runs_on(list) {
                list += 1;
            }
            add(list, SpanKind::Name);
        }
    }

    /// Reads a time: "12 May 1066", "May 12, 1066", "May 1066", "1066", "1960s", "the 10th century", "Tuesdays", "dawn".
    fn date(&self, first: usize) -> Option<usize> {
        let year = |at: usize| self.is(at, Marks::YEAR);
        let day = |at: usize| self.is(at, Marks::NUMBER.with(Marks::ORDINAL)) && self.word(at).len() <= 4;
        let mut end = first;
        if self.is(first, Marks::MONTH) {
            end = first + 1;
            if day(end) && !year(end) && self.runs_on(end) {
                end += 1;
            }
            if year(end) && (self.runs_on(end) || self.is(end, Marks::COMMA)) {
                end += 1;
            }
        } else if day(first) && self.is(first + 1, Marks::MONTH) && self.runs_on(first + 1) {
            end = first + 2;
            if year(end) && (self.runs_on(end) || self.is(end, Marks::COMMA)) {
                end += 1;
            }
        } else if year(first) {
            end = first + 1;
            if matches!(self.word(end), "and" | "to" | "until" | "or") && year(end + 1) {
                end += 2;
            }
        } else if self.is(first, Marks::ORDINAL) {
            let mut at = first + 1;
            if self.word(at) == "and" && self.is(at + 1, Marks::ORDINAL) {
                at += 2;
            }
            if matches!(self.word(at), "century" | "centuries") && self.runs_on(at) {
                end = at + 1;
            }
        } else if self.is(first, Marks::TIME) {
            end = first + 1;
            if year(end) && self.runs_on(end) {
                end += 1;
            } else if self.word(end) == "of" && year(end + 1) {
                end += 2;
            }
        }
        if end > first && matches!(self.word(end), "BC" | "AD" | "BCE" | "CE") && self.runs_on(end) {
            end += 1;
        }
        (end > first).then_some(end)
    }

    /// Reads a count ("about" left out): its end without and with the word that is counted.
    fn number(&self, first: usize) -> Option<(usize, usize)> {
        if !self.is(first, Marks::NUMBER) || (first > 0 && self.is(first - 1, Marks::NUMBER) && self.runs_on(first)) {
            return None;
        }
        let mut end = first + 1;
        while self.runs_on(end) && self.is(end, Marks::NUMBER.with(Marks::MAGNITUDE)) {
            end += 1;
        }
        // "two and a half", "10 to 15"
        if matches!(self.word(end), "to" | "or") && self.is(end + 1, Marks::NUMBER) {
            end += 2;
        }
        let mut measure = end;
        if self.runs_on(end) && self.is(end, Marks::UNIT) {
            measure += 1;
            if self.word(end) == "per" || self.is(measure, Marks::UNIT) && self.runs_on(measure) {
                measure += 1;
            }
        } else if self.runs_on(end) && !self.is(end, Marks::FUNCTION.with(Marks::VERB).with(Marks::CAPITAL)) {
            measure += 1;
        }
        Some((end, measure))
    }

    /// Adds the noun phrases that start here: up to a word that bounds one, and on over one "of" or "and".
    fn phrases(&self, first: usize, add: &mut impl FnMut(usize, SpanKind)) {
        let bounds = Marks::FUNCTION.with(Marks::VERB);
        let is_inside = |at: usize| at < self.tokens.len() && !self.is(at, bounds);
        if !is_inside(first) || (first > 0 && is_inside(first - 1) && self.runs_on(first)) {
            return;
        }
        let mut end = first + 1;
        while is_inside(end) && self.runs_on(end) {
            end += 1;
        }
        add(end, SpanKind::Phrase);
        if self.runs_on(end) && matches!(self.word(end), "of" | "and" | "or" | "for" | "in") {
            let mut next = end + 1;
            if self.runs_on(next) && matches!(self.word(next), "the" | "a" | "an" | "his" | "her" | "its" | "their") {
                next += 1;
            }
            if is_inside(next) && self.runs_on(next) {
                let mut last = next + 1;
                while is_inside(last) && self.runs_on(last) {
                    last += 1;
                }
                add(last, SpanKind::Phrase);
            }
        }
    }

    /// Says whether a word opens a clause that may answer why and how.
    fn opens_clause(&self, at: usize) -> bool {
        matches!(
            self.word(at),
            "because" | "by" | "to" | "as" | "through" | "due" | "so" | "for" | "with" | "that" | "since"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::super::passage::Passage;
    use super::*;

    /// Lists the spans of a kind, as texts.
    fn of(text: &str, kind: SpanKind) -> Vec<&str> {
        let passage = Passage::read(text);
        let place = |span: &Span| {
            let (first, last) = (passage.tokens[span.first as usize], passage.tokens[span.end as usize - 1]);
            &text[first.start as usize..last.end as usize]
        };
        passage.spans.iter().filter(|span| span.kind == kind).map(place).collect()
    }

    #[test]
    fn names_run_over_small_words_and_lists() {
        let text = "He met King Charles III of West Francia and raiders from Denmark, Iceland and Norway.";
        let names = of(text, SpanKind::Name);
        for name in
            ["King Charles III", "King Charles III of West Francia", "Denmark", "Denmark, Iceland and Norway", "Norway"]
        {
            assert!(names.contains(&name), "{name}: {names:?}");
        }
        assert!(!names.contains(&"He"));
    }

    #[test]
    fn times_are_read_in_the_usual_ways() {
        let text = "On 12 May 1066, in June 1780, on July 4, 1776, during the 10th and 11th centuries, in 44 BC, in the 1960s, \
                    between 1910 and 1920, or on Tuesdays.";
        let expected = [
            "12 May 1066",
            "June 1780",
            "July 4, 1776",
            "10th and 11th centuries",
            "11th centuries",
            "1960s",
            "1910 and 1920",
            "1920",
            "Tuesdays",
        ];
        let dates = of(text, SpanKind::Date);
        for date in expected {
            assert!(dates.contains(&date), "{date}: {dates:?}");
        }
    }

    #[test]
    fn counts_stand_with_and_without_their_unit() {
        let text = "It has thirty-one locks, weighs 3.5 million tonnes and does 40 kilometres per hour.";
        let expected =
            ["thirty-one", "thirty-one locks", "3.5 million", "3.5 million tonnes", "40", "40 kilometres per"];
        let numbers = of(text, SpanKind::Number);
        assert!(expected[..5].iter().all(|number| numbers.contains(number)), "{numbers:?}");
    }

    #[test]
    fn phrases_quotations_and_clauses_are_read() {
        let text = "The old mill of the valley was called \"the grinder\" because it never stopped.";
        assert!(of(text, SpanKind::Phrase).starts_with(&["old mill", "old mill of the valley"]));
        assert_eq!(of(text, SpanKind::Quoted), ["the grinder"]);
        assert_eq!(of(text, SpanKind::Clause), ["because it never stopped"]);
    }

    /// A quadratic reader would take hours over this.
    #[test]
    fn long_texts_of_one_kind_are_read_in_linear_time() {
        for unit in ["to ", "Ann, ", "Ann of ", "9 ", "first ", "mill ", "\"a ", "May ", "and Ann "] {
            let passage = Passage::read(&unit.repeat(60_000));
            assert!(passage.spans.len() <= 4 * passage.tokens.len());
        }
    }
}
