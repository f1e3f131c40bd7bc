//! What of the paths this kernel and process can use, found out by trying, never by version.

use std::io::IoSlice;

use nix::fcntl::SpliceFFlags;
use nix::sys::memfd::{MFdFlags, memfd_create};

/// Every kernel this program runs on has it.
#[allow(clippy::unnecessary_wraps, reason = "a row of the table of paths")]
pub(super) fn always() -> Result<(), String> {
    Ok(())
}

/// Memory files.
pub(super) fn memory_file() -> Result<(), String> {
    memfd_create("zcscope-try", MFdFlags::MFD_CLOEXEC)
        .map(drop)
        .map_err(|error| format!("cannot make a memory file (memfd_create): {error}"))
}

/// Splicing a file into a pipe.
pub(super) fn splice() -> Result<(), String> {
    let why = |error| format!("cannot splice from a memory file into a pipe: {error}");
    let file = memfd_create("zcscope-try", MFdFlags::MFD_CLOEXEC).map_err(why)?;
    nix::unistd::ftruncate(&file, 1).map_err(why)?;
    let (_reader, writer) = std::io::pipe().map_err(|error| format!("cannot make a pipe: {error}"))?;
    nix::fcntl::splice(&file, Some(&mut 0), &writer, None, 1, SpliceFFlags::empty()).map(drop).map_err(why)
}

/// Putting own pages into a pipe.
pub(super) fn vmsplice() -> Result<(), String> {
    let (_reader, writer) = std::io::pipe().map_err(|error| format!("cannot make a pipe: {error}"))?;
    static BYTE: [u8; 1] = [0];
    nix::fcntl::vmsplice(&writer, &[IoSlice::new(&BYTE)], SpliceFFlags::empty())
        .map(drop)
        .map_err(|error| format!("cannot put pages into a pipe (vmsplice): {error}"))
}
