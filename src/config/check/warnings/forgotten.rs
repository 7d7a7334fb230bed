//! What a restart forgets, where there is nowhere to keep it.

use crate::config::snapshot::Snapshot;

/// One line for sessions and one for limits, if the configuration has them and no directory for what must outlast the
/// process.
pub fn warnings(snapshot: &Snapshot) -> Vec<String> {
    let mut all = Vec::new();
    if snapshot.state.is_some() {
        return all;
    }
    if snapshot.authn.is_some() && snapshot.session_key.is_none() {
        all.push(
            "each restart ends all sessions of the revisions up to 2025-11-25, and most clients do not begin anew by \
             themselves: there is neither a `sessions.key` nor a directory to keep one in (set `state: DIR`, or \
             `sessions.key`)"
                .to_owned(),
        );
    }
    if snapshot.rate_limits.as_ref().is_some_and(|limits| limits.outlast()) {
        all.push(
            "each restart forgets what callers have used of calendar windows, budgets and long windows: there is no \
             directory to keep it in (set `state: DIR`)"
                .to_owned(),
        );
    }
    all
}
