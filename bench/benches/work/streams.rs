//! Event streams as MCP servers write them.

use super::Input;
use super::bodies::Dice;

/// The stream that answers one call: a single event of a few hundred bytes.
pub fn answers(count: u64) -> Vec<Input> {
    (0..count).map(|seed| Input::new(event(&mut Dice::new(seed + 1), 300).as_bytes())).collect()
}

/// Progress, log lines and results of all sizes, `size` bytes in all.
pub fn many(count: u64, size: usize) -> Vec<Input> {
    let one = |seed| {
        let mut dice = Dice::new(seed + 1);
        let mut stream = String::new();
        while stream.len() < size {
            let length = dice.of(&[80, 120, 200, 400, 900, 4000]);
            stream.push_str(&event(&mut dice, length));
        }
        Input::new(stream.as_bytes())
    };
    (0..count).map(one).collect()
}

fn event(dice: &mut Dice, length: usize) -> String {
    let id = dice.below(100_000);
    let text = "progress is made and reported ".repeat(length / 30 + 1);
    let data = format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"text":"{}"}}}}"#, &text[..length]);
    match dice.below(4) {
        0 => format!("event: message\nid: {id}_{id}\ndata: {data}\n\n"),
        1 => format!("event: message\r\ndata: {data}\r\n\r\n"),
        2 => format!(": keep-alive\n\nevent: message\ndata: {data}\n\n"),
        _ => format!("event: message\ndata: {data}\n\n"),
    }
}
