use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::markdown::{Table, code, prose};

/// Is one arm as a provenance page shows it.
#[derive(Clone, Debug, Default)]
pub struct ArmOrigin {
    /// The side: `control` or `treatment`, or whose verdicts they are.
    pub side: String,
    /// How many draws have an answer.
    pub draws: u64,
    /// When the first one was logged.
    pub first: Option<String>,
    /// When the last one was.
    pub last: Option<String>,
    /// How many took more than one attempt.
    pub repeated: u64,
    /// Counts by what they are of (`served model`, `fingerprint`, …), then by value.
    pub counts: Vec<(&'static str, BTreeMap<String, u64>)>,
}

/// Is the page on when, by whom and how the answers of one trial were given: `provenance.md`.
#[derive(Clone, Debug, Default)]
pub struct ProvenancePage {
    /// The run.
    pub run_id: String,
    /// The trial's slug.
    pub trial: String,
    /// What answered, in words, where it is embedded in the program.
    pub note: Option<String>,
    /// The arms.
    pub arms: Vec<ArmOrigin>,
    /// What is to be kept in mind, each in one sentence.
    pub warnings: Vec<String>,
}

impl ProvenancePage {
    /// Renders the page as Markdown.
    pub fn to_markdown(&self) -> String {
        let mut out = format!("# Provenance of {}\n\nRun {}.\n\n", code(&self.trial), code(&self.run_id));
        if let Some(note) = &self.note {
            let _ = write!(out, "{}. Nothing was asked over a network.\n\n", prose(note));
        }
        for warning in &self.warnings {
            let _ = write!(out, "**Warning:** {}\n\n", prose(warning));
        }
        if self.arms.is_empty() {
            return out;
        }
        let mut table = Table::new(["Arm", ">Draws", "First logged", "Last logged", ">More than one attempt"]);
        for arm in &self.arms {
            let date = |date: &Option<String>| date.as_deref().map_or_else(|| "–".to_owned(), code);
            table.row([side(arm), arm.draws.to_string(), date(&arm.first), date(&arm.last), arm.repeated.to_string()]);
        }
        out.push_str(&table.finish());
        let mut table = Table::new(["Arm", "What", "Value", ">Draws", ">Share"]);
        for arm in &self.arms {
            for (what, counts) in &arm.counts {
                for (value, n) in counts {
                    let share = format!("{:.1} %", 100.0 * *n as f64 / arm.draws.max(1) as f64);
                    table.row([side(arm), (*what).to_owned(), code(value), n.to_string(), share]);
                }
                let rest = arm.draws.saturating_sub(counts.values().sum());
                if rest > 0 {
                    let share = format!("{:.1} %", 100.0 * rest as f64 / arm.draws.max(1) as f64);
                    table.row([side(arm), (*what).to_owned(), "not stated".to_owned(), rest.to_string(), share]);
                }
            }
        }
        out.push_str(&table.finish());
        out.push_str("None of this decides what the scores are; `timings.csv` has it draw by draw, and `latency.json`, where answers came online, compares the arms' times.\n");
        out
    }
}

/// Names a side; what a judge is called is a name from outside.
fn side(arm: &ArmOrigin) -> String {
    if matches!(&*arm.side, "control" | "treatment") { arm.side.clone() } else { code(&arm.side) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_reads_so() {
        let counts = vec![("served model", BTreeMap::from([("m|1".to_owned(), 3)]))];
        let arm = ArmOrigin {
            side: "control".into(),
            draws: 4,
            first: Some("2026-11-01T00:00:00.000Z".into()),
            last: None,
            repeated: 1,
            counts,
        };
        let page = ProvenancePage {
            run_id: "r1".into(),
            trial: "m_t0".into(),
            arms: vec![arm],
            warnings: vec!["two models <b>".into()],
            ..ProvenancePage::default()
        };
        let expected = "# Provenance of `m_t0`\n\nRun `r1`.\n\n**Warning:** two models \\<b\\>\n\n\
            | Arm | Draws | First logged | Last logged | More than one attempt |\n|---|---:|---|---|---:|\n\
            | control | 4 | `2026-11-01T00:00:00.000Z` | – | 1 |\n\n\
            | Arm | What | Value | Draws | Share |\n|---|---|---|---:|---:|\n\
            | control | served model | `m¦1` | 3 | 75.0 % |\n| control | served model | not stated | 1 | 25.0 % |\n\n\
            None of this decides what the scores are; `timings.csv` has it draw by draw, and `latency.json`, where answers came online, compares the arms' times.\n";
        assert_eq!(page.to_markdown(), expected);
    }
}
