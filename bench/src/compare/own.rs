//! `--config FILE`: ringgate with the operator's own policy, in front of the mock.

use super::peer::Addresses;
use crate::args::Args;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A configuration to measure with.
pub struct Own {
    file: PathBuf,
    /// The server whose place the mock takes.
    server: String,
    /// The path that clients use for it.
    path: String,
    /// What callers show.
    headers: Vec<String>,
}

impl Own {
    /// Of `--config`, `--config-server` and `--header`; `ringgate` is asked what the file serves.
    ///
    /// # Errors
    /// The file is not good, or does not have that server.
    pub fn from_args(args: &mut Args) -> Result<Option<Self>, String> {
        let file = args.text("--config")?.map(PathBuf::from);
        let (wanted, header) = (args.text("--config-server")?, args.text("--header")?);
        let Some(file) = file else {
            return match (wanted, header) {
                (None, None) => Ok(None),
                _ => Err("--config-server and --header go with --config".to_owned()),
            };
        };
        // Its place is made plain, since the gateway runs in another directory.
        let file = std::fs::canonicalize(&file).map_err(|error| format!("{}: {error}", file.display()))?;
        let text = std::fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
        if keeps_state(&text) {
            return Err(format!(
                "{}: its `state` is what your gateway has counted, and the bench would be charged to it: measure a \
                 copy beside it with `state: off`",
                file.display()
            ));
        }
        let headers = header.into_iter().collect();
        Ok(Some(Self { file, server: wanted.unwrap_or_default(), path: String::new(), headers }))
    }

    /// Asks `ringgate` what the file serves, and chooses the server: the one that was named, or the first.
    ///
    /// # Errors
    /// As [`Self::from_args`].
    pub fn look(&mut self, ringgate: &Path) -> Result<(), String> {
        let output = Command::new(ringgate)
            .args(["check", "--format", "json"])
            .arg(&self.file)
            .output()
            .map_err(|error| format!("{}: {error}", ringgate.display()))?;
        let report: serde_json::Value = serde_json::from_slice(&output.stdout)
            .map_err(|error| format!("`ringgate check` says nothing that can be read: {error}"))?;
        if report["good"] != true {
            let findings = report["findings"].as_array().map_or(&[][..], |findings| findings);
            let of_error = findings.iter().find(|finding| finding["level"] == "error");
            let part = |name: &str| of_error.and_then(|finding| finding[name].as_str()).unwrap_or_default();
            return Err(format!(
                "{} is not good, see `ringgate check`: {}: {}",
                self.file.display(),
                part("path"),
                part("message")
            ));
        }
        let text = |json: &serde_json::Value| json.as_str().unwrap_or_default().to_owned();
        let servers = report["servers"].as_array().map_or(&[][..], |servers| servers);
        let found = servers.iter().find(|server| self.server.is_empty() || server["name"] == self.server);
        let Some(found) = found else {
            let names: Vec<String> = servers.iter().map(|server| text(&server["name"])).collect();
            return Err(format!("--config-server {}: the file has {}", self.server, names.join(", ")));
        };
        (self.server, self.path) = (text(&found["name"]), text(&found["path"]));
        Ok(())
    }

    /// The command that runs it: one worker, the bench's addresses, and the mock in the place of the server.
    ///
    /// What it keeps goes to `directory`, which is removed at the end.
    pub fn command(&self, executable: &Path, addresses: &Addresses, directory: &Path) -> Command {
        let Addresses { upstream, proxy, admin, .. } = addresses;
        let mut command = Command::new(executable);
        command.env("STATE_DIRECTORY", directory.join("state"));
        command.arg("serve").arg("--config").arg(&self.file);
        command.args(["--listen", &proxy.to_string(), "--admin", &admin.to_string(), "--workers", "1"]);
        command.args(["--server", &format!("{}=http://{upstream}/mcp", self.server)]);
        command
    }

    /// The path of the server.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The header lines of each request.
    pub fn headers(&self) -> Vec<String> {
        self.headers.clone()
    }

    /// It in a line for the record.
    pub fn describe(&self) -> String {
        format!("ringgate-config: {}, server {}", self.file.display(), self.server)
    }
}

/// Whether the configuration names a directory of its own for what must outlast the gateway.
fn keeps_state(text: &str) -> bool {
    let value = text.lines().find_map(|line| line.strip_prefix("state:"));
    let word =
        |value: &str| value.split('#').next().unwrap_or_default().trim().trim_matches(['"', '\'']).to_owned();
    value.is_some_and(|value| word(value) != "off")
}

#[cfg(test)]
mod tests {
    use super::keeps_state;

    #[test]
    fn only_a_directory_that_the_file_names_is_state() {
        for (text, keeps) in [
            ("workers: 1\n", false),
            ("state: off # none\n", false),
            ("state: 'off'\n", false),
            ("servers: []\nstate: /var/lib/ringgate\n", true),
            ("sessions:\n  state: x\n", false),
        ] {
            assert_eq!(keeps_state(text), keeps, "{text}");
        }
    }
}
