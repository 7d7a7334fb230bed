//! Bodies of `tools/call` as agents send them.

use super::Input;

/// A small generator, so that every run and every machine measures the same bytes.
pub struct Dice(u64);

impl Dice {
    /// Always the same sequence for the same seed.
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % bound
    }

    /// One of `choices`.
    pub fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }
}

/// Calls with a few short arguments, padded to about `size` bytes.
pub fn calls(count: u64, size: usize) -> Vec<Input> {
    make(count, |dice| {
        let limit = 1 + dice.below(50);
        let query = words(dice, 3);
        let start = format!(r#"{{"query":"{query}","limit":{limit},"note":""#);
        let overhead = call(dice, "").len() + start.len() + 2;
        let note = prose(dice, size.saturating_sub(overhead), false);
        call(dice, &format!("{start}{note}\"}}"))
    })
}

/// Calls whose argument is a document as a tree: blocks in blocks, short and medium strings, few numbers.
pub fn nested(count: u64, size: usize) -> Vec<Input> {
    make(count, |dice| {
        let blocks = items(dice, size, |dice, out| block(dice, 3, out));
        let page = dice.below(1 << 31);
        call(dice, &format!(r#"{{"page":"{page:08x}","children":[{blocks}]}}"#))
    })
}

/// Calls whose argument is a table of small values: the most tokens per byte that traffic has.
pub fn dense(count: u64, size: usize) -> Vec<Input> {
    make(count, |dice| {
        let rows = items(dice, size, row);
        call(dice, &format!(r#"{{"table":"orders","rows":[{rows}]}}"#))
    })
}

/// Items with commas between them, `size` bytes less what is left for the envelope.
fn items(dice: &mut Dice, size: usize, mut item: impl FnMut(&mut Dice, &mut String)) -> String {
    let mut items = String::new();
    while items.len() + 200 < size {
        if !items.is_empty() {
            items.push(',');
        }
        item(dice, &mut items);
    }
    items
}

/// Calls that carry documents: long strings with line breaks, quotes, and letters beyond ASCII.
pub fn text(count: u64, size: usize) -> Vec<Input> {
    make(count, |dice| {
        let mut files = String::new();
        while files.len() + 200 < size {
            let comma = if files.is_empty() { "" } else { "," };
            let room = (size - files.len()).min(6000 + dice.below(6000));
            let content = prose(dice, room, true);
            files.push_str(&format!(
                r#"{comma}{{"path":"/docs/{}.md","content":"{content}"}}"#,
                dice.below(1000)
            ));
        }
        call(dice, &format!(r#"{{"files":[{files}]}}"#))
    })
}

fn make(count: u64, mut body: impl FnMut(&mut Dice) -> String) -> Vec<Input> {
    (0..count).map(|seed| Input::new(body(&mut Dice::new(seed + 1)).as_bytes())).collect()
}

/// A call with these arguments; the order of members varies as it does between SDKs.
fn call(dice: &mut Dice, arguments: &str) -> String {
    let id = match dice.below(2) {
        0 => (1000 + dice.below(1_000_000)).to_string(),
        _ => format!("\"{:08x}\"", dice.below(usize::MAX) as u32),
    };
    let name = dice.of(&["search_web", "run_sql_query", "read_file", "create_issue", "echo"]);
    let arguments = if arguments.is_empty() { "{}" } else { arguments };
    let token = dice.below(10_000);
    match dice.below(3) {
        0 => format!(
            r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"{name}","arguments":{arguments}}}}}"#
        ),
        1 => format!(
            r#"{{"method":"tools/call","params":{{"name":"{name}","arguments":{arguments},"_meta":{{"progressToken":{token}}}}},"jsonrpc":"2.0","id":{id}}}"#
        ),
        _ => format!(
            r#"{{"jsonrpc": "2.0", "id": {id}, "method": "tools/call", "params": {{"_meta": {{"progressToken": {token}}}, "name": "{name}", "arguments": {arguments}}}}}"#
        ),
    }
}

fn block(dice: &mut Dice, depth: usize, out: &mut String) {
    let kind = dice.of(&["paragraph", "heading_2", "to_do", "bulleted_list_item", "callout"]);
    let length = dice.of(&[16, 40, 60, 90]);
    let text = prose(dice, length, false);
    let color = dice.of(&["default", "gray_background"]);
    out.push_str(&format!(
        r#"{{"object":"block","type":"{kind}","created_time":"2026-11-{:02}T09:00:00.000Z","rich_text":[{{"type":"text","content":"{text}","annotations":{{"bold":false,"color":"{color}"}}}}],"position":{}"#,
        1 + dice.below(28),
        dice.below(1000)
    ));
    if depth > 0 && dice.below(3) == 0 {
        out.push_str(r#","children":["#);
        block(dice, depth - 1, out);
        out.push(']');
    }
    out.push('}');
}

fn row(dice: &mut Dice, out: &mut String) {
    let name = words(dice, 2);
    let price = dice.below(100_000) as f64 / 100.0;
    let tags: Vec<String> = (0..dice.below(4)).map(|_| format!("\"{}\"", words(dice, 1))).collect();
    let state = dice.of(&["true", "false", "null"]);
    out.push_str(&format!(
        r#"{{"id":{},"name":"{name}","price":{price},"paid":{state},"tags":[{}],"at":{{"x":-{}.5e-3,"y":{}}}}}"#,
        dice.below(1_000_000),
        tags.join(","),
        dice.below(1000),
        dice.below(1000)
    ));
}

fn words(dice: &mut Dice, count: usize) -> String {
    (0..count).map(|_| dice.of(&WORDS)).collect::<Vec<_>>().join(" ")
}

/// About `size` bytes of the inside of a JSON string; `rich` has escapes and other alphabets in it.
pub fn prose(dice: &mut Dice, size: usize, rich: bool) -> String {
    let mut text = String::with_capacity(size + 16);
    while text.len() < size {
        text.push_str(dice.of(&WORDS));
        text.push_str(match dice.below(if rich { 40 } else { 20 }) {
            0..=2 => ". ",
            20 => "\\n\\n",
            21 => " \\\"so\\\" ",
            22 => " für über ",
            23 => " 日本語 ",
            _ => " ",
        });
    }
    if !rich {
        text.truncate(size);
    }
    text
}

const WORDS: [&str; 16] = [
    "the", "gateway", "passes", "a", "request", "on", "without", "waiting", "for", "its", "end", "and",
    "counts", "what", "it", "costs",
];
