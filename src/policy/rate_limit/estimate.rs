//! About how many tokens a text is, without a tokenizer: one look-up in a table for each byte.
//!
//! Tokenizers of language models cut text where its kind changes: a blank belongs to the word behind it, digits go by
//! threes, signs by ones and twos, and a character outside of ASCII is a part of a token or several. So what a byte
//! adds depends on its class and on that of the byte before. The table was fitted to the counts of a tokenizer of 200,000
//! tokens (o200k) over JSON, code, English and eleven other languages; `docs/limits.md` has the error on texts that it
//! was not fitted to.

/// Counts as it is fed. Where the text is cut makes no difference.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Estimator {
    /// In 64ths of a token.
    sum: u64,
    /// The byte before; a text begins as a line does.
    last: u8,
}

impl Estimator {
    /// The next bytes of the text.
    pub fn feed(&mut self, bytes: &[u8]) {
        let mut last = self.last;
        for part in bytes.chunks(PART) {
            // A part is too short for its sum to overflow.
            let mut sum = 0_u32;
            for byte in part {
                sum += u32::from(COSTS[usize::from(CLASSES[usize::from(last)])][usize::from(*byte)]);
                last = *byte;
            }
            self.sum = self.sum.saturating_add(u64::from(sum));
        }
        self.last = last;
    }

    /// Tokens so far.
    pub fn tokens(&self) -> u64 {
        self.sum.div_ceil(64)
    }
}

const PART: usize = 1 << 20;

/// What a byte adds, by its class (a column) and the class of the byte before (a row), in 64ths of a token. The columns:
/// lower case, upper case, digit, blank, control, JSON's own signs, other signs; then the first bytes of characters
/// outside of ASCII: of Latin letters, of other alphabets, of Indic and Thai, of Chinese and Japanese, of Korean and
/// the rest, of the supplementary planes; and their further bytes.
#[rustfmt::skip]
const WEIGHTS: [[u8; 14]; 8] = [
    [5, 79, 52, 20, 28, 42, 25, 53, 10, 12, 40, 29, 95, 0], // lower case
    [40, 35, 45, 20, 19, 21, 61, 53, 10, 12, 40, 29, 95, 0], // upper case
    [52, 45, 28, 40, 20, 21, 55, 53, 10, 12, 40, 29, 95, 0], // digit
    [31, 0, 47, 0, 19, 41, 44, 53, 10, 12, 40, 29, 95, 0], // blank
    [18, 14, 21, 41, 20, 16, 27, 53, 10, 12, 40, 29, 95, 0], // control
    [54, 12, 20, 22, 39, 18, 17, 53, 10, 12, 40, 29, 95, 0], // JSON's own signs
    [48, 64, 47, 21, 18, 30, 23, 53, 10, 12, 40, 29, 95, 0], // other signs
    [14, 20, 21, 49, 19, 9, 20, 53, 10, 12, 40, 29, 95, 0], // not ASCII
];

/// The column of a byte.
const fn column(byte: u8) -> usize {
    match byte {
        b'a'..=b'z' => 0,
        b'A'..=b'Z' => 1,
        b'0'..=b'9' => 2,
        b' ' => 3,
        0..=0x1f | 0x7f => 4,
        b'"' | b',' | b':' | b'{' | b'}' | b'[' | b']' | b'\\' => 5,
        0x21..=0x7e => 6,
        0xc0..=0xc9 => 7,
        0xca..=0xdf => 8,
        0xe0..=0xe2 => 9,
        0xe3..=0xe9 => 10,
        0xea..=0xef => 11,
        0xf0..=0xff => 12,
        0x80..=0xbf => 13,
    }
}

/// The row of each byte.
static CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let column = column(byte as u8);
        classes[byte] = if column < 7 { column as u8 } else { 7 };
        byte += 1;
    }
    classes
};

/// What each byte adds, by the row.
static COSTS: [[u8; 256]; 8] = {
    let mut costs = [[0; 256]; 8];
    let mut row = 0;
    while row < 8 {
        let mut byte = 0;
        while byte < 256 {
            costs[row][byte] = WEIGHTS[row][column(byte as u8)];
            byte += 1;
        }
        row += 1;
    }
    costs
};

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(text: &str) -> u64 {
        let mut estimator = Estimator::default();
        estimator.feed(text.as_bytes());
        estimator.tokens()
    }

    #[test]
    fn estimates_are_near_what_a_tokenizer_counts() {
        // Texts, and how many tokens of o200k they are.
        let samples: [(&str, u64); 8] = [
            (
                "The gateway checks each request and decides by its rules whether the tool may be called. If a limit is exceeded, the client learns how long it has to wait.",
                33,
            ),
            (
                r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"run_sql_query","arguments":{"query":"SELECT name, total FROM orders WHERE total > 100","limit":50}}}"#,
                47,
            ),
            (
                r#"[{"id":184467,"uuid":"3f2b8c1e-9d4a-4e7b-a1c6-5f0e2d3b4a59","createdAt":"2026-01-05T12:00:00Z","price":19.99,"active":true},{"id":184468,"uuid":"8a1d6f0b-2c3e-4b5a-9e7d-1f2a3b4c5d6e","createdAt":"2026-01-06T08:30:00Z","price":5.5,"active":false}]"#,
                142,
            ),
            (
                "fn main() {\n    let items: Vec<u32> = (0..10).filter(|n| n % 2 == 0).collect();\n    println!(\"{items:?}\");\n}\n",
                39,
            ),
            (
                "Das Gateway prüft jede Anfrage und entscheidet nach seinen Regeln, ob das Werkzeug aufgerufen werden darf.",
                20,
            ),
            (
                "网关在每个请求到达时检查令牌，然后根据规则决定是否允许调用该工具。如果超过速率限制，客户端会收到一个错误。",
                33,
            ),
            ("Шлюз проверяет каждый запрос и решает по правилам, разрешён ли вызов инструмента.", 22),
            ("12.5,1034.25,-3.75,880.125\n7.25,19.5,1000000,42\n", 31),
        ];
        let (mut all, mut estimated) = (0, 0);
        for (text, count) in samples {
            let estimate = tokens(text);
            assert!(estimate.abs_diff(count) * 100 <= count * 25, "{count}, not {estimate}: {text}");
            all += count;
            estimated += estimate;
        }
        assert!(all.abs_diff(estimated) * 100 <= all * 10, "{all}, not {estimated}");
    }

    #[test]
    fn it_makes_no_difference_where_a_text_is_cut() {
        let text = "{\"a\": [1, 234567, \"Grüße, 世界 🎉\"]}\n\tfn main() {}".as_bytes();
        let mut whole = Estimator::default();
        whole.feed(text);
        for cut in 0..=text.len() {
            let mut parts = Estimator::default();
            parts.feed(&text[..cut]);
            parts.feed(&text[cut..]);
            assert_eq!(parts, whole, "{cut}");
        }
        assert_eq!(tokens(""), 0);
    }

    #[test]
    fn every_byte_counts_for_little_and_none_does_harm() {
        let all: Vec<u8> = (0..=255).cycle().take(3 * PART + 17).collect();
        let mut estimator = Estimator::default();
        estimator.feed(&all);
        assert!(estimator.tokens() < 2 * all.len() as u64 && estimator.tokens() > 0);
    }
}
