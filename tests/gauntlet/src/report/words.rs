//! Words and columns of a report.

use std::fmt::Write as _;
use std::time::Duration;

/// Aligned columns, the first `words` of them to the left and the numbers to the right.
pub fn table<const N: usize>(text: &mut String, rows: &[[String; N]], words: usize) {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let widths: Vec<usize> = (0..N).map(width).collect();
    for row in rows {
        let cell = |(column, cell): (usize, &String)| match column < words {
            true => format!("{cell:<0$}", widths[column]),
            false => format!("{cell:>0$}", widths[column]),
        };
        let line: Vec<String> = row.iter().enumerate().map(cell).collect();
        _ = writeln!(text, "{}", line.join("  ").trim_end());
    }
}

pub fn seconds(time: Duration) -> String {
    if time == Duration::MAX { "NEVER".to_owned() } else { format!("{:.2}", time.as_secs_f64()) }
}

pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_and_columns_aligned() {
        assert_eq!([0, 999, 1000, 1_234_567].map(thousands), ["0", "999", "1,000", "1,234,567"]);
        let mut text = String::new();
        table(&mut text, &[["a".into(), "s".into()], ["↔ bc".into(), "10.5".into()]], 1);
        assert_eq!(text, "a        s\n↔ bc  10.5\n");
    }
}
