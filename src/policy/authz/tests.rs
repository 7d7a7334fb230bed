#![allow(clippy::unwrap_used)]

use std::collections::HashMap;

use super::*;
use crate::policy::expr::{Expression, ParsedMessage};
use crate::policy::principal::sorted;

fn patterns(texts: &[&str]) -> Box<[Pattern]> {
    texts.iter().map(|text| Pattern::parse(text).unwrap()).collect()
}

fn texts(texts: &[&str]) -> Box<[Box<str>]> {
    sorted(texts.iter().map(|text| Box::from(*text)))
}

fn allow() -> Rule {
    Rule { effect: Effect::Allow, ..Rule::default() }
}

fn deny() -> Rule {
    Rule { effect: Effect::Deny, ..Rule::default() }
}

fn when(text: &str) -> Option<Expression> {
    Some(Expression::compile(text, VARIABLES).unwrap())
}

fn with_roles(roles: &[&str]) -> Principal {
    Principal::anonymous(texts(roles))
}

/// Asks one question after another.
struct Gate {
    rules: Rules,
    principal: Principal,
    body: &'static str,
    headers: HashMap<&'static str, &'static str>,
}

impl Gate {
    fn new(rules: Vec<Rule>, principal: Principal) -> Self {
        let rules = Rules::new(rules, vec!["one".into(), "two".into()]);
        Self { rules, principal, body: "{}", headers: HashMap::new() }
    }

    fn ask(&self, method: &str, target: Target<'_>) -> Decision {
        let arguments = self.body.find("\"arguments\":").map(|at| {
            let rest = &self.body[at + "\"arguments\":".len()..];
            rest.strip_suffix("}}").unwrap().as_bytes()
        });
        let facts = Facts {
            source: Some([10, 0, 0, 1].into()),
            now: 1_767_571_200,
            body: self.body.as_bytes(),
            arguments,
            header: &|name| match self.headers.get(name) {
                Some(&"(twice)") => Err(Repeated),
                line => Ok(line.map(|value| value.as_bytes())),
            },
            parsed: &ParsedMessage::default(),
        };
        let operation = Operation { server: 0, method, target };
        let grants = self.rules.grants(&self.principal);
        let first = self.rules.authorize(&grants, &self.principal, &operation, &facts);
        assert_eq!(
            self.rules.authorize(&grants, &self.principal, &operation, &facts),
            first,
            "the memo agrees"
        );
        first
    }

    fn tool(&self, name: &str) -> Decision {
        self.ask("tools/call", Target::Tool(name))
    }

    fn allows(&self, name: &str) -> bool {
        self.tool(name).verdict == Verdict::Allow
    }

    fn shows(&self, target: Target<'_>) -> bool {
        let grants = self.rules.grants(&self.principal);
        let operation = Operation { server: 0, method: "tools/list", target };
        self.rules.shows(&grants, &self.principal, &operation, Some([10, 0, 0, 1].into()), 0)
    }
}

#[test]
fn the_first_deny_decides_then_the_first_allow_then_the_default() {
    let rules = || {
        vec![
            Rule { tools: patterns(&["a*"]), ..allow() },
            Rule { tools: patterns(&["ab"]), ..allow() },
            Rule { tools: patterns(&["abc"]), ..deny() },
            Rule { tools: patterns(&["*c"]), ..deny() },
        ]
    };
    let gate = Gate::new(rules(), with_roles(&[]));
    for (name, verdict, rule) in [
        ("ab", Verdict::Allow, Some(0)),
        ("abc", Verdict::Deny, Some(2)),
        ("ac", Verdict::Deny, Some(3)),
        ("x", Verdict::Deny, None),
    ] {
        assert_eq!(gate.tool(name), Decision { verdict, rule, reported: None }, "{name}");
    }
    assert_eq!(Gate::new(Vec::new(), with_roles(&[])).tool("a").verdict, Verdict::Deny);
}

#[test]
fn two_agents_with_different_roles_cannot_call_across() {
    let rules = || {
        vec![
            Rule { roles: patterns(&["support"]), tools: patterns(&["ticket_*"]), ..allow() },
            Rule { roles: patterns(&["billing"]), tools: patterns(&["invoice_get"]), ..allow() },
        ]
    };
    let (support, billing) =
        (Gate::new(rules(), with_roles(&["support"])), Gate::new(rules(), with_roles(&["billing"])));
    assert!(support.allows("ticket_open") && !support.allows("invoice_get"));
    assert!(!billing.allows("ticket_open") && billing.allows("invoice_get"));
    assert!(!Gate::new(rules(), with_roles(&[])).allows("ticket_open"));
    // Names are compared as they are: neither case nor blanks nor look-alikes are the same name.
    for name in ["INVOICE_GET", "invoice_get ", "invoice_get\0", "invoice_gеt", ""] {
        assert!(!billing.allows(name), "{name:?}");
    }
}

#[test]
fn the_protocol_is_open_to_whoever_may_use_anything() {
    let rule =
        Rule { roles: patterns(&["dev"]), tools: patterns(&["x"]), arguments: argument("n", "1"), ..allow() };
    let gate = Gate::new(vec![rule], with_roles(&["dev"]));
    for method in [
        "initialize",
        "ping",
        "tools/list",
        "(stream)",
        "(delete)",
        "(response)",
        "notifications/initialized",
    ] {
        assert_eq!(gate.ask(method, Target::Protocol).verdict, Verdict::Allow, "{method}");
    }
    for method in ["x/y", "tools/call", "sampling/createMessage", "Ping"] {
        assert_eq!(gate.ask(method, Target::Protocol).verdict, Verdict::Deny, "{method}");
    }
    let stranger = Gate::new(vec![Rule { roles: patterns(&["dev"]), ..allow() }], with_roles(&["other"]));
    assert_eq!(stranger.ask("ping", Target::Protocol).verdict, Verdict::Deny);

    let denied = |rule| Gate::new(vec![allow(), rule], with_roles(&[])).ask("ping", Target::Protocol).verdict;
    assert_eq!(denied(Rule { tools: patterns(&["*"]), ..deny() }), Verdict::Allow);
    assert_eq!(denied(Rule { methods: patterns(&["tools/*"]), ..deny() }), Verdict::Allow);
    assert_eq!(denied(Rule { methods: patterns(&["ping"]), ..deny() }), Verdict::Deny);
    assert_eq!(denied(Rule { sources: [block([10, 0, 0, 0])].into(), ..deny() }), Verdict::Deny);
    assert_eq!(denied(Rule { sources: [block([11, 0, 0, 0])].into(), ..deny() }), Verdict::Allow);
}

fn block(first: [u8; 4]) -> Block {
    Block { first: first.into(), prefix_bits: 8 }
}

fn argument(path: &str, pattern: &str) -> Box<[(Path, Box<[Wanted]>)]> {
    let wanted = Wanted::Text(Pattern::parse(pattern).unwrap());
    [(Path::parse(path).unwrap(), [wanted].into())].into()
}

#[test]
fn missing_scopes_are_named_only_where_they_would_help() {
    let scoped = || Rule { scopes: texts(&["read", "write"]), tools: patterns(&["x"]), ..allow() };
    let needs = Verdict::NeedsScope("read write".into());
    assert_eq!(Gate::new(vec![scoped()], with_roles(&[])).tool("x").verdict, needs);
    assert_eq!(Gate::new(vec![scoped()], with_roles(&[])).tool("y").verdict, Verdict::Deny);
    let holder = Principal { scopes: texts(&["read", "write"]), ..with_roles(&[]) };
    assert_eq!(Gate::new(vec![scoped()], holder).tool("x").verdict, Verdict::Allow);
    let denied = vec![scoped(), Rule { tools: patterns(&["x"]), ..deny() }];
    assert_eq!(Gate::new(denied, with_roles(&[])).tool("x").verdict, Verdict::Deny);
    let of_other_role = Rule { roles: patterns(&["admin"]), ..scoped() };
    assert_eq!(Gate::new(vec![of_other_role], with_roles(&[])).tool("x").verdict, Verdict::Deny);
    let mut gate = Gate::new(vec![scoped()], with_roles(&[]));
    assert!(!gate.shows(Target::Tool("x")));
    assert_eq!(gate.ask("tools/list", Target::Protocol).verdict, needs);
    gate.rules = gate.rules.showing_what_lacks_a_scope(true);
    assert!(gate.shows(Target::Tool("x")) && !gate.shows(Target::Tool("y")));
    assert_eq!(gate.ask("tools/list", Target::Protocol).verdict, Verdict::Allow);
    assert_eq!((gate.tool("x").verdict, gate.tool("y").verdict), (needs, Verdict::Deny));

    let gate = Gate::new(
        vec![scoped(), Rule { scopes: texts(&["offline_access", "admin"]), servers: [1].into(), ..allow() }],
        with_roles(&[]),
    );
    assert_eq!(gate.rules.scopes_of(0), ["read", "write"]);
    assert_eq!(gate.rules.scopes_of(1), ["admin", "read", "write"]);
}

#[test]
fn a_report_changes_nothing_and_is_named_where_it_would() {
    let report = |rule: Rule| Rule { report: true, ..rule };
    let decide = |rules: Vec<Rule>| {
        let decision = Gate::new(rules, with_roles(&[])).tool("x");
        (decision.verdict, decision.rule, decision.reported)
    };
    assert_eq!(decide(vec![report(deny()), allow()]), (Verdict::Allow, Some(1), Some(0)));
    assert_eq!(decide(vec![report(allow()), deny()]), (Verdict::Deny, Some(1), None));
    assert_eq!(decide(vec![report(allow())]), (Verdict::Deny, None, Some(0)));
    assert_eq!(decide(vec![report(allow()), allow()]), (Verdict::Allow, Some(1), None));
    assert_eq!(decide(vec![report(deny())]), (Verdict::Deny, None, None));
}

#[test]
fn what_cannot_be_told_falls_to_the_safe_side() {
    let call = |body: &'static str, rule: Rule| {
        let gate = Gate {
            body,
            ..Gate::new(vec![Rule { tools: patterns(&["free"]), ..allow() }, rule], with_roles(&[]))
        };
        (gate.tool("x").verdict, gate.tool("free").verdict)
    };
    let twice = r#"{"params":{"arguments":{"path":"/data/a","path":"/etc/passwd"}}}"#;
    let home = |rule| Rule { arguments: argument("path", "/data/*"), ..rule };
    let etc = |rule| Rule { arguments: argument("path", "/etc/*"), ..rule };
    assert_eq!(call(twice, home(allow())).0, Verdict::Deny);
    assert_eq!(call(twice, etc(deny())).1, Verdict::Deny);
    let list = r#"{"params":{"arguments":{"path":["/data/a","/etc/passwd"]}}}"#;
    assert_eq!(call(list, home(allow())).0, Verdict::Deny);
    assert_eq!(call(list, etc(deny())).1, Verdict::Deny);
    let good = r#"{"params":{"arguments":{"path":"/data/a"}}}"#;
    assert_eq!(call(good, home(allow())).0, Verdict::Allow);
    assert_eq!(call(good, etc(deny())).1, Verdict::Allow);

    for open in [
        r#"{"params":{"arguments":{"path":"/data/a","Path":"/etc/passwd"}}}"#,
        r#"{"params":{"arguments":{"PATH":"/etc/passwd"}}}"#,
        r#"{"params":{"arguments":{"path":"/data/../etc/passwd"}}}"#,
        r#"{"params":{"arguments":{"path":"/etc/./passwd"}}}"#,
        r#"{"params":{"arguments":{"path":["/data/a","/data/%2e%2e/etc/passwd"]}}}"#,
    ] {
        assert_eq!(call(open, home(allow())).0, Verdict::Deny, "{open}");
        assert_eq!(call(open, etc(deny())).1, Verdict::Deny, "{open}");
    }
    let other = || [&argument("path", "/etc/*")[..], &argument("n", "1")[..]].concat().into();
    let rule = Rule { arguments: other(), ..deny() };
    let elsewhere = r#"{"params":{"arguments":{"Path":"/etc/a","n":"2"}}}"#;
    assert_eq!(call(elsewhere, rule).1, Verdict::Allow, "another argument is certainly not met");

    for failing in ["body.params.missing == 1", "arguments.path > 1", "arguments.path"] {
        assert_eq!(call(good, Rule { when: when(failing), ..allow() }).0, Verdict::Deny, "{failing}");
        assert_eq!(call(good, Rule { when: when(failing), ..deny() }).1, Verdict::Deny, "{failing}");
    }
}

#[test]
fn expressions_see_the_request_and_no_credential() {
    let mut gate = Gate::new(
        vec![Rule {
            when: when(
                "body.params.name == 'x' && 'x-team' in headers && headers['x-team'] == server && source == '10.0.0.1'",
            ),
            ..allow()
        }],
        with_roles(&[]),
    );
    gate.body = r#"{"params":{"name":"x"}}"#;
    assert!(!gate.allows("x"));
    gate.headers.insert("x-team", "one");
    assert!(gate.allows("x"));
    gate.headers.insert("x-team", "(twice)");
    assert!(!gate.allows("x"));
    let denying = Rule { when: when("'x-team' in headers && headers['x-team'] == 'two'"), ..deny() };
    let headers = HashMap::from([("x-team", "(twice)")]);
    let denied = Gate { headers, ..Gate::new(vec![allow(), denying], with_roles(&[])) };
    assert!(!denied.allows("x"), "readers disagree about which of two lines counts");
    assert!(Expression::compile("headers['authorization'] == ''", VARIABLES).is_err());
}

#[test]
fn lists_show_what_some_call_could_use() {
    let rules = vec![
        Rule { tools: patterns(&["by_argument"]), arguments: argument("n", "1"), ..allow() },
        Rule { tools: patterns(&["by_body"]), when: when("body.params.name == 'never'"), ..allow() },
        Rule { tools: patterns(&["by_role"]), when: when("'admin' in roles"), ..allow() },
        Rule { tools: patterns(&["open", "shut"]), resources: patterns(&["db://public/*"]), ..allow() },
        Rule { tools: patterns(&["shut"]), ..deny() },
        Rule { tools: patterns(&["open"]), arguments: argument("n", "1"), ..deny() },
        Rule { resources: patterns(&["db://public/secret"]), ..deny() },
    ];
    let gate = Gate::new(rules, with_roles(&[]));
    for (name, expected) in [
        ("by_argument", true),
        ("by_body", true),
        ("by_role", false),
        ("open", true),
        ("shut", false),
        ("x", false),
    ] {
        assert_eq!(gate.shows(Target::Tool(name)), expected, "{name}");
    }
    for (uri, expected) in [
        ("db://public/a", true),
        ("db://public/secret", false),
        ("db://{table}/{id}", true),
        ("db://private/{id}", false),
        ("file:///{path}", false),
    ] {
        assert_eq!(gate.shows(Target::Resource(uri)), expected, "{uri}");
    }
}

#[test]
fn a_rule_of_one_server_counts_for_no_other() {
    let gate = Gate::new(vec![Rule { servers: [1].into(), ..allow() }], with_roles(&[]));
    assert!(!gate.allows("x"));
    assert_eq!(gate.ask("ping", Target::Protocol).verdict, Verdict::Deny);
    let gate = Gate::new(vec![Rule { servers: [0].into(), ..allow() }], with_roles(&[]));
    assert!(gate.allows("x"));
}

#[test]
fn a_principal_meets_few_of_many_rules() {
    let agent = |at: u32| format!("agent-{at}");
    let rules = (0..5_000).map(|at| Rule {
        agents: patterns(&[&agent(at)]),
        tools: patterns(&[&format!("tool-{at}")]),
        ..allow()
    });
    let rules = Rules::new(rules.collect(), vec!["one".into()]);
    let principal = Principal { agent: Some("agent-77".into()), ..with_roles(&[]) };
    let grants = rules.grants(&principal);
    assert_eq!((grants.exact.len(), grants.open.len()), (1, 0));
    assert!(rules.common.is_empty());
}

#[test]
fn rules_are_shared_by_workers_and_told_apart() {
    fn shared<T: Send + Sync>() {}
    shared::<Rules>();
    let rules =
        |tool: &str| Rules::new(vec![Rule { tools: patterns(&[tool]), ..allow() }], vec!["one".into()]);
    assert_eq!(rules("a"), rules("a"));
    assert_ne!(rules("a"), rules("b"));
}

#[test]
fn a_uri_in_another_spelling_is_nobodys() {
    let rules = || {
        vec![
            Rule { resources: patterns(&["file:///public/*", "file:///private/*"]), ..allow() },
            Rule { resources: patterns(&["file:///private/*"]), ..deny() },
            Rule { tools: patterns(&["x"]), ..allow() },
        ]
    };
    let gate = Gate::new(rules(), with_roles(&[]));
    let verdict = |method, uri| gate.ask(method, Target::Resource(uri)).verdict;
    assert_eq!(verdict("resources/read", "file:///public/a"), Verdict::Allow);
    for uri in [
        "file:///public/../private/a",
        "file:///public/%2e%2e/private/a",
        "FILE:///private/a",
        "file://localhost/private/a",
        "file:/private/a",
        "file:///./private/a",
        " file:///private/a",
        "fi\tle:///private/a",
    ] {
        for method in
            ["resources/read", "resources/subscribe", "resources/unsubscribe", "completion/complete"]
        {
            assert_eq!(verdict(method, uri), Verdict::Deny, "{method} {uri:?}");
        }
        assert!(!gate.shows(Target::Resource(uri)), "{uri:?}");
        let facts = Facts {
            source: None,
            now: 0,
            body: b"{}",
            arguments: None,
            header: &|_| Ok(None),
            parsed: &ParsedMessage::default(),
        };
        let operation = Operation { server: 0, method: "resources/read", target: Target::Resource(uri) };
        let why = gate.rules.why_not(0, &gate.principal, &operation, &facts).unwrap().to_string();
        assert!(why.starts_with("says nothing of a URI that is not canonical: "), "{why}");
    }
    assert_eq!(verdict("completion/complete", "file:///public/{name}"), Verdict::Allow);
    assert_eq!(verdict("resources/read", "file:///public/{name}"), Verdict::Deny);
    assert!(gate.shows(Target::Resource("file:///public/{userName}")));

    // Where no rule tells resources apart, how they are named is no matter.
    let free = Gate::new(vec![Rule { tools: patterns(&["x"]), ..deny() }, allow()], with_roles(&[]));
    assert_eq!(free.ask("resources/read", Target::Resource("Any Thing")).verdict, Verdict::Allow);
    assert!(free.shows(Target::Resource("C:\\x")));
}

#[test]
fn an_issuer_vouches_only_where_a_rule_lets_it() {
    let of = |issuer: &str| Principal { agent: Some("bot".into()), issuer: issuer.into(), ..with_roles(&[]) };
    let allows = |effect: Rule, issuer: &str| {
        let rule = Rule { agents: patterns(&["bot"]), issuers: texts(&["https://a", "api_key"]), ..effect };
        let all = Rule { tools: patterns(&["free"]), ..allow() };
        let gate = Gate::new(vec![all, rule], of(issuer));
        (gate.allows("x"), gate.allows("free"))
    };
    for (issuer, is_met) in
        [("https://a", true), ("api_key", true), ("https://b", false), ("https://a/", false)]
    {
        assert_eq!(allows(allow(), issuer), (is_met, true), "{issuer}");
        assert_eq!(allows(deny(), issuer), (false, !is_met), "{issuer}");
    }
    let rules = vec![Rule { issuers: texts(&["https://a"]), ..allow() }];
    let gate = Gate::new(rules, of("https://b"));
    let facts = Facts {
        source: None,
        now: 0,
        body: b"{}",
        arguments: None,
        header: &|_| Ok(None),
        parsed: &ParsedMessage::default(),
    };
    let operation = Operation { server: 0, method: "tools/call", target: Target::Tool("x") };
    let why = gate.rules.why_not(0, &gate.principal, &operation, &facts).unwrap().to_string();
    assert_eq!(why, "the issuer is none of `https://a`");
}
