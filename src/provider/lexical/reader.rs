use super::passage::Passage;
use super::question::{Question, Side, Want};
use super::span::{Span, SpanKind};
use super::token::{Marks, fnv};

/// Is a span with what speaks for it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate {
    /// The span.
    pub(super) span: Span,
    /// What speaks for it: the higher, the likelier, on the scale of a logarithm of odds.
    pub(super) score: f64,
}

/// How many spans the reader keeps to choose from.
pub(super) const KEPT: usize = 5;

/// The weights of what speaks for a span: set by hand and by judgement. Nothing was fitted to any data.
mod weight {
    /// The share of the question, by idf, that the span's sentence has.
    pub(super) const COVERAGE: f64 = 5.0;
    /// The share that only the sentence before has.
    pub(super) const BEFORE: f64 = 0.25;
    /// Closeness to the question's words within the sentence.
    pub(super) const NEAR: f64 = 4.0;
    /// Standing on the side where the answer is expected.
    pub(super) const SIDE: f64 = 0.6;
    /// Words of the question within the span, by their share of the span.
    pub(super) const REPEATS: f64 = -3.0;
    /// Each word beyond the fourth.
    pub(super) const LENGTH: f64 = -0.25;
    /// The noun that the question word governs stands in the span or beside it.
    pub(super) const FOCUS: f64 = 1.0;
    /// A name or number of the question that the passage does not have.
    pub(super) const FOREIGN: f64 = -1.0;
}

/// Lists the best [`KEPT`] spans of a passage for a question, best first; of equal ones the earlier first. Spans longer
/// than `longest` words are left out.
pub(super) fn best_spans(passage: &Passage, question: &Question, longest: usize) -> Vec<Candidate> {
    let sentences = passage.sentences.len() - 1;
    let mut total = 0.0;
    let mut foreign = 0.0;
    let mut covered = vec![0.0; sentences];
    let mut hits: Vec<(u32, f64)> = Vec::with_capacity(32);
    for &(stem, is_name) in &question.stems {
        let idf = passage.idf(stem);
        total += idf;
        let places = passage.places(stem);
        if places.is_empty() && is_name {
            foreign += 1.0;
        }
        let mut last = usize::MAX;
        for &place in places {
            hits.push((place, idf));
            let sentence = passage.sentence_of(place);
            if sentence != last {
                covered[sentence] += idf;
                last = sentence;
            }
        }
    }
    if total == 0.0 {
        total = 1.0;
    }
    hits.sort_unstable_by_key(|hit| hit.0);
    let mut best: Vec<Candidate> = Vec::with_capacity(KEPT + 1);
    for &span in &passage.spans {
        let words = (span.end - span.first) as usize;
        if words > longest {
            continue;
        }
        let sentence = passage.sentence_of(span.first);
        let before = if sentence == 0 { 0.0 } else { covered[sentence - 1] };
        let coverage = (covered[sentence] + weight::BEFORE * before) / total;
        let near = if covered[sentence] > 0.0 { weight::NEAR + weight::SIDE } else { 0.0 };
        let ceiling = weight::COVERAGE * coverage + near + weight::FOCUS + MOST_BY_KIND + weight::FOREIGN * foreign;
        if best.len() == KEPT && ceiling <= best[KEPT - 1].score {
            continue;
        }
        let Some(fit) = fit(passage, question, span, sentence, &hits, total) else { continue };
        let score = weight::COVERAGE * coverage + fit + weight::FOREIGN * foreign;
        let at = best.partition_point(|kept| kept.score >= score);
        if at < KEPT {
            best.insert(at, Candidate { span, score });
            best.truncate(KEPT);
        }
    }
    best
}

/// Is the most that [`kind`] gives: with it, no span that is passed over unseen could have been kept.
const MOST_BY_KIND: f64 = 3.5;

/// Weighs one span within its sentence; none if it holds nothing that the question does not.
fn fit(
    passage: &Passage,
    question: &Question,
    span: Span,
    sentence: usize,
    hits: &[(u32, f64)],
    total: f64,
) -> Option<f64> {
    let (start, end) = (passage.sentences[sentence], passage.sentences[sentence + 1]);
    let from = hits.partition_point(|hit| hit.0 < start);
    let mut near = 0.0;
    let mut repeats = 0;
    let mut side = 0.0;
    for &(place, idf) in hits[from..].iter().take_while(|hit| hit.0 < end) {
        let distance = if place < span.first {
            side += idf;
            span.first - place
        } else if place >= span.end {
            side -= idf;
            place - span.end + 1
        } else {
            repeats += 1;
            continue;
        };
        near += idf / (1.0 + f64::from(distance) / 4.0);
    }
    let tokens = &passage.tokens[span.first as usize..span.end as usize];
    let content = tokens.iter().filter(|token| token.is_content()).count();
    if content <= repeats {
        return None;
    }
    let words = tokens.len();
    let side = match question.side {
        Side::After => side,
        Side::Before => -side,
    };
    let mut score = weight::NEAR * (near / total).min(1.0)
        + weight::SIDE * (side / total).clamp(-1.0, 1.0)
        + weight::REPEATS * repeats as f64 / content as f64
        + weight::LENGTH * words.saturating_sub(4) as f64
        + kind(passage, question.want, span);
    if let Some(focus) = question.focus {
        let first = span.first.saturating_sub(1) as usize;
        let last = (span.end as usize + 1).min(passage.tokens.len());
        if passage.tokens[first..last].iter().any(|token| token.stem == focus) {
            score += weight::FOCUS;
        }
    }
    Some(score)
}

/// Says how well a span's look suits what is asked for.
fn kind(passage: &Passage, want: Want, span: Span) -> f64 {
    let tokens = &passage.tokens;
    let before = span.first.checked_sub(1).map(|at| &tokens[at as usize]);
    let follows = |marks: Marks| before.is_some_and(|token| token.marks.any(marks));
    let first = tokens[span.first as usize].word;
    let extra = match (want, span.kind) {
        // The one by whom it was done.
        (Want::Person, SpanKind::Name) if before.is_some_and(|token| token.word == fnv("by")) => 1.0,
        (Want::Person, SpanKind::Name) if follows(Marks::PLACE) => -0.8,
        (Want::Place, SpanKind::Name | SpanKind::Phrase) if follows(Marks::PLACE) => 1.0,
        (Want::Year, SpanKind::Date) => {
            let years = &tokens[span.first as usize..span.end as usize];
            if years.iter().any(|token| token.marks.any(Marks::YEAR)) { 2.0 } else { 0.0 }
        }
        (Want::Reason, SpanKind::Clause) if first == fnv("because") || first == fnv("due") => 2.0,
        (Want::Manner, SpanKind::Clause) if first == fnv("by") => 1.0,
        _ => 0.0,
    };
    let row = SUITS.iter().find(|(wanted, _)| *wanted == want);
    extra + row.map_or(0.0, |(_, scores)| scores[span.kind as usize])
}

/// Says how each look suits what is asked for: the scores are of name, date, number, phrase, quoted, clause.
const SUITS: [(Want, [f64; 6]); 10] = [
    (Want::Person, [2.5, -2.0, -2.0, 0.5, 0.0, -1.5]),
    (Want::Date, [-1.0, 3.0, 0.0, 0.0, 0.0, -1.5]),
    (Want::Year, [-1.0, 1.5, 0.0, 0.0, 0.0, -1.5]),
    (Want::Place, [1.5, -2.0, -2.0, 0.0, 0.0, -1.5]),
    (Want::Count, [0.0, -0.5, 3.0, 0.0, 0.0, -1.5]),
    (Want::Measure, [0.0, -0.5, 3.0, 0.0, 0.0, -1.5]),
    (Want::Reason, [0.0, 0.0, 0.0, 0.8, 0.0, 1.0]),
    (Want::Manner, [0.0, 0.0, 0.0, 0.8, 0.0, 1.0]),
    (Want::Named, [1.5, -1.5, -1.5, 0.8, 1.8, -1.5]),
    (Want::Thing, [0.8, -0.8, -0.8, 0.8, 1.2, -0.8]),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn answers<'a>(text: &'a str, question: &str, longest: usize) -> Vec<&'a str> {
        let passage = Passage::read(text);
        let spans = best_spans(&passage, &Question::read(question), longest);
        assert!(spans.windows(2).all(|pair| pair[0].score >= pair[1].score));
        let end = |span: Span| passage.tokens[span.end as usize - 1].end as usize;
        spans.iter().map(|c| &text[passage.tokens[c.span.first as usize].start as usize..end(c.span)]).collect()
    }

    const TEXT: &str = "The mill at Saltby was built in 1820 by Ann Weir. She sold it to the town for 600 crowns in 1850, \
                        because the river had changed its course.";

    #[test]
    fn the_span_suits_the_question() {
        for (question, answer) in [
            ("Who built the mill?", "Ann Weir"),
            ("When was the mill built?", "1820"),
            ("Where was the mill built?", "Saltby"),
            ("For how many crowns did she sell it to the town?", "600"),
            ("Why did she sell it in 1850?", "because the river had changed its course"),
        ] {
            assert_eq!(answers(TEXT, question, 99)[0], answer, "{question}");
        }
    }

    #[test]
    fn length_is_bounded_and_nothing_is_made_of_nothing() {
        assert!(answers(TEXT, "Who built the mill?", 1).iter().all(|answer| !answer.contains(' ')));
        assert_eq!(answers("", "Who built the mill?", 99), [""; 0]);
        assert_eq!(answers("And so it is.", "", 99), [""; 0]);
        assert_eq!(answers(TEXT, "", 99).len(), KEPT);
    }

    /// Passing spans over by their ceiling must leave the result as it would be without.
    #[test]
    fn kinds_stay_below_the_ceiling() {
        let passage = Passage::read(TEXT);
        for span in &passage.spans {
            assert!(SUITS.iter().all(|(want, _)| kind(&passage, *want, *span) <= MOST_BY_KIND));
        }
    }
}
