//! Lists cut down for a caller: vectors, plain registers and a tree agree, whatever follows; and events keep all
//! but their data when that is replaced.

use crate::wire::mcp::lists::{Kind, naive};
use crate::wire::sse::{Event, Scanner, without_bom, write_with_data};

pub fn check(data: &[u8]) {
    let Some((&mode, body)) = data.split_first() else { return };
    let behind: &[u8] = match mode & 7 {
        0 => b"\0",
        1 => b"}",
        2 => b"\"",
        3 => b" ",
        4 => b"\\",
        5 => b"]",
        6 => b",\"tools\":[{\"name\":\"x\"}]}}",
        _ => body,
    };
    let keep = |kind: Kind, name: &str| match mode >> 5 {
        0 => false,
        1 => true,
        2 => kind == Kind::Tool,
        _ => name.len() % 2 == usize::from(mode >> 7),
    };
    let filtered = naive::check(body, behind, &keep);
    replace(body, filtered.as_deref().unwrap_or(b"{}"));
}

/// The first event of `stream`, made whole, with other data that holds no CR.
fn replace(stream: &[u8], data: &[u8]) {
    let stream = [stream, b"\n\n"].concat();
    let end = Scanner::new(usize::MAX).next_end(&stream).ok().flatten().expect("it was made whole");
    let event = without_bom(&stream[..end]);
    let data: Vec<u8> = data.iter().map(|&byte| if byte == b'\r' { b' ' } else { byte }).collect();
    let before = Event::parse(event);
    let mut out = Vec::new();
    write_with_data(&mut out, event, &data);
    let whole = Scanner::new(usize::MAX).scan(&out);
    assert_eq!(whole, Ok(out.len()), "it stays whole");
    let after = Event::parse(&out);
    assert_eq!((before.kind, before.id, before.retry), (after.kind, after.id, after.retry));
    let expected = (before.data_lines > 0).then_some(&data[..]);
    assert_eq!(after.data(&mut Vec::new()), expected);
}
