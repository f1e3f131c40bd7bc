//! The reason table: one row per [`Reason`], the only place that says what a reason means, what the application
//! sees of it, how it is known, and what to do. Screens, reports, findings and `docs/reasons.md` all read it.

use zcscope_common::Reason;

use crate::units::capital;
/// What a reason is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ReasonKind {
    /// A send was accepted as zero-copy and its bytes were copied later.
    Copied,
    /// A send asked for zero-copy and its bytes were copied at once.
    CopiedFromStart,
    /// A send was refused.
    Refused,
    /// Not a copy, but worth telling.
    Note,
    /// A zero-copy receive had to copy.
    Receive,
}

impl ReasonKind {
    /// The heading over rows of this kind.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            ReasonKind::Copied => "Copied after being accepted",
            ReasonKind::CopiedFromStart => "Copied from the start",
            ReasonKind::Refused => "Refused",
            ReasonKind::Note => "Not copies, worth telling",
            ReasonKind::Receive => "Receive",
        }
    }

    /// Every kind, in the order they are shown.
    pub const ALL: [ReasonKind; 5] = [
        ReasonKind::Copied,
        ReasonKind::CopiedFromStart,
        ReasonKind::Refused,
        ReasonKind::Note,
        ReasonKind::Receive,
    ];
}

/// One row of the reason table.
#[derive(Clone, Copy, Debug)]
pub struct ReasonInfo {
    /// The id.
    pub reason: Reason,
    /// What it is about.
    pub kind: ReasonKind,
    /// What happened, in one line.
    pub meaning: &'static str,
    /// What the application can see of it.
    pub app_sees: &'static str,
    /// How the tool knows.
    pub how: &'static str,
    /// What to do: one step per line, a command where there is one. `DEV` stands for the device.
    pub fix: &'static str,
}

macro_rules! rows {
    ($($kind:ident $reason:ident: $meaning:literal, sees $sees:literal, how $how:literal, fix $fix:literal;)+) => {
        /// Every row, in the order of [`Reason::ALL`].
        pub static TABLE: [ReasonInfo; Reason::COUNT] = [$(ReasonInfo {
            reason: Reason::$reason,
            kind: ReasonKind::$kind,
            meaning: $meaning,
            app_sees: $sees,
            how: $how,
            fix: $fix,
        }),+];
    };
}

rows! {
    Copied Loopback: "both ends are on this host: the kernel copies before a local receiver may see the pages",
        sees "every send flagged COPIED", how "skb_copy_ubufs on a loopback device",
        fix "do not ask for zero-copy towards local peers: plain send, AF_UNIX or shared memory is cheaper\nmeasure over a real NIC; loopback says nothing about it";
    Copied LocalDelivery: "the receiver is on this host behind veth or netkit (a container): copied on delivery",
        sees "sends flagged COPIED", how "skb_copy_ubufs in the receive path of a virtual device",
        fix "by design between containers of one host: use plain send there, or sendfile, which is not copied";
    Copied NetnsForward: "the host routes the container's packets: this kernel copies them while forwarding",
        sees "sends flagged COPIED", how "skb_copy_ubufs on arrival, and ip_forward takes packets of the same connection on",
        fix "upgrade the kernel (6.18 forwards without the copy)\nor bridge instead of routing, or use ipvlan, macvlan, SR-IOV or host networking";
    Copied TunTap: "the packets leave through a tun or tap device, read by a user-space program",
        sees "sends flagged COPIED; nothing where the device takes no pages and packets are segmented",
        how "skb_copy_ubufs, __pskb_pull_tail or skb_segment for a tun device",
        fix "use vhost-net or SR-IOV for virtual machines; on a VPN accept the copy and use plain send";
    Copied PacketTap: "a packet capture (tcpdump, DHCP client, lldpd, IDS) got its own copy; the transmission did not",
        sees "sends flagged COPIED although the wire bytes were not copied", how "skb_copy_ubufs called by dev_queue_xmit_nit",
        fix "ss --packet --processes  # names the capturing programs; stop them\nor let them set PACKET_IGNORE_OUTGOING";
    Copied PacketTapRx: "a packet capture on the receiving side of loopback or veth made the kernel copy",
        sees "sends flagged COPIED", how "skb_copy_ubufs in the receive path while a tap is on the device",
        fix "ss --packet --processes  # names the capturing programs; stop them";
    Copied NoScatterGather: "the device cannot gather pages: the kernel copies every byte into linear packets",
        sees "nothing for large packets (told zero-copy); COPIED for packets of one segment",
        how "skb_segment without NETIF_F_SG, or __pskb_pull_tail from validate_xmit_skb",
        fix "ethtool -K DEV sg on tso on";
    Copied NoTxChecksum: "the device does not compute checksums: the kernel pulls the bytes to sum them",
        sees "sends flagged COPIED", how "__pskb_pull_tail called by skb_segment or skb_checksum_help",
        fix "ethtool -K DEV tx on";
    Copied DriverLimit: "the driver could not take the packet as it was (too many or too small frags, encapsulation)",
        sees "COPIED, or nothing when the packet was segmented",
        how "__pskb_pull_tail called from the driver's transmit function, or skb_segment on a device that gathers pages otherwise",
        fix "send from page-aligned, contiguous (huge page) buffers\nethtool -k DEV  # look for tx-*-segmentation of the tunnel in use\nupdate driver or firmware";
    Copied Xfrm: "IPsec encrypts in software and rewrites the bytes",
        sees "COPIED, or nothing", how "__pskb_pull_tail called by esp_output_head, also through skb_cow_data",
        fix "ethtool -K DEV esp-hw-offload on  # where the NIC can";
    Copied XdpVeth: "an XDP program on a veth makes the kernel copy each packet into a new one",
        sees "nothing: told zero-copy", how "skb_pp_cow_data under veth (before Linux 6.3 skb_copy_bits)",
        fix "ip link set dev DEV xdp off\nor attach the XDP program at the physical NIC";
    Copied XdpGeneric: "generic XDP needs linear packets: the kernel pulls the bytes together",
        sees "sends flagged COPIED", how "__pskb_pull_tail or skb_pp_cow_data under do_xdp_generic",
        fix "ip link set dev DEV xdpgeneric off\nor use native XDP";
    Copied TcBpfPull: "traffic control pulled packet bytes: a BPF program (bpf_skb_pull_data), an action, or netem",
        sees "nothing when headers were pulled, COPIED when it was everything",
        how "__pskb_pull_tail called by a BPF helper, a tc action or netem, also through skb_ensure_writable",
        fix "tc filter show dev DEV egress  # find the program; let it pull headers only";
    Copied DmaBounce: "the device cannot reach the pages: DMA goes through bounce buffers",
        sees "nothing: told zero-copy", how "swiotlb bounces on the device; not tied to one packet",
        fix "enable the IOMMU, or use a device with a 64-bit DMA mask\nremove swiotlb=force from the kernel command line";
    Copied ZerocopyMerge: "packets of two different zero-copy sends were merged or requeued to user space",
        sees "sends flagged COPIED", how "skb_copy_ubufs called by skb_zerocopy_clone",
        fix "rare; avoid Open vSwitch upcalls for bulk flows (install a datapath flow)";
    Copied HeaderPull: "a driver pulled a few header bytes out of the pages; the payload stayed",
        sees "sends flagged COPIED although nearly nothing was copied", how "partial __pskb_pull_tail called from the driver",
        fix "nothing to do: the copied bytes are tiny; do not turn zero-copy off because of the flag";
    Copied UnknownCaller: "copied by a caller that is not in this table; its symbol is shown",
        sees "COPIED, or nothing", how "a copy function with an unknown caller",
        fix "look the symbol up in the kernel source, and report it to zcscope so that it gets a name";

    CopiedFromStart SoZerocopyUnset: "MSG_ZEROCOPY without SO_ZEROCOPY on the socket: the kernel ignores the flag",
        sees "success, and never a notification", how "the flag is set, the socket option is not",
        fix "setsockopt(fd, SOL_SOCKET, SO_ZEROCOPY, &(int){1}, sizeof(int))  // before the first such send";
    CopiedFromStart RouteNoSg: "the route's device offers no scatter-gather: copied inside the send call",
        sees "sends flagged COPIED", how "sk_route_caps without NETIF_F_SG",
        fix "ethtool -K DEV sg on tso on";
    CopiedFromStart Fastopen: "data sent with the SYN (TCP Fast Open) is always copied",
        sees "nothing: told zero-copy", how "tcp_sendmsg_fastopen",
        fix "start zero-copy sends after the connection is established";
    CopiedFromStart Repair: "the socket is in TCP_REPAIR mode",
        sees "success", how "tcp_send_rcvq",
        fix "nothing to do: checkpoint/restore works this way";
    CopiedFromStart Sockmap: "the socket is in a BPF sockmap: its payload is copied into sk_msg pages",
        sees "success", how "tcp_bpf_sendmsg",
        fix "keep bulk sockets out of the map (bpftool map list shows sockmap and sockhash)";
    CopiedFromStart Mptcp: "MPTCP ignores MSG_ZEROCOPY and copies",
        sees "success, and never a notification", how "mptcp_sendmsg",
        fix "use a plain TCP socket (protocol IPPROTO_TCP) where zero-copy matters";
    CopiedFromStart Ktls: "kernel TLS writes the ciphertext into new pages",
        sees "success", how "tls_sw_sendmsg",
        fix "a NIC with TLS offload, with TLS_TX_ZEROCOPY_RO for sendfile\nethtool -k DEV | grep tls";
    CopiedFromStart SpliceCopyRead: "the file cannot lend its pages (O_DIRECT, DAX, FUSE or similar): read into new pages",
        sees "nothing", how "copy_splice_read on the splice path",
        fix "open the file without O_DIRECT, on a filesystem that splices from the page cache";

    Refused Optmem: "no room for another notification: the socket's option memory is at net.core.optmem_max",
        sees "ENOBUFS", how "sock_omalloc failed under msg_zerocopy_realloc",
        fix "read the error queue sooner (recvmsg with MSG_ERRQUEUE): every unread notification holds about 1 KiB\nsysctl -w net.core.optmem_max=1048576";
    Refused Memlock: "the user's pinned pages would pass RLIMIT_MEMLOCK",
        sees "ENOBUFS", how "mm_account_pinned_pages returned an error",
        fix "prlimit --pid PID --memlock=unlimited  # or ulimit -l, or LimitMEMLOCK= in the unit\nor give the program CAP_IPC_LOCK";
    Refused UringMemlock: "io_uring could not charge the pinned pages to RLIMIT_MEMLOCK",
        sees "ENOMEM in the send's CQE, then a notification that says copied although nothing was sent",
        how "result -12 of a zero-copy send",
        fix "prlimit --pid PID --memlock=unlimited  # or ulimit -l, or LimitMEMLOCK= in the unit\nor use registered buffers, which are charged once";
    Refused Unsupported: "this socket does not do zero-copy (kernel TLS, sockmap, or not TCP)",
        sees "EOPNOTSUPP", how "result -95",
        fix "do not ask for zero-copy on this socket";
    Refused Invalid: "the request is not valid for zero-copy (flags, bundle, or a file that cannot be spliced)",
        sees "EINVAL", how "result -22",
        fix "drop IOSQE_CQE_SKIP_SUCCESS and bundles from SEND_ZC; read and write files that cannot be spliced";
    Refused BadBuffer: "the buffer's pages cannot be referenced (device memory, bad index or address)",
        sees "EFAULT", how "skb_zerocopy_iter_stream returned -14",
        fix "send from ordinary memory, and check the index of the registered buffer";
    Refused Aborted: "the send failed after it had been set up (socket full or closed): nothing was sent",
        sees "EAGAIN or EPIPE, and no notification", how "msg_zerocopy_put_abort",
        fix "wait until the socket is writable before the next send";
    Refused DevmemBinding: "the dma-buf is not bound to the device of the route",
        sees "EHOSTUNREACH, ENODEV or EINVAL", how "net_devmem_get_binding returned an error",
        fix "bind the dma-buf on DEV, and route the connection over it";

    Note SmallSend: "small zero-copy sends: pinning and notifications may cost more than the copy",
        sees "nothing", how "bytes per zero-copy send",
        fix "use zero-copy from about 10 KiB a send, plain send below";
    Note FragLimit: "a packet was full of fragments (MAX_SKB_FRAGS): more, smaller packets",
        sees "nothing", how "skb_zerocopy_iter_stream returned -EMSGSIZE",
        fix "send from page-aligned, contiguous (huge page) buffers";
    Note MixedSocket: "plain and zero-copy sends on one socket: no copy, but more accounting and more packets",
        sees "nothing", how "tcp_downgrade_zcopy_pure or __skb_zcopy_downgrade_managed",
        fix "do not mix small plain sends into a zero-copy stream; add headers with one sendmsg";
    Note SweptRetransmit: "packets were split or retransmitted: pages are held longer, nothing is copied",
        sees "late notifications", how "tcp_retransmit_skb",
        fix "ss -ti  # look at retransmissions of the flow";
    Note SlowReader: "notifications are queued and not read",
        sees "late notifications, in the end ENOBUFS", how "notifications queued minus notifications read",
        fix "poll for POLLERR and read the error queue (recvmsg with MSG_ERRQUEUE) after every few sends";
    Note DelayedAck: "the end of a send waited for the peer's delayed ACK (40 ms)",
        sees "late notifications", how "completion latency near 40 ms",
        fix "set TCP_QUICKACK at the receiver, or keep more data in flight";
    Note LinkedFalsePositive: "linked io_uring notifications always say copied; only the first of a chain tells the truth",
        sees "IORING_NOTIF_USAGE_ZC_COPIED", how "io_link_skb chains",
        fix "do not turn zero-copy off because of this flag; zcscope reports the head's";

    Receive RxUnaligned: "received data does not fill whole pages, so it cannot be mapped",
        sees "recv_skip_hint: bytes left to read", how "tcp_zerocopy_receive",
        fix "use an MSS that fills pages (MTU 4096 plus headers) and a NIC with header split";
    Receive RxHeaderSplitMissing: "headers and payload arrive in one buffer: payload does not start at a page",
        sees "recv_skip_hint: bytes left to read", how "tcp_zerocopy_receive",
        fix "ethtool -G DEV tcp-data-split on";
    Receive RxMappedPage: "the pages belong to a file or to huge allocations (a sender on this host) and cannot be mapped",
        sees "recv_skip_hint: bytes left to read", how "can_map_frag refused",
        fix "measure with a sender on another host";
    Receive RxSmallQueue: "less than a page was queued, or no more than the copy buffer takes: copied, or left to a read",
        sees "copybuf_len or recv_skip_hint", how "receive_fallback_to_copy",
        fix "wait for more data (SO_RCVLOWAT) before asking, and give a copy buffer of a few pages at most";
    Receive ZcrxCopyFallback: "io_uring zero-copy receive had to copy (data outside its own area)",
        sees "nothing", how "io_zcrx_copy_chunk",
        fix "ethtool -G DEV tcp-data-split on\nsteer the flow to the queue of the ring: ethtool -N DEV flow-type tcp4 ... action QUEUE";
    Receive RxMapFull: "the range to map into was full: the rest of the packet went through the copy buffer",
        sees "copybuf_len", how "tcp_zerocopy_receive",
        fix "map a range at least as long as what can be queued (SO_RCVBUF), or give no copy buffer";
}

/// The row of a reason.
#[must_use]
pub fn info(reason: Reason) -> &'static ReasonInfo {
    &TABLE[reason as usize]
}

/// What to do about a reason, one step per line, with the device's name where it is known.
#[must_use]
pub fn fix_for(reason: Reason, dev: Option<&str>) -> String {
    let fix = info(reason).fix;
    match dev {
        Some(dev) => fix.replace("DEV", dev),
        None => fix.to_owned(),
    }
}

/// Reasons that not every kernel has; the others are the same from Linux 5.15 on.
const KERNELS: &[(Reason, &str)] = &[
    (Reason::NetnsForward, "seen on Linux 6.1 and 6.12, gone in 6.18"),
    (Reason::XdpVeth, "all; seen with fentry and kprobes only"),
    (Reason::DmaBounce, "all; told by its cause, never per packet"),
    (
        Reason::RouteNoSg,
        "all, but rare: TCP takes scatter-gather for granted wherever it can segment in software",
    ),
    (Reason::Mptcp, "Linux 5.6 and later"),
    (
        Reason::SpliceCopyRead,
        "all; copy_splice_read is a function of its own since Linux 6.5, before O_DIRECT tells",
    ),
    (
        Reason::Optmem,
        "all; the default limit is 20 KiB on Linux 6.1 and 128 KiB on 6.12, where it is per network namespace",
    ),
    (Reason::UringMemlock, "Linux 6.0 and later"),
    (Reason::DevmemBinding, "Linux 6.16 and later"),
    (Reason::LinkedFalsePositive, "Linux 6.10 and later"),
    (Reason::RxUnaligned, "Linux 4.18 and later"),
    (Reason::RxMappedPage, "Linux 4.18 and later"),
    (Reason::RxMapFull, "Linux 4.18 and later"),
    (Reason::ZcrxCopyFallback, "Linux 6.15 and later"),
];

const MSG_ZEROCOPY_RST: &str = "Documentation/networking/msg_zerocopy.rst";

/// Where to read on about a reason.
const READING: &[(Reason, &str)] = &[
    (Reason::Loopback, "Documentation/networking/msg_zerocopy.rst, section Loopback"),
    (Reason::LocalDelivery, "Documentation/networking/msg_zerocopy.rst, section Loopback"),
    (Reason::TunTap, "Documentation/networking/tuntap.rst"),
    (Reason::PacketTap, "packet(7), PACKET_IGNORE_OUTGOING"),
    (Reason::PacketTapRx, "packet(7)"),
    (Reason::NoScatterGather, "ethtool(8); Documentation/networking/segmentation-offloads.rst"),
    (Reason::NoTxChecksum, "ethtool(8); Documentation/networking/checksum-offloads.rst"),
    (Reason::DriverLimit, "Documentation/networking/segmentation-offloads.rst"),
    (Reason::Xfrm, "Documentation/networking/xfrm_device.rst"),
    (Reason::XdpVeth, "ip-link(8)"),
    (Reason::XdpGeneric, "ip-link(8)"),
    (Reason::TcBpfPull, "bpf-helpers(7), bpf_skb_pull_data"),
    (Reason::DmaBounce, "Documentation/core-api/swiotlb.rst"),
    (Reason::SoZerocopyUnset, MSG_ZEROCOPY_RST),
    (Reason::Fastopen, "tcp(7), TCP_FASTOPEN"),
    (Reason::Mptcp, "Documentation/networking/mptcp.rst"),
    (Reason::Ktls, "Documentation/networking/tls.rst; Documentation/networking/tls-offload.rst"),
    (Reason::SpliceCopyRead, "splice(2); open(2), O_DIRECT"),
    (Reason::Optmem, MSG_ZEROCOPY_RST),
    (Reason::Memlock, "getrlimit(2), RLIMIT_MEMLOCK"),
    (Reason::UringMemlock, "io_uring_register(2), RLIMIT_MEMLOCK"),
    (Reason::Invalid, "io_uring_enter(2), IORING_OP_SEND_ZC"),
    (Reason::DevmemBinding, "Documentation/networking/devmem.rst"),
    (Reason::SmallSend, MSG_ZEROCOPY_RST),
    (Reason::SlowReader, MSG_ZEROCOPY_RST),
    (Reason::DelayedAck, "tcp(7), TCP_QUICKACK"),
    (Reason::RxHeaderSplitMissing, "ethtool(8), --set-ring"),
    (Reason::ZcrxCopyFallback, "Documentation/networking/iou-zcrx.rst"),
];

/// On which kernels a reason is met.
#[must_use]
pub fn kernels(reason: Reason) -> &'static str {
    KERNELS.iter().find(|(of, _)| *of == reason).map_or("all", |(_, kernels)| kernels)
}

/// Where to read on: a manual page, or a file of the kernel's source. Empty where there is nothing better.
#[must_use]
pub fn reading(reason: Reason) -> &'static str {
    READING.iter().find(|(of, _)| *of == reason).map_or("", |(_, reading)| reading)
}

/// The reason table as Markdown: the text of `docs/reasons.md`.
#[must_use]
pub fn markdown() -> String {
    let mut out = String::from(
        "# Reasons\n\nWhy bytes were copied, a send was refused, or what else is worth knowing. The ids are stable. \
         `DEV` stands for the device.\n\nGenerated from `tool/src/model/reason.rs`; do not edit.\n",
    );
    for kind in ReasonKind::ALL {
        out.push_str(&format!("\n## {}\n", kind.title()));
        for row in TABLE.iter().filter(|row| row.kind == kind) {
            let more = match reading(row.reason) {
                "" => String::new(),
                reading => format!("- Read on: {reading}.\n"),
            };
            out.push_str(&format!(
                "\n### `{}`\n\n{}.\n\n- The application sees: {}.\n- How we know: {}.\n- Kernels: {}.\n{}\n```\n{}\n```\n",
                row.reason.name(),
                capital(row.meaning),
                row.app_sees,
                row.how,
                kernels(row.reason),
                more,
                row.fix
            ));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_exactly_one_row() {
        for reason in Reason::ALL {
            assert_eq!(TABLE.iter().filter(|row| row.reason == *reason).count(), 1, "{}", reason.name());
            assert_eq!(info(*reason).reason, *reason, "the table stands in the order of the enum");
        }
    }

    #[test]
    fn every_cell_says_something() {
        for row in &TABLE {
            for cell in [row.meaning, row.app_sees, row.how, row.fix] {
                assert!(cell.len() > 3 && !cell.ends_with('.'), "{}: {cell:?}", row.reason.name());
            }
        }
    }

    #[test]
    fn the_device_stands_in_the_fix() {
        assert_eq!(fix_for(Reason::NoTxChecksum, Some("eth0")), "ethtool -K eth0 tx on");
        assert_eq!(fix_for(Reason::NoTxChecksum, None), "ethtool -K DEV tx on");
    }

    #[test]
    fn the_document_is_current() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/reasons.md");
        if std::env::var_os("ZCSCOPE_UPDATE_DOCS").is_some() {
            std::fs::write(path, markdown()).unwrap();
        }
        let on_disk = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            on_disk == markdown(),
            "run the tests once with ZCSCOPE_UPDATE_DOCS=1 to write docs/reasons.md"
        );
    }
}
