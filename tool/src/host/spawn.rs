//! What a child does between fork and exec: enter a network namespace and tie its life to ours.
#![allow(unsafe_code, reason = "pre_exec runs between fork and exec")]

use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::Arc;
use std::{io, process};

use nix::errno::Errno;
use nix::sched::{CloneFlags, setns};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::unistd::{Pid, getppid};

/// The child of `command` enters `namespace`, and is killed by the kernel when the thread that spawned it ends,
/// however it ends.
pub(super) fn inside(command: &mut Command, namespace: Arc<OwnedFd>) {
    let parent = Pid::from_raw(process::id().cast_signed());
    let prepare = move || -> io::Result<()> {
        setns(&*namespace, CloneFlags::CLONE_NEWNET)?;
        set_pdeathsig(Signal::SIGKILL)?;
        // The parent may have died before the line above: then nobody would send the signal.
        if getppid() == parent { Ok(()) } else { Err(Errno::ESRCH.into()) }
    };
    // SAFETY: the closure makes three plain system calls and neither allocates nor takes a lock, so it may run in
    // the child of a process with threads. It owns the descriptor it uses.
    unsafe { command.pre_exec(prepare) };
}
