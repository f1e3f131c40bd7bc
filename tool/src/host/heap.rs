//! Memory that was needed once, given back.
#![allow(unsafe_code, reason = "the C library's own call")]

/// Gives back to the kernel what was freed: reading its types takes 40 MiB for a moment, and the allocator would keep
/// most of it for a program that never needs as much again. Does nothing where the C library has no such call.
pub fn trim() {
    #[cfg(target_env = "gnu")]
    // SAFETY: takes a number and touches nothing but the allocator's own, under its locks.
    unsafe {
        libc::malloc_trim(0);
    }
}
