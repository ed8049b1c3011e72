use std::fmt;
use std::sync::{Arc, OnceLock};

use super::conversation::Conversation;
use super::cue::effects;
use super::manner::{Effect, Form, Manner};
use super::memo::Memo;
use super::passage::Passage;
use super::question::Question;
use super::reader::{Candidate, best_spans};
use super::sampler::choose;
use super::settings::{CAUTION, DEFAULT_THRESHOLD};
use super::writer::{ABSTENTION, Written, write_span};
use super::{Corpus, LexicalSettings, REVISION};
use crate::digest::{BlobId, Decimal};
use crate::provider::{Given, Line, Provider};
use crate::request::{Answer, AnswerStatus, Decoding, DrawAddress, FailureCode, Outcome};
use crate::request::{ProviderIdentity, Request, Usage};

/// Brings the bytes of a corpus, or says why it cannot.
pub type CorpusLoader = Box<dyn Fn() -> Result<Vec<u8>, String> + Send + Sync>;

/// Answers by looking words up in a passage: a deterministic baseline, and no language model (see the module's page).
///
/// It sees the request and the address of the draw, and nothing else. With equal requests and addresses it answers equally,
/// on every platform and in any order.
pub struct Lexical {
    identity: ProviderIdentity,
    threshold: f64,
    corpus: Option<Shelf>,
    passages: Memo<Passage>,
    instructions: Memo<Vec<Effect>>,
}

/// Is a corpus that is read when it is first needed.
struct Shelf {
    loader: CorpusLoader,
    loaded: OnceLock<Result<Corpus, String>>,
}

/// How many passages it keeps in mind, for speed.
const PASSAGES: usize = 256;

/// How many texts of instructions it keeps in mind, for speed.
const INSTRUCTIONS: usize = 64;

impl Lexical {
    /// Makes a reader.
    pub fn new(settings: LexicalSettings) -> Self {
        let identity = Self::identity_of(settings.threshold, settings.corpus.as_ref().map(Corpus::id));
        let corpus = settings.corpus.map(|corpus| {
            let loader: CorpusLoader = Box::new(|| Err("the corpus was given".to_owned()));
            Shelf { loader, loaded: OnceLock::from(Ok(corpus)) }
        });
        Self::make(identity, settings.threshold, corpus)
    }

    /// Makes a reader that loads its corpus when a question first needs it. `identity` is [`Lexical::identity_of`] of the
    /// same threshold and the corpus' id, which is thus all that has to be known of the corpus until then.
    pub fn with_corpus_loader(identity: ProviderIdentity, threshold: Option<Decimal>, loader: CorpusLoader) -> Self {
        Self::make(identity, threshold, Some(Shelf { loader, loaded: OnceLock::new() }))
    }

    /// Returns the identity of a reader with these settings: `lexical/<REVISION> threshold=<t>[ corpus=<blob>]`. A threshold
    /// that is not stated is the default one, and the same identity as that one stated.
    pub fn identity_of(threshold: Option<Decimal>, corpus: Option<&BlobId>) -> ProviderIdentity {
        let threshold = threshold.unwrap_or(DEFAULT_THRESHOLD);
        let corpus = corpus.map_or_else(String::new, |id| format!(" corpus={id}"));
        ProviderIdentity(format!("lexical/{REVISION} threshold={threshold}{corpus}"))
    }

    fn make(identity: ProviderIdentity, threshold: Option<Decimal>, corpus: Option<Shelf>) -> Self {
        Self {
            identity,
            threshold: threshold.unwrap_or(DEFAULT_THRESHOLD).to_f64(),
            corpus,
            passages: Memo::new(PASSAGES),
            instructions: Memo::new(INSTRUCTIONS),
        }
    }

    /// Answers in words, before stop texts and limits; an error is a corpus that cannot be had.
    fn compose(&self, request: &Request, draw: &DrawAddress) -> Result<String, String> {
        let conversation = Conversation::read(&request.messages);
        let manner = self.manner(&conversation);
        let retrieved;
        let text = match (&conversation.passage, &self.corpus) {
            (Some(passage), _) => Some(passage.as_ref()),
            (None, Some(shelf)) => {
                retrieved = shelf.corpus()?;
                retrieved.retrieve(conversation.question)
            }
            (None, None) => None,
        };
        let Some(text) = text else {
            // With nothing to read there is nothing to say.
            return Ok(if manner.may_abstain { ABSTENTION.to_owned() } else { String::new() });
        };
        let passage: Arc<Passage> = self.passages.get(text, Passage::read);
        let question = Question::read(conversation.question);
        let longest = manner.at_most.map_or(usize::MAX, |n| n as usize);
        let spans = best_spans(&passage, &question, longest);
        let threshold = self.threshold + if manner.cautious { CAUTION } else { 0.0 };
        let chosen = choose(&spans, manner.may_abstain.then_some(threshold), &request.decoding, draw);
        let brief = manner.form == Some(Form::Brief) || (manner.form.is_none() && !conversation.prefill.is_empty());
        Ok(match chosen {
            Some(Candidate { span, .. }) => write_span(text, &passage, span, brief, manner.verbatim),
            None if manner.may_abstain => ABSTENTION.to_owned(),
            None => String::new(),
        })
    }

    fn manner(&self, conversation: &Conversation<'_>) -> Manner {
        let mut manner = Manner::default();
        for text in conversation.instructions.iter().filter(|text| !text.trim().is_empty()) {
            for effect in self.instructions.get(text, effects).iter() {
                manner.apply(*effect);
            }
        }
        manner.follow(&conversation.examples);
        manner
    }
}

impl Shelf {
    fn corpus(&self) -> Result<&Corpus, String> {
        let load = || (self.loader)().and_then(|bytes| Corpus::parse(&bytes).map_err(|error| error.to_string()));
        self.loaded.get_or_init(load).as_ref().map_err(Clone::clone)
    }
}

impl Provider for Lexical {
    fn identity(&self) -> &ProviderIdentity {
        &self.identity
    }

    fn answer(&self, _line: &mut Line, request: &Request, draw: &DrawAddress) -> Given {
        match self.compose(request, draw) {
            Ok(text) => Given::embedded(Outcome::Answer(finish(text, request))),
            Err(reason) => {
                let mut given = Given::embedded(Outcome::Failure(FailureCode::ProviderStopped));
                given.circumstances.note = Some(format!("lexical could not load its corpus: {reason}"));
                given
            }
        }
    }
}

/// Makes the answer of a text: goes on from a prefill, ends at a stop text, cuts at the limit, counts words.
fn finish(text: String, request: &Request) -> Answer {
    let Decoding { stop, max_output_tokens, .. } = &request.decoding;
    let written = Written::new(text).continuing(&request.messages).until(stop).at_most(*max_output_tokens);
    let status = match (written.is_cut, written.text.is_empty()) {
        (true, _) => AnswerStatus::Length,
        (false, true) => AnswerStatus::Empty,
        (false, false) => AnswerStatus::Stop,
    };
    let words = |text: &str| text.split_whitespace().count() as u64;
    Answer {
        status,
        usage: Usage {
            input_tokens: Some(request.messages.iter().map(|message| words(&message.content)).sum()),
            output_tokens: Some(words(&written.text)),
            reasoning_tokens: None,
        },
        text: written.text,
        reasoning: None,
        finish_reason: Some(if written.is_cut { "length" } else { "stop" }.to_owned()),
        served_model: Some(format!("lexical-{REVISION}")),
    }
}

impl fmt::Debug for Lexical {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lexical").field("identity", &self.identity.0).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use proptest::prelude::*;

    use super::*;
    use crate::request::{Message, Role, Terms};

    const OPEN: &str = "Read.\n\nCONTEXT:\nHowever, the mill (of oak) was built in 1820 by Ann Weir.\n\nQUESTION:\nWho built the mill?";
    const FOREIGN: &str =
        "Read.\n\nCONTEXT:\nThe mill was built in 1820 by Ann Weir.\n\nQUESTION:\nWhat is the capital of Chad?";
    const CLOSED: &str = "QUESTION:\nWho built the mill?";
    const CORPUS: &[u8] = b"The mill was built by Ann Weir.\n\nThe lamp was lit by Jo Peel.";

    fn request(system: &str, user: &str) -> Request {
        Request {
            terms: Terms::new(ProviderIdentity("lexical".into()), "m").into(),
            messages: vec![Message::new(Role::System, system), Message::new(Role::User, user)],
            recording: None,
        }
    }

    fn given(reader: &Lexical, request: &Request) -> Given {
        reader.answer(&mut Line::default(), request, &DrawAddress { request: request.key(), generation: 0, number: 0 })
    }

    fn answer(reader: &Lexical, request: &Request) -> Answer {
        match given(reader, request).outcome {
            Outcome::Answer(answer) => answer,
            Outcome::Failure(code) => panic!("{code:?}"),
        }
    }

    fn text(system: &str, user: &str) -> String {
        answer(&Lexical::new(LexicalSettings::default()), &request(system, user)).text
    }

    #[test]
    fn instructions_decide_the_manner() {
        assert_eq!(text("Help.", OPEN), "The mill was built in 1820 by Ann Weir.");
        assert_eq!(text("Quote.", OPEN), "However, the mill (of oak) was built in 1820 by Ann Weir.");
        assert_eq!(text("Be brief.", OPEN), "Ann Weir");
        assert_eq!(text("One word.", OPEN).split(' ').count(), 1);
        assert_eq!(text("If you cannot tell, say I don't know.", FOREIGN), "I don't know.");
        assert_ne!(text("Be brief.", FOREIGN), "I don't know.");
        assert_eq!(text("If you cannot tell, say I don't know.", OPEN), "The mill was built in 1820 by Ann Weir.");
        assert_eq!(text("You love old mills.", OPEN), text("Help.", OPEN));
    }

    #[test]
    fn examples_and_prefill_are_followed() {
        let reader = Lexical::new(LexicalSettings::default());
        let mut shown = request("Help.", CLOSED);
        shown.messages.push(Message::new(Role::Assistant, "Bo Hill"));
        shown.messages.push(Message::new(Role::User, OPEN));
        assert_eq!(answer(&reader, &shown).text, "Ann Weir");
        let mut begun = request("Help.", OPEN);
        begun.messages.push(Message::new(Role::Assistant, "It was"));
        assert_eq!(answer(&reader, &begun).text, " Ann Weir");
    }

    #[test]
    fn answers_carry_words_status_and_server() {
        let reader = Lexical::new(LexicalSettings::default());
        let mut asked = request("Be brief.", OPEN);
        let whole = answer(&reader, &asked);
        assert_eq!((whole.status, whole.finish_reason.as_deref()), (AnswerStatus::Stop, Some("stop")));
        assert_eq!((whole.usage.input_tokens, whole.usage.output_tokens), (Some(21), Some(2)));
        assert_eq!(whole.served_model, Some(format!("lexical-{REVISION}")));
        asked.terms_mut().decoding.max_output_tokens = Some(1);
        let cut = answer(&reader, &asked);
        assert_eq!((cut.status, &*cut.text, cut.usage.output_tokens), (AnswerStatus::Length, "Ann", Some(1)));
        asked.terms_mut().decoding.stop = vec!["Ann".into()];
        assert_eq!(answer(&reader, &asked).status, AnswerStatus::Empty);
    }

    #[test]
    fn a_question_without_a_passage_asks_the_corpus() {
        assert_eq!(text("Be brief.", CLOSED), "");
        assert_eq!(text("Say I don't know if need be.", CLOSED), "I don't know.");
        let corpus = Some(Corpus::parse(CORPUS).unwrap());
        let reader = Lexical::new(LexicalSettings { corpus, threshold: None });
        assert_eq!(answer(&reader, &request("Be brief.", CLOSED)).text, "Ann Weir");
        assert_eq!(answer(&reader, &request("Be brief.", "QUESTION:\nWho lit the lamp?")).text, "Jo Peel");
    }

    #[test]
    fn a_corpus_is_loaded_once_and_late() {
        static LOADS: AtomicU32 = AtomicU32::new(0);
        let identity = Lexical::identity_of(None, Some(&BlobId::of(CORPUS)));
        let loader: CorpusLoader = Box::new(|| {
            LOADS.fetch_add(1, Ordering::SeqCst);
            Ok(CORPUS.to_vec())
        });
        let reader = Lexical::with_corpus_loader(identity.clone(), None, loader);
        answer(&reader, &request("Be brief.", OPEN));
        assert_eq!(LOADS.load(Ordering::SeqCst), 0);
        for _ in 0..2 {
            assert_eq!(answer(&reader, &request("Be brief.", CLOSED)).text, "Ann Weir");
        }
        assert_eq!(LOADS.load(Ordering::SeqCst), 1);
        let whole = Lexical::new(LexicalSettings { corpus: Corpus::parse(CORPUS).ok(), threshold: None });
        assert_eq!((reader.identity(), whole.identity()), (&identity, &identity));
    }

    #[test]
    fn a_corpus_that_cannot_be_had_stops_the_provider() {
        let bad: [CorpusLoader; 2] = [Box::new(|| Err("no such blob".into())), Box::new(|| Ok(vec![0xff]))];
        for loader in bad {
            let reader = Lexical::with_corpus_loader(Lexical::identity_of(None, None), None, loader);
            let given = given(&reader, &request("Be brief.", CLOSED));
            assert_eq!(given.outcome, Outcome::Failure(FailureCode::ProviderStopped));
            assert!(given.circumstances.note.unwrap().starts_with("lexical could not load its corpus: "));
        }
    }

    #[test]
    fn the_identity_covers_settings_and_corpus_and_nothing_else() {
        let of = |threshold: Option<&str>, corpus: Option<&[u8]>| {
            Lexical::identity_of(threshold.map(|t| t.parse().unwrap()), corpus.map(BlobId::of).as_ref()).0
        };
        assert_eq!(of(None, None), format!("lexical/{REVISION} threshold=4.5"));
        assert_eq!(of(Some("4.50"), None), of(None, None));
        let all = [
            of(None, None),
            of(Some("4"), None),
            of(None, Some(b"a")),
            of(None, Some(b"b")),
            of(Some("4"), Some(b"b")),
        ];
        assert_eq!(std::collections::BTreeSet::from(all).len(), 5);
    }

    #[test]
    fn the_threshold_is_heeded() {
        let with = |threshold: &str| {
            let reader = Lexical::new(LexicalSettings { threshold: threshold.parse().ok(), corpus: None });
            answer(&reader, &request("Be brief; unanswerable questions exist.", OPEN)).text
        };
        assert_eq!((&*with("0"), &*with("100")), ("Ann Weir", "I don't know."));
    }

    proptest! {
        #[test]
        fn any_conversation_is_answered_twice_alike(
            parts in proptest::collection::vec((0..3u8, "((CONTEXT:|QUESTION:|\\n|who|What|1820|[ A-Za-z0-9é’“.,?-])|\\PC){0,40}"), 0..5),
            temperature in 0..3i64,
        ) {
            let mut asked = request("Be brief.", OPEN);
            let role = |n| [Role::System, Role::User, Role::Assistant][usize::from(n)];
            asked.messages = parts.iter().map(|(n, text)| Message::new(role(*n), text.clone())).collect();
            asked.terms_mut().decoding.temperature = Some(Decimal::new(temperature, 0));
            let corpus = || Corpus::parse(CORPUS).ok();
            let reader = Lexical::new(LexicalSettings { threshold: None, corpus: corpus() });
            let again = Lexical::new(LexicalSettings { threshold: None, corpus: corpus() });
            prop_assert_eq!(answer(&reader, &asked), answer(&again, &asked));
            prop_assert_eq!(answer(&reader, &asked), answer(&again, &asked));
        }
    }
}
