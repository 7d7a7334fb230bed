//! Programs under measurement: started in a session of their own, found again in it, and ended.

use crate::sys;
use std::fs::{self, File};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A started program with all processes and threads it makes. Dropping it ends them.
pub struct Session {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Session {
    /// Starts `command` pinned to `core`, if there is one; what it prints goes to `<directory>/<name>.log`.
    pub fn start(
        name: &str,
        mut command: Command,
        core: impl Into<Option<usize>>,
        directory: &Path,
    ) -> Result<Self, String> {
        let log = directory.join(format!("{name}.log"));
        let fail = |error: std::io::Error| format!("cannot start {name}: {error}");
        let output = File::create(&log).map_err(fail)?;
        let errors = output.try_clone().map_err(fail)?;
        command.stdin(Stdio::null()).stdout(output).stderr(errors);
        sys::own_session(&mut command, core.into()).map_err(fail)?;
        let child = command.spawn().map_err(fail)?;
        Ok(Self { name: name.to_string(), child, log })
    }

    /// The first process, whose id is the session's too.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until something accepts connections at `address`.
    pub fn wait_listening(&mut self, address: SocketAddr) -> Result<(), String> {
        let deadline = Instant::now() + START_TIMEOUT;
        while TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_err() {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(format!("{} ended with {status}:\n{}", self.name, self.last_words()));
            }
            if Instant::now() > deadline {
                return Err(format!("{} does not listen on {address}:\n{}", self.name, self.last_words()));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// The end of what the program printed.
    pub fn last_words(&self) -> String {
        let text = fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(12)..].join("\n")
    }

    /// Puts all threads that exist now under the real-time policy, or back at 0.
    pub fn set_realtime(&self, priority: i32) -> std::io::Result<()> {
        for process in self.processes() {
            for thread in numbers_in(&format!("/proc/{process}/task")) {
                // A thread may have ended since it was listed.
                match sys::set_realtime(thread as i32, priority) {
                    Err(error) if error.raw_os_error() != Some(libc::ESRCH) => return Err(error),
                    _ => {}
                }
            }
        }
        Ok(())
    }

    /// The processes it consists of now, the first one included.
    pub fn processes(&self) -> Vec<u32> {
        let of_session = |process: &u32| stat_field(*process, SESSION_FIELD) == Some(u64::from(self.id()));
        numbers_in("/proc").into_iter().filter(of_session).collect()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let others = self.processes();
        // Each call may find its process gone, which is what is wanted.
        let _ = sys::end_process(self.id(), false);
        let deadline = Instant::now() + END_TIMEOUT;
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(10));
        }
        let left = self.processes();
        for process in others.into_iter().filter(|process| left.contains(process)) {
            let _ = sys::end_process(process, true);
        }
        let _ = self.child.wait();
    }
}

/// A field of /proc/PID/stat, counted from 1 as in proc(5); only those after the name, which ends in `)`.
fn stat_field(process: u32, number: usize) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let (_, after_name) = text.rsplit_once(") ")?;
    after_name.split_whitespace().nth(number - 3)?.parse().ok()
}

fn numbers_in(directory: &str) -> Vec<u32> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

const SESSION_FIELD: usize = 6;
const START_TIMEOUT: Duration = Duration::from_secs(20);
const END_TIMEOUT: Duration = Duration::from_secs(3);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::Session;
    use std::process::Command;
    use std::time::{Duration, Instant};

    #[test]
    fn a_session_has_its_children_and_ends_with_them() {
        let mut command = Command::new("sh");
        command.args(["-c", "(while :; do :; done) & while :; do :; done"]);
        let session = Session::start("spinners", command, 0, &std::env::temp_dir()).unwrap();
        let deadline = Instant::now() + Duration::from_secs(20);
        while session.processes().len() < 2 && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
        let processes = session.processes();
        assert_eq!(processes.len(), 2);
        assert!(processes.contains(&session.id()));
        drop(session);
        // Whoever adopted the second one may take a moment to bury it.
        let lives = |process: &u32| {
            let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
            !stat.is_empty() && !stat.contains(") Z ")
        };
        while processes.iter().any(lives) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
        assert!(!processes.iter().any(lives));
    }
}
