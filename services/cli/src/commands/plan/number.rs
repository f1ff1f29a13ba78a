//! Numbers as a plan shows them. Every other file of the folder may use this one.

/// Three digits that count, or all digits before the point.
pub fn number(value: f64) -> String {
    let decimals = match value.abs() {
        0.0 => 0,
        small if small < 0.01 => 4,
        small if small < 1.0 => 3,
        small if small < 10.0 => 2,
        small if small < 1_000.0 => 1,
        _ => 0,
    };
    let text = format!("{value:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        let shown = [0.0, 0.0012, 0.5, 16.667, 2_858.0, 1_234_567.8].map(number);
        assert_eq!(shown, ["0", "0.0012", "0.5", "16.7", "2858", "1234568"]);
    }
}
