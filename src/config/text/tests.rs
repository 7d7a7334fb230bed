//! Words of configurations, as their types read them.

#![allow(clippy::unwrap_used)]
use super::*;

#[test]
fn workers_are_a_count_or_a_list() {
    let cpus = |cpus: &[u16]| Workers::Cpus(cpus.into());
    for (text, expected) in [
        ("auto", Workers::Auto),
        ("4", Workers::Count(NonZeroU16::new(4).unwrap())),
        ("3-3", cpus(&[3])),
        ("6,0-2", cpus(&[0, 1, 2, 6])),
    ] {
        assert_eq!(workers(text), Ok(expected), "{text}");
    }
    for text in
        ["", "0", "1025", "all", "3-1", "1,1", "0-3,2", "1,", "-", "0-99999", "0-8000", "1-2-3", "8192-8192"]
    {
        assert!(workers(text).is_err(), "{text}");
    }
}

#[test]
fn paths_have_one_spelling() {
    for good in ["/", "/mcp", "/a/b.c/", "/messages/", "/a~b"] {
        assert_eq!(url_path(good), Ok(good.to_owned()));
    }
    for bad in ["", "mcp", "//", "/a//b", "/a/../b", "/.", "/a?b", "/a%2fb", "/a b", "/ä", "/a//"] {
        assert!(url_path(bad).is_err(), "{bad}");
    }
    assert!(server_path("/a/~/b").is_err());
    assert!(server_path("/.well-known/mcp").is_err());
    assert!(url_path(&format!("/{}", "a".repeat(PATH_BYTES_MAX))).is_err());
}

#[test]
fn names_are_tokens() {
    for good in ["a", "github", "my-server_2.x", "0"] {
        assert!(server_name(good).is_ok(), "{good}");
    }
    for bad in ["", ".", "..", "-a", "a-", "A", "a b", "a/b", &"a".repeat(65)] {
        assert!(server_name(bad).is_err(), "{bad}");
    }
}

#[test]
fn addresses_are_whole_and_hints_are_apt() {
    assert_eq!(listen_address("localhost:80"), Ok(ListenAddress::Tcp(([127, 0, 0, 1], 80).into())));
    assert!(matches!(listen_address("[::]:8080"), Ok(ListenAddress::Tcp(_))));
    assert!(matches!(listen_address("unix:/run/a.sock"), Ok(ListenAddress::Unix { mode: None, .. })));
    for (text, hint) in [
        (":8080", "`0.0.0.0:8080` is every"),
        ("*:8080", "`0.0.0.0:8080` is every"),
        ("http://0.0.0.0:1", "no scheme"),
        ("127.0.0.1", "port is missing"),
        ("unix:relative", "absolute path"),
        ("unix:/a:b", "colon"),
        ("example.com:80", "not an address"),
    ] {
        let problem = listen_address(text).unwrap_err();
        assert!(format!("{} {}", problem.what, problem.fix).contains(hint), "{text}: {problem:?}");
    }
    assert!(listen_address(&format!("unix:/{}", "a".repeat(107))).is_err());
    assert_eq!(admin_address("off"), Ok(None));
}

#[test]
fn networks_and_modes_are_checked() {
    let network_of = |text| network(text).unwrap();
    assert!(network_of("10.0.0.0/8").contains([10, 1, 2, 3].into()));
    assert!(!network_of("10.0.0.0/8").contains([11, 0, 0, 0].into()));
    assert!(network_of("0.0.0.0/0").contains([1, 2, 3, 4].into()));
    assert!(network_of("::1").contains("::1".parse().unwrap()));
    assert!(network_of("10.0.0.0/8").contains("::ffff:10.0.0.1".parse().unwrap()));
    assert!(!network_of("::/0").contains([1, 2, 3, 4].into()));
    for bad in ["10.0.0.1/8", "10.0.0.0/33", "10.0.0.0/", "x", "10.0.0.0/-1", "::/129"] {
        assert!(network(bad).is_err(), "{bad}");
    }
    assert_eq!(mode("0660"), Ok(0o660));
    for bad in ["660", "0999", "01777", "0o66", "+066"] {
        assert!(mode(bad).is_err(), "{bad}");
    }
}

#[test]
fn header_values_are_text_or_references() {
    let from = |text| match header_value(text) {
        Ok(HeaderValue::From { prefix, reference }) => (prefix, reference),
        other => panic!("{other:?}"),
    };
    assert_eq!(from("env:TOKEN"), (String::new(), Reference::Env("TOKEN".to_owned())));
    assert_eq!(from("Bearer env:TOKEN"), ("Bearer ".to_owned(), Reference::Env("TOKEN".to_owned())));
    assert_eq!(from("file:/t"), (String::new(), Reference::File("/t".into())));
    assert!(matches!(header_value("Bearer abc"), Ok(HeaderValue::Literal(_))));
    for bad in ["", " a", "a\r\nb: c", "env:", "env:A-B", "file:", "ä", "a\0"] {
        assert!(header_value(bad).is_err(), "{bad:?}");
    }
    assert!(!format!("{:?}", header_value("Bearer abc")).contains("abc"));
    for (shell, name) in
        [("Bearer ${tok}", "tok"), ("Bearer $TOK", "TOK"), ("$TOK", "TOK"), ("${T_1}", "T_1")]
    {
        let problem = header_value(shell).err();
        let fix = problem.map(|problem| problem.fix).unwrap_or_default();
        assert!(fix.contains(&format!("Bearer env:{name}`")), "{shell} {fix}");
    }
    assert!(reference("$TOK").is_err() && reference("${TOK}").is_err());
    // What may well be a value itself.
    for value in ["$", "$5", "$ecret", "a$TOK", "${}", "${a b}"] {
        assert!(header_value(value).is_ok(), "{value}");
    }
    assert!(reference("-----BEGIN PRIVATE KEY-----").is_err());
}
