//! Limits of one process that a zero-copy send can hit.

use std::{fs, io};

use procfs::process::{LimitValue, Process};
use serde::{Deserialize, Serialize};

/// Right that takes a process out of the accounting of locked memory (linux/capability.h).
const CAP_IPC_LOCK: u32 = 14;

/// A process and its limits. That `SO_ZEROCOPY` is set on its sockets is shown nowhere by the kernel.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessLimits {
    /// Process id.
    pub pid: u32,
    /// Its name.
    pub comm: String,
    /// Soft `RLIMIT_MEMLOCK`, bytes; absent: unlimited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memlock_bytes: Option<u64>,
    /// Soft `RLIMIT_NOFILE`, descriptors; absent: unlimited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub open_files: Option<u64>,
    /// It has CAP_IPC_LOCK: locked memory is not counted.
    pub cap_ipc_lock: bool,
}

/// Reads them.
///
/// # Errors
/// The process is gone, or belongs to someone else.
pub fn limits_of(pid: u32) -> io::Result<ProcessLimits> {
    let process = Process::new(pid.cast_signed()).map_err(io::Error::other)?;
    let limits = process.limits().map_err(io::Error::other)?;
    let status = process.status().map_err(io::Error::other)?;
    let value = |value: LimitValue| match value {
        LimitValue::Unlimited => None,
        LimitValue::Value(value) => Some(value),
    };
    Ok(ProcessLimits {
        pid,
        comm: fs::read_to_string(format!("/proc/{pid}/comm"))?.trim_end().to_owned(),
        memlock_bytes: value(limits.max_locked_memory.soft_limit),
        open_files: value(limits.max_open_files.soft_limit),
        cap_ipc_lock: status.capeff & (1 << CAP_IPC_LOCK) != 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_limits_agree_with_what_the_kernel_tells_itself() {
        let own = limits_of(std::process::id()).unwrap();
        assert_eq!(own.memlock_bytes, crate::host::limits::limits().unwrap().memlock);
        assert!(!own.comm.is_empty());
        assert!(limits_of(4_194_305).is_err());
    }
}
