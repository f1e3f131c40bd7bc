//! Stable ids: paths, copy sites and reasons. The names are API: they stand in JSON, on screen and in docs.

/// Declares a `#[repr(u8)]` enum together with its list of variants and its stable names, so that each id is
/// written once.
macro_rules! ids {
    ($(#[$meta:meta])* $name:ident { $($(#[$vmeta:meta])* $variant:ident = $id:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[repr(u8)]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$vmeta])* #[doc = concat!("`", $id, "`")] $variant),+ }

        impl $name {
            /// Every id, in the order of the enum.
            pub const ALL: &'static [$name] = &[$($name::$variant),+];
            /// How many ids there are.
            pub const COUNT: usize = Self::ALL.len();

            /// The stable name used in JSON, on screen and on the command line.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $($name::$variant => $id),+ }
            }

            /// The id with this number, as the kernel programs write it.
            #[must_use]
            pub const fn from_u8(n: u8) -> Option<Self> {
                if (n as usize) < Self::COUNT { Some(Self::ALL[n as usize]) } else { None }
            }

            /// The id with this stable name.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|id| id.name() == name)
            }
        }
    };
}

ids! {
    /// How bytes enter or leave TCP.
    Path {
        Copy = "copy", MsgZerocopy = "msg_zerocopy", Sendfile = "sendfile", Splice = "splice",
        Vmsplice = "vmsplice", UringSend = "uring_send", UringSendZc = "uring_send_zc",
        UringSendZcFixed = "uring_send_zc_fixed", UringSendmsgZc = "uring_sendmsg_zc", Ktls = "ktls",
        Mptcp = "mptcp", Devmem = "devmem", Kernel = "kernel",
        Recv = "recv", RecvZerocopy = "recv_zerocopy", RecvSplice = "recv_splice", UringRecv = "uring_recv",
        UringZcrx = "uring_zcrx", RecvDevmem = "recv_devmem",
    }
}

impl Path {
    /// True when a send on this path asks the kernel not to copy, so that a ledger of copied bytes makes sense.
    /// `ktls` and `mptcp` rewrite or copy by nature and never count as application zero-copy. What `recv_devmem` takes
    /// from the linear part of packets is copied, and not told apart here: it has bytes only.
    #[must_use]
    pub const fn wants_zerocopy(self) -> bool {
        !matches!(
            self,
            Path::Copy
                | Path::UringSend
                | Path::Ktls
                | Path::Mptcp
                | Path::Recv
                | Path::RecvSplice
                | Path::UringRecv
                | Path::RecvDevmem
        )
    }

    /// True for the receive paths.
    #[must_use]
    pub const fn receives(self) -> bool {
        self as u8 >= Path::Recv as u8
    }

    /// True when the kernel tells the application about every send's end (error queue or notification CQE).
    #[must_use]
    pub const fn has_completion(self) -> bool {
        matches!(
            self,
            Path::MsgZerocopy
                | Path::UringSendZc
                | Path::UringSendZcFixed
                | Path::UringSendmsgZc
                | Path::Devmem
        )
    }
}

ids! {
    /// Where a copy happened: the kernel function, or for the tracepoint back end the place it was inferred at.
    Site {
        SkbCopyUbufs = "skb_copy_ubufs", PskbPullTail = "__pskb_pull_tail", SkbSegment = "skb_segment",
        SendmsgLocked = "tcp_sendmsg_locked", SockNoSendpage = "sock_no_sendpage_locked",
        ValidateXmit = "validate_xmit_skb", LocalReceive = "netif_receive_skb", TapClone = "dev_queue_xmit_nit",
        DeliverSkb = "deliver_skb", Unknown = "unknown",
        Fastopen = "tcp_sendmsg_fastopen", RepairQueue = "tcp_send_rcvq", Sockmap = "tcp_bpf_sendmsg",
        Mptcp = "mptcp_sendmsg",
        SkbPpCowData = "skb_pp_cow_data", SkbCopyBits = "skb_copy_bits", TunXmit = "tun_net_xmit",
        XdpGeneric = "do_xdp_generic",
        ZerocopyReceive = "tcp_zerocopy_receive", SkipHint = "recv_skip_hint",
        ZcrxCopy = "io_zcrx_copy_chunk",
        CopySpliceRead = "copy_splice_read",
    }
}

ids! {
    /// Why bytes were copied, or a send refused. One id per row of the reason table.
    Reason {
        Loopback = "loopback", LocalDelivery = "local_delivery", NetnsForward = "netns_forward",
        TunTap = "tun_tap", PacketTap = "packet_tap", PacketTapRx = "packet_tap_rx",
        NoScatterGather = "no_scatter_gather", NoTxChecksum = "no_tx_checksum", DriverLimit = "driver_limit",
        Xfrm = "xfrm", XdpVeth = "xdp_veth", XdpGeneric = "xdp_generic", TcBpfPull = "tc_bpf_pull",
        DmaBounce = "dma_bounce", ZerocopyMerge = "zerocopy_merge", HeaderPull = "header_pull",
        UnknownCaller = "unknown_caller",
        SoZerocopyUnset = "so_zerocopy_unset", RouteNoSg = "route_no_sg", Fastopen = "fastopen",
        Repair = "repair", Sockmap = "sockmap", Mptcp = "mptcp", Ktls = "ktls",
        SpliceCopyRead = "splice_copy_read",
        Optmem = "optmem", Memlock = "memlock", UringMemlock = "uring_memlock", Unsupported = "unsupported",
        Invalid = "invalid", BadBuffer = "bad_buffer", Aborted = "aborted", DevmemBinding = "devmem_binding",
        SmallSend = "small_send", FragLimit = "frag_limit", MixedSocket = "mixed_socket",
        SweptRetransmit = "swept_retransmit", SlowReader = "slow_reader", DelayedAck = "delayed_ack",
        LinkedFalsePositive = "linked_false_positive",
        RxUnaligned = "rx_unaligned", RxHeaderSplitMissing = "rx_header_split_missing",
        RxMappedPage = "rx_mapped_page", RxSmallQueue = "rx_small_queue",
        ZcrxCopyFallback = "zcrx_copy_fallback",
        RxMapFull = "rx_map_full",
    }
}
