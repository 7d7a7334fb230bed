#![allow(clippy::unwrap_used)]
use proptest::prelude::*;

use super::*;

#[test]
fn one_spelling_of_each_uri_is_canonical() {
    for good in [
        "file:///public/a",
        "file:///",
        "file:///a/.hidden/..b/c..",
        "file:///a/%20b/%C3%A4",
        "db://users/7?q=a.b#f",
        "db://table/a%2Fb",
        "config://",
        "users://7/profile",
        "config://app",
        "urn:isbn:1",
        "git+ssh://user@host/x",
        "https://example.com/a/b?c=../d",
        "https://example.com:8443/",
        "https://127.0.0.1/x",
        "https://[::1]:80/x",
        "proxy://fetch/https://example.com//x",
    ] {
        assert_eq!(fault(good), None, "{good}");
    }
    for bad in [
        "",
        "a",
        "/private/a",
        ":x",
        "1a:x",
        "FILE:///private/a",
        "fIle:///private/a",
        "file://localhost/private/a",
        "file://host/private/a",
        "file:/private/a",
        "file:private/a",
        "file://",
        "file:////private/a",
        "file:///a//b",
        "file:///./private/a",
        "file:///public/../private/a",
        "file:///public/..",
        "file:///public/%2e%2e/private/a",
        "file:///public/%2E./private/a",
        "file:///public/..%2Fprivate",
        "file:///public%2Fa",
        "file:///public%5Ca",
        "file:///private/a?",
        "file:///private/a#x",
        "file:///private/a%00",
        "file:///%70rivate/a",
        "file:///priv%61te/a",
        "file:///a%c3%a4",
        "file:///a%",
        "file:///a%2",
        "file:///a%zz",
        " file:///private/a",
        "file:///private/a ",
        "fi\tle:///private/a",
        "file:///private/a\n",
        "file:\\\\\\private\\a",
        "file:///public\\..\\private",
        "file:///C|/x",
        "file:///ä",
        "file:///\u{ff0e}\u{ff0e}/x",
        "file:///{x}",
        "db://Users/7",
        "db://a@Users/7",
        "db://a/..%5Cb",
        "db://a/b?../c",
        "db://a/b#x/..",
        "db:..",
        "http://x",
        "http:x/y",
        "http:/x/y",
        "http:///x/y",
        "http://user@x/y",
        "http://x:80/",
        "https://x:443/",
        "https://x:/",
        "https://x:08/",
        "https://x:a/",
        "https://x./",
        "https://%78/",
        "https://127.1/",
        "https://0x7f.0.0.1/",
        "https://[0:0::1]/",
        "https://[::1/",
        "https://x/#a",
    ] {
        assert!(fault(bad).is_some(), "{bad:?}");
    }
}

#[test]
fn expressions_of_templates_may_be_anything_and_nothing_else() {
    for good in [
        "file:///public/{name}",
        "file://{path}",
        "file:///{+path}",
        "users://{userId}/profile{?a,b*}",
        "db://t/{id:3}",
        "file:///a",
    ] {
        assert_eq!(template_fault(good), None, "{good}");
    }
    for bad in [
        "file:///public/../private/{name}",
        "file:///public/{/../}/a",
        "file:///{a b}",
        "file:///{%2e}",
        "file:///{a",
        "file:///a}",
        "FILE:///{a}",
        "file://localhost/{a}",
        "file:///{a}?x",
    ] {
        assert!(template_fault(bad).is_some(), "{bad:?}");
    }
}

#[test]
fn a_pattern_is_faulty_if_no_canonical_uri_matches_it() {
    let fault = |text: &str| pattern_fault(&Pattern::parse(text).unwrap());
    for good in [
        "*",
        "**",
        "*.txt",
        "*/Public/*",
        "*://*",
        "file:*",
        "file:///public/*",
        "file:///a/..*",
        "http*",
        "file*",
        "https://*.example.com/*",
        "https://*:8443/*",
        "https://x/*/y",
        "db://users/7",
        "file:///public/{name}",
        "users://{userId}",
    ] {
        assert_eq!(fault(good), None, "{good}");
    }
    for bad in [
        "private",
        "FILE:///private/*",
        "file://localhost/*",
        "file:/private/*",
        "file:///private//*",
        "file:///public/../*",
        "*/../*",
        "* *",
        "db://Users/*",
        "file:///%7Euser/*",
        "file:///a%2f*",
        "https://x:443/*",
        "file:///ä/*",
    ] {
        assert!(fault(bad).is_some(), "{bad}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_panics(text in "\\PC{0,24}") {
        fault(&text);
        template_fault(&text);
    }

    /// What is canonical stays what it is when it is resolved as RFC 3986 section 5.2.4 says.
    #[test]
    fn nothing_canonical_has_a_segment_to_resolve(text in "file:///([ab.%/\\\\]|%2e|%2E|%2F){0,8}") {
        if fault(&text).is_none() {
            let plain = text.replace("%2E", ".").replace("%2e", ".").replace("%2F", "/").replace('\\', "/");
            prop_assert!(plain.split('/').skip(3).all(|segment| segment != "." && segment != ".."), "{}", text);
        }
    }
}
