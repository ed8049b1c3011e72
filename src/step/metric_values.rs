use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde::ser::SerializeMap;

use super::text::Text;

/// Is a short list of metrics with their values, a JSON object in its own order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MetricValues<'a>(pub Vec<(Text<'a>, f64)>);

impl MetricValues<'_> {
    /// Finds the value of a metric.
    pub fn get(&self, metric: &str) -> Option<f64> {
        self.0.iter().find(|(name, _)| name.as_str() == metric).map(|(_, value)| *value)
    }
}

impl serde::Serialize for MetricValues<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for MetricValues<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs;

        impl<'de> Visitor<'de> for Pairs {
            type Value = MetricValues<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("metrics with their values")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<MetricValues<'de>, A::Error> {
                let mut pairs = Vec::with_capacity(5);
                while let Some(pair) = map.next_entry::<Text<'de>, f64>()? {
                    pairs.push(pair);
                }
                Ok(MetricValues(pairs))
            }
        }

        deserializer.deserialize_map(Pairs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_and_last_digit_survive() {
        let text = r#"{"f1":0.8571428571428571,"em":0.0}"#;
        let values: MetricValues<'_> = serde_json::from_str(text).unwrap();
        assert_eq!(values.get("f1"), Some(6.0 / 7.0));
        assert_eq!(values.get("exact"), None);
        assert_eq!(serde_json::to_string(&values).unwrap(), text);
    }
}
