//! The only things that two threads may both touch. Everything here is lock-free, and atomics stay here.

mod budget;
mod desk;
mod gauge;
pub mod ledger;
mod mailbox;
mod slot;
mod stage;

pub use budget::Budget;
pub use desk::Desk;
pub use gauge::{Counter, Flag, Gauge, least};
pub use mailbox::Mailbox;
pub use slot::Slot;
pub use stage::{Stage, StageCell};
