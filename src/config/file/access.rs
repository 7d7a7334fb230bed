//! `access` and `tests`: what a caller may do, and what the operator expects of it.

use std::net::IpAddr;

use serde_json::Value as Json;

use super::{NETWORK, SCOPE, SERVER_NAME, TOOL_NAME, Text, list, sub};
use crate::config::any::{AnyMap, BACKSLASH, WantedValues};
use crate::config::snapshot::{DeniedAs, Network};
use crate::policy::Proof;
use crate::policy::authz::{Effect, Pattern, RULES_MAX, Wanted};
use crate::schema::finding::{At, Problem};
use crate::schema::moment;
use crate::schema::rule::{Choice, List, MapOf};
use crate::schema::section::section;
use crate::schema::units::shorten;

section! {
    /// What callers may do. Once there is one rule, everything is denied that no rule allows. A request that any deny
    /// rule matches is denied, whatever else matches; the order of rules only says which of several is named as the one
    /// that decided. Who may use anything of a server may also use the protocol around it: initialize, ping, lists
    /// (which show only what the caller may use), notifications and streams. Tasks need a rule without tools, prompts and
    /// resources, such as one with `methods: ['tasks/*']`: a server does not know whose a task is. `ringgate explain`
    /// shows how a request is judged.
    AccessSection {
        /// How a denied call of a tool looks: `result`, as servers answer for a tool that they do not have, a result with
        /// `isError` that the model reads; `text`, the same without `isError`, for frameworks that end a run at an error;
        /// `unknown`, a JSON-RPC error that says the same; `forbidden`, 403. What is no call of a tool looks unknown, but with
        /// `forbidden`. But for `forbidden`, a caller cannot tell what it may not use from what does not exist.
        denied_as: DeniedAs = Choice(&[
            ("result", DeniedAs::Result), ("text", DeniedAs::Text), ("unknown", DeniedAs::Unknown), ("forbidden", DeniedAs::Forbidden),
        ]), default "result";
        /// What lists show.
        lists: ListsSection = sub::<ListsSection>(), default "{}";
        /// The rules. When this is not given, every caller may do everything.
        rules: Vec<At<RuleSection>> = list(sub::<RuleSection>(), 1, RULES_MAX), optional;
    }
}

section! {
    /// What lists show of the things that a caller may not use.
    ListsSection {
        /// Tools, prompts and resources for which the caller lacks nothing but scopes of a rule. `hide` leaves them out;
        /// `show` has them in the lists, so that clients find out that there is more to ask for. A call is answered with
        /// 403 and the scopes that it needs either way. With `show`, who lacks nothing but scopes may also use the protocol
        /// around these things (initialize, lists, streams) before it has one of them.
        missing_scope: MissingScope =
            Choice(&[("hide", MissingScope::Hide), ("show", MissingScope::Show)]), default "hide";
    }
}

section! {
    /// A rule. It matches a request that meets every condition given here; of a condition that is a list, any element
    /// will do, except for `scopes`. In names, `*` stands for any run of characters, and `\*` for an asterisk. Upper and
    /// lower case differ.
    RuleSection {
        /// A name for logs and `ringgate explain`.
        name: String = RULE_NAME, optional;
        /// What happens to the requests that match.
        effect: Effect = Choice(&[("allow", Effect::Allow), ("deny", Effect::Deny)]), required;
        /// `report` tries a rule out: it changes nothing, and it is logged and counted where it would. It is a rule all the
        /// same, so with nothing but rules in report mode everything is denied: begin with one that allows everything.
        mode: Mode = Choice(&[("enforce", Mode::Enforce), ("report", Mode::Report)]), default "enforce";
        /// The servers it counts for, by name. When not given: all.
        servers: Vec<At<String>> = list(SERVER_NAME, 1, 4096), optional;
        /// Methods such as `tools/call`, also with a `*` at the end. Says nothing about the protocol around the uses that
        /// the rule allows.
        methods: Vec<At<Pattern>> = list(METHOD, 1, 64), optional;
        /// Tools, by their names. A rule with `tools`, `prompts` or `resources` is about these things and nothing else.
        tools: Vec<At<Pattern>> = THINGS, optional;
        /// Prompts, by their names.
        prompts: Vec<At<Pattern>> = THINGS, optional;
        /// Resources, by URI, as in `file:///public/*`. Where any rule tells resources apart, URIs are let through in
        /// their canonical spelling only (RFC 3986 section 6.2.2), as servers disagree about the others, and everything
        /// else is denied and not listed: scheme and host in lower case, no segments `.` and `..`, no blanks,
        /// backslashes or characters that are not ASCII, no `%` escapes in lower case or of characters that need none;
        /// `file:///` without a host, `//`, `%2F`, `?` and `#`; `https` and the like with a path and without user, usual
        /// port and `#`. Whether upper and lower case in a path differ, and what a link leads to, only the server knows:
        /// prefer rules that allow some resources to rules that deny some.
        resources: Vec<At<Pattern>> = THINGS, optional;
        /// Roles, of which the caller has one.
        roles: Vec<At<Pattern>> = NAMES, optional;
        /// Scopes of the token: it must have all of them. Where nothing else is missing, the client is told to get them.
        scopes: Vec<At<String>> = list(SCOPE, 1, 64), optional;
        /// Agents: the workloads that call.
        agents: Vec<At<Pattern>> = NAMES, optional;
        /// Users: those on whose behalf agents call.
        users: Vec<At<Pattern>> = NAMES, optional;
        /// Tenants: the organisations that callers belong to.
        tenants: Vec<At<Pattern>> = NAMES, optional;
        /// How the caller was proven: `jwt`, `api_key`, `certificate`, `introspection`, `anonymous`.
        proofs: Vec<At<Proof>> = list(PROOF, 1, 5), optional;
        /// Who vouches for the caller, letter by letter: an issuer as `authentication` names it; `api_key`, `certificate` or
        /// `anonymous` for those that have none; for introspection its `issuer`, or else its `url`. Each issuer can say
        /// of a caller that it is any agent, user or tenant: where there are several, a rule that allows something by
        /// such a name says whose word it takes, here, by `proofs`, or by the claim `iss`.
        issuers: Vec<At<String>> = list(ISSUER_NAME, 1, 64), optional;
        /// Claims and their values: a value, a pattern, or a list of which any will do. A claim that is a list needs one
        /// element that is as wanted. `a.b` is the claim `b` in `a`; a key with a dot in it is written as JSON pointer, `/a.b`.
        claims: Vec<(At<String>, Vec<Wanted>)> = MapOf { value: WantedValues, max: 32 }, optional;
        /// Addresses or networks that the request comes from. Not met by requests over a Unix socket.
        sources: Vec<At<Network>> = list(NETWORK, 1, 1024), optional;
        /// Times of the week at which it counts.
        time: TimeSection = sub::<TimeSection>(), optional;
        /// Arguments of the call and their values, written as in `claims`. Of an argument that is a list, every element must
        /// be as wanted for a rule that allows, and one for a rule that denies. What servers may read in several ways
        /// counts as matched for a rule that denies, and as not matched for one that allows: arguments with a key twice,
        /// or with one of these keys in another case (`Path` for `path`), and, where a pattern with `/` is given, a path
        /// with a segment `.` or `..`. Links, and names of files that differ in other ways, only the server knows: prefer
        /// rules that allow some values to rules that deny some.
        arguments: Vec<(At<String>, Vec<Wanted>)> = MapOf { value: WantedValues, max: 32 }, optional;
        /// An expression (CEL) for what the other conditions cannot say, such as `body.params.arguments.rows < 1000`. It may
        /// use `method`, `tool`, `prompt`, `resource`, `server`, `agent`, `user`, `tenant`, `roles`, `scopes`, `claims`,
        /// `headers["name"]` (none with credentials), `source`, `now`, `arguments` and `body`; what the request has not is an
        /// empty text. One without an answer, such as a comparison of an argument that is not there, counts as met for
        /// a rule that denies and as not met for one that allows: ask first, with `has(arguments.rows)`. A rule that denies
        /// and names no tools, prompts, resources or arguments is also asked about the protocol around them, where `body`
        /// has no `params.name`: begin such an expression with `method == "tools/call" && `. Keys count letter by letter here, and paths are not
        /// looked into: what servers may read in several ways is for `arguments`. One that would look at too much has no answer: at
        /// 65,536 values of JSON, or 8,192 with a macro such as `exists`, or 256 with macros within macros, every KiB of
        /// a text counting as one; and, with macros, at more than 64 MiB, if each turn looks at the longest text. With
        /// `matches` it is a sixteenth of that.
        when: String = WHEN, optional;
    }
}

section! {
    /// Times of the week. A night that begins on one of the days belongs to it to its end.
    TimeSection {
        /// The days it begins on. When not given: every day.
        days: Vec<At<usize>> = list(DAY, 1, 7), optional;
        /// The hour at which it begins, such as `"08:00"`.
        from: u32 = HOUR, default "'00:00'";
        /// The hour at which it ends. Before `from`: on the next day.
        to: u32 = HOUR, default "'24:00'";
        /// How far local time is from UTC, such as `"+02:00"`. Does not know of summer time.
        utc_offset: i32 = OFFSET, default "'+00:00'";
    }
}

section! {
    /// A request, and what you expect to become of it.
    TestSection {
        /// What it is about, for the message when it fails.
        name: String = RULE_NAME, optional;
        /// Who calls. When not given: a token without roles and scopes.
        r#as: CallerSection = sub::<CallerSection>(), default "{}";
        /// What is asked for.
        request: RequestSection = sub::<RequestSection>(), required;
        /// `allow`, `deny`, `needs_scope` (denied only for want of a scope), or what a list does: `shown`, `hidden`.
        expect: Expected = EXPECTED, required;
        /// The rule that must decide, by its name.
        rule: String = RULE_NAME, optional;
    }
}

section! {
    /// A caller as `authentication` would know it.
    CallerSection {
        /// The workload that calls.
        agent: String = TOOL_NAME, optional;
        /// The user on whose behalf it calls.
        user: String = TOOL_NAME, optional;
        /// The tenant it belongs to.
        tenant: String = TOOL_NAME, optional;
        /// The roles it has.
        roles: Vec<At<String>> = list(TOOL_NAME, 0, 256), default "[]";
        /// The scopes of its token.
        scopes: Vec<At<String>> = list(SCOPE, 0, 256), default "[]";
        /// The claims of its token. Roles and scopes are not taken from here.
        claims: Json = AnyMap, default "{}";
        /// How it was proven.
        proof: Proof = PROOF, default "jwt";
        /// Who vouches, as in `access.rules[].issuers`. When not given: the only one there is for this proof.
        issuer: String = ISSUER_NAME, optional;
    }
}

section! {
    /// A request. It names a tool, a prompt or a resource, or else a `method`.
    RequestSection {
        /// The server, by name. Not needed if there is only one.
        server: String = SERVER_NAME, optional;
        /// The JSON-RPC method. When not given: the one that uses the thing, such as `tools/call`.
        method: String = TOOL_NAME, optional;
        /// The tool that is called.
        tool: String = TOOL_NAME, optional;
        /// The prompt that is fetched.
        prompt: String = TOOL_NAME, optional;
        /// The URI of the resource that is read.
        resource: String = URI, optional;
        /// The arguments of the call, as a map.
        arguments: Json = AnyMap, optional;
        /// The client's address. When not given: a Unix socket.
        source: IpAddr = ADDRESS, optional;
        /// When, as RFC 3339 writes it. When not given: a Monday at noon, UTC.
        time: u64 = MOMENT, default "'2026-01-05T12:00:00Z'";
        /// Header lines, by name.
        headers: Vec<(At<String>, String)> = MapOf { value: HEADER, max: 64 }, default "{}";
    }
}

/// What lists do with what only a scope is missing for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MissingScope {
    /// They leave it out.
    Hide,
    /// They show it.
    Show,
}

/// Whether a rule counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// It does.
    Enforce,
    /// It is only told what it would do.
    Report,
}

/// What a test expects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// The request passes.
    Allow,
    /// It does not, and no scope would help.
    Deny,
    /// It does not for want of a scope.
    NeedsScope,
    /// Lists show the thing.
    Shown,
    /// Lists do not.
    Hidden,
}

impl Expected {
    /// The word for it.
    pub fn word(self) -> &'static str {
        EXPECTED.0.iter().find(|(_, value)| *value == self).map_or("", |(word, _)| word)
    }
}

const EXPECTED: Choice<Expected> = Choice(&[
    ("allow", Expected::Allow),
    ("deny", Expected::Deny),
    ("needs_scope", Expected::NeedsScope),
    ("shown", Expected::Shown),
    ("hidden", Expected::Hidden),
]);
const PROOF: Choice<Proof> = Choice(&[
    ("jwt", Proof::Jwt),
    ("api_key", Proof::ApiKey),
    ("certificate", Proof::Certificate),
    ("introspection", Proof::Introspection),
    ("anonymous", Proof::Anonymous),
]);
const DAY: Choice<usize> =
    Choice(&[("mon", 0), ("tue", 1), ("wed", 2), ("thu", 3), ("fri", 4), ("sat", 5), ("sun", 6)]);
const THINGS: List<Text<Pattern>> = list(PATTERN, 1, 4096);
const NAMES: List<Text<Pattern>> = list(PATTERN, 1, 1024);
const PATTERN: Text<Pattern> =
    Text { wanted: "a name, `*` for any part of it", pattern: None, parse: pattern };
const ISSUER_NAME: Text<String> = Text { wanted: "the name of an issuer", pattern: None, parse: issuer };
const METHOD: Text<Pattern> = Text {
    wanted: "a method such as `tools/call` or `tools/*`",
    pattern: Some("^[^*]+\\*?$|^\\*$"),
    parse: method,
};
const RULE_NAME: Text<String> = Text { wanted: "a name", pattern: None, parse: rule_name };
const WHEN: Text<String> =
    Text { wanted: "an expression (CEL)", pattern: None, parse: |text| Ok(text.to_owned()) };
const HOUR: Text<u32> =
    Text { wanted: "an hour such as `\"08:00\"`", pattern: Some("^[0-9]{2}:[0-9]{2}$"), parse: moment::hour };
const OFFSET: Text<i32> = Text {
    wanted: "an offset such as `\"+02:00\"`",
    pattern: Some("^[+-][0-9]{2}:[0-9]{2}$"),
    parse: moment::offset,
};
const MOMENT: Text<u64> =
    Text { wanted: "a time such as `2026-01-05T09:00:00Z`", pattern: None, parse: moment::moment };
const URI: Text<String> = Text { wanted: "a URI", pattern: None, parse: uri };
const ADDRESS: Text<IpAddr> = Text { wanted: "an address such as `10.1.2.3`", pattern: None, parse: address };
const HEADER: Text<String> = Text { wanted: "text", pattern: None, parse: header };

/// Bytes of a pattern.
const PATTERN_BYTES_MAX: usize = 2048;

fn pattern(text: &str) -> Result<Pattern, Problem> {
    if text.is_empty() || text.len() > PATTERN_BYTES_MAX || text.chars().any(char::is_control) {
        let fix = format!("write from 1 to {PATTERN_BYTES_MAX} characters, `*` for any part");
        return Err(Problem::new("cannot be a name or pattern", fix));
    }
    Pattern::parse(text)
        .map_err(|_| Problem::new(format!("`{}` has a lone backslash", shorten(text)), BACKSLASH))
}

fn method(text: &str) -> Result<Pattern, Problem> {
    let pattern = pattern(text)?;
    if pattern.is_prefix() {
        return Ok(pattern);
    }
    let fix = "write the whole method, or its beginning and then `*`";
    Err(Problem::new(format!("`{}` has a `*` that is not at its end", shorten(text)), fix))
}

fn rule_name(text: &str) -> Result<String, Problem> {
    if text.is_empty() || text.len() > 128 || text.chars().any(char::is_control) {
        return Err(Problem::new("cannot be a name", "write from 1 to 128 characters on one line"));
    }
    Ok(text.to_owned())
}

fn issuer(text: &str) -> Result<String, Problem> {
    if text.is_empty() || text.len() > PATTERN_BYTES_MAX || text.chars().any(char::is_control) {
        return Err(Problem::new("cannot be an issuer", "write its name as `authentication` has it"));
    }
    Ok(text.to_owned())
}

fn uri(text: &str) -> Result<String, Problem> {
    if text.is_empty() || text.len() > PATTERN_BYTES_MAX || text.chars().any(char::is_control) {
        return Err(Problem::new("cannot be a URI", "write the URI as `resources/list` shows it"));
    }
    Ok(text.to_owned())
}

fn address(text: &str) -> Result<IpAddr, Problem> {
    let fix = "write an IPv4 or IPv6 address, without a port";
    text.parse().map_err(|_| Problem::new(format!("`{}` is not an address", shorten(text)), fix))
}

fn header(text: &str) -> Result<String, Problem> {
    if text.chars().any(char::is_control) {
        return Err(Problem::new("cannot be the value of a header", "write it on one line"));
    }
    Ok(text.to_owned())
}
