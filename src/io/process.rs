//! What the process asks of the kernel for itself, before it does anything else.

/// Turns transparent huge pages off for this process, whatever the host's setting: a buffer of which one byte is used
/// would take 2 MiB. `false` where the kernel refuses; memory then grows as the host's setting has it.
pub fn disable_huge_pages() -> bool {
    // SAFETY: the call takes numbers only.
    unsafe { libc::prctl(libc::PR_SET_THP_DISABLE, 1, 0, 0, 0) == 0 }
}
