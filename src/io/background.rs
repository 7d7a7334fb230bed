//! A thread that works when nobody else has anything to do.

use std::ffi::CStr;

/// So much nicer than the workers: where all cores are busy, it gets about a tenth of one.
const NICE: libc::c_int = 10;

/// Makes this thread give way to others, and names it for those who look at threads. What the system refuses is left as
/// it is. Linux has a niceness for each thread.
pub fn give_way(name: &CStr) {
    // SAFETY: the name ends in a zero and outlives the call, which copies it.
    unsafe { libc::prctl(libc::PR_SET_NAME, name.as_ptr()) };
    // SAFETY: the call takes numbers only. 0 is the calling thread.
    unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, NICE) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_thread_gives_way() {
        // SAFETY: the call takes numbers only.
        let nice = || unsafe { libc::getpriority(libc::PRIO_PROCESS, 0) };
        let before = nice();
        let inside = std::thread::scope(|scope| {
            scope
                .spawn(|| {
                    give_way(c"modest");
                    nice()
                })
                .join()
        });
        assert_eq!((inside.ok(), nice()), (Some((before + NICE).min(19)), before));
    }
}
