//! `docs/limits.md`: what zcscope cannot see, per back end and kernel, out of the table of facts that attaching walks.

use std::fmt::Write as _;

use zcscope_common::Source;

use super::facts::FACTS;
use super::plan::{Fact, Hook, Way, When, source_name};
use crate::units::capital;

/// Back ends in the order of the columns.
const SOURCES: [Source; 3] = [Source::Fentry, Source::Kprobe, Source::Tracepoint];

/// What rests on each fact. A fact without a row stands in the document with its hooks only.
const FIGURES: &[(&str, &str)] = &[
    ("send", "calls, bytes and errors per path; without it nothing is traced"),
    ("attach", "bytes attached by reference"),
    ("frags", "frags, pages, frags per packet, bytes per frag, `frag_limit`"),
    ("splice_frags", "frags and pages of `sendfile`, `splice` and `vmsplice`"),
    ("mixed_socket", "`mixed_socket`: plain and zero-copy sends in one packet"),
    ("refused", "which limit a refused send hit: `optmem` or `memlock`"),
    (
        "completion",
        "ends of `MSG_ZEROCOPY` sends: what is in flight, copied and zero-copied of them, release latency",
    ),
    ("queue_latency", "time from a release to its notification on the error queue"),
    (
        "told",
        "what the application read from the error queue: notifications, wrong flags, time until they are read",
    ),
    ("uring_completion", "ends of io_uring's zero-copy sends"),
    ("uring_told", "what the notifications of io_uring say"),
    ("uring_release", "when io_uring's buffers are given back, apart from their notification"),
    ("send_time", "time inside the send call, ns per KiB"),
    (
        "copy",
        "bytes copied, zero-copied and copied silently, and why; which sends were told something wrong about",
    ),
    ("copy_site", "the kernel function that copied and the one that asked for it, seen and not concluded"),
    ("xdp_copy", "copies that veth makes for XDP programs"),
    ("forwarding", "packets routed by this host told apart from those delivered here"),
    ("fastopen", "bytes sent with the SYN, which are always copied"),
    ("ktls", "sends through kernel TLS as path `ktls`"),
    ("mptcp", "sends through MPTCP as path `mptcp`"),
    ("sockmap", "`sockmap`: sends without a copy that a sockmap turns into copies"),
    ("vmsplice", "`vmsplice` told apart from `splice`"),
    ("gauges", "option memory and unread notifications of a socket"),
    ("locked_pages", "pages pinned by the user of a socket"),
    ("recv", "paths `recv`, `uring_recv` and `recv_devmem`"),
    ("recv_zerocopy", "path `recv_zerocopy`: bytes mapped, copied and left to a plain read"),
    ("recv_splice", "path `recv_splice`"),
    ("uring_zcrx", "path `uring_zcrx`"),
    ("files", "files sent by `sendfile` and `splice`"),
    ("sendfile_calls", "how many system calls sent a file"),
    ("page_cache", "bytes of files sent that were not in the page cache"),
    ("copy_read", "bytes of files that were read into new pages instead of lent"),
    ("dma_bounce", "bytes that devices copied into bounce buffers while they transmitted"),
    ("file_reads", "files read by processes that send plainly: `sendfile_possible`"),
];

/// Facts that are no row of the table: they go missing by other rules, in this room's `session`.
const OTHERS: &[(&str, &str, &str)] = &[
    (
        "splice_frags",
        "before Linux 6.5",
        "sendfile, splice and vmsplice add one page a call and merge it into the frag before, where it cannot be \
         seen",
    ),
    (
        "ktls_recv",
        "with fentry and kprobes",
        "where kernel TLS decrypts, reads do not pass `tcp_recvmsg`, and what they receive is not counted",
    ),
    (
        "skipped_events",
        "with kprobes before Linux 6.7, and where init is guarded",
        "the kernel drops a kprobe that hits while another one is being handled on the same CPU, and before Linux 6.7 it \
         does not tell how often; a kernel that guards its init drops more, see below",
    ),
    (
        "splice_file",
        "before Linux 6.5",
        "splice hands TCP one page a call, and which file it is of is not looked at",
    ),
    ("cgroup", "without a mounted cgroup2 hierarchy", "cgroups have no path, so containers have no name"),
    (
        "orphan_copy",
        "everywhere",
        "file pages (sendfile, splice) have no completion to know them by: once a packet has left its socket, copies of \
         it (XDP on the far end of a veth, the device below a tunnel) cannot be told to be anybody's",
    ),
];

/// What no back end sees on any kernel.
const NOBODY: &[&str] = &[
    "When a program takes an io_uring notification: it reads memory it shares with the kernel. Told means posted there.",
    "Ends of single `sendfile`, `splice` and `vmsplice` sends: the kernel keeps no unit for them. Their copied bytes are \
     counted per socket.",
    "Which of several sends in one unit was copied: the kernel keeps one flag for all of them.",
    "Whose bytes went through bounce buffers for DMA (swiotlb): they are counted per device, for all programs together. \
     And copies inside a NIC, a hypervisor or vhost.",
    "Ids of sends accepted before tracing began: their ends are counted under `before_attach` and in no other figure.",
    "Reads of MPTCP sockets: MPTCP takes bytes from its connections without TCP's receive function.",
    "UDP, AF_UNIX, RDMA, AF_XDP: they do not pass TCP's send function.",
    "On a kernel that guards its init process (some small virtual machines; not even root may read `/proc/1/exe` there): \
     what is handled by an interrupt while one of init's threads is on the CPU. No eBPF program runs then, and the \
     kernel counts that nowhere; seen with Linux 6.18. Copies that are concluded from packets can be too few. There, \
     `skipped_events` is missing.",
    "With tracepoints, a unit that is reported while another CPU merges the next one into it can be counted twice among \
     the copies; the ledger cuts what it would have too much.",
];

/// The document.
fn markdown() -> String {
    let mut out = String::from(
        "# What zcscope cannot see\n\nA figure that rests on a fact which cannot be known is absent in JSON and `n/a` \
         on screen, never 0, and the fact stands under `missing` with the reason. Facts are tried one by one, best \
         back end first; what a kernel really allows is in every report.\n\nGenerated from `tool/src/probe/facts.rs` \
         and `limits.rs` beside it; do not edit.\n\n## Facts and back ends\n\n`if`: under the conditions named \
         below.\n\n| fact | fentry | kprobe | tracepoint |\n|---|---|---|---|\n",
    );
    for fact in FACTS {
        let cells = SOURCES.map(|source| cell(fact, source));
        let _ = writeln!(out, "| [`{0}`](#{0}) | {1} |", fact.name, cells.join(" | "));
    }
    out.push_str("\n## How each fact is known\n\nA way needs all the functions it names.\n");
    FACTS.iter().for_each(|fact| section(&mut out, fact));
    out.push_str("\n## Other facts that can be missing\n\n| fact | missing | why |\n|---|---|---|\n");
    for (fact, when, why) in OTHERS.iter().filter(|(fact, ..)| stands_in_session(fact)) {
        let _ = writeln!(out, "| `{fact}` | {when} | {why} |");
    }
    out.push_str("\n## What nobody sees\n\n");
    NOBODY.iter().for_each(|line| out.push_str(&format!("- {line}\n")));
    out
}

fn ways(fact: &Fact, source: Source) -> impl Iterator<Item = &'static Way> {
    fact.ways.iter().filter(move |way| way.source == source)
}

/// Whether a back end knows a fact.
fn cell(fact: &Fact, source: Source) -> &'static str {
    if ways(fact, source).next().is_none() {
        return "no";
    }
    if ways(fact, source).any(|way| way.needs.is_empty()) { "yes" } else { "if" }
}

fn section(out: &mut String, fact: &Fact) {
    let figures = FIGURES.iter().find(|(name, _)| *name == fact.name).map(|(_, figures)| *figures);
    let _ = writeln!(out, "\n### `{}`\n", fact.name);
    if let Some(figures) = figures {
        let _ = writeln!(out, "{}.\n", capital(figures));
    }
    for source in SOURCES {
        for way in ways(fact, source) {
            let mut hooks: Vec<String> = way.hooks.iter().map(hook).collect();
            // Entry and end of a function stand side by side.
            hooks.dedup();
            let seen = if hooks.is_empty() { "read on the way".to_owned() } else { hooks.join(", ") };
            let _ = writeln!(out, "- {}: {seen}", source_name(source));
            way.needs.iter().for_each(|need| {
                let _ = writeln!(out, "  - not where {}", need.why());
            });
        }
    }
    if ways(fact, Source::Tracepoint).next().is_none() {
        let _ = writeln!(out, "- tracepoint: no; {}", fact.tracepoint_cannot);
    }
}

fn hook(hook: &Hook) -> String {
    match kernels(hook.when) {
        Some(kernels) => format!("`{}` ({kernels})", hook.target),
        None => format!("`{}`", hook.target),
    }
}

/// The kernels a hook belongs to, in words; `None` for all.
fn kernels(when: When) -> Option<&'static str> {
    match when {
        When::Always => None,
        When::SplicePages => Some("Linux 6.5 and later"),
        When::SendPages => Some("before Linux 6.5"),
        When::SendTracepoint => Some("Linux 6.16 and later"),
        When::Exists => Some("where it exists"),
        When::UringSubmitReq => Some("Linux 6.3 and later"),
        When::UringSubmitSqe => Some("before Linux 6.3"),
        When::UringLink => Some("Linux 6.10 and later"),
        When::UringCallback => Some("before Linux 6.2"),
        When::Ipv6 => Some("with IPv6"),
    }
}

/// True when `session` can still list this fact as missing.
fn stands_in_session(fact: &str) -> bool {
    include_str!("mod.rs").contains(&format!("fact: \"{fact}\""))
}

#[test]
fn every_fact_that_can_be_missing_is_in_the_document() {
    let literals = include_str!("mod.rs").split("fact: \"").skip(1);
    for fact in literals.filter_map(|rest| rest.split('"').next()) {
        assert!(OTHERS.iter().any(|(name, ..)| *name == fact), "{fact} needs a row in OTHERS");
    }
    for fact in FACTS {
        let has_tracepoints = ways(fact, Source::Tracepoint).next().is_some();
        assert!(
            has_tracepoints || !fact.tracepoint_cannot.is_empty(),
            "{}: why not by tracepoints?",
            fact.name
        );
    }
}

#[test]
fn the_document_is_current() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/limits.md");
    if std::env::var_os("ZCSCOPE_UPDATE_DOCS").is_some() {
        std::fs::write(path, markdown()).unwrap();
    }
    let on_disk = std::fs::read_to_string(path).unwrap_or_default();
    assert!(on_disk == markdown(), "run the tests once with ZCSCOPE_UPDATE_DOCS=1 to write docs/limits.md");
}
