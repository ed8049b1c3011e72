use std::collections::BTreeMap;
use std::time::Duration;

use super::{Dialect, Fault};

/// Is what one request truly cost, in tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bill {
    pub input: u64,
    pub output: u64,
}

/// Is one request as it reached the server.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Which request of this server it was, from 0, in the order of arrival.
    pub ordinal: usize,
    /// Which request with this body it was, from 0.
    pub nth: usize,
    /// When it had been read, from the server's start.
    pub at: Duration,
    /// When its answer was written, or the connection was given up.
    pub ended: Option<Duration>,
    /// The path, with what follows `?`.
    pub path: String,
    /// The protocol; absent for what is not asked of a model.
    pub dialect: Option<Dialect>,
    /// The body's hash: 16 hexadecimal digits.
    pub body: String,
    /// The text between `<<` and `>>` in the last message: what a test calls the item, under whatever arm.
    pub tag: String,
    /// The bytes of the body.
    pub text: Vec<u8>,
    /// The headers, names in lower case.
    pub headers: BTreeMap<String, String>,
    /// What the script did to it.
    pub fault: Option<Fault>,
    /// What it cost, where a response was generated, whether or not it arrived.
    pub bill: Option<Bill>,
}

/// Lists all that a server was asked.
#[derive(Clone, Debug, Default)]
pub struct Book {
    pub asked: Vec<Asked>,
    /// How many times each body came; of those counted here only what is asked of a model.
    pub by_body: BTreeMap<String, usize>,
    /// How many connections were accepted.
    pub connections: usize,
    /// How many requests were being answered at once, at most.
    pub most_in_flight: usize,
}

impl Book {
    /// Lists what was asked of a model: no probes.
    pub fn calls(&self) -> impl Iterator<Item = &Asked> {
        self.asked.iter().filter(|asked| asked.dialect.is_some())
    }

    /// Counts what was asked of a model.
    pub fn sent(&self) -> usize {
        self.calls().count()
    }

    /// Counts the calls of one tag.
    pub fn sent_for(&self, tag: &str) -> usize {
        self.calls().filter(|asked| asked.tag == tag).count()
    }

    /// Counts the bodies that came more than once: how many calls there are beyond one for each body.
    pub fn sent_again(&self) -> usize {
        self.by_body.values().map(|count| count - 1).sum()
    }

    /// Adds up what was generated.
    pub fn bill(&self) -> Bill {
        self.calls()
            .filter_map(|asked| asked.bill)
            .fold(Bill::default(), |sum, bill| Bill { input: sum.input + bill.input, output: sum.output + bill.output })
    }

    /// Prices what was generated, in US dollars, at so much for a million tokens.
    pub fn cost(&self, input: f64, output: f64) -> f64 {
        let bill = self.bill();
        (bill.input as f64 * input + bill.output as f64 * output) / 1e6
    }

    /// Counts the calls to which this was done.
    pub fn fired(&self, is_it: impl Fn(&Fault) -> bool) -> usize {
        self.calls().filter(|asked| asked.fault.as_ref().is_some_and(&is_it)).count()
    }
}
