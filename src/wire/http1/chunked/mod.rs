//! The chunked transfer coding (RFC 9112 section 7.1): taking it off, passing it on, putting it on.
//!
//! - [`Decoder`] gives the payload piece by piece, wherever the bytes are cut.
//! - [`Verbatim`] says how much may be forwarded byte for byte, still chunked.
//! - [`InPlace`] unwraps a whole body within its own buffer, with a size limit.
//! - [`chunk_header`] and [`LAST_CHUNK`] write.
//!
//! Strict: sizes of at most 16 hex digits, exactly CR LF, nothing between size and line end but an
//! extension. Extensions and trailer fields are bounded, checked and dropped.

mod decoder;
mod encode;
mod in_place;
mod verbatim;

use std::fmt;

pub use decoder::{Decoder, Step};
pub use encode::{CHUNK_HEADER_BYTES_MAX, ChunkHeader, LAST_CHUNK, chunk_header, write_chunk};
pub use in_place::{InPlace, Unwrapped};
pub use verbatim::{Pass, Verbatim};

/// Most bytes of chunk extensions in one body, all chunks together.
pub const EXTENSION_BYTES_MAX: u32 = 4096;

/// Most bytes of the trailer section.
pub const TRAILER_BYTES_MAX: u32 = 8192;

/// A body that is not chunked as it should be. Where it ends is unknown: close the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ChunkError {
    /// The size of a chunk is not 1 to 16 hex digits.
    Size,
    /// Something else where CR LF must be.
    LineEnd,
    /// A control byte in an extension or a trailer field, or a trailer line without a field name.
    Malformed,
    /// More than [`EXTENSION_BYTES_MAX`].
    ExtensionsTooLong,
    /// More than [`TRAILER_BYTES_MAX`].
    TrailersTooLong,
    /// The payload is larger than the caller's limit. Only from [`InPlace`].
    TooLarge,
}

impl ChunkError {
    /// The status to answer a request with.
    pub fn status(self) -> u16 {
        match self {
            Self::TooLarge => 413,
            Self::TrailersTooLong => 431,
            Self::Size | Self::LineEnd | Self::Malformed | Self::ExtensionsTooLong => 400,
        }
    }

    /// What is wrong and how to fix it, in words for the sender.
    pub fn message(self) -> &'static str {
        match self {
            Self::Size => "malformed chunk size: send 1 to 16 hex digits and CR LF",
            Self::LineEnd => "malformed chunk: sizes and data must each end with CR LF",
            Self::Malformed => "malformed chunk extension or trailer field: remove control bytes",
            Self::ExtensionsTooLong => "chunk extensions too long: send none",
            Self::TrailersTooLong => "trailer fields too long: send none",
            Self::TooLarge => "body too large: send less",
        }
    }
}

impl fmt::Display for ChunkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message())
    }
}

impl std::error::Error for ChunkError {}

#[cfg(test)]
mod tests;
