//! Texts from the environment, whose type is guessed before they come here: a name that looks like a number or a flag is still a name.

use serde::{Deserialize, Deserializer};

#[derive(Deserialize)]
#[serde(untagged)]
enum Text {
    Words(String),
    Whole(u128),
    Flag(bool),
    Fraction(f64),
}

impl From<Text> for String {
    fn from(text: Text) -> Self {
        match text {
            Text::Words(text) => text,
            Text::Whole(number) => number.to_string(),
            Text::Flag(flag) => flag.to_string(),
            Text::Fraction(number) => number.to_string(),
        }
    }
}

/// A text, also where it looks like a number or a flag.
pub fn plain<'de, D: Deserializer<'de>>(source: D) -> Result<String, D::Error> {
    Text::deserialize(source).map(String::from)
}

/// A text, or `None` for an empty one: a container's definition can leave a variable empty, but not out.
pub fn optional<'de, D: Deserializer<'de>>(source: D) -> Result<Option<String>, D::Error> {
    let text = Option::<Text>::deserialize(source)?.map(String::from);
    Ok(text.filter(|text| !text.is_empty()))
}

/// The token, whose value no error may show; `None` where there is none. Digits lose their leading zeros on the way, so they are refused.
pub fn secret<'de, D: Deserializer<'de>>(source: D) -> Result<Option<String>, D::Error> {
    match Option::<Text>::deserialize(source) {
        Ok(None) => Ok(None),
        Ok(Some(Text::Words(token))) => Ok(Some(token)),
        _ => Err(serde::de::Error::custom(
            "the token must not be a bare number or flag; use letters too, e.g. `openssl rand -hex 32`",
        )),
    }
}
