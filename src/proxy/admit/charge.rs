//! Whether there is enough left for the request: every message against the limits, all of them or none.

use super::Refusal;
use super::message::{Read, Request, Verdict};
use super::permit::{Ask, plain, target_of, whole};
use super::refuser::Refuser;
use crate::base::Ticks;
use crate::link::note_alerts;
use crate::policy::authz::Target;
use crate::policy::authz::name::trimmed;
use crate::policy::rate_limit::{
    self, Answer, CallerKeys, Denial, END, Estimator, Facts, Limits, Message as Form, STREAM, Ticket,
    Transcript, Verdict as Charged,
};
use crate::proxy::hot::{Fate, show};
use crate::proxy::purse;
use crate::telemetry::Cause;
use crate::wire::http1::Method;
use crate::wire::jsonrpc::{self, Envelope, Kind, Message};
use crate::wire::mcp;

/// What was taken for a request.
#[derive(Default)]
pub struct Taken {
    /// To be settled at the end of the exchange.
    pub ticket: Option<Box<Ticket>>,
    /// Tokens of its arguments, where they are counted.
    pub tokens: u64,
    /// Its arguments, where a tokenizer is to count them.
    pub transcript: Option<Box<Transcript>>,
}

/// Takes what the request uses.
pub fn charge(
    ask: &Ask<'_, '_>,
    request: &Request<'_, '_>,
    verdict: &Verdict,
    read: Option<&Read<'_>>,
    now: Ticks,
    refuser: &Refuser<'_>,
) -> Result<Taken, Refusal> {
    let snapshot = &ask.live.deployment.snapshot;
    let (Some(limits), Some(keys)) = (&snapshot.rate_limits, &ask.caller.keys) else {
        return Ok(Taken::default());
    };
    if limits.is_empty() {
        return Ok(Taken::default());
    }
    let mut charging = Charging {
        ask,
        limits,
        keys,
        ticket: ask.worker.purse.ticket(),
        now: purse::now(ask.worker, now),
        tokens: Estimator::default(),
        transcript: None,
        refused: None,
        is_first: true,
        answerable: request.route.rest.is_none() && !matches!(read, Some((Message::Batch(_), _))),
        modern: verdict.modern,
        is_batch: matches!(read, Some((Message::Batch(_), _))),
    };
    match read {
        None => {
            let method = if request.head.method == Method::Get { STREAM } else { END };
            charging.bodiless(method, refuser);
        }
        Some((Message::Single(envelope), _)) => charging.one(envelope, refuser),
        Some((Message::Batch(_), body)) => {
            // It was read before, so it can be read again.
            let _ = jsonrpc::for_each_envelope(*body, &super::json_limits(request.limits), |envelope| {
                charging.one(&envelope, refuser);
            });
        }
    }
    charging.end()
}

struct Charging<'a, 'h, 'b> {
    ask: &'a Ask<'h, 'b>,
    limits: &'a Limits,
    keys: &'a CallerKeys,
    ticket: Box<Ticket>,
    now: rate_limit::Now,
    tokens: Estimator,
    transcript: Option<Box<Transcript>>,
    refused: Option<Refusal>,
    is_first: bool,
    /// The body of the answer can be the result of the call: of a batch it would answer one message only, and clients of
    /// HTTP+SSE take results out of their stream.
    answerable: bool,
    modern: bool,
    /// Each message of a batch is parsed for itself.
    is_batch: bool,
}

impl Charging<'_, '_, '_> {
    fn bodiless(&mut self, method: &str, refuser: &Refuser<'_>) {
        self.take(Form::None, method, Target::Protocol, &[], None, None, refuser);
    }

    fn one(&mut self, envelope: &Envelope<'_>, refuser: &Refuser<'_>) {
        if self.refused.is_some() {
            return;
        }
        let (mut first, mut second) = (String::new(), String::new());
        let form = if envelope.kind() == Kind::Request { Form::Request } else { Form::OneWay };
        let Some(name) = envelope.method() else {
            return self.take(form, "(response)", Target::Protocol, whole(envelope), None, None, refuser);
        };
        let name = trimmed(plain(name, &mut first));
        // What names nothing where it must is the server's to refuse, and counts as what it is.
        let target =
            target_of(envelope, mcp::method(name.as_bytes()), &mut second).unwrap_or(Target::Protocol);
        // A limit counts what a lenient server would run.
        let target = match target {
            Target::Tool(name) => Target::Tool(trimmed(name)),
            Target::Prompt(name) => Target::Prompt(trimmed(name)),
            Target::Resource(_) | Target::Protocol => target,
        };
        self.take(form, name, target, whole(envelope), envelope.arguments(), envelope.id(), refuser);
    }

    #[allow(clippy::too_many_arguments)]
    fn take(
        &mut self,
        message: Form,
        method: &str,
        target: Target<'_>,
        body: &[u8],
        arguments: Option<&[u8]>,
        id: Option<&[u8]>,
        refuser: &Refuser<'_>,
    ) {
        let header = |name: &str| self.ask.header(name);
        let of_part = self.is_batch.then(|| self.ask.parsed.next());
        let parsed = of_part.as_ref().unwrap_or(self.ask.parsed);
        let facts = Facts {
            message,
            method,
            target,
            is_first: self.is_first,
            server: self.ask.server.id.0,
            principal: &self.ask.caller.principal,
            keys: self.keys,
            source: self.ask.source,
            body,
            arguments,
            header: &header,
            parsed,
        };
        self.is_first = false;
        let purse = &self.ask.worker.purse;
        let mut leases = purse.leases.borrow_mut();
        let verdict = self.limits.charge(&mut leases, &purse.clerk, &facts, self.now, &mut self.ticket);
        if let Some(parsed) = &of_part {
            self.ask.parsed.spend_as(parsed);
        }
        match verdict {
            Charged::Allow { reported } => {
                let secret = &self.ask.worker.shared.limit_secret;
                purse.hot.passed(self.limits, secret, &facts, self.now);
                if let Some(limit) = reported {
                    purse.hot.note(self.limits, secret, &facts, self.now, Some(limit), Fate::Reported);
                    self.note_limit(limit, true, &facts);
                }
                if self.ticket.wants().tokens {
                    self.note(arguments.unwrap_or_default());
                }
                let count = |limit: &str, percent| {
                    self.ask.worker.stats.borrow_mut().note_budget(limit, percent, 1);
                };
                let restraint = (&purse.alerts, self.now.ticks);
                note_alerts(self.limits, &mut leases, restraint, count, |alert| {
                    self.words(&facts, alert.limit)
                });
            }
            Charged::Deny(denial) => {
                self.limits.refund(&mut leases, &purse.clerk, &mut self.ticket, self.now);
                drop(leases);
                self.refused = Some(self.refuse(&denial, &facts, id, refuser));
            }
        }
    }

    /// Counts a message that a limit refuses, or would refuse in report mode, and says whose it is.
    fn note_limit(&self, limit: u16, reported: bool, facts: &Facts<'_>) {
        let worker = self.ask.worker;
        let name = &self.limits.list()[usize::from(limit)].name;
        worker.stats.borrow_mut().note_limit(name, reported);
        let line = if reported { "limit_reported" } else { "limit_refused" };
        let Some(kept_back) = worker.restraints.may_speak(line, Some(limit), worker.recently()) else {
            return;
        };
        let (key, server) = (self.words(facts, limit), &self.ask.server.name);
        if reported {
            tracing::info!(limit = %name, key, %server, kept_back, "a limit in report mode would refuse");
        } else {
            tracing::info!(limit = %name, key, %server, kept_back, "a limit refuses");
        }
    }

    /// The key of a limit for this message, in words.
    fn words(&self, facts: &Facts<'_>, limit: u16) -> String {
        let secret = &self.ask.worker.shared.limit_secret;
        let mut words = String::new();
        self.limits.touch(secret, facts, self.now.wall, Some(limit), |touched| {
            words = show(&touched.words());
        });
        words
    }

    /// Notes arguments whose tokens count.
    fn note(&mut self, arguments: &[u8]) {
        self.tokens.feed(arguments);
        let Some(bytes_max) = self.limits.tokens.o200k else { return };
        if self.transcript.is_none() {
            self.transcript = self.ask.worker.shared.counting.transcript(bytes_max);
        }
        if let Some(transcript) = &mut self.transcript {
            transcript.feed(arguments);
            transcript.end_text();
        }
    }

    fn refuse(
        &self,
        denial: &Denial,
        facts: &Facts<'_>,
        id: Option<&[u8]>,
        refuser: &Refuser<'_>,
    ) -> Refusal {
        let worker = self.ask.worker;
        self.note_limit(denial.limit, false, facts);
        let secret = &worker.shared.limit_secret;
        worker.purse.hot.note(self.limits, secret, facts, self.now, Some(denial.limit), Fate::Refused);
        let mut fields = Vec::with_capacity(128);
        self.limits.write_refusal_fields(denial, &mut fields);
        let mut body = Vec::with_capacity(256);
        let id = id.filter(|_| facts.message == Form::Request);
        let status = match (self.limits.answer(denial, facts), id) {
            (Answer::Result, Some(id)) if self.answerable => {
                self.limits.write_result(denial, id, self.modern, &mut body);
                200
            }
            (Answer::Result, _) => rate_limit::STATUS_DENIED,
            (Answer::Error(status), _) => status,
        };
        if body.is_empty() {
            let mut data = Vec::new();
            self.limits.write_data(denial, &mut data);
            let message = self.limits.message(denial);
            jsonrpc::write_error(&mut body, id, i64::from(status), &message, Some(&data));
        }
        refuser.whole(Cause::Limited, status, &fields, &body)
    }

    fn end(self) -> Result<Taken, Refusal> {
        let purse = &self.ask.worker.purse;
        if let Some(refusal) = self.refused {
            purse.give_back(self.ticket);
            if let Some(transcript) = self.transcript {
                self.ask.worker.shared.counting.put_back(transcript);
            }
            return Err(refusal);
        }
        if self.ticket.is_empty() {
            purse.give_back(self.ticket);
            return Ok(Taken::default());
        }
        let (tokens, ticket) = (self.tokens.tokens(), Some(self.ticket));
        Ok(Taken { ticket, tokens, transcript: self.transcript })
    }
}
