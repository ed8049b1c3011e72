//! What an attempt without a plain answer means: the outcome to log, whether it was paid for, and what to do next.
//!
//! | what came | outcome | billed | next |
//! |---|---|---|---|
//! | nothing was sent: refused, no such host, no connection in time | `transport` | no | again |
//! | sent, then reset, silent, cut off, too large | `transport`, `timeout`, `malformed` | uncertain | again (too large: not) |
//! | TLS, an address or header that cannot be used | `provider_stopped` | no | stop |
//! | 2xx without an answer in it | `malformed` | uncertain | not again in this build, unless empty or a server's error |
//! | 400, 413, 422 and most of 4xx | `rejected` | no | not again until the request changes |
//! | 400 or 403 by a filter of content | the answer `content_filter` | | keep |
//! | 401, 403, 402, no credit, unknown model or address, 3xx | `provider_stopped` | no | stop |
//! | 408, 409, 429, 529, 503 | `timeout`, `server_error`, `rate_limited` | no | again |
//! | other 5xx | `server_error` | uncertain: a gateway may have lost an answer | again |
//!
//! `x-should-retry` decides between again and not again where the provider is not stopped.

use jiff::Timestamp;

use super::Advice;
use super::http::Reply;
use super::reading::Complaint;
use super::retry_after::retry_after;
use super::send_failure::{SendFailure, Trouble};
use crate::request::{Answer, AnswerStatus, Billed, FailureCode, Outcome, Usage};

/// Names whom a sentence is about.
#[derive(Clone, Copy, Debug)]
pub(super) struct Whom<'a> {
    /// The provider's name in the config.
    pub provider: &'a str,
    /// The address of the call.
    pub url: &'a str,
    /// The model's id.
    pub model: &'a str,
    /// The variable that names the key, if any.
    pub key_env: Option<&'a str>,
}

/// Is what an attempt means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    pub outcome: Outcome,
    pub billed: Option<Billed>,
    pub advice: Advice,
    /// What is worth a record, in words.
    pub note: Option<String>,
}

fn failed(code: FailureCode, billed: Billed, advice: Advice, note: String) -> Verdict {
    Verdict { outcome: Outcome::Failure(code), billed: Some(billed), advice, note: Some(note) }
}

fn stop(why: String, note: String) -> Verdict {
    failed(FailureCode::ProviderStopped, Billed::No, Advice::StopProvider { why }, note)
}

const AGAIN: Advice = Advice::Retry { after: None, overloaded: false };

/// Judges a request that got no whole response.
pub(super) fn of_failure(failure: &SendFailure, whom: Whom<'_>) -> Verdict {
    let Whom { provider, url, .. } = whom;
    let why = &failure.why;
    let billed = if failure.may_have_arrived { Billed::Uncertain } else { Billed::No };
    match failure.trouble {
        Trouble::Connection => failed(FailureCode::Transport, billed, AGAIN, format!("no connection: {why}")),
        Trouble::Timeout => failed(FailureCode::Timeout, billed, AGAIN, why.clone()),
        Trouble::Broken => failed(FailureCode::Malformed, billed, AGAIN, format!("the response broke off: {why}")),
        Trouble::TooLarge => failed(FailureCode::Malformed, billed, Advice::Keep, why.clone()),
        Trouble::Tls => {
            let message = format!(
                "`{provider}`: the certificate or the TLS of {url} is not accepted ({why}): {}",
                remedy_of_tls(why)
            );
            stop(message, format!("TLS: {why}"))
        }
        Trouble::Unusable => stop(format!("`{provider}`: nothing can be sent to {url}: {why}"), why.clone()),
    }
}

/// Says what to do about TLS that is not accepted, by the words of the library that did not accept it.
fn remedy_of_tls(why: &str) -> &'static str {
    const REMEDIES: [(&str, &str); 4] = [
        ("certificate expired", "renew the certificate of the server, or set this machine's clock"),
        ("certificate not valid yet", "set the clock of this machine, or wait until the certificate is valid"),
        ("certificate not valid for name", "correct `base_url`: the certificate is for another name"),
        ("does not support TLS 1.2", "the server has to speak TLS 1.2 or 1.3"),
    ];
    let found = REMEDIES.iter().find(|(words, _)| why.contains(words));
    found.map_or("name the certificates to trust with `ca_file`, or correct `base_url`", |(_, remedy)| remedy)
}

/// Judges a response with a 2xx status in which there is no answer.
pub(super) fn of_malformed(why: &str, is_empty: bool) -> Verdict {
    let advice = if is_empty { AGAIN } else { Advice::Keep };
    failed(FailureCode::Malformed, Billed::Uncertain, advice, why.to_owned())
}

/// Judges a response with a 2xx status that is the report of an error: what the error's own code would have meant.
pub(super) fn of_late_complaint(
    complaint: &Complaint,
    reply: &Reply,
    whom: Whom<'_>,
    now: Option<Timestamp>,
) -> Verdict {
    let own = complaint.code.as_deref().and_then(|code| code.parse::<u16>().ok());
    let status = own.or_else(|| match complaint.kind.as_deref().or(complaint.code.as_deref())? {
        "overloaded_error" => Some(529),
        "rate_limit_error" | "rate_limit_exceeded" => Some(429),
        "server_error" | "api_error" | "internal_server_error" => Some(500),
        _ => None,
    });
    let note = format!("an error with status {}: {}", reply.status, said(complaint));
    let advice = match status.filter(|status| (400..600).contains(status)) {
        Some(status) => of_status(status, complaint, reply, whom, now).advice,
        None if is_no_credit(complaint) => of_status(402, complaint, reply, whom, now).advice,
        None => Advice::Keep,
    };
    failed(FailureCode::Malformed, Billed::Uncertain, advice, note)
}

/// Judges a response whose status is not 2xx.
pub(super) fn of_status(
    status: u16,
    complaint: &Complaint,
    reply: &Reply,
    whom: Whom<'_>,
    now: Option<Timestamp>,
) -> Verdict {
    let Whom { provider, url, model, key_env } = whom;
    let note = format!("HTTP {status}: {}", said(complaint));
    let says = said(complaint);
    if matches!(status, 400 | 403 | 422) && is_filtered(complaint) {
        let answer = Answer {
            status: AnswerStatus::ContentFilter,
            text: String::new(),
            reasoning: None,
            finish_reason: complaint.code.clone().or_else(|| complaint.kind.clone()),
            served_model: None,
            usage: Usage::default(),
        };
        return Verdict { outcome: Outcome::Answer(answer), billed: None, advice: Advice::Keep, note: Some(note) };
    }
    let key = || match key_env {
        Some(name) => format!("the key in {name}"),
        None => "the request, which carries no key".to_owned(),
    };
    if is_no_credit(complaint) || status == 402 {
        let whose =
            key_env.map_or_else(|| "the account".to_owned(), |name| format!("the account of the key in {name}"));
        let why = format!(
            "`{provider}`: {whose} has no credit left, or is at its limit ({status}: {says}): add credit or raise the limit, \
             then build again"
        );
        return stop(why, note);
    }
    let is_bad_key =
        complaint.is(&["invalid_api_key", "authentication_error", "permission_error", "PERMISSION_DENIED"])
            || complaint.says(&["api key not valid", "invalid api key", "incorrect api key"]);
    if matches!(status, 401 | 403) || (status == 400 && is_bad_key) {
        let remedy = match key_env {
            Some(name) => format!("set {name} to a key that may use the model `{model}`"),
            None => "name the variable that holds the key with `api_key_env`".to_owned(),
        };
        return stop(format!("`{provider}` refuses {} ({status}: {says}): {remedy}", key()), note);
    }
    let is_about_model =
        complaint.is(&["model_not_found", "model_not_available", "deployment_not_found", "DeploymentNotFound"])
            || (matches!(status, 400 | 404) && is_about_unknown(complaint, model, status));
    if is_about_model {
        let remedy = if says.contains("pull") { "pull it there, or correct" } else { "correct" };
        return stop(
            format!(
                "`{provider}` does not know the model `{model}` ({status}: {says}): {remedy} `model:` in the config"
            ),
            note,
        );
    }
    if matches!(status, 404 | 405 | 410) || status < 400 {
        let what = match reply.header("location") {
            Some(location) if status < 400 => format!("is elsewhere, at {location}"),
            _ => format!("is not there ({status}: {says})"),
        };
        return stop(format!("`{provider}`: {url} {what}: correct `base_url`"), note);
    }
    let overloaded = matches!(status, 429 | 529);
    let (code, billed) = match status {
        429 | 529 => (FailureCode::RateLimited, Billed::No),
        408 => (FailureCode::Timeout, Billed::No),
        409 | 503 => (FailureCode::ServerError, Billed::No),
        504 | 524 => (FailureCode::Timeout, Billed::Uncertain),
        500.. => (FailureCode::ServerError, Billed::Uncertain),
        _ => (FailureCode::Rejected, Billed::No),
    };
    let again = match reply.header("x-should-retry").map(str::trim) {
        Some("true") => true,
        Some("false") => false,
        _ => code != FailureCode::Rejected,
    };
    let advice = if again { Advice::Retry { after: retry_after(reply, now), overloaded } } else { Advice::Keep };
    failed(code, billed, advice, note)
}

/// Says whether a filter of content turned a request away, rather than its form.
fn is_filtered(complaint: &Complaint) -> bool {
    let codes = ["content_filter", "content_policy_violation", "ResponsibleAIPolicyViolation", "moderation_blocked"];
    complaint.is(&codes)
        || (complaint.is(&["invalid_prompt"]) && complaint.says(&["policy", "flagged"]))
        || complaint.says(&["content filtering policy", "content management policy", "input was flagged"])
}

/// Says whether the account cannot pay.
fn is_no_credit(complaint: &Complaint) -> bool {
    let words = [
        "insufficient_quota",
        "billing_hard_limit_reached",
        "billing_not_active",
        "billing_error",
        "insufficient_balance",
        "insufficient_credits",
        "account_deactivated",
    ];
    let phrases = [
        "credit balance is too low",
        "exceeded your current quota, please check your plan and billing",
        "insufficient balance",
        "insufficient credits",
        "spending limit",
        "account is suspended",
    ];
    complaint.is(&words) || complaint.says(&phrases)
}

/// Says whether a complaint is that the model is unknown: of a 404, that it names a model; of a 400, that it says so.
fn is_about_unknown(complaint: &Complaint, model: &str, status: u16) -> bool {
    let phrases = [
        "model not found",
        "does not exist",
        "not found, try pulling",
        "unknown model",
        "invalid model",
        "no such model",
    ];
    let names = complaint.says(&["model"]) || (!model.is_empty() && complaint.message.contains(model));
    names && (status == 404 || complaint.says(&phrases))
}

/// Writes what a provider says in one line of bounded length.
fn said(complaint: &Complaint) -> String {
    const LONGEST: usize = 240;
    let words: Vec<&str> = complaint.message.split(|c: char| c.is_whitespace() || c.is_control()).collect();
    let text: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
    let mut text = text.join(" ");
    if text.is_empty() {
        text =
            complaint.code.clone().or_else(|| complaint.kind.clone()).unwrap_or_else(|| "no reason given".to_owned());
    }
    if text.chars().count() > LONGEST {
        text = text.chars().take(LONGEST - 1).chain(['…']).collect();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const WHOM: Whom<'_> = Whom {
        provider: "openai",
        url: "https://api.openai.com/v1/chat/completions",
        model: "gpt-x",
        key_env: Some("OPENAI_API_KEY"),
    };

    fn complaint(code: &str, kind: &str, message: &str) -> Complaint {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Complaint { code: some(code), kind: some(kind), message: message.to_owned() }
    }

    fn reply(status: u16, headers: &[(&str, &str)]) -> Reply {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Reply { status, headers, body: Vec::new() }
    }

    fn judged(status: u16, complaint: &Complaint, headers: &[(&str, &str)]) -> Verdict {
        of_status(status, complaint, &reply(status, headers), WHOM, None)
    }

    fn again(after: Option<u64>, overloaded: bool) -> Advice {
        Advice::Retry { after: after.map(Duration::from_secs), overloaded }
    }

    #[test]
    fn what_may_pass_is_asked_again() {
        let none = Complaint::default();
        for (status, code, billed, overloaded) in [
            (408, FailureCode::Timeout, Billed::No, false),
            (409, FailureCode::ServerError, Billed::No, false),
            (429, FailureCode::RateLimited, Billed::No, true),
            (500, FailureCode::ServerError, Billed::Uncertain, false),
            (502, FailureCode::ServerError, Billed::Uncertain, false),
            (503, FailureCode::ServerError, Billed::No, false),
            (504, FailureCode::Timeout, Billed::Uncertain, false),
            (529, FailureCode::RateLimited, Billed::No, true),
        ] {
            let verdict = judged(status, &none, &[("retry-after", "7")]);
            assert_eq!((verdict.outcome, verdict.billed), (Outcome::Failure(code), Some(billed)), "{status}");
            assert_eq!(verdict.advice, again(Some(7), overloaded), "{status}");
        }
        assert_eq!(judged(429, &none, &[("x-should-retry", "false")]).advice, Advice::Keep);
        assert_eq!(judged(400, &none, &[("x-should-retry", "true")]).advice, again(None, false));
    }

    #[test]
    fn one_items_fault_stops_nobody() {
        let long =
            complaint("context_length_exceeded", "invalid_request_error", "maximum context length is 8192 tokens");
        for status in [400, 413, 415, 422, 431] {
            let verdict = judged(status, &long, &[]);
            assert_eq!(verdict.outcome, Outcome::Failure(FailureCode::Rejected), "{status}");
            assert_eq!((verdict.billed, verdict.advice), (Some(Billed::No), Advice::Keep), "{status}");
        }
    }

    #[test]
    fn a_filter_is_an_answer() {
        for (status, complaint) in [
            (400, complaint("content_filter", "", "The response was filtered due to the prompt triggering…")),
            (400, complaint("content_policy_violation", "invalid_request_error", "rejected by the safety system")),
            (
                400,
                complaint(
                    "invalid_prompt",
                    "invalid_request_error",
                    "flagged as potentially violating our usage policy",
                ),
            ),
            (400, complaint("", "invalid_request_error", "Output blocked by content filtering policy")),
            (403, complaint("403", "", "x requires moderation on y. Your input was flagged for \"violence\".")),
        ] {
            let verdict = judged(status, &complaint, &[]);
            let Outcome::Answer(answer) = verdict.outcome else { panic!("{complaint:?}") };
            assert_eq!(
                (answer.status, verdict.billed, verdict.advice),
                (AnswerStatus::ContentFilter, None, Advice::Keep)
            );
        }
        let form = complaint("invalid_prompt", "invalid_request_error", "`prompt` must be a string");
        assert_eq!(judged(400, &form, &[]).outcome, Outcome::Failure(FailureCode::Rejected));
    }

    #[test]
    fn what_would_fail_alike_stops_the_provider() {
        let cases = [
            (401, complaint("invalid_api_key", "", "Incorrect API key"), "OPENAI_API_KEY"),
            (403, Complaint::default(), "OPENAI_API_KEY"),
            (400, complaint("400", "", "API key not valid. Please pass a valid API key."), "OPENAI_API_KEY"),
            (402, Complaint::default(), "add credit"),
            (
                429,
                complaint("insufficient_quota", "insufficient_quota", "You exceeded your current quota"),
                "add credit",
            ),
            (
                400,
                complaint("", "invalid_request_error", "Your credit balance is too low to access the API"),
                "add credit",
            ),
            (412, complaint("", "", "Account x is suspended: the account is suspended, spending limit"), "add credit"),
            (404, complaint("model_not_found", "", "The model `gpt-x` does not exist"), "correct `model:`"),
            (404, complaint("", "not_found_error", "model: gpt-x"), "correct `model:`"),
            (404, complaint("", "", "model 'gpt-x' not found, try pulling it first"), "pull it there"),
            (400, complaint("", "", "invalid model name passed in model=gpt-x"), "correct `model:`"),
            (404, Complaint::default(), "correct `base_url`"),
            (405, complaint("", "", "Method Not Allowed"), "correct `base_url`"),
            (307, Complaint::default(), "correct `base_url`"),
        ];
        for (status, complaint, remedy) in cases {
            let verdict = judged(status, &complaint, &[("retry-after", "5")]);
            assert_eq!(verdict.outcome, Outcome::Failure(FailureCode::ProviderStopped), "{status} {complaint:?}");
            assert_eq!(verdict.billed, Some(Billed::No));
            let Advice::StopProvider { why } = verdict.advice else { panic!("{status} {complaint:?}") };
            assert!(why.contains(remedy) && why.contains("openai"), "{why}");
        }
    }

    #[test]
    fn what_was_sent_and_lost_is_uncertain() {
        let failure = |trouble, may_have_arrived| SendFailure {
            trouble,
            may_have_arrived,
            why: "because".into(),
            ..SendFailure::default()
        };
        let judged = |trouble, sent| of_failure(&failure(trouble, sent), WHOM);
        let verdict = judged(Trouble::Connection, false);
        assert_eq!((verdict.billed, verdict.advice), (Some(Billed::No), again(None, false)));
        for trouble in [Trouble::Connection, Trouble::Timeout, Trouble::Broken] {
            let verdict = judged(trouble, true);
            assert_eq!((verdict.billed, verdict.advice), (Some(Billed::Uncertain), again(None, false)));
        }
        assert_eq!(judged(Trouble::TooLarge, true).advice, Advice::Keep);
        for trouble in [Trouble::Tls, Trouble::Unusable] {
            assert!(matches!(judged(trouble, false).advice, Advice::StopProvider { .. }));
        }
    }

    #[test]
    fn an_error_with_status_200_is_malformed_and_means_what_it_says() {
        let ok = reply(200, &[]);
        let judged = |complaint| of_late_complaint(&complaint, &ok, WHOM, None);
        let verdict = judged(complaint("502", "", "Provider returned error"));
        assert_eq!(verdict.outcome, Outcome::Failure(FailureCode::Malformed));
        assert_eq!((verdict.billed, verdict.advice), (Some(Billed::Uncertain), again(None, false)));
        assert_eq!(judged(complaint("", "overloaded_error", "Overloaded")).advice, again(None, true));
        assert_eq!(judged(complaint("", "", "something")).advice, Advice::Keep);
        assert!(matches!(judged(complaint("insufficient_quota", "", "")).advice, Advice::StopProvider { .. }));
        assert_eq!(judged(complaint("200", "", "odd")).advice, Advice::Keep);
    }

    proptest::proptest! {
        #[test]
        fn any_status_and_complaint_has_a_verdict(status in 100..1000_u16, code in ".*", kind in ".*", message in ".*") {
            let verdict = judged(status, &complaint(&code, &kind, &message), &[]);
            proptest::prop_assert!(verdict.note.is_some_and(|note| note.chars().count() < 300));
        }
    }
}
