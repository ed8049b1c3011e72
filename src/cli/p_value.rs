/// Writes a p-value for a terminal.
pub fn p_text(p: f64) -> String {
    match p {
        // It is not 0, but smaller than a number can be.
        p if p <= 0.0 => "<1e-300".to_owned(),
        p if p < 1e-4 => format!("{p:.1e}"),
        p => format!("{p:.4}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_p_is_nothing() {
        assert_eq!([0.0, 1.234e-9, 0.5, 1.0].map(p_text), ["<1e-300", "1.2e-9", "0.5000", "1.0000"]);
    }
}
