use super::Fault;

/// Makes fault sequences from a seed: the same seed gives the same sequences, on every machine.
#[derive(Clone, Debug)]
pub struct Generator {
    state: u64,
}

impl Generator {
    /// Starts from a seed.
    pub fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// The next number (SplitMix64).
    pub fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `n`.
    pub fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    /// A truth value, true once in `n`.
    pub fn once_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    /// A fault that may pass, of rows 36 and 38-41. Waits are short, so that a thousand sequences end soon.
    pub fn passing(&mut self) -> Fault {
        let generated = self.once_in(2);
        match self.below(17) {
            0 => Fault::status(429),
            1 => {
                let forms: [(&'static str, &str); 8] = [
                    ("retry-after", "0"),
                    ("retry-after", "0.02"),
                    ("retry-after", "-3"),
                    ("retry-after", "soon"),
                    ("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT"),
                    ("retry-after", "1e-3"),
                    ("retry-after-ms", "15"),
                    ("retry-after-ms", "-15"),
                ];
                let (name, value) = forms[self.below(forms.len())];
                Fault::with_header(429, name, value)
            }
            2 => Fault::status([408, 409][self.below(2)]),
            3 => Fault::status([500, 502, 503, 504][self.below(4)]),
            4 => Fault::status(529),
            5 => Fault::with_header([400, 418, 422][self.below(3)], "x-should-retry", "true"),
            6 => Fault::with_header(503, "retry-after", "0.01"),
            7 => Fault::ResetAfterReading { generated },
            8 => Fault::ClosedAfterReading { generated },
            9 => Fault::MalformedJson,
            10 => Fault::CutBody,
            11 => Fault::UnterminatedChunks,
            12 => Fault::WrongContentType,
            13 => Fault::HtmlPage,
            14 => Fault::EmptyBody,
            15 => Fault::ErrorBody,
            _ => Fault::NoChoices,
        }
    }

    /// What may end a sequence: a plain answer, an answer of row 42, or a rejection of this request alone.
    pub fn last(&mut self) -> Option<Fault> {
        match self.below(24) {
            0 => Some(Fault::NullContent),
            1 => Some(Fault::Refusal),
            2 => Some(Fault::ToolCalls),
            3 => Some(Fault::Length),
            4 => Some(Fault::ContentFilter),
            5 => Some(Fault::ManyChoices),
            6 => Some(Fault::NoUsage),
            7 => Some(Fault::AbsurdUsage),
            8 => Some(Fault::LoneSurrogate),
            9 => Some(Fault::Rejected([400, 413, 422][self.below(3)])),
            10 => Some(Fault::with_header([500, 503, 429][self.below(3)], "x-should-retry", "false")),
            11 => Some(Fault::ContentPolicy),
            _ => None,
        }
    }

    /// A sequence: some faults that may pass, then what ends it. One in twelve is long enough to exhaust any patience.
    pub fn sequence(&mut self, patience: usize) -> Vec<Option<Fault>> {
        let length = if self.once_in(12) { patience + 1 } else { self.below(4) };
        let mut sequence: Vec<Option<Fault>> = (0..length).map(|_| Some(self.passing())).collect();
        sequence.push(self.last());
        sequence
    }
}
