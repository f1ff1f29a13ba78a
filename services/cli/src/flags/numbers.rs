//! Readers of times on the command line. The words of a refusal are shown behind the flag's name.

use std::ops::RangeInclusive;

/// Minutes, which may have a fraction: finite and above 0.
pub fn minutes(text: &str) -> Result<f64, String> {
    let minutes: f64 = text.parse().map_err(|_| "must be a number of minutes".to_owned())?;
    if minutes.is_finite() && minutes > 0.0 { Ok(minutes) } else { Err("must be above 0".to_owned()) }
}

/// Seconds, which may have a fraction: in `allowed`, ends included.
pub fn seconds(text: &str, allowed: RangeInclusive<f64>) -> Result<f64, String> {
    let seconds: f64 = text.parse().map_err(|_| "must be a number of seconds".to_owned())?;
    let (least, most) = (allowed.start(), allowed.end());
    if allowed.contains(&seconds) { Ok(seconds) } else { Err(format!("must be {least} to {most}")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_numbers_within_their_bounds() {
        assert_eq!((minutes("0.5"), seconds("1", 1.0..=3600.0)), (Ok(0.5), Ok(1.0)));
        assert_eq!(minutes("soon").unwrap_err(), "must be a number of minutes");
        for wrong in ["0", "-1", "inf", "NaN"] {
            assert_eq!(minutes(wrong).unwrap_err(), "must be above 0", "{wrong}");
        }
        assert_eq!(seconds("soon", 1.0..=3600.0).unwrap_err(), "must be a number of seconds");
        for wrong in ["0.5", "3601", "NaN"] {
            assert_eq!(seconds(wrong, 1.0..=3600.0).unwrap_err(), "must be 1 to 3600", "{wrong}");
        }
    }
}
