//! Trust that is taken away does not wait: while a reload is refused, whatever says whom to trust (`revoked`, `client_ca`,
//! `jwks`, API keys, authorities) is taken over by itself, file by file, and metrics say what waits.

use std::sync::Arc;

use super::deploy;
use super::life::{Control, at_their_sockets};
use crate::config::Snapshot;
use crate::schema::world::TrustKind;

/// Tells what is wrong with a snapshot that only setting it up can tell.
pub type Works<'w> = dyn Fn(&Snapshot) -> Result<(), String> + 'w;

/// The configuration in force, with what says whom to trust read anew.
#[derive(Default)]
pub struct Trusted {
    /// `None` if nothing of it changed that is good.
    pub snapshot: Option<Snapshot>,
    /// The files that cannot be taken over, with what is wrong.
    pub waiting: Vec<(TrustKind, String)>,
}

/// What was refused and is not in force.
#[derive(Debug, Default)]
pub struct Waiting {
    /// The newest configuration.
    pub configuration: bool,
    /// Files by kind, in the order of [`TrustKind::ALL`].
    files: [u64; TrustKind::ALL.len()],
}

impl Waiting {
    fn of(files: &[(TrustKind, String)]) -> Self {
        let of = |kind: TrustKind| files.iter().filter(|(other, _)| *other == kind).count() as u64;
        Self { configuration: false, files: TrustKind::ALL.map(of) }
    }

    /// What waits, and how much of it: files, and unreadable lines of `revoked` in force.
    pub fn counts(&self, in_force: &Snapshot) -> Vec<(&'static str, u64)> {
        let lines = in_force.authn.as_ref().map_or(0, |authn| authn.revoked.unreadable().count as u64);
        let files = TrustKind::ALL.iter().zip(self.files).map(|(kind, count)| (kind.option(), count));
        let others = [("configuration", u64::from(self.configuration)), ("revoked_lines", lines)];
        others.into_iter().chain(files).collect()
    }
}

/// Takes over what says whom to trust, for the text in force and with all else as it is. `refused`: a reload was.
pub fn take_over(control: &Control, refused: bool) {
    let old = control.shared.deployment.load();
    let works = |snapshot: &Snapshot| match deploy::tls_faults(snapshot).first() {
        Some(fault) => Err(fault.clone()),
        None => Ok(()),
    };
    let generation = old.snapshot.generation + 1;
    let Trusted { snapshot, waiting } = control.source.read_trust(&old.snapshot.trust, generation, &works);
    for (kind, finding) in &waiting {
        tracing::error!(option = kind.option(), %finding, "a file that says whom to trust is refused; what it said before stays in force");
    }
    control.waiting.replace(Waiting { configuration: refused, ..Waiting::of(&waiting) });
    let Some(mut new) = snapshot else { return };
    new.listeners = at_their_sockets(&old.snapshot.listeners, &new.listeners);
    new.generation = old.snapshot.generation;
    let is_new = new != *old.snapshot;
    new.generation = generation;
    match deploy::assemble(Arc::new(new), old.addresses.clone(), Some(&old)) {
        Ok(deployment) if is_new => {
            note_unreadable(&old.snapshot, &deployment.snapshot);
            control.shared.deployment.store(Arc::new(deployment));
            control.ring_all();
            control.reloads.set(control.reloads.get() + 1);
            tracing::warn!(generation, "what says whom to trust was taken over by itself; all else waits");
        }
        Ok(_) => {}
        Err(fault) => {
            tracing::error!(%fault, "what says whom to trust could not be taken over");
            return;
        }
    }
    control.source.accepted();
}

/// Names lines of `revoked` that revoke nothing, unless the configuration before had the same.
pub fn note_unreadable(old: &Snapshot, new: &Snapshot) {
    let lines = |snapshot: &Snapshot| snapshot.authn.as_ref().map(|authn| authn.revoked.unreadable().clone());
    let (before, now) = (lines(old).unwrap_or_default(), lines(new).unwrap_or_default());
    if now.count > 0 && now != before {
        tracing::error!(lines = %now, "lines of authentication.revoked cannot be read and revoke nothing; all others do");
    }
}
