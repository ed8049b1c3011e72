use serde::de::{Deserialize, Deserializer, Error};
use serde_json::value::RawValue;

/// Is a number of a JSON line, read as the double that is nearest to its text.
///
/// The JSON reader's own way to a double can be one unit in the last place off, and then the shortest text would change
/// from step to step.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd, serde::Serialize)]
#[serde(transparent)]
pub struct ExactFloat(pub f64);

impl<'de> Deserialize<'de> for ExactFloat {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&RawValue>::deserialize(deserializer)?;
        raw.get().parse().map(Self).map_err(|_| Error::custom(format_args!("`{}` is not a number", raw.get())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_numbers_are_read() {
        assert_eq!(serde_json::from_str::<ExactFloat>("1").unwrap(), ExactFloat(1.0));
        for text in ["null", "\"1\"", "true", "[1]"] {
            assert!(serde_json::from_str::<ExactFloat>(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_double_reads_back(bits in any::<u64>()) {
            let value = f64::from_bits(bits);
            prop_assume!(value.is_finite());
            let text = serde_json::to_string(&ExactFloat(value)).unwrap();
            prop_assert_eq!(serde_json::from_str::<ExactFloat>(&text).unwrap().0.to_bits(), bits);
        }
    }
}
