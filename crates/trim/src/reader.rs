//! A reader of JSON for serde that passes over what is skipped in blocks of 64 bytes.
//!
//! serde_json looks at every token of a value that nobody wants, and of a review that is nine tenths: `managedFields`, pod
//! templates. Here only brackets and quotes count there, so that what is skipped need not be JSON. What is read is held to
//! JSON, numbers and texts with escapes by serde_json itself.

use std::fmt::Display;

use serde::de::{DeserializeSeed, Deserializer, Error as _, IntoDeserializer as _, MapAccess, SeqAccess, Visitor};
use serde::forward_to_deserialize_any;
use serde_json::Error;
use wide::u8x16;

/// How deep what is read may be, as for serde_json.
const DEEPEST: u8 = 128;

/// Bytes that are looked at at once.
const BLOCK: usize = 64;

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
            let quoted = self.bytes.get(start..self.at).unwrap_or_default();
            return serde_json::from_slice::<String>(quoted)?.into_deserializer().deserialize_any(visitor);
        }
        let text = std::str::from_utf8(inner).map_err(|_| self.wrong("a text that is no UTF-8"))?;
        visitor.visit_borrowed_str(text)
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
            b'{' | b'[' => self.skip_brackets(),
            b'"' => self.skip_text(),
            b'-' | b'0'..=b'9' | b't' | b'f' | b'n' => {
                self.scalar();
                Ok(())
            }
            _ => Err(self.wrong("expected value")),
        }
    }

    fn skip_text(&mut self) -> Result<(), Error> {
        let mut text = Texts::default();
        for (number, block) in blocks(self.bytes.get(self.at..).unwrap_or_default()).enumerate() {
            let inside = text.inside(&block);
            // The first quote opens it: then the first byte outside is the one that closes it.
            if inside != u64::MAX {
                self.at += number * BLOCK + inside.trailing_ones() as usize + 1;
                return if self.at <= self.bytes.len() { Ok(()) } else { Err(self.wrong("EOF while parsing a text")) };
            }
        }
        Err(self.wrong("EOF while parsing a text"))
    }

    fn skip_brackets(&mut self) -> Result<(), Error> {
        let (mut texts, mut depth) = (Texts::default(), 0);
        for (number, block) in blocks(self.bytes.get(self.at..).unwrap_or_default()).enumerate() {
            let outside = !texts.inside(&block);
            let (opening, mut closing) = (block.either(b'{') & outside, block.either(b'}') & outside);
            let mut closed = 0;
            // Below as many closing brackets as are open the end cannot be in this block.
            if depth <= closing.count_ones() {
                while closing != 0 {
                    let bit = closing.trailing_zeros();
                    closed += 1;
                    if depth + (opening & ((1 << bit) - 1)).count_ones() == closed {
                        self.at += number * BLOCK + bit as usize + 1;
                        return Ok(());
                    }
                    closing &= closing - 1;
                }
            } else {
                closed = closing.count_ones();
            }
            depth = depth + opening.count_ones() - closed;
        }
        Err(self.wrong("EOF while parsing a value"))
    }
}

/// The bytes in blocks; the last one is filled with blanks.
fn blocks(bytes: &[u8]) -> impl Iterator<Item = Block> {
    let (whole, rest) = bytes.as_chunks::<BLOCK>();
    let mut last = [b' '; BLOCK];
    last.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
    let last = (!rest.is_empty()).then_some(last);
    whole.iter().copied().chain(last).map(|bytes| {
        let part = |n: usize| u8x16::new(std::array::from_fn(|i| bytes[n * 16 + i]));
        Block([part(0), part(1), part(2), part(3)])
    })
}

/// 64 bytes. Of what is found in them bit 0 stands for the first.
struct Block([u8x16; 4]);

impl Block {
    /// Where `byte` is.
    fn find(&self, byte: u8) -> u64 {
        self.bits(|part| part.simd_eq(u8x16::splat(byte)))
    }

    /// Where `bracket` is, a curly one, or the square one that stands for it: they differ by one bit.
    fn either(&self, bracket: u8) -> u64 {
        self.bits(|part| (part | u8x16::splat(0x20)).simd_eq(u8x16::splat(bracket)))
    }

    fn bits(&self, is: impl Fn(u8x16) -> u8x16) -> u64 {
        let [a, b, c, d] = self.0.map(|part| u64::from(is(part).to_bitmask()));
        a | b << 16 | c << 32 | d << 48
    }
}

/// Where texts are, block by block.
#[derive(Default)]
struct Texts {
    /// All ones where the block before ended within a text.
    within: u64,
    /// 1 where it ended with a backslash that escapes the first byte.
    escaped: u64,
}

impl Texts {
    /// The bytes that are inside a text, its opening quote among them and not its closing one.
    fn inside(&mut self, block: &Block) -> u64 {
        let mut escaped = self.escaped;
        self.escaped = 0;
        let mut backslashes = block.find(b'\\') & !escaped;
        while backslashes != 0 {
            let bit = backslashes.trailing_zeros();
            backslashes &= backslashes - 1;
            if bit == 63 {
                self.escaped = 1;
            } else {
                // What is escaped escapes nothing, be it a backslash or not.
                escaped |= 2 << bit;
                backslashes &= !(2 << bit);
            }
        }
        let mut inside = block.find(b'"') & !escaped;
        for shift in [1, 2, 4, 8, 16, 32] {
            inside ^= inside << shift;
        }
        inside ^= self.within;
        self.within = if inside >> 63 == 1 { u64::MAX } else { 0 };
        inside
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

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map struct enum identifier
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
