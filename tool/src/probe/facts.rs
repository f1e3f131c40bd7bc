//! The table of facts: name, ways to know it (best first), the hooks of each, and what it needs besides.

use zcscope_common::{Path, Source};

use super::plan::Kind::{self, Fentry, Fexit, Kprobe, Kretprobe, Tracepoint};
use super::plan::{Fact, Hook, Need, Way, When};

const fn hook(kind: Kind, target: &'static str) -> Hook {
    Hook { kind, target, when: When::Always, twin: false }
}

const fn hook_when(kind: Kind, target: &'static str, when: When) -> Hook {
    Hook { kind, target, when, twin: false }
}

const fn twin(hook: Hook) -> Hook {
    Hook { twin: true, ..hook }
}

const fn way(source: Source, hooks: &'static [Hook], needs: &'static [Need]) -> Way {
    Way { source, hooks, needs }
}

const ATTACH_FENTRY: &[Hook] = &[
    hook(Fentry, "skb_zerocopy_iter_stream"),
    hook(Fexit, "skb_zerocopy_iter_stream"),
    hook_when(Fentry, "skb_splice_from_iter", When::SplicePages),
    hook_when(Fexit, "skb_splice_from_iter", When::SplicePages),
];
const ATTACH_KPROBE: &[Hook] = &[
    hook(Kprobe, "skb_zerocopy_iter_stream"),
    hook(Kretprobe, "skb_zerocopy_iter_stream"),
    hook_when(Kprobe, "skb_splice_from_iter", When::SplicePages),
    hook_when(Kretprobe, "skb_splice_from_iter", When::SplicePages),
];
const COPY_FENTRY: &[Hook] =
    &[hook(Fentry, "skb_copy_ubufs"), hook(Fentry, "__pskb_pull_tail"), hook(Fentry, "skb_segment")];
const COPY_KPROBE: &[Hook] =
    &[hook(Kprobe, "skb_copy_ubufs"), hook(Kprobe, "__pskb_pull_tail"), hook(Kprobe, "skb_segment")];
const ATTACH_CANNOT: &str = "no tracepoint sees pages being attached; fentry or kprobes are needed";

/// Functions of a module, whose types zcscope does not read: kprobes on every back end.
const TLS: &[Hook] = &[
    hook(Kprobe, "tls_sw_sendmsg"),
    hook(Kretprobe, "tls_sw_sendmsg"),
    hook_when(Kprobe, "tls_device_sendmsg", When::Exists),
    hook_when(Kretprobe, "tls_device_sendmsg", When::Exists),
    hook_when(Kprobe, "tls_sw_sendpage", When::Exists),
    hook_when(Kretprobe, "tls_sw_sendpage", When::Exists),
    hook_when(Kprobe, "tls_device_sendpage", When::Exists),
    hook_when(Kretprobe, "tls_device_sendpage", When::Exists),
];
/// The end of an MPTCP socket.
const MPTCP_END: Hook = hook(Tracepoint, "inet_sock_set_state");
const URING: &[Hook] = &[
    hook(Tracepoint, "io_uring_complete"),
    hook(Tracepoint, "io_uring_req_failed"),
    hook(Tracepoint, "io_uring_cqe_overflow"),
    hook_when(Tracepoint, "io_uring_submit_req", When::UringSubmitReq),
    hook_when(Tracepoint, "io_uring_submit_sqe", When::UringSubmitSqe),
];
/// A packet gives back its reference to a buffer of io_uring.
const URING_PUT: Hook = hook_when(Fentry, "io_tx_ubuf_complete", When::UringLink);
const URING_PUT_BEFORE_6_2: Hook = hook_when(Fentry, "io_uring_tx_zerocopy_callback", When::UringCallback);
/// The same tracepoints with every back end: they suffice.
const URING_WAYS: &[Way] = &[
    way(Source::Fentry, URING, &[]),
    way(Source::Kprobe, URING, &[]),
    way(Source::Tracepoint, URING, &[Need::SendTracepoint]),
];

/// One tracepoint with every back end, which fires for nothing but a bounce.
const BOUNCE: &[Hook] = &[hook(Tracepoint, "swiotlb_bounced")];

/// All facts. `send` is what tracing is about: without it zcscope does not start.
pub(super) const FACTS: &[Fact] = &[
    Fact {
        name: "send",
        ways: &[
            way(
                Source::Fentry,
                &[
                    hook(Fentry, "tcp_sendmsg_locked"),
                    hook(Fexit, "tcp_sendmsg_locked"),
                    hook(Fexit, "msg_zerocopy_realloc"),
                    hook_when(Fentry, "do_tcp_sendpages", When::SendPages),
                    hook_when(Fexit, "do_tcp_sendpages", When::SendPages),
                ],
                &[],
            ),
            way(
                Source::Kprobe,
                &[
                    hook(Kprobe, "tcp_sendmsg_locked"),
                    hook(Kretprobe, "tcp_sendmsg_locked"),
                    hook(Kprobe, "msg_zerocopy_realloc"),
                    hook(Kretprobe, "msg_zerocopy_realloc"),
                    hook_when(Kprobe, "do_tcp_sendpages", When::SendPages),
                    hook_when(Kretprobe, "do_tcp_sendpages", When::SendPages),
                ],
                &[],
            ),
            way(
                Source::Tracepoint,
                &[
                    hook(Tracepoint, "sock_send_length"),
                    hook_when(Tracepoint, "tcp_sendmsg_locked", When::SendTracepoint),
                ],
                &[],
            ),
        ],
        tracepoint_cannot: "",
    },
    Fact {
        name: "attach",
        ways: &[way(Source::Fentry, ATTACH_FENTRY, &[]), way(Source::Kprobe, ATTACH_KPROBE, &[])],
        tracepoint_cannot: ATTACH_CANNOT,
    },
    Fact {
        name: "frags",
        ways: &[way(Source::Fentry, ATTACH_FENTRY, &[]), way(Source::Kprobe, ATTACH_KPROBE, &[])],
        tracepoint_cannot: ATTACH_CANNOT,
    },
    Fact {
        name: "refused",
        ways: &[
            way(Source::Fentry, &[hook(Fexit, "mm_account_pinned_pages")], &[]),
            way(Source::Kprobe, &[hook(Kretprobe, "mm_account_pinned_pages")], &[]),
            way(Source::Tracepoint, &[], &[Need::OptmemPerNetns]),
        ],
        tracepoint_cannot: "",
    },
    Fact {
        name: "completion",
        ways: &[
            way(Source::Fentry, &[hook(Fentry, "__msg_zerocopy_callback")], &[]),
            way(Source::Kprobe, &[hook(Kprobe, "__msg_zerocopy_callback")], &[]),
            way(
                Source::Tracepoint,
                &[hook(Tracepoint, "inet_sk_error_report"), hook(Tracepoint, "consume_skb")],
                &[Need::SendTracepoint, Need::ConsumeLocation, Need::Symbols],
            ),
        ],
        tracepoint_cannot: "",
    },
    Fact {
        name: "told",
        ways: &[
            way(Source::Fentry, &[hook(Fexit, "sock_dequeue_err_skb")], &[]),
            way(Source::Kprobe, &[hook(Kretprobe, "sock_dequeue_err_skb")], &[]),
            way(
                Source::Tracepoint,
                &[hook(Tracepoint, "consume_skb")],
                &[Need::SendTracepoint, Need::ConsumeLocation, Need::Symbols],
            ),
        ],
        tracepoint_cannot: "",
    },
    Fact { name: "uring_completion", ways: URING_WAYS, tracepoint_cannot: "" },
    Fact { name: "uring_told", ways: URING_WAYS, tracepoint_cannot: "" },
    Fact {
        name: "uring_release",
        ways: &[
            way(
                Source::Fentry,
                &[URING_PUT, twin(URING_PUT), URING_PUT_BEFORE_6_2, twin(URING_PUT_BEFORE_6_2)],
                &[],
            ),
            way(
                Source::Kprobe,
                &[
                    hook_when(Kprobe, "io_tx_ubuf_complete", When::UringLink),
                    hook_when(Kprobe, "io_uring_tx_zerocopy_callback", When::UringCallback),
                ],
                &[],
            ),
        ],
        tracepoint_cannot: "no tracepoint tells when io_uring's last reference to a buffer is given back, only when \
                            its notification is posted; fentry or kprobes are needed",
    },
    Fact {
        name: "queue_latency",
        ways: &[
            way(
                Source::Fentry,
                &[hook(Fentry, "__msg_zerocopy_callback"), hook(Tracepoint, "inet_sk_error_report")],
                &[],
            ),
            way(
                Source::Kprobe,
                &[hook(Kprobe, "__msg_zerocopy_callback"), hook(Tracepoint, "inet_sk_error_report")],
                &[],
            ),
        ],
        tracepoint_cannot: "to tracepoints the release of a send and its notification are one event",
    },
    Fact {
        name: "copy",
        ways: &[
            way(Source::Fentry, COPY_FENTRY, &[Need::Symbols]),
            way(Source::Kprobe, COPY_KPROBE, &[Need::Symbols]),
            way(
                Source::Tracepoint,
                &[
                    hook(Tracepoint, "net_dev_queue"),
                    hook(Tracepoint, "net_dev_start_xmit"),
                    hook(Tracepoint, "netif_receive_skb"),
                ],
                &[Need::SendTracepoint],
            ),
        ],
        tracepoint_cannot: "",
    },
    Fact {
        name: "copy_site",
        ways: &[
            way(Source::Fentry, COPY_FENTRY, &[Need::Symbols]),
            way(Source::Kprobe, COPY_KPROBE, &[Need::Symbols]),
        ],
        tracepoint_cannot: "no tracepoint stands in the functions that copy: places are concluded, and copies by \
                            drivers, IPsec and tc programs stay unseen or unnamed; fentry or kprobes are needed",
    },
    Fact {
        name: "xdp_copy",
        ways: &[
            way(Source::Fentry, &[hook(Fentry, "skb_pp_cow_data")], &[Need::Symbols]),
            way(Source::Fentry, &[hook(Fentry, "skb_copy_bits")], &[Need::Symbols, Need::VethCopies]),
            way(Source::Kprobe, &[hook(Kprobe, "skb_pp_cow_data")], &[Need::Symbols]),
            way(Source::Kprobe, &[hook(Kprobe, "skb_copy_bits")], &[Need::Symbols, Need::VethCopies]),
        ],
        tracepoint_cannot: "no tracepoint sees the copies made for XDP programs on veth; fentry or kprobes are needed",
    },
    Fact {
        name: "forwarding",
        ways: &[
            way(
                Source::Fentry,
                &[hook(Fentry, "ip_forward"), hook_when(Fentry, "ip6_forward", When::Ipv6)],
                &[],
            ),
            way(
                Source::Kprobe,
                &[hook(Kprobe, "ip_forward"), hook_when(Kprobe, "ip6_forward", When::Ipv6)],
                &[],
            ),
            way(Source::Tracepoint, &[hook(Tracepoint, "net_dev_start_xmit")], &[Need::SendTracepoint]),
        ],
        tracepoint_cannot: "",
    },
    Fact {
        name: "ktls",
        ways: &[
            way(Source::Fentry, TLS, &[Need::Symbols, Need::Tls]),
            way(Source::Kprobe, TLS, &[Need::Symbols, Need::Tls]),
            way(Source::Tracepoint, &[hook(Tracepoint, "sock_send_length")], &[]),
        ],
        tracepoint_cannot: "",
    },
    Fact {
        name: "mptcp",
        ways: &[
            way(Source::Fentry, &[hook(Fexit, "mptcp_sendmsg"), MPTCP_END], &[Need::Mptcp]),
            way(
                Source::Kprobe,
                &[hook(Kprobe, "mptcp_sendmsg"), hook(Kretprobe, "mptcp_sendmsg"), MPTCP_END],
                &[Need::Mptcp],
            ),
            way(Source::Tracepoint, &[hook(Tracepoint, "sock_send_length"), MPTCP_END], &[Need::Mptcp]),
        ],
        tracepoint_cannot: "",
    },
    Fact {
        name: "sockmap",
        ways: &[
            way(
                Source::Fentry,
                &[hook(Fexit, "tcp_bpf_sendmsg"), hook_when(Fexit, "tcp_bpf_sendpage", When::Exists)],
                &[Need::Symbols, Need::Sockmap],
            ),
            way(
                Source::Kprobe,
                &[
                    hook(Kprobe, "tcp_bpf_sendmsg"),
                    hook(Kretprobe, "tcp_bpf_sendmsg"),
                    hook_when(Kprobe, "tcp_bpf_sendpage", When::Exists),
                    hook_when(Kretprobe, "tcp_bpf_sendpage", When::Exists),
                ],
                &[Need::Symbols, Need::Sockmap],
            ),
            way(Source::Tracepoint, &[hook(Tracepoint, "sock_send_length")], &[Need::Sockmap]),
        ],
        tracepoint_cannot: "",
    },
    Fact {
        name: "fastopen",
        ways: &[
            way(Source::Fentry, &[hook(Fexit, "msg_zerocopy_realloc")], &[]),
            way(
                Source::Kprobe,
                &[hook(Kprobe, "msg_zerocopy_realloc"), hook(Kretprobe, "msg_zerocopy_realloc")],
                &[],
            ),
        ],
        tracepoint_cannot: "no tracepoint stands before the connection is made: of a MSG_FASTOPEN send that does not \
                            fit into the SYN only the fact that it was copied is seen, not why",
    },
    Fact {
        name: "mixed_socket",
        ways: &[
            way(
                Source::Fentry,
                &[hook(Fentry, "tcp_downgrade_zcopy_pure"), hook(Fentry, "__skb_zcopy_downgrade_managed")],
                &[Need::Symbols],
            ),
            way(
                Source::Kprobe,
                &[hook(Kprobe, "tcp_downgrade_zcopy_pure"), hook(Kprobe, "__skb_zcopy_downgrade_managed")],
                &[Need::Symbols],
            ),
        ],
        tracepoint_cannot: "no tracepoint sees sends of two kinds share a packet",
    },
    Fact {
        name: "recv",
        ways: &[
            way(Source::Fentry, &[hook(Fexit, "tcp_recvmsg")], &[]),
            way(Source::Kprobe, &[hook(Kprobe, "tcp_recvmsg"), hook(Kretprobe, "tcp_recvmsg")], &[]),
            way(Source::Tracepoint, &[hook(Tracepoint, "sock_recv_length")], &[]),
        ],
        tracepoint_cannot: "",
    },
    Fact {
        name: "recv_zerocopy",
        ways: &[
            way(
                Source::Fentry,
                &[hook(Fentry, "tcp_zerocopy_receive"), hook(Fexit, "tcp_zerocopy_receive")],
                &[],
            ),
            way(
                Source::Kprobe,
                &[hook(Kprobe, "tcp_zerocopy_receive"), hook(Kretprobe, "tcp_zerocopy_receive")],
                &[],
            ),
            way(Source::Tracepoint, &[hook(Tracepoint, "sys_exit")], &[Need::AskedRecvZerocopy]),
        ],
        tracepoint_cannot: "",
    },
    Fact {
        name: "recv_splice",
        ways: &[
            way(Source::Fentry, &[hook(Fexit, "tcp_splice_read")], &[]),
            way(Source::Kprobe, &[hook(Kprobe, "tcp_splice_read"), hook(Kretprobe, "tcp_splice_read")], &[]),
        ],
        tracepoint_cannot: "no tracepoint sees splice out of a socket; fentry or kprobes are needed",
    },
    Fact {
        name: "uring_zcrx",
        ways: &[way(
            Source::Fentry,
            &[
                hook(Fentry, "io_zcrx_recv"),
                hook(Fexit, "io_zcrx_recv"),
                hook(Fexit, "io_zcrx_queue_cqe"),
                hook(Fexit, "io_zcrx_copy_chunk"),
            ],
            &[],
        )],
        tracepoint_cannot: "no tracepoint sees io_uring's zero-copy receive (Linux 6.15 and later have it); fentry is \
                            needed",
    },
    Fact {
        name: "sendfile_calls",
        ways: &[
            way(Source::Fentry, &[hook(Fexit, "do_sendfile")], &[]),
            way(Source::Kprobe, &[hook(Kretprobe, "do_sendfile")], &[]),
        ],
        tracepoint_cannot: "tracepoints see the chunks of a sendfile call, not the call; fentry or kprobes are needed",
    },
    Fact {
        name: "file_reads",
        ways: &[
            way(Source::Fentry, &[hook(Fexit, "filemap_read"), hook(Fexit, "shmem_file_read_iter")], &[]),
            way(
                Source::Kprobe,
                &[hook(Kretprobe, "filemap_read"), hook(Kretprobe, "shmem_file_read_iter")],
                &[],
            ),
        ],
        tracepoint_cannot: "no tracepoint tells how many bytes of a file a program reads; fentry or kprobes are needed",
    },
    Fact {
        name: "dma_bounce",
        ways: &[
            way(Source::Fentry, BOUNCE, &[Need::Symbols]),
            way(Source::Kprobe, BOUNCE, &[Need::Symbols]),
            way(Source::Tracepoint, BOUNCE, &[Need::Symbols]),
        ],
        tracepoint_cannot: "",
    },
];

/// Facts about single paths, attached only when one of these is asked for.
pub(super) const OF_PATHS: &[(&str, &[Path])] = &[
    ("recv", &[Path::Recv, Path::UringRecv, Path::RecvDevmem]),
    ("recv_zerocopy", &[Path::RecvZerocopy]),
    ("recv_splice", &[Path::RecvSplice]),
    ("uring_zcrx", &[Path::UringZcrx]),
];

/// Hooks every back end needs.
pub(super) const BASE: &[Hook] =
    &[hook(Tracepoint, "tcp_destroy_sock"), hook(Tracepoint, "sched_process_exit")];
/// Facts every back end learns from a tracepoint; without it only the fact is missing.
pub(super) const EXTRA: &[(&str, Hook)] = &[("cache_miss", hook(Tracepoint, "mm_filemap_add_to_page_cache"))];
/// Hook that follows forks, for `-- CMD`.
pub(super) const FORK: Hook = hook(Tracepoint, "sched_process_fork");
