//! Parts of a URL as they were meant: `%40` is an at sign, and a plus is a plus.

use percent_encoding::percent_decode_str;

/// `None` if a `%` is not followed by two digits, or what comes out is no text.
pub fn percent_decoded(text: &str) -> Option<String> {
    let is_a_byte = |after: &str| after.as_bytes().get(..2).is_some_and(|two| two.iter().all(u8::is_ascii_hexdigit));
    let is_well_formed = text.split('%').skip(1).all(is_a_byte);
    let decoded = is_well_formed.then(|| percent_decode_str(text).decode_utf8().ok())?;
    decoded.map(Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_percent_signs_mean_something_else() {
        for (encoded, meant) in
            [("a+b", Some("a+b")), ("p%40ss%2B", Some("p@ss+")), ("%zz", None), ("%4", None), ("%ff", None)]
        {
            assert_eq!(percent_decoded(encoded).as_deref(), meant, "{encoded}");
        }
    }
}
