//! Facts of the machine: CPUs, NUMA nodes, and what makes the kernel bounce DMA.

use std::fs;

use serde::{Deserialize, Serialize};

/// Facts of the machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MachineFacts {
    /// NUMA nodes with their CPUs; empty not known.
    pub nodes: Vec<NumaNode>,
    /// Technology that keeps this guest's memory from its host; `None` when none is known.
    pub encrypted_by: Option<String>,
    /// The kernel was told to bounce all DMA (`swiotlb=force`).
    pub swiotlb_forced: bool,
}

/// One NUMA node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NumaNode {
    /// Its number.
    pub node: u32,
    /// Its CPUs.
    pub cpus: Vec<u32>,
}

/// Reads them.
pub(super) fn read() -> MachineFacts {
    let text = |path: &str| fs::read_to_string(path).unwrap_or_default();
    MachineFacts {
        nodes: nodes(),
        encrypted_by: encrypted_by(&text("/proc/cpuinfo"), fs::exists("/dev/sev-guest").unwrap_or(false)),
        swiotlb_forced: forced(&text("/proc/cmdline")),
    }
}

fn nodes() -> Vec<NumaNode> {
    let number = |entry: fs::DirEntry| entry.file_name().to_str()?.strip_prefix("node")?.parse().ok();
    let entries = fs::read_dir("/sys/devices/system/node").into_iter().flatten().flatten();
    let node = |node: u32| {
        let list = fs::read_to_string(format!("/sys/devices/system/node/node{node}/cpulist")).ok()?;
        Some(NumaNode { node, cpus: cpu_list(&list)? })
    };
    let mut nodes: Vec<_> = entries.filter_map(number).filter_map(node).collect();
    nodes.sort_by_key(|node| node.node);
    nodes
}

/// Intel TDX is a CPU flag; AMD SEV-SNP gives the guest a device.
fn encrypted_by(cpuinfo: &str, has_sev_guest: bool) -> Option<String> {
    let flags = cpuinfo.lines().find(|line| line.starts_with("flags")).unwrap_or_default();
    let tdx = flags.split_ascii_whitespace().any(|flag| flag == "tdx_guest");
    let name = if tdx { Some("TDX") } else { has_sev_guest.then_some("SEV-SNP") };
    name.map(str::to_owned)
}

fn forced(cmdline: &str) -> bool {
    let options = cmdline.split_ascii_whitespace().filter_map(|word| word.strip_prefix("swiotlb="));
    options.flat_map(|value| value.split(',')).any(|value| value == "force")
}

/// NUMA node of a device in the namespace of this process.
pub(super) fn node_of(dev: &str) -> Option<u32> {
    // -1 where there is only one.
    fs::read_to_string(format!("/sys/class/net/{dev}/device/numa_node")).ok()?.trim().parse().ok()
}

/// CPUs a process may run on.
pub(super) fn allowed_cpus(pid: u32) -> Option<Vec<u32>> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    cpu_list(status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?)
}

/// A list like `0-3,8`.
fn cpu_list(text: &str) -> Option<Vec<u32>> {
    let mut cpus = Vec::new();
    for part in text.trim().split(',').filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        cpus.extend(first.parse::<u32>().ok()?..=last.parse::<u32>().ok()?);
    }
    Some(cpus)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_cpus() {
        assert_eq!(cpu_list(" 0-2,8\n"), Some(vec![0, 1, 2, 8]));
        assert_eq!(cpu_list("\n"), Some(vec![]));
        assert_eq!(cpu_list("x"), None);
        assert!(allowed_cpus(std::process::id()).is_some_and(|cpus| !cpus.is_empty()));
        assert_eq!(allowed_cpus(4_194_305), None);
    }

    #[test]
    fn bounce_buffers_are_known_by_their_causes() {
        assert_eq!(encrypted_by("flags\t: fpu tdx_guest sse\n", false).as_deref(), Some("TDX"));
        assert_eq!(encrypted_by("flags\t: fpu sse\n", true).as_deref(), Some("SEV-SNP"));
        assert_eq!(encrypted_by("flags\t: fpu tdx_guests\n", false), None);
        assert!(forced("ro swiotlb=65536,force quiet") && forced("swiotlb=force"));
        assert!(!forced("ro swiotlb=65536 swiotlb=noforce"));
    }
}
