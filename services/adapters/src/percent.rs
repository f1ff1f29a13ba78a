//! Parts of a URL as they were meant: `%40` is an at sign, and a plus is a plus.

/// `None` if a `%` is not followed by two digits, or what comes out is no text.
pub fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let decoded = match byte {
            b'%' => {
                let mut digit = || char::from(rest.next()?).to_digit(16);
                u8::try_from(digit()? * 16 + digit()?).ok()?
            }
            plain => plain,
        };
        bytes.push(decoded);
    }
    String::from_utf8(bytes).ok()
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
