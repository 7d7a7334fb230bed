//! A question in words: those of the command line, or those of the query of a URL.

use std::fmt::{self, Write as _};
use std::net::IpAddr;

use serde_json::{Map, Value as Json};

use super::{Question, Thing, issuer_of};
use crate::config::snapshot::Snapshot;
use crate::policy::principal::sorted;
use crate::policy::{Principal, Proof};
use crate::schema::moment;

/// Bytes of a query that is read.
pub const QUERY_BYTES_MAX: usize = 6 << 10;
/// Words of a query that is read.
pub const WORDS_MAX: usize = 64;
/// Steps of the path of a claim.
const STEPS_MAX: usize = 16;

/// A question that nobody has looked at yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Words {
    /// The server, by name.
    pub server: Option<String>,
    /// The method.
    pub method: Option<String>,
    /// The tool.
    pub tool: Option<String>,
    /// The prompt.
    pub prompt: Option<String>,
    /// The resource.
    pub resource: Option<String>,
    /// Who asks: `role=support`, `agent=x`, `claim:a.b=1`, ...
    pub caller: Vec<String>,
    /// The arguments, in JSON.
    pub arguments: Option<String>,
    /// The client's address.
    pub source: Option<String>,
    /// When, as RFC 3339 writes it.
    pub at: Option<String>,
    /// Header lines.
    pub headers: Vec<String>,
}

/// Why words make no question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// The word of a query that is wrong or missing.
    pub word: &'static str,
    /// What is the matter with it, and what to write.
    pub what: String,
}

impl Wrong {
    fn new(word: &'static str, what: impl Into<String>) -> Self {
        Self { word, what: what.into() }
    }
}

/// With the word as a query has it.
impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.word.is_empty() {
            return f.write_str(&self.what);
        }
        write!(f, "`{}`: {}", self.word, self.what)
    }
}

/// Where a word of a query goes.
enum Slot<'w> {
    One(&'w mut Option<String>),
    Any(&'w mut Vec<String>),
}

/// The words that a query may have.
const NAMES: [&str; 10] =
    ["server", "method", "tool", "prompt", "resource", "caller", "arguments", "source", "at", "header"];

impl Words {
    /// The words of a query, as forms encode it: `server=crm&tool=get&caller=agent%3Dx`. A `+` is a space, `%2B` a plus.
    ///
    /// # Errors
    /// What is wrong with it, in words: too much of it, a word that is none, one that is there twice, an escape that
    /// is none, text that is not UTF-8.
    pub fn from_query(query: &str) -> Result<Self, Wrong> {
        if query.len() > QUERY_BYTES_MAX {
            return Err(too_long());
        }
        let mut words = Self::default();
        let pairs = query.split('&').filter(|pair| !pair.is_empty());
        for (count, pair) in pairs.enumerate() {
            if count == WORDS_MAX {
                return Err(Wrong::new("", format!("the query has more than {WORDS_MAX} words")));
            }
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = NAMES.into_iter().find(|known| *known == name).ok_or_else(|| {
                Wrong::new("", format!("a word of the query is none of {}", NAMES.join(", ")))
            })?;
            let value = decoded(value)
                .filter(|value| !value.is_empty())
                .ok_or_else(|| Wrong::new(name, "is empty, not UTF-8, or has a % without two hex digits"))?;
            match words.slot(name) {
                Slot::Any(list) => list.push(value),
                Slot::One(Some(_)) => return Err(Wrong::new(name, "is there twice")),
                Slot::One(one) => *one = Some(value),
            }
        }
        Ok(words)
    }

    /// The query that [`Words::from_query`] reads as these words.
    ///
    /// # Errors
    /// If it would be longer than that reads.
    pub fn query(&self) -> Result<String, Wrong> {
        let mut query = String::new();
        let mut copy = self.clone();
        for name in NAMES {
            let values = match copy.slot(name) {
                Slot::One(one) => one.take().into_iter().collect(),
                Slot::Any(list) => std::mem::take(list),
            };
            for value in values {
                let and = if query.is_empty() { "" } else { "&" };
                // Writing to a string cannot fail.
                let _ = write!(query, "{and}{name}=");
                encode(&value, &mut query);
            }
        }
        if query.len() > QUERY_BYTES_MAX { Err(too_long()) } else { Ok(query) }
    }

    fn slot(&mut self, name: &str) -> Slot<'_> {
        match name {
            "server" => Slot::One(&mut self.server),
            "method" => Slot::One(&mut self.method),
            "tool" => Slot::One(&mut self.tool),
            "prompt" => Slot::One(&mut self.prompt),
            "resource" => Slot::One(&mut self.resource),
            "caller" => Slot::Any(&mut self.caller),
            "arguments" => Slot::One(&mut self.arguments),
            "source" => Slot::One(&mut self.source),
            "at" => Slot::One(&mut self.at),
            _ => Slot::Any(&mut self.headers),
        }
    }

    /// The question that the words ask. `now`: the present, in seconds since 1970.
    ///
    /// # Errors
    /// The first word that is wrong or missing.
    pub fn question(&self, snapshot: &Snapshot, now: u64) -> Result<Question, Wrong> {
        let server = match (&self.server, &*snapshot.servers) {
            (None, [only]) => only,
            (None, _) => return Err(Wrong::new("server", "say which server is meant, by its name")),
            (Some(name), servers) => {
                servers.iter().find(|server| *server.name == **name).ok_or_else(|| {
                    Wrong::new("server", format!("there is no server `{name}` in this configuration"))
                })?
            }
        };
        let thing = self.thing()?;
        let method = self.method.clone().or_else(|| thing.method().map(Into::into));
        let source = self.source.as_deref().map(str::parse::<IpAddr>).transpose();
        let arguments = self.arguments.as_deref().map(serde_json::from_str::<Json>).transpose();
        Ok(Question {
            principal: principal(&self.caller, snapshot)?,
            server: server.id,
            method: method.ok_or_else(|| {
                Wrong::new("method", "say what is asked for: a tool, a prompt, a resource or a method")
            })?,
            thing,
            arguments: arguments.map_err(|error| Wrong::new("arguments", format!("is not JSON: {error}")))?,
            source: source.map_err(|_| Wrong::new("source", "is not an IP address"))?,
            now: match &self.at {
                Some(text) => moment::moment(text)
                    .map_err(|problem| Wrong::new("at", format!("{} ({})", problem.what, problem.fix)))?,
                None => now,
            },
            headers: self.headers.iter().map(|line| header(line)).collect::<Result<_, _>>()?,
        })
    }

    fn thing(&self) -> Result<Thing, Wrong> {
        match (&self.tool, &self.prompt, &self.resource) {
            (Some(tool), None, None) => Ok(Thing::Tool(tool.clone())),
            (None, Some(prompt), None) => Ok(Thing::Prompt(prompt.clone())),
            (None, None, Some(uri)) => Ok(Thing::Resource(uri.clone())),
            (None, None, None) => Ok(Thing::Nothing),
            _ => Err(Wrong::new("tool", "give only one of a tool, a prompt and a resource")),
        }
    }
}

fn too_long() -> Wrong {
    Wrong::new("", format!("the query is longer than {QUERY_BYTES_MAX} bytes"))
}

/// RFC 3986 section 2.1, with the space of forms. `None` for an escape that is none, and for what is not UTF-8 then.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    loop {
        rest = match rest {
            [] => return String::from_utf8(bytes).ok(),
            [b'%', high, low, rest @ ..] => {
                let digit =
                    |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
                bytes.push(digit(*high)? << 4 | digit(*low)?);
                rest
            }
            [b'%', ..] => return None,
            [b'+', rest @ ..] => {
                bytes.push(b' ');
                rest
            }
            [byte, rest @ ..] => {
                bytes.push(*byte);
                rest
            }
        }
    }
}

/// All but the unreserved characters of RFC 3986 section 2.3 as escapes.
fn encode(text: &str, out: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
}

fn header(line: &str) -> Result<(String, String), Wrong> {
    match line.split_once(':') {
        Some((name, value)) if !name.is_empty() => {
            Ok((name.trim().to_ascii_lowercase(), value.trim().to_owned()))
        }
        _ => Err(Wrong::new("header", format!("`{line}` is not of the form `name: value`"))),
    }
}

/// The caller. One of whom nothing is said is anonymous; any other has a token unless `proof=` says otherwise.
fn principal(words: &[String], snapshot: &Snapshot) -> Result<Principal, Wrong> {
    let mut principal = Principal::anonymous([]);
    let (mut roles, mut scopes, mut issuer) = (Vec::new(), Vec::new(), None);
    if !words.is_empty() {
        principal.proof = Proof::Jwt;
    }
    for word in words {
        let wrong = || {
            let forms = "agent=, user=, tenant=, role=, scope=, proof=, issuer= or claim:PATH=";
            Wrong::new("caller", format!("`{word}`: write {forms}"))
        };
        let (key, value) = word.split_once('=').ok_or_else(wrong)?;
        match key {
            "agent" => principal.agent = Some(value.into()),
            "user" => principal.user = Some(value.into()),
            "tenant" => principal.tenant = Some(value.into()),
            "role" => roles.push(value.into()),
            "scope" => scopes.extend(value.split_whitespace().map(Into::into)),
            "issuer" => issuer = Some(value.into()),
            "proof" => principal.proof = proof(value).ok_or_else(wrong)?,
            _ => {
                let path = key.strip_prefix("claim:").filter(|path| !path.is_empty()).ok_or_else(wrong)?;
                put(&mut principal.claims, path, value).ok_or_else(wrong)?;
            }
        }
    }
    principal.roles = sorted(roles);
    principal.scopes = sorted(scopes);
    principal.issuer = issuer.unwrap_or_else(|| issuer_of(principal.proof, snapshot));
    Ok(principal)
}

fn proof(word: &str) -> Option<Proof> {
    let all = [Proof::Jwt, Proof::ApiKey, Proof::Certificate, Proof::Introspection, Proof::Anonymous];
    all.into_iter().find(|proof| proof.label() == word)
}

/// Sets a claim: a value that is JSON is taken as such, any other is text. `None` if something else is in the way, or
/// if the path is too long.
fn put(claims: &mut Json, path: &str, value: &str) -> Option<()> {
    let steps: Vec<String> = match path.strip_prefix('/') {
        Some(pointer) => pointer.split('/').map(|step| step.replace("~1", "/").replace("~0", "~")).collect(),
        None => path.split('.').map(Into::into).collect(),
    };
    if steps.len() > STEPS_MAX {
        return None;
    }
    let mut place = claims;
    for step in steps {
        if place.is_null() {
            *place = Json::Object(Map::new());
        }
        place = place.as_object_mut()?.entry(step).or_insert(Json::Null);
    }
    *place = serde_json::from_str(value).unwrap_or_else(|_| Json::String(value.to_owned()));
    Some(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_query_is_read_as_the_words_it_was_made_of() {
        let words = Words {
            server: Some("crm".into()),
            tool: Some("get_ü&=%+ x".into()),
            caller: vec!["agent=a+b".into(), "claim:a.b={\"c\": [1]}".into()],
            arguments: Some("{\"rows\": 5}".into()),
            at: Some("2026-01-05T22:00:00+02:00".into()),
            headers: vec!["x-team: red".into(), "x-team: blue".into()],
            ..Words::default()
        };
        let query = words.query().unwrap();
        assert!(query.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#'), "{query}");
        assert_eq!(Words::from_query(&query), Ok(words));
        assert_eq!(Words::from_query(""), Ok(Words::default()));
        let by_hand = Words::from_query("&tool=a+b%2bc&caller=agent=x&caller=role%3Dy&").unwrap();
        assert_eq!(by_hand.tool.as_deref(), Some("a b+c"));
        assert_eq!(by_hand.caller, ["agent=x", "role=y"]);
    }

    #[test]
    fn a_query_that_is_wrong_or_too_much_is_refused() {
        for (query, part) in [
            ("tool=a&tool=b", "`tool`: is there twice"),
            ("tool", "`tool`: is empty"),
            ("tool=", "`tool`: is empty"),
            ("tool=%", "`tool`: is empty, not UTF-8"),
            ("tool=%4", "without two hex digits"),
            ("tool=%g0", "without two hex digits"),
            ("tool=%+1", "without two hex digits"),
            ("tool=%ff", "not UTF-8"),
            ("as=agent%3Dx", "none of server, method, tool"),
            ("=x", "none of server"),
        ] {
            let wrong = Words::from_query(query).unwrap_err().to_string();
            assert!(wrong.contains(part), "{query}: {wrong}");
        }
        let callers = |count| vec!["caller=role=a"; count].join("&");
        assert_eq!(Words::from_query(&callers(WORDS_MAX)).unwrap().caller.len(), WORDS_MAX);
        let wrong = Words::from_query(&callers(WORDS_MAX + 1)).unwrap_err().to_string();
        assert!(wrong.contains("more than 64 words"), "{wrong}");
        let long = |bytes: usize| format!("tool={}", "a".repeat(bytes - 5));
        assert!(Words::from_query(&long(QUERY_BYTES_MAX)).is_ok());
        let wrong = Words::from_query(&long(QUERY_BYTES_MAX + 1)).unwrap_err().to_string();
        assert!(wrong.contains("longer than 6144 bytes"), "{wrong}");
        let words = Words { tool: Some("ä".repeat(QUERY_BYTES_MAX / 6)), ..Words::default() };
        assert!(words.query().unwrap_err().what.contains("longer than"));
    }

    #[test]
    fn the_path_of_a_claim_has_an_end() {
        let path = |steps: usize| vec!["a"; steps].join(".");
        assert!(put(&mut Json::Null, &path(STEPS_MAX), "1").is_some());
        assert!(put(&mut Json::Null, &path(STEPS_MAX + 1), "1").is_none());
    }
}
