//! How many units a core takes at a time: one where exactness is cheap, many where asking often would be dear.

use std::num::NonZeroUsize;
use std::time::Duration;

use super::{OUTSTANDING_MAX, Refill};

/// What became of a core's last lease on a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Last {
    /// Units that were granted and spent.
    pub units: u64,
    /// From the draw to the last unit's spending.
    pub lasted: Duration,
}

/// The most that a core asks for at its next draw (`Ask::most`); at least 1, and 1 without a `last`.
///
/// A lease is to last about a millisecond: then a core asks a thousand times a second at most, whatever the rate, and
/// a key that is seldom used has no lease to speak of. It grows fourfold at most from one to the next. All cores
/// together never hold more than a quarter of a burst (a sixteenth of a calendar window, since what a core cannot get
/// there it has to wait for until the window ends); so a burst of fewer than eight times the cores is exact.
pub fn lease(refill: &Refill, cores: NonZeroUsize, last: Option<Last>) -> u64 {
    let Some(last) = last else { return 1 };
    let lasted = last.lasted.as_nanos().max(1);
    let wanted = u128::from(last.units) * LASTS.as_nanos() / lasted;
    let wanted = u64::try_from(wanted).unwrap_or(u64::MAX).min(last.units.saturating_mul(4));
    wanted.clamp(1, share(refill, cores))
}

/// How long a core leaves a bucket alone after a refusal that told it to `wait`.
///
/// Where leases are in use, up to a tenth of a millisecond more: a bucket that all cores find empty would otherwise
/// be asked for every single unit. Nothing is lost by that, as long as the bucket does not fill meanwhile, and the
/// units of a share are far from filling it.
pub fn rest(refill: &Refill, cores: NonZeroUsize, wait: Duration) -> Duration {
    let Refill::Steady { count, per, .. } = *refill else { return wait };
    let share = share(refill, cores);
    if share == 1 {
        return wait;
    }
    let nanos = u128::from(share - 1) * per.as_nanos() / u128::from(count.get());
    let filled = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
    wait.max(filled.min(RESTS))
}

/// The largest lease of one of `cores`.
fn share(refill: &Refill, cores: NonZeroUsize) -> u64 {
    let cores = cores.get() as u64;
    let share = match *refill {
        Refill::Steady { burst, .. } => burst.get() / cores.saturating_mul(4),
        Refill::Window { count, .. } => count.get() / cores.saturating_mul(16),
        Refill::Held { .. } => 1,
    };
    share.clamp(1, OUTSTANDING_MAX / 4)
}

/// What a lease is to last: so rare are draws then that 64 cores take a hot bucket's line 64,000 times a second,
/// which keeps it busy for about a hundredth of the time.
const LASTS: Duration = Duration::from_millis(1);
/// The longest rest that is not the bucket's own.
const RESTS: Duration = Duration::from_micros(100);

#[cfg(test)]
mod tests {
    use super::*;
    use std::num::NonZeroU64;

    fn cores(cores: usize) -> NonZeroUsize {
        NonZeroUsize::new(cores).expect("not none")
    }

    fn steady(count: u64, burst: u64) -> Refill {
        let number = |number| NonZeroU64::new(number).expect("not 0");
        Refill::Steady { count: number(count), per: Duration::from_secs(1), burst: number(burst) }
    }

    fn last(units: u64, micros: u64) -> Option<Last> {
        Some(Last { units, lasted: Duration::from_micros(micros) })
    }

    #[test]
    fn small_bursts_are_exact() {
        assert_eq!(lease(&steady(1, 1), cores(64), last(1, 1)), 1);
        assert_eq!(lease(&steady(100_000, 511), cores(64), last(1, 1)), 1);
        assert_eq!(lease(&steady(100_000, 512), cores(64), last(1, 1)), 2);
    }

    #[test]
    fn the_first_is_one_and_a_busy_key_grows_to_its_share() {
        let refill = steady(1_000_000, 64_000);
        assert_eq!(lease(&refill, cores(4), None), 1);
        let mut units = 1;
        for expected in [4, 16, 64, 256, 1024, 4000, 4000] {
            units = lease(&refill, cores(4), last(units, 1));
            assert_eq!(units, expected);
        }
    }

    #[test]
    fn it_settles_where_a_lease_lasts_a_millisecond() {
        let refill = steady(1_000_000, 1_000_000);
        assert_eq!(lease(&refill, cores(2), last(50, 500)), 100);
        assert_eq!(lease(&refill, cores(2), last(100, 1_000)), 100);
        assert_eq!(lease(&refill, cores(2), last(100, 10_000)), 10);
        assert_eq!(lease(&refill, cores(2), last(100, 60_000_000)), 1);
        assert_eq!(lease(&refill, cores(2), last(0, 0)), 1);
    }

    #[test]
    fn no_lease_is_too_large_to_be_outstanding() {
        let refill = steady(u64::MAX, u64::MAX);
        assert_eq!(lease(&refill, cores(1), last(u64::MAX, 0)), OUTSTANDING_MAX / 4);
        let held = Refill::Held { count: NonZeroU64::MAX };
        assert_eq!(lease(&held, cores(1), last(100, 1)), 1);
    }

    #[test]
    fn a_rest_is_longer_than_told_only_where_leases_are() {
        let told = Duration::from_micros(3);
        assert_eq!(rest(&steady(1000, 10), cores(4), told), told);
        assert_eq!(rest(&steady(1_000_000, 160), cores(4), told), Duration::from_micros(9));
        assert_eq!(rest(&steady(1_000_000, 16_000), cores(4), told), Duration::from_micros(100));
        let long = Duration::from_secs(7);
        assert_eq!(rest(&steady(1_000_000, 16_000), cores(4), long), long);
    }
}
