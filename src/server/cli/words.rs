//! The words that the command line knows, and what help says of them.

use clap::builder::{NonEmptyStringValueParser, PathBufValueParser};
use clap::{Arg, ArgAction};

pub(super) fn command() -> clap::Command {
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
        .arg(config().help("The configuration file [default: ringgate.yaml]"))
        .arg(
            Arg::new("server")
                .long("server")
                .value_name("NAME=URL")
                .action(ArgAction::Append)
                .value_parser(name_and_url)
                .help("A server at /NAME/mcp without a file, or where the file's server NAME is instead; repeatable"),
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

fn config() -> Arg {
    Arg::new("config").long("config").short('c').value_name("FILE").value_parser(PathBufValueParser::new())
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
        .arg(
            Arg::new("format")
                .long("format")
                .value_name("FORMAT")
                .value_parser(["text", "json", "github"])
                .default_value("text")
                .hide_possible_values(true)
                .help("text, json, or github: annotations of a workflow"),
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
        .arg(config().help("The configuration file [default: ringgate.yaml]"))
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
        .arg(config().help("Take the address from this configuration file"))
        .arg(Arg::new("all").long("all").action(ArgAction::SetTrue).help("Every key that the workers know by name, and how many there are besides"))
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
        .after_help(
            "Looks at the kernel, io_uring, memory and file limits, CPUs and network settings. Changes nothing.\n\n\
             With a configuration also: is each server there, does its certificate hold, are the keys of each\n\
             issuer to be had, when do certificates end, are there descriptors for the connections that may come.\n\
             No server is sent a request.\n\n\
             Exit code: 1 if something fails, else 0.\n\n\
             Example:\n  ringgate doctor --config /etc/ringgate/ringgate.yaml",
        )
        .arg(config().help("Try what this configuration refers to as well"))
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
        .arg(flag("tenant").value_name("NAME").help("The tenant it belongs to"))
        .arg(flag("role").value_name("NAME").action(ArgAction::Append).help("A role it has, as rules name it; repeatable"))
        .arg(flag("scope").value_name("SCOPE").action(ArgAction::Append).help("A scope it has; repeatable"))
        .arg(flag("server").value_name("NAME").action(ArgAction::Append).help("A server it is for; repeatable [default: all]"))
        .arg(Arg::new("json").long("json").action(ArgAction::SetTrue).help("Print one JSON object with `key` and `entry`"))
        .arg(flag("expires").value_name("DATE").help("When it ends: 2027-01-31, or 2027-01-31T12:00:00Z [default: never]"));
    clap::Command::new("key")
        .about("Make API keys")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .disable_help_subcommand(true)
        .subcommand(new)
}
