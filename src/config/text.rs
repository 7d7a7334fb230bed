//! The spellings of addresses, names, paths and references: text to value, or what is wrong with it.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU16;
use std::path::PathBuf;

use super::snapshot::{ListenAddress, Network, Workers};
use super::url::{Origin, origin};
use crate::base::Secret;
use crate::schema::finding::Problem;
use crate::schema::units::shorten;

/// Where the bytes of a certificate or key are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reference {
    /// In this environment variable.
    Env(String),
    /// In this file.
    File(PathBuf),
}

/// Where what must outlast the process is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StateWord {
    /// Nowhere.
    Off,
    /// In this directory.
    Directory(PathBuf),
}

/// The value of an added header: text, or where to read it.
#[derive(Clone, Debug)]
pub enum HeaderValue {
    /// As written. May be a secret that should have been a reference, so it is treated as one.
    Literal(Secret),
    /// `prefix`, then what the reference names.
    From {
        /// Empty, or one word and a space, such as `Bearer `.
        prefix: String,
        /// Where the rest is.
        reference: Reference,
    },
}

/// An element of `origins`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AllowedOrigin {
    /// `*`.
    Any,
    /// This one.
    One(Origin),
}

/// A reference, in any of its spellings.
pub fn reference(text: &str) -> Result<Reference, Problem> {
    check_variable(text)?;
    if text.is_empty() {
        return Err(Problem::new("is empty", "write a file name, `file:NAME` or `env:NAME`"));
    }
    if text.contains("-----BEGIN") {
        let fix = "put it in a file and name the file, or use `env:NAME`";
        return Err(Problem::new("holds PEM text itself", fix));
    }
    Ok(explicit_reference(text)?.unwrap_or_else(|| Reference::File(PathBuf::from(text))))
}

/// A directory, or `off`.
pub fn state(text: &str) -> Result<StateWord, Problem> {
    match text {
        "" => Err(Problem::new("is empty", "write a directory, or `off`")),
        "off" => Ok(StateWord::Off),
        path => Ok(StateWord::Directory(PathBuf::from(path))),
    }
}

/// Refuses the spelling of a variable that shells and other proxies have (`$NAME`, `${NAME}`): nothing would be put there.
fn check_variable(word: &str) -> Result<(), Problem> {
    let Some(name) = word.strip_prefix('$') else { return Ok(()) };
    let inner = name.strip_prefix('{').and_then(|name| name.strip_suffix('}'));
    let letter = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
    let is_name = match inner {
        Some(inner) => {
            !inner.is_empty() && inner.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        }
        None => name.len() > 1 && name.bytes().all(letter),
    };
    if !is_name {
        return Ok(());
    }
    let name = inner.unwrap_or(name);
    let fix = format!("write `env:{name}`, and with a word before it `Bearer env:{name}`");
    Err(Problem::new("names a variable as a shell does, which is not read here", fix))
}

/// A reference that says so: `env:NAME` or `file:NAME`.
fn explicit_reference(text: &str) -> Result<Option<Reference>, Problem> {
    if let Some(name) = text.strip_prefix("env:") {
        let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        if name.is_empty() || !name.bytes().all(word) {
            let fix = "write `env:NAME` with a name of letters, digits and `_`";
            return Err(Problem::new("does not name an environment variable", fix));
        }
        return Ok(Some(Reference::Env(name.to_owned())));
    }
    match text.strip_prefix("file:") {
        Some("") => Err(Problem::new("does not name a file", "write `file:/path/of/the/file`")),
        Some(path) if path.contains('\0') => Err(Problem::new("has a NUL in its file name", "remove it")),
        Some(path) => Ok(Some(Reference::File(PathBuf::from(path)))),
        None => Ok(None),
    }
}

/// The value of a header. Never quoted in a problem: it may be a secret.
pub fn header_value(text: &str) -> Result<HeaderValue, Problem> {
    text.split(' ').try_for_each(check_variable)?;
    let (prefix, rest) = match text.split_once(' ') {
        Some((word, rest)) if rest.starts_with("env:") || rest.starts_with("file:") => {
            (format!("{word} "), rest)
        }
        _ => (String::new(), text),
    };
    if let Some(reference) = explicit_reference(rest)? {
        check_header_bytes(prefix.trim_end().as_bytes(), true)?;
        return Ok(HeaderValue::From { prefix, reference });
    }
    check_header_bytes(text.as_bytes(), false)?;
    Ok(HeaderValue::Literal(Secret::new(text.as_bytes())))
}

/// Whether `value` can stand in a header (RFC 9110 section 5.5, without its obsolete bytes).
pub fn check_header_bytes(value: &[u8], may_be_empty: bool) -> Result<(), Problem> {
    if value.is_empty() && !may_be_empty {
        return Err(Problem::new("is empty", "give it a value, or remove the header"));
    }
    if !value.iter().all(|&byte| byte == b'\t' || (b' '..=b'~').contains(&byte)) {
        let fix = "use printable ASCII on one line; a file may end with one line break";
        return Err(Problem::new("has bytes that a header value cannot have", fix));
    }
    let blank = |byte: Option<&u8>| byte.is_some_and(|&byte| byte == b' ' || byte == b'\t');
    if blank(value.first()) || blank(value.last()) {
        return Err(Problem::new("begins or ends with a blank", "remove the blank"));
    }
    Ok(())
}

/// An element of `origins`.
pub fn allowed_origin(text: &str) -> Result<AllowedOrigin, Problem> {
    match text {
        "*" => Ok(AllowedOrigin::Any),
        "null" => {
            let fix = "serve such pages from a real origin and list that; every sandboxed page says `null`";
            Err(Problem::new("`null` is not an origin that can be told from others", fix))
        }
        _ => origin(text).map(AllowedOrigin::One),
    }
}

/// The name of a server.
pub fn server_name(text: &str) -> Result<String, Problem> {
    let fix = "use `a-z`, `0-9`, and between them `-`, `_`, `.`; at most 64";
    let edge =
        |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_.".contains(&byte);
    let bytes = text.as_bytes();
    if bytes.len() <= 64 && edge(bytes.first()) && edge(bytes.last()) && bytes.iter().copied().all(inner) {
        return Ok(text.to_owned());
    }
    Err(Problem::new(format!("`{}` cannot be a name", shorten(text)), fix))
}

/// The path of a server: what a client sends as it is, so nothing that another program might decode,
/// join or normalise on the way.
pub fn server_path(text: &str) -> Result<String, Problem> {
    let path = url_path(text)?;
    let mut segments = path.split('/').skip(1).peekable();
    if segments.clone().any(|segment| segment == "~") {
        return Err(Problem::new(
            "has a segment `~`",
            "choose another; `/~/` leads to the messages of `sse` servers",
        ));
    }
    if segments.peek() == Some(&".well-known") {
        return Err(Problem::new(
            "is below `/.well-known/`",
            "choose another; that path is the gateway's own",
        ));
    }
    Ok(path)
}

/// A path for messages, of which whole segments may be `*`.
pub fn message_path(text: &str) -> Result<String, Problem> {
    let path = url_path(text)?;
    if path.split('/').any(|segment| segment != "*" && segment.contains('*')) {
        return Err(Problem::new(
            format!("`{}` has a `*` within a segment", shorten(text)),
            "let `*` be a whole segment, as in `/messages/*`",
        ));
    }
    Ok(path)
}

/// An absolute path without query, escapes, empty or dot segments. A final slash is permitted.
pub fn url_path(text: &str) -> Result<String, Problem> {
    let Some(rest) = text.strip_prefix('/') else {
        return Err(Problem::new(
            format!("`{}` does not begin with /", shorten(text)),
            format!("write `/{}`", shorten(text)),
        ));
    };
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/".contains(&byte);
    if !text.bytes().all(allowed) {
        let fix = "use letters, digits and `-._~!$&'()*+,;=:@`; no query, no %-escapes, no blanks";
        return Err(Problem::new(
            format!("`{}` has characters that a path here cannot have", shorten(text)),
            fix,
        ));
    }
    let bad = |segment: &str| segment == "." || segment == "..";
    let inner_empty = rest.split('/').rev().skip(1).any(str::is_empty) || text.ends_with("//");
    if inner_empty || rest.split('/').any(bad) {
        let what = format!("`{}` has an empty, `.` or `..` segment", shorten(text));
        return Err(Problem::new(what, "write the path as it is after resolving them"));
    }
    if text.len() > PATH_BYTES_MAX {
        return Err(Problem::new(
            format!("has {} bytes", text.len()),
            format!("use at most {PATH_BYTES_MAX}"),
        ));
    }
    Ok(text.to_owned())
}

const PATH_BYTES_MAX: usize = 512;

/// The name of a tool: what MCP permits is wide, so only what cannot be sent is refused.
pub fn tool_name(text: &str) -> Result<String, Problem> {
    if text.is_empty() || text.len() > 256 || text.chars().any(char::is_control) {
        return Err(Problem::new("cannot be the name of a tool", "write the name as `tools/list` shows it"));
    }
    Ok(text.to_owned())
}

/// An audience: a URL or another identifier (RFC 7519 section 4.1.3).
pub fn audience(text: &str) -> Result<String, Problem> {
    if text.is_empty() || text.len() > 512 || text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(Problem::new("cannot be an audience", "write it as the issuer puts it in `aud`"));
    }
    Ok(text.to_owned())
}

/// A scope (RFC 6749 section 3.3).
pub fn scope(text: &str) -> Result<String, Problem> {
    let allowed = |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\';
    if text.is_empty() || text.len() > 256 || !text.bytes().all(allowed) {
        let fix = "write one scope as the issuer knows it; several are elements of the list";
        return Err(Problem::new(format!("`{}` cannot be a scope", shorten(text)), fix));
    }
    Ok(text.to_owned())
}

/// `auto`, a count, or a CPU list, which has a `-` or a `,` in it.
pub fn workers(text: &str) -> Result<Workers, Problem> {
    let fix =
        "write `auto`, a number of workers, or a CPU list such as `\"0-3,6\"`; CPU 3 alone is `\"3-3\"`";
    let problem = |what: String| Problem::new(what, fix);
    if text == "auto" {
        return Ok(Workers::Auto);
    }
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-' || byte == b',') {
        return Err(problem(format!("`{}` is not understood", shorten(text))));
    }
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        let count = text
            .parse::<u16>()
            .ok()
            .filter(|&count| usize::from(count) <= WORKERS_MAX)
            .and_then(NonZeroU16::new);
        // A number alone is always how many, also in quotes: were `"0"` a CPU, `"2"` would be one too.
        return count.map(Workers::Count).ok_or_else(|| {
            problem(format!("{}, how many workers to run, is not from 1 to {WORKERS_MAX}", shorten(text)))
        });
    }
    let mut cpus = Vec::new();
    for range in text.split(',') {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let cpu = |text: &str| text.parse::<u16>().ok().filter(|&cpu| usize::from(cpu) < CPUS_MAX);
        match (cpu(first), cpu(last)) {
            (Some(first), Some(last)) if first <= last => cpus.extend(first..=last),
            _ => {
                return Err(problem(format!("`{}` is not a range of CPUs below {CPUS_MAX}", shorten(range))));
            }
        }
        if cpus.len() > WORKERS_MAX {
            return Err(problem(format!("names more than {WORKERS_MAX} CPUs")));
        }
    }
    cpus.sort_unstable();
    match cpus.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(problem(format!("names CPU {} twice", pair[0]))),
        None => Ok(Workers::Cpus(cpus.into())),
    }
}

/// Worker threads of one gateway.
pub const WORKERS_MAX: usize = 1024;
/// CPU numbers of one host.
const CPUS_MAX: usize = 8192;

/// `ADDRESS:PORT` or `unix:/path`.
pub fn listen_address(text: &str) -> Result<ListenAddress, Problem> {
    match text.strip_prefix("unix:") {
        Some(path) => socket_path(path).map(|path| ListenAddress::Unix { path, mode: None }),
        None => socket_address(
            text,
            "write `ADDRESS:PORT` such as `0.0.0.0:8080` or `\"[::]:8080\"`, or `unix:/path`",
        )
        .map(ListenAddress::Tcp),
    }
}

/// `ADDRESS:PORT` or `off`.
pub fn admin_address(text: &str) -> Result<Option<SocketAddr>, Problem> {
    match text {
        "off" => Ok(None),
        _ => socket_address(text, "write `ADDRESS:PORT` such as `127.0.0.1:8079`, or `off`").map(Some),
    }
}

fn socket_address(text: &str, fix: &str) -> Result<SocketAddr, Problem> {
    let localhost = text.strip_prefix("localhost:").map(|port| format!("127.0.0.1:{port}"));
    let text = localhost.as_deref().unwrap_or(text);
    text.parse().map_err(|_| {
        let all = text.strip_prefix(['*', ':']).map(|rest| rest.trim_start_matches(':'));
        let hint = match all {
            Some(port) if port.parse::<u16>().is_ok() => format!("; `0.0.0.0:{port}` is every IPv4 address"),
            _ if text.contains("://") => "; an address has no scheme".to_owned(),
            _ if text.parse::<IpAddr>().is_ok() => "; the port is missing".to_owned(),
            _ => String::new(),
        };
        Problem::new(format!("`{}` is not an address and port", shorten(text)), format!("{fix}{hint}"))
    })
}

/// The path of a Unix socket: absolute, without a colon, short enough for the kernel.
pub fn socket_path(path: &str) -> Result<PathBuf, Problem> {
    let problem =
        |what: &str, fix: &str| Err(Problem::new(format!("`unix:{}` {what}", shorten(path)), fix.to_owned()));
    if !path.starts_with('/') || path.len() == 1 {
        return problem("does not name a socket by its absolute path", "write `unix:/run/name.sock`");
    }
    if path.contains([':', '\0']) {
        return problem("has a colon or NUL in the socket's path", "choose a path without them");
    }
    if path.len() > SOCKET_PATH_BYTES_MAX {
        return problem("is longer than the 107 bytes a socket's path may have", "choose a shorter path");
    }
    Ok(PathBuf::from(path))
}

/// `sun_path` is 108 bytes with its final NUL (unix(7)).
const SOCKET_PATH_BYTES_MAX: usize = 107;

/// Permission bits.
pub fn mode(text: &str) -> Result<u32, Problem> {
    let octal = text.len() == 4 && text.starts_with('0');
    let bits = octal.then(|| u32::from_str_radix(text, 8).ok()).flatten();
    let fix = "write four octal digits in quotes, such as `\"0660\"`";
    bits.ok_or_else(|| Problem::new(format!("`{}` is not a mode", shorten(text)), fix))
}

/// An address or an address block.
pub fn network(text: &str) -> Result<Network, Problem> {
    let problem = |what: &str| {
        Problem::new(
            format!("`{}` {what}", shorten(text)),
            "write an address or a network such as `10.0.0.0/8`",
        )
    };
    let (address, bits) = match text.split_once('/') {
        Some((address, bits)) => (address, Some(bits)),
        None => (text, None),
    };
    let address: IpAddr = address.parse().map_err(|_| problem("is not a network"))?;
    let width: u8 = if address.is_ipv4() { 32 } else { 128 };
    let prefix_bits = match bits {
        None => width,
        Some(bits) => {
            let bits = crate::schema::units::count(bits).and_then(|bits| u8::try_from(bits).ok());
            bits.filter(|&bits| bits <= width).ok_or_else(|| problem("has a prefix length out of range"))?
        }
    };
    let network = Network { address, prefix_bits };
    if network.first() == address { Ok(network) } else { Err(problem("has bits set behind its prefix")) }
}

#[cfg(test)]
mod tests;
