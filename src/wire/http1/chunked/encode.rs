//! Puts the coding on.

/// Ends a chunked body.
pub const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// Longest line that [`chunk_header`] makes: 16 hex digits and CR LF.
pub const CHUNK_HEADER_BYTES_MAX: usize = 18;

/// The line before the data of a chunk, on the stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkHeader {
    bytes: [u8; CHUNK_HEADER_BYTES_MAX],
    start: u8,
}

impl ChunkHeader {
    /// The line, with its CR LF. The data and another CR LF follow.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[usize::from(self.start)..]
    }
}

/// The line before `length` bytes of chunk data. `None` for 0: an empty chunk would end the body.
pub fn chunk_header(length: usize) -> Option<ChunkHeader> {
    if length == 0 {
        return None;
    }
    let mut bytes = [b'\n'; CHUNK_HEADER_BYTES_MAX];
    let mut start = CHUNK_HEADER_BYTES_MAX - 2;
    bytes[start] = b'\r';
    let mut left = length;
    while left > 0 {
        start -= 1;
        bytes[start] = b"0123456789abcdef"[left & 15];
        left >>= 4;
    }
    Some(ChunkHeader { bytes, start: start as u8 })
}

/// Appends `data` as one chunk; nothing if it is empty.
pub fn write_chunk(out: &mut Vec<u8>, data: &[u8]) {
    let Some(header) = chunk_header(data.len()) else { return };
    out.extend_from_slice(header.as_bytes());
    out.extend_from_slice(data);
    out.extend_from_slice(b"\r\n");
}
