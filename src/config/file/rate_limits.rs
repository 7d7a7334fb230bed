//! `rate_limits`: how often, how much and at what cost.

use std::time::Duration;

use serde_json::{Value as Json, json};

use super::{SERVER_NAME, TOOL_NAME, Text, count, list, size, sub};
use crate::config::rate::{self, Rate};
use crate::policy::authz::Pattern;
use crate::policy::rate_limit::{
    Charge, DenyAs, LIMITS_MAX, MARKS_MAX, Mode, OVERRIDES_MAX, Unit, WINDOWS_MAX,
};
use crate::schema::finding::{At, Findings, Place, Problem};
use crate::schema::rule::{Choice, Flag, List, Rule, Time};
use crate::schema::section::section;
use crate::schema::units::shorten;
use crate::schema::yaml::{Node, Value};

section! {
    /// How often, how much and at what cost callers may. A request passes if every limit that concerns it has something
    /// left; otherwise nothing is taken of any of them. Over any time, all workers together admit at most the burst and
    /// what the rate gives in that time. `docs/limits.md` explains it all.
    RateLimitsSection {
        /// Keys that are counted at a time, of all limits together; those whose buckets are full need no place. When there
        /// is none left, requests that would need one are refused with 503.
        keys_max: usize = count(1_000, 100_000_000), default "1000000";
        /// The limits.
        limits: Vec<At<RateLimitSection>> = list(sub::<RateLimitSection>(), 0, LIMITS_MAX - 1), default "[]";
        /// Stops an agent that calls the same tool with the same arguments again and again.
        loop_breaker: LoopBreakerSection = sub::<LoopBreakerSection>(), optional;
        /// What calls cost, for limits of `cost`. The first that fits counts; what none fits costs nothing.
        prices: Vec<At<PriceSection>> = list(sub::<PriceSection>(), 0, 4096), default "[]";
        /// How tokens are counted.
        tokens: TokensSection = sub::<TokensSection>(), default "{}";
        /// Tell clients what is left, in the fields `RateLimit-Policy` and `RateLimit` of answers that some limit
        /// concerns. Writing them costs more than most limits do. `Retry-After` is always sent with a refusal.
        headers: bool = Flag, default "false";
    }
}

section! {
    /// A limit. It concerns the requests that meet all of its conditions (`servers`, `methods`, `tools`, `agents`,
    /// `roles`, `when`); of a condition that is a list, any element will do. In names, `*` stands for any run of
    /// characters.
    RateLimitSection {
        /// Its name, in answers, logs and metrics: `a-z`, `0-9`, `-`, `_`, `.`; at most 64. What was used so far is kept
        /// under this name, also when the numbers change with a reload.
        name: String = SERVER_NAME, required;
        /// What is counted: `requests` of HTTP; `calls` of tools, however many HTTP requests each takes; `tokens` of
        /// arguments and results; `bytes` of requests and answers; `cost` by `prices`; or `in_flight`, requests that are
        /// under way.
        unit: Unit = Choice(&[
            ("requests", Unit::Requests), ("calls", Unit::Calls), ("tokens", Unit::Tokens), ("bytes", Unit::Bytes),
            ("cost", Unit::Cost), ("in_flight", Unit::InFlight),
        ]), default "calls";
        /// Servers, by name.
        servers: Vec<At<String>> = list(SERVER_NAME, 1, 4096), optional;
        /// Methods such as `tools/call`.
        methods: Vec<At<Pattern>> = NAMES, optional;
        /// Tools, by name. The limit is about calls of these and nothing else.
        tools: Vec<At<Pattern>> = NAMES, optional;
        /// Agents, by name: the workloads that call.
        agents: Vec<At<Pattern>> = NAMES, optional;
        /// Roles, by name: the caller has any of them.
        roles: Vec<At<Pattern>> = NAMES, optional;
        /// An expression (CEL) over what rules of `access` may use, such as
        /// `body.method == "tools/call" && body.params.name == "run_sql_query"`. Comparisons of method, tool, server, agent,
        /// user and tenant with texts are looked up and cost nothing. One without an answer counts as met.
        when: String = EXPRESSION, optional;
        /// What has a bucket of its own: any of `agent`, `user`, `tenant`, `caller` (all three and the issuer), `server`,
        /// `tool`, `method`, `arguments`, `source` (the client's address; `source/24/64` for the networks of IPv4 and
        /// IPv6), `claim:PATH`, `header:NAME`, or an expression, `cel:EXPRESSION`. When not given: one bucket for all.
        key: Vec<At<String>> = list(KEY_PART, 0, 16), default "[]";
        /// How much: `60/min`, `25/10s`, `100_000 tokens/day`, or a list of which all count at once. Times are `ms`, `s`,
        /// `min`, `h`, `day`, `week`, `month`, also several (`10s`). `unlimited` leaves it to the overrides.
        rate: Vec<At<Rate>> = RATES, optional;
        /// The most at once, of the first rate. When not given: as much as the rate has in its time.
        burst: u64 = Amount, optional;
        /// For `in_flight`: how many may be under way.
        max: usize = count(1, 1_000_000), optional;
        /// How it comes back: `sliding`, evenly; `calendar`, all at once when the hour, day, week or month begins.
        window: WindowWord = Choice(&[("sliding", WindowWord::Sliding), ("calendar", WindowWord::Calendar)]), default "sliding";
        /// For `calendar`: when days begin, with the offset from UTC: `"00:00+02:00"`. Weeks begin on Mondays, months on
        /// the first.
        resets_at: i32 = Text { wanted: "a time such as `\"00:00+02:00\"`", pattern: Some("^[0-9]{2}:[0-9]{2}(Z|[+-][0-9]{2}:[0-9]{2})$"), parse: rate::resets_at }, optional;
        /// Of how many percent of each rate the operator is told when they are used, in the log and in the metric
        /// `ringgate_budget_alerts_total`; at most 4 numbers. When not given: 80 and 100 for `calendar` and for `cost`, of
        /// others none. Rates of less than 10 units give no alerts.
        alerts: Vec<At<usize>> = list(count(1, 100), 0, MARKS_MAX), optional;
        /// `report` refuses nothing; it is logged and counted where it would.
        mode: Mode = MODE, default "enforce";
        /// `on_success` gives back what the server failed: JSON-RPC errors, results with `isError`, and servers that do not
        /// answer. A call whose client leaves or cancels is charged, as is one that ends with its credential or the process.
        charge: Charge = Choice(&[("always", Charge::Always), ("on_success", Charge::OnSuccess)]), default "always";
        /// How a refused call of a tool looks: `result`, a result with `isError` and status 200, which the model reads;
        /// `text`, the same without `isError`, for frameworks that end a run at an error (docs/clients.md says which);
        /// `error`, a JSON-RPC error with status 429, which ends some clients and which models hardly ever see. What is
        /// no call of a tool gets the error, as do calls in a batch or over HTTP+SSE. `Retry-After` comes with each.
        deny_as: DenyAs = DENY_AS, default "result";
        /// What differs for some callers: the first that fits.
        overrides: Vec<At<OverrideSection>> = list(sub::<OverrideSection>(), 0, OVERRIDES_MAX), default "[]";
    }
}

section! {
    /// Callers for whom a limit has other numbers. They have buckets of their own.
    OverrideSection {
        /// Agents, by name: the workloads that call.
        agents: Vec<At<Pattern>> = NAMES, optional;
        /// Roles, by name: the caller has any of them.
        roles: Vec<At<Pattern>> = NAMES, optional;
        /// Users, by name.
        users: Vec<At<Pattern>> = NAMES, optional;
        /// Tenants, by name.
        tenants: Vec<At<Pattern>> = NAMES, optional;
        /// As that of the limit.
        rate: Vec<At<Rate>> = RATES, optional;
        /// As that of the limit.
        burst: u64 = Amount, optional;
        /// As that of the limit.
        max: usize = count(1, 1_000_000), optional;
    }
}

section! {
    /// Stops an agent that calls the same tool of the same server with the same arguments, byte by byte, again and again.
    /// Callers without a credential are told apart by their addresses.
    LoopBreakerSection {
        /// So many such calls pass at once.
        calls: usize = count(2, 10_000), default "5";
        /// In this time they come back, evenly.
        within: Duration = Time { min: Duration::from_secs(1), max: Duration::from_secs(86_400) }, default "1m";
        /// Tools that may be polled, by name: they are let be.
        except: Vec<At<Pattern>> = list(PATTERN, 0, 1024), default "[]";
        /// `report` stops nothing; it is logged and counted where it would.
        mode: Mode = MODE, default "enforce";
        /// How the stop looks: `result` is what the model reads, `error` a JSON-RPC error with status 429.
        deny_as: DenyAs = DENY_AS, default "result";
    }
}

section! {
    /// What calls of some tools cost, in whatever money the limits of `cost` are meant in. At most six places behind the
    /// point count.
    PriceSection {
        /// Servers, by name. When not given: all.
        servers: Vec<At<String>> = list(SERVER_NAME, 1, 4096), optional;
        /// Tools, by name. When not given: all.
        tools: Vec<At<Pattern>> = NAMES, optional;
        /// What each call costs.
        per_call: u64 = Amount, default "0";
        /// What each second costs that the server takes.
        per_second: u64 = Amount, default "0";
        /// What each thousand tokens cost.
        per_1k_tokens: u64 = Amount, default "0";
    }
}

section! {
    /// How tokens are counted.
    TokensSection {
        /// `estimate` over arguments and result (`docs/limits.md` says how good that is); `o200k`, as this tokenizer of
        /// OpenAI's models counts them: a thread beside the workers does it, and the estimate counts until it has; or as
        /// `reported` by the server.
        count: CountWord = Choice(&[
            ("estimate", CountWord::Estimate), ("o200k", CountWord::O200k), ("reported", CountWord::Reported),
        ]), default "estimate";
        /// For `reported`: what counts where the server reports nothing, `estimate` or `o200k`. When not given: the estimate.
        otherwise: CountWord = Choice(&[("estimate", CountWord::Estimate), ("o200k", CountWord::O200k)]), optional;
        /// For `o200k`: so much of the texts of an exchange is kept to be counted; the rest is estimated. When not given: 1 MiB.
        max_bytes: usize = size(1 << 10, 8 << 20), optional;
        /// Where in the result the server reports it: a JSON pointer, such as `/structuredContent/usage/total_tokens`.
        from: String = Text { wanted: "a JSON pointer such as `/_meta/usage`", pattern: Some("^/"), parse: pointer }, optional;
    }
}

/// How a limit comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WindowWord {
    /// Evenly.
    Sliding,
    /// All at once.
    Calendar,
}

/// How tokens are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CountWord {
    /// By the estimator.
    Estimate,
    /// By the tokenizer o200k.
    O200k,
    /// By the server.
    Reported,
}

const MODE: Choice<Mode> = Choice(&[("enforce", Mode::Enforce), ("report", Mode::Report)]);
pub(super) const DENY_AS: Choice<DenyAs> =
    Choice(&[("error", DenyAs::Error), ("result", DenyAs::Result), ("text", DenyAs::Text)]);
const NAMES: List<Text<Pattern>> = list(PATTERN, 1, 1024);
const PATTERN: Text<Pattern> =
    Text { wanted: "a name, `*` for any part of it", pattern: None, parse: pattern };
const EXPRESSION: Text<String> =
    Text { wanted: "an expression (CEL)", pattern: None, parse: |text| Ok(text.to_owned()) };
const KEY_PART: Text<String> =
    Text { wanted: "a part of a key such as `agent`", pattern: None, parse: |text| Ok(text.to_owned()) };
const RATES: OneOrMore<Text<Rate>> =
    OneOrMore(list(Text { wanted: rate::WANTED, pattern: None, parse: rate::rate }, 1, WINDOWS_MAX));

fn pattern(text: &str) -> Result<Pattern, Problem> {
    (TOOL_NAME.parse)(text)?;
    Pattern::parse(text).map_err(|_| {
        let fix = "write `\\*` for an asterisk and `\\\\` for a backslash";
        Problem::new(format!("`{}` has a lone backslash", shorten(text)), fix)
    })
}

fn pointer(text: &str) -> Result<String, Problem> {
    if text.starts_with('/') && text.len() <= 1024 {
        return Ok(text.to_owned());
    }
    let fix = "write where the number stands in the result, such as `/structuredContent/usage/total_tokens`";
    Err(Problem::new(format!("`{}` is not a JSON pointer", shorten(text)), fix))
}

/// One value, or a list of them.
pub struct OneOrMore<R>(List<R>);

impl<R: Rule> Rule for OneOrMore<R> {
    type Out = Vec<At<R::Out>>;

    fn read(&self, node: &Node, place: &Place, findings: &mut Findings) -> Option<Self::Out> {
        if matches!(node.value, Value::List(_)) {
            return self.0.read(node, place, findings);
        }
        let value = self.0.item.read(node, place, findings)?;
        Some(vec![At { value, place: place.clone() }])
    }

    fn wanted(&self) -> String {
        format!("{}; or a list of them", self.0.item.wanted())
    }

    fn schema(&self) -> Json {
        json!({"anyOf": [self.0.item.schema(), self.0.schema()]})
    }
}

/// An amount of money or units, in millionths.
pub struct Amount;

impl Rule for Amount {
    type Out = u64;

    fn read(&self, node: &Node, place: &Place, findings: &mut Findings) -> Option<u64> {
        let Value::Text { text, .. } = &node.value else {
            findings.add(place, "is not one number", format!("write {}", self.wanted()));
            return None;
        };
        let amount = rate::amount(text).map_err(|problem| findings.note(place, problem)).ok()?;
        Some(amount)
    }

    fn wanted(&self) -> String {
        "a number such as `0.002` or `100_000`".to_owned()
    }

    fn schema(&self) -> Json {
        let number = json!({"type": "number", "minimum": 0});
        json!({"anyOf": [number, {"type": "string", "pattern": "^[0-9_]+(\\.[0-9]{1,6})?$"}]})
    }
}
