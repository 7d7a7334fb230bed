//! JSON as bytes: a full-grammar RFC 8259 scanner that allocates nothing and builds no tree.
//!
//! A body is read once, forward; what a caller wants of it comes out as spans of
//! the body itself. There is one grammar and two ways to look at bytes: AVX2 where the CPU has it
//! and a portable twin, which property tests compare with each other and with `serde_json`.

mod document;
mod scan;
mod text;
mod vector;
mod write;

pub use document::{Document, Value};
pub(in crate::wire) use scan::{NO_MARKS, Scan};
pub use text::Text;
pub(in crate::wire) use text::{Unit, Units};
pub(in crate::wire) use vector::{Mark, fastest, mark_portable};
pub use write::{write_integer, write_string};

use crate::base::PAD;

/// The deepest nesting that a scan can be asked to accept: one bit of a word is kept per level.
pub const DEPTH_CAP: u32 = 120;

/// A half-open range of byte offsets into the body it was found in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// Offset of the first byte.
    pub start: u32,
    /// Offset one past the last byte.
    pub end: u32,
}

impl Span {
    /// The bytes of `body` that the span covers. `body` must be the one that the span was found in.
    pub fn of(self, body: &[u8]) -> &[u8] {
        &body[self.start as usize..self.end as usize]
    }

    /// The span as a range of indices.
    pub fn range(self) -> std::ops::Range<usize> {
        self.start as usize..self.end as usize
    }
}

/// A body, and the promise that at least [`PAD`] bytes behind it may be read.
///
/// What stands behind the body is arbitrary, for instance the next pipelined request: the scanner
/// may load it into a vector, but nothing there can change an answer.
#[derive(Clone, Copy)]
pub struct Padded<'a> {
    all: &'a [u8],
    end: usize,
}

impl<'a> Padded<'a> {
    /// `all[..length]` as a body; `None` if fewer than [`PAD`] bytes follow it, or if it is too
    /// large for [`Span`] (4 GiB). Takes what [`crate::base::Buf::padded`] returns.
    pub fn new(all: &'a [u8], length: usize) -> Option<Self> {
        let needed = length.checked_add(PAD)?;
        (all.len() >= needed && u32::try_from(needed).is_ok()).then_some(Self { all, end: length })
    }

    /// The body alone.
    pub fn body(self) -> &'a [u8] {
        &self.all[..self.end]
    }
}

/// Why bytes are not the JSON text we accept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JsonError {
    /// Not one complete RFC 8259 value with nothing but whitespace around it.
    Syntax,
    /// Not UTF-8 (RFC 3629: overlong forms, surrogates and values past U+10FFFF are refused too).
    Utf8,
    /// Objects and arrays nest deeper than the limit.
    Depth,
}

/// Which way of looking at bytes the scanner uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// 32 bytes at a time.
    Avx2,
    /// Eight bytes at a time in ordinary registers, on any CPU.
    Portable,
}

impl Backend {
    /// The fastest that this CPU has. (The standard library asks the CPU once and remembers.)
    pub fn detect() -> Self {
        if vector::avx2_available() { Self::Avx2 } else { Self::Portable }
    }
}

/// Checks that the body is one JSON value nested at most `depth_max` levels (at most [`DEPTH_CAP`];
/// a scalar has level 0).
///
/// # Errors
/// See [`JsonError`].
pub fn validate(body: Padded<'_>, depth_max: u32) -> Result<(), JsonError> {
    validate_with(body, depth_max, vector::fastest())
}

/// [`validate`] as CPUs without AVX2 run it: the twin that tests compare with.
///
/// # Errors
/// As [`validate`].
pub fn validate_portable(body: Padded<'_>, depth_max: u32) -> Result<(), JsonError> {
    validate_with(body, depth_max, vector::mark_portable)
}

fn validate_with(body: Padded<'_>, depth_max: u32, mark: vector::Mark) -> Result<(), JsonError> {
    let mut marks = scan::NO_MARKS;
    let mut scan = scan::Scan::new(body, depth_max, mark, &mut marks);
    scan.spaces();
    scan.value(0)?;
    scan.finish()
}
