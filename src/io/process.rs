//! What the process asks of the kernel for itself, before it does anything else.

/// Turns transparent huge pages off for this process, whatever the host's setting: a buffer of which one byte is used
/// would take 2 MiB. `false` where the kernel refuses; memory then grows as the host's setting has it.
pub fn disable_huge_pages() -> bool {
    // SAFETY: the call takes numbers only.
    unsafe { libc::prctl(libc::PR_SET_THP_DISABLE, 1, 0, 0, 0) == 0 }
}

/// Keeps SIGHUP from ending the process until [`release_reload`]: it waits, and is heard then. To be called before any
/// thread is started.
pub fn hold_reload() {
    mask_reload(libc::SIG_BLOCK);
}

/// Lets SIGHUP through, now that somebody hears it.
pub fn release_reload() {
    mask_reload(libc::SIG_UNBLOCK);
}

fn mask_reload(how: libc::c_int) {
    // SAFETY: the set is initialized by `sigemptyset` before it is read, and outlives the calls.
    unsafe {
        let mut set = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
        libc::sigemptyset(set.as_mut_ptr());
        libc::sigaddset(set.as_mut_ptr(), libc::SIGHUP);
        libc::pthread_sigmask(how, set.as_ptr(), std::ptr::null_mut());
    }
}

/// Keeps what callers have shown out of core files and from other processes of the same user: no core is written, and nobody
/// but root attaches. `false` where the kernel refuses.
pub fn forbid_core_files() -> bool {
    let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the first call takes numbers only, the second reads a value that outlives it.
    unsafe {
        libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0) == 0 && libc::setrlimit(libc::RLIMIT_CORE, &none) == 0
    }
}

/// Runs `make` while files are created with none of these permission bits. For the start, when there is one thread.
pub fn with_umask<T>(mask: u32, make: impl FnOnce() -> T) -> T {
    // SAFETY: the call takes a number only.
    let before = unsafe { libc::umask(mask as libc::mode_t) };
    let made = make();
    // SAFETY: as above.
    unsafe { libc::umask(before) };
    made
}

/// Takes as many descriptors as the hard limit allows, and says how many those are; `None` where the kernel does not say.
pub fn raise_descriptors() -> Option<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: both calls get a value that outlives them.
    unsafe {
        if libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) != 0 {
            return None;
        }
        let all = libc::rlimit { rlim_cur: limit.rlim_max, ..limit };
        let raised = libc::setrlimit(libc::RLIMIT_NOFILE, &all) == 0;
        Some(if raised { limit.rlim_max } else { limit.rlim_cur })
    }
}
