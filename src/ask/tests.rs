//! The asker against a provider that follows a script: no socket, and a store of its own.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::*;
use crate::digest::DrawId;
use crate::flow::{Budget, Clock, Event, Money, StopFlag};
use crate::provider::{Advice, Given, Line, LookError, Provider, RateLimits, Served};
use crate::request::{
    Answer, AnswerStatus, Billed, Circumstances, DrawAddress, FailureCode, Message, Outcome, ProviderIdentity, Request,
    Role, Terms, Usage,
};
use crate::store::{Access, Store};

type Script = dyn Fn(&str, u32) -> Given + Send + Sync;

/// Answers by script: what is asked, and the how many-th attempt it is.
struct Scripted {
    identity: ProviderIdentity,
    script: Box<Script>,
    asked: Mutex<Vec<String>>,
    served: Option<Served>,
}

impl Provider for Scripted {
    fn identity(&self) -> &ProviderIdentity {
        &self.identity
    }

    fn endpoint(&self) -> Option<&str> {
        Some("http://scripted")
    }

    fn look(&self, _line: &mut Line, _model: &str) -> Result<Option<Served>, LookError> {
        Ok(self.served.clone())
    }

    fn answer(&self, _line: &mut Line, request: &Request, _draw: &DrawAddress) -> Given {
        let text = request.messages[0].content.clone();
        let attempt = {
            let mut asked = self.asked.lock().unwrap();
            asked.push(text.to_string());
            asked.iter().filter(|other| **other == *text).count() as u32
        };
        (self.script)(&text, attempt)
    }
}

fn given(outcome: Outcome, advice: Advice) -> Given {
    let circumstances = Circumstances { bought: Some("online".into()), ..Circumstances::default() };
    Given { outcome, circumstances, raw: b"{}".to_vec(), advice, limits: RateLimits::default() }
}

fn answered(text: &str) -> Given {
    let answer = Answer {
        status: AnswerStatus::Stop,
        text: text.into(),
        reasoning: None,
        finish_reason: None,
        served_model: None,
        usage: Usage::default(),
    };
    given(Outcome::Answer(answer), Advice::Keep)
}

fn failed(code: FailureCode, advice: Advice) -> Given {
    given(Outcome::Failure(code), advice)
}

fn again() -> Given {
    failed(FailureCode::ServerError, Advice::Retry { after: None, overloaded: false })
}

fn scripted(name: &str, script: impl Fn(&str, u32) -> Given + Send + Sync + 'static) -> Arc<Scripted> {
    let identity = ProviderIdentity(name.into());
    Arc::new(Scripted { identity, script: Box::new(script), asked: Mutex::default(), served: None })
}

fn wanted(provider: &str, text: &str, turn: u64) -> WantedDraw {
    let request = Request {
        terms: Terms::new(ProviderIdentity(provider.into()), "m").into(),
        messages: vec![Message::new(Role::User, text)],
        recording: None,
    };
    let address = DrawAddress { request: request.key(), generation: 0, number: 0 };
    WantedDraw { request: Arc::new(request), address, turn, is_rejected: false }
}

fn clock() -> Clock {
    let start = Instant::now();
    Clock::new(|| "2026-11-23T00:00:00.000Z".to_owned(), move || start.elapsed())
}

/// Is what an asker came to.
struct Asked {
    counts: Counts,
    settlements: HashMap<u32, Result<BTreeMap<DrawId, Settled>, AskError>>,
    events: Vec<Event>,
}

struct World {
    _dir: tempfile::TempDir,
    store: Store,
    policy: Policy,
    expected: Expected,
    tariffs: Tariffs,
    budget: Budget,
    stop: StopFlag,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = camino::Utf8Path::from_path(dir.path()).unwrap().join("store");
        let store = Store::open(&path, Access::ReadWrite).unwrap();
        let policy = Policy { first_wait: Duration::from_millis(1), max_attempts: 4, ..Policy::default() };
        let (expected, tariffs, budget) = (Expected::default(), Tariffs::default(), Budget::new(None));
        Self { _dir: dir, store, policy, expected, tariffs, budget, stop: StopFlag::new() }
    }

    fn ask(&self, providers: &[&Arc<Scripted>], tickets: Vec<Vec<WantedDraw>>) -> Asked {
        let session = self.store.session().unwrap();
        let (mut known, mut policies) = (Providers::default(), Policies::default());
        for provider in providers {
            known.add(Arc::clone(provider) as Arc<dyn Provider>);
            policies.add(provider.identity.clone(), self.policy);
        }
        let events = Mutex::new(Vec::new());
        let take = |event: Event| events.lock().unwrap().push(event);
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        let clock = clock();
        let asker = Asker {
            session: &session,
            providers: &known,
            policies: &policies,
            batching: &Batching::default(),
            expected: &self.expected,
            tariffs: &self.tariffs,
            budget: &self.budget,
            pool: &pool,
            clock: &clock,
            stop: &self.stop,
            events: &take,
        };
        let (out, inbox) = Tickets::open();
        for (owner, wanted) in (0..).zip(tickets) {
            out.send(Ticket::new(owner, wanted, Arc::default()));
        }
        drop(out);
        let mut settlements = HashMap::new();
        let counts = asker.serve(inbox, &mut |settlement: Settlement| {
            assert!(settlements.insert(settlement.owner, settlement.draws).is_none(), "a ticket ends once");
        });
        Asked { counts, settlements, events: events.into_inner().unwrap() }
    }
}

impl Asked {
    fn of(&self, owner: u32, wanted: &WantedDraw) -> Settled {
        self.settlements[&owner].as_ref().unwrap()[&wanted.address.id()].clone()
    }

    fn stopped(&self) -> Vec<&str> {
        let why = |event: &'_ Event| matches!(event, Event::ProviderStopped { .. });
        let texts = self.events.iter().filter(|event| why(event)).map(|event| match event {
            Event::ProviderStopped { why, .. } => why.as_str(),
            _ => "",
        });
        texts.collect()
    }
}

#[test]
fn each_draw_is_asked_once_and_kept() {
    let world = World::new();
    let provider = scripted("p", |text, _| answered(&format!("re {text}")));
    let draws: Vec<WantedDraw> = (0..200).map(|n| wanted("p", &format!("q{n}"), n)).collect();
    let asked = world.ask(&[&provider], vec![draws.clone(), draws[..50].to_vec(), vec![]]);
    assert_eq!(asked.counts, Counts { reused: 0, sent: 200, failed: 0 });
    assert_eq!(provider.asked.lock().unwrap().len(), 200);
    assert_eq!(asked.settlements.len(), 3);
    let Ok(answer) = asked.of(1, &draws[49]) else { panic!("no answer") };
    assert_eq!(answer.text, "re q49");
    let second = world.ask(&[&provider], vec![draws.clone()]);
    assert_eq!(second.counts, Counts { reused: 200, sent: 0, failed: 0 });
    assert_eq!(provider.asked.lock().unwrap().len(), 200, "nothing is asked again");
    assert_eq!(second.of(0, &draws[7]), asked.of(0, &draws[7]));
}

#[test]
fn the_arms_of_an_item_are_asked_together_in_a_shuffled_order() {
    let mut world = World::new();
    world.policy.most_in_flight = 1;
    let provider = scripted("p", |_, _| answered("x"));
    let turn = |n: u64| n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let arm = |arm: &str| (0..30).map(|n| wanted("p", &format!("{n} {arm}"), turn(n))).collect::<Vec<_>>();
    world.ask(&[&provider], vec![arm("control"), arm("treatment")]);
    let asked = provider.asked.lock().unwrap();
    let items: Vec<u64> = asked.iter().map(|text| text.split(' ').next().unwrap().parse().unwrap()).collect();
    assert!(items.chunks(2).all(|pair| pair[0] == pair[1]), "{items:?}");
    let mut expected: Vec<u64> = (0..30).collect();
    expected.sort_by_key(|n| turn(*n));
    assert_eq!(items.iter().step_by(2).copied().collect::<Vec<_>>(), expected);
}

/// While answers come the number in flight doubles with each round of them, though no thread ever finds its queue empty.
#[test]
fn as_many_are_in_flight_as_there_may_be_while_there_is_something_to_send() {
    let mut world = World::new();
    world.policy.most_in_flight = 64;
    let (now, peak) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let seen = peak.clone();
    let provider = scripted("p", move |_, _| {
        peak.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        // Whoever was sent first waits for the others to come, however slowly a busy machine starts them.
        let mut waited = 0;
        while waited < 40 || (waited < 400 && peak.load(Ordering::SeqCst) < 48) {
            std::thread::sleep(Duration::from_millis(10));
            waited += 10;
        }
        now.fetch_sub(1, Ordering::SeqCst);
        answered("x")
    });
    let draws = (0..200).map(|n| wanted("p", &format!("q{n}"), n)).collect();
    world.ask(&[&provider], vec![draws]);
    let peak = seen.load(Ordering::SeqCst);
    assert!((48..=64).contains(&peak), "{peak} at once");
}

#[test]
fn what_may_pass_is_asked_again_and_no_oftener_than_allowed() {
    let world = World::new();
    let provider = scripted("p", |text, attempt| match text {
        "never" => again(),
        "rejected" => failed(FailureCode::Rejected, Advice::Keep),
        _ if attempt < 4 => again(),
        _ => answered("at last"),
    });
    let draws = ["late", "never", "rejected"].map(|text| wanted("p", text, 0));
    let asked = world.ask(&[&provider], vec![draws.to_vec()]);
    assert_eq!(asked.of(0, &draws[0]).unwrap().text, "at last");
    assert_eq!(asked.of(0, &draws[1]), Err(FailureCode::ServerError));
    assert_eq!(asked.of(0, &draws[2]), Err(FailureCode::Rejected));
    let count = |text: &str| provider.asked.lock().unwrap().iter().filter(|asked| *asked == text).count();
    assert_eq!(["late", "never", "rejected"].map(count), [4, 4, 1]);
    assert_eq!(asked.counts, Counts { reused: 0, sent: 1, failed: 2 });
    // Who waits is told for what: once, not for each of the six attempts that were repeated.
    let told = asked
        .events
        .iter()
        .filter(|event| matches!(event, Event::AskedAgain { why, .. } if why.starts_with("server_error")));
    assert_eq!(told.count(), 1);
    let logged = world.store.draws(&[draws[0].address]).unwrap();
    assert_eq!(logged[0].as_ref().unwrap().circumstances.attempts, Some(4));
    // The next build asks for what failed, and for nothing else.
    world.ask(&[&provider], vec![draws.to_vec()]);
    assert_eq!(["late", "never", "rejected"].map(count), [4, 8, 2]);
    // What was rejected is left alone by whoever knows of it.
    let known = WantedDraw { is_rejected: true, ..draws[2].clone() };
    let asked = world.ask(&[&provider], vec![vec![draws[0].clone(), known]]);
    assert_eq!(asked.of(0, &draws[2]), Err(FailureCode::Rejected));
    assert_eq!((asked.counts, count("rejected")), (Counts { reused: 1, sent: 0, failed: 1 }, 2));
}

#[test]
fn an_uncertain_attempt_is_repeated_only_where_that_is_wished() {
    let mut world = World::new();
    world.policy.retry_uncertain = false;
    let provider = scripted("p", |_, _| {
        let mut given = failed(FailureCode::Timeout, Advice::Retry { after: None, overloaded: false });
        given.circumstances.billed = Some(Billed::Uncertain);
        given
    });
    let draw = wanted("p", "q", 0);
    let asked = world.ask(&[&provider], vec![vec![draw.clone()]]);
    assert_eq!(asked.of(0, &draw), Err(FailureCode::Timeout));
    assert_eq!(provider.asked.lock().unwrap().len(), 1);
    world.policy.retry_uncertain = true;
    world.ask(&[&provider], vec![vec![draw]]);
    assert_eq!(provider.asked.lock().unwrap().len(), 1 + 4);
}

#[test]
fn a_provider_that_stops_does_not_stop_the_others() {
    let world = World::new();
    let bad = scripted("bad", |_, _| {
        failed(FailureCode::ProviderStopped, Advice::StopProvider { why: "the key is refused".into() })
    });
    let good = scripted("good", |_, _| answered("x"));
    let draws = |name: &str| (0..100).map(|n| wanted(name, &format!("q{n}"), n)).collect::<Vec<_>>();
    let (of_bad, of_good) = (draws("bad"), draws("good"));
    let asked = world.ask(&[&bad, &good], vec![of_bad.clone(), of_good.clone()]);
    assert_eq!(asked.counts, Counts { reused: 0, sent: 100, failed: 100 });
    assert!(of_bad.iter().all(|draw| asked.of(0, draw) == Err(FailureCode::ProviderStopped)));
    assert!(of_good.iter().all(|draw| asked.of(1, draw).is_ok()));
    assert!(bad.asked.lock().unwrap().len() <= 16, "no more than were in flight");
    assert_eq!(asked.stopped(), ["the key is refused"], "it is told once");
}

#[test]
fn first_requests_that_all_fail_alike_stop_a_provider() {
    let world = World::new();
    let provider = scripted("p", |_, _| failed(FailureCode::Rejected, Advice::Keep));
    let draws: Vec<WantedDraw> = (0..500).map(|n| wanted("p", &format!("q{n}"), n)).collect();
    let asked = world.ask(&[&provider], vec![draws]);
    assert_eq!(asked.counts.failed, 500);
    assert!(provider.asked.lock().unwrap().len() < 40);
    assert!(asked.stopped()[0].contains("the first 8 requests all failed with `rejected`"));
}

#[test]
fn a_provider_that_asks_for_too_long_a_wait_is_parked() {
    let world = World::new();
    let provider = scripted("p", |text, _| match text {
        "q0" => answered("x"),
        _ => {
            failed(FailureCode::RateLimited, Advice::Retry { after: Some(Duration::from_hours(24)), overloaded: true })
        }
    });
    let draws: Vec<WantedDraw> = (0..50).map(|n| wanted("p", &format!("q{n}"), n)).collect();
    let asked = world.ask(&[&provider], vec![draws[..1].to_vec(), draws[1..].to_vec()]);
    assert!(asked.of(0, &draws[0]).is_ok());
    let Err(AskError::Parked { seconds, .. }) = &asked.settlements[&1] else { panic!("not parked") };
    assert_eq!(*seconds, 86_400);
    // What was not sent is claimed by nobody.
    let session = world.store.session().unwrap();
    let claims = session.claim(&[draws[40].address]).unwrap();
    assert_eq!(claims, [crate::store::Claim::Mine]);
}

#[test]
fn a_wish_to_stop_lets_what_is_in_flight_end() {
    let mut world = World::new();
    world.policy.most_in_flight = 4;
    let stop = world.stop.clone();
    let provider = scripted("p", move |_, _| {
        stop.raise();
        std::thread::sleep(Duration::from_millis(30));
        answered("kept")
    });
    let draws: Vec<WantedDraw> = (0..100).map(|n| wanted("p", &format!("q{n}"), n)).collect();
    let asked = world.ask(&[&provider], vec![draws.clone()]);
    assert!(matches!(asked.settlements[&0], Err(AskError::Stopped)));
    let sent = provider.asked.lock().unwrap().len();
    assert!((1..=4).contains(&sent), "{sent}");
    let addresses: Vec<DrawAddress> = draws.iter().map(|draw| draw.address).collect();
    let kept = world.store.draws(&addresses).unwrap().iter().flatten().count();
    assert_eq!(kept, sent, "every answer that came is in the log");
}

#[test]
fn another_revision_than_expected_is_never_asked() {
    let mut world = World::new();
    let served = Served { revision: Some("b".into()), ..Served::default() };
    let identity = ProviderIdentity("p".into());
    let script: Box<Script> = Box::new(|_, _| answered("x"));
    let make = |script| {
        Arc::new(Scripted { identity: identity.clone(), script, asked: Mutex::default(), served: Some(served.clone()) })
    };
    let provider = make(script);
    world.expected.add(identity.clone(), "m", ExpectedRevision { revision: "a".into(), is_stated: false });
    let draw = wanted("p", "q", 0);
    let asked = world.ask(&[&provider], vec![vec![draw.clone()]]);
    assert_eq!(asked.of(0, &draw), Err(FailureCode::ProviderStopped));
    assert!(provider.asked.lock().unwrap().is_empty());
    assert!(asked.stopped()[0].contains("revision: \"b\""));
    world.expected = Expected::default();
    let asked = world.ask(&[&provider], vec![vec![draw.clone()]]);
    assert!(asked.of(0, &draw).is_ok());
    let logged = world.store.draws(&[draw.address]).unwrap();
    assert_eq!(logged[0].as_ref().unwrap().circumstances.server_revision.as_deref(), Some("b"));
}

#[test]
fn nobody_to_ask_ends_only_what_needs_them() {
    let world = World::new();
    let provider = scripted("p", |_, _| answered("x"));
    let draws = [wanted("p", "q", 0), wanted("absent", "q", 0)];
    let asked = world.ask(&[&provider], vec![vec![draws[0].clone()], draws.to_vec()]);
    assert!(asked.of(0, &draws[0]).is_ok());
    assert!(matches!(asked.settlements[&1], Err(AskError::NoProvider { missing: 1, .. })));
}

fn priced(price: &str) -> Tariffs {
    let rate = Money::per_token(price.parse().unwrap()).unwrap();
    let rates = Rates { input: rate, output: rate, ..Rates::default() };
    let mut tariffs = Tariffs::default();
    tariffs.add(ProviderIdentity("p".into()), "m", Tariff::Rated(rates), false, Some(100));
    tariffs
}

/// No order of ends and failures lets more be paid than the limit; and what was bought by then is kept.
#[test]
fn a_budget_is_never_exceeded() {
    let mut world = World::new();
    world.tariffs = priced("1000");
    let limit = Money::usd("10".parse().unwrap()).unwrap();
    world.budget = Budget::new(Some(limit));
    let provider = scripted("p", |text, attempt| {
        let mut given = if text.ends_with('3') && attempt < 3 {
            failed(FailureCode::Timeout, Advice::Retry { after: None, overloaded: false })
        } else {
            answered("x")
        };
        given.circumstances.billed = matches!(given.outcome, Outcome::Failure(_)).then_some(Billed::Uncertain);
        if let Outcome::Answer(answer) = &mut given.outcome {
            answer.usage = Usage { input_tokens: Some(10), output_tokens: Some(20), reasoning_tokens: None };
        }
        given
    });
    let draws: Vec<WantedDraw> = (0..2000).map(|n| wanted("p", &format!("q{n}"), n)).collect();
    let asked = world.ask(&[&provider], vec![draws.clone()]);
    assert!(matches!(asked.settlements[&0], Err(AskError::OverBudget)));
    let spending = world.budget.spending();
    assert!(spending.reserved == Money::ZERO);
    assert!(spending.at_most() <= limit, "{spending:?}");
    assert!(spending.uncertain > Money::ZERO);
    let addresses: Vec<DrawAddress> = draws.iter().map(|draw| draw.address).collect();
    let kept = world.store.draws(&addresses).unwrap().iter().flatten().count() as u64;
    assert_eq!(spending.spent, Money::usd("0.03".parse().unwrap()).unwrap().times(kept));
    assert!(kept > 50, "{kept}");
}

#[test]
fn what_has_no_bound_is_not_sent_against_a_limit() {
    let mut world = World::new();
    world.budget = Budget::new(Some(Money::usd("10".parse().unwrap()).unwrap()));
    let provider = scripted("p", |_, _| answered("x"));
    let draw = wanted("p", "q", 0);
    let asked = world.ask(&[&provider], vec![vec![draw]]);
    assert!(matches!(asked.settlements[&0], Err(AskError::OverBudget)));
    assert!(asked.stopped()[0].contains("give the model a `price:`"));
    assert!(provider.asked.lock().unwrap().is_empty());
}
