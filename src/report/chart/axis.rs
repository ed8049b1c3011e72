/// Is a linear axis with ticks at round values.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Axis {
    low: f64,
    high: f64,
    step: f64,
    start: f64,
    end: f64,
}

impl Axis {
    /// Covers the values, from a round one to a round one, with about so many ticks, drawn from `start` to `end`.
    pub(super) fn covering(values: impl IntoIterator<Item = f64>, ticks: usize, (start, end): (f64, f64)) -> Self {
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for value in values.into_iter().filter(|value| value.is_finite()) {
            (low, high) = (low.min(value), high.max(value));
        }
        if low > high {
            (low, high) = (0.0, 1.0);
        }
        if high - low < 1e-9 * high.abs().max(1.0) {
            let room = if high == 0.0 { 1.0 } else { high.abs() * 0.1 };
            (low, high) = (low - room, high + room);
        }
        let step = round_step((high - low) / ticks.max(1) as f64);
        Self { low: (low / step).floor() * step, high: (high / step).ceil() * step, step, start, end }
    }

    /// Goes from one value to another just as they are, with about so many ticks at whole numbers, drawn from `start` to `end`.
    pub(super) fn of_counts((low, high): (f64, f64), ticks: usize, (start, end): (f64, f64)) -> Self {
        let step = round_step((high - low).max(1.0) / ticks.max(1) as f64).max(1.0);
        // Of the steps that are used only 2.5 is no whole number.
        let step = if step.fract() == 0.0 { step } else { step * 2.0 };
        Self { low, high: high.max(low + 1.0), step, start, end }
    }

    /// Returns where a value is drawn; one beyond the ends is drawn at the end.
    pub(super) fn at(&self, value: f64) -> f64 {
        let share = ((value - self.low) / (self.high - self.low)).clamp(0.0, 1.0);
        self.start + share * (self.end - self.start)
    }

    /// Lists the ticks with their labels.
    pub(super) fn ticks(&self) -> Vec<(f64, String)> {
        // An end that is a tick but for the last bit is one.
        let first = (self.low / self.step - 1e-9).ceil();
        let last = (self.high / self.step + 1e-9).floor();
        let decimals = (-self.step.log10().floor()).clamp(0.0, 6.0) as usize;
        // A step of 2.5 needs a decimal more than its size says.
        let decimals =
            if (self.step * 10f64.powi(decimals as i32)).fract().abs() > 1e-9 { decimals + 1 } else { decimals };
        (0..=(last - first).max(0.0) as usize)
            .map(|n| {
                let value = (first + n as f64) * self.step;
                let value = if value.abs() < self.step * 1e-6 { 0.0 } else { value };
                (value, grouped(value, decimals))
            })
            .collect()
    }
}

/// Rounds a step up to 1, 2, 2.5 or 5 times a power of ten.
fn round_step(raw: f64) -> f64 {
    let power = 10f64.powf(raw.log10().floor());
    let factor = raw / power;
    let round = [1.0, 2.0, 2.5, 5.0].into_iter().find(|round| factor <= round + 1e-9).unwrap_or(10.0);
    round * power
}

/// Writes a number with so many decimals, a true minus sign, and commas between thousands.
fn grouped(value: f64, decimals: usize) -> String {
    let text = format!("{:.decimals$}", value.abs());
    let (whole, rest) = text.split_once('.').map_or((text.as_str(), None), |(whole, rest)| (whole, Some(rest)));
    let whole = super::super::number::count(whole.parse().unwrap_or_default());
    let sign = if value < 0.0 { "−" } else { "" };
    match rest {
        Some(rest) => format!("{sign}{whole}.{rest}"),
        None => format!("{sign}{whole}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_cover() {
        let labels = |values: &[f64], n| -> Vec<String> {
            Axis::covering(values.iter().copied(), n, (0.0, 100.0)).ticks().into_iter().map(|tick| tick.1).collect()
        };
        assert_eq!(labels(&[-3.2, 11.0], 5), ["−5", "0", "5", "10", "15"]);
        assert_eq!(labels(&[0.0, 0.9], 4), ["0.00", "0.25", "0.50", "0.75", "1.00"]);
        assert_eq!(labels(&[0.0, 2000.0], 4), ["0", "500", "1,000", "1,500", "2,000"]);
        assert_eq!(labels(&[], 2), ["0.0", "0.5", "1.0"]);
        let counts = Axis::of_counts((-0.5, 9.5), 4, (0.0, 100.0));
        assert_eq!(counts.ticks().into_iter().map(|tick| tick.1).collect::<Vec<_>>(), ["0", "5"]);
        assert!((counts.at(0.0) - 5.0).abs() < 1e-9, "a count stands in the middle of its bar");
        assert_eq!(Axis::of_counts((0.5, 3.5), 5, (0.0, 1.0)).ticks().len(), 3);
        let flat = Axis::covering([5.0, 5.0], 4, (0.0, 100.0));
        assert!(flat.at(5.0) > 10.0 && flat.at(5.0) < 90.0);
    }
}
