//! What to attach: a table of facts x back ends x hooks. The attach module walks it and tries each for real.

use zcscope_common::Source;

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
        tracepoint_cannot: "no tracepoint stands in the functions that copy: places are concluded; fentry or \
                            kprobes are needed to see them",
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

    /// Whether a hook belongs on this kernel.
    pub(super) fn wants(&self, hook: &Hook) -> bool {
        match hook.when {
            When::Always => true,
            When::SplicePages => self.splice_pages(),
            When::SendPages => !self.splice_pages(),
            When::SendTracepoint => self.send_tracepoint(),
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
            Need::OptmemPerNetns => self.btf.field("net", "core.sysctl_optmem_max").is_some(),
        }
    }
}
