//! `ringgate key new`: makes an API key, and the entry that lets it in.

use std::io::{self, Write};
use std::time::{SystemTime, UNIX_EPOCH};

use ring::rand::{SecureRandom, SystemRandom};
use serde_json::{Value as Json, json};

use crate::config::file::authentication::date;
use crate::config::text;
use crate::policy::authn::api_key::{self, Hash, SALT_BYTES, SECRET_BYTES};

/// What a key is to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Order {
    /// Its id; a random one if none is given.
    pub id: Option<String>,
    /// Whose it is.
    pub agent: Option<String>,
    /// The tenant it belongs to.
    pub tenant: Option<String>,
    /// When it ends, as the configuration takes it.
    pub expires: Option<String>,
    /// Roles it has.
    pub roles: Vec<String>,
    /// Scopes it has.
    pub scopes: Vec<String>,
    /// Servers it is for; all if none is named.
    pub servers: Vec<String>,
    /// Print JSON.
    pub json: bool,
}

/// Seconds since 1970 (UTC).
fn wall() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Makes a key and writes it, with its entry for `authentication.api_keys`, to `out`. Nothing is stored.
///
/// # Errors
/// What is wrong with the order in words for the operator, or that there is no randomness or no reader.
pub fn new(order: &Order, out: &mut dyn Write) -> Result<(), String> {
    let ends = order.expires.as_deref().and_then(date::parse);
    if ends.is_some_and(|end| end <= wall()) {
        return Err("--expires: that is over already; name a day to come".to_owned());
    }
    let random = Random { id: random()?, secret: random()?, salt: random()? };
    let text = made(order, &random)?;
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|error: io::Error| error.to_string())
}

/// What must not be guessed.
struct Random {
    id: [u8; 5],
    secret: [u8; SECRET_BYTES],
    salt: [u8; SALT_BYTES],
}

fn random<const N: usize>() -> Result<[u8; N], String> {
    let mut bytes = [0; N];
    match SystemRandom::new().fill(&mut bytes) {
        Ok(()) => Ok(bytes),
        Err(_) => Err("the system gives no random numbers".to_owned()),
    }
}

/// The text for this order and these random numbers.
fn made(order: &Order, random: &Random) -> Result<String, String> {
    let id = order.id.clone().unwrap_or_else(|| format!("k{}", api_key::hex(&random.id)));
    if !api_key::is_id(&id) {
        return Err("--id: use letters, digits, `-` and `.`; at most 64".to_owned());
    }
    let agent = order.agent.as_deref().unwrap_or(&id);
    if agent.is_empty() || agent.chars().any(char::is_control) {
        return Err("--agent: write a name on one line".to_owned());
    }
    if order.expires.as_deref().is_some_and(|end| date::parse(end).is_none()) {
        return Err(
            "--expires: write a day such as 2027-01-31, or a time such as 2027-01-31T12:00:00Z".to_owned()
        );
    }
    for (flag, names) in [("--role", &order.roles), ("--server", &order.servers)] {
        if names.iter().any(|name| name.chars().any(char::is_control)) {
            return Err(format!("{flag}: write a name on one line"));
        }
    }
    if order.tenant.as_deref().is_some_and(|name| name.chars().any(char::is_control)) {
        return Err("--tenant: write a name on one line".to_owned());
    }
    if let Some(wrong) = order.scopes.iter().find(|scope| text::scope(scope).is_err()) {
        return Err(format!(
            "--scope {wrong:?}: use printable characters without blanks, quotes and backslashes"
        ));
    }
    let key = api_key::mint(&id, &random.secret);
    let mut entry: Vec<(&str, Json)> = Vec::new();
    let mut put = |name, value: Json| entry.push((name, value));
    put("id", json!(id));
    put("hash", json!(Hash::of(key.as_bytes(), &random.salt).reveal()));
    put("agent", json!(agent));
    if let Some(tenant) = &order.tenant {
        put("tenant", json!(tenant));
    }
    if let Some(end) = &order.expires {
        put("expires", json!(end));
    }
    put("roles", json!(order.roles));
    for (name, values) in [("scopes", &order.scopes), ("servers", &order.servers)] {
        if !values.is_empty() {
            put(name, json!(values));
        }
    }
    if order.json {
        let entry: serde_json::Map<String, Json> =
            entry.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        return Ok(format!("{:#}\n", json!({"key": key, "entry": entry})));
    }
    let lines: Vec<String> = entry.iter().map(|(name, value)| format!("{name}: {}", yaml(value))).collect();
    Ok(format!(
        "# The key. It is shown this once and stored nowhere: give it to the agent.\n\
         {key}\n\n\
         # Its entry in the configuration. It holds a hash, from which the key cannot be had.\n\
         authentication:\n  api_keys:\n    - {}\n",
        lines.join("\n      "),
    ))
}

/// A value as the configuration takes it: a text in single quotes, or a list of these.
fn yaml(value: &Json) -> String {
    match value {
        Json::String(text) => format!("'{}'", text.replace('\'', "''")),
        Json::Array(values) => format!("[{}]", values.iter().map(yaml).collect::<Vec<_>>().join(", ")),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::config::check;

    const RANDOM: Random = Random { id: [7; 5], secret: [1; SECRET_BYTES], salt: [2; SALT_BYTES] };

    fn order(id: Option<&str>, agent: Option<&str>, expires: Option<&str>) -> Order {
        let own = |text: Option<&str>| text.map(str::to_owned);
        Order { id: own(id), agent: own(agent), expires: own(expires), ..Order::default() }
    }

    #[test]
    fn what_is_printed_is_a_configuration() {
        for order in [
            order(None, None, None),
            order(Some("build-7.a"), Some("o'brien: #1"), Some("2999-01-31")),
            order(Some("123"), None, Some("2999-01-31T12:00:00+01:00")),
            Order {
                tenant: Some("acme, inc".into()),
                roles: vec!["ops".into(), "on: call".into()],
                scopes: vec!["mcp:tools".into()],
                servers: vec!["a".into()],
                ..Order::default()
            },
        ] {
            let text = made(&order, &RANDOM).unwrap();
            let directory = std::env::temp_dir().join(format!("ringgate-key-{}", std::process::id()));
            std::fs::create_dir_all(&directory).unwrap();
            let path = directory.join("f.yaml");
            let entry = &text[text.find("authentication:").unwrap()..];
            std::fs::write(&path, format!("servers: [{{name: a, url: 'http://a'}}]\n{entry}")).unwrap();
            let loaded = check::load(&path, 1);
            std::fs::remove_dir_all(&directory).unwrap();
            let authn = loaded.unwrap_or_else(|findings| panic!("{entry}\n{findings}")).authn.unwrap();
            let key = text.lines().find(|line| line.starts_with("rgk_")).unwrap();
            let facts = crate::policy::authn::Facts {
                server: "a",
                audiences: &[],
                anonymous: false,
                keys: &[],
                keys_are_fresh: false,
                certificate: None,
                now: 1_800_000_000,
            };
            let known = authn.api_keys.unwrap().authenticate(key.as_bytes(), &facts).unwrap();
            let agent = order.agent.as_deref().or(order.id.as_deref()).unwrap_or("k0707070707");
            assert_eq!(known.agent.as_deref(), Some(agent));
            assert_eq!(known.expires.is_some(), order.expires.is_some());
            assert_eq!(known.tenant.as_deref(), order.tenant.as_deref());
            assert_eq!(known.roles.len(), order.roles.len());
            assert!(order.roles.iter().all(|role| known.roles.iter().any(|have| **have == **role)));
            let json = made(&Order { json: true, ..order }, &RANDOM).unwrap();
            let json: Json = serde_json::from_str(&json).unwrap();
            assert_eq!(json["key"], key);
            assert!(json["entry"]["hash"].as_str().unwrap().starts_with("sha256:"));
        }
    }

    #[test]
    fn each_key_is_another_one() {
        let print = || {
            let mut out = Vec::new();
            new(&Order::default(), &mut out).unwrap();
            String::from_utf8(out).unwrap()
        };
        let line = |text: &str, start: &str| {
            text.lines().find(|line| line.trim_start().starts_with(start)).unwrap().to_owned()
        };
        let (one, other) = (print(), print());
        for start in ["rgk_", "- id:", "hash:"] {
            assert_ne!(line(&one, start), line(&other, start));
        }
    }

    #[test]
    fn a_key_that_has_ended_is_not_made() {
        let over = order(None, None, Some("2020-01-31"));
        assert!(new(&over, &mut Vec::new()).unwrap_err().starts_with("--expires: that is over"));
    }

    #[test]
    fn a_wrong_order_is_explained_by_its_flag() {
        for (order, flag) in [
            (order(Some("a_b"), None, None), "--id"),
            (order(Some(""), None, None), "--id"),
            (order(None, Some(""), None), "--agent"),
            (order(None, Some("a\nb"), None), "--agent"),
            (order(None, None, Some("soon")), "--expires"),
            (Order { roles: vec!["a\nb".into()], ..Order::default() }, "--role"),
            (Order { servers: vec!["a\nb".into()], ..Order::default() }, "--server"),
            (Order { scopes: vec!["a b".into()], ..Order::default() }, "--scope"),
            (Order { tenant: Some("\n".into()), ..Order::default() }, "--tenant"),
        ] {
            assert!(made(&order, &RANDOM).unwrap_err().starts_with(flag), "{flag}");
        }
    }
}
