//! Values of nodes whose type the language has checked; a wrong one is `None`, and has been reported.

use std::collections::BTreeMap;

use super::super::tree::Node;
use crate::digest::Decimal;

impl Node {
    /// Returns a decimal number.
    pub fn decimal(&self) -> Option<Decimal> {
        self.plain()?.parse().ok()
    }

    /// Returns a whole number.
    pub fn integer<T: TryFrom<i64>>(&self) -> Option<T> {
        self.plain()?.parse::<i64>().ok()?.try_into().ok()
    }

    /// Returns a truth value.
    pub fn boolean(&self) -> Option<bool> {
        match self.plain()? {
            "true" | "True" | "TRUE" => Some(true),
            "false" | "False" | "FALSE" => Some(false),
            _ => None,
        }
    }

    /// Returns the texts of a list, or the one of a scalar.
    pub fn texts(&self) -> Vec<String> {
        match self.text() {
            Some(text) => vec![text.to_owned()],
            None => self.items().iter().filter_map(Self::text).map(str::to_owned).collect(),
        }
    }

    /// Returns the texts of a mapping.
    pub fn text_map(&self) -> BTreeMap<String, String> {
        let texts = self.entries().iter().filter_map(|e| Some((e.key.to_string(), e.value.text()?.to_owned())));
        texts.collect()
    }

    /// Returns the text at a key.
    pub fn text_at(&self, key: &str) -> Option<String> {
        self.get(key).and_then(Self::text).map(str::to_owned)
    }

    /// Returns the number at a key.
    pub fn decimal_at(&self, key: &str) -> Option<Decimal> {
        self.get(key).and_then(Self::decimal)
    }

    /// Returns the whole number at a key.
    pub fn integer_at<T: TryFrom<i64>>(&self, key: &str) -> Option<T> {
        self.get(key).and_then(Self::integer)
    }

    /// Returns the truth value at a key.
    pub fn boolean_at(&self, key: &str) -> Option<bool> {
        self.get(key).and_then(Self::boolean)
    }

    /// Returns the value as JSON, plain scalars read as JSON reads them.
    pub fn json(&self) -> serde_json::Value {
        use serde_json::Value;
        match &self.kind {
            super::super::tree::Kind::Sequence(items) => items.iter().map(Self::json).collect(),
            super::super::tree::Kind::Mapping(entries) => {
                Value::Object(entries.iter().map(|e| (e.key.to_string(), e.value.json())).collect())
            }
            super::super::tree::Kind::Scalar { text, .. } => {
                let number = || self.plain().and_then(|text| serde_json::from_str::<serde_json::Number>(text).ok());
                if self.is_null() {
                    Value::Null
                } else if let Some(truth) = self.boolean() {
                    Value::Bool(truth)
                } else if let Some(number) = number() {
                    Value::Number(number)
                } else {
                    Value::String(text.to_string())
                }
            }
        }
    }
}
