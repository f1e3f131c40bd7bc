//! Which machine and kernel this is.

/// The machine a measurement was made on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// Host name.
    pub host: String,
    /// Kernel release, as `uname -r` prints it.
    pub kernel: String,
    /// CPUs this process may use.
    pub cpus: usize,
}

/// Asks the kernel. What it does not say is left empty (names) or 1 (CPUs).
#[must_use]
pub fn identity() -> Identity {
    let (host, kernel) = nix::sys::utsname::uname().map_or_else(
        |_| Default::default(),
        |name| {
            (name.nodename().to_string_lossy().into_owned(), name.release().to_string_lossy().into_owned())
        },
    );
    let cpus = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    Identity { host, kernel, cpus }
}

#[cfg(test)]
mod tests {
    #[test]
    fn agrees_with_proc() {
        let identity = super::identity();
        let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
        assert_eq!(identity.kernel, release.trim());
        assert_eq!(identity.host, host.trim());
        assert!(identity.cpus >= 1);
    }
}
