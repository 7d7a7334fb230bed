//! What a browser says of its own accord of how a page came to send a request (Fetch Metadata). Programs do not send
//! these fields, or say that they fetch.

use crate::wire::http1::{HeaderId, HeaderSet, RequestHead};

const FETCH_METADATA: HeaderSet = HeaderSet::of(&[HeaderId::SecFetchMode, HeaderId::SecFetchSite]);

/// Why a browser's request is refused, if it is: nobody goes to an MCP endpoint as to a page, and a page of another site
/// that calls by right names its `Origin`, which is judged.
#[inline]
pub fn refusal(head: &RequestHead<'_>) -> Option<&'static str> {
    if head.fields.present().common(FETCH_METADATA).is_empty() {
        return None;
    }
    let says = |id, value: &[u8]| head.fields.all(id).any(|field| field.value.eq_ignore_ascii_case(value));
    if says(HeaderId::SecFetchMode, b"navigate") {
        return Some("this is an endpoint for MCP clients, and no page to open in a browser");
    }
    (says(HeaderId::SecFetchSite, b"cross-site") && head.get(HeaderId::Origin).is_none())
        .then_some("a page of another site may call the gateway only by a request that names its Origin")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::http1::{HeadLimits, HeadScan, Parsed, parse_request_head};

    #[test]
    fn a_page_is_not_opened_here_and_another_site_says_who_it_is() {
        for (fields, refused) in [
            ("", false),
            ("sec-fetch-mode: cors\r\n", false),
            ("Sec-Fetch-Mode: cors\r\nSec-Fetch-Site: cross-site\r\nOrigin: https://a.test\r\n", false),
            ("Sec-Fetch-Mode: cors\r\nSec-Fetch-Site: same-origin\r\n", false),
            ("Sec-Fetch-Site: same-site\r\n", false),
            ("Sec-Fetch-Mode: no-cors\r\nSec-Fetch-Site: cross-site\r\n", true),
            ("Sec-Fetch-Site: same-origin\r\nSec-Fetch-Site: Cross-Site\r\n", true),
            ("Sec-Fetch-Mode: navigate\r\nSec-Fetch-Site: none\r\n", true),
            ("Sec-Fetch-Mode: Navigate\r\nOrigin: https://a.test\r\n", true),
        ] {
            let head = format!("GET / HTTP/1.1\r\nhost: a\r\n{fields}\r\n");
            let parsed = parse_request_head(head.as_bytes(), &HeadLimits::default(), &mut HeadScan::new());
            let Ok(Parsed::Complete(head)) = parsed else { panic!("{fields}") };
            assert_eq!(refusal(&head).is_some(), refused, "{fields}");
        }
    }
}
