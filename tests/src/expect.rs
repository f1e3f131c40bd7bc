//! The expectations and how they are checked: pure functions from figures to sentences of complaint.

use std::fmt;

use crate::kernel::{self, Since};
use crate::stat_json::{Completions, PathFigures, Stat};
use crate::truth::{Received, SendPath, Sent};

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
    fn of_report(stat: &Stat) -> Option<Self> {
        let source = stat.sources.get("send")?;
        [Backend::Fentry, Backend::Kprobe, Backend::Tracepoint]
            .into_iter()
            .find(|b| source.starts_with(b.name()))
    }

    /// Facts this back end cannot know, and must say so.
    const fn must_miss(self) -> &'static [&'static str] {
        match self {
            Backend::Fentry | Backend::Kprobe => &[],
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
            // Dropped kprobes cannot be counted.
            "skipped_events" => self == Backend::Kprobe,
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

/// How much of a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Amount {
    /// Not foreseeable.
    Any,
    /// Nothing.
    None,
    /// More than nothing.
    Some,
    /// Exactly everything.
    All,
    /// So many percent or more.
    AtLeast(u64),
    /// More than nothing is allowed, but less than so many percent.
    Below(u64),
}

impl Amount {
    /// True when `part` of `whole` is this amount.
    pub(crate) const fn holds(self, part: u64, whole: u64) -> bool {
        match self {
            Amount::Any => true,
            Amount::None => part == 0,
            Amount::Some => part > 0,
            Amount::All => part == whole,
            Amount::AtLeast(percent) => part * 100 >= whole * percent,
            Amount::Below(percent) => part == 0 || part * 100 < whole * percent,
        }
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Amount::Any => write!(f, "anything"),
            Amount::None => write!(f, "none"),
            Amount::Some => write!(f, "more than none"),
            Amount::All => write!(f, "all"),
            Amount::AtLeast(percent) => write!(f, "at least {percent} %"),
            Amount::Below(percent) => write!(f, "less than {percent} %"),
        }
    }
}

/// What the kernel must have done with the bytes of one scenario.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Expect {
    /// Of the sends completed, how many the application is told were copied. Checks the link itself.
    pub(crate) told: Amount,
    /// Of the bytes requested, how many went out as a copy.
    pub(crate) copied: Amount,
    /// Of the bytes requested, how many were copied without the application being told.
    pub(crate) silent: Amount,
    /// Of the bytes requested, how many a second consumer got a copy of.
    pub(crate) clone: Amount,
    /// Of the bytes requested, how many are put into packets by reference.
    pub(crate) attached: Amount,
    /// The reason of the wire copies.
    pub(crate) reason: Option<&'static str>,
    /// The reason of the copies for a second consumer.
    pub(crate) clone_reason: Option<&'static str>,
    /// Other reasons that may occur.
    pub(crate) tolerated: &'static [&'static str],
    /// Whether calls are refused.
    pub(crate) refused: Refused,
    /// What is worth telling, no copy.
    pub(crate) notes: &'static [&'static str],
    /// How the pages of each call lie in packets.
    pub(crate) layout: Option<Layout>,
}

/// How the pages of one call lie in packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    /// Pages of one call, at least and at most.
    pub(crate) pages: (u64, u64),
    /// Frags of one call, at least and at most.
    pub(crate) frags: (u64, u64),
}

/// Whether calls are refused, and for which reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// Some are.
    Must(&'static str),
    /// Some may be: default limits are small on old kernels, and the sender tries again.
    May(&'static str),
}

impl Refused {
    const fn reason(self) -> &'static str {
        match self {
            Refused::Must(reason) | Refused::May(reason) => reason,
        }
    }

    /// Calls that failed with an errno of that reason.
    fn calls(self, sent: &Sent) -> u64 {
        let errnos: &[&str] = match self.reason() {
            "unsupported" => &["EOPNOTSUPP"],
            "uring_memlock" => &["ENOMEM"],
            "bad_buffer" => &["EFAULT"],
            "aborted" => &["EAGAIN", "EPIPE"],
            _ => &["ENOBUFS"],
        };
        errnos.iter().map(|errno| sent.failed(errno)).sum()
    }
}

/// True zero-copy; the other expectations are made from this one.
pub(crate) const ZERO_COPY: Expect = Expect {
    told: Amount::None,
    copied: Amount::None,
    silent: Amount::None,
    clone: Amount::None,
    attached: Amount::All,
    reason: None,
    clone_reason: None,
    tolerated: &[],
    refused: Refused::May("optmem"),
    notes: &[],
    layout: None,
};

/// Checks the application's own story: without this the scenario proves nothing.
pub(crate) fn truth(expect: &Expect, all: &[Sent], received: Option<Received>) -> Vec<String> {
    let mut wrong = Vec::new();
    if let Some(Received { bytes, .. }) = received {
        same(&mut wrong, "bytes at the sink", bytes, all.iter().map(|sent| sent.bytes).sum());
        same(&mut wrong, "unacknowledged bytes", all.iter().map(|sent| sent.unacknowledged).sum(), 0);
    }
    let Some(sent) = all.first() else { return vec!["the sender has no counters".into()] };
    same(&mut wrong, "completions read by the application", sent.completions, sent.zerocopy_sends);
    if !expect.told.holds(sent.told_copied, sent.completions) {
        wrong.push(format!(
            "the application was told that {} of {} sends were copied, expected {}",
            sent.told_copied, sent.completions, expect.told
        ));
    }
    if matches!(expect.refused, Refused::Must(_)) && expect.refused.calls(sent) == 0 {
        wrong.push("no call was refused".into());
    }
    wrong.iter().map(|w| format!("the link is not as expected: {w}")).collect()
}

/// Checks zcscope's report against the application's story, told over `device`: a counter line per path of one
/// process, the first for the path the expectation is about.
pub(crate) fn report(
    expect: &Expect,
    all: &[Sent],
    device: &str,
    stat: &Stat,
    backend: Option<Backend>,
) -> Vec<String> {
    let mut wrong = Vec::new();
    if stat.schema != "zcscope.stat/1" {
        wrong.push(format!("schema is {:?}", stat.schema));
    }
    if stat.lost.total > 0 {
        wrong.push(format!("{} events were lost: {:?}", stat.lost.total, stat.lost.by_cause));
    }
    wrong.extend(sources(stat, backend));
    wrong.extend(only_these(stat, all));
    wrong.extend(reads(stat, all));
    let backend = backend.or(Backend::of_report(stat));
    for (number, sent) in all.iter().enumerate() {
        wrong.extend(devices(stat, sent, device));
        let Some(figures) = stat.of_process(sent.pid, sent.path.name()) else {
            wrong.push(format!("process {} has no path {}", sent.pid, sent.path.name()));
            continue;
        };
        wrong.extend(calls(figures, sent));
        if number == 0 {
            wrong.extend(path(expect, figures, sent, stat, backend));
        }
    }
    wrong
}

/// Checks what became of the bytes of one path.
fn path(
    expect: &Expect,
    figures: &PathFigures,
    sent: &Sent,
    stat: &Stat,
    backend: Option<Backend>,
) -> Vec<String> {
    let mut wrong = Vec::new();
    if !sent.path.wants_zerocopy() {
        let odd = figures.copies.iter().any(|copies| Some(copies.reason.as_str()) != expect.reason);
        if figures.copied_bytes.unwrap_or(0) > 0 || odd {
            wrong.push(format!("a path that copies by nature has a copy ledger: {:?}", figures.copies));
        }
        return wrong;
    }
    wrong.extend(ledger(expect, figures, stat));
    if !stat.misses("copy") {
        wrong.extend(reasons(expect, figures, backend));
    }
    wrong.extend(refusals(expect, figures, sent, stat));
    wrong.extend(attached(expect, figures, stat, backend));
    wrong.extend(layout(expect, figures, sent, stat));
    if sent.path == SendPath::MsgZerocopy {
        wrong.extend(ends(figures, sent, stat));
        wrong.extend(silence(expect, figures, sent));
        wrong.extend(disagreements(expect, figures, sent, stat));
    }
    if sent.path.is_uring_zerocopy() {
        wrong.extend(ends(figures, sent, stat));
        wrong.extend(uring_silence(expect, figures, sent));
        wrong.extend(uring_disagreements(expect, figures, sent));
    }
    wrong
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

/// Only the traced program is in the report, and its parts add up.
fn only_these(stat: &Stat, all: &[Sent]) -> Vec<String> {
    let mut wrong = Vec::new();
    for other in stat.processes.iter().filter(|p| all.iter().all(|sent| sent.pid != p.pid)) {
        let bytes: u64 = other.paths.iter().map(|f| f.bytes).sum();
        wrong.push(format!(
            "process {} {} with {bytes} bytes is none of the traced ones",
            other.pid, other.comm
        ));
    }
    for sent in all {
        let name = sent.path.name();
        let on_path = |f: &&PathFigures| f.path == name;
        let total: u64 = stat.paths.iter().filter(on_path).map(|f| f.bytes).sum();
        same(&mut wrong, &format!("bytes of {name} over all processes"), total, sent.bytes);
        let sockets = stat.sockets.iter().filter(|s| s.pid == sent.pid);
        let total: u64 = sockets.flat_map(|s| &s.paths).filter(on_path).map(|f| f.bytes).sum();
        same(&mut wrong, &format!("bytes of {name} over the sockets"), total, sent.bytes);
    }
    for other in stat.paths.iter().filter(|f| f.bytes > 0 && all.iter().all(|s| s.path.name() != f.path)) {
        wrong.push(format!("{} bytes stand under the path {}", other.bytes, other.path));
    }
    wrong
}

/// The program's few plain reads are known, and exact. Those of MPTCP do not pass TCP's receive function.
fn reads(stat: &Stat, all: &[Sent]) -> Vec<String> {
    let mut wrong = Vec::new();
    let Some(sent) = all.first().filter(|_| !stat.misses("recv")) else { return wrong };
    let (calls, bytes) =
        stat.of_process(sent.pid, "recv").map_or((0, 0), |figures| (figures.calls, figures.bytes));
    let of_tcp = || all.iter().filter(|sent| sent.path != SendPath::Mptcp);
    same(&mut wrong, "plain reads", calls, of_tcp().map(|sent| sent.reads).sum());
    same(&mut wrong, "bytes of plain reads", bytes, of_tcp().map(|sent| sent.read_bytes).sum());
    wrong
}

/// Every socket of the program goes over the one device.
fn devices(stat: &Stat, sent: &Sent, device: &str) -> Vec<String> {
    let sockets = stat.sockets.iter().filter(|s| s.pid == sent.pid && s.dev.as_deref() != Some(device));
    sockets.map(|s| format!("the socket {} goes over {device}, not {:?}", s.local, s.dev)).collect()
}

fn calls(figures: &PathFigures, sent: &Sent) -> Vec<String> {
    let mut wrong = Vec::new();
    same(&mut wrong, "bytes", figures.bytes, sent.bytes);
    if sent.path.one_entry_per_call() {
        same(&mut wrong, "calls", figures.calls, sent.calls);
        for errno in ["ENOBUFS", "EAGAIN", "EPIPE", "ECONNRESET", "EOPNOTSUPP", "EINVAL", "EFAULT", "ENOMEM"]
        {
            let failed = figures.errors.get(errno).copied().unwrap_or(0);
            same(&mut wrong, &format!("calls failed with {errno}"), failed, sent.failed(errno));
        }
    }
    wrong
}

/// Copied + zero-copied + in flight = requested, and each part is what the link makes of it.
fn ledger(expect: &Expect, figures: &PathFigures, stat: &Stat) -> Vec<String> {
    let requested = figures.requested_bytes.unwrap_or(figures.bytes);
    let mut wrong = Vec::new();
    same(&mut wrong, "requested bytes", requested, figures.bytes);
    let parts = [
        ("copied bytes", figures.copied_bytes, expect.copied),
        ("silently copied bytes", figures.silent_copied_bytes, expect.silent),
        ("bytes copied for a second consumer", figures.clone_copied_bytes, expect.clone),
    ];
    for (name, part, amount) in parts {
        match part {
            None if amount == Amount::Any || stat.misses("copy") => {}
            None => wrong.push(format!("{name} are not known")),
            Some(part) if amount.holds(part, requested) => {}
            Some(part) => wrong.push(format!("{name} are {part} of {requested}, expected {amount}")),
        }
    }
    let in_flight = figures.in_flight.as_ref().map_or(0, |f| f.bytes);
    if let (Some(copied), Some(zerocopied)) = (figures.copied_bytes, figures.zerocopied_bytes)
        && copied + zerocopied + in_flight != requested
    {
        wrong.push(format!(
            "{copied} copied + {zerocopied} zero-copied + {in_flight} in flight is not {requested} requested"
        ));
    }
    if let Some(in_flight) = figures.in_flight.as_ref().filter(|f| f.sends > 0 || f.bytes > 0) {
        wrong.push(format!("{} sends ({} bytes) are still in flight", in_flight.sends, in_flight.bytes));
    }
    wrong
}

/// With everything copied and every send of one size, what is silent is exactly what was released unflagged.
fn silence(expect: &Expect, figures: &PathFigures, sent: &Sent) -> Option<String> {
    let ends = figures.completions.as_ref()?;
    let (silent, flagged) = (figures.silent_copied_bytes?, ends.kernel_copied?);
    let unflagged = ends.sends.saturating_sub(flagged);
    let wrong = expect.copied == Amount::All && silent * ends.sends != figures.bytes * unflagged;
    wrong.then(|| {
        format!(
            "{silent} bytes are silent, but {unflagged} of {} sends were not flagged as copied",
            sent.completions
        )
    })
}

/// With everything copied and every request of one size, what is silent is exactly what no notification called copied.
fn uring_silence(expect: &Expect, figures: &PathFigures, sent: &Sent) -> Option<String> {
    let silent = figures.silent_copied_bytes?;
    let untold = sent.completions.saturating_sub(sent.told_copied);
    let wrong = expect.copied == Amount::All && silent * sent.completions != sent.bytes * untold;
    wrong.then(|| {
        format!("{silent} bytes are silent, but {untold} of {} sends were not told of", sent.completions)
    })
}

/// Every notification that was wrong is one, by its kind.
fn uring_disagreements(expect: &Expect, figures: &PathFigures, sent: &Sent) -> Vec<String> {
    let mut wrong = Vec::new();
    let Some(all) = figures.completions.as_ref().and_then(|ends| ends.disagreements.as_ref()) else {
        return wrong;
    };
    let of = |kind: &str| all.iter().filter(|d| d.kind == kind).map(|d| d.sends).sum::<u64>();
    same(&mut wrong, "failed sends told copied", of("failed_send"), sent.failed_told_copied);
    if (expect.copied, expect.clone) == (Amount::None, Amount::None) {
        same(&mut wrong, "linked sends told copied", of("linked_notification"), sent.told_copied);
    }
    if expect.copied == Amount::All && expect.told != Amount::None {
        let untold = sent.completions.saturating_sub(sent.told_copied);
        same(&mut wrong, "copied sends told zero-copy", of("told_zerocopy_but_copied"), untold);
        same(&mut wrong, "linked sends told copied", of("linked_notification"), 0);
    }
    wrong
}

/// The expected reason has the bytes; no other one has any.
fn reasons(expect: &Expect, figures: &PathFigures, backend: Option<Backend>) -> Vec<String> {
    let mut wrong = Vec::new();
    let requested = figures.bytes;
    for (wanted, clone, amount) in
        [(expect.reason, false, expect.copied), (expect.clone_reason, true, expect.clone)]
    {
        let Some(wanted) = wanted else { continue };
        let bytes: u64 =
            figures.copies.iter().filter(|c| c.reason == wanted && c.clone == clone).map(|c| c.bytes).sum();
        // Events count a retransmitted byte again, so "all" is a lower bound here.
        let amount = if amount == Amount::All { Amount::AtLeast(99) } else { amount };
        if !amount.holds(bytes, requested) {
            wrong.push(format!("{wanted} copied {bytes} of {requested} bytes, expected {amount}"));
        }
    }
    for copies in &figures.copies {
        let reason = copies.reason.as_str();
        let wanted = if copies.clone { expect.clone_reason } else { expect.reason };
        if copies.bytes > 0 && wanted != Some(reason) && !expect.tolerated.contains(&reason) {
            wrong.push(format!("{} bytes were copied for an unexpected reason, {reason}", copies.bytes));
        }
        // What is decided at the call itself is seen by every back end.
        let seen = matches!(reason, "so_zerocopy_unset" | "sockmap" | "repair" | "fastopen");
        if backend == Some(Backend::Tracepoint) && !copies.inferred && !seen {
            wrong.push(format!("tracepoints see no copy site, but {reason} is not marked as inferred"));
        }
    }
    wrong
}

fn refusals(expect: &Expect, figures: &PathFigures, sent: &Sent, stat: &Stat) -> Vec<String> {
    let mut wrong = Vec::new();
    // Only sends with an id can be aborted; of file pages a failed call is an error and nothing more.
    let counted = sent.path == SendPath::MsgZerocopy || expect.refused.reason() != "aborted";
    let reason = expect.refused.reason();
    for refused in figures.refused.iter().filter(|r| r.count > 0 && r.reason != reason) {
        wrong.push(format!("{} calls were refused for {}", refused.count, refused.reason));
    }
    if counted && !stat.misses("refused") {
        let count: u64 = figures.refused.iter().filter(|r| r.reason == reason).map(|r| r.count).sum();
        same(&mut wrong, &format!("calls refused for {reason}"), count, expect.refused.calls(sent));
    }
    wrong
}

/// How the pages of the calls lie in packets, and what the kernel had to do for it.
fn layout(expect: &Expect, figures: &PathFigures, sent: &Sent, stat: &Stat) -> Vec<String> {
    let mut wrong = Vec::new();
    for reason in expect.notes {
        let count: u64 =
            figures.notes.iter().filter(|note| note.reason == *reason).map(|note| note.count).sum();
        let fact = if *reason == "frag_limit" { "frags" } else { reason };
        match (stat.misses(fact), count) {
            (true, 0) => {}
            (true, _) => wrong.push(format!("{fact} is listed as missing, but {reason} is counted")),
            (false, 0) => wrong.push(format!("{reason} is not told")),
            (false, _) => {}
        }
    }
    if stat.misses("frags") {
        if figures.pages.is_some() {
            wrong.push("frags are listed as missing, but pages are counted".into());
        }
        return wrong;
    }
    let Some(layout) = expect.layout else { return wrong };
    let calls = sent.calls - expect.refused.calls(sent);
    let frags = figures.frags.unwrap_or(0);
    for (what, number, (least, most)) in
        [("pages", figures.pages.unwrap_or(0), layout.pages), ("frags", frags, layout.frags)]
    {
        if number < calls * least || number > calls * most {
            wrong.push(format!("{number} {what} for {calls} calls, expected {least} to {most} each"));
        }
    }
    // Distributions are kept per path only.
    let Some(total) = stat.paths.iter().find(|path| path.path == figures.path) else { return wrong };
    same(&mut wrong, "frags measured", total.bytes_per_frag.as_ref().map_or(0, |s| s.count), frags);
    if total.frags_per_skb.as_ref().is_none_or(|s| s.max == 0 || s.max > frags) {
        wrong.push(format!("frags per packet: {:?} of {frags} frags", total.frags_per_skb));
    }
    wrong
}

fn attached(expect: &Expect, figures: &PathFigures, stat: &Stat, backend: Option<Backend>) -> Vec<String> {
    let mut wrong = Vec::new();
    match figures.attached_bytes {
        Some(bytes) if !expect.attached.holds(bytes, figures.bytes) => wrong.push(format!(
            "{bytes} of {} bytes were attached by reference, expected {}",
            figures.bytes, expect.attached
        )),
        _ => {}
    }
    let file = [SendPath::Sendfile, SendPath::Splice].iter().any(|path| path.name() == figures.path);
    match (backend, figures.frags) {
        (Some(Backend::Tracepoint), Some(frags)) => {
            wrong.push(format!("tracepoints cannot count frags, but the report has {frags}"));
        }
        (Some(Backend::Fentry | Backend::Kprobe), None) if file && stat.misses("splice_frags") => {}
        (Some(Backend::Fentry | Backend::Kprobe), None) => wrong.push("frags are not known".into()),
        (Some(Backend::Fentry | Backend::Kprobe), Some(0)) if figures.attached_bytes.unwrap_or(0) > 0 => {
            wrong.push("bytes were attached without a frag".into());
        }
        _ => {}
    }
    wrong
}

/// Completions and notifications are exactly the application's.
fn ends(figures: &PathFigures, sent: &Sent, stat: &Stat) -> Vec<String> {
    let mut wrong = Vec::new();
    let uring = sent.path.is_uring();
    let (completion, told) = if uring { ("uring_completion", "uring_told") } else { ("completion", "told") };
    let Some(ends) = &figures.completions else {
        if sent.completions > 0 && !stat.misses(completion) {
            wrong.push("completions are not known".into());
        }
        return wrong;
    };
    let Completions { sends, units, kernel_copied, notifications, told_sends, told_copied, .. } = *ends;
    if stat.misses(completion) {
        wrong.push(format!("completions are listed as missing, but the report has {sends}"));
    } else {
        same(&mut wrong, "completed sends", sends, sent.completions);
    }
    for (name, ours, theirs) in [
        ("notifications read", notifications, sent.notifications),
        ("sends told of", told_sends, sent.completions),
        ("sends told copied", told_copied, sent.told_copied),
    ] {
        match ours {
            Some(ours) => same(&mut wrong, name, ours, theirs),
            None if stat.misses(told) => {}
            None => wrong.push(format!("{name}: not known")),
        }
    }
    let notifications = sent.notifications.saturating_sub(sent.failed_notifications);
    if units.is_some_and(|units| units > sends || units < notifications) {
        wrong.push(format!("{units:?} units for {sends} sends and {} notifications", sent.notifications));
    }
    if kernel_copied.is_some_and(|copied| copied > sends) {
        wrong.push(format!("the kernel flagged {kernel_copied:?} of {sends} sends"));
    }
    wrong
}

/// Where all bytes were copied, every send told zero-copy was told wrong; where none was, every one told copied.
fn disagreements(expect: &Expect, figures: &PathFigures, sent: &Sent, stat: &Stat) -> Option<String> {
    let ends = figures.completions.as_ref()?;
    if ["completion", "told", "copy"].iter().any(|fact| stat.misses(fact)) {
        return None;
    }
    let expected = match expect.copied {
        Amount::All => sent.completions.saturating_sub(sent.told_copied),
        Amount::None => sent.told_copied,
        _ => return None,
    };
    let found: u64 = ends.disagreements.iter().flatten().map(|wrong| wrong.sends).sum();
    (found != expected).then(|| {
        let kinds: Vec<_> =
            ends.disagreements.iter().flatten().map(|d| format!("{} {}", d.sends, d.kind)).collect();
        format!("{found} sends were told wrong ({}), expected {expected}", kinds.join(", "))
    })
}

pub(crate) fn same(wrong: &mut Vec<String>, what: &str, reported: u64, true_value: u64) {
    if reported != true_value {
        wrong.push(format!("{what}: {reported}, expected {true_value}"));
    }
}

#[cfg(test)]
#[path = "expect_tests.rs"]
mod tests;
