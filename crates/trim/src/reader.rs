//! A reader of JSON for serde that passes over what is skipped in blocks of 64 bytes.
//!
//! serde_json looks at every token of a value that nobody wants, and of a review that is nine tenths: `managedFields`, pod
//! templates. Here only brackets and quotes count there, so that what is skipped need not be JSON. What is read is held to
//! JSON, numbers and texts with escapes by serde_json itself.

use std::fmt::Display;

use serde::de::{DeserializeSeed, Deserializer, Error as _, IntoDeserializer as _, MapAccess, SeqAccess, Visitor};
use serde::forward_to_deserialize_any;
use serde_json::Error;

use crate::blocks;

/// How deep what is read may be, as for serde_json.
const DEEPEST: u8 = 128;

/// Reads one document.
#[derive(Debug)]
pub struct Reader<'de> {
    bytes: &'de [u8],
    at: usize,
    left: u8,
}

impl<'de> Reader<'de> {
    /// Nothing is read yet.
    #[must_use]
    pub fn new(bytes: &'de [u8]) -> Self {
        Self { bytes, at: 0, left: DEEPEST }
    }

    /// Fails where something stands behind the document.
    ///
    /// # Errors
    /// That it does.
    pub fn end(&mut self) -> Result<(), Error> {
        match self.peek() {
            Err(_) => Ok(()),
            Ok(_) => Err(self.wrong("trailing characters")),
        }
    }

    fn wrong(&self, what: impl Display) -> Error {
        Error::custom(format_args!("{what} at byte {}", self.at))
    }

    /// The next byte that is no blank.
    fn peek(&mut self) -> Result<u8, Error> {
        while let Some(byte) = self.bytes.get(self.at) {
            if !matches!(byte, b' ' | b'\n' | b'\t' | b'\r') {
                return Ok(*byte);
            }
            self.at += 1;
        }
        Err(self.wrong("EOF while parsing a value"))
    }

    /// Passes over one byte that has to stand here.
    fn expect(&mut self, byte: u8) -> Result<(), Error> {
        if self.peek()? != byte {
            return Err(self.wrong(format_args!("expected `{}`", char::from(byte))));
        }
        self.at += 1;
        Ok(())
    }

    fn word(&mut self, word: &str) -> Result<(), Error> {
        if !self.bytes.get(self.at..).is_some_and(|rest| rest.starts_with(word.as_bytes())) {
            return Err(self.wrong(format_args!("expected `{word}`")));
        }
        self.at += word.len();
        Ok(())
    }

    /// The bytes of the number or word that begins here.
    fn scalar(&mut self) -> &'de [u8] {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let length = rest.iter().position(|b| matches!(b, b',' | b'}' | b']' | b' ' | b'\n' | b'\t' | b'\r'));
        let (scalar, _) = rest.split_at(length.unwrap_or(rest.len()));
        self.at += scalar.len();
        scalar
    }

    /// The text that begins at the quote here: its bytes between the quotes, and whether there is an escape in it.
    fn text(&mut self) -> Result<(&'de [u8], bool), Error> {
        self.expect(b'"')?;
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let mut escapes = false;
        let mut at = 0;
        loop {
            at += blocks::plain(rest.get(at..).unwrap_or_default());
            match rest.get(at) {
                Some(b'"') => break,
                Some(b'\\') => {
                    escapes = true;
                    at += 2;
                }
                Some(0..=0x1f) => return Err(self.wrong("a control character in a text")),
                Some(_) => at += 1,
                None => return Err(self.wrong("EOF while parsing a text")),
            }
        }
        self.at += at + 1;
        Ok((rest.get(..at).unwrap_or_default(), escapes))
    }

    fn visit_text<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, Error> {
        let start = self.at;
        let (inner, escapes) = self.text()?;
        if escapes {
            return self.visit_escaped(start, visitor);
        }
        let text = std::str::from_utf8(inner).map_err(|_| self.wrong("a text that is no UTF-8"))?;
        visitor.visit_borrowed_str(text)
    }

    /// The text with escapes that has been read from `start` on.
    #[cold]
    fn visit_escaped<V: Visitor<'de>>(&self, start: usize, visitor: V) -> Result<V::Value, Error> {
        let quoted = self.bytes.get(start..self.at).unwrap_or_default();
        serde_json::from_slice::<String>(quoted)?.into_deserializer().deserialize_any(visitor)
    }

    /// What is inside of the brackets that open here, read by `visit`.
    fn inside<T>(&mut self, end: u8, visit: impl FnOnce(&mut Inner<'_, 'de>) -> Result<T, Error>) -> Result<T, Error> {
        self.left = self.left.checked_sub(1).ok_or_else(|| self.wrong("recursion limit exceeded"))?;
        self.at += 1;
        let mut inner = Inner { reader: self, end, first: true, over: false };
        let value = visit(&mut inner)?;
        // Who knows how many there are does not ask for another one.
        if !inner.over {
            self.expect(end)?;
        }
        self.left += 1;
        Ok(value)
    }

    /// Passes over a value.
    fn skip(&mut self) -> Result<(), Error> {
        match self.peek()? {
            b'{' | b'[' => self.skip_over(blocks::brackets, "a value"),
            b'"' => self.skip_over(blocks::text, "a text"),
            b'-' | b'0'..=b'9' | b't' | b'f' | b'n' => {
                self.scalar();
                Ok(())
            }
            _ => Err(self.wrong("expected value")),
        }
    }

    fn skip_over(&mut self, length: impl FnOnce(&[u8]) -> Option<usize>, what: &str) -> Result<(), Error> {
        match length(self.bytes.get(self.at..).unwrap_or_default()) {
            Some(length) => {
                self.at += length;
                Ok(())
            }
            None => Err(self.wrong(format_args!("EOF while parsing {what}"))),
        }
    }
}

impl<'de> Deserializer<'de> for &mut Reader<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.peek()? {
            b'{' => self.inside(b'}', |inner| visitor.visit_map(inner)),
            b'[' => self.inside(b']', |inner| visitor.visit_seq(inner)),
            b'"' => self.visit_text(visitor),
            b't' => self.word("true").and_then(|()| visitor.visit_bool(true)),
            b'f' => self.word("false").and_then(|()| visitor.visit_bool(false)),
            b'n' => self.word("null").and_then(|()| visitor.visit_unit()),
            _ => {
                let mut number = serde_json::Deserializer::from_slice(self.scalar());
                let value = number.deserialize_any(visitor)?;
                number.end()?;
                Ok(value)
            }
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.skip()?;
        visitor.visit_unit()
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.peek()? == b'n' {
            self.word("null")?;
            return visitor.visit_none();
        }
        visitor.visit_some(self)
    }

    /// A name is compared and nothing else: whether it is UTF-8 shows in that.
    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let start = self.at;
        let (inner, escapes) = self.text()?;
        if escapes { self.visit_escaped(start, visitor) } else { visitor.visit_borrowed_bytes(inner) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map struct enum
    }
}

/// What is inside of brackets.
struct Inner<'r, 'de> {
    reader: &'r mut Reader<'de>,
    end: u8,
    first: bool,
    /// The end has been passed over.
    over: bool,
}

impl Inner<'_, '_> {
    /// Whether there is another one; behind the last one the end is passed over.
    fn more(&mut self) -> Result<bool, Error> {
        let next = self.reader.peek()?;
        if next == self.end {
            self.reader.at += 1;
            self.over = true;
            return Ok(false);
        }
        if !std::mem::take(&mut self.first) {
            self.reader.expect(b',')?;
        }
        Ok(true)
    }
}

impl<'de> MapAccess<'de> for Inner<'_, 'de> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        if !self.more()? {
            return Ok(None);
        }
        if self.reader.peek()? != b'"' {
            return Err(self.reader.wrong("key must be a string"));
        }
        seed.deserialize(&mut *self.reader).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        self.reader.expect(b':')?;
        seed.deserialize(&mut *self.reader)
    }
}

impl<'de> SeqAccess<'de> for Inner<'_, 'de> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        if self.more()? { seed.deserialize(&mut *self.reader).map(Some) } else { Ok(None) }
    }
}

#[cfg(test)]
#[path = "reader_tests.rs"]
mod tests;
