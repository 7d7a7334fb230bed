//! A request that nobody sent, judged as if somebody had: for `tests`, for `ringgate explain` and for `GET /explain`.

mod words;

use std::net::IpAddr;

use serde_json::{Map, Value as Json, json};

use super::snapshot::{ServerId, Snapshot};
use crate::policy::authz::{Decision, Facts, Operation, Repeated, Rules, Target, Verdict};
use crate::policy::expr::ParsedMessage;
use crate::policy::rate_limit::{self, Ledger, Limits, Line, Message, Now};
use crate::policy::{Principal, Proof};

pub use words::{QUERY_BYTES_MAX, WORDS_MAX, Words, Wrong};

/// Who asks for what, with everything that a rule may look at.
#[derive(Clone, Debug)]
pub struct Question {
    /// Who.
    pub principal: Principal,
    /// Of which server.
    pub server: ServerId,
    /// The JSON-RPC method.
    pub method: String,
    /// What it is about.
    pub thing: Thing,
    /// `params.arguments`.
    pub arguments: Option<Json>,
    /// From where; `None`: over a Unix socket.
    pub source: Option<IpAddr>,
    /// Seconds since 1970 (UTC).
    pub now: u64,
    /// Header lines: names in lower case, and values.
    pub headers: Vec<(String, String)>,
}

/// What a request is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Thing {
    /// A tool.
    Tool(String),
    /// A prompt.
    Prompt(String),
    /// A resource, or a template.
    Resource(String),
    /// None.
    Nothing,
}

impl Thing {
    /// The method that uses it.
    pub fn method(&self) -> Option<&'static str> {
        match self {
            Self::Tool(_) => Some("tools/call"),
            Self::Prompt(_) => Some("prompts/get"),
            Self::Resource(_) => Some("resources/read"),
            Self::Nothing => None,
        }
    }

    fn target(&self) -> Target<'_> {
        match self {
            Self::Tool(name) => Target::Tool(name),
            Self::Prompt(name) => Target::Prompt(name),
            Self::Resource(uri) => Target::Resource(uri),
            Self::Nothing => Target::Protocol,
        }
    }
}

/// Who vouches for a caller that is proven so, if there is only one who can: what [`Principal::issuer`] then is.
/// Else the name of the proof.
pub fn issuer_of(proof: Proof, snapshot: &Snapshot) -> Box<str> {
    let authn = snapshot.authn.as_ref();
    let only = match proof {
        Proof::Jwt => authn.and_then(|authn| match &*authn.issuers {
            [only] => Some(&only.name),
            _ => None,
        }),
        Proof::Introspection => {
            let asked = authn.and_then(|authn| authn.introspection.as_ref());
            asked.map(|asked| asked.issuer.as_ref().unwrap_or(&asked.url))
        }
        Proof::ApiKey | Proof::Certificate | Proof::Anonymous => None,
    };
    only.cloned().unwrap_or_else(|| proof.label().into())
}

impl Question {
    /// What becomes of it. Scopes that every request to the server needs are asked for first, as the gateway does.
    pub fn decide(&self, snapshot: &Snapshot) -> Decision {
        let free = Decision { verdict: Verdict::Allow, rule: None, reported: None };
        if let Some(verdict) = self.lacks_scopes_of_server(snapshot) {
            return Decision { verdict, ..free };
        }
        let Some(rules) = &snapshot.access.rules else { return free };
        let grants = rules.grants(&self.principal);
        self.with_facts(|facts| rules.authorize(&grants, &self.principal, &self.operation(), facts))
    }

    /// Whether lists show it.
    pub fn is_shown(&self, snapshot: &Snapshot) -> bool {
        let Some(rules) = &snapshot.access.rules else { return true };
        let grants = rules.grants(&self.principal);
        rules.shows(&grants, &self.principal, &self.operation(), self.source, self.now)
    }

    /// The limits that it would touch if it came when the question says, with what `ledger` has left of them at `now`.
    pub fn limits<L: Ledger + ?Sized>(
        &self,
        limits: &Limits,
        secret: &rate_limit::Secret,
        ledger: &L,
        now: Now,
    ) -> Vec<Line> {
        let keys = limits.caller(secret, &self.principal);
        // What has no body is named in brackets: GET and DELETE.
        let message = if self.method.starts_with('(') {
            Message::None
        } else if self.method.starts_with("notifications/") {
            Message::OneWay
        } else {
            Message::Request
        };
        self.with_facts(|facts| {
            let header = |name: &str| (facts.header)(name);
            let facts = rate_limit::Facts {
                message,
                method: &self.method,
                target: self.thing.target(),
                is_first: true,
                server: self.server.0,
                principal: &self.principal,
                keys: &keys,
                source: self.source,
                body: facts.body,
                arguments: facts.arguments,
                header: &header,
                parsed: &ParsedMessage::default(),
            };
            limits.explain(secret, ledger, &facts, self.now, now)
        })
    }

    /// Why each rule does not match; `None` for those that do.
    pub fn why_not(&self, rules: &Rules) -> Vec<Option<String>> {
        let why = |index| {
            let why =
                self.with_facts(|facts| rules.why_not(index, &self.principal, &self.operation(), facts));
            why.map(|why| why.to_string())
        };
        (0..rules.list().len()).map(why).collect()
    }

    fn lacks_scopes_of_server(&self, snapshot: &Snapshot) -> Option<Verdict> {
        let scopes = &snapshot.server(self.server).protection.scopes;
        let counts = snapshot.authn.is_some() && self.principal.proof != Proof::Anonymous;
        let lacks = scopes.iter().any(|scope| !self.principal.has_scope(scope));
        (counts && lacks).then(|| Verdict::NeedsScope(scopes.join(" ").into()))
    }

    fn operation(&self) -> Operation<'_> {
        Operation { server: self.server.0, method: &self.method, target: self.thing.target() }
    }

    fn with_facts<T>(&self, ask: impl FnOnce(&Facts<'_>) -> T) -> T {
        let (body, arguments) = (self.body().to_string(), self.arguments.as_ref().map(Json::to_string));
        let header = |name: &str| {
            let mut lines = self.headers.iter().filter(|(own, _)| own == name);
            let value = lines.next().map(|(_, value)| value.as_bytes());
            if lines.next().is_some() { Err(Repeated) } else { Ok(value) }
        };
        ask(&Facts {
            source: self.source,
            now: self.now,
            body: if self.method.starts_with('(') { b"" } else { body.as_bytes() },
            arguments: arguments.as_deref().map(str::as_bytes),
            header: &header,
            parsed: &ParsedMessage::default(),
        })
    }

    /// The message that a client would send.
    fn body(&self) -> Json {
        let mut params = Map::new();
        match &self.thing {
            Thing::Tool(name) | Thing::Prompt(name) => params.insert("name".to_owned(), json!(name)),
            Thing::Resource(uri) => params.insert("uri".to_owned(), json!(uri)),
            Thing::Nothing => None,
        };
        if let Some(arguments) = &self.arguments {
            params.insert("arguments".to_owned(), arguments.clone());
        }
        json!({"jsonrpc": "2.0", "id": 1, "method": self.method, "params": params})
    }
}
