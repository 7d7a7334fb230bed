//! The command line: words to a [`Command`], and help that teaches.
//!
//! Only parsing happens here. Values that a configuration file can hold too (addresses, URLs, workers)
//! are passed on as text and checked where those of the file are, so that one rule serves both.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::ArgMatches;

use words::command;

use super::key::Order;
use super::{explain, limits};
use crate::config::check::{Flags, Format};
use crate::config::question::Words;

/// What the operator wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Run the gateway.
    Serve(Source),
    /// Run the gateway in front of a small server of its own.
    Demo {
        /// Where to listen, if not at 127.0.0.1:8080.
        listen: Option<String>,
    },
    /// Check a configuration and say everything that is wrong with it.
    Check {
        /// The file.
        file: PathBuf,
        /// How the findings are printed.
        format: Format,
    },
    /// Say how a request would be judged, and why.
    Explain(Box<explain::Options>),
    /// Say what the limits of a running gateway do.
    Limits(limits::Options),
    /// Print what a configuration may hold.
    Schema {
        /// As the reference for readers instead of the JSON Schema for editors.
        markdown: bool,
    },
    /// Say what this host offers, what it costs, and how to improve it.
    Doctor {
        /// A configuration whose servers, issuers and certificates are tried too.
        config: Option<PathBuf>,
    },
    /// Make an API key.
    NewKey(Order),
}

/// Where the configuration comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A file, and what is to count in place of what it says.
    File(PathBuf, Flags),
    /// The command line alone.
    Flags(Flags),
}

/// What to print instead of running a command: help, the version, or what is wrong with the words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exit {
    /// The text, with its line break.
    pub text: String,
    /// The exit code: 0 if the text was asked for, else 2.
    pub code: u8,
}

/// Parses the words of the command line, the program's name first.
///
/// # Errors
/// An [`Exit`] if there is no command to run.
pub fn parse<I, T>(words: I) -> Result<Command, Exit>
where
    I: IntoIterator<Item = T>,
    T: Into<OsString> + Clone,
{
    let exit = |error: &clap::Error| Exit {
        text: error.render().to_string(),
        code: u8::try_from(error.exit_code()).unwrap_or(2),
    };
    let matches = command().try_get_matches_from(words).map_err(|error| exit(&error))?;
    Ok(match matches.subcommand() {
        Some(("demo", matches)) => Command::Demo { listen: text(matches, "listen") },
        Some(("check", matches)) => Command::Check {
            file: path(matches, "file"),
            format: match matches.get_one::<String>("format").map(String::as_str) {
                Some("json") => Format::Json,
                Some("github") => Format::Github,
                _ => Format::Text,
            },
        },
        Some(("explain", matches)) => Command::Explain(Box::new(question(matches))),
        Some(("limits", matches)) => Command::Limits(limits::Options {
            admin: text(matches, "admin"),
            config: matches.get_one::<PathBuf>("config").cloned(),
            json: matches.get_flag("json"),
            all: matches.get_flag("all"),
        }),
        Some(("schema", matches)) => Command::Schema { markdown: matches.get_flag("markdown") },
        Some(("doctor", matches)) => {
            Command::Doctor { config: matches.get_one::<PathBuf>("config").cloned() }
        }
        Some(("key", matches)) => {
            Command::NewKey(matches.subcommand().map(|(_, new)| order(new)).unwrap_or_default())
        }
        Some((_, matches)) => Command::Serve(source(matches)),
        None => return Err(Exit { text: command().render_help().to_string(), code: 2 }),
    })
}

fn source(matches: &ArgMatches) -> Source {
    let servers = matches.get_many::<(String, String)>("server");
    let flags = Flags {
        servers: servers.into_iter().flatten().cloned().collect(),
        listen: text(matches, "listen"),
        workers: text(matches, "workers"),
        admin: text(matches, "admin"),
    };
    let alone = !flags.servers.is_empty() && !matches.contains_id("config");
    if alone { Source::Flags(flags) } else { Source::File(path(matches, "config"), flags) }
}

fn order(matches: &ArgMatches) -> Order {
    let all = |name| matches.get_many::<String>(name).into_iter().flatten().cloned().collect();
    Order {
        id: text(matches, "id"),
        agent: text(matches, "agent"),
        tenant: text(matches, "tenant"),
        expires: text(matches, "expires"),
        roles: all("role"),
        scopes: all("scope"),
        servers: all("server"),
        json: matches.get_flag("json"),
    }
}

fn question(matches: &ArgMatches) -> explain::Options {
    let all = |name| matches.get_many::<String>(name).into_iter().flatten().cloned().collect();
    explain::Options {
        config: path(matches, "config"),
        words: Words {
            server: text(matches, "server"),
            method: text(matches, "method"),
            tool: text(matches, "tool"),
            prompt: text(matches, "prompt"),
            resource: text(matches, "resource"),
            caller: all("as"),
            arguments: text(matches, "arguments"),
            source: text(matches, "source"),
            at: text(matches, "at"),
            headers: all("header"),
        },
        all: matches.get_flag("all"),
        admin: text(matches, "admin"),
    }
}

fn text(matches: &ArgMatches, name: &str) -> Option<String> {
    matches.get_one::<String>(name).cloned()
}

/// The file named, or the usual one.
fn path(matches: &ArgMatches, name: &str) -> PathBuf {
    matches.get_one::<PathBuf>(name).cloned().unwrap_or_else(|| PathBuf::from(CONFIG_DEFAULT))
}

/// The file that is read when none is named.
const CONFIG_DEFAULT: &str = "ringgate.yaml";

#[cfg(test)]
mod help;
mod words;
#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn parsed(line: &str) -> Result<Command, Exit> {
        parse(std::iter::once("ringgate").chain(line.split_whitespace()))
    }

    #[test]
    fn commands_are_understood() {
        let flags = |servers: &[(&str, &str)],
                     listen: Option<&str>,
                     workers: Option<&str>,
                     line_admin: Option<&str>| {
            let servers = servers.iter().map(|(name, url)| ((*name).to_owned(), (*url).to_owned())).collect();
            Command::Serve(Source::Flags(Flags {
                servers,
                listen: listen.map(Into::into),
                workers: workers.map(Into::into),
                admin: line_admin.map(Into::into),
            }))
        };
        for (line, expected) in [
            ("serve", Command::Serve(Source::File("ringgate.yaml".into(), Flags::default()))),
            ("serve --config a.yaml", Command::Serve(Source::File("a.yaml".into(), Flags::default()))),
            (
                "serve -c a.yaml --admin off",
                Command::Serve(Source::File(
                    "a.yaml".into(),
                    Flags { admin: Some("off".into()), ..Flags::default() },
                )),
            ),
            (
                "serve -c a.yaml --server a=http://x",
                Command::Serve(Source::File(
                    "a.yaml".into(),
                    Flags { servers: vec![("a".into(), "http://x".into())], ..Flags::default() },
                )),
            ),
            ("serve --server a=http://x/?b=c", flags(&[("a", "http://x/?b=c")], None, None, None)),
            ("serve --server a=http://x --admin off", flags(&[("a", "http://x")], None, None, Some("off"))),
            (
                "serve --server a=http://x --server b=unix:/y --listen [::]:1 --workers 0-3,6",
                flags(&[("a", "http://x"), ("b", "unix:/y")], Some("[::]:1"), Some("0-3,6"), None),
            ),
            ("demo", Command::Demo { listen: None }),
            ("demo --listen 127.0.0.1:9", Command::Demo { listen: Some("127.0.0.1:9".into()) }),
            ("check", Command::Check { file: "ringgate.yaml".into(), format: Format::Text }),
            ("check b.yaml", Command::Check { file: "b.yaml".into(), format: Format::Text }),
            ("check --format json b.yaml", Command::Check { file: "b.yaml".into(), format: Format::Json }),
            (
                "check b.yaml --format=github",
                Command::Check { file: "b.yaml".into(), format: Format::Github },
            ),
            (
                "explain -c a.yaml --server s --tool t --as role=a --as claim:x=1 --header k:v --all",
                Command::Explain(Box::new(explain::Options {
                    config: "a.yaml".into(),
                    words: Words {
                        server: Some("s".into()),
                        tool: Some("t".into()),
                        caller: vec!["role=a".into(), "claim:x=1".into()],
                        headers: vec!["k:v".into()],
                        ..Words::default()
                    },
                    all: true,
                    ..explain::Options::default()
                })),
            ),
            ("limits", Command::Limits(limits::Options::default())),
            (
                "limits --admin 127.0.0.1:9 --json",
                Command::Limits(limits::Options {
                    admin: Some("127.0.0.1:9".into()),
                    json: true,
                    ..limits::Options::default()
                }),
            ),
            ("limits --all", Command::Limits(limits::Options { all: true, ..limits::Options::default() })),
            ("schema", Command::Schema { markdown: false }),
            ("schema --markdown", Command::Schema { markdown: true }),
            ("doctor", Command::Doctor { config: None }),
            ("doctor -c a.yaml", Command::Doctor { config: Some("a.yaml".into()) }),
            ("key new", Command::NewKey(Order::default())),
            (
                "key new --id a --agent b --expires 2027-01-31 --role r --role s --tenant t --scope x:y --server z --json",
                Command::NewKey(Order {
                    id: Some("a".into()),
                    agent: Some("b".into()),
                    tenant: Some("t".into()),
                    expires: Some("2027-01-31".into()),
                    roles: vec!["r".into(), "s".into()],
                    scopes: vec!["x:y".into()],
                    servers: vec!["z".into()],
                    json: true,
                }),
            ),
        ] {
            assert_eq!(parsed(line), Ok(expected), "{line}");
        }
    }

    #[test]
    fn wrong_words_are_named_with_a_way_out() {
        for (line, part) in [
            ("serve --server http://x/?a=b", "weather=http://"),
            ("serve --server name", "weather=http://"),
            ("serve --server =x", "weather=http://"),
            ("serve --server a=", "weather=http://"),
            ("serv", "a similar subcommand exists: 'serve'"),
            ("check a b", "unexpected argument 'b'"),
            ("check --format xml", "[possible values: text, json, github]"),
            ("explain --tool a --prompt b", "cannot be used with"),
            ("schema --markdwon", "'--markdown'"),
            ("limits --admin a:1 -c b", "cannot be used with"),
            ("key", "Make an API key"),
            ("key nwe", "'nwe'"),
            ("key new --id", "--id <ID>"),
        ] {
            let exit = parsed(line).unwrap_err();
            assert_eq!(exit.code, 2, "{line}");
            assert!(exit.text.contains(part), "{line}: {}", exit.text);
        }
    }

    #[test]
    fn help_and_version_are_answers_and_no_words_are_not() {
        let help = parsed("--help").unwrap_err();
        assert_eq!(help.code, 0);
        for part in ["First steps", "ringgate demo", "serve", "check", "explain", "schema", "doctor"] {
            assert!(help.text.contains(part), "{part}");
        }
        let version = parsed("--version").unwrap_err();
        assert_eq!(
            (version.code, version.text.as_str()),
            (0, concat!("ringgate ", env!("CARGO_PKG_VERSION"), "\n"))
        );
        let nothing = parsed("").unwrap_err();
        assert_eq!(nothing.code, 2);
        assert!(nothing.text.contains("First steps"));
    }

    #[test]
    fn the_definition_holds_together() {
        command().debug_assert();
    }
}
