//! The C library's allocator, for a program that needs much memory only now and then.
#![allow(unsafe_code, reason = "the C library's own calls")]

/// Buffers from this size on come from the kernel and go back to it at once, bytes. Left alone, the allocator raises
/// this to the largest buffer ever freed, and the holes of such buffers then make half of the memory.
#[cfg(target_env = "gnu")]
const OWN_MAPPING: libc::c_int = 128 << 10;

/// Sets the allocator up; once, when a program starts. Does nothing where the C library has no such call.
pub fn prepare() {
    #[cfg(target_env = "gnu")]
    // SAFETY: takes numbers and touches nothing but the allocator's own, under its locks.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, OWN_MAPPING);
        libc::mallopt(libc::M_TRIM_THRESHOLD, OWN_MAPPING);
    }
}

/// Gives back to the kernel what was freed: reading its types takes 40 MiB for a moment. Does nothing where the C library
/// has no such call.
pub fn trim() {
    #[cfg(target_env = "gnu")]
    // SAFETY: takes a number and touches nothing but the allocator's own, under its locks.
    unsafe {
        libc::malloc_trim(0);
    }
}
