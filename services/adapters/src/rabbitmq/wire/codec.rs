//! The bits and bytes of AMQP 0-9-1: numbers, strings and field tables, written to a buffer and read from a slice.

/// What the peer sent cannot be read; the connection is of no use after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed(pub &'static str);

pub type Decoded<T> = Result<T, Malformed>;

/// The longest short string, in bytes.
pub const SHORT_STRING_BYTES_MAX: usize = 255;

// === writing ===

pub fn put_u16(out: &mut Vec<u8>, value: u16) {
    out.extend_from_slice(&value.to_be_bytes());
}

pub fn put_u32(out: &mut Vec<u8>, value: u32) {
    out.extend_from_slice(&value.to_be_bytes());
}

pub fn put_u64(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(&value.to_be_bytes());
}

/// Callers keep within [`SHORT_STRING_BYTES_MAX`]: names are checked when configured, ids when published.
pub fn put_short_string(out: &mut Vec<u8>, text: &str) {
    let length = u8::try_from(text.len()).expect("a short string was checked before it is written");
    out.push(length);
    out.extend_from_slice(text.as_bytes());
}

pub fn put_long_string(out: &mut Vec<u8>, bytes: &[u8]) {
    put_length(out, bytes.len());
    out.extend_from_slice(bytes);
}

/// Writes a table, whose fields `fields` puts with the functions below.
pub fn put_table(out: &mut Vec<u8>, fields: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    put_u32(out, 0);
    fields(out);
    let length = u32::try_from(out.len() - start - 4).expect("a table is shorter than 4 GiB");
    out[start..start + 4].copy_from_slice(&length.to_be_bytes());
}

pub fn put_text_field(out: &mut Vec<u8>, key: &str, text: &str) {
    put_short_string(out, key);
    out.push(b'S');
    put_long_string(out, text.as_bytes());
}

pub fn put_int_field(out: &mut Vec<u8>, key: &str, value: i64) {
    put_short_string(out, key);
    out.push(b'l');
    out.extend_from_slice(&value.to_be_bytes());
}

pub fn put_flag_field(out: &mut Vec<u8>, key: &str, value: bool) {
    put_short_string(out, key);
    out.extend_from_slice(&[b't', u8::from(value)]);
}

pub fn put_table_field(out: &mut Vec<u8>, key: &str, fields: impl FnOnce(&mut Vec<u8>)) {
    put_short_string(out, key);
    out.push(b'F');
    put_table(out, fields);
}

pub fn put_length(out: &mut Vec<u8>, length: usize) {
    put_u32(out, u32::try_from(length).expect("a length is below 4 GiB"));
}

// === reading ===

/// Reads from the front of a slice. Strings of the peer may be any bytes; who needs text makes it so.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a>(pub &'a [u8]);

/// A field's value, as far as anybody here wants to know it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'a> {
    Text(&'a [u8]),
    Int(i64),
    Flag(bool),
    /// The fields; read them with [`Reader::field`].
    Table(&'a [u8]),
    /// The values; read them with [`Reader::value`].
    Array(&'a [u8]),
    Other,
}

impl<'a> Reader<'a> {
    pub fn take(&mut self, length: usize) -> Decoded<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(Malformed("a value ends beyond its frame"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Decoded<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>().ok_or(Malformed("a value ends beyond its frame"))?;
        self.0 = rest;
        Ok(*taken)
    }

    pub fn u8(&mut self) -> Decoded<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub fn u16(&mut self) -> Decoded<u16> {
        self.array().map(u16::from_be_bytes)
    }

    pub fn u32(&mut self) -> Decoded<u32> {
        self.array().map(u32::from_be_bytes)
    }

    pub fn u64(&mut self) -> Decoded<u64> {
        self.array().map(u64::from_be_bytes)
    }

    pub fn short_string(&mut self) -> Decoded<&'a [u8]> {
        let length = self.u8()?;
        self.take(usize::from(length))
    }

    pub fn long_string(&mut self) -> Decoded<&'a [u8]> {
        let length = self.u32()?;
        self.take(length as usize)
    }

    /// The fields of a table, to be read with [`Self::field`].
    pub fn table(&mut self) -> Decoded<Self> {
        self.long_string().map(Self)
    }

    pub fn field(&mut self) -> Decoded<(&'a [u8], Value<'a>)> {
        Ok((self.short_string()?, self.value()?))
    }

    pub fn value(&mut self) -> Decoded<Value<'a>> {
        Ok(match self.u8()? {
            b'S' | b'x' => Value::Text(self.long_string()?),
            b't' => Value::Flag(self.u8()? != 0),
            b'b' => Value::Int(i64::from(self.u8()?.cast_signed())),
            b'B' => Value::Int(i64::from(self.u8()?)),
            b's' => Value::Int(i64::from(self.u16()?.cast_signed())),
            b'u' => Value::Int(i64::from(self.u16()?)),
            b'I' => Value::Int(i64::from(self.u32()?.cast_signed())),
            b'i' => Value::Int(i64::from(self.u32()?)),
            b'l' | b'L' => Value::Int(self.u64()?.cast_signed()),
            b'F' => Value::Table(self.long_string()?),
            b'A' => Value::Array(self.long_string()?),
            b'f' => self.take(4).map(|_| Value::Other)?,
            b'd' | b'T' => self.take(8).map(|_| Value::Other)?,
            b'D' => self.take(5).map(|_| Value::Other)?,
            b'V' => Value::Other,
            _ => return Err(Malformed("a table holds a value of an unknown type")),
        })
    }
}

/// Text of the peer, for people to read.
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_reads_back_as_it_was_written() {
        let mut out = Vec::new();
        put_table(&mut out, |out| {
            put_text_field(out, "name", "Päceline");
            put_int_field(out, "count", -5);
            put_flag_field(out, "on", true);
            put_table_field(out, "inner", |out| put_int_field(out, "n", 1));
        });
        let mut reader = Reader(&out);
        let mut table = reader.table().unwrap();
        assert!(reader.0.is_empty());
        assert_eq!(table.field(), Ok((b"name".as_slice(), Value::Text("Päceline".as_bytes()))));
        assert_eq!(table.field(), Ok((b"count".as_slice(), Value::Int(-5))));
        assert_eq!(table.field(), Ok((b"on".as_slice(), Value::Flag(true))));
        let Ok((_, Value::Table(inner))) = table.field() else { panic!("a table") };
        assert_eq!(Reader(inner).field(), Ok((b"n".as_slice(), Value::Int(1))));
        assert!(table.0.is_empty());
    }

    #[test]
    fn what_is_cut_short_or_unknown_is_an_error_and_not_a_panic() {
        let mut out = Vec::new();
        put_table(&mut out, |out| put_text_field(out, "key", "value"));
        for length in 0..out.len() {
            let mut reader = Reader(&out[..length]);
            assert!(reader.table().is_err(), "{length}");
        }
        assert!(Reader(b"\x01k?").field().is_err());
        assert!(Reader(b"\x01kS\xff\xff\xff\xff").field().is_err());
    }
}
