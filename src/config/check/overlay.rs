//! Flags of the command line over a file: they take the place of what the file says.

use super::Flags;
use crate::schema::finding::{Findings, Place, Spot};
use crate::schema::yaml::{Entry, Node, Value};

/// Puts what `flags` say into the tree of a file. What cannot be told from it which place is meant is a finding.
pub(super) fn lay_over(node: &mut Node, flags: &Flags, findings: &mut Findings) {
    let Value::Map(entries) = &mut node.value else { return };
    if let Some(workers) = &flags.workers {
        set(entries, "workers", text(workers));
    }
    if let Some(address) = &flags.admin {
        set_in(entries, "admin", "address", address);
    }
    if let Some(address) = &flags.listen {
        listen(entries, address, findings);
    }
    for (name, url) in &flags.servers {
        server(entries, name, url, findings);
    }
}

/// Moves the file's server of this name there, with all else that is said of it, but for how its certificate was checked.
fn server(entries: &mut [Entry], name: &str, url: &str, findings: &mut Findings) {
    let known = entries.iter_mut().find(|entry| entry.key == "servers");
    let Some(Value::List(servers)) = known.map(|entry| &mut entry.node.value) else { return };
    let is_named = |option: &Entry| {
        option.key == "name" && matches!(&option.node.value, Value::Text { text, .. } if text == name)
    };
    let meant = servers.iter_mut().find_map(|server| match &mut server.value {
        Value::Map(options) if options.iter().any(is_named) => Some(options),
        _ => None,
    });
    match meant {
        Some(options) => {
            options.retain(|option| !matches!(&*option.key, "endpoints" | "tls"));
            set(options, "url", text(url));
        }
        None => {
            let place = Place { spot: Spot::default(), path: "--server".to_owned() };
            let what = format!("no server of the file has the name `{name}`");
            findings.add(&place, what, "name one of `servers`, or leave the file out");
        }
    }
}

/// The name of the flag that a finding is about, where one has set the option.
pub(super) fn flag_of(path: &str, flags: &Flags) -> Option<&'static str> {
    match path {
        "listeners[0].address" => flags.listen.as_ref().map(|_| "--listen"),
        "workers" => flags.workers.as_ref().map(|_| "--workers"),
        "admin.address" => flags.admin.as_ref().map(|_| "--admin"),
        _ => None,
    }
}

/// Moves the file's listener there, with its TLS and all else that it has.
fn listen(entries: &mut Vec<Entry>, address: &str, findings: &mut Findings) {
    let known = entries.iter_mut().find(|entry| entry.key == "listeners");
    match known.map(|entry| &mut entry.node.value) {
        Some(Value::List(listeners)) => match &mut listeners[..] {
            [Node { value: Value::Map(options), .. }] => set(options, "address", text(address)),
            [_] => {}
            several => {
                let place = Place { spot: Spot::default(), path: "--listen".to_owned() };
                let what =
                    format!("cannot say which of the {} listeners of the file is meant", several.len());
                findings.add(&place, what, "change `listeners` in the file");
            }
        },
        // No list: a finding of its own.
        Some(_) => {}
        None => {
            let listener = map(vec![entry("address", text(address))]);
            entries
                .push(entry("listeners", Node { spot: Spot::default(), value: Value::List(vec![listener]) }));
        }
    }
}

fn set_in(entries: &mut Vec<Entry>, section: &str, key: &str, value: &str) {
    match entries.iter_mut().find(|entry| entry.key == section).map(|entry| &mut entry.node.value) {
        Some(Value::Map(options)) => set(options, key, text(value)),
        Some(_) => {}
        None => entries.push(entry(section, map(vec![entry(key, text(value))]))),
    }
}

fn set(entries: &mut Vec<Entry>, key: &str, node: Node) {
    match entries.iter_mut().find(|entry| entry.key == key) {
        Some(known) => known.node.value = node.value,
        None => entries.push(entry(key, node)),
    }
}

fn entry(key: &str, node: Node) -> Entry {
    Entry { key: key.to_owned(), spot: Spot::default(), node }
}

fn map(entries: Vec<Entry>) -> Node {
    Node { spot: Spot::default(), value: Value::Map(entries) }
}

fn text(text: &str) -> Node {
    Node { spot: Spot::default(), value: Value::Text { text: text.to_owned(), quoted: true } }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::path::Path;

    use super::*;
    use crate::config::compile::Context;
    use crate::config::snapshot::{ListenAddress, Snapshot};
    use crate::config::world::System;

    const SERVER: &str = "servers: [{name: a, url: 'http://127.0.0.1:5'}]\n";

    fn over(text: &str, listen: &str, workers: &str, admin: &str) -> Result<Snapshot, String> {
        let given = |word: &str| (!word.is_empty()).then(|| word.to_owned());
        let flags = Flags {
            servers: Vec::new(),
            listen: given(listen),
            workers: given(workers),
            admin: given(admin),
        };
        let context = Context { world: &System, directory: Path::new("") };
        let text = format!("{SERVER}{text}");
        super::super::check_both(&text, 1, &context, Findings::of("f.yaml"), &flags)
            .map(|(snapshot, _)| snapshot)
            .map_err(|findings| findings.to_string())
    }

    #[test]
    fn flags_take_the_place_of_what_the_file_says_and_of_nothing_else() {
        let own = "listeners: [{address: '127.0.0.1:1', proxy_protocol: v2}]\nworkers: 3\nadmin: {address: '0.0.0.0:9', allow_remote: true}\n";
        for text in [own, ""] {
            let snapshot = over(text, "127.0.0.1:7", "2", "off").unwrap();
            assert_eq!(snapshot.listeners[0].address, ListenAddress::Tcp(([127, 0, 0, 1], 7).into()));
            assert_eq!(
                (snapshot.workers, snapshot.admin.address),
                (crate::config::snapshot::Workers::Count(std::num::NonZero::new(2).unwrap()), None)
            );
        }
        let kept = over(own, "127.0.0.1:7", "", "0.0.0.0:8").unwrap();
        assert_eq!(kept.listeners[0].proxy_protocol, crate::config::snapshot::ProxyProtocol::V2);
        assert_eq!(kept.admin.address.unwrap().port(), 8);
        assert_eq!(over(own, "", "", "").unwrap(), over(own, "127.0.0.1:1", "3", "0.0.0.0:9").unwrap());
    }

    #[test]
    fn a_server_of_the_file_is_moved_and_keeps_the_rest() {
        let moved = |name: &str| {
            let flags = Flags {
                servers: vec![(name.to_owned(), "http://127.0.0.1:9/x".to_owned())],
                ..Flags::default()
            };
            let context = Context { world: &System, directory: Path::new("") };
            let text = "servers: [{name: a, path: /p, endpoints: ['https://h'], tls: {server_name: b}}, {name: c, url: 'http://c'}]\n";
            super::super::check_both(text, 1, &context, Findings::of("f.yaml"), &flags)
                .map(|(snapshot, _)| snapshot)
                .map_err(|findings| findings.to_string())
        };
        let snapshot = moved("a").unwrap();
        let a = &snapshot.servers[0];
        assert_eq!(
            (&*a.path, &*a.endpoints[0].authority, &*a.endpoints[0].target),
            ("/p", "127.0.0.1:9", "/x")
        );
        assert_eq!(&*snapshot.servers[1].endpoints[0].authority, "c");
        assert!(moved("b").unwrap_err().contains("--server: no server of the file has the name `b`"));
    }

    #[test]
    fn a_wrong_flag_is_named_and_one_that_fits_several_is_refused() {
        let two = "listeners: [{address: '127.0.0.1:1'}, {address: '127.0.0.1:2'}]\n";
        for (text, listen, workers, admin, part) in [
            (two, "127.0.0.1:7", "", "", "--listen: cannot say which of the 2 listeners"),
            ("", "nowhere", "", "", "--listen: "),
            ("", "", "many", "", "--workers: "),
            ("workers: 1\n", "", "0", "", "--workers: "),
            ("", "", "", "0.0.0.0:9", "--admin: can be reached from other machines"),
            ("workers: 0\n", "", "", "off", "f.yaml:2:10: workers: "),
        ] {
            let found = over(text, listen, workers, admin).unwrap_err();
            assert!(found.contains(part), "{part}: {found}");
        }
    }
}
