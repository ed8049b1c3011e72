use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt::Write as _;
use std::sync::Arc;

use super::failure::Failure;
use super::planning::Planning;
use super::wanted_draws::{GROUP, each_request_of};
use crate::ask::{Ceiling, Tariff, Tariffs};
use crate::digest::{ActionKey, Decimal};
use crate::engine::NodeDone;
use crate::flow::Money;
use crate::request::{Billed, Circumstances, DrawAddress, Request, Usage};
use crate::run::{CostRange, CostSummary};
use crate::step::Wanted;
use crate::store::{BatchState, LedgerLine, Store};

/// Is what decides the price of an answer: a run may have bought very many.
struct Receipt {
    usage: Usage,
    cached_tokens: Option<u64>,
    cache_write_tokens: Option<u64>,
    bought: Option<Arc<str>>,
}

impl Receipt {
    /// Returns the circumstances as far as they decide the price.
    fn circumstances(&self) -> Circumstances {
        Circumstances {
            cached_tokens: self.cached_tokens,
            cache_write_tokens: self.cache_write_tokens,
            bought: self.bought.as_deref().map(str::to_owned),
            ..Circumstances::default()
        }
    }
}

/// Is what a run's sessions did about one draw.
#[derive(Default)]
struct Bought {
    answers: Vec<Receipt>,
    /// Attempts that are under way, or whose end nobody wrote down.
    open: u64,
    /// Attempts that may have been billed, as the provider's adapter judged.
    uncertain: u64,
    /// A request of the run wanted it, and it is in the sums.
    is_counted: bool,
}

/// Reads from the draw log what the given sessions bought. An attempt without an end is open: the process died.
fn bought(store: &Store, sessions: &[String]) -> Result<BTreeMap<DrawAddress, Bought>, Failure> {
    // Ordered, so that it does not double when it grows: a run may have bought very many.
    let mut bought: BTreeMap<DrawAddress, Bought> = BTreeMap::new();
    let mut open: HashMap<DrawAddress, u64> = HashMap::new();
    let mut ways: BTreeSet<Arc<str>> = BTreeSet::new();
    for session in sessions {
        store.ledger(std::slice::from_ref(session), |line| {
            let mut end = |address| {
                if let Entry::Occupied(mut entry) = open.entry(address) {
                    *entry.get_mut() -= 1;
                    if *entry.get() == 0 {
                        entry.remove();
                    }
                }
            };
            match line {
                LedgerLine::Intent(addresses) => {
                    for address in addresses {
                        *open.entry(address).or_default() += 1;
                    }
                }
                LedgerLine::Answer { address, usage, circumstances, .. } => {
                    end(address);
                    let Circumstances { cached_tokens, cache_write_tokens, bought: way, .. } = circumstances;
                    let way = way.map(|way| {
                        let known = ways.get(&*way).cloned();
                        known.unwrap_or_else(|| {
                            let way: Arc<str> = way.into();
                            ways.insert(way.clone());
                            way
                        })
                    });
                    let answers = &mut bought.entry(address).or_default().answers;
                    // A second answer is rare.
                    answers.reserve_exact(1);
                    answers.push(Receipt { usage, cached_tokens, cache_write_tokens, bought: way });
                }
                LedgerLine::Failure { address, circumstances, .. } => {
                    end(address);
                    if circumstances.billed == Some(Billed::Uncertain) {
                        bought.entry(address).or_default().uncertain += 1;
                    }
                }
            }
        })?;
        // An attempt ends in the session that began it.
        for (address, count) in open.drain() {
            bought.entry(address).or_default().open += count;
        }
    }
    Ok(bought)
}

/// Lists the draws in batches that are, or may be, at a provider.
fn waiting(store: &Store) -> Result<HashSet<DrawAddress>, Failure> {
    let open = store.open_batches()?.into_iter().filter(|batch| batch.state() != BatchState::Prepared);
    Ok(open.flat_map(|batch| batch.draws).collect())
}

/// Sums up what a run cost.
struct Account<'a> {
    store: &'a Store,
    tariffs: &'a Tariffs,
    bought: BTreeMap<DrawAddress, Bought>,
    /// Draws that are in batches at a provider: what they cost is not known before they have ended.
    waiting: HashSet<DrawAddress>,
    /// Draws that are in the sums and that its sessions did nothing about.
    others: HashSet<DrawAddress>,
    /// Draws whose answers were there already, as far as these have not been looked for.
    reused: Vec<Wanted>,
    spent: Money,
    saved: Money,
    unknown: u64,
    attempts: u64,
    /// None once an uncertain attempt has no ceiling.
    uncertain: Option<Money>,
}

impl<'a> Account<'a> {
    fn open(store: &'a Store, tariffs: &'a Tariffs, sessions: &[String]) -> Result<Self, Failure> {
        Ok(Self {
            store,
            tariffs,
            bought: bought(store, sessions)?,
            waiting: waiting(store)?,
            others: HashSet::new(),
            reused: Vec::new(),
            spent: Money::ZERO,
            saved: Money::ZERO,
            unknown: 0,
            attempts: 0,
            uncertain: Some(Money::ZERO),
        })
    }

    /// Counts a draw that the run wants, once, however often it is told of it.
    fn count(&mut self, wanted: Wanted) -> Result<(), Failure> {
        let request = &wanted.request;
        let is_free = self.tariffs.of(&request.provider, &request.model) == Tariff::Free;
        if is_free {
            return Ok(());
        }
        let own = match self.bought.get_mut(&wanted.address) {
            Some(own) if own.is_counted => return Ok(()),
            Some(own) => std::mem::replace(own, Bought { is_counted: true, ..Bought::default() }),
            None if !self.others.insert(wanted.address) => return Ok(()),
            None if self.waiting.contains(&wanted.address) => {
                self.be_uncertain(1, Some(request));
                return Ok(());
            }
            None => return self.reuse(wanted),
        };
        let mut uncounted = 0;
        for receipt in &own.answers {
            let circumstances = receipt.circumstances();
            match self.tariffs.price(&request.provider, &request.model, &receipt.usage, &circumstances) {
                Some(price) => self.spent = self.spent.plus(price),
                None => uncounted += 1,
            }
        }
        self.unknown += uncounted;
        // An answer that states no tokens was billed, at a price that its ceiling bounds.
        let has_price = matches!(self.tariffs.of(&request.provider, &request.model), Tariff::Rated(_));
        let uncounted = if has_price { uncounted } else { 0 };
        self.be_uncertain(own.open + own.uncertain + uncounted, Some(request));
        // What was tried here without success may have been answered by another build.
        if own.answers.is_empty() { self.reuse(wanted) } else { Ok(()) }
    }

    /// Looks for an answer that was there already, together with others.
    fn reuse(&mut self, wanted: Wanted) -> Result<(), Failure> {
        self.reused.push(wanted);
        if self.reused.len() < GROUP { Ok(()) } else { self.save() }
    }

    /// Adds up what the answers would have cost that were there already.
    fn save(&mut self) -> Result<(), Failure> {
        let reused = std::mem::take(&mut self.reused);
        let addresses: Vec<DrawAddress> = reused.iter().map(|wanted| wanted.address).collect();
        for (wanted, draw) in reused.iter().zip(self.store.draws(&addresses)?) {
            let Some(draw) = draw else { continue };
            let (provider, model) = (&wanted.request.provider, &wanted.request.model);
            let price = self.tariffs.price(provider, model, &draw.answer.usage, &draw.circumstances);
            self.saved = self.saved.plus(price.unwrap_or_default());
        }
        Ok(())
    }

    /// Counts attempts at a request that may have been paid for; without the request nobody knows their ceiling.
    fn be_uncertain(&mut self, attempts: u64, request: Option<&Request>) {
        if attempts > 0 {
            self.attempts += attempts;
            let ceiling = request.and_then(|request| match self.tariffs.ceiling(request) {
                Ceiling::Known(ceiling) => Some(ceiling),
                Ceiling::Unknown => None,
            });
            self.uncertain = self.uncertain.zip(ceiling).map(|(sum, ceiling)| sum.plus(ceiling.times(attempts)));
        }
    }

    fn close(mut self) -> Result<CostSummary, Failure> {
        self.save()?;
        // What was bought and is in no request that can be read: nobody can say at which price.
        for left in std::mem::take(&mut self.bought).into_values().filter(|left| !left.is_counted) {
            let bought = left.answers.iter().filter(|receipt| receipt.bought.as_deref() != Some("embedded"));
            self.unknown += bought.count() as u64;
            self.be_uncertain(left.open + left.uncertain, None);
        }
        let max = self.uncertain.map(Money::to_f64);
        Ok(CostSummary {
            spent: self.spent.to_f64(),
            saved: self.saved.to_f64(),
            unknown: self.unknown,
            uncertain: CostRange { attempts: self.attempts, min: 0.0, max },
        })
    }
}

/// Sums up what a run cost, from the draw log, at the prices of now: spent is the known price of what its sessions bought,
/// a second answer to one draw included; saved that of the answers that were there already; uncertain attempts range from
/// nothing to their ceilings.
pub fn cost_of(
    planning: &Planning<'_>,
    store: &Store,
    sessions: &[String],
    done: &[Option<NodeDone>],
    tariffs: &Tariffs,
) -> Result<CostSummary, Failure> {
    if planning.asked().iter().all(|asked| asked.provider.kind.is_embedded()) {
        return Ok(CostSummary::default());
    }
    let mut account = Account::open(store, tariffs, sessions)?;
    let mut seen: HashSet<ActionKey> = HashSet::new();
    for trial in &planning.plan.trials {
        for node in trial.infer.values().chain(trial.judged.values()).flatten() {
            if planning.resolution.keys[node.get()].is_none_or(|key| seen.insert(key)) {
                let mut counted = Ok(());
                // What cannot be read is passed over here: whoever runs or verifies says so.
                each_request_of(planning, store, done, *node, |wanted| {
                    if counted.is_ok() {
                        counted = account.count(wanted);
                    }
                });
                counted?;
            }
        }
    }
    account.close()
}

/// Returns what a build saved that found a whole run done: all that the run's answers cost or would have cost.
pub fn all_saved(of: Option<&CostSummary>) -> CostSummary {
    let money = |usd: f64| Decimal::from_f64(usd).and_then(Money::usd).unwrap_or_default();
    let saved = of.map_or(Money::ZERO, |cost| money(cost.spent).plus(money(cost.saved)));
    CostSummary { saved: saved.to_f64(), ..CostSummary::default() }
}

/// Writes what was spent and saved: `$0.21 spent, $1.94 saved`, and what is not known.
pub fn words(cost: &CostSummary) -> String {
    let money = |usd: f64| Decimal::from_f64(usd).and_then(Money::usd).unwrap_or_default();
    let mut text = format!("{} spent, {} saved", money(cost.spent), money(cost.saved));
    let CostRange { attempts, max, .. } = cost.uncertain;
    if attempts > 0 {
        let most = max.map_or_else(|| "an unknown amount".to_owned(), |max| money(max).to_string());
        let attempts = if attempts == 1 { "1 attempt".to_owned() } else { format!("{attempts} attempts") };
        let _ = write!(text, ", up to {most} more uncertain ({attempts})");
    }
    if cost.unknown > 0 {
        let _ = write!(text, ", {} of unknown price", cost.unknown);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ask::Rates;
    use crate::request::{Answer, AnswerStatus, Decoding, FailureCode, Message, ProviderIdentity, Role, Terms};
    use crate::store::{Access, LoggedDraw, LoggedFailure, Session};

    /// A dollar a million for input, ten for output; a ceiling of 0.001 for each request.
    fn tariffs() -> Tariffs {
        let rate = |text: &str| Money::per_token(text.parse().unwrap()).unwrap();
        let rates = Rates { input: rate("1"), output: rate("10"), cached_input: Some(rate("0.5")), ..Rates::default() };
        let mut tariffs = Tariffs::default();
        tariffs.add(ProviderIdentity("p".into()), "m", Tariff::Rated(rates), false, None);
        tariffs.add(ProviderIdentity("here".into()), "m", Tariff::Free, false, None);
        tariffs
    }

    fn wanted(provider: &str, n: u32, limit: Option<u32>) -> Wanted {
        // The overhead is 256 for the request and 32 for the message: with 112 bytes, 400 tokens, and 60 for the answer.
        let request = Request {
            terms: Terms {
                decoding: Decoding { max_output_tokens: limit, ..Decoding::default() },
                ..Terms::new(ProviderIdentity(provider.into()), "m")
            }
            .into(),
            messages: vec![Message::new(Role::User, format!("{n:0112}"))],
            recording: None,
        };
        let address = DrawAddress { request: request.key(), generation: 0, number: 0 };
        Wanted { item: n.to_string(), request: Arc::new(request), address }
    }

    fn answer(session: &Session, wanted: &Wanted, tokens: Option<(u64, u64)>, cached: u64) {
        let usage = Usage { input_tokens: tokens.map(|t| t.0), output_tokens: tokens.map(|t| t.1), ..Usage::default() };
        let answer = Answer {
            status: AnswerStatus::Stop,
            text: "text".into(),
            reasoning: None,
            finish_reason: None,
            served_model: None,
            usage,
        };
        let circumstances =
            Circumstances { bought: Some("online".into()), cached_tokens: Some(cached), ..Circumstances::default() };
        let draw = LoggedDraw { address: wanted.address, answer, circumstances, raw: Vec::new() };
        session.log_draws(&[draw]).unwrap();
    }

    fn fail(session: &Session, wanted: &Wanted, billed: Billed) {
        let circumstances = Circumstances { billed: Some(billed), ..Circumstances::default() };
        let code = FailureCode::Timeout;
        session
            .log_failures(&[LoggedFailure { address: wanted.address, code, circumstances, raw: Vec::new() }])
            .unwrap();
    }

    fn cost(store: &Store, sessions: &[&str], draws: &[Wanted]) -> CostSummary {
        let sessions: Vec<String> = sessions.iter().map(|id| (*id).to_owned()).collect();
        let tariffs = tariffs();
        let mut account = Account::open(store, &tariffs, &sessions).unwrap();
        for wanted in draws.iter().chain(draws) {
            account.count(wanted.clone()).unwrap();
        }
        account.close().unwrap()
    }

    #[test]
    fn the_ledger_tells_spent_saved_unknown_and_uncertain_apart() {
        let dir = tempfile::tempdir().unwrap();
        let path = camino::Utf8Path::from_path(dir.path()).unwrap().join("store");
        let store = Store::open(&path, Access::ReadWrite).unwrap();
        let draws: Vec<Wanted> = (0..8).map(|n| wanted("p", n, Some(60))).collect();
        let addresses: Vec<DrawAddress> = draws.iter().map(|wanted| wanted.address).collect();

        let before = store.session().unwrap();
        answer(&before, &draws[0], Some((1000, 100)), 0);
        let first = store.session().unwrap();
        first.log_intents(&addresses[1..5]).unwrap();
        answer(&first, &draws[1], Some((1000, 100)), 600);
        // A second answer was paid for as well.
        answer(&first, &draws[1], Some((1000, 100)), 600);
        answer(&first, &draws[2], None, 0);
        fail(&first, &draws[3], Billed::No);
        first.log_intents(&addresses[3..4]).unwrap();
        fail(&first, &draws[3], Billed::Uncertain);
        // Of the fourth nothing more is written, and the next session asks again.
        let second = store.session().unwrap();
        second.log_intents(&addresses[4..5]).unwrap();
        answer(&second, &draws[4], Some((2000, 0)), 0);

        let found = cost(&store, &[first.id(), second.id()], &draws);
        // 1,000 input of which 600 are cached, and 100 output, twice; 2,000 input.
        let (spent, saved) = (0.0017 * 2.0 + 0.002, 0.002);
        // Two attempts of unknown end, and an answer that states no tokens.
        let uncertain = CostRange { attempts: 3, min: 0.0, max: Some(0.003) };
        assert_eq!(found, CostSummary { spent, saved, unknown: 1, uncertain });
        assert_eq!(
            words(&found),
            "$0.0054 spent, $0.0020 saved, up to $0.0030 more uncertain (3 attempts), 1 of unknown price"
        );
        // To another run all of it was there already.
        let other = cost(&store, &[], &draws);
        assert_eq!((other.spent, other.saved), (0.0, 0.002 + 0.0017 + 0.002));
        assert_eq!((other.unknown, other.uncertain), (0, CostRange::default()));
        assert_eq!(words(&all_saved(Some(&found))), "$0.00 spent, $0.0074 saved");
        assert_eq!(words(&all_saved(None)), "$0.00 spent, $0.00 saved");
    }

    #[test]
    fn what_has_no_ceiling_has_no_upper_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = camino::Utf8Path::from_path(dir.path()).unwrap().join("store");
        let store = Store::open(&path, Access::ReadWrite).unwrap();
        let session = store.session().unwrap();
        let unlimited = wanted("p", 1, None);
        session.log_intents(&[unlimited.address]).unwrap();
        let stray = wanted("p", 2, Some(60));
        answer(&session, &stray, Some((1, 1)), 0);
        let found = cost(&store, &[session.id()], &[unlimited]);
        assert_eq!(found.uncertain, CostRange { attempts: 1, min: 0.0, max: None });
        // An answer to a request that the run does not know has no price that anybody could tell.
        assert_eq!((found.unknown, found.spent), (1, 0.0));
        let shown = "$0.00 spent, $0.00 saved, up to an unknown amount more uncertain (1 attempt), 1 of unknown price";
        assert_eq!(words(&found), shown);
    }

    #[test]
    fn what_is_free_is_not_counted() {
        let dir = tempfile::tempdir().unwrap();
        let path = camino::Utf8Path::from_path(dir.path()).unwrap().join("store");
        let store = Store::open(&path, Access::ReadWrite).unwrap();
        let session = store.session().unwrap();
        let draw = wanted("here", 1, None);
        answer(&session, &draw, None, 0);
        let mut found = cost(&store, &[], std::slice::from_ref(&draw));
        assert_eq!(found, CostSummary::default());
        // Of its own session neither, once it says how it was bought.
        let circumstances = Circumstances { bought: Some("embedded".into()), ..Circumstances::default() };
        let other = store.session().unwrap();
        let logged = store.draws(&[draw.address]).unwrap().remove(0).unwrap();
        other.log_draws(&[LoggedDraw { circumstances, ..logged }]).unwrap();
        found = cost(&store, &[other.id()], &[draw]);
        assert_eq!(found, CostSummary::default());
    }
}
