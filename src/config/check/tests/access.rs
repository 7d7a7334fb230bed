//! `access` and `tests`.

use super::{findings, good};
use crate::config::check::run_in;
use crate::policy::authz::{Effect, RULES_MAX};
use crate::schema::world::fake::Fake;

/// Without it, what a rule says of callers is a mistake.
const AUTHENTICATION: &str =
    "authentication: {issuers: [{issuer: 'https://idp.example', audiences: [api]}]}\n";

/// A file with one server `a`, these lines, and authentication.
fn with(lines: &str) -> String {
    super::with(lines) + if lines.contains("authentication:") { "" } else { AUTHENTICATION }
}

/// A file with one server `a`, and a rule of these lines.
fn rule(options: &str) -> String {
    with(&format!("access:\n  rules:\n  - {{effect: allow, {options}}}\n"))
}

#[test]
fn each_mistake_in_a_rule_is_found_where_it_stands() {
    for (options, part) in [
        (
            "servers: [b]",
            "f:6:31: access.rules[0].servers[0]: `b` is not the name of a server (write the name",
        ),
        ("tools: []", "access.rules[0].tools: has 0 elements"),
        ("tools: ['']", "access.rules[0].tools[0]: cannot be a name or pattern"),
        ("tools: ['a\\b']", "`a\\\\b` has a lone backslash (write `\\*` for an asterisk"),
        (
            "resources: ['file:///a/*', 'FILE:///b']",
            "access.rules[0].resources[1]: `FILE:///b` matches no URI in its canonical spelling: its scheme is not in lower case",
        ),
        (
            "resources: ['file:///a/../*']",
            "resources[0]: `file:///a/../*` matches no URI in its canonical spelling",
        ),
        ("methods: ['*/call']", "methods[0]: `*/call` has a `*` that is not at its end"),
        ("proofs: [password]", "proofs[0]: `password` is not known (write `jwt`, `api_key`"),
        ("sources: [10.0.0.1/8]", "sources[0]: `10.0.0.1/8` has bits set behind its prefix"),
        ("scopes: ['a b']", "scopes[0]: `a b` cannot be a scope"),
        ("claims: [a]", "claims: is not a map"),
        (
            "claims: {a..b: 1}",
            "f:6:30: access.rules[0].claims.a..b: has an empty step (write `a.b`, or a JSON pointer",
        ),
        ("claims: {a: []}", "claims.a: has 0 elements"),
        ("claims: {a: [.inf]}", "claims.a[0]: `.inf` is no number that JSON has"),
        ("arguments: {/~2: 1}", "has a `~` that is not `~0` or `~1`"),
        ("arguments: {a: ['b', 'c\\d']}", "arguments.a[1]: `c\\\\d` has a lone backslash"),
        ("time: {from: '8'}", "time.from: `8` is not an hour"),
        ("time: {days: [monday]}", "time.days[0]: `monday` is not known (did you mean `mon`?"),
        ("time: {from: '09:00', to: '09:00'}", "access.rules[0].time: begins when it ends"),
        ("time: {from: '24:00', to: '09:00'}", "time.from: is the end of the day"),
        ("time: {utc_offset: '2'}", "time.utc_offset: `2` is not an offset"),
        ("when: 'tool = 1'", "f:6:27: access.rules[0].when: is not CEL: line 1, column"),
        ("when: 'tol == \"x\"'", "when: names `tol`, which is not known here; known: method, tool"),
        ("when: 'headers[\"cookie\"] == \"\"'", "when: looks up `cookie`: headers with credentials"),
        ("mode: dry_run", "mode: `dry_run` is not known (write `enforce` or `report`)"),
        ("tool: [a]", "access.rules[0].tool: is not an option (did you mean `tools`?)"),
    ] {
        let found = findings(&rule(options));
        assert!(found.contains(part) && found.lines().count() == 1, "{options}\n{found}");
    }
    for (lines, part) in [
        ("access: {rules: []}\n", "access.rules: has 0 elements"),
        ("access: {rules: [{}]}\n", "access.rules[0].effect: is missing"),
        ("access: {rules: [{effect: permit}]}\n", "`permit` is not known (write `allow` or `deny`)"),
        (
            "access:\n  rules:\n  - {name: x, effect: allow}\n  - {name: x, effect: deny}\n",
            "f:7:12: access.rules[1].name: is also the name of the rule on line 6",
        ),
        (
            "access: {lists: {missing_scope: show}, rules: [{effect: allow}]}\n",
            "access.lists.missing_scope: has no effect: no rule names `scopes` (remove it,",
        ),
        (
            "access: {lists: {missing_scope: yes}}\n",
            "missing_scope: `yes` is not known (write `hide` or `show`)",
        ),
        ("tests: [{expect: allow}]\n", "tests[0].request: is missing"),
        ("tests: [{request: {tool: x}}]\n", "tests[0].expect: is missing"),
        (
            "tests: [{as: {role: x}, request: {tool: x}, expect: allow}]\n",
            "tests[0].as.role: is not an option (did you mean `roles`?)",
        ),
        (
            "tests: [{request: {tool: x, time: noon}, expect: allow}]\n",
            "tests[0].request.time: `noon` is not a time",
        ),
    ] {
        let found = findings(&with(lines));
        assert!(found.contains(part), "{lines}\n{found}");
    }
}

#[test]
fn a_rule_about_callers_whom_nobody_asks_who_they_are_is_a_mistake() {
    let without = |rule: &str| findings(&super::with(&format!("access: {{rules: [{{{rule}}}]}}\n")));
    for condition in [
        "roles: ['*']",
        "scopes: [s]",
        "agents: ['*']",
        "users: [u]",
        "tenants: [t]",
        "claims: {iss: '*'}",
        "proofs: [jwt, certificate]",
    ] {
        let name = condition.split(':').next().unwrap();
        // A deny that nobody meets protects as little as an allow that nobody meets permits.
        for effect in ["allow", "deny"] {
            let found = without(&format!("effect: {effect}, {condition}"));
            let part = format!("access.rules[0].{name}: is never met without `authentication`");
            assert!(found.contains(&part) && found.lines().count() == 1, "{condition}\n{found}");
        }
        assert_eq!(findings(&rule(condition)), "");
    }
    for condition in ["tools: [x]", "sources: [10.0.0.0/8]", "proofs: [jwt, anonymous]"] {
        assert_eq!(without(&format!("effect: allow, {condition}")), "", "{condition}");
    }
    // One mistake, one finding.
    let broken = super::with("authentication: 5\naccess: {rules: [{effect: allow, roles: [r]}]}\n");
    let found = findings(&broken);
    assert!(found.contains("authentication: is") && found.lines().count() == 1, "{found}");
}

#[test]
fn a_rule_with_everything_is_compiled() {
    let snapshot = good(&with(
        "access:\n  denied_as: forbidden\n  rules:\n  - name: all\n    effect: deny\n    mode: report\n    servers: [a]\n    \
         methods: [tools/*]\n    tools: ['x*', y]\n    prompts: [p]\n    resources: ['file:///*']\n    roles: [r]\n    \
         scopes: [s, t]\n    agents: [g]\n    users: [u]\n    tenants: [n]\n    proofs: [jwt, api_key]\n    issuers: [anonymous]\n    \
         claims: {a.b: 1, /c.d: [x, 'y*']}\n    sources: [10.0.0.0/8, '::1']\n    \
         time: {days: [mon, fri], from: '22:00', to: '06:00', utc_offset: '+02:00'}\n    \
         arguments: {n: [1, true, ~]}\n    when: 'tool == \"x\" && now > timestamp(0)'\n",
    ));
    assert_eq!(snapshot.access.denied_as, crate::config::snapshot::DeniedAs::Forbidden);
    let rules = snapshot.access.rules.unwrap();
    let [rule] = rules.list() else { panic!("one rule") };
    assert_eq!(
        (rule.name.as_deref(), rule.line, rule.effect, rule.report),
        (Some("all"), 7, Effect::Deny, true)
    );
    assert_eq!(
        (rule.servers.len(), rule.tools.len(), rule.claims.len(), rule.arguments[0].1.len()),
        (1, 2, 2, 3)
    );
    let time = rule.time.as_ref().unwrap();
    assert_eq!(
        (time.days.map(u8::from), time.from, time.to, time.offset),
        ([1, 0, 0, 0, 1, 0, 0], 79_200, 21_600, 7_200)
    );
    assert!(good(&with("access: {}\n")).access.rules.is_none());
}

#[test]
fn there_are_as_many_rules_as_may_be() {
    let rules = |count: usize| with(&format!("access:\n  rules:\n{}", "  - effect: allow\n".repeat(count)));
    assert_eq!(findings(&rules(RULES_MAX)), "");
    assert!(findings(&rules(RULES_MAX + 1)).contains("access.rules: has 10001 elements"));
}

/// What `ringgate check` says of a file with these lines, and its exit code.
fn ran(lines: &str) -> (u8, String) {
    let path = "/f.yaml";
    let world =
        Fake { variables: vec![("HOME", b"/of/u".to_vec())], files: vec![(path, with(lines).into_bytes())] };
    let mut out = Vec::new();
    let code = run_in(std::path::Path::new(path), super::Format::Text, &mut out, &world, &|_| Vec::new(), 0)
        .unwrap();
    (code, String::from_utf8(out).unwrap())
}

const RULES: &str = "access:\n  rules:\n  - {name: support, effect: allow, roles: [support], tools: ['get_*']}\n  \
    - {name: writers, effect: allow, scopes: [write], tools: [put], arguments: {n: [1, 2]}}\n  \
    - {name: nights, effect: deny, time: {from: '22:00', to: '06:00'}}\n";

#[test]
fn tests_that_hold_are_counted() {
    let tests = "tests:\n\
        - {as: {roles: [support]}, request: {tool: get_x}, expect: allow, rule: support}\n\
        - {as: {roles: [support]}, request: {tool: get_x}, expect: shown}\n\
        - {as: {roles: [support]}, request: {tool: put}, expect: deny}\n\
        - {as: {roles: [support]}, request: {tool: get_x, time: '2026-01-05T23:00:00Z'}, expect: deny, rule: nights}\n\
        - {request: {tool: put, arguments: {n: 1}}, expect: needs_scope, rule: writers}\n\
        - {as: {scopes: [write]}, request: {tool: put, arguments: {n: 3}}, expect: deny}\n\
        - {as: {scopes: [write]}, request: {tool: put}, expect: shown}\n\
        - {request: {resource: 'file:///x'}, expect: hidden}\n\
        - {as: {scopes: [write]}, request: {method: ping}, expect: allow}\n";
    let (code, out) = ran(&format!("{RULES}{tests}"));
    assert_eq!(code, 0, "{out}");
    assert!(out.starts_with("/f.yaml: good. 9 tests passed. 1 server on"), "{out}");
}

#[test]
fn tests_that_do_not_hold_say_what_happened_and_by_which_rule() {
    for (test, part) in [
        (
            "{name: mine, as: {roles: [support]}, request: {tool: get_x}, expect: deny}",
            "/f.yaml:10:3: tests[0]: test `mine` expects `deny`, but it is allowed: access.rules[0] `support` on line 6 decides",
        ),
        ("{request: {tool: get_x}, expect: allow}", "expects `allow`, but it is denied: no rule matches"),
        (
            "{request: {tool: put, arguments: {n: 1}}, expect: allow}",
            "but it needs the scopes `write`: access.rules[1] `writers`",
        ),
        ("{request: {tool: get_x}, expect: shown}", "expects `shown`, but lists hide it"),
        (
            "{as: {roles: [support]}, request: {tool: get_x}, expect: hidden}",
            "expects `hidden`, but lists show it",
        ),
        (
            "{as: {roles: [support]}, request: {tool: get_x}, expect: allow, rule: other}",
            "tests[0].rule: test expects the rule `other`, but access.rules[0] `support`",
        ),
        (
            "{request: {server: b, tool: x}, expect: allow}",
            "tests[0].request.server: `b` is not the name of a server",
        ),
        ("{request: {}, expect: allow}", "tests[0].request: is about nothing"),
        ("{request: {tool: a, prompt: b}, expect: allow}", "tests[0].request: names several things"),
    ] {
        let (code, out) =
            ran(&format!("{RULES}tests:\n- {test}\n- {{request: {{tool: x}}, expect: deny}}\n"));
        assert_eq!(code, 1, "{out}");
        assert!(out.contains(part) && out.contains("1 of 2 tests failed"), "{test}\n{out}");
        // Only `check` runs them.
        assert_eq!(findings(&with(&format!("{RULES}tests:\n- {test}\n"))), "");
    }
}

/// Lines with such a rule, and two issuers, API keys and introspection.
fn among_many(options: &str) -> String {
    let hash = format!("sha256:{}:{}", "00".repeat(16), "00".repeat(32));
    format!(
        "public_url: https://gateway.example\n\
         authentication:\n  issuers: [{{issuer: 'https://a.example'}}, {{issuer: 'https://b.example'}}]\n  \
         api_keys: [{{id: k, agent: bot, hash: '{hash}'}}]\n  \
         introspection: {{url: 'https://c.example/ask', client_id: g, client_secret: 'env:TOKEN'}}\n\
         access:\n  rules:\n  - {{{options}}}\n"
    )
}

#[test]
fn a_rule_says_whose_word_it_takes_for_a_name() {
    for (options, part) in [
        (
            "effect: allow, agents: [bot]",
            "access.rules[0].agents: names agents, which `https://a.example`, `https://b.example`, `https://c.example/ask`, \
             `api_key` may each say of any caller (add `issuers` with those whose word the rule takes)",
        ),
        ("effect: allow, users: [u]", "access.rules[0].users: names users, which"),
        ("effect: allow, tenants: [t], roles: [r]", "access.rules[0].tenants: names tenants, which"),
        (
            "effect: allow, agents: [bot], proofs: [jwt]",
            "names agents, which `https://a.example`, `https://b.example` may each say",
        ),
        (
            "effect: deny, issuers: ['https://a.example', 'https://d.example']",
            "access.rules[0].issuers[1]: `https://d.example` vouches for nobody here (did you mean `https://",
        ),
        ("effect: deny, issuers: [jwt]", "`jwt` vouches for nobody here"),
        ("effect: deny, issuers: [certificate]", "`certificate` vouches for nobody here"),
        ("effect: deny, issuers: []", "access.rules[0].issuers: has 0 elements"),
    ] {
        let found = findings(&with(&among_many(options)));
        assert!(found.contains(part), "{options}\n{found}");
    }
    for options in [
        "effect: allow, agents: [bot], proofs: [api_key]",
        "effect: allow, agents: [bot], issuers: ['https://a.example', api_key]",
        "effect: allow, agents: [bot], claims: {iss: 'https://a.example'}",
        "effect: allow, agents: ['*'], tools: [x]",
        "effect: allow, roles: [r]",
        "effect: deny, agents: [bot]",
        "effect: allow, issuers: ['https://c.example/ask']",
    ] {
        let found = findings(&with(&among_many(options)));
        assert!(!found.contains("access"), "{options}\n{found}");
    }
}

#[test]
fn a_test_may_say_who_vouches() {
    let rule = among_many("effect: allow, agents: [bot], issuers: ['https://a.example', api_key]");
    // Only references need a world.
    let rule: String = rule.split_inclusive('\n').filter(|line| !line.contains("client_secret")).collect();
    let tests = "tests:\n\
        - {as: {agent: bot, issuer: 'https://a.example'}, request: {tool: x}, expect: allow}\n\
        - {as: {agent: bot, issuer: 'https://b.example'}, request: {tool: x}, expect: deny}\n\
        - {as: {agent: bot}, request: {tool: x}, expect: deny}\n\
        - {as: {agent: bot, proof: api_key}, request: {tool: x}, expect: allow}\n";
    let (code, out) = ran(&format!("{rule}{tests}"));
    assert!(code == 0 && out.contains("4 tests passed"), "{out}");
    let test = "tests: [{as: {agent: bot}, request: {tool: x}, expect: allow}]\n";
    let (_, out) = ran(&format!("{rule}{test}"));
    assert!(out.contains("tests[0]: test expects `allow`, but it is denied"), "{out}");
}

#[test]
fn names_to_ask_for_are_of_scopes_that_something_tests() {
    let server = |options: &str| {
        format!("servers: [{{name: a, url: 'http://up.example:1/mcp', {options}}}]\n{AUTHENTICATION}")
    };
    let rules = "access: {rules: [{effect: allow, scopes: [pay]}]}\n";
    let good_one = "scopes: [use], challenge_scopes: {prefix: 'api://x/', names: {pay: 'urn:pay'}}";
    let snapshot = good(&(server(good_one) + rules));
    assert_eq!(snapshot.servers[0].protection.asked_scopes.all(["use", "pay"]), "api://x/use urn:pay");
    for (options, part) in [
        ("scopes: [use], challenge_scopes: {}", "servers[0].challenge_scopes: says nothing (add `prefix`"),
        ("challenge_scopes: {prefix: x/}", "servers[0].challenge_scopes: has no effect: neither `scopes`"),
        (
            "scopes: [use], challenge_scopes: {names: {api://x/use: use}}",
            "challenge_scopes.names.api://x/use: is no scope that this server or a rule for it tests",
        ),
        ("scopes: [read], challenge_scopes: {names: {raed: x/read}}", "(did you mean `read`?)"),
        (
            "scopes: [use], challenge_scopes: {prefix: 'a b'}",
            "challenge_scopes.prefix: `a b` cannot be a scope",
        ),
    ] {
        let found = findings(&server(options));
        assert!(found.contains(part) && found.lines().count() == 1, "{options}\n{found}");
    }
    let unlocked = "servers: [{name: a, url: 'http://up.example:1/mcp', challenge_scopes: {prefix: x/}}]\n";
    assert!(findings(unlocked).contains("challenge_scopes: has no effect without `authentication`"));
}
