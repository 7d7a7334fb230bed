//! The compiled decision is that of the rule list read from top to bottom.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::*;
use crate::policy::Proof;
use crate::policy::expr::{Expression, ParsedMessage};
use crate::policy::principal::sorted;
use crate::wire::mcp::METHODS;

/// The rules as text says what they mean. Knows nothing of indexes, memos and grants.
mod naive {
    use super::*;

    pub struct Request<'a> {
        pub principal: &'a Principal,
        pub operation: Operation<'a>,
        pub source: Option<IpAddr>,
        pub now: u64,
        pub arguments: Option<&'a Json>,
    }

    /// Whether some rule needs to know which resource it is, and the spelling leaves that open.
    pub fn leaves_resource_open(rules: &[Rule], request: &Request<'_>) -> bool {
        let apart = |rule: &Rule| {
            (!rule.resources.is_empty() && rule.resources.iter().all(|pattern| pattern.to_string() != "*"))
                || rule.when.as_ref().is_some_and(|when| when.text().contains("body"))
        };
        let open = matches!(request.operation.target, Target::Resource(uri) if ["X:a", "x:a/../b", "x:%61"].contains(&uri));
        open && rules.iter().any(apart)
    }

    pub fn decide(rules: &[Rule], request: &Request<'_>) -> Decision {
        if leaves_resource_open(rules, request) {
            return Decision { verdict: Verdict::Deny, rule: None, reported: None };
        }
        let matches = |rule: &Rule| principal(rule, request) && scopes(rule, request) && rest(rule, request);
        let first = |effect: Effect, report: bool, test: &dyn Fn(&Rule) -> bool| {
            let found =
                rules.iter().position(|rule| rule.effect == effect && rule.report == report && test(rule));
            found.map(|at| at as u32)
        };
        let deny = first(Effect::Deny, false, &matches);
        let allow = first(Effect::Allow, false, &matches);
        let scoped = first(Effect::Allow, false, &|rule| principal(rule, request) && rest(rule, request));
        let would_deny = first(Effect::Deny, true, &matches);
        let would_allow = first(Effect::Allow, true, &matches);
        let (verdict, rule, reported) = match (deny, allow, scoped) {
            (Some(rule), ..) => (Verdict::Deny, Some(rule), None),
            (None, Some(rule), _) => (Verdict::Allow, Some(rule), would_deny),
            (None, None, Some(rule)) => {
                (Verdict::NeedsScope(rules[rule as usize].scopes.join(" ").into()), Some(rule), would_allow)
            }
            (None, None, None) => (Verdict::Deny, None, would_allow),
        };
        Decision { verdict, rule, reported }
    }

    fn any(patterns: &[Pattern], name: Option<&str>) -> bool {
        patterns.is_empty()
            || name.is_some_and(|name| patterns.iter().any(|pattern| like(&pattern.to_string(), name)))
    }

    /// Wildcards by trying everything.
    fn like(pattern: &str, name: &str) -> bool {
        match pattern.split_at_checked(1) {
            None => name.is_empty(),
            Some(("*", rest)) => (0..=name.len()).any(|at| like(rest, &name[at..])),
            Some((char, rest)) => name.strip_prefix(char).is_some_and(|name| like(rest, name)),
        }
    }

    fn principal(rule: &Rule, Request { principal, .. }: &Request<'_>) -> bool {
        let claimed = |path: &str, wanted: &[Wanted]| {
            principal.claims.get(path).is_some_and(|value| match value {
                Json::Array(list) => {
                    list.iter().any(|value| wanted.iter().any(|wanted| equal(wanted, value)))
                }
                value => wanted.iter().any(|wanted| equal(wanted, value)),
            })
        };
        (rule.roles.is_empty() || principal.roles.iter().any(|role| any(&rule.roles, Some(role))))
            && any(&rule.agents, principal.agent.as_deref())
            && any(&rule.users, principal.user.as_deref())
            && any(&rule.tenants, principal.tenant.as_deref())
            && (rule.proofs.is_empty() || rule.proofs.contains(&principal.proof))
            && (rule.issuers.is_empty() || rule.issuers.iter().any(|issuer| **issuer == *principal.issuer))
            && rule.claims.iter().all(|(path, wanted)| claimed(&path.to_string(), wanted))
    }

    fn equal(wanted: &Wanted, value: &Json) -> bool {
        match wanted {
            Wanted::Text(pattern) => value.as_str().is_some_and(|text| like(&pattern.to_string(), text)),
            Wanted::Json(wanted) => wanted == value,
        }
    }

    fn scopes(rule: &Rule, request: &Request<'_>) -> bool {
        rule.scopes.iter().all(|scope| request.principal.scopes.contains(scope))
    }

    fn rest(rule: &Rule, request: &Request<'_>) -> bool {
        let operation = &request.operation;
        if !rule.servers.is_empty() && !rule.servers.contains(&operation.server) {
            return false;
        }
        let about_things = !rule.tools.is_empty() || !rule.prompts.is_empty() || !rule.resources.is_empty();
        let of_protocol = operation.target == Target::Protocol
            && (operation.method.starts_with('(')
                || METHODS.iter().any(|method| {
                    method.name == operation.method
                        && (method.legacy || method.modern)
                        && !["tools/call", "prompts/get", "resources/read", "completion/complete"]
                            .contains(&method.name)
                        && !method.name.ends_with("subscribe")
                }));
        if of_protocol && rule.effect == Effect::Allow {
            return true;
        }
        if of_protocol && (about_things || !rule.arguments.is_empty()) {
            return false;
        }
        let about = !about_things
            || match operation.target {
                Target::Tool(name) => !rule.tools.is_empty() && any(&rule.tools, Some(name)),
                Target::Prompt(name) => !rule.prompts.is_empty() && any(&rule.prompts, Some(name)),
                Target::Resource(uri) => !rule.resources.is_empty() && any(&rule.resources, Some(uri)),
                Target::Protocol => false,
            };
        // `n` and `N` are one argument to some readers and two to others.
        let has_twin =
            |path: &str| request.arguments.is_some_and(|all| all.get(path.to_uppercase()).is_some());
        let given = |path: &str, wanted: &[Wanted]| match (
            request.arguments.and_then(|all| all.get(path)),
            rule.effect,
        ) {
            (_, effect) if has_twin(path) => effect == Effect::Deny,
            (None, _) => false,
            (Some(Json::Array(list)), Effect::Deny) => {
                list.iter().any(|value| wanted.iter().any(|wanted| equal(wanted, value)))
            }
            (Some(Json::Array(list)), Effect::Allow) => {
                !list.is_empty() && list.iter().all(|value| wanted.iter().any(|wanted| equal(wanted, value)))
            }
            (Some(value), _) => wanted.iter().any(|wanted| equal(wanted, value)),
        };
        about
            && any(&rule.methods, Some(operation.method))
            && (rule.sources.is_empty()
                || request
                    .source
                    .is_some_and(|source| rule.sources.iter().any(|block| block.contains(source))))
            && rule.time.as_ref().is_none_or(|time| time.contains(request.now))
            && rule.arguments.iter().all(|(path, wanted)| given(&path.to_string(), wanted))
            && rule.when.as_ref().is_none_or(|when| {
                let unclear = rule.arguments.iter().any(|(path, _)| has_twin(&path.to_string()));
                (unclear && when.text() == LARGE) || says(when.text(), rule.effect, request)
            })
    }

    /// The three expressions that rules here have.
    fn says(text: &str, effect: Effect, request: &Request<'_>) -> bool {
        match text {
            ROLE_A => request.principal.roles.contains(&"a".into()),
            LARGE => match request.arguments.and_then(|all| all.get("n")).and_then(Json::as_i64) {
                Some(n) => n > 1,
                None => effect == Effect::Deny,
            },
            _ => request.operation.target == Target::Tool("a"),
        }
    }
}

const ROLE_A: &str = "'a' in roles";
const LARGE: &str = "body.params.arguments.n > 1";
const TOOL_A: &str = "tool == 'a'";

/// Few and short names, so that rules and requests meet.
const NAMES: [&str; 6] = ["a", "b", "c", "ab", "ba", "abc"];
const PATTERNS: [&str; 9] = ["a", "b", "c", "ab", "ba", "*", "a*", "*b", "a*c"];
const URIS: [&str; 7] = ["x:a", "x:b", "x:ab", "x:abc", "X:a", "x:a/../b", "x:%61"];
const URI_PATTERNS: [&str; 7] = ["x:a", "x:b", "*", "x:*", "x:a*", "*b", "*a*c"];
const METHOD_NAMES: [&str; 10] = [
    "tools/call",
    "prompts/get",
    "resources/read",
    "resources/subscribe",
    "completion/complete",
    "ping",
    "tools/list",
    "(stream)",
    "x/y",
    "notifications/initialized",
];

fn patterns() -> impl Strategy<Value = Box<[Pattern]>> {
    let some = prop::collection::vec(prop::sample::select(&PATTERNS[..]), 1..3);
    let some = some.prop_map(|list| list.into_iter().map(|text| Pattern::parse(text).unwrap()).collect());
    prop_oneof![3 => Just(Box::default()), 1 => some]
}

fn uris() -> impl Strategy<Value = Box<[Pattern]>> {
    let some = prop::collection::vec(prop::sample::select(&URI_PATTERNS[..]), 1..3);
    let some = some.prop_map(|list| list.into_iter().map(|text| Pattern::parse(text).unwrap()).collect());
    prop_oneof![3 => Just(Box::default()), 1 => some]
}

fn names() -> impl Strategy<Value = Box<[Box<str>]>> {
    prop::collection::vec(prop::sample::select(&NAMES[..3]), 0..3)
        .prop_map(|list| sorted(list.into_iter().map(Into::into)))
}

fn conditions() -> impl Strategy<Value = Box<[(Path, Box<[Wanted]>)]>> {
    let wanted = prop_oneof![
        prop::sample::select(&PATTERNS[..]).prop_map(|text| Wanted::Text(Pattern::parse(text).unwrap())),
        (0..3_i64).prop_map(|number| Wanted::Json(json!(number))),
    ];
    let some = (prop::sample::select(vec!["n", "s"]), prop::collection::vec(wanted, 1..3))
        .prop_map(|(path, wanted)| [(Path::parse(path).unwrap(), wanted.into())].into());
    prop_oneof![5 => Just(Box::default()), 1 => some]
}

fn document() -> impl Strategy<Value = Json> {
    let text = || prop::sample::select(&NAMES[..]).prop_map(|text| json!(text));
    let number = || (0..3_i64).prop_map(|number| json!(number));
    let list = prop::collection::vec(prop_oneof![text(), number()], 0..3).prop_map(Json::Array);
    let value = prop_oneof![number(), text(), list];
    prop::collection::btree_map(
        prop::sample::select(vec!["n", "n", "s", "s", "N"]).prop_map(str::to_owned),
        value,
        0..3,
    )
    .prop_map(|map| json!(map))
}

fn rule() -> impl Strategy<Value = Rule> {
    let when = prop::option::weighted(0.15, prop::sample::select(vec![ROLE_A, LARGE, TOOL_A]));
    let method = prop::sample::select(vec!["tools/call", "resources/*", "ping", "x/*", "prompts/get"]);
    let method = method.prop_map(|text| Box::from([Pattern::parse(text).unwrap()]));
    let methods = prop_oneof![4 => Just(Box::default()), 1 => method];
    let servers =
        prop_oneof![2 => Just(Box::default()), 1 => (0..2_u16).prop_map(|server| Box::from([server]))];
    let sources = prop_oneof![
        5 => Just(Box::default()),
        1 => (8..11_u8).prop_map(|net| Box::from([Block { first: [net, 0, 0, 0].into(), prefix_bits: 8 }])),
    ];
    let schedule = Schedule { days: [true; 7], from: 0, to: 43_200, offset: 0 };
    let time = prop_oneof![5 => Just(None), 1 => Just(Some(schedule))];
    let proofs = prop_oneof![4 => Just(Box::default()), 1 => Just(Box::from([Proof::ApiKey]))];
    let scopes = prop_oneof![2 => Just(Box::default()), 1 => names()];
    let issuers = prop_oneof![3 => Just(Box::default()), 1 => names()];
    (
        (any::<bool>(), prop::bool::weighted(0.2), servers, methods),
        (patterns(), patterns(), uris()),
        (patterns(), scopes, patterns(), patterns(), patterns(), proofs, issuers),
        (conditions(), sources, time, conditions(), when),
    )
        .prop_map(|(what, things, who, rest)| Rule {
            effect: if what.0 { Effect::Allow } else { Effect::Deny },
            report: what.1,
            servers: what.2,
            methods: what.3,
            tools: things.0,
            prompts: things.1,
            resources: things.2,
            roles: who.0,
            scopes: who.1,
            agents: who.2,
            users: who.3,
            tenants: who.4,
            proofs: who.5,
            issuers: who.6,
            claims: rest.0,
            sources: rest.1,
            time: rest.2,
            arguments: rest.3,
            when: rest.4.map(expression),
            ..Rule::default()
        })
}

fn principal() -> impl Strategy<Value = Principal> {
    let name = || prop::option::of(prop::sample::select(&NAMES[..]).prop_map(Into::into));
    let proof = prop_oneof![Just(Proof::Jwt), Just(Proof::ApiKey)];
    let issuer = prop::sample::select(&NAMES[..3]).prop_map(Into::into);
    (names(), names(), name(), name(), name(), (proof, issuer), document()).prop_map(
        |(roles, scopes, agent, user, tenant, (proof, issuer), claims)| Principal {
            proof,
            issuer,
            agent,
            user,
            tenant,
            scopes,
            claims,
            ..Principal::anonymous(roles)
        },
    )
}

#[derive(Clone, Debug)]
struct Ask {
    server: u16,
    method: &'static str,
    kind: u8,
    name: &'static str,
    uri: &'static str,
    source: Option<IpAddr>,
    now: u64,
    arguments: Option<Json>,
}

impl Ask {
    fn operation(&self) -> Operation<'_> {
        let (target, method) = match self.kind {
            0 => (Target::Tool(self.name), "tools/call"),
            1 => (Target::Prompt(self.name), self.method),
            2 => (Target::Resource(self.uri), self.method),
            _ => (Target::Protocol, self.method),
        };
        Operation { server: self.server, method, target }
    }
}

fn ask() -> impl Strategy<Value = Ask> {
    let source = prop::option::weighted(0.9, (8..12_u8).prop_map(|net| IpAddr::from([net, 1, 2, 3])));
    let method = prop::sample::select(&METHOD_NAMES[..]);
    let name = prop::sample::select(&NAMES[..]);
    let uri = prop::sample::select(&URIS[..]);
    (0..2_u16, method, 0..4_u8, name, uri, source, 0..86_400_u64, prop::option::weighted(0.8, document()))
        .prop_map(|(server, method, kind, name, uri, source, now, arguments)| Ask {
            server,
            method,
            kind,
            name,
            uri,
            source,
            now,
            arguments,
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_compiled_decision_is_that_of_the_list(
        rules in prop::collection::vec(rule(), 0..8),
        principal in principal(),
        asks in prop::collection::vec(ask(), 1..12),
    ) {
        let rules = Rules::new(rules, vec!["one".into(), "two".into()]);
        let grants = rules.grants(&principal);
        // The second round is answered from the memo where it can be.
        for ask in asks.iter().chain(&asks) {
            let operation = ask.operation();
            let body = match &ask.arguments {
                Some(arguments) => json!({"method": operation.method, "params": {"arguments": arguments}}),
                None => json!({"method": operation.method}),
            };
            let (body, arguments) = (body.to_string(), ask.arguments.as_ref().map(Json::to_string));
            let facts = Facts {
                source: ask.source,
                now: ask.now,
                body: body.as_bytes(),
                arguments: arguments.as_deref().map(str::as_bytes),
                header: &|_| Ok(None),
                parsed: &ParsedMessage::default(),
            };
            let request = naive::Request {
                principal: &principal,
                operation,
                source: ask.source,
                now: ask.now,
                arguments: ask.arguments.as_ref(),
            };
            let expected = naive::decide(rules.list(), &request);
            let decision = rules.authorize(&grants, &principal, &operation, &facts);
            prop_assert_eq!(&decision, &expected, "{:?}", ask);

            let shown = rules.shows(&grants, &principal, &operation, ask.source, ask.now);
            let is_use = subject::use_of(operation.target).is_none_or(|method| method == operation.method);
            prop_assert!(!is_use || decision.verdict != Verdict::Allow || shown, "allowed but hidden: {:?}", ask);

            for (index, rule) in rules.list().iter().enumerate() {
                let alone = naive::decide(&[enforced(rule)], &request);
                let why = rules.why_not(index, &principal, &operation, &facts);
                let is_open = naive::leaves_resource_open(rules.list(), &request);
                let is_matched = !is_open && alone.rule.is_some() && !matches!(alone.verdict, Verdict::NeedsScope(_));
                prop_assert_eq!(why.is_none(), is_matched, "{:?}: {:?}", why, rule);
            }
        }
    }
}

fn expression(text: &str) -> Expression {
    Expression::compile(text, VARIABLES).unwrap()
}

/// The rule as it would be if it were enforced; its expression anew, as one is not copied.
fn enforced(rule: &Rule) -> Rule {
    Rule {
        name: None,
        line: 0,
        effect: rule.effect,
        report: false,
        servers: rule.servers.clone(),
        methods: rule.methods.clone(),
        tools: rule.tools.clone(),
        prompts: rule.prompts.clone(),
        resources: rule.resources.clone(),
        roles: rule.roles.clone(),
        scopes: rule.scopes.clone(),
        agents: rule.agents.clone(),
        users: rule.users.clone(),
        tenants: rule.tenants.clone(),
        proofs: rule.proofs.clone(),
        issuers: rule.issuers.clone(),
        claims: rule.claims.clone(),
        sources: rule.sources.clone(),
        time: rule.time.clone(),
        arguments: rule.arguments.clone(),
        when: rule.when.as_ref().map(|when| expression(when.text())),
    }
}
