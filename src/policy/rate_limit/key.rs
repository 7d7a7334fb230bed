//! What has a bucket of its own: the parts of a key, and the hash that stands for their values.

use std::net::IpAddr;

use serde_json::Value as Json;

use super::facts::Asked;
use super::sip::{Secret, Sip};
use super::{BucketKey, Limits};
use crate::policy::authz::{Path, Repeated};
use crate::policy::expr::Expression;
use crate::policy::{Principal, Proof};

/// A part of the key of a limit. Requests that lack it share one value, which no request that has it has.
#[derive(Debug, PartialEq)]
pub enum KeyPart {
    /// The workload that calls.
    Agent,
    /// On whose behalf.
    User,
    /// The tenant of both.
    Tenant,
    /// The caller as a whole: issuer, agent, user and tenant; one without a credential by its address.
    Caller,
    /// The server.
    Server,
    /// The tool.
    Tool,
    /// The JSON-RPC method.
    Method,
    /// The client's address: so many leading bits of it.
    Source {
        /// Of an IPv4 address.
        v4_bits: u8,
        /// Of an IPv6 address.
        v6_bits: u8,
    },
    /// A claim of the caller's token.
    Claim(Path),
    /// A header, by its lower-case name. Requests that have it more than once share one value.
    Header(Box<str>),
    /// `params.arguments`, byte by byte.
    Arguments,
    /// The value of an expression.
    Cel(Expression),
}

impl KeyPart {
    /// Its name in messages.
    pub fn label(&self) -> String {
        match self {
            Self::Agent => "agent".into(),
            Self::User => "user".into(),
            Self::Tenant => "tenant".into(),
            Self::Caller => "caller".into(),
            Self::Server => "server".into(),
            Self::Tool => "tool".into(),
            Self::Method => "method".into(),
            Self::Source { v4_bits, v6_bits } => format!("source/{v4_bits}/{v6_bits}"),
            Self::Claim(path) => format!("claim:{path}"),
            Self::Header(name) => format!("header:{name}"),
            Self::Arguments => "arguments".into(),
            Self::Cel(expression) => format!("cel:{}", expression.text()),
        }
    }

    /// Whether a caller can make as many values of it as it likes.
    pub fn is_chosen(&self) -> bool {
        match self {
            Self::Tool | Self::Method | Self::Header(_) | Self::Arguments | Self::Cel(_) => true,
            Self::Agent
            | Self::User
            | Self::Tenant
            | Self::Caller
            | Self::Server
            | Self::Source { .. }
            | Self::Claim(_) => false,
        }
    }

    /// The leading bits of an address that count.
    fn network(address: IpAddr, v4_bits: u8, v6_bits: u8) -> u128 {
        let cut = |bits: u128, width: u32, kept: u8| {
            let gone = width - u32::from(kept).min(width);
            bits.checked_shr(gone).unwrap_or(0)
        };
        match address.to_canonical() {
            // What an IPv4 network and an IPv6 one have in common is nothing.
            IpAddr::V4(address) => cut(u128::from(address.to_bits()), 32, v4_bits) | 1 << 127,
            IpAddr::V6(address) => cut(address.to_bits(), 128, v6_bits) & !(1 << 127),
        }
    }
}

/// What of a caller counts for limits, worked out once: the hashes of its names, and which override is for it.
#[derive(Clone, Debug)]
pub struct CallerKeys {
    agent: u128,
    user: u128,
    tenant: u128,
    caller: u128,
    /// Whether it is told from others by nothing but its address.
    is_nameless: bool,
    /// For each limit: 0 for its own windows, n for override n - 1, [`NOT_CONCERNED`].
    plans: Box<[u8]>,
}

/// The plan of who is not limited.
pub const NOT_CONCERNED: u8 = u8::MAX;

impl CallerKeys {
    /// The plan of this limit for the caller.
    #[inline]
    pub fn plan(&self, limit: u16) -> u8 {
        self.plans.get(usize::from(limit)).copied().unwrap_or(0)
    }
}

impl Limits {
    /// What of a principal counts for these limits. Keep it with the caller, for as long as this configuration runs.
    pub fn caller(&self, secret: &Secret, principal: &Principal) -> CallerKeys {
        let text = |text: &Option<Box<str>>| {
            let mut sip = Sip::new(secret);
            match text {
                Some(text) => sip.bytes(text.as_bytes()),
                None => sip.word(ABSENT),
            }
            sip.finish()
        };
        let mut caller = Sip::new(secret);
        caller.bytes(&principal.identity());
        let plan = |limit: &super::Limit| {
            if !limit.who.includes(principal) {
                return NOT_CONCERNED;
            }
            let fitting = limit.overrides.iter().position(|other| other.who.includes(principal));
            fitting.map_or(0, |at| u8::try_from(at + 1).unwrap_or(NOT_CONCERNED))
        };
        CallerKeys {
            agent: text(&principal.agent),
            user: text(&principal.user),
            tenant: text(&principal.tenant),
            caller: caller.finish(),
            is_nameless: principal.proof == Proof::Anonymous,
            plans: self.limits.iter().map(plan).collect(),
        }
    }
}

/// In place of the length of a text that is not there.
const ABSENT: u64 = u64::MAX;
/// In place of the length of a value that cannot be computed.
const UNKNOWN: u64 = u64::MAX - 1;
/// In place of the length of a header that is there more than once.
const REPEATED: u64 = u64::MAX - 2;

/// The values of a limit's key for one request; the windows of the limit add what they are.
#[derive(Clone, Copy)]
pub struct Values {
    sip: Sip,
}

impl Values {
    /// Of this request.
    #[inline]
    pub fn of(parts: &[KeyPart], secret: &Secret, asked: &Asked<'_, '_>) -> Self {
        let mut sip = Sip::new(secret);
        for part in parts {
            absorb(&mut sip, part, asked);
        }
        Self { sip }
    }

    /// The bucket of a window.
    #[inline]
    pub fn bucket(mut self, identity: u128) -> BucketKey {
        self.sip.hash(identity);
        BucketKey(self.sip.finish())
    }
}

#[inline]
fn absorb(sip: &mut Sip, part: &KeyPart, asked: &Asked<'_, '_>) {
    let (facts, keys) = (asked.facts, asked.facts.keys);
    match part {
        KeyPart::Agent => sip.hash(keys.agent),
        KeyPart::User => sip.hash(keys.user),
        KeyPart::Tenant => sip.hash(keys.tenant),
        KeyPart::Caller => {
            sip.hash(keys.caller);
            if keys.is_nameless {
                absorb_address(sip, facts.source, 32, 64);
            }
        }
        KeyPart::Server => sip.bytes(asked.server().as_bytes()),
        KeyPart::Tool => match facts.tool() {
            Some(tool) => sip.bytes(tool.as_bytes()),
            None => sip.word(ABSENT),
        },
        KeyPart::Method => sip.bytes(facts.method.as_bytes()),
        KeyPart::Source { v4_bits, v6_bits } => absorb_address(sip, facts.source, *v4_bits, *v6_bits),
        KeyPart::Header(name) => match (facts.header)(name) {
            Ok(Some(value)) => sip.bytes(value),
            Ok(None) => sip.word(ABSENT),
            Err(Repeated) => sip.word(REPEATED),
        },
        KeyPart::Arguments => match facts.arguments {
            Some(bytes) => sip.bytes(bytes),
            None => sip.word(ABSENT),
        },
        KeyPart::Claim(path) => absorb_claim(sip, path.find(&facts.principal.claims)),
        KeyPart::Cel(expression) => match asked.text(expression) {
            Some(text) => sip.bytes(text.as_bytes()),
            None => sip.word(UNKNOWN),
        },
    }
}

fn absorb_address(sip: &mut Sip, address: Option<IpAddr>, v4_bits: u8, v6_bits: u8) {
    match address {
        Some(address) => sip.hash(KeyPart::network(address, v4_bits, v6_bits)),
        None => sip.hash(u128::MAX),
    }
}

fn absorb_claim(sip: &mut Sip, claim: Option<&Json>) {
    match claim {
        None | Some(Json::Null) => sip.word(ABSENT),
        Some(Json::String(text)) => sip.bytes(text.as_bytes()),
        Some(other) => sip.bytes(other.to_string().as_bytes()),
    }
}
