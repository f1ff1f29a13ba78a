//! The properties of a message, read where they stand on the wire.
//!
//! lapin would make a string of each text and a map of the headers, for every message, on one thread, to be freed on another. So
//! [`guard`](super::guard) hands them on as the beginning of the body, and what is needed is read from there.

use bytes::{Buf as _, Bytes};

/// The deepest that headers may be nested.
const DEPTH_MAX: usize = 16;
/// The length of the properties comes first.
pub const PREFIX_BYTES: usize = 4;

/// The properties that Paceline reads; those that a message does not have are empty.
#[derive(Debug, Default)]
pub struct Properties<'a> {
    pub correlation_id: &'a str,
    pub message_id: &'a str,
    pub kind: &'a str,
    pub timestamp_s: Option<u64>,
    headers: &'a [u8],
}

/// A value of a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeaderValue<'a> {
    Int(i64),
    Text(&'a str),
    Table(&'a [u8]),
    Array(&'a [u8]),
    Other,
}

/// The beginning of the body behind the properties, as [`guard`](super::guard) put them together.
pub fn body_at(data: &[u8]) -> usize {
    let length = data.first_chunk::<PREFIX_BYTES>().map_or(0, |length| u32::from_be_bytes(*length) as usize);
    PREFIX_BYTES.saturating_add(length).min(data.len())
}

/// The body alone. It shares the memory of `data`, unless that would hold more properties than body.
pub fn body(mut data: Bytes) -> Bytes {
    let at = body_at(&data);
    if at > data.len() - at {
        return Bytes::copy_from_slice(&data[at..]);
    }
    data.advance(at);
    data
}

impl<'a> Properties<'a> {
    /// The fields, most significant flag first: text, table, byte or 8 bytes.
    const FIELDS: &'static [u8; 14] = b"sstbbssssTssss";

    /// The properties of a message; none where they break AMQP's rules, as those of a foreign client may.
    pub fn of(data: &'a [u8]) -> Self {
        data.get(PREFIX_BYTES..body_at(data)).and_then(Self::read).unwrap_or_default()
    }

    fn read(bytes: &'a [u8]) -> Option<Self> {
        let (mut reader, mut properties) = (Reader(bytes), Self::default());
        let flags = u16::from_be_bytes(reader.bytes(2)?.try_into().ok()?);
        for (index, field) in Self::FIELDS.iter().enumerate() {
            if flags & (0x8000 >> index) == 0 {
                continue;
            }
            match (index, field) {
                (2, _) => properties.headers = reader.table(DEPTH_MAX)?,
                (5, _) => properties.correlation_id = reader.short_text()?,
                (8, _) => properties.message_id = reader.short_text()?,
                (9, _) => properties.timestamp_s = Some(u64::from_be_bytes(reader.bytes(8)?.try_into().ok()?)),
                (10, _) => properties.kind = reader.short_text()?,
                (_, b's') => drop(reader.short_text()?),
                _ => drop(reader.bytes(1)?),
            }
        }
        reader.0.is_empty().then_some(properties)
    }

    pub fn headers(&self) -> impl Iterator<Item = (&'a str, HeaderValue<'a>)> {
        entries(self.headers)
    }
}

/// The entries of a table; ends before one that breaks AMQP's rules.
pub fn entries(table: &[u8]) -> impl Iterator<Item = (&str, HeaderValue<'_>)> {
    let mut reader = Reader(table);
    std::iter::from_fn(move || Some((reader.short_text()?, reader.value(DEPTH_MAX)?)))
}

/// The values of an array, likewise.
pub fn values(array: &[u8]) -> impl Iterator<Item = HeaderValue<'_>> {
    let mut reader = Reader(array);
    std::iter::from_fn(move || reader.value(DEPTH_MAX))
}

/// Bytes that are read from the front. Each reader answers `None` where they end too early or break AMQP's rules.
pub struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    pub fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(bytes)
    }

    /// Reads the bytes whose number stands in the four bytes before them.
    pub fn long(&mut self) -> Option<&'a [u8]> {
        let bytes = u32::from_be_bytes(self.bytes(4)?.try_into().ok()?);
        self.bytes(bytes as usize)
    }

    pub fn short_text(&mut self) -> Option<&'a str> {
        let bytes = usize::from(self.bytes(1)?[0]);
        std::str::from_utf8(self.bytes(bytes)?).ok()
    }

    fn table(&mut self, depth: usize) -> Option<&'a [u8]> {
        let table = self.long()?;
        let mut entries = Reader(table);
        while !entries.0.is_empty() {
            entries.short_text()?;
            entries.value(depth)?;
        }
        Some(table)
    }

    fn array(&mut self, depth: usize) -> Option<&'a [u8]> {
        let array = self.long()?;
        let mut values = Reader(array);
        while !values.0.is_empty() {
            values.value(depth)?;
        }
        Some(array)
    }

    pub fn value(&mut self, depth: usize) -> Option<HeaderValue<'a>> {
        let kind = self.bytes(1)?[0];
        Some(match kind {
            b'b' => HeaderValue::Int(i8::from_be_bytes(self.bytes(1)?.try_into().ok()?).into()),
            b'B' => HeaderValue::Int(self.bytes(1)?[0].into()),
            b's' | b'U' => HeaderValue::Int(i16::from_be_bytes(self.bytes(2)?.try_into().ok()?).into()),
            b'u' => HeaderValue::Int(u16::from_be_bytes(self.bytes(2)?.try_into().ok()?).into()),
            b'I' => HeaderValue::Int(i32::from_be_bytes(self.bytes(4)?.try_into().ok()?).into()),
            b'i' => HeaderValue::Int(u32::from_be_bytes(self.bytes(4)?.try_into().ok()?).into()),
            b'L' | b'l' => HeaderValue::Int(i64::from_be_bytes(self.bytes(8)?.try_into().ok()?)),
            b'S' | b'x' => {
                self.long().map(|text| std::str::from_utf8(text).map_or(HeaderValue::Other, HeaderValue::Text))?
            }
            b'A' => HeaderValue::Array(self.array(depth.checked_sub(1)?)?),
            b'F' => HeaderValue::Table(self.table(depth.checked_sub(1)?)?),
            b't' => self.other(1)?,
            b'f' => self.other(4)?,
            b'D' => self.other(5)?,
            b'd' | b'T' => self.other(8)?,
            b'V' => HeaderValue::Other,
            _ => return None,
        })
    }

    fn other(&mut self, count: usize) -> Option<HeaderValue<'a>> {
        self.bytes(count).map(|_| HeaderValue::Other)
    }
}

#[cfg(test)]
#[path = "properties_tests.rs"]
mod tests;
