//! What this process may do: each refusal is one sentence with what to do.

use std::fs;

/// Capability numbers (linux/capability.h).
const CAP_NET_ADMIN: u32 = 12;
const CAP_SYS_PTRACE: u32 = 19;
const CAP_SYS_ADMIN: u32 = 21;
const CAP_PERFMON: u32 = 38;
const CAP_BPF: u32 = 39;

/// Whether this process may load and attach kernel programs. Locked memory needs no raising: since Linux 5.11 BPF
/// maps are not counted there.
///
/// # Errors
/// One sentence: which right is missing and how to get it.
pub fn can_trace() -> Result<(), String> {
    check("tracing", tracing_gap)
}

/// Whether this process may make network namespaces and devices in them.
///
/// # Errors
/// One sentence: which right is missing and how to get it.
pub fn can_make_namespaces() -> Result<(), String> {
    check("making network namespaces", |caps| {
        missing(caps, &[(CAP_SYS_ADMIN, "CAP_SYS_ADMIN"), (CAP_NET_ADMIN, "CAP_NET_ADMIN")])
    })
}

/// Whether nothing but the kernel itself can keep this process from looking at another one of this host.
#[must_use]
pub fn may_look_at_every_process() -> bool {
    check("looking at processes", |caps| missing(caps, &[(CAP_SYS_PTRACE, "CAP_SYS_PTRACE")])).is_ok()
}

/// CAP_SYS_ADMIN covers the two newer ones.
fn tracing_gap(caps: u64) -> Vec<&'static str> {
    if has(caps, CAP_SYS_ADMIN) {
        return Vec::new();
    }
    missing(caps, &[(CAP_BPF, "CAP_BPF"), (CAP_PERFMON, "CAP_PERFMON")])
}

fn check(what: &str, gap: impl Fn(u64) -> Vec<&'static str>) -> Result<(), String> {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let root = nix::unistd::geteuid().is_root();
    judge(what, root, &read("/proc/self/status"), &read("/proc/self/uid_map"), gap)
}

fn judge(
    what: &str,
    root: bool,
    status: &str,
    uid_map: &str,
    gap: impl Fn(u64) -> Vec<&'static str>,
) -> Result<(), String> {
    let Some(caps) = effective(status) else {
        return Err(format!(
            "{what} cannot be checked because /proc/self/status shows no capabilities; mount /proc"
        ));
    };
    let gap = gap(caps).join(" and ");
    if !gap.is_empty() {
        return Err(if root {
            format!(
                "{what} needs {gap}, which this root does not have (a container?); add it, or run on the host"
            )
        } else {
            format!("{what} needs root (or {gap}); run `sudo zcscope ...`")
        });
    }
    if in_user_namespace(uid_map) {
        return Err(format!(
            "{what} needs rights on the host, and this is a user namespace (rootless container?); run on the host"
        ));
    }
    Ok(())
}

/// The effective capabilities as bits.
fn effective(status: &str) -> Option<u64> {
    let word = status.lines().find_map(|line| line.strip_prefix("CapEff:"))?;
    u64::from_str_radix(word.trim(), 16).ok()
}

fn has(caps: u64, number: u32) -> bool {
    caps & (1 << number) != 0
}

fn missing(caps: u64, wanted: &[(u32, &'static str)]) -> Vec<&'static str> {
    wanted.iter().filter(|(number, _)| !has(caps, *number)).map(|&(_, name)| name).collect()
}

/// The first user namespace maps all ids to themselves in one line. No map at all means no user namespaces.
fn in_user_namespace(uid_map: &str) -> bool {
    let words: Vec<&str> = uid_map.split_ascii_whitespace().collect();
    !(words.is_empty() || words == ["0", "0", "4294967295"])
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: &str = "         0          0 4294967295\n";
    const ROOTLESS: &str = "         0       1000          1\n";

    fn status(caps: u64) -> String {
        format!(
            "Name:\tzcscope\nCapPrm:\t0000000000000000\nCapEff:\t{caps:016x}\nCapBnd:\tffffffffffffffff\n"
        )
    }

    fn trace(root: bool, caps: u64, uid_map: &str) -> Result<(), String> {
        judge("tracing", root, &status(caps), uid_map, tracing_gap)
    }

    #[test]
    fn root_and_the_two_capabilities_are_enough() {
        assert_eq!(trace(true, 0x1ff_ffff_ffff, HOST), Ok(()));
        assert_eq!(trace(true, 1 << CAP_SYS_ADMIN, HOST), Ok(()));
        assert_eq!(trace(false, 1 << CAP_BPF | 1 << CAP_PERFMON, HOST), Ok(()));
    }

    #[test]
    fn a_refusal_names_what_is_missing_and_what_to_do() {
        let user = trace(false, 0, HOST).unwrap_err();
        assert!(user.contains("CAP_BPF and CAP_PERFMON") && user.contains("sudo zcscope"), "{user}");
        let half = trace(false, 1 << CAP_BPF, HOST).unwrap_err();
        assert!(half.contains("CAP_PERFMON") && !half.contains("CAP_BPF"), "{half}");
        let container = trace(true, 1 << CAP_NET_ADMIN, HOST).unwrap_err();
        assert!(container.contains("container"), "{container}");
    }

    #[test]
    fn rights_in_a_user_namespace_are_not_rights_on_the_host() {
        let error = trace(true, u64::MAX, ROOTLESS).unwrap_err();
        assert!(error.contains("user namespace"), "{error}");
    }

    #[test]
    fn without_proc_nothing_is_assumed() {
        assert!(judge("tracing", true, "", HOST, tracing_gap).unwrap_err().contains("/proc"));
    }
}
