//! No text may make the checker panic.

use proptest::prelude::*;

use super::checked;

/// Text that looks enough like a configuration to get past the first check.
fn nearly_yaml() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        "servers",
        "name",
        "url",
        "http://a",
        "listeners",
        "address",
        "limits",
        "tls",
        "headers",
        "env:X",
        "5s",
        "4KiB",
        "*",
        "&a",
        "!t",
        "?",
        "-",
        "- ",
        ": ",
        ":",
        "\n",
        "\n  ",
        "\n    ",
        "[",
        "]",
        "{",
        "}",
        ",",
        "\"",
        "'",
        "|",
        ">",
        "#",
        "---",
        "...",
        "%",
        "~",
        "\t",
        "\u{feff}",
        "\u{0}",
        "ä",
        "\\",
        "<<",
        "@",
        "unix:/a",
        "off",
        "0",
    ]);
    prop::collection::vec(word, 0..40).prop_map(|words| words.concat())
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in any::<String>()) {
        let _ = checked(&text);
    }

    #[test]
    fn no_nearly_right_text_makes_it_panic(text in nearly_yaml()) {
        let _ = checked(&text);
    }

    #[test]
    fn no_value_makes_it_panic(value in "[ -~\n]{0,40}", option in 0usize..OPTIONS.len()) {
        let _ = checked(&OPTIONS[option].replace('@', &value));
        let quoted = serde_json::to_string(&value).unwrap();
        let _ = checked(&OPTIONS[option].replace('@', &quoted));
    }
}

const OPTIONS: [&str; 9] = [
    "servers: [{name: a, url: @}]",
    "servers: [{name: @, url: 'http://a'}]",
    "servers: [{name: a, url: 'http://a', path: @}]",
    "servers: [{name: a, url: 'http://a', headers: {a: @}}]",
    "listeners: [{address: @}]",
    "listeners: [{address: 'unix:/a', proxy_protocol: v1, trusted_sources: [@]}]",
    "origins: [@]\npublic_url: @\nhosts: [@]",
    "workers: @",
    "limits: {body_bytes_max: @}\ntimeouts: {call: @}",
];
