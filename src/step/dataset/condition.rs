use super::Json;
use crate::plan::Condition;

/// Says whether a row meets every condition.
///
/// Numbers, truth values and null are compared by their JSON text; an absent field differs from everything.
pub fn holds(conditions: &[Condition], row: &Json<'_>) -> bool {
    conditions.iter().all(|condition| {
        let equal = row.find(&condition.field).is_some_and(|found| found.value.to_text() == condition.value.as_str());
        equal == condition.equals
    })
}

/// Describes conditions in words, for messages.
pub fn describe(conditions: &[Condition]) -> String {
    let each = |c: &Condition| format!("`{}` {} `{}`", c.field, if c.equals { "is" } else { "is not" }, c.value);
    conditions.iter().map(each).collect::<Vec<_>>().join(" and ")
}

#[cfg(test)]
mod tests {
    use super::super::parse_json;
    use super::*;

    fn holds_one(field: &str, value: &str, equals: bool) -> bool {
        let row = parse_json(r#"{"a":true,"b":1.50,"c":{"d":"x"},"n":null}"#).unwrap();
        holds(&[Condition { field: field.into(), value: value.into(), equals }], &row)
    }

    #[test]
    fn values_are_compared_by_their_text() {
        assert!(holds_one("a", "true", true));
        assert!(!holds_one("a", "true", false));
        assert!(holds_one("b", "1.50", true));
        assert!(holds_one("b", "1.5", false));
        assert!(holds_one("c.d", "x", true));
        assert!(holds_one("n", "null", true));
    }

    #[test]
    fn an_absent_field_differs_from_everything() {
        assert!(holds_one("z", "x", false));
        assert!(!holds_one("z", "x", true));
        assert!(!holds_one("z", "", true));
    }
}
