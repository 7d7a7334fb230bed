//! What may go wrong, and how often.

use std::time::Duration;

/// The faults of a simulated network. A connection draws its fate when it is made, from the faults in
/// force at that moment. Chances are per mille.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Faults {
    /// Any ready task may run next, instead of the one that has waited longest.
    pub shuffle: bool,
    /// Chance at each step that a task is polled though nothing woke it.
    pub spurious_per_mille: u16,

    /// Chance that a read brings fewer bytes than have arrived.
    pub split_per_mille: u16,
    /// Such a read brings at most this many bytes (1: byte by byte).
    pub split_bytes_max: usize,
    /// Room for bytes on their way in each direction, drawn between these two for each connection.
    /// A write waits while there is none.
    pub buffer_bytes: (usize, usize),

    /// Every delivery takes this long.
    pub latency: Duration,
    /// Chance that a delivery takes up to `delay_max` longer. Bytes never overtake each other.
    pub delay_per_mille: u16,
    /// The longest such delay.
    pub delay_max: Duration,

    /// Chance that a connection is reset on its way.
    pub reset_per_mille: u16,
    /// Chance that one direction of a connection ends early, as if its sender had shut it.
    pub half_close_per_mille: u16,
    /// Chance that one direction of a connection carries nothing more for a while: for the receiver the peer
    /// has stopped writing; for the sender, once the buffer is full, it has stopped reading.
    pub stall_per_mille: u16,
    /// The longest stall; `None` for stalls that never end.
    pub stall_max: Option<Duration>,
    /// Resets, half closes and stalls come after at most this many bytes of a direction.
    pub doom_bytes_max: usize,

    /// Chance that a dial is refused.
    pub refuse_per_mille: u16,
    /// Chance that a dial never ends.
    pub hang_per_mille: u16,
}

impl Faults {
    /// A network that works: no loss, no delay, whole reads, tasks in turn.
    pub const fn none() -> Self {
        Self {
            shuffle: false,
            spurious_per_mille: 0,
            split_per_mille: 0,
            split_bytes_max: 0,
            buffer_bytes: (256 << 10, 256 << 10),
            latency: Duration::ZERO,
            delay_per_mille: 0,
            delay_max: Duration::ZERO,
            reset_per_mille: 0,
            half_close_per_mille: 0,
            stall_per_mille: 0,
            stall_max: None,
            doom_bytes_max: 0,
            refuse_per_mille: 0,
            hang_per_mille: 0,
        }
    }

    /// A network that loses nothing but is as awkward as it may be: tasks in any order, short reads, small
    /// buffers, uneven delays. Whatever works on [`Faults::none`] must work here.
    pub const fn awkward() -> Self {
        Self {
            shuffle: true,
            spurious_per_mille: 50,
            split_per_mille: 500,
            split_bytes_max: 40,
            buffer_bytes: (1, 4096),
            delay_per_mille: 200,
            delay_max: Duration::from_millis(20),
            ..Self::none()
        }
    }

    /// [`Faults::awkward`], and connections fail in every way.
    pub const fn hostile() -> Self {
        Self {
            reset_per_mille: 100,
            half_close_per_mille: 50,
            stall_per_mille: 100,
            stall_max: Some(Duration::from_secs(120)),
            doom_bytes_max: 2000,
            refuse_per_mille: 50,
            hang_per_mille: 20,
            ..Self::awkward()
        }
    }
}
