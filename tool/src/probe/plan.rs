//! What attaching is planned in: facts, the ways to know them, their hooks, and what this kernel has of it. The
//! attach module walks the table in [`super::facts`] and tries each way for real.

use zcscope_common::{Path, Source};

use super::btf::Btf;
use super::facts::OF_PATHS;
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

/// What the name of a second program at one place ends in.
pub(super) const TWIN: &str = "_twin";

/// One program on one kernel function or tracepoint.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hook {
    pub(super) kind: Kind,
    /// Kernel function or tracepoint.
    pub(super) target: &'static str,
    pub(super) when: When,
    /// A second program at the same place, which does the same: the kernel skips one that is interrupted by itself.
    pub(super) twin: bool,
}

impl Hook {
    /// Name of the program in the object: `KIND_TARGET`, without leading underscores of the target; [`TWIN`] behind it
    /// for the second one there.
    pub(super) fn program(&self) -> String {
        let kind = match self.kind {
            Kind::Fentry => "fentry",
            Kind::Fexit => "fexit",
            Kind::Kprobe => "kprobe",
            Kind::Kretprobe => "kretprobe",
            Kind::Tracepoint => "tp",
        };
        let twin = if self.twin { TWIN } else { "" };
        format!("{kind}_{}{twin}", self.target.trim_start_matches('_'))
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
                "no function of veth's own that copies for XDP is among the symbols of this kernel (it has none, or veth \
                 is not loaded)"
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

/// Whether a fact is needed for the paths asked for (none: all of them).
pub(super) fn asked_for(fact: &str, paths: &[Path]) -> bool {
    let of = OF_PATHS.iter().find(|(name, _)| *name == fact).map(|(_, of)| *of);
    paths.is_empty() || of.is_none_or(|of| of.iter().any(|path| paths.contains(path)))
}

/// Exists where the kernel takes kprobes through perf events, as aya attaches them.
const KPROBES: &str = "/sys/bus/event_source/devices/kprobe/type";

/// What this kernel has, as far as the plan asks.
pub(super) struct Kernel<'a> {
    pub(super) btf: &'a Btf,
    pub(super) symbols: Option<&'a Symbols>,
    /// Paths asked for; empty for all.
    pub(super) paths: &'a [Path],
    /// Why no fentry program is taken, if so.
    pub(super) fentry_refused: Option<String>,
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
            Kind::Fentry | Kind::Fexit if self.fentry_refused.is_some() => self.fentry_refused.clone(),
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
    use crate::probe::facts::FACTS;

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
