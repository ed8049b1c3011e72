use std::sync::{Arc, Mutex, PoisonError};

use super::Money;

/// Says how much money went where, so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spending {
    /// The known prices of what was answered.
    pub spent: Money,
    /// The ceilings of attempts of which nobody knows whether, or at what price, they were billed.
    pub uncertain: Money,
    /// The ceilings of what is in flight.
    pub reserved: Money,
    /// The prices of answers that did not have to be bought.
    pub saved: Money,
    /// How many attempts are uncertain.
    pub attempts: u64,
    /// Whether a reservation was refused.
    pub is_reached: bool,
}

impl Spending {
    /// Returns all that may have to be paid: spent, uncertain and reserved.
    pub fn at_most(&self) -> Money {
        self.spent.plus(self.uncertain).plus(self.reserved)
    }
}

/// Holds spending to a limit: each request's ceiling is reserved before it is sent.
///
/// What is spent, uncertain and reserved never comes to more than the limit, whatever threads do at once, as long as no
/// request costs more than its ceiling; one that does is counted at what it did cost. Clones share one account.
#[derive(Clone, Debug, Default)]
pub struct Budget {
    limit: Option<Money>,
    account: Arc<Mutex<Spending>>,
}

impl Budget {
    /// Makes an account with a limit, or none.
    pub fn new(limit: Option<Money>) -> Self {
        Self { limit, account: Arc::default() }
    }

    /// Returns the limit.
    pub fn limit(&self) -> Option<Money> {
        self.limit
    }

    /// Sets aside the most that a request can cost; `None`: it could go beyond the limit, and may not be sent.
    pub fn reserve(&self, ceiling: Money) -> Option<Reservation> {
        self.change(|account| {
            if self.limit.is_some_and(|limit| account.at_most().plus(ceiling) > limit) {
                account.is_reached = true;
                return None;
            }
            account.reserved = account.reserved.plus(ceiling);
            Some(Reservation { budget: self.clone(), ceiling, is_open: true })
        })
    }

    /// Sets aside what is owed already, whatever the limit: for what was sent before.
    pub fn owe(&self, ceiling: Money) -> Reservation {
        self.change(|account| account.reserved = account.reserved.plus(ceiling));
        Reservation { budget: self.clone(), ceiling, is_open: true }
    }

    /// Counts the price of an answer that did not have to be bought.
    pub fn save(&self, price: Money) {
        self.change(|account| account.saved = account.saved.plus(price));
    }

    /// Returns how much went where, at one moment.
    pub fn spending(&self) -> Spending {
        self.change(|account| *account)
    }

    /// Says whether a request was refused, so that the build ends with less than it wanted.
    pub fn is_reached(&self) -> bool {
        self.spending().is_reached
    }

    fn change<T>(&self, change: impl FnOnce(&mut Spending) -> T) -> T {
        change(&mut self.account.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Is a request's ceiling, set aside while the request is under way. Dropped, it is uncertain: nothing was said of its end.
#[derive(Debug)]
#[must_use]
pub struct Reservation {
    budget: Budget,
    ceiling: Money,
    is_open: bool,
}

impl Reservation {
    /// Returns what is set aside.
    pub fn ceiling(&self) -> Money {
        self.ceiling
    }

    /// Adds another reservation of the same account.
    pub fn join(&mut self, mut other: Self) {
        other.is_open = false;
        self.ceiling = self.ceiling.plus(other.ceiling);
    }

    /// Ends it with the price of the answer; the rest is free again.
    pub fn settle(self, price: Money) {
        self.end(|account| account.spent = account.spent.plus(price));
    }

    /// Ends it where nobody can know whether, or at what price, the attempt was billed: the ceiling stays counted.
    pub fn leave_uncertain(self) {
        drop(self);
    }

    /// Ends it where nothing was billed: all of it is free again.
    pub fn release(self) {
        self.end(|_| ());
    }

    fn end(mut self, count: impl FnOnce(&mut Spending)) {
        self.is_open = false;
        let ceiling = self.ceiling;
        self.budget.change(|account| {
            account.reserved = account.reserved.minus(ceiling);
            count(account);
        });
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if self.is_open {
            let ceiling = self.ceiling;
            self.budget.change(|account| {
                account.reserved = account.reserved.minus(ceiling);
                account.uncertain = account.uncertain.plus(ceiling);
                account.attempts += 1;
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cents(n: u64) -> Money {
        Money::usd(crate::digest::Decimal::new(1, -2)).unwrap().times(n)
    }

    #[test]
    fn a_reservation_ends_in_one_of_three_ways() {
        let budget = Budget::new(Some(cents(100)));
        budget.reserve(cents(40)).unwrap().settle(cents(10));
        budget.reserve(cents(40)).unwrap().leave_uncertain();
        budget.reserve(cents(40)).unwrap().release();
        budget.save(cents(7));
        let (spent, uncertain, saved) = (cents(10), cents(40), cents(7));
        let expected = Spending { spent, uncertain, saved, attempts: 1, ..Spending::default() };
        assert_eq!(budget.spending(), expected);
        // 50 of 100 are counted: 50 more are the last that fit, and what does not fit is told.
        assert!(!budget.is_reached());
        assert!(budget.reserve(cents(51)).is_none());
        assert!(budget.is_reached());
        let held = budget.reserve(cents(50)).unwrap();
        assert_eq!((held.ceiling(), budget.spending().reserved), (cents(50), cents(50)));
        assert!(budget.reserve(Money::ZERO).is_some());
    }

    #[test]
    fn an_end_that_nobody_told_is_uncertain() {
        let budget = Budget::new(Some(cents(10)));
        drop(budget.reserve(cents(10)).unwrap());
        assert_eq!(budget.spending().uncertain, cents(10));
        assert!(budget.reserve(cents(1)).is_none());
    }

    #[test]
    fn a_price_above_its_ceiling_is_counted_as_it_was() {
        let budget = Budget::new(Some(cents(10)));
        budget.reserve(cents(10)).unwrap().settle(cents(12));
        assert_eq!((budget.spending().spent, budget.spending().reserved), (cents(12), Money::ZERO));
        assert!(budget.reserve(cents(1)).is_none());
    }

    #[test]
    fn without_a_limit_everything_is_let_through() {
        let budget = Budget::default();
        budget.reserve(Money::MAX).unwrap().settle(cents(1));
        assert_eq!((budget.limit(), budget.is_reached()), (None, false));
        assert_eq!(budget.spending().at_most(), cents(1));
    }

    /// Plays steps: reserve (0), or end one of the open reservations in one of the three ways.
    fn play(budget: &Budget, steps: &[(u8, u64, u64)], limit: Money) -> Result<(), TestCaseError> {
        let mut open = Vec::new();
        for (kind, which, price) in steps {
            if kind % 4 == 0 {
                open.extend(budget.reserve(cents(*price)));
            } else if !open.is_empty() {
                let held: Reservation = open.swap_remove(*which as usize % open.len());
                let price = cents(*price).min(held.ceiling());
                match kind % 4 {
                    1 => held.settle(price),
                    2 => held.leave_uncertain(),
                    _ => held.release(),
                }
            }
            prop_assert!(budget.spending().at_most() <= limit);
        }
        Ok(())
    }

    proptest! {
        #[test]
        fn no_interleaving_goes_beyond_the_limit(
            steps in prop::collection::vec((any::<u8>(), any::<u64>(), 0u64..60), 0..400), limit in 0u64..500) {
            let limit = cents(limit);
            let budget = Budget::new(Some(limit));
            play(&budget, &steps, limit)?;
            prop_assert_eq!(budget.spending().reserved, Money::ZERO);
        }

        #[test]
        fn no_threads_go_beyond_the_limit(
            plays in prop::collection::vec(prop::collection::vec((any::<u8>(), any::<u64>(), 0u64..60), 0..100), 4),
            limit in 0u64..500) {
            let limit = cents(limit);
            let budget = Budget::new(Some(limit));
            let results: Vec<Result<(), TestCaseError>> = std::thread::scope(|scope| {
                let threads: Vec<_> =
                    plays.iter().map(|steps| scope.spawn(|| play(&budget, steps, limit))).collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).collect()
            });
            results.into_iter().collect::<Result<(), _>>()?;
            prop_assert_eq!(budget.spending().reserved, Money::ZERO);
        }
    }
}
