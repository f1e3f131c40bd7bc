//! Kernels that guard the machine's init: nobody may look at that process, and no kernel program runs while one of its
//! threads is on a CPU, not even for packets that an interrupt handles on top of it. The kernel counts these omissions
//! nowhere (seen with a Linux 6.18 for small virtual machines).

use std::io::ErrorKind;

use crate::privilege;

/// True when the kernel refuses this process, which has every right it takes, a look at init. A policy of a security
/// module can do the same without holding back any program, so this is a reason to doubt and no proof.
#[must_use]
pub fn init_is_guarded() -> bool {
    let refused = std::fs::read_link("/proc/1/exe").is_err_and(|e| e.kind() == ErrorKind::PermissionDenied);
    refused && privilege::may_look_at_every_process()
}
