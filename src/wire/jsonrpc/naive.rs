//! The same answers, found the slow way: what property tests and fuzzing compare the extractor with.
//!
//! Shares nothing with it but the types: a recursive parser that builds a tree, governed fields as
//! paths, keys decoded by `serde_json`. Its own grammar is held against `serde_json` in turn.
#![allow(clippy::unwrap_used, missing_docs)]

use super::{
    BatchFacts, Envelope, FaultKind, Field, JsonLimits, Kind, Message, extract_envelope,
    extract_envelope_portable,
};
use crate::base::PAD;
use crate::wire::json::{DEPTH_CAP, Padded};
use std::ops::Range;

/// Every field and its path, in no particular order.
const PATHS: [(Field, &[&str]); 31] = [
    (Field::Jsonrpc, &["jsonrpc"]),
    (Field::Id, &["id"]),
    (Field::Method, &["method"]),
    (Field::Params, &["params"]),
    (Field::Result, &["result"]),
    (Field::Error, &["error"]),
    (Field::Name, &["params", "name"]),
    (Field::Uri, &["params", "uri"]),
    (Field::Ref, &["params", "ref"]),
    (Field::TaskId, &["params", "taskId"]),
    (Field::Task, &["params", "task"]),
    (Field::Cursor, &["params", "cursor"]),
    (Field::RequestState, &["params", "requestState"]),
    (Field::InputResponses, &["params", "inputResponses"]),
    (Field::Arguments, &["params", "arguments"]),
    (Field::Meta, &["params", "_meta"]),
    (Field::RequestId, &["params", "requestId"]),
    (Field::ProgressToken, &["params", "progressToken"]),
    (Field::ProtocolVersion, &["params", "protocolVersion"]),
    (Field::Level, &["params", "level"]),
    (Field::RefType, &["params", "ref", "type"]),
    (Field::RefName, &["params", "ref", "name"]),
    (Field::RefUri, &["params", "ref", "uri"]),
    (Field::MetaVersion, &["params", "_meta", "io.modelcontextprotocol/protocolVersion"]),
    (Field::MetaCapabilities, &["params", "_meta", "io.modelcontextprotocol/clientCapabilities"]),
    (Field::MetaClientInfo, &["params", "_meta", "io.modelcontextprotocol/clientInfo"]),
    (Field::MetaLogLevel, &["params", "_meta", "io.modelcontextprotocol/logLevel"]),
    (Field::MetaProgressToken, &["params", "_meta", "progressToken"]),
    (Field::MetaTraceparent, &["params", "_meta", "traceparent"]),
    (Field::MetaTracestate, &["params", "_meta", "tracestate"]),
    (Field::MetaBaggage, &["params", "_meta", "baggage"]),
];

/// Checks `body`, followed by `behind`, against everything we can compare with. Returns whether it was
/// accepted.
///
/// # Panics
/// If any two disagree.
pub fn check(body: &[u8], behind: &[u8], limits: &JsonLimits) -> bool {
    let all: Vec<u8> = body.iter().copied().chain(behind.iter().copied().cycle().take(PAD)).collect();
    let all = if behind.is_empty() { [body, &[0; PAD]].concat() } else { all };
    let padded = Padded::new(&all, body.len()).unwrap();
    let expected = answer(body, limits);
    for extract in [extract_envelope, extract_envelope_portable] {
        let got = match extract(padded, limits) {
            Ok(Message::Single(envelope)) => Ok(Answer::Single(fields_of(&envelope))),
            Ok(Message::Batch(facts)) => Ok(Answer::Batch(facts)),
            Err(fault) => Err((fault.kind, fault.id.map(<[u8]>::to_vec))),
        };
        assert_eq!(got, expected, "{:?}", String::from_utf8_lossy(body));
    }
    check_grammar(body, &expected);
    if let Ok(Answer::Single(fields)) = &expected {
        check_values(body, fields);
    }
    expected.is_ok()
}

#[derive(Debug, PartialEq)]
enum Answer {
    Single(Fields),
    Batch(BatchFacts),
}

type Refusal = (FaultKind, Option<Vec<u8>>);

/// The kind of a message, and of each present field what stands there and what it means as text.
#[derive(Debug, PartialEq)]
struct Fields {
    kind: Kind,
    present: Vec<(Field, Range<usize>, Option<Vec<u8>>)>,
}

fn fields_of(envelope: &Envelope<'_>) -> Fields {
    let present = PATHS.iter().filter_map(|&(field, _)| {
        let span = envelope.parts().span(field)?;
        let text = is_text(field).then(|| {
            let mut out = Vec::new();
            envelope.text(field).unwrap().decode(&mut out);
            assert!(envelope.text(field).unwrap().eq(&out));
            out
        });
        Some((field, span.range(), text))
    });
    Fields { kind: envelope.kind(), present: present.collect() }
}

/// The body's verdict by `serde_json`, which knows no depth but its own and decodes no skipped text.
fn check_grammar(body: &[u8], expected: &Result<Answer, Refusal>) {
    let parsed = std::str::from_utf8(body).ok().map(serde_json::from_str::<serde::de::IgnoredAny>);
    match expected {
        Err((FaultKind::Depth, _)) => {}
        Err((FaultKind::Utf8, _)) => assert!(parsed.is_none()),
        Err((FaultKind::Syntax, _)) => assert!(!matches!(parsed, Some(Ok(_))), "serde_json accepts"),
        _ => assert!(matches!(parsed, Some(Ok(_))), "serde_json refuses {parsed:?}"),
    }
}

/// The texts that were found against a whole-document parse, where that takes the document at all
/// (it refuses lone surrogates and numbers out of range).
fn check_values(body: &[u8], fields: &Fields) {
    let Ok(value) = serde_json::from_slice::<serde_json::Value>(body) else { return };
    for (field, path) in PATHS {
        let found = fields.present.iter().find(|(present, ..)| *present == field);
        let whole = path.iter().try_fold(&value, |value, key| value.get(key));
        match (found, whole) {
            (Some((_, _, Some(text))), Some(whole)) => assert_eq!(whole.as_str().unwrap().as_bytes(), text),
            (Some((_, span, None)), Some(whole)) => {
                assert_eq!(&serde_json::from_slice::<serde_json::Value>(&body[span.clone()]).unwrap(), whole);
            }
            (Some(_), None) => panic!("{field:?} was found and is not there"),
            (None, Some(whole)) => assert!(whole.is_null() || is_ignorable(field), "{field:?} was not found"),
            (None, None) => {}
        }
    }
}

fn answer(body: &[u8], limits: &JsonLimits) -> Result<Answer, Refusal> {
    let silent = |kind| (kind, None);
    let mut parser = Parser { body, at: 0, depth_max: limits.depth_max.min(DEPTH_CAP) };
    let node = parser.document().map_err(silent)?;
    if std::str::from_utf8(body).is_err() {
        return Err(silent(FaultKind::Utf8));
    }
    let Tree::List(elements) = &node.tree else {
        return message(body, &node, limits).map(Answer::Single);
    };
    if elements.is_empty() {
        return Err(silent(FaultKind::BatchEmpty));
    }
    let mut facts = BatchFacts::default();
    for element in elements {
        facts.count += 1;
        if facts.count > limits.batch_max {
            return Err(silent(FaultKind::BatchTooLong));
        }
        let fields = message(body, element, limits).map_err(|(kind, _)| silent(kind))?;
        match fields.kind {
            Kind::Request => facts.requests += 1,
            Kind::Notification => facts.notifications += 1,
            Kind::Response => facts.responses += 1,
        }
        for (field, _, text) in &fields.present {
            facts.has_initialize |= *field == Field::Method && text.as_deref() == Some(b"initialize");
            facts.has_meta_version |= *field == Field::MetaVersion;
        }
    }
    Ok(Answer::Batch(facts))
}

fn message(body: &[u8], node: &Node, limits: &JsonLimits) -> Result<Fields, Refusal> {
    let mut walk = Walk { body, seen: Vec::new(), present: Vec::new(), fault: None, id_in_doubt: false };
    match &node.tree {
        Tree::Map(members) => walk.object(&[], members),
        _ => walk.fault = Some(FaultKind::NotObject),
    }
    let verdict = walk.kind(limits);
    let id = walk.span(Field::Id).map(|span| body[span].to_vec());
    walk.present.sort_by_key(|(field, ..)| PATHS.iter().position(|(other, _)| other == field));
    match verdict {
        Ok(kind) => Ok(Fields { kind, present: walk.present }),
        Err(kind) => {
            Err((kind, id.filter(|id| !walk.id_in_doubt && id.len() <= limits.id_bytes_max as usize)))
        }
    }
}

/// A walk through the governed part of a message.
struct Walk<'a> {
    body: &'a [u8],
    seen: Vec<Field>,
    present: Vec<(Field, Range<usize>, Option<Vec<u8>>)>,
    fault: Option<FaultKind>,
    id_in_doubt: bool,
}

impl Walk<'_> {
    fn object(&mut self, path: &[&str], members: &[(Range<usize>, Node)]) {
        let here: Vec<_> = PATHS
            .iter()
            .filter(|(_, whole)| whole.len() == path.len() + 1 && whole.starts_with(path))
            .map(|(field, whole)| (*field, *whole.last().unwrap()))
            .collect();
        for (key, value) in members {
            let raw = &self.body[key.clone()];
            let field = match here.iter().find(|(_, name)| name.as_bytes() == raw) {
                None if here.iter().any(|(_, name)| is_alike(raw, name)) => Err(FaultKind::KeyVariant),
                None => continue,
                Some((field, _)) if self.seen.contains(field) => Err(FaultKind::KeyTwice),
                Some((field, name)) => Ok((*field, *name)),
            };
            match field {
                Err(kind) => {
                    self.fault.get_or_insert(kind);
                    self.id_in_doubt |= path.is_empty();
                }
                Ok((field, name)) => {
                    self.seen.push(field);
                    let is_level = matches!(field, Field::Params | Field::Ref | Field::Meta);
                    if let (Tree::Map(members), true) = (&value.tree, is_level) {
                        self.object(&[path, &[name]].concat(), members);
                    }
                    self.value(field, value);
                }
            }
        }
    }

    fn value(&mut self, field: Field, value: &Node) {
        let wrong = match field {
            Field::Jsonrpc => FaultKind::Version,
            Field::Id => FaultKind::Id,
            Field::Method | Field::Params | Field::Error => FaultKind::Shape,
            _ => FaultKind::ParamType,
        };
        let token = &self.body[value.span.clone()];
        let strict = PATHS.iter().any(|(other, path)| *other == field && path.len() == 1)
            || matches!(field, Field::RequestId | Field::MetaVersion | Field::MetaCapabilities);
        let fits = match &value.tree {
            Tree::Null if !strict => return,
            _ if is_text(field) => matches!(value.tree, Tree::Text),
            _ if is_token(field) => {
                matches!(value.tree, Tree::Text)
                    || matches!(value.tree, Tree::Number) && !token.iter().any(|byte| b".eE".contains(byte))
            }
            _ if is_object(field) => matches!(value.tree, Tree::Map(_)),
            _ => true,
        };
        if !fits {
            if !is_ignorable(field) {
                self.fault.get_or_insert(wrong);
            }
            return;
        }
        if !matches!(value.tree, Tree::Text) || !(is_text(field) || is_token(field)) {
            // Anything may be a string as well, and its surrogates are looked at then.
            if matches!(value.tree, Tree::Text) && decode(&token[1..token.len() - 1]).is_none() {
                self.fault.get_or_insert(FaultKind::LoneSurrogate);
                return;
            }
            return self.present.push((field, value.span.clone(), None));
        }
        match decode(&token[1..token.len() - 1]) {
            None => {
                self.fault.get_or_insert(FaultKind::LoneSurrogate);
            }
            Some(_) if is_token(field) => self.present.push((field, value.span.clone(), None)),
            Some(text) => {
                let inside = value.span.start + 1..value.span.end - 1;
                self.present.push((field, inside, Some(text.into_bytes())));
            }
        }
    }

    fn span(&self, field: Field) -> Option<Range<usize>> {
        self.present.iter().find(|(present, ..)| *present == field).map(|(_, span, _)| span.clone())
    }

    fn kind(&self, limits: &JsonLimits) -> Result<Kind, FaultKind> {
        if let Some(kind) = self.fault {
            return Err(kind);
        }
        let version = self.present.iter().find(|(field, ..)| *field == Field::Jsonrpc);
        if version.and_then(|(_, _, text)| text.as_deref()) != Some(b"2.0") {
            return Err(FaultKind::Version);
        }
        let id = self.span(Field::Id);
        if id.as_ref().is_some_and(|id| id.len() > limits.id_bytes_max as usize) {
            return Err(FaultKind::IdTooLong);
        }
        let has = |field| self.seen.contains(&field);
        if has(Field::Method) {
            let answers = has(Field::Result) || has(Field::Error);
            let kind = if id.is_some() { Kind::Request } else { Kind::Notification };
            return if answers { Err(FaultKind::Ambiguous) } else { Ok(kind) };
        }
        if has(Field::Result) == has(Field::Error) || has(Field::Params) {
            return Err(FaultKind::Ambiguous);
        }
        if id.is_none() && has(Field::Result) { Err(FaultKind::Id) } else { Ok(Kind::Response) }
    }
}

/// Whether some reader may take the key for the governed one.
fn is_alike(raw: &[u8], name: &str) -> bool {
    let Some(key) = decode(raw) else { return true };
    if key.contains('\0') {
        return true;
    }
    let plain = key.replace('\u{130}', "i");
    plain == name
        || plain.to_lowercase() == name.to_lowercase()
        || plain.to_uppercase().to_lowercase() == name.to_lowercase()
}

fn decode(raw: &[u8]) -> Option<String> {
    serde_json::from_slice(&[b"\"", raw, b"\""].concat()).ok()
}

fn is_token(field: Field) -> bool {
    matches!(field, Field::Id | Field::RequestId | Field::ProgressToken | Field::MetaProgressToken)
}

fn is_object(field: Field) -> bool {
    matches!(field, Field::Params | Field::Error | Field::Ref | Field::Meta | Field::MetaCapabilities)
}

fn is_anything(field: Field) -> bool {
    let task = matches!(field, Field::Task | Field::MetaClientInfo);
    task || matches!(field, Field::Result | Field::Arguments | Field::InputResponses)
}

fn is_text(field: Field) -> bool {
    !is_token(field) && !is_object(field) && !is_anything(field)
}

fn is_ignorable(field: Field) -> bool {
    let trace = matches!(field, Field::MetaTraceparent | Field::MetaTracestate | Field::MetaBaggage);
    trace || matches!(field, Field::Level | Field::MetaLogLevel)
}

struct Node {
    span: Range<usize>,
    tree: Tree,
}

enum Tree {
    Null,
    Bool,
    Number,
    Text,
    List(Vec<Node>),
    /// Keys as spans of their inside.
    Map(Vec<(Range<usize>, Node)>),
}

struct Parser<'a> {
    body: &'a [u8],
    at: usize,
    depth_max: u32,
}

impl Parser<'_> {
    fn document(&mut self) -> Result<Node, FaultKind> {
        self.spaces();
        let node = self.value(0)?;
        self.spaces();
        if self.at == self.body.len() { Ok(node) } else { Err(FaultKind::Syntax) }
    }

    fn value(&mut self, depth: u32) -> Result<Node, FaultKind> {
        let start = self.at;
        let tree = match self.peek() {
            Some(b'"') => self.string().map(|_| Tree::Text)?,
            Some(b'{' | b'[') if depth == self.depth_max => return Err(FaultKind::Depth),
            Some(b'{') => Tree::Map(self.items(b'}', |parser| {
                let key = parser.string()?;
                parser.spaces();
                parser.expect(b":")?;
                parser.spaces();
                Ok((key, parser.value(depth + 1)?))
            })?),
            Some(b'[') => Tree::List(self.items(b']', |parser| parser.value(depth + 1))?),
            Some(b't') => self.expect(b"true").map(|()| Tree::Bool)?,
            Some(b'f') => self.expect(b"false").map(|()| Tree::Bool)?,
            Some(b'n') => self.expect(b"null").map(|()| Tree::Null)?,
            _ => self.number().map(|()| Tree::Number)?,
        };
        Ok(Node { span: start..self.at, tree })
    }

    fn items<T>(
        &mut self,
        close: u8,
        mut item: impl FnMut(&mut Self) -> Result<T, FaultKind>,
    ) -> Result<Vec<T>, FaultKind> {
        let mut items = Vec::new();
        self.at += 1;
        self.spaces();
        if self.peek() == Some(close) {
            self.at += 1;
            return Ok(items);
        }
        loop {
            items.push(item(self)?);
            self.spaces();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(byte) if byte == close => {
                    self.at += 1;
                    return Ok(items);
                }
                _ => return Err(FaultKind::Syntax),
            }
            self.spaces();
        }
    }

    fn string(&mut self) -> Result<Range<usize>, FaultKind> {
        self.expect(b"\"")?;
        let start = self.at;
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(start..self.at - 1);
                }
                Some(b'\\') => {
                    self.at += 1;
                    match self.peek() {
                        Some(byte) if br#""\/bfnrt"#.contains(&byte) => self.at += 1,
                        Some(b'u') => {
                            let digits = self.body.get(self.at + 1..self.at + 5).ok_or(FaultKind::Syntax)?;
                            if !digits.iter().all(u8::is_ascii_hexdigit) {
                                return Err(FaultKind::Syntax);
                            }
                            self.at += 5;
                        }
                        _ => return Err(FaultKind::Syntax),
                    }
                }
                Some(0x20..) => self.at += 1,
                _ => return Err(FaultKind::Syntax),
            }
        }
    }

    fn number(&mut self) -> Result<(), FaultKind> {
        self.skip_if(b"-");
        if self.peek() == Some(b'0') {
            self.at += 1
        } else {
            self.digits()?
        }
        if self.skip_if(b".") {
            self.digits()?;
        }
        if self.skip_if(b"eE") {
            self.skip_if(b"+-");
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), FaultKind> {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        if self.at > start { Ok(()) } else { Err(FaultKind::Syntax) }
    }

    fn spaces(&mut self) {
        while self.skip_if(b" \t\r\n") {}
    }

    fn skip_if(&mut self, any_of: &[u8]) -> bool {
        let found = self.peek().is_some_and(|byte| any_of.contains(&byte));
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, word: &[u8]) -> Result<(), FaultKind> {
        if !self.body[self.at..].starts_with(word) {
            return Err(FaultKind::Syntax);
        }
        self.at += word.len();
        Ok(())
    }

    fn peek(&self) -> Option<u8> {
        self.body.get(self.at).copied()
    }
}
