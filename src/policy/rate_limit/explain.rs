//! Which limits a request would touch, and what is left of them: for people. Nothing is taken.

use std::time::Duration;

use super::answer::show;
use super::charge::concerns;
use super::facts::{Asked, Facts, Now};
use super::key::{KeyPart, NOT_CONCERNED, Values};
use super::limit::{Limit, Mode, Unit};
use super::sip::{Secret, Sip};
use super::{BucketKey, Ledger, Level, Limits};
use crate::policy::authz::Repeated;

/// One window of a limit that concerns a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The limit's name.
    pub limit: Box<str>,
    /// The unit.
    pub unit: Unit,
    /// The rate in words.
    pub rate: String,
    /// It only reports.
    pub is_report: bool,
    /// Which override counts for the caller, from 0.
    pub exception: Option<u8>,
    /// The parts of the key and their values.
    pub key: Vec<(String, String)>,
    /// The bucket.
    pub bucket: BucketKey,
    /// What it holds.
    pub level: Level,
    /// The most that it ever holds.
    pub size: u64,
    /// How long until a unit is there, at most, if nobody takes any; zero if one is. `None`: it comes when somebody
    /// gives it back.
    pub wait: Option<Duration>,
    /// Whether the request would pass it now.
    pub passes: bool,
}

/// A bucket that a message touches: for those who count.
#[derive(Clone, Copy)]
pub struct Touched<'a, 'f> {
    /// The limit.
    pub limit: &'a Limit,
    /// The window, as [`super::Window::identity`] has it.
    pub window: u128,
    /// The bucket.
    pub bucket: BucketKey,
    secret: &'a Secret,
    asked: &'a Asked<'a, 'f>,
}

impl Touched<'_, '_> {
    /// The parts of the key and their values, each cut to [`VALUE_BYTES_MAX`].
    pub fn words(&self) -> Box<[(String, String)]> {
        self.limit
            .key
            .iter()
            .map(|part| (cut(part.label()), cut(value(part, self.secret, self.asked))))
            .collect()
    }
}

impl Line {
    /// The parts of the key and their values, each cut to [`VALUE_BYTES_MAX`].
    pub fn words(&self) -> impl Iterator<Item = (String, String)> {
        self.key.iter().map(|(part, value)| (cut(part.clone()), cut(value.clone())))
    }
}

/// Bytes of a value that are kept or shown, so that nobody can fill memory or a page with long names.
pub const VALUE_BYTES_MAX: usize = 128;

fn cut(mut text: String) -> String {
    if text.len() > VALUE_BYTES_MAX {
        let end = (0..=VALUE_BYTES_MAX).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
    text
}

impl Limits {
    /// Shows each bucket that this message touches; of one limit, if `only` says which. Allocates nothing itself.
    pub fn touch(
        &self,
        secret: &Secret,
        facts: &Facts<'_>,
        wall: u64,
        only: Option<u16>,
        mut see: impl FnMut(Touched<'_, '_>),
    ) {
        let (candidates, compare) = self.index.find(facts);
        let asked = Asked::new(self, facts, wall);
        for &at in candidates {
            let Some(limit) = self.limits.get(usize::from(at)) else { continue };
            let plan = facts.keys.plan(at);
            if only.is_some_and(|only| only != at) || plan == NOT_CONCERNED {
                continue;
            }
            // What was charged is known to be concerned.
            if only.is_none() && !concerns(limit, &asked, compare) {
                continue;
            }
            let values = Values::of(&limit.key, secret, &asked);
            for window in limit.windows_of(plan) {
                let bucket = values.bucket(window.identity);
                see(Touched { limit, window: window.identity, bucket, secret, asked: &asked });
            }
        }
    }

    /// The limits that this message would touch if it came at `wall` (seconds since 1970), as they are now. Units that
    /// cores hold are outstanding, which shows in the levels.
    pub fn explain<L: Ledger + ?Sized>(
        &self,
        secret: &Secret,
        ledger: &L,
        facts: &Facts<'_>,
        wall: u64,
        now: Now,
    ) -> Vec<Line> {
        let (candidates, compare) = self.index.find(facts);
        let asked = Asked::new(self, facts, wall);
        let mut lines = Vec::new();
        for &at in candidates {
            let Some(limit) = self.limits.get(usize::from(at)) else { continue };
            let plan = facts.keys.plan(at);
            if plan == NOT_CONCERNED || !concerns(limit, &asked, compare) {
                continue;
            }
            let values = Values::of(&limit.key, secret, &asked);
            for window in limit.windows_of(plan) {
                let bucket = values.bucket(window.identity);
                let level = ledger.level(bucket, &window.fill.refill(now.wall), now.ticks);
                let own = i64::try_from(level.outstanding).unwrap_or(i64::MAX);
                // What cores hold may be spent by this request as well, but for what is held to its end.
                let known = if limit.unit == Unit::InFlight { 0 } else { own };
                lines.push(Line {
                    limit: limit.name.clone(),
                    unit: limit.unit,
                    rate: show(limit.unit, &window.fill),
                    is_report: limit.mode == Mode::Report,
                    exception: plan.checked_sub(1),
                    key: limit.key.iter().map(|part| (part.label(), value(part, secret, &asked))).collect(),
                    bucket,
                    level,
                    size: window.fill.capacity(),
                    wait: (level.available > 0 || limit.unit != Unit::InFlight)
                        .then(|| window.fill.wait(level.available, now.wall)),
                    passes: level.available.saturating_add(known) > 0,
                });
            }
        }
        lines
    }
}

/// A part's value in words.
fn value(part: &KeyPart, secret: &Secret, asked: &Asked<'_, '_>) -> String {
    let (facts, principal) = (asked.facts, asked.facts.principal);
    let optional = |text: &Option<Box<str>>| text.as_deref().unwrap_or(NONE).to_owned();
    match part {
        KeyPart::Agent => optional(&principal.agent),
        KeyPart::User => optional(&principal.user),
        KeyPart::Tenant => optional(&principal.tenant),
        KeyPart::Caller => {
            let names = [&principal.agent, &principal.user, &principal.tenant];
            let named: Vec<&str> = names.iter().filter_map(|name| name.as_deref()).collect();
            if named.is_empty() { principal.proof.label().to_owned() } else { named.join(" ") }
        }
        KeyPart::Server => asked.server().to_owned(),
        KeyPart::Tool => facts.tool().unwrap_or(NONE).to_owned(),
        KeyPart::Method => facts.method.to_owned(),
        KeyPart::Source { .. } => facts.source.map_or_else(|| NONE.to_owned(), |address| address.to_string()),
        KeyPart::Claim(path) => {
            path.find(&principal.claims).map_or_else(|| NONE.to_owned(), ToString::to_string)
        }
        KeyPart::Header(name) => match (facts.header)(name) {
            Ok(Some(value)) => String::from_utf8_lossy(value).into_owned(),
            Ok(None) => NONE.to_owned(),
            Err(Repeated) => "(repeated)".to_owned(),
        },
        KeyPart::Arguments => {
            // What they say is nobody's business here; which are the same is.
            let arguments = facts.arguments.unwrap_or_default();
            let mut sip = Sip::new(secret);
            sip.bytes(arguments);
            format!("{} bytes #{:08x}", arguments.len(), sip.finish() as u32)
        }
        KeyPart::Cel(expression) => asked.text(expression).unwrap_or_else(|| "(no answer)".to_owned()),
    }
}

const NONE: &str = "(none)";
