//! The command line: words to a [`Command`], and help that teaches.
//!
//! Only parsing happens here. Values that a configuration file can hold too (addresses, URLs, workers)
//! are passed on as text and checked where those of the file are, so that one rule serves both.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::builder::{NonEmptyStringValueParser, PathBufValueParser};
use clap::{Arg, ArgAction, ArgMatches};

use super::key::Order;
use super::{explain, limits};
use crate::config::check::Flags;
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
    Doctor,
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
        Some(("check", matches)) => Command::Check { file: path(matches, "file") },
        Some(("explain", matches)) => Command::Explain(Box::new(question(matches))),
        Some(("limits", matches)) => Command::Limits(limits::Options {
            admin: text(matches, "admin"),
            config: matches.get_one::<PathBuf>("config").cloned(),
            json: matches.get_flag("json"),
        }),
        Some(("schema", matches)) => Command::Schema { markdown: matches.get_flag("markdown") },
        Some(("doctor", _)) => Command::Doctor,
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
    if flags.servers.is_empty() { Source::File(path(matches, "config"), flags) } else { Source::Flags(flags) }
}

fn order(matches: &ArgMatches) -> Order {
    Order { id: text(matches, "id"), agent: text(matches, "agent"), expires: text(matches, "expires") }
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

fn command() -> clap::Command {
    clap::Command::new("ringgate")
        .version(env!("CARGO_PKG_VERSION"))
        .about("An MCP gateway: one fast, trustworthy entry point between AI agents and MCP servers")
        .after_help(AFTER_HELP)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .disable_help_subcommand(true)
        .term_width(0) // The texts are wrapped where they are written.
        .subcommands([serve(), demo(), check(), explain(), limits(), key(), schema(), doctor()])
}

const AFTER_HELP: &str = "\
First steps:
  1. ringgate demo
     Starts a small MCP server and the gateway in front of it, and prints a line to try.
  2. ringgate serve --server weather=http://127.0.0.1:3001/mcp
     Your own server, at http://127.0.0.1:8080/weather/mcp. Repeat --server for more.
  3. Write ringgate.yaml (docs/configuration.md), then: ringgate check ringgate.yaml && ringgate serve
  4. ringgate doctor
     Before you measure or go live: what this host costs you, and how to fix it.

`ringgate COMMAND --help` says more about each.";

fn serve() -> clap::Command {
    clap::Command::new("serve")
        .about("Run the gateway, from a file or from flags alone")
        .after_help(
            "Examples:\n  \
             ringgate serve                                    reads ringgate.yaml\n  \
             ringgate serve --config /etc/ringgate.yaml\n  \
             ringgate serve --server git=http://127.0.0.1:3001/mcp --server files=unix:/run/files.sock\n  \
             ringgate serve --server git=http://127.0.0.1:3001/mcp --listen 0.0.0.0:8080 --workers 0-3\n\n\
             Signals: SIGHUP reads the file again, all or nothing. SIGTERM or SIGINT drains: no new\n\
             connections, running exchanges may end; a second one ends at once.",
        )
        .arg(
            Arg::new("config")
                .long("config")
                .short('c')
                .value_name("FILE")
                .value_parser(PathBufValueParser::new())
                .conflicts_with("server")
                .help("The configuration file [default: ringgate.yaml]"),
        )
        .arg(
            Arg::new("server")
                .long("server")
                .value_name("NAME=URL")
                .action(ArgAction::Append)
                .value_parser(name_and_url)
                .help("Serve the MCP server at URL under /NAME/mcp, without a file; repeatable"),
        )
        .arg(listen().help("Where to listen, also with a file: ADDRESS:PORT or unix:/path [default: 127.0.0.1:8080]"))
        .arg(
            Arg::new("workers")
                .long("workers")
                .value_name("N|auto|LIST")
                .value_parser(NonEmptyStringValueParser::new())
                .help("Worker threads, also with a file: a number, auto, or a CPU list such as 0-3,6 [default: auto]"),
        )
        .arg(
            Arg::new("admin")
                .long("admin")
                .value_name("ADDRESS|off")
                .value_parser(NonEmptyStringValueParser::new())
                .help("Where /healthz, /readyz and /metrics are, also with a file [default: 127.0.0.1:8079]"),
        )
}

fn listen() -> Arg {
    Arg::new("listen").long("listen").value_name("ADDRESS").value_parser(NonEmptyStringValueParser::new())
}

fn name_and_url(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, url)) if !name.is_empty() && !url.is_empty() && !name.contains("://") => {
            Ok((name.to_owned(), url.to_owned()))
        }
        _ => Err("write a name and a URL, as in weather=http://127.0.0.1:3001/mcp".to_owned()),
    }
}

fn demo() -> clap::Command {
    clap::Command::new("demo")
        .about("Run the gateway in front of a small built-in MCP server, to try it")
        .after_help("Needs nothing else: no file, no network. Prints the URL for your MCP client and a curl line. Ctrl-C ends it.")
        .arg(listen().help("Where to listen [default: 127.0.0.1:8080]"))
}

fn check() -> clap::Command {
    clap::Command::new("check")
        .about("Check a configuration file: every mistake at once, with line, cause and cure")
        .after_help(
            "Reads the certificates, keys and variables that the file refers to, and starts nothing.\n\
             Exit code: 0 if the file is good, 1 if it is not.\n\n\
             Example:\n  ringgate check ringgate.yaml && kill -HUP \"$(pidof ringgate)\"",
        )
        .arg(
            Arg::new("file")
                .value_name("FILE")
                .value_parser(PathBufValueParser::new())
                .help("The configuration file [default: ringgate.yaml]"),
        )
}

fn explain() -> clap::Command {
    let word = |name: &'static str, value: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name(value).value_parser(NonEmptyStringValueParser::new()).help(help)
    };
    clap::Command::new("explain")
        .about("Say how a request would be judged by the rules of a configuration, and why")
        .after_help(
            "Nothing is sent. Exit code: 0 if the request is allowed, 3 if it is denied, 1 if the file is not good.\n\n\
             Examples:\n  \
             ringgate explain --server crm --tool delete_customer --as role=support\n  \
             ringgate explain --server files --resource file:///etc/passwd --as agent=indexer --source 10.1.2.3 --all\n  \
             ringgate explain --tool query --arguments '{\"rows\": 5000}' --as claim:department=hr --at 2026-01-05T22:00:00Z",
        )
        .arg(
            Arg::new("config")
                .long("config")
                .short('c')
                .value_name("FILE")
                .value_parser(PathBufValueParser::new())
                .help("The configuration file [default: ringgate.yaml]"),
        )
        .arg(word("server", "NAME", "The server; not needed if there is only one"))
        .arg(word("method", "METHOD", "The method [default: the one that uses the thing, such as tools/call]"))
        .arg(word("tool", "NAME", "The tool that is called").conflicts_with_all(["prompt", "resource"]))
        .arg(word("prompt", "NAME", "The prompt that is fetched").conflicts_with("resource"))
        .arg(word("resource", "URI", "The resource that is read"))
        .arg(
            word("as", "WHO=VALUE", "Who asks: agent=, user=, tenant=, role=, scope=, proof=, issuer=, claim:PATH=; repeatable")
                .action(ArgAction::Append),
        )
        .arg(word("arguments", "JSON", "The arguments of the call"))
        .arg(word("source", "ADDRESS", "The client's address [default: none, as over a Unix socket]"))
        .arg(word("at", "TIME", "When, as in 2026-01-05T09:00:00Z [default: now]"))
        .arg(word("header", "NAME: VALUE", "A header line; repeatable").action(ArgAction::Append))
        .arg(word("admin", "ADDRESS", "Ask the gateway whose admin listener this is what is left of the limits"))
        .arg(Arg::new("all").long("all").action(ArgAction::SetTrue).help("Tell of every rule why it does or does not match"))
}

fn limits() -> clap::Command {
    clap::Command::new("limits")
        .about("Say what the limits of a running gateway do: who is refused, and what is left")
        .after_help(
            "Asks the admin listener. Of each limit the keys that were refused the most are shown, then those in use,\n\
             as the workers noticed them in the last quarter of an hour. `passed~` is an estimate.\n\n\
             Examples:\n  \
             ringgate limits\n  \
             ringgate limits --config /etc/ringgate/ringgate.yaml --json",
        )
        .arg(
            Arg::new("admin")
                .long("admin")
                .value_name("ADDRESS")
                .value_parser(NonEmptyStringValueParser::new())
                .conflicts_with("config")
                .help("Where the admin listener is [default: 127.0.0.1:8079]"),
        )
        .arg(
            Arg::new("config")
                .long("config")
                .short('c')
                .value_name("FILE")
                .value_parser(PathBufValueParser::new())
                .help("Take the address from this configuration file"),
        )
        .arg(Arg::new("json").long("json").action(ArgAction::SetTrue).help("Print JSON"))
}

fn schema() -> clap::Command {
    clap::Command::new("schema")
        .about("Print the JSON Schema of the configuration, for editors")
        .after_help(
            "Example:\n  ringgate schema > ringgate.schema.json\n\n\
             and as the first line of the configuration:\n  # yaml-language-server: $schema=ringgate.schema.json",
        )
        .arg(
            Arg::new("markdown")
                .long("markdown")
                .action(ArgAction::SetTrue)
                .help("Print the reference for readers instead (docs/configuration.md)"),
        )
}

fn doctor() -> clap::Command {
    clap::Command::new("doctor")
        .about("Say what this host offers the gateway, what it costs, and how to improve it")
        .after_help("Looks at the kernel, io_uring, memory and file limits, CPUs and network settings. Changes nothing.")
}

fn key() -> clap::Command {
    let flag = |name: &'static str| Arg::new(name).long(name).value_parser(NonEmptyStringValueParser::new());
    let new = clap::Command::new("new")
        .about("Make an API key, and print it with its entry for the configuration")
        .after_help(
            "The key is printed once and stored nowhere; the entry holds a salted hash of it. An agent sends it as\n\
             `Authorization: Bearer rgk_...` or `X-Api-Key: rgk_...`.\n\n\
             To rotate a key: add the entry of a new one with the same `agent`, reload (SIGHUP), give the agent the\n\
             new key, then remove the old entry. To lock one out at once, put `key:ID` into the list of `revoked`.\n\n\
             Example:\n  ringgate key new --agent build-bot --expires 2027-01-31",
        )
        .arg(flag("id").value_name("ID").help("Its id, which logs name: letters, digits, - and . [default: random]"))
        .arg(flag("agent").value_name("NAME").help("Whose it is [default: the id]"))
        .arg(flag("expires").value_name("DATE").help("When it ends: 2027-01-31, or 2027-01-31T12:00:00Z [default: never]"));
    clap::Command::new("key")
        .about("Make API keys")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .disable_help_subcommand(true)
        .subcommand(new)
}

#[cfg(test)]
mod help;
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
            ("serve --server a=http://x/?b=c", flags(&[("a", "http://x/?b=c")], None, None, None)),
            ("serve --server a=http://x --admin off", flags(&[("a", "http://x")], None, None, Some("off"))),
            (
                "serve --server a=http://x --server b=unix:/y --listen [::]:1 --workers 0-3,6",
                flags(&[("a", "http://x"), ("b", "unix:/y")], Some("[::]:1"), Some("0-3,6"), None),
            ),
            ("demo", Command::Demo { listen: None }),
            ("demo --listen 127.0.0.1:9", Command::Demo { listen: Some("127.0.0.1:9".into()) }),
            ("check", Command::Check { file: "ringgate.yaml".into() }),
            ("check b.yaml", Command::Check { file: "b.yaml".into() }),
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
            ("schema", Command::Schema { markdown: false }),
            ("schema --markdown", Command::Schema { markdown: true }),
            ("doctor", Command::Doctor),
            ("key new", Command::NewKey(Order::default())),
            (
                "key new --id a --agent b --expires 2027-01-31",
                Command::NewKey(Order {
                    id: Some("a".into()),
                    agent: Some("b".into()),
                    expires: Some("2027-01-31".into()),
                }),
            ),
        ] {
            assert_eq!(parsed(line), Ok(expected), "{line}");
        }
    }

    #[test]
    fn wrong_words_are_named_with_a_way_out() {
        for (line, part) in [
            (
                "serve --config a --server b=http://c",
                "'--config <FILE>' cannot be used with '--server <NAME=URL>'",
            ),
            ("serve --server http://x/?a=b", "weather=http://"),
            ("serve --server name", "weather=http://"),
            ("serve --server =x", "weather=http://"),
            ("serve --server a=", "weather=http://"),
            ("serv", "a similar subcommand exists: 'serve'"),
            ("check a b", "unexpected argument 'b'"),
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
