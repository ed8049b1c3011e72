use crate::digest::Decimal;

/// Writes a temperature as tables and keys show it: all its digits, and at least one after the point.
///
/// Returns nothing where no temperature is sent.
pub fn temperature_label(temperature: Option<Decimal>) -> String {
    let Some(temperature) = temperature else { return String::new() };
    let text = temperature.to_string();
    if text.contains(['.', 'e']) { text } else { text + ".0" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_have_a_point_and_every_digit() {
        let label = |text: &str| temperature_label(Some(text.parse().unwrap()));
        assert_eq!(["0", "0.7", "1.00", "0.25", "10"].map(label), ["0.0", "0.7", "1.0", "0.25", "10.0"]);
        assert_eq!(temperature_label(None), "");
    }
}
