use std::io::{BufRead as _, IsTerminal as _};

use super::build_args::BuildArgs;
use super::estimate::Estimate;
use super::failure::Failure;
use super::finish::thousands;
use super::output::Output;
use crate::config::{Config, Reaction};
use crate::digest::Decimal;
use crate::flow::{Budget, Money};

/// Says whether a build may spend what it would.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Consent {
    /// It may.
    Given,
    /// Somebody at the terminal has to say so.
    Ask,
    /// Nobody can be asked here, and nothing says so.
    Missing,
    /// It may not, and why: the limit could not be kept.
    Unbounded(&'static str),
}

/// Is what was typed and what the config says of spending.
#[derive(Clone, Copy, Debug)]
struct Rules {
    yes: bool,
    max_cost: Option<Money>,
    max_usd: Option<Money>,
    confirm_above: Option<Money>,
    unknown_price: Reaction,
}

impl Rules {
    fn of(config: &Config, args: &BuildArgs) -> Self {
        Self {
            yes: args.yes,
            max_cost: args.max_cost,
            max_usd: config.max_usd.and_then(Money::usd),
            confirm_above: config.budget.confirm_above_usd.and_then(Money::usd),
            unknown_price: config.budget.unknown_price,
        }
    }

    fn decide(&self, estimate: &Estimate, can_ask: bool) -> Consent {
        let has_limit = self.max_cost.or(self.max_usd).is_some();
        if has_limit && estimate.has_unpriced() {
            return Consent::Unbounded("a model that would be asked has no price");
        }
        if has_limit && (estimate.draws > 0 && estimate.ceiling.is_none() || estimate.is_later_endless) {
            return Consent::Unbounded("nothing bounds the length of some answers");
        }
        if self.yes || self.max_cost.is_some() {
            return Consent::Given;
        }
        let threshold = self.confirm_above.unwrap_or(Money::ZERO);
        let is_much = !estimate.later.is_empty() || estimate.upper().is_none_or(|upper| upper > threshold);
        let is_unknown = estimate.has_unpriced() && self.unknown_price == Reaction::Refuse;
        if !is_much && !is_unknown {
            return Consent::Given;
        }
        // A limit in the config is consent to spend up to it, unless the config wants to be asked from some amount on.
        let wants_to_ask = can_ask && self.confirm_above.is_some();
        match self.max_usd {
            Some(_) if !wants_to_ask => Consent::Given,
            _ if can_ask => Consent::Ask,
            _ => Consent::Missing,
        }
    }
}

/// Decides from what was typed and what the config says. `can_ask`: somebody sits at a terminal.
pub fn consent(estimate: &Estimate, config: &Config, args: &BuildArgs, can_ask: bool) -> Consent {
    Rules::of(config, args).decide(estimate, can_ask)
}

/// Lets a build go on that may spend what it would, asking at a terminal where that is needed; else nothing is sent.
pub fn require(
    estimate: &Estimate,
    config: &Config,
    args: &BuildArgs,
    budget: &Budget,
    out: &Output,
) -> Result<(), Failure> {
    if estimate.draws == 0 && !estimate.has_unpriced() && estimate.later.is_empty() {
        return Ok(());
    }
    let refuse = |failure: Failure| Err(failure.hint("nothing was sent"));
    let what = what(estimate);
    let can_ask = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
    match consent(estimate, config, args, can_ask) {
        Consent::Given => {
            estimate.lines().iter().for_each(|line| out.note(line));
            if estimate.has_unpriced() && config.budget.unknown_price == Reaction::Warn {
                out.note("warning: what has no price is sent without knowing what it costs");
            }
            if budget.limit().is_some_and(|limit| estimate.low > limit.to_f64()) {
                out.note("warning: the budget will be reached before all is sent");
            }
            Ok(())
        }
        Consent::Ask => {
            estimate.lines().iter().for_each(|line| Output::error(line));
            out.doing("");
            if is_yes(&format!("{what}? [y/N]")) { Ok(()) } else { refuse(Failure::usage("that was no yes")) }
        }
        Consent::Missing => {
            let known = estimate.ceiling.or_else(|| estimate.upper());
            let hints = match known.filter(|_| !estimate.has_unpriced() && estimate.later.is_empty()) {
                Some(most) => {
                    let most = cents(most);
                    format!(
                        "`--max-cost {most}` lets it spend no more than that, `budget: {{max_usd: {most}}}` in the config every \
                         build; `--yes` lets it spend what it costs"
                    )
                }
                None => "`--yes` lets it spend what it costs; a limit needs a `price:` for each model and `max_output_tokens`"
                    .to_owned(),
            };
            let message = format!("{what}: nobody can be asked here whether it may");
            let lines = estimate.lines().into_iter().fold(Failure::usage(message), Failure::hint);
            refuse(lines.hint(hints))
        }
        Consent::Unbounded(why) => {
            let hint =
                "give each model a `price:` and `max_output_tokens`, or take the limit away and agree with `--yes`";
            let message = format!("{what}, and the limit of {} could not be kept: {why}", limit_words(budget));
            refuse(Failure::usage(message).hint(hint))
        }
    }
}

/// Asks on standard error, and takes a line that begins with `y` for a yes.
pub fn is_yes(question: &str) -> bool {
    Output::error(question);
    let mut answer = String::new();
    drop(std::io::stdin().lock().read_line(&mut answer));
    matches!(answer.trim(), "y" | "Y" | "yes")
}

fn what(estimate: &Estimate) -> String {
    let requests = [&estimate.unpriced, &estimate.later].into_iter().flat_map(|of| of.values()).sum::<u64>();
    let requests = estimate.draws + requests;
    let plural = if requests == 1 { "" } else { "s" };
    format!("this build sends {} request{plural} ({})", thousands(requests), estimate.words())
}

fn limit_words(budget: &Budget) -> String {
    budget.limit().unwrap_or_default().to_string()
}

/// Writes an amount in dollars and cents, rounded up, as it is typed.
fn cents(amount: Money) -> String {
    let cent = Money::usd(Decimal::new(1, -2)).unwrap_or_default();
    let mut text = amount.plus(cent).digits();
    match text.find('.') {
        Some(point) => text.truncate((point + 3).min(text.len())),
        None => text.push_str(".00"),
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usd(text: &str) -> Option<Money> {
        Money::usd(text.parse().unwrap())
    }

    #[test]
    fn consent_is_given_asked_for_or_missing() {
        use Consent::{Ask, Given, Missing, Unbounded};
        let none =
            Rules { yes: false, max_cost: None, max_usd: None, confirm_above: None, unknown_price: Reaction::Refuse };
        let two = Estimate { draws: 4, low: 1.0, high: Some(2.0), ceiling: usd("5"), ..Estimate::default() };
        let endless = Estimate { high: None, ceiling: None, ..two.clone() };
        let unpriced = Estimate { unpriced: [("m".to_owned(), 4)].into(), ..Estimate::default() };
        let judged = Estimate { later: [("m".to_owned(), 4)].into(), ..Estimate::default() };
        let babbling = Estimate { is_later_endless: true, ..judged.clone() };
        let (no_price, no_end) = (
            Unbounded("a model that would be asked has no price"),
            Unbounded("nothing bounds the length of some answers"),
        );
        // What the rules are, what it costs, and what that comes to at a terminal and elsewhere.
        let cases = [
            (none, &two, Ask, Missing),
            (none, &endless, Ask, Missing),
            (none, &unpriced, Ask, Missing),
            (Rules { yes: true, ..none }, &two, Given, Given),
            (Rules { yes: true, ..none }, &endless, Given, Given),
            (Rules { yes: true, ..none }, &unpriced, Given, Given),
            (Rules { max_cost: usd("1"), ..none }, &two, Given, Given),
            (Rules { max_cost: usd("1"), ..none }, &endless, no_end.clone(), no_end.clone()),
            (Rules { max_cost: usd("1"), yes: true, ..none }, &unpriced, no_price.clone(), no_price.clone()),
            (Rules { max_usd: usd("1"), ..none }, &two, Given, Given),
            (Rules { max_usd: usd("1"), ..none }, &endless, no_end.clone(), no_end.clone()),
            (
                Rules { max_usd: usd("1"), unknown_price: Reaction::Ignore, ..none },
                &unpriced,
                no_price.clone(),
                no_price,
            ),
            (Rules { max_usd: usd("1"), confirm_above: usd("1.99"), ..none }, &two, Ask, Given),
            (Rules { max_usd: usd("1"), confirm_above: usd("2"), ..none }, &two, Given, Given),
            (Rules { confirm_above: usd("2"), ..none }, &two, Given, Given),
            (Rules { confirm_above: usd("1.99"), ..none }, &two, Ask, Missing),
            (Rules { confirm_above: usd("99"), ..none }, &endless, Ask, Missing),
            (Rules { confirm_above: usd("99"), ..none }, &unpriced, Ask, Missing),
            (none, &judged, Ask, Missing),
            (Rules { yes: true, ..none }, &judged, Given, Given),
            (Rules { max_cost: usd("1"), ..none }, &judged, Given, Given),
            (Rules { max_usd: usd("1"), ..none }, &judged, Given, Given),
            (Rules { max_usd: usd("1"), ..none }, &babbling, no_end.clone(), no_end.clone()),
            (Rules { unknown_price: Reaction::Warn, ..none }, &unpriced, Given, Given),
            (Rules { unknown_price: Reaction::Ignore, ..none }, &unpriced, Given, Given),
        ];
        for (at, (rules, estimate, asked, alone)) in cases.into_iter().enumerate() {
            assert_eq!([rules.decide(estimate, true), rules.decide(estimate, false)], [asked, alone], "case {at}");
        }
    }

    #[test]
    fn a_limit_is_rounded_up_to_cents() {
        let cents_of = |text: &str| cents(usd(text).unwrap());
        assert_eq!(["0.001", "0.019", "2", "1234.5678"].map(cents_of), ["0.01", "0.02", "2.01", "1234.57"]);
    }
}
