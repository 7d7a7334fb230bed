//! Where the process is in its life, as control says and every worker reads.

use std::sync::atomic::{AtomicU8, Ordering};

/// Where the process is in its life. It only ever moves forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Workers are being made.
    Starting,
    /// Serving.
    Running,
    /// Serving, and telling everybody to go elsewhere: not ready, and each answer ends its connection.
    Announcing,
    /// Listeners close; connections that were accepted are served.
    Closing,
    /// No new connections; idle ones are closed, exchanges may end.
    Draining,
    /// Whatever is left is cut.
    Stopping,
}

/// The stage, readable from every thread.
#[derive(Debug)]
pub struct StageCell(AtomicU8);

impl Default for StageCell {
    fn default() -> Self {
        Self(AtomicU8::new(Stage::Starting as u8))
    }
}

impl StageCell {
    /// Moves to `stage`; does nothing if the process is further already.
    pub fn advance(&self, stage: Stage) {
        self.0.fetch_max(stage as u8, Ordering::Release);
    }

    /// The stage just now.
    pub fn now(&self) -> Stage {
        match self.0.load(Ordering::Acquire) {
            0 => Stage::Starting,
            1 => Stage::Running,
            2 => Stage::Announcing,
            3 => Stage::Closing,
            4 => Stage::Draining,
            _ => Stage::Stopping,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_never_goes_back() {
        let cell = StageCell::default();
        for stage in [
            Stage::Starting,
            Stage::Running,
            Stage::Announcing,
            Stage::Closing,
            Stage::Draining,
            Stage::Stopping,
        ] {
            cell.advance(stage);
            assert_eq!(cell.now(), stage);
            cell.advance(Stage::Starting);
            assert_eq!(cell.now(), stage);
        }
    }
}
