//! `rate_limits`.

use std::num::NonZeroU64;
use std::time::Duration;

use crate::config::file::File;
use crate::config::file::rate_limits::{
    CountWord, LoopBreakerSection, OverrideSection, PriceSection, RateLimitSection, RateLimitsSection,
    TokensSection, WindowWord,
};
use crate::config::rate::{MICROS, Per, Rate, UNITS_MAX};
use crate::config::snapshot::{Server, Transport};
use crate::policy::authz::Pattern;
use crate::policy::expr::Expression;
use crate::policy::rate_limit::{
    Charge, Fill, KeyPart, Limit, Limits, Marks, Override, Price, Tokens, Unit, VARIABLES, Who, Window,
};
use crate::schema::finding::{At, Findings, Place, closest};
use crate::schema::units::show_duration;

mod key;

/// The limits.
pub fn compile(file: &File, servers: &[Server], findings: &mut Findings) -> Option<Limits> {
    let section = &file.rate_limits.as_ref()?.value;
    check_names(&section.limits.value, findings);
    check_prices(section, findings);
    let breaker = section.loop_breaker.as_ref().map(|section| loop_breaker(&section.value));
    // The breaker stands first, as what it says is of more use to a model.
    let mut all: Vec<Limit> = breaker.into_iter().collect();
    all.extend(section.limits.value.iter().filter_map(|one| limit(one, servers, findings)));
    let prices = section.prices.value.iter().map(|one| price(one, servers, findings)).collect();
    let names = servers.iter().map(|server| server.name.clone()).collect();
    let mut limits = Limits::new(all, prices, names);
    limits.tokens = tokens(&section.tokens.value, findings);
    limits.headers = section.headers.value;
    limits.keys_max = section.keys_max.value;
    Some(limits)
}

/// The name of the loop breaker in answers, logs and metrics.
const LOOP_BREAKER: &str = "loop_breaker";

/// Notes names that are given twice, or that the gateway gives itself.
fn check_names(limits: &[At<RateLimitSection>], findings: &mut Findings) {
    let names: Vec<&At<String>> = limits.iter().filter_map(|limit| limit.value.name.as_ref()).collect();
    for (at, name) in names.iter().enumerate() {
        if name.value == LOOP_BREAKER {
            findings.add(&name.place, "is the name of `rate_limits.loop_breaker`", "choose another name");
        }
        if let Some(first) = names.iter().take(at).find(|first| first.value == name.value) {
            let what =
                format!("`{}` is also the name of the limit on line {}", name.value, first.place.spot.line);
            findings.add(&name.place, what, "give each limit a name of its own");
        }
    }
}

fn check_prices(section: &RateLimitsSection, findings: &mut Findings) {
    if section.prices.value.is_empty() {
        for limit in section.limits.value.iter().filter(|limit| limit.value.unit.value == Unit::Cost) {
            let fix = "add `rate_limits.prices`, or choose another unit";
            findings.add(&limit.value.unit.place, "is `cost`, but nothing has a price", fix);
        }
    }
}

/// Answers of a server with HTTP+SSE come on its stream, and not on the exchange of the call: what is known only of them
/// would be charged to nobody.
fn check_transport(section: &RateLimitSection, servers: &[Server], findings: &mut Findings) {
    let unit = section.unit.value;
    if !matches!(unit, Unit::Tokens | Unit::Bytes | Unit::Cost | Unit::InFlight) {
        return;
    }
    let named = |server: &Server| {
        section.servers.as_ref().is_none_or(|list| list.value.iter().any(|name| *name.value == *server.name))
    };
    let is_sse = |server: &&Server| matches!(server.transport, Transport::Sse { .. }) && named(server);
    if let Some(server) = servers.iter().find(is_sse) {
        let what = format!(
            "cannot be `{}` for the server `{}`: with `transport: sse` answers come on another stream than calls",
            unit.label(),
            server.name
        );
        findings.add(
            &section.unit.place,
            what,
            "name the other servers in `servers` of the limit, or count `calls`",
        );
    }
}

fn limit(at: &At<RateLimitSection>, servers: &[Server], findings: &mut Findings) -> Option<Limit> {
    let At { value: section, place } = at;
    let unit = section.unit.value;
    if unit == Unit::InFlight && section.charge.value == Charge::OnSuccess {
        findings.add(
            &section.charge.place,
            "has no effect on `in_flight`",
            "remove it: all is given back at the end",
        );
    }
    if let (Unit::Calls | Unit::Cost, Some(methods)) = (unit, &section.methods)
        && !methods.value.iter().any(|method| method.value.matches("tools/call"))
    {
        let fix = "remove `methods`, or count `requests`";
        findings.add(&methods.place, "names no method that is a call of a tool", fix);
    }
    check_transport(section, servers, findings);
    let calendar = Calendar {
        is_on: section.window.value == WindowWord::Calendar,
        begins: section.resets_at.as_ref().map_or(0, |begins| begins.value),
    };
    if let (false, Some(begins)) = (calendar.is_on, &section.resets_at) {
        findings.add(&begins.place, "has no effect without `window: calendar`", "add that, or remove this");
    }
    if unit == Unit::InFlight && calendar.is_on {
        findings.add(&section.window.place, "has no effect on `in_flight`", "remove it");
    }
    let numbers = Numbers { rates: &section.rate, burst: &section.burst, max: &section.max, place };
    let mut windows = windows(unit, &numbers, calendar, findings);
    let mut overrides: Box<[Override]> =
        section.overrides.value.iter().map(|one| exception(one, unit, calendar, findings)).collect();
    if let Some(marks) = marks(section, findings) {
        let others = overrides.iter_mut().flat_map(|other| &mut other.windows);
        windows.iter_mut().chain(others).for_each(|window| window.alerts = marks);
    }
    let when = section.when.as_ref().and_then(|when| expression(&when.value, &when.place, findings));
    let key = key::parts(&section.key, findings);
    Some(Limit {
        overrides,
        mode: section.mode.value,
        charge: section.charge.value,
        deny_as: section.deny_as.value,
        servers: indices(&section.servers, servers, findings),
        methods: patterns(&section.methods),
        tools: patterns(&section.tools),
        who: Who { agents: patterns(&section.agents), roles: patterns(&section.roles), ..Who::default() },
        when,
        ..Limit::new(&section.name.as_ref()?.value, unit, key.into(), windows.into())
    })
}

/// Of what use of the limit the operator is told, where that is not what every such window has.
fn marks(section: &RateLimitSection, findings: &mut Findings) -> Option<Marks> {
    let Some(alerts) = &section.alerts else {
        return (section.unit.value == Unit::Cost).then_some(Marks::USUAL);
    };
    if section.unit.value == Unit::InFlight {
        findings.add(&alerts.place, "has no effect on `in_flight`", "remove it");
        return None;
    }
    Some(Marks::of(alerts.value.iter().map(|percent| u8::try_from(percent.value).unwrap_or(100))))
}

fn exception(
    At { value: section, place }: &At<OverrideSection>,
    unit: Unit,
    calendar: Calendar,
    findings: &mut Findings,
) -> Override {
    let who = Who {
        agents: patterns(&section.agents),
        roles: patterns(&section.roles),
        users: patterns(&section.users),
        tenants: patterns(&section.tenants),
    };
    if who == Who::default() {
        findings.add(place, "is for everybody", "say for whom: `agents`, `roles`, `users` or `tenants`");
    }
    let numbers = Numbers { rates: &section.rate, burst: &section.burst, max: &section.max, place };
    Override { who, windows: windows(unit, &numbers, calendar, findings) }
}

/// What says how much there is.
struct Numbers<'a> {
    rates: &'a Option<At<Vec<At<Rate>>>>,
    burst: &'a Option<At<u64>>,
    max: &'a Option<At<usize>>,
    place: &'a Place,
}

#[derive(Clone, Copy)]
struct Calendar {
    is_on: bool,
    begins: i32,
}

fn windows(unit: Unit, numbers: &Numbers<'_>, calendar: Calendar, findings: &mut Findings) -> Box<[Window]> {
    let Numbers { rates, burst, max, place } = numbers;
    if unit == Unit::InFlight {
        for place in rates.iter().map(|one| &one.place).chain(burst.iter().map(|one| &one.place)) {
            findings.add(place, "has no effect on `in_flight`", "give `max` instead");
        }
        let count = max.as_ref().and_then(|max| NonZeroU64::new(max.value as u64));
        if count.is_none() && rates.is_none() && !is_wrong(place, "max", findings) {
            findings.add(place, "does not say how many may be in flight", "add `max: 10`");
        }
        return count.map(|count| Window::new(Fill::Held { count })).into_iter().collect();
    }
    if let Some(max) = max {
        findings.add(&max.place, "is only for `in_flight`", "give `rate` instead");
    }
    let Some(rates) = rates else {
        if max.is_none() && !is_wrong(place, "rate", findings) {
            findings.add(place, "has no rate", "add `rate: 60/min`");
        }
        return Box::default();
    };
    check_together(&rates.value, findings);
    let mut windows = Vec::new();
    for (at, rate) in rates.value.iter().enumerate() {
        let burst = burst.as_ref().filter(|_| at == 0);
        windows.extend(window(unit, rate, burst, calendar, findings));
    }
    windows.into()
}

/// Whether an option is there but wrong: then there is a finding, and it reads as if it were absent.
fn is_wrong(place: &Place, option: &str, findings: &Findings) -> bool {
    let path = format!("{}.{option}", place.path);
    findings.iter().any(|finding| finding.place.path.starts_with(&path))
}

/// Notes what makes no sense side by side.
fn check_together(rates: &[At<Rate>], findings: &mut Findings) {
    let time = |rate: &Rate| match rate {
        Rate::Of { per, .. } => Some(per.time),
        Rate::Unlimited => None,
    };
    for (at, rate) in rates.iter().enumerate() {
        if rates.len() > 1 && rate.value == Rate::Unlimited {
            findings.add(&rate.place, "is `unlimited` beside other rates", "remove it");
        }
        if let Some(own) = time(&rate.value)
            && rates.iter().take(at).any(|other| time(&other.value) == Some(own))
        {
            let what = format!("is a second rate for {}", show_duration(own));
            findings.add(&rate.place, what, "keep the smaller of the two");
        }
    }
}

fn window(
    unit: Unit,
    rate: &At<Rate>,
    burst: Option<&At<u64>>,
    calendar: Calendar,
    findings: &mut Findings,
) -> Option<Window> {
    let At { value: Rate::Of { micros, unit: word, per }, place } = rate else {
        if let Some(burst) = burst {
            findings.add(&burst.place, "has no effect on `unlimited`", "remove it");
        }
        return None;
    };
    if let Some(word) = word
        && !is_word_of(word, unit)
    {
        let what = format!("counts `{word}`, but the unit is `{}`", unit.label());
        findings.add(place, what, "make them agree");
    }
    let count = units(unit, *micros, place, findings)?;
    let fill = if calendar.is_on {
        if let Some(burst) = burst {
            findings.add(
                &burst.place,
                "has no effect with `window: calendar`",
                "remove it: all is there at once",
            );
        }
        let Some(period) = per.period else {
            let fix = "write `/h`, `/day`, `/week` or `/month`, or remove `window: calendar`";
            findings.add(place, "has a time that is no period of the calendar", fix);
            return None;
        };
        Fill::Calendar { count, period, begins: calendar.begins }
    } else {
        let burst = match burst {
            Some(burst) => units(unit, burst.value, &burst.place, findings)?,
            None => count,
        };
        Fill::Steady { count, per: sliding(per, place, findings)?, burst }
    };
    Some(Window::new(fill))
}

/// Months have different lengths, so a rate per month needs the calendar.
fn sliding(per: &Per, place: &Place, findings: &mut Findings) -> Option<Duration> {
    if per.period == Some(crate::policy::rate_limit::Period::Month) {
        findings.add(
            place,
            "is a rate per month, which has no one length",
            "add `window: calendar`, or write `30days`",
        );
        return None;
    }
    Some(per.time)
}

/// So many units: of money, millionths.
fn units(unit: Unit, micros: u64, place: &Place, findings: &mut Findings) -> Option<NonZeroU64> {
    let units = if unit == Unit::Cost { micros } else { micros / MICROS };
    if unit != Unit::Cost && !micros.is_multiple_of(MICROS) {
        findings.add(place, format!("is a fraction of `{}`", unit.label()), "write a whole number");
        return None;
    }
    if units > UNITS_MAX {
        findings.add(
            place,
            "is too large",
            format!("write at most {}", UNITS_MAX / if unit == Unit::Cost { MICROS } else { 1 }),
        );
        return None;
    }
    let units = NonZeroU64::new(units);
    if units.is_none() {
        findings.add(place, "is 0, so that nothing would ever pass", "write at least 1");
    }
    units
}

fn is_word_of(word: &str, unit: Unit) -> bool {
    let label = unit.label();
    word == label
        || label.strip_suffix('s') == Some(word)
        || (unit == Unit::Cost && matches!(word, "USD" | "EUR"))
}

/// A loop is a limit like any other: its key has the arguments in it.
fn loop_breaker(section: &LoopBreakerSection) -> Limit {
    let calls = NonZeroU64::new(section.calls.value as u64).unwrap_or(NonZeroU64::MIN);
    let within = section.within.value;
    let key = vec![KeyPart::Caller, KeyPart::Server, KeyPart::Tool, KeyPart::Arguments];
    let advice = format!(
        "You have made the very same call {calls} times within {}: its result will not be another one. \
         Work with what you have, change the arguments, or tell the user what is in the way.",
        show_duration(within)
    );
    Limit {
        mode: section.mode.value,
        deny_as: section.deny_as.value,
        advice: Some(advice.into()),
        except: section.except.value.iter().map(|one| one.value.clone()).collect(),
        ..Limit::new(LOOP_BREAKER, Unit::Calls, key, vec![Window::steady(calls, within, calls)])
    }
}

fn price(
    At { value: section, place }: &At<PriceSection>,
    servers: &[Server],
    findings: &mut Findings,
) -> Price {
    let price = Price {
        servers: indices(&section.servers, servers, findings),
        tools: patterns(&section.tools),
        per_call: section.per_call.value,
        per_second: section.per_second.value,
        per_1k_tokens: section.per_1k_tokens.value,
    };
    for amount in [&section.per_call, &section.per_second, &section.per_1k_tokens] {
        if amount.value > UNITS_MAX {
            findings.add(&amount.place, "is too large", format!("write at most {}", UNITS_MAX / MICROS));
        }
    }
    let is_free = price.per_call == 0 && price.per_second == 0 && price.per_1k_tokens == 0;
    if is_free && section.servers.is_none() && section.tools.is_none() {
        findings.add(place, "makes everything free", "give it a price, or say of which tools it is");
    }
    price
}

/// Bytes of an exchange that a tokenizer counts, when the configuration does not say.
const COUNTED_BYTES_MAX: usize = 1 << 20;

fn tokens(section: &TokensSection, findings: &mut Findings) -> Tokens {
    let is_reported = section.count.value == CountWord::Reported;
    if let (false, Some(otherwise)) = (is_reported, &section.otherwise) {
        let fix = "add that, or remove this";
        findings.add(&otherwise.place, "has no effect without `count: reported`", fix);
    }
    let otherwise = section.otherwise.as_ref().map(|otherwise| otherwise.value);
    let by = otherwise.filter(|_| is_reported).unwrap_or(section.count.value);
    let bytes_max = section.max_bytes.as_ref().map_or(COUNTED_BYTES_MAX, |size| size.value);
    if let (true, Some(size)) = (by != CountWord::O200k, &section.max_bytes) {
        findings.add(&size.place, "has no effect without `o200k`", "add `count: o200k`, or remove this");
    }
    Tokens { reported: reported(section, findings), o200k: (by == CountWord::O200k).then_some(bytes_max) }
}

/// Where the server says how many.
fn reported(section: &TokensSection, findings: &mut Findings) -> Option<Box<str>> {
    match (section.count.value, &section.from) {
        (CountWord::Reported, Some(from)) => return Some(from.value.as_str().into()),
        (CountWord::Reported, None) if is_wrong(&section.place, "from", findings) => {}
        (CountWord::Reported, None) => {
            let fix = "add `from: /structuredContent/usage/total_tokens`, or where it stands";
            findings.add(&section.count.place, "does not say where the number stands", fix);
        }
        (CountWord::Estimate | CountWord::O200k, Some(from)) => {
            findings.add(&from.place, "has no effect without `count: reported`", "add that, or remove this");
        }
        (CountWord::Estimate | CountWord::O200k, None) => {}
    }
    None
}

fn expression(text: &str, place: &Place, findings: &mut Findings) -> Option<Expression> {
    let compiled = Expression::compile(text, VARIABLES);
    compiled
        .map_err(|fault| {
            findings.add(place, fault.what, "correct the expression: docs/limits.md has examples")
        })
        .ok()
}

fn patterns(list: &Option<At<Vec<At<Pattern>>>>) -> Box<[Pattern]> {
    list.iter().flat_map(|list| &list.value).map(|one| one.value.clone()).collect()
}

/// The indices of servers, by their names.
fn indices(list: &Option<At<Vec<At<String>>>>, servers: &[Server], findings: &mut Findings) -> Box<[u16]> {
    let mut found = Vec::new();
    for name in list.iter().flat_map(|list| &list.value) {
        match servers.iter().find(|server| *server.name == *name.value) {
            Some(server) => found.push(server.id.0),
            None => {
                let near = closest(&name.value, servers.iter().map(|server| &*server.name));
                let fix = near.map_or_else(
                    || "name one of `servers`".to_owned(),
                    |near| format!("did you mean `{near}`?"),
                );
                findings.add(&name.place, format!("`{}` is no server", name.value), fix);
            }
        }
    }
    found.into()
}
