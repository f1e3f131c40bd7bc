//! Back ends: which facts each must and may miss, and whether a report says so.

use crate::guarded;
use crate::kernel::{self, Since};
use crate::stat_json::Stat;

/// A tracing back end forced on zcscope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Backend {
    /// fentry/fexit trampolines.
    Fentry,
    /// kprobe/kretprobe.
    Kprobe,
    /// BTF tracepoints.
    Tracepoint,
}

impl Backend {
    /// The name on the command line and in the report's sources.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Backend::Fentry => "fentry",
            Backend::Kprobe => "kprobe",
            Backend::Tracepoint => "tracepoint",
        }
    }

    /// The back end that feeds sends, as the report says.
    pub(super) fn of_report(stat: &Stat) -> Option<Self> {
        let source = stat.sources.get("send")?;
        [Backend::Fentry, Backend::Kprobe, Backend::Tracepoint]
            .into_iter()
            .find(|b| source.starts_with(b.name()))
    }

    /// Facts this back end cannot know, and must say so.
    pub(super) const fn must_miss(self) -> &'static [&'static str] {
        match self {
            Backend::Fentry | Backend::Kprobe => &["ktls_recv"],
            Backend::Tracepoint => &[
                "frags",
                "copy_site",
                "mixed_socket",
                "fastopen",
                "uring_release",
                "queue_latency",
                "xdp_copy",
                "sendfile_calls",
                "file_reads",
            ],
        }
    }

    /// True when this back end cannot know this fact on this kernel.
    fn may_miss(self, fact: &str) -> bool {
        match fact {
            // No part of these scenarios.
            "orphan_copy" | "uring_zcrx" => true,
            // Pages of a file came one by one and merged out of sight.
            "splice_frags" => !kernel::has(Since::SplicePages),
            // Its reads pass another function.
            "ktls_recv" => self != Backend::Tracepoint,
            // Dropped kprobes cannot be counted, nor what passes while a guarded init is on the CPU.
            "skipped_events" => self == Backend::Kprobe || guarded::init_is_guarded(),
            // Where the module is not loaded.
            "ktls" => self != Backend::Tracepoint && !kernel::has_symbol("tls_sw_sendmsg"),
            "mixed_socket" | "fastopen" => self == Backend::Tracepoint,
            // Splicing has no tracepoint; mapping costs too much to be watched unasked.
            "recv_splice" | "recv_zerocopy" => self == Backend::Tracepoint,
            "splice_file" => !kernel::has(Since::SplicePages),
            // Guests mount none.
            "cgroup" => !kernel::has_cgroups(),
            "sendfile_calls" | "file_reads" => self == Backend::Tracepoint,
            "attach" | "frags" | "copy_site" | "uring_release" | "queue_latency" | "xdp_copy" => {
                self == Backend::Tracepoint
            }
            "copy" | "completion" | "told" | "refused" | "uring_completion" | "uring_told" | "forwarding" => {
                self == Backend::Tracepoint && !kernel::has(Since::SendTracepoint)
            }
            _ => false,
        }
    }
}

/// The back end (the forced one, if any) feeds the facts, and says what it cannot know and nothing more.
pub(crate) fn sources(stat: &Stat, forced: Option<Backend>) -> Vec<String> {
    let mut wrong = Vec::new();
    let source = stat.sources.get("send");
    let Some(backend) = Backend::of_report(stat).filter(|b| forced.is_none_or(|forced| forced == *b)) else {
        let wanted = forced.map_or("any back end", Backend::name);
        return vec![format!("the source of `send` is {source:?}, not {wanted}")];
    };
    for fact in backend.must_miss().iter().filter(|fact| !stat.misses(fact)) {
        wrong.push(format!("`{fact}` should be listed as missing"));
    }
    for missing in &stat.missing {
        if !backend.may_miss(&missing.fact) {
            let (name, why) = (backend.name(), &missing.why);
            wrong.push(format!("`{}` should be known by {name} ({why})", missing.fact));
        }
        if missing.why.trim().is_empty() {
            wrong.push(format!("`{}` is missing without a reason", missing.fact));
        }
    }
    wrong
}
