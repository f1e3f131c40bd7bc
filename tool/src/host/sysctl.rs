//! Kernel settings that decide about zero-copy sends, as the calling thread's network namespace has them.

use std::fs;

use serde::{Deserialize, Serialize};

/// Path below `/proc/sys`, and what it is for.
const SETTINGS: &[(&str, &str)] = &[
    ("net/core/optmem_max", "option memory of a socket, bytes: limits unread notifications"),
    ("net/core/max_skb_frags", "most pieces of memory in a packet"),
    ("net/ipv4/tcp_wmem", "send buffer, bytes: least, default, most"),
    ("net/ipv4/tcp_rmem", "receive buffer, bytes: least, default, most"),
    ("net/ipv4/tcp_notsent_lowat", "bytes not sent yet at which a socket takes no more"),
    ("net/ipv4/tcp_congestion_control", "congestion control of new sockets"),
    ("net/ipv4/tcp_mtu_probing", "probing for a larger MTU: probes are copied on older kernels"),
    ("net/ipv4/tcp_available_ulp", "upper layers sockets may have, tls among them"),
    ("kernel/io_uring_disabled", "0 everybody may use io_uring, 1 only a group, 2 nobody"),
    ("kernel/unprivileged_bpf_disabled", "whether programs without rights may load BPF"),
];

/// One setting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setting {
    /// Name as `sysctl` writes it.
    pub name: String,
    /// Value; several numbers with blanks between.
    pub value: String,
    /// What it is for.
    pub about: String,
}

/// Reads all that exist here.
#[must_use]
pub fn settings() -> Vec<Setting> {
    let read = |(path, about): &(&str, &str)| {
        let value = fs::read_to_string(format!("/proc/sys/{path}")).ok()?;
        Some(Setting {
            name: path.replace('/', "."),
            value: value.split_whitespace().collect::<Vec<_>>().join(" "),
            about: (*about).to_owned(),
        })
    };
    SETTINGS.iter().filter_map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_one_line() {
        let settings = settings();
        let wmem = settings.iter().find(|setting| setting.name == "net.ipv4.tcp_wmem").unwrap();
        assert_eq!(wmem.value.split(' ').count(), 3);
        assert!(settings.iter().all(|setting| !setting.value.contains('\n')));
    }
}
