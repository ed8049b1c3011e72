//! Reuse and budget.

use super::super::tree::Node;
use super::super::{Budget, Generation, MaxGap, Reaction, Reuse, SourceFile};
use super::Loader;

impl Loader<'_> {
    /// Reads `reuse:`.
    pub fn reuse(&mut self, root: &Node) -> Reuse {
        let Some(node) = root.get("reuse") else { return Reuse::default() };
        let gap = node.get("max_gap_between_arms").and_then(|gap| {
            let limit = gap.get("limit")?;
            let seconds = seconds(limit.text()?);
            if seconds.is_none() {
                let message = "a span of time is a whole number with `s`, `m`, `h` or `d`";
                self.error(limit.span, message, "write `7d`, say");
            }
            Some(MaxGap { seconds: seconds?, then: reaction(gap.get("then")).unwrap_or(Reaction::Warn) })
        });
        Reuse {
            same_served_model: reaction(node.get("same_served_model")).unwrap_or(Reaction::Warn),
            max_gap_between_arms: gap,
        }
    }

    /// Reads `reuse.generation`: one number, or one for each side.
    pub fn generation(root: &Node) -> Generation {
        let Some(reuse) = root.get("reuse") else { return Generation::default() };
        let side = |name| reuse.get("generation").and_then(|sides| sides.integer_at(name)).unwrap_or(0);
        match reuse.integer_at("generation") {
            Some(both) => Generation::of_both(both),
            None => Generation { control: side("control"), treatment: side("treatment") },
        }
    }

    /// Names the file of `reuse.redraws`.
    pub fn redraws(&mut self, root: &Node) -> Option<SourceFile> {
        let node = root.get("reuse")?.get("redraws")?;
        Some(self.data_file(node.text()?, node.span))
    }

    /// Reads `budget:`.
    pub fn budget(node: &Node) -> Budget {
        Budget {
            confirm_above_usd: node.decimal_at("confirm_above_usd"),
            unknown_price: reaction(node.get("unknown_price")).unwrap_or(Reaction::Refuse),
        }
    }
}

fn reaction(node: Option<&Node>) -> Option<Reaction> {
    Some(match node?.text()? {
        "ignore" | "allow" => Reaction::Ignore,
        "warn" => Reaction::Warn,
        "refuse" => Reaction::Refuse,
        _ => return None,
    })
}

/// Reads `90m`, `12h`, `7d`.
fn seconds(text: &str) -> Option<u64> {
    let unit = match text.chars().last()? {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        _ => return None,
    };
    let digits = &text[..text.len() - 1];
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse::<u64>().ok()?.checked_mul(unit)
}

#[cfg(test)]
mod tests {
    use super::seconds;

    #[test]
    fn spans_of_time_are_read() {
        assert_eq!(seconds("7d"), Some(604_800));
        assert_eq!(seconds("90m"), Some(5400));
        assert_eq!(seconds("30s"), Some(30));
        for text in ["", "7", "d", "+7d", "7 d", "7é", "99999999999999999999d"] {
            assert_eq!(seconds(text), None, "{text}");
        }
    }
}
