//! `Mcp-Param-*`: arguments of a tool call that its client repeats in headers, for whoever routes by them (MCP
//! 2026-07-28, Streamable HTTP). Rules judge the body, so a header must not say otherwise.
//!
//! Which argument a header repeats stands in the tool's schema, which is not known here. Names are nearly always the
//! argument's own in another spelling, so those are compared; a header that no argument is called like goes on as it is,
//! as the revision wants it.

use serde_json::Value as Json;

use crate::policy::expr::parse_json;
use crate::wire::http1::{HeaderId, RequestHead};
use crate::wire::mcp::mirrors_text;

const PREFIX: usize = "mcp-param-".len();

/// Whether no such header of `head` disagrees with `arguments`, the JSON of the call's arguments.
pub fn agree(head: &RequestHead<'_>, arguments: Option<&[u8]>) -> bool {
    let fields: Vec<_> = head.fields.all(HeaderId::McpParam).collect();
    let twice = |at: usize| fields[..at].iter().any(|one| one.name.eq_ignore_ascii_case(fields[at].name));
    if (0..fields.len()).any(twice) {
        return false;
    }
    let arguments = match arguments.map(parse_json) {
        Some(Some(arguments)) => arguments,
        // What can be read in two ways agrees with nothing.
        Some(None) => return false,
        None => return true,
    };
    fields.iter().all(|field| {
        let name = plain(field.name.get(PREFIX..).unwrap_or_default());
        match find(&arguments, &name) {
            Found::Nothing => true,
            Found::Values(values) => values.iter().any(|value| repeats(field.value, value)),
        }
    })
}

enum Found<'j> {
    Nothing,
    /// What the header may repeat.
    Values(Vec<&'j Json>),
}

/// The arguments called `name`: those that stand first of all, or else those within others.
fn find<'j>(arguments: &'j Json, name: &str) -> Found<'j> {
    let Json::Object(map) = arguments else { return Found::Nothing };
    let top: Vec<_> = named(map, name).collect();
    let mut values = top;
    if values.is_empty() {
        map.values().for_each(|value| collect(value, name, &mut values));
    }
    if values.is_empty() { Found::Nothing } else { Found::Values(values) }
}

/// Only what `properties` lead to can be repeated, so lists are not looked into.
fn collect<'j>(value: &'j Json, name: &str, values: &mut Vec<&'j Json>) {
    if let Json::Object(map) = value {
        values.extend(named(map, name));
        map.values().for_each(|value| collect(value, name, values));
    }
}

fn named<'j>(map: &'j serde_json::Map<String, Json>, name: &str) -> impl Iterator<Item = &'j Json> {
    map.iter().filter(move |(key, _)| plain(key.as_bytes()) == name).map(|(_, value)| value)
}

/// A name without what spellings differ in: `TenantId`, `tenant-id` and `tenant_id` are one.
fn plain(name: &[u8]) -> String {
    let kept = name.iter().filter(|byte| !matches!(byte, b'-' | b'_' | b'.' | b' '));
    String::from_utf8_lossy(&kept.map(u8::to_ascii_lowercase).collect::<Vec<_>>()).into_owned()
}

fn repeats(header: &[u8], value: &Json) -> bool {
    match value {
        Json::String(text) => mirrors_text(header, text),
        Json::Bool(flag) => header == flag.to_string().as_bytes(),
        Json::Number(number) => {
            let said = std::str::from_utf8(header).ok().and_then(|text| text.parse::<f64>().ok());
            header == number.to_string().as_bytes()
                || said.is_some_and(|said| number.is_f64() && number.as_f64() == Some(said))
        }
        Json::Null | Json::Array(_) | Json::Object(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::http1::{HeadLimits, HeadScan, Parsed, parse_request_head};

    fn agrees(headers: &[&str], arguments: &str) -> bool {
        let lines: String = headers.iter().map(|line| format!("Mcp-Param-{line}\r\n")).collect();
        let head = format!("POST / HTTP/1.1\r\nhost: a\r\n{lines}\r\n");
        let parsed = parse_request_head(head.as_bytes(), &HeadLimits::default(), &mut HeadScan::new());
        let Ok(Parsed::Complete(head)) = parsed else { panic!("{head}") };
        agree(&head, (!arguments.is_empty()).then_some(arguments.as_bytes()))
    }

    #[test]
    fn a_header_that_is_called_like_an_argument_says_what_that_says() {
        for (headers, arguments, expected) in [
            (&["Region: eu"][..], r#"{"region":"eu"}"#, true),
            (&["Region: eu"], r#"{"region":"us"}"#, false),
            (&["region: =?base64?w6k=?="], r#"{"Region":"é"}"#, true),
            (&["Tenant-Id: 7"], r#"{"tenant_id":7}"#, true),
            (&["TenantId: 8"], r#"{"tenant_id":7}"#, false),
            (&["Dry: true"], r#"{"dry":true}"#, true),
            (&["Dry: True"], r#"{"dry":true}"#, false),
            (&["Dry: true"], r#"{"dry":null}"#, false),
            (&["Region: eu"], r#"{"where":{"region":"eu"}}"#, true),
            (&["Region: eu"], r#"{"where":{"region":"us"}}"#, false),
            // One that stands within another does not stand in for it.
            (&["Region: eu"], r#"{"region":"us","where":{"region":"eu"}}"#, false),
            (&["Region: eu"], r#"{"region":["eu"]}"#, false),
            (&["Region: eu"], r#"{"list":[{"region":"us"}]}"#, true),
            (&["Region: eu", "Dry: false"], r#"{"region":"eu","dry":true}"#, false),
            // Twice, or in two ways.
            (&["Region: eu", "REGION: eu"], r#"{"region":"eu"}"#, false),
            (&["Region: eu"], r#"{"region":"us","region":"eu"}"#, false),
            // Nothing is called so.
            (&["Unknown: x"], r#"{"region":"us"}"#, true),
            (&["Unknown: x"], "", true),
            (&["Unknown: x"], "[]", true),
        ] {
            assert_eq!(agrees(headers, arguments), expected, "{headers:?} {arguments}");
        }
    }
}
