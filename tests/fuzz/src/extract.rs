//! JSON-RPC extraction: vectors, plain registers, a tree and `serde_json` agree, whatever follows.

use crate::wire::jsonrpc::{JsonLimits, naive};

pub fn check(data: &[u8]) {
    let Some((&mode, body)) = data.split_first() else { return };
    let behind: &[u8] = match mode & 7 {
        0 => b"\0",
        1 => b"}",
        2 => b"\"",
        3 => b" ",
        4 => b"\\",
        5 => b"1",
        6 => b"]}POST / HTTP/1.1\r\n",
        _ => body,
    };
    let mut limits = JsonLimits::default();
    if mode & 8 != 0 {
        limits = JsonLimits { depth_max: u32::from(mode >> 5), batch_max: 2, id_bytes_max: 8 };
    }
    naive::check(body, behind, &limits);
}
