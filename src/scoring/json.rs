//! The answer holds the right JSON.

use serde_json::Value;

use super::{Gold, Score, Scores};

/// What makes an answer of [`Json`] right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum JsonMatch {
    /// The two values are equal.
    #[default]
    Equal,
    /// What the gold value has is in the answer; an object of the answer may have more members.
    Subset,
}

/// The settings of [`Json`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct JsonSettings {
    /// What makes an answer right.
    pub compare: JsonMatch,
    /// The dotted paths that are compared, and nothing else; empty: the whole values.
    pub paths: Vec<String>,
    /// Whether upper and lower case are the same within texts; names of members are compared as they are.
    pub ignore_case: bool,
}

/// Compares the JSON of an answer with that of the gold answers, each of which is JSON, else a plain text.
///
/// The JSON of an answer is all of it; else what stands in its last code fence that is JSON; else its last object or list
/// that is not within another. An answer without any is unclear ([`Scores::is_unclear`]) and scores 0 throughout.
///
/// Numbers are equal by value (`1` and `1.0`), members are equal in any order, elements of lists in theirs. `json` is 1 if
/// the answer is right against any gold answer. `json_fields` is the largest share, over gold answers, of the gold value's
/// leaves that the answer has at the same path: its texts, numbers, truth values, nulls and empty lists and objects. With
/// paths, the leaves below them; a path that the gold value does not have is right where the answer does not have it either.
#[derive(Debug, Clone, Default)]
pub struct Json {
    settings: JsonSettings,
}

impl Json {
    /// Makes the scorer.
    pub fn new(settings: JsonSettings) -> Self {
        Self { settings }
    }

    fn compare(&self, gold: &Value, answer: &Value) -> (bool, f64) {
        let whole = [String::new()];
        let paths = if self.settings.paths.is_empty() { &whole[..] } else { &self.settings.paths };
        let (mut right, mut leaves, mut same) = (true, 0_u32, 0_u32);
        for path in paths {
            match (at(gold, path), at(answer, path)) {
                (None, found) => {
                    leaves += 1;
                    same += u32::from(found.is_none());
                    right &= found.is_none();
                }
                (Some(gold), found) => {
                    right &= found.is_some_and(|found| self.matches(gold, found));
                    self.count(gold, found, &mut leaves, &mut same);
                }
            }
        }
        (right, f64::from(same) / f64::from(leaves.max(1)))
    }

    fn matches(&self, gold: &Value, answer: &Value) -> bool {
        match (gold, answer) {
            (Value::Object(gold), Value::Object(answer)) => {
                (self.settings.compare == JsonMatch::Subset || gold.len() == answer.len())
                    && gold.iter().all(|(name, value)| answer.get(name).is_some_and(|other| self.matches(value, other)))
            }
            (Value::Array(gold), Value::Array(answer)) => {
                gold.len() == answer.len() && gold.iter().zip(answer).all(|(gold, answer)| self.matches(gold, answer))
            }
            _ => self.is_same(gold, answer),
        }
    }

    fn is_same(&self, gold: &Value, answer: &Value) -> bool {
        match (gold, answer) {
            (Value::String(gold), Value::String(answer)) if self.settings.ignore_case => {
                gold.to_lowercase() == answer.to_lowercase()
            }
            // Whole numbers are told apart to the last digit; others are as near as doubles are.
            (Value::Number(gold), Value::Number(answer)) => {
                gold == answer || ((gold.is_f64() || answer.is_f64()) && gold.as_f64() == answer.as_f64())
            }
            _ => gold == answer,
        }
    }

    /// Counts the leaves of the gold value, and those that the answer has in the same place.
    fn count(&self, gold: &Value, answer: Option<&Value>, leaves: &mut u32, same: &mut u32) {
        match gold {
            Value::Object(members) if !members.is_empty() => {
                for (name, value) in members {
                    self.count(value, answer.and_then(|answer| answer.get(name)), leaves, same);
                }
            }
            Value::Array(elements) if !elements.is_empty() => {
                for (at, value) in elements.iter().enumerate() {
                    self.count(value, answer.and_then(|answer| answer.get(at)), leaves, same);
                }
            }
            leaf => {
                *leaves += 1;
                *same += u32::from(answer.is_some_and(|answer| self.is_same(leaf, answer)));
            }
        }
    }
}

/// Reaches into a value: names of members and places in lists, joined by points.
fn at<'v>(value: &'v Value, path: &str) -> Option<&'v Value> {
    if path.is_empty() {
        return Some(value);
    }
    path.split('.').try_fold(value, |value, step| match value {
        Value::Array(elements) => elements.get(step.parse::<usize>().ok()?),
        other => other.get(step),
    })
}

/// Finds the JSON in an answer.
fn find(answer: &str) -> Option<Value> {
    let parse = |text: &str| serde_json::from_str::<Value>(text.trim()).ok();
    parse(answer).or_else(|| fenced(answer).filter_map(parse).last()).or_else(|| embedded(answer))
}

/// Walks over the contents of code fences.
fn fenced(answer: &str) -> impl Iterator<Item = &str> {
    answer.split("```").skip(1).step_by(2).map(|block| match block.split_once('\n') {
        // The first line of a block may name its language.
        Some((first, rest)) if first.trim().chars().all(char::is_alphanumeric) => rest,
        _ => block,
    })
}

/// Finds the last object or list that is not within another.
fn embedded(answer: &str) -> Option<Value> {
    let mut last = None;
    let mut from = 0;
    while let Some(found) = answer[from..].find(['{', '[']) {
        let start = from + found;
        let mut values = serde_json::Deserializer::from_str(&answer[start..]).into_iter::<Value>();
        if let Some(Ok(value)) = values.next() {
            last = Some(value);
            from = start + values.byte_offset();
        } else {
            from = start + 1;
        }
    }
    last
}

impl Score for Json {
    const NAME: &'static str = "json";
    const REVISION: u32 = 1;

    fn metrics(&self, _open: bool) -> &'static [&'static str] {
        &["json", "json_fields"]
    }

    fn score(&self, answer: &str, gold: &Gold<'_>) -> Scores {
        let metrics = self.metrics(gold.open);
        let Some(answer) = find(answer) else { return Scores::new(metrics, &[0.0, 0.0]).unclear(true) };
        let (mut right, mut fields) = (false, 0.0_f64);
        for gold in gold.answers {
            let gold = serde_json::from_str(gold).unwrap_or_else(|_| Value::String(gold.clone()));
            let (is_right, share) = self.compare(&gold, &answer);
            right |= is_right;
            fields = fields.max(share);
        }
        Scores::new(metrics, &[f64::from(u8::from(right)), fields])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn score(compare: JsonMatch, paths: &[&str], gold: &str, answer: &str) -> (f64, f64) {
        let paths = paths.iter().map(ToString::to_string).collect();
        let json = Json::new(JsonSettings { compare, paths, ignore_case: false });
        let answers = [gold.to_owned()];
        let scores = json.score(answer, &Gold::closed(&answers));
        (scores.get("json").unwrap(), scores.get("json_fields").unwrap())
    }

    #[test]
    fn values_are_compared_not_their_spelling() {
        let gold = r#"{"a":1,"b":["x",null],"c":{"d":true}}"#;
        let answer = "{ \"c\": {\"d\": true}, \"b\": [\"x\", null], \"a\": 1.0 }";
        assert_eq!(score(JsonMatch::Equal, &[], gold, answer), (1.0, 1.0));
        assert_eq!(score(JsonMatch::Equal, &[], gold, r#"{"a":1,"b":[null,"x"],"c":{"d":true}}"#), (0.0, 0.5));
        assert_eq!(score(JsonMatch::Equal, &[], "9007199254740993", "9007199254740992"), (0.0, 0.0));
        assert_eq!(score(JsonMatch::Equal, &[], "{}", "{}"), (1.0, 1.0));
        assert_eq!(score(JsonMatch::Equal, &[], "{}", "[]"), (0.0, 0.0));
    }

    #[test]
    fn a_subset_allows_more_members_and_no_more_elements() {
        let gold = r#"{"a":{"b":1}}"#;
        assert_eq!(score(JsonMatch::Subset, &[], gold, r#"{"a":{"b":1,"c":2},"d":3}"#), (1.0, 1.0));
        assert_eq!(score(JsonMatch::Equal, &[], gold, r#"{"a":{"b":1,"c":2}}"#), (0.0, 1.0));
        assert_eq!(score(JsonMatch::Subset, &[], "[1]", "[1,2]"), (0.0, 1.0));
    }

    #[test]
    fn only_the_paths_count_where_there_are_any() {
        let gold = r#"{"a":{"b":[1,2]},"c":3}"#;
        let answer = r#"{"a":{"b":[1,9]},"c":4}"#;
        assert_eq!(score(JsonMatch::Equal, &["a.b.0"], gold, answer), (1.0, 1.0));
        assert_eq!(score(JsonMatch::Equal, &["a.b", "c"], gold, answer), (0.0, 1.0 / 3.0));
        assert_eq!(score(JsonMatch::Equal, &["x"], gold, answer), (1.0, 1.0));
        assert_eq!(score(JsonMatch::Equal, &["c.d"], gold, r#"{"c":{"d":1}}"#), (0.0, 0.0));
    }

    #[test]
    fn json_is_found_in_an_answer() {
        let gold = r#"{"a":1}"#;
        for answer in [
            "{\"a\":1}\n",
            "So:\n```json\n{\"a\": 1}\n```\nDone {x}",
            "```\n{\"a\":2}\n```\n```\n{\"a\":1}\n```",
            "I say {\"a\": {\"b\": 2}}, no, {\"a\": 1}.",
        ] {
            assert_eq!(score(JsonMatch::Equal, &[], gold, answer), (1.0, 1.0), "{answer}");
        }
    }

    #[test]
    fn an_answer_without_json_is_unclear() {
        let answers = ["1".to_owned()];
        let scores = Json::default().score("{a: 1}", &Gold::closed(&answers));
        assert!(scores.is_unclear());
        assert_eq!(scores.get("json"), Some(0.0));
        assert!(!Json::default().score("2", &Gold::closed(&answers)).is_unclear());
    }

    #[test]
    fn a_gold_answer_that_is_no_json_is_a_text() {
        assert_eq!(score(JsonMatch::Equal, &[], "billing", "\"billing\""), (1.0, 1.0));
        let json = Json::new(JsonSettings { ignore_case: true, ..JsonSettings::default() });
        let answers = ["Billing".to_owned(), "x".to_owned()];
        assert_eq!(json.score("\"BILLING\"", &Gold::closed(&answers)).get("json"), Some(1.0));
        assert_eq!(json.score("\"x\"", &Gold::closed(&[])).get("json"), Some(0.0));
    }
}
