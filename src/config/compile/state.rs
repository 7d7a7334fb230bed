//! `state`: where the gateway keeps what must outlast it.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use super::Context;
use crate::config::file::File;
use crate::config::snapshot::{ListenAddress, Listener, State};
use crate::config::text::StateWord;
use crate::schema::world::World;

/// The directory, if there is to be one.
pub fn compile(file: &File, listeners: &[Listener], context: &Context<'_>) -> Option<State> {
    match file.state.as_ref().map(|state| &state.value) {
        Some(StateWord::Off) => None,
        Some(StateWord::Directory(path)) => {
            Some(State { directory: context.directory.join(path), given: true })
        }
        None => usual(listeners.first()?, context.world),
    }
}

/// Where it is when nobody says: the service manager's, else a directory of the user by the first listener's address,
/// which no two gateways of a host have.
fn usual(listener: &Listener, world: &dyn World) -> Option<State> {
    let path = |name: &str| {
        let value = OsString::from_vec(world.variable(name)?);
        Some(PathBuf::from(value)).filter(|path| path.is_absolute())
    };
    if let Some(all) = world.variable("STATE_DIRECTORY") {
        // systemd separates several by colons.
        let first = all.split(|byte| *byte == b':').next().unwrap_or_default();
        let directory = PathBuf::from(OsString::from_vec(first.to_vec()));
        if directory.is_absolute() {
            return Some(State { directory, given: true });
        }
    }
    let home = || path("HOME").map(|home| home.join(".local/state"));
    let directory = path("XDG_STATE_HOME").or_else(home)?.join("ringgate").join(name(&listener.address));
    Some(State { directory, given: false })
}

/// A file name for an address.
fn name(address: &ListenAddress) -> String {
    let text = match address {
        ListenAddress::Tcp(address) => format!("{}_{}", address.ip(), address.port()),
        ListenAddress::Unix { path, .. } => file_name(path),
    };
    text.chars()
        .map(|one| if one.is_ascii_alphanumeric() || "._-:".contains(one) { one } else { '_' })
        .collect()
}

fn file_name(path: &Path) -> String {
    format!("unix{}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::check::check;
    use crate::schema::finding::Findings;
    use crate::schema::world::fake::Fake;

    fn state(text: &str, variables: &[(&'static str, &str)]) -> Option<(String, bool)> {
        let variables = variables.iter().map(|(name, value)| (*name, value.as_bytes().to_vec())).collect();
        let world = Fake { variables, ..Fake::default() };
        let context = Context { world: &world, directory: Path::new("/etc/x") };
        let text = format!("servers: [{{name: a, url: 'http://127.0.0.1:1'}}]\n{text}");
        let snapshot = check(&text, 1, &context, Findings::default());
        let snapshot = snapshot.unwrap_or_else(|findings| panic!("{findings}"));
        snapshot.state.map(|state| (state.directory.display().to_string(), state.given))
    }

    #[test]
    fn the_directory_is_the_configured_one_the_managers_or_the_users() {
        let all = [("STATE_DIRECTORY", "/var/lib/a:/var/lib/b"), ("XDG_STATE_HOME", "/s"), ("HOME", "/of/u")];
        let given = |path: &str| Some((path.to_owned(), true));
        let usual = |path: &str| Some((path.to_owned(), false));
        for (text, variables, expected) in [
            ("state: /srv/state", &all[..], given("/srv/state")),
            ("state: state", &all, given("/etc/x/state")),
            ("state: off", &all, None),
            ("state: 'off'", &all, None),
            ("", &all, given("/var/lib/a")),
            ("", &all[1..], usual("/s/ringgate/127.0.0.1_8080")),
            ("", &all[2..], usual("/of/u/.local/state/ringgate/127.0.0.1_8080")),
            ("listeners: [{address: '[::1]:9'}]", &all[2..], usual("/of/u/.local/state/ringgate/::1_9")),
            ("listeners: [{address: 'unix:/run/r.sock'}]", &all[1..], usual("/s/ringgate/unix_run_r.sock")),
            ("", &[("XDG_STATE_HOME", "relative")], None),
            ("", &[], None),
        ] {
            assert_eq!(state(text, variables), expected, "{text}");
        }
    }
}
