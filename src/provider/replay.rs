use super::{Given, Line, Provider};
use crate::request::{Answer, AnswerStatus, DrawAddress, FailureCode, Outcome, ProviderIdentity, Request};

/// Answers with what was recorded elsewhere: draw n of a request is answer n of the recording that the request carries.
///
/// A draw that has no recording is a failure, counted and visible, and never an empty answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replay {
    identity: ProviderIdentity,
}

impl Replay {
    /// Makes the provider with the identity `replay <label>`; the label says where the recordings come from.
    pub fn new(label: &str) -> Self {
        Self { identity: ProviderIdentity(format!("replay {label}")) }
    }
}

impl Provider for Replay {
    fn identity(&self) -> &ProviderIdentity {
        &self.identity
    }

    fn answer(&self, _line: &mut Line, request: &Request, draw: &DrawAddress) -> Given {
        let recorded = request.recording.as_ref().and_then(|recording| recording.answers.get(draw.number as usize));
        let outcome = recorded.map_or(Outcome::Failure(FailureCode::NoRecording), |recorded| {
            let status = if recorded.text.is_empty() { AnswerStatus::Empty } else { AnswerStatus::Stop };
            Outcome::Answer(Answer {
                status,
                text: recorded.text.clone(),
                reasoning: None,
                finish_reason: None,
                served_model: None,
                usage: recorded.usage,
            })
        });
        Given::embedded(outcome)
    }
}

#[cfg(test)]
mod tests {

    use super::*;
    use crate::request::{RecordedAnswer, Recording, Terms, Usage};

    fn request(recording: Option<Recording>) -> Request {
        Request {
            terms: Terms::new(Replay::new("x").identity().clone(), "m").into(),
            messages: vec![],
            recording: recording.map(Box::new),
        }
    }

    fn outcome(request: &Request, number: u32) -> Outcome {
        let given = Replay::new("x").answer(
            &mut Line::default(),
            request,
            &DrawAddress { request: request.key(), generation: 3, number },
        );
        assert_eq!(given.circumstances.bought.as_deref(), Some("embedded"));
        assert!(given.raw.is_empty());
        given.outcome
    }

    #[test]
    fn each_draw_has_its_own_recording() {
        let usage = Usage { output_tokens: Some(4), ..Usage::default() };
        let answers = vec![
            RecordedAnswer { text: " Paris\n".into(), usage },
            RecordedAnswer { text: String::new(), usage: Usage::default() },
        ];
        let request =
            request(Some(Recording { dataset: "d".into(), item: "i".into(), arm: "control".into(), answers }));
        let Outcome::Answer(first) = outcome(&request, 0) else { panic!("no answer") };
        assert_eq!((first.status, &*first.text, first.usage), (AnswerStatus::Stop, " Paris\n", usage));
        let Outcome::Answer(second) = outcome(&request, 1) else { panic!("no answer") };
        assert_eq!((second.status, &*second.text), (AnswerStatus::Empty, ""));
        assert_eq!(outcome(&request, 2), Outcome::Failure(FailureCode::NoRecording));
    }

    #[test]
    fn no_recording_is_a_failure() {
        assert_eq!(outcome(&request(None), 0), Outcome::Failure(FailureCode::NoRecording));
        assert_eq!(Replay::new("openqa").identity().0, "replay openqa");
    }
}
