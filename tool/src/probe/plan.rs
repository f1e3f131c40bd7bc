//! What to attach: a table of facts x back ends x hooks. The attach module walks it and tries each for real.

use zcscope_common::{Path, Source};

use super::btf::Btf;
use crate::host::symbols::Symbols;

/// Kind of hook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Fentry,
    Fexit,
    Kprobe,
    Kretprobe,
    Tracepoint,
}

impl Kind {
    /// The back end such a hook belongs to.
    pub(super) const fn source(self) -> Source {
        match self {
            Kind::Fentry | Kind::Fexit => Source::Fentry,
            Kind::Kprobe | Kind::Kretprobe => Source::Kprobe,
            Kind::Tracepoint => Source::Tracepoint,
        }
    }
}

/// Name of a back end, as in `sources` and on the command line.
pub(super) const fn source_name(source: Source) -> &'static str {
    match source {
        Source::None => "none",
        Source::Fentry => "fentry",
        Source::Kprobe => "kprobe",
        Source::Tracepoint => "tracepoint",
    }
}

/// What a kernel must have for a hook to make sense; a hook whose condition does not hold is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum When {
    Always,
    /// >= 6.5: sendfile reaches TCP as MSG_SPLICE_PAGES.
    SplicePages,
    /// <= 6.4: sendfile reaches TCP through `do_tcp_sendpages`.
    SendPages,
    /// >= 6.16: `tcp:tcp_sendmsg_locked` exists.
    SendTracepoint,
    /// The function exists: it is part of a module, or of some kernels only.
    Exists,
    /// >= 6.3: io_uring's submissions are told by `io_uring_submit_req`.
    UringSubmitReq,
    /// Before: by `io_uring_submit_sqe`.
    UringSubmitSqe,
    /// >= 6.10: io_uring's notifications can be linked, and one function takes their references back.
    UringLink,
    /// Before 6.2: another function does.
    UringCallback,
    /// IPv6 is part of the kernel.
    Ipv6,
}

/// One program on one kernel function or tracepoint.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hook {
    pub(super) kind: Kind,
    /// Kernel function or tracepoint.
    pub(super) target: &'static str,
    pub(super) when: When,
}

impl Hook {
    /// Name of the program in the object: `KIND_TARGET`, without leading underscores of the target.
    pub(super) fn program(&self) -> String {
        let kind = match self.kind {
            Kind::Fentry => "fentry",
            Kind::Fexit => "fexit",
            Kind::Kprobe => "kprobe",
            Kind::Kretprobe => "kretprobe",
            Kind::Tracepoint => "tp",
        };
        format!("{kind}_{}", self.target.trim_start_matches('_'))
    }
}

/// One way to know a fact.
#[derive(Clone, Copy, Debug)]
pub(super) struct Way {
    pub(super) source: Source,
    pub(super) hooks: &'static [Hook],
    /// What besides the hooks must hold.
    pub(super) needs: &'static [Need],
}

/// Something a way needs besides its hooks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// Names of kernel functions (`/proc/kallsyms`).
    Symbols,
    /// `tcp:tcp_sendmsg_locked`, which tells the id of each send.
    SendTracepoint,
    /// `skb:consume_skb` with the caller.
    ConsumeLocation,
    /// `optmem_max` per network namespace.
    OptmemPerNetns,
    /// kTLS is there: built in, or its module loaded.
    Tls,
    /// The kernel has MPTCP.
    Mptcp,
    /// The kernel has sockmaps.
    Sockmap,
    /// veth copies for XDP by itself, in a function that can be found.
    VethCopies,
    /// `--path recv_zerocopy`: what it takes costs every system call of the host.
    AskedRecvZerocopy,
}

impl Need {
    /// Why the fact is missing without it.
    pub(super) const fn why(self) -> &'static str {
        match self {
            Need::Symbols => {
                "kernel function addresses are hidden (kernel.kptr_restrict); run as root, or set it to 1 or 0"
            }
            Need::SendTracepoint => {
                "the tracepoint tcp:tcp_sendmsg_locked does not exist here (Linux 6.16 and later have it)"
            }
            Need::ConsumeLocation => "the tracepoint skb:consume_skb does not name its caller here",
            Need::Tls => {
                "kTLS is not there: where it is a module, load it (`modprobe tls`) before zcscope starts, or what \
                 is sent through it is not seen"
            }
            Need::Mptcp => "this kernel has no MPTCP",
            Need::Sockmap => "this kernel has no sockmaps",
            Need::VethCopies => {
                "this kernel copies for XDP inside veth's own functions, and these are not among its symbols (veth is \
                 not loaded)"
            }
            Need::AskedRecvZerocopy => {
                "without fentry or kprobes the end of every system call of this host must be watched, which costs each \
                 about 25 ns: ask for it with --path recv_zerocopy"
            }
            Need::OptmemPerNetns => "net.core.optmem_max is not kept per network namespace here",
        }
    }
}

/// One fact and the ways to know it, best first.
pub(super) struct Fact {
    pub(super) name: &'static str,
    pub(super) ways: &'static [Way],
    /// Why the tracepoint back end cannot know it, when it has no way there.
    pub(super) tracepoint_cannot: &'static str,
}

const fn hook(kind: Kind, target: &'static str) -> Hook {
    Hook { kind, target, when: When::Always }
}

const fn hook_when(kind: Kind, target: &'static str, when: When) -> Hook {
    Hook { kind, target, when }
}

const fn way(source: Source, hooks: &'static [Hook], needs: &'static [Need]) -> Way {
    Way { source, hooks, needs }
}

use Kind::{Fentry, Fexit, Kprobe, Kretprobe, Tracepoint};

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
/// The same tracepoints with every back end: they suffice.
const URING_WAYS: &[Way] = &[
    way(Source::Fentry, URING, &[]),
    way(Source::Kprobe, URING, &[]),
    way(Source::Tracepoint, URING, &[Need::SendTracepoint]),
];

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
                &[
                    hook_when(Fentry, "io_tx_ubuf_complete", When::UringLink),
                    hook_when(Fentry, "io_uring_tx_zerocopy_callback", When::UringCallback),
                ],
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
];

/// Facts about single paths, attached only when one of these is asked for.
const OF_PATHS: &[(&str, &[Path])] = &[
    ("recv", &[Path::Recv, Path::UringRecv, Path::RecvDevmem]),
    ("recv_zerocopy", &[Path::RecvZerocopy]),
    ("recv_splice", &[Path::RecvSplice]),
    ("uring_zcrx", &[Path::UringZcrx]),
];

/// Whether a fact is needed for the paths asked for (none: all of them).
pub(super) fn asked_for(fact: &str, paths: &[Path]) -> bool {
    let of = OF_PATHS.iter().find(|(name, _)| *name == fact).map(|(_, of)| *of);
    paths.is_empty() || of.is_none_or(|of| of.iter().any(|path| paths.contains(path)))
}

/// Hooks every back end needs.
pub(super) const BASE: &[Hook] =
    &[hook(Tracepoint, "tcp_destroy_sock"), hook(Tracepoint, "sched_process_exit")];
/// Facts every back end learns from a tracepoint; without it only the fact is missing.
pub(super) const EXTRA: &[(&str, Hook)] = &[("cache_miss", hook(Tracepoint, "mm_filemap_add_to_page_cache"))];
/// Hook that follows forks, for `-- CMD`.
pub(super) const FORK: Hook = hook(Tracepoint, "sched_process_fork");

/// Exists where the kernel takes kprobes through perf events, as aya attaches them.
const KPROBES: &str = "/sys/bus/event_source/devices/kprobe/type";

/// What this kernel has, as far as the plan asks.
pub(super) struct Kernel<'a> {
    pub(super) btf: &'a Btf,
    pub(super) symbols: Option<&'a Symbols>,
    /// Paths asked for; empty for all.
    pub(super) paths: &'a [Path],
}

impl Kernel<'_> {
    pub(super) fn splice_pages(&self) -> bool {
        self.btf.has_function("skb_splice_from_iter")
    }

    pub(super) fn send_tracepoint(&self) -> bool {
        self.btf.tracepoint_args("tcp_sendmsg_locked").is_some()
    }

    pub(super) fn consume_location(&self) -> bool {
        self.btf.tracepoint_args("consume_skb").is_some_and(|args| args >= 2)
    }

    fn has_symbol(&self, name: &str) -> bool {
        self.symbols.is_some_and(|symbols| symbols.address_of(name).is_some())
    }

    fn uring_submit_sqe(&self) -> bool {
        self.btf.tracepoint_args("io_uring_submit_sqe").is_some()
    }

    fn uring_callback(&self) -> bool {
        self.btf.has_function("io_uring_tx_zerocopy_callback")
    }

    /// Whether `io_uring:io_uring_complete` hands over the CQE itself: it has three arguments then, else seven.
    pub(super) fn uring_cqe(&self) -> bool {
        self.btf.tracepoint_args("io_uring_complete") == Some(3)
    }

    /// Whether a hook belongs on this kernel.
    pub(super) fn wants(&self, hook: &Hook) -> bool {
        match hook.when {
            When::Always => true,
            When::SplicePages => self.splice_pages(),
            When::SendPages => !self.splice_pages(),
            When::SendTracepoint => self.send_tracepoint(),
            When::Exists => self.has_symbol(hook.target),
            When::UringSubmitReq => !self.uring_submit_sqe(),
            When::UringSubmitSqe => self.uring_submit_sqe(),
            When::UringLink => !self.uring_callback(),
            When::UringCallback => self.uring_callback(),
            When::Ipv6 => self.btf.has_function("ip6_forward"),
        }
    }

    /// Why a hook cannot exist here, if that is known beforehand.
    pub(super) fn lacks(&self, hook: &Hook) -> Option<String> {
        let target = hook.target;
        match hook.kind {
            Kind::Fentry | Kind::Fexit => (!self.btf.has_function(target))
                .then(|| format!("this kernel has no function {target} with a BTF signature")),
            Kind::Kprobe | Kind::Kretprobe if !std::path::Path::new(KPROBES).exists() => {
                Some("this kernel has no kprobes".to_owned())
            }
            Kind::Kprobe | Kind::Kretprobe => {
                let known = self.symbols.is_none_or(|symbols| symbols.address_of(target).is_some());
                (!known).then(|| format!("this kernel has no function {target}"))
            }
            Kind::Tracepoint => self
                .btf
                .tracepoint_args(target)
                .is_none()
                .then(|| format!("this kernel has no tracepoint {target}")),
        }
    }

    /// Whether a need is met.
    pub(super) fn meets(&self, need: Need) -> bool {
        match need {
            Need::Symbols => self.symbols.is_some(),
            Need::SendTracepoint => self.send_tracepoint(),
            Need::ConsumeLocation => self.consume_location(),
            Need::Tls => self.has_symbol("tls_sw_sendmsg"),
            Need::Sockmap => self.btf.has_function("tcp_bpf_sendmsg"),
            Need::Mptcp => self.btf.has_function("mptcp_sendmsg"),
            Need::VethCopies => {
                let known = |name| self.symbols.is_some_and(|s| s.range_of(name).is_some());
                !self.btf.has_function("skb_pp_cow_data")
                    && (known("veth_convert_skb_to_xdp_buff") || known("veth_xdp_rcv_skb"))
            }
            Need::AskedRecvZerocopy => self.paths.contains(&Path::RecvZerocopy),
            Need::OptmemPerNetns => self.btf.field("net", "core.sysctl_optmem_max").is_some(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn receive_facts_are_attached_only_for_receive_paths() {
        assert!(FACTS.iter().all(|fact| asked_for(fact.name, &[])));
        assert!(OF_PATHS.iter().all(|(name, _)| FACTS.iter().any(|fact| fact.name == *name)));
        let asked = |paths: &[Path]| {
            OF_PATHS.iter().map(|(name, _)| *name).filter(|name| asked_for(name, paths)).collect::<Vec<_>>()
        };
        assert_eq!(asked(&[Path::Copy]), [""; 0]);
        assert_eq!(asked(&[Path::UringRecv, Path::Sendfile]), ["recv"]);
        assert_eq!(asked(&[Path::RecvZerocopy]), ["recv_zerocopy"]);
        assert!(asked_for("send", &[Path::Recv]));
    }
}
