//! The grammar of RFC 8259 as a cursor that only moves forward.
//!
//! Memory safety rests on one thing: every step starts at most a few bytes past the end of the body
//! ([`Scan::check`] runs after whatever can move far), and [`PAD`] bytes behind the end are readable.
//! Correctness does not rest on what those bytes are: a scan is accepted only if it stops exactly at
//! the end, and the cursor never moves back, so a token that reached past the end can only be refused.

use super::vector::{CHUNK, Mark, Marks, STEP, digits_leading};
use super::{DEPTH_CAP, JsonError, Padded};
use crate::base::PAD;

/// A cursor over a body.
pub(in crate::wire) struct Scan<'a, 'm> {
    all: &'a [u8],
    end: usize,
    at: usize,
    /// Whether a byte outside ASCII may stand in the body.
    high: bool,
    depth_max: u32,
    mark: Mark,
    /// The marks of the bytes from `chunk` on.
    marks: &'m mut Marks,
    chunk: usize,
    /// From here on, the next chunk is needed.
    refill_at: usize,
}

/// Room for the marks of a scan.
pub(in crate::wire) const NO_MARKS: Marks = [0; CHUNK / 8 + 8];

/// How many of the marks read at once are sure to be of the chunk.
const WINDOW: usize = 56;
const _: () = assert!(PAD >= STEP && PAD >= 48, "see `Scan::byte_at`");

impl<'a, 'm> Scan<'a, 'm> {
    /// A cursor at the start of the body. `depth_max` above [`DEPTH_CAP`] counts as that.
    #[inline(always)]
    pub(in crate::wire) fn new(body: Padded<'a>, depth_max: u32, mark: Mark, marks: &'m mut Marks) -> Self {
        debug_assert!(body.all.len() >= body.end + PAD);
        let depth_max = depth_max.min(DEPTH_CAP);
        Self {
            all: body.all,
            end: body.end,
            at: 0,
            high: false,
            depth_max,
            mark,
            marks,
            chunk: 0,
            refill_at: 0,
        }
    }

    /// The cursor again where one of the same body was: at a position that it had, with what it had seen
    /// ([`Scan::has_seen_high`]).
    pub(in crate::wire) fn resume(self, at: usize, high: bool) -> Self {
        debug_assert!(at <= self.end);
        Self { at: at.min(self.end), high, ..self }
    }

    /// Whether a byte outside ASCII was seen so far.
    pub(in crate::wire) fn has_seen_high(&self) -> bool {
        self.high
    }

    /// Where the cursor is.
    #[inline(always)]
    pub(in crate::wire) fn at(&self) -> usize {
        self.at
    }

    /// The byte under the cursor; past the end, whatever stands there.
    #[inline(always)]
    pub(in crate::wire) fn byte(&self) -> u8 {
        self.byte_at(self.at)
    }

    /// Moves over one byte that was just looked at. Not twice without a token, a [`Scan::check`] or
    /// [`Scan::spaces`] and another look between.
    #[inline(always)]
    pub(in crate::wire) fn step(&mut self) {
        self.at += 1;
    }

    /// The bytes of the body from `start` to `end`, both earlier positions of the cursor.
    #[inline(always)]
    pub(in crate::wire) fn bytes(&self, start: usize, end: usize) -> &'a [u8] {
        &self.all[start..end]
    }

    /// Whether nesting to `depth` is allowed.
    #[inline(always)]
    pub(in crate::wire) fn check_depth(&self, depth: u32) -> Result<(), JsonError> {
        if depth > self.depth_max { Err(self.too_deep()) } else { Ok(()) }
    }

    /// Ends the scan: nothing but whitespace may be left, and the whole must be UTF-8.
    #[inline(always)]
    pub(in crate::wire) fn finish(&mut self) -> Result<(), JsonError> {
        self.spaces();
        if self.at != self.end {
            return Err(JsonError::Syntax);
        }
        // Bytes outside ASCII are possible in strings only, and those were all looked at.
        if self.high && simdutf8::basic::from_utf8(&self.all[..self.end]).is_err() {
            return Err(JsonError::Utf8);
        }
        Ok(())
    }

    /// Moves over whitespace, but not past the end.
    #[inline(always)]
    pub(in crate::wire) fn spaces(&mut self) {
        if self.byte() <= b' ' {
            self.at = spaces_end(self.all, self.at, self.end);
        }
    }

    /// Moves over a string, from its opening quote. Returns whether it holds escapes.
    #[inline(always)]
    pub(in crate::wire) fn string(&mut self) -> Result<bool, JsonError> {
        if self.byte() != b'"' {
            return Err(JsonError::Syntax);
        }
        let mut at = self.at + 1;
        let mut escaped = false;
        loop {
            if at >= self.end {
                return Err(JsonError::Syntax);
            }
            let marks = self.window(at);
            if marks == 0 {
                at += WINDOW;
                continue;
            }
            at += marks.trailing_zeros() as usize;
            match self.byte_at(at) {
                b'"' => {
                    self.at = at + 1;
                    return self.check().map(|()| escaped);
                }
                b'\\' => {
                    self.escape(at + 1)?;
                    escaped = true;
                    // The digits of a longer escape are not marked.
                    at += 2;
                }
                _ => return Err(JsonError::Syntax),
            }
        }
    }

    /// Moves over a key, its colon and the whitespace around it. Returns where the key's inside
    /// ends, and whether it holds escapes; it starts one byte after where the cursor was.
    #[inline(always)]
    pub(in crate::wire) fn key(&mut self) -> Result<(usize, bool), JsonError> {
        let escaped = self.string()?;
        let inside_end = self.at - 1;
        self.spaces();
        if self.byte() != b':' {
            return Err(JsonError::Syntax);
        }
        self.at += 1;
        self.spaces();
        Ok((inside_end, escaped))
    }

    /// Moves over `true`, `false`, `null` or a number.
    #[inline(always)]
    pub(in crate::wire) fn plain_scalar(&mut self) -> Result<(), JsonError> {
        match self.byte() {
            b't' => self.literal(self.at, *b"true")?,
            b'f' => self.literal(self.at + 1, *b"alse")?,
            b'n' => self.literal(self.at, *b"null")?,
            _ => self.number()?,
        }
        self.check()
    }

    /// Moves over an object or array, from its opening bracket. `depth` is how many are open
    /// around it.
    #[inline(always)]
    pub(in crate::wire) fn container(&mut self, depth: u32) -> Result<(), JsonError> {
        // What closes each open container; the innermost one's is kept in `close`.
        let mut closers = [0u8; DEPTH_CAP as usize + 1];
        let mut open = 0usize;
        let mut close = 0u8;
        let room = self.depth_max.saturating_sub(depth) as usize;
        loop {
            let first = self.byte();
            if first == b'"' {
                self.string()?;
            } else if first == b'{' || first == b'[' {
                if open == room {
                    return Err(self.too_deep());
                }
                // SAFETY: open < room <= depth_max <= DEPTH_CAP, and the array is one longer.
                unsafe { *closers.get_unchecked_mut(open) = close };
                open += 1;
                close = first + 2;
                self.at += 1;
                self.check()?;
                self.spaces();
                if self.byte() != close {
                    if first == b'{' {
                        self.key()?;
                    }
                    continue;
                }
                self.at += 1;
                open -= 1;
                // SAFETY: as above; open was incremented a moment ago.
                close = unsafe { *closers.get_unchecked(open) };
            } else {
                self.plain_scalar()?;
            }
            loop {
                if open == 0 {
                    return self.check();
                }
                self.spaces();
                let next = self.byte();
                self.at += 1;
                if next == b',' {
                    self.spaces();
                    if close == b'}' {
                        self.key()?;
                    }
                    break;
                }
                if next != close {
                    return Err(JsonError::Syntax);
                }
                self.check()?;
                open -= 1;
                // SAFETY: open was at least one, so it is the index of a stored closer.
                close = unsafe { *closers.get_unchecked(open) };
            }
        }
    }

    /// Moves over any value.
    #[inline(always)]
    pub(in crate::wire) fn value(&mut self, depth: u32) -> Result<(), JsonError> {
        match self.byte() {
            b'"' => self.string().map(|_| ()),
            b'{' | b'[' => self.container(depth),
            b'-' | b'0'..=b'9' => self.bare_number(),
            _ => self.plain_scalar(),
        }
    }

    /// Moves over a number that nothing needs to follow, so that only the end of the body ends it.
    #[cold]
    fn bare_number(&mut self) -> Result<(), JsonError> {
        let rest = self.all[..self.end].get(self.at..).unwrap_or_default();
        let length =
            rest.iter().take_while(|byte| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E'));
        let token = &rest[..length.count()];
        let skip_digits = |from: &[u8]| from.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let mut at = usize::from(token.first() == Some(&b'-'));
        let whole = skip_digits(&token[at..]);
        let mut fine = whole > 0 && (whole == 1 || token[at] != b'0');
        at += whole;
        if token.get(at) == Some(&b'.') {
            let fraction = skip_digits(&token[at + 1..]);
            fine &= fraction > 0;
            at += 1 + fraction;
        }
        if let Some(b'e' | b'E') = token.get(at) {
            at += 1 + usize::from(matches!(token.get(at + 1), Some(b'+' | b'-')));
            let exponent = skip_digits(&token[at..]);
            fine &= exponent > 0;
            at += exponent;
        }
        self.at += at;
        if fine { Ok(()) } else { Err(JsonError::Syntax) }
    }

    /// The marks of the bytes from `at` on, which must be before the end: at least [`WINDOW`] of
    /// them, or all up to the end.
    #[inline(always)]
    fn window(&mut self, at: usize) -> u64 {
        if at >= self.refill_at {
            self.chunk = at;
            let (refill_at, high) = refill(self.all, at, self.end, self.mark, self.marks);
            self.refill_at = refill_at;
            self.high |= high;
        }
        let offset = at - self.chunk;
        debug_assert!(offset / 8 + 8 <= self.marks.len());
        // SAFETY: at < refill_at, so offset <= CHUNK - 64, or at < end <= chunk + CHUNK: in both
        // cases eight bytes can be read from offset / 8, as Marks has eight more than CHUNK / 8.
        let bytes = unsafe { self.marks.as_ptr().add(offset / 8).cast::<[u8; 8]>().read() };
        u64::from_le_bytes(bytes) >> (offset % 8)
    }

    /// Refuses a cursor that is past the end. Runs after every token that can move far.
    #[inline(always)]
    pub(in crate::wire) fn check(&self) -> Result<(), JsonError> {
        if self.at > self.end { Err(JsonError::Syntax) } else { Ok(()) }
    }

    #[inline(always)]
    fn byte_at(&self, at: usize) -> u8 {
        debug_assert!(at < self.all.len());
        // SAFETY: `at` is at most PAD - 1 past the end of the body (module documentation).
        unsafe { *self.all.get_unchecked(at) }
    }

    #[inline(always)]
    fn load<const N: usize>(&self, at: usize) -> [u8; N] {
        debug_assert!(at + N <= self.all.len());
        // SAFETY: as in `byte_at`; N is at most 8, and byte arrays have no alignment to keep.
        unsafe { self.all.as_ptr().add(at).cast::<[u8; N]>().read() }
    }

    /// Checks an escape whose backslash stands right before `at`.
    #[inline(always)]
    fn escape(&self, at: usize) -> Result<(), JsonError> {
        let fine = match self.byte_at(at) {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => true,
            b'u' => self.load::<4>(at + 1).iter().all(u8::is_ascii_hexdigit),
            _ => false,
        };
        if fine { Ok(()) } else { Err(JsonError::Syntax) }
    }

    #[inline(always)]
    fn literal(&mut self, at: usize, word: [u8; 4]) -> Result<(), JsonError> {
        self.at = at + 4;
        if self.load::<4>(at) == word { Ok(()) } else { Err(JsonError::Syntax) }
    }

    #[inline(always)]
    fn number(&mut self) -> Result<(), JsonError> {
        if self.byte() == b'-' {
            self.at += 1;
        }
        if self.byte() == b'0' {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.byte() == b'.' {
            self.at += 1;
            self.digits()?;
        }
        if self.byte() | 0x20 == b'e' {
            self.at += 1;
            if matches!(self.byte(), b'+' | b'-') {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    /// Moves over digits, of which there must be one.
    #[inline(always)]
    fn digits(&mut self) -> Result<(), JsonError> {
        let start = self.at;
        loop {
            let count = digits_leading(u64::from_le_bytes(self.load(self.at)));
            self.at += count;
            if count < 8 {
                break;
            }
            self.check()?;
        }
        if self.at == start { Err(JsonError::Syntax) } else { Ok(()) }
    }

    /// The body nests too deeply, unless it had ended before.
    #[cold]
    fn too_deep(&self) -> JsonError {
        if self.at >= self.end { JsonError::Syntax } else { JsonError::Depth }
    }
}

/// Marks the chunk that starts at `at`, which must be before `end`. Returns from where on the next one
/// is needed, and whether a byte outside ASCII was seen.
#[cold]
#[inline(never)]
fn refill(all: &[u8], at: usize, end: usize, mark: Mark, marks: &mut Marks) -> (usize, bool) {
    let count = (end - at).min(CHUNK);
    debug_assert!(count > 0 && at + count + STEP <= all.len());
    // SAFETY: at < end and at + count <= end, behind which PAD >= STEP bytes are readable; `mark`
    // came from `fastest` or is the portable one.
    let high = unsafe { mark(all.as_ptr().add(at), count, marks) };
    let refill_at = if at + count == end { usize::MAX } else { at + CHUNK - 63 };
    (refill_at, high)
}

/// Where the whitespace that starts at `at` ends, at most `end`.
#[inline(never)]
fn spaces_end(all: &[u8], mut at: usize, end: usize) -> usize {
    let body = &all[..end];
    while let Some(&(b' ' | b'\n' | b'\r' | b'\t')) = body.get(at) {
        at += 1;
        // Indented text: runs of blanks.
        while body.get(at..).is_some_and(|rest| rest.starts_with(&[b' '; 8])) {
            at += 8;
        }
    }
    at
}
