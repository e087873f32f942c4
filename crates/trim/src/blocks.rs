//! Finds the end of a text, a list or an object in blocks of 64 bytes, looking at nothing but quotes, backslashes and brackets.
//!
//! The way of simdjson: of 64 bytes each question ("where is a quote?") is one mask, and what follows is arithmetic on masks.
//! Source: Langdale and Lemire, "Parsing Gigabytes of JSON per Second".

use wide::u8x16;

/// Bytes that are looked at at once.
const BLOCK: usize = 64;

/// A text of this length or less is not worth a block.
const SHORT: usize = 24;

/// How many of the first sixteen bytes are to be taken as they are in a text: neither quote, backslash nor control character.
/// None of fewer than sixteen bytes; those are for the caller to look at.
pub(crate) fn plain(bytes: &[u8]) -> usize {
    let Some(bytes) = bytes.first_chunk() else { return 0 };
    let bytes = u8x16::new(*bytes);
    let control = bytes.min(u8x16::splat(0x1f)).simd_eq(bytes);
    let other = bytes.simd_eq(u8x16::splat(b'"')) | bytes.simd_eq(u8x16::splat(b'\\')) | control;
    other.to_bitmask().trailing_zeros().min(16) as usize
}

/// How long the text is that begins here with a quote, with both its quotes; `None` where it does not end.
pub(crate) fn text(bytes: &[u8]) -> Option<usize> {
    let short = bytes.iter().take(SHORT).enumerate().skip(1);
    for (at, byte) in short {
        match byte {
            b'"' => return Some(at + 1),
            b'\\' => break,
            _ => {}
        }
    }
    let mut texts = Texts::default();
    let mut at = 0;
    loop {
        let inside = texts.inside(&Block::at(bytes, at)?);
        // The first quote opens it: then the first byte outside is the one that closes it.
        if inside != u64::MAX {
            let end = at + inside.trailing_ones() as usize + 1;
            return (end <= bytes.len()).then_some(end);
        }
        at += BLOCK;
    }
}

/// How long the list or object is that begins here with a bracket, with both its brackets; `None` where it does not end.
///
/// Only brackets of its own kind count: those of the other kind are balanced between them. So of `managedFields`, a list
/// with few lists in it, most blocks need no second look.
pub(crate) fn brackets(bytes: &[u8]) -> Option<usize> {
    let open = *bytes.first()?;
    let (open, close) = if open == b'[' { (b'[', b']') } else { (b'{', b'}') };
    let mut texts = Texts::default();
    let (mut at, mut depth) = (0, 0_u32);
    loop {
        let block = Block::at(bytes, at)?;
        let outside = !texts.inside(&block);
        if block.has_either(open, close) {
            let (opening, closing) = (block.find(open) & outside, block.find(close) & outside);
            let mut both = opening | closing;
            while both != 0 {
                if opening & (both & both.wrapping_neg()) != 0 {
                    depth += 1;
                } else if depth <= 1 {
                    return Some(at + both.trailing_zeros() as usize + 1);
                } else {
                    depth -= 1;
                }
                both &= both - 1;
            }
        }
        at += BLOCK;
    }
}

/// 64 bytes. Of what is found in them bit 0 stands for the first.
struct Block([u8x16; 4]);

impl Block {
    /// The block that begins at `at`, filled with blanks; `None` where there is nothing.
    #[inline]
    fn at(bytes: &[u8], at: usize) -> Option<Self> {
        let rest = bytes.get(at..)?;
        if let Some(whole) = rest.first_chunk() {
            return Some(Self::of(whole));
        }
        if rest.is_empty() {
            return None;
        }
        let mut last = [b' '; BLOCK];
        last.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
        Some(Self::of(&last))
    }

    #[inline]
    fn of(bytes: &[u8; BLOCK]) -> Self {
        let (parts, _) = bytes.as_chunks::<16>();
        Self(std::array::from_fn(|n| parts.get(n).map_or(u8x16::ZERO, |part| u8x16::new(*part))))
    }

    /// Where `byte` is.
    #[inline]
    fn find(&self, byte: u8) -> u64 {
        let byte = u8x16::splat(byte);
        let [a, b, c, d] = self.0.map(|part| u64::from(part.simd_eq(byte).to_bitmask()));
        a | b << 16 | c << 32 | d << 48
    }

    /// Whether either byte is there.
    #[inline]
    fn has_either(&self, one: u8, other: u8) -> bool {
        let (one, other) = (u8x16::splat(one), u8x16::splat(other));
        let [a, b, c, d] = self.0.map(|part| part.simd_eq(one) | part.simd_eq(other));
        (a | b | c | d).to_bitmask() != 0
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
    #[inline]
    fn inside(&mut self, block: &Block) -> u64 {
        let mut inside = block.find(b'"') & !self.escaped(block.find(b'\\'));
        for shift in [1, 2, 4, 8, 16, 32] {
            inside ^= inside << shift;
        }
        inside ^= self.within;
        self.within = if inside >> 63 == 1 { u64::MAX } else { 0 };
        inside
    }

    /// The bytes that a backslash escapes: those behind an odd number of them.
    #[inline]
    fn escaped(&mut self, backslashes: u64) -> u64 {
        const EVEN: u64 = 0x5555_5555_5555_5555;
        if backslashes == 0 {
            return std::mem::take(&mut self.escaped);
        }
        // One that is escaped itself escapes nothing.
        let backslashes = backslashes & !self.escaped;
        let behind = backslashes << 1 | self.escaped;
        // Added to its first bit, a run that begins at an odd place moves to the bit behind it; one that begins at an even
        // place stays. So of each run every second bit is left, counted from its own beginning.
        let (ends, carried) = (backslashes & !EVEN & !behind).overflowing_add(backslashes);
        self.escaped = u64::from(carried);
        (EVEN ^ ends << 1) & behind
    }
}
