//! The figures in words: every key of the JSON report, with the columns on screen that show it.

use super::{Kind, Topic};

/// One figure: id, names on screen, what it is, and how it is known where that is not plain.
type Row = (&'static str, &'static [&'static str], &'static str, &'static str);

const ROWS: &[Row] = &[
    // The report.
    ("schema", &[], "name and version of the document", ""),
    ("version", &[], "version of zcscope", ""),
    ("host", &[], "host name", ""),
    ("kernel", &[], "kernel release", ""),
    ("backend", &[], "fentry, kprobe, tracepoint, or mixed: how facts are known, mostly", ""),
    ("command", &[], "the traced command; absent without one", ""),
    ("duration_ns", &[], "length of the trace", ""),
    (
        "sources",
        &[],
        "fact -> back end and function that feed it",
        "what really attached, not the kernel's version",
    ),
    (
        "missing",
        &[],
        "facts that cannot be known here, each with the reason; figures that rest on them are absent",
        "",
    ),
    ("fact", &[], "name of a fact (docs/limits.md)", ""),
    ("why", &[], "why a fact is missing, and what would help", ""),
    (
        "lost",
        &["LOST"],
        "events that found no room; figures may be too low by them",
        "counted in the kernel, per cause",
    ),
    ("total", &[], "sum of a list", ""),
    ("by_cause", &[], "events lost, by cause, only those above zero", ""),
    ("path", &[], "how the bytes enter or leave TCP; in files, which way they took", "explain its name"),
    ("name", &[], "name of a table of zcscope's", ""),
    ("paths", &[], "figures per path: how bytes enter or leave TCP", ""),
    ("processes", &[], "figures per process, ended ones included", ""),
    ("sockets", &[], "figures per socket, ended ones included", ""),
    ("devices", &[], "figures per device of the route", ""),
    ("files", &[], "files sent by sendfile and splice, the 4,096 with most bytes", ""),
    ("file_reads", &[], "bytes of regular files read by processes that send plainly", ""),
    (
        "bounces",
        &[],
        "devices that copied into bounce buffers for DMA while they transmitted",
        "tracepoint swiotlb_bounced below the transmission of a packet; of all programs of the host together",
    ),
    ("device", &[], "name of a device on its bus", ""),
    ("maps", &[], "the kernel's tables of zcscope: how full they are, and their memory", ""),
    ("own", &[], "what zcscope itself took", ""),
    (
        "cpu_ns",
        &["CPU"],
        "CPU time of zcscope since it started, as last read",
        "the kernel's clock of the process",
    ),
    ("rss_bytes", &[], "memory zcscope occupied, as last read", "/proc/self/statm"),
    (
        "program_ns_per_call",
        &[],
        "time in zcscope's kernel programs per call that sent or received",
        "run-time statistics of BPF, only with --kernel-stats and without a filter; all runs count, those for UDP too, each with \
         the 30 to 55 ns of measuring it",
    ),
    ("programs", &[], "zcscope's kernel programs that ran, most time first", "only with --kernel-stats"),
    ("runs", &[], "runs of a kernel program since tracing began", ""),
    ("run_ns", &[], "time of these runs", "run-time statistics of BPF"),
    ("findings", &[], "what it all means, with evidence and fix; a cause stands before what it explains", ""),
    // A path.
    (
        "calls",
        &[],
        "entries into TCP's send function (one sendfile makes several), or receive calls",
        "tcp_sendmsg_locked",
    ),
    ("errors", &["ENOBUFS"], "failed calls by errno", ""),
    (
        "bytes",
        &[],
        "bytes accepted by the kernel, or received; in lists, the bytes of the row",
        "return values of the calls",
    ),
    ("requested_bytes", &[], "bytes given to the kernel on a path that asks for no copy, and accepted", ""),
    ("attached_bytes", &[], "bytes put into packets by reference; receive: mapped", "fact attach"),
    ("frags", &[], "new fragments the attached bytes took", "fact frags"),
    ("pages", &[], "pages those fragments refer to", "fact frags"),
    (
        "frags_per_skb",
        &[],
        "fragments of a packet when a send call left it; 17 fill it on most kernels",
        "fact frags",
    ),
    ("bytes_per_frag", &[], "bytes per fragment: small ones fill packets early", "fact frags"),
    ("notes", &[], "what is no copy and worth telling: frag_limit, mixed_socket", ""),
    (
        "zerocopied_bytes",
        &[],
        "requested and sent without a wire copy; receive: mapped",
        "requested less copied less in flight",
    ),
    (
        "copied_bytes",
        &["copied", "cp bytes"],
        "requested and copied, each byte once, however often it was copied",
        "copies added per unit and cut at the unit's bytes; without a unit, at the socket's",
    ),
    (
        "clone_copied_bytes",
        &["clone"],
        "copied for a second consumer only (packet capture): the wire bytes were not",
        "copies of clones",
    ),
    (
        "silent_copied_bytes",
        &["silent"],
        "of copied_bytes, those the application is not told of",
        "copied in a unit the kernel did not flag",
    ),
    ("skip_hint_bytes", &[], "recv_zerocopy: bytes left to a plain read", "recv_skip_hint of the answer"),
    ("copies", &[], "copy events by kind, as they happened: a byte copied twice counts twice", "fact copy"),
    ("refused", &[], "calls refused, by reason", "fact refused"),
    (
        "unsent_bytes",
        &[],
        "of sends that never left because the connection ended first; nothing copied them",
        "",
    ),
    ("completions", &[], "ends of zero-copy sends; absent on paths without notifications", "fact completion"),
    (
        "in_flight",
        &["pinned", "in flight"],
        "sends accepted and not released: neither copied nor zero-copied yet",
        "",
    ),
    (
        "send_ns",
        &[],
        "time inside the send call, waiting for room included; plain sends: a sample",
        "fact send_time",
    ),
    (
        "send_ns_per_kib",
        &["ns/KiB"],
        "that time per 1,024 bytes: a copy in the call shows here",
        "fact send_time",
    ),
    // Copies and refusals.
    (
        "reason",
        &["top reason"],
        "why: an id of docs/reasons.md",
        "the caller of the copying function, and the device",
    ),
    ("site", &["where"], "kernel function that copied", "fact copy_site; concluded without it"),
    ("caller", &[], "function that asked for the copy", "the stack at the copy"),
    ("dev", &[], "network device: of the copy, or of the route", ""),
    ("count", &["events"], "how many: events, calls or values", ""),
    (
        "told",
        &["app was"],
        "whether the kernel tells the application of this copy",
        "whether the copying function sets the flag",
    ),
    (
        "clone",
        &["kind"],
        "only a second consumer got the copy (wire: the transmission itself; recv: on receive)",
        "",
    ),
    ("inferred", &["~"], "concluded from other events, not seen", "the tracepoint back end"),
    // Completions.
    ("sends", &[], "zero-copy sends: released, in flight, or told wrongly, as the list says", ""),
    (
        "units",
        &[],
        "completion units released, before the error queue merges them; one can hold several sends",
        "",
    ),
    ("kernel_copied", &[], "sends whose unit the kernel flagged as copied", ""),
    (
        "notifications",
        &[],
        "notifications the application read, each for a range of sends; io_uring: posted",
        "fact told",
    ),
    ("told_sends", &[], "sends the application was told of", "fact told"),
    ("told_copied", &[], "sends the application was told were copied", "fact told"),
    ("unread_sends", &[], "released, and the notification not read", "fact told"),
    ("before_attach", &[], "released, but accepted before tracing began; in no other figure", ""),
    ("lost_ends", &[], "sends given up because their end was not seen; 0 unless events were lost", ""),
    ("lost_end_bytes", &[], "their bytes: neither copied, nor zero-copied, nor in flight", ""),
    (
        "disagreements",
        &[],
        "sends the application was told something wrong about, by kind",
        "flags read against copies seen",
    ),
    (
        "kind",
        &[],
        "kind of a disagreement: failed_send, linked_notification, merged_range, told_zerocopy_but_copied, told_copied_but_not",
        "",
    ),
    ("range_length", &[], "sends per notification read: 1 means each is read alone", "fact told"),
    (
        "latency_ns",
        &["until", "held p99"],
        "send accepted to buffer released: how long a buffer is held",
        "fact completion",
    ),
    ("delayed_acks", &[], "of those, released after 36 to 50 ms, as a delayed ACK makes them", ""),
    ("queue_latency_ns", &[], "released to notification queued", "fact queue_latency"),
    ("read_latency_ns", &[], "queued to read by the application", "fact told"),
    ("app_read_latency_ns", &[], "accepted to read by the application", "fact told"),
    ("min", &[], "smallest value", ""),
    ("p50", &[], "half of the values are at most this", "histogram, within 3.2 %"),
    ("p90", &[], "nine of ten values are at most this", "histogram, within 3.2 %"),
    ("p99", &[], "99 of 100 values are at most this", "histogram, within 3.2 %"),
    ("p999", &["p99.9"], "999 of 1,000 values are at most this", "histogram, within 3.2 %"),
    ("max", &[], "largest value", ""),
    // Processes, sockets, devices.
    ("pid", &[], "process id", ""),
    ("comm", &[], "process name (column name on screen), 15 bytes as in /proc/PID/comm", ""),
    ("uid", &[], "user id of the process", ""),
    ("netns", &[], "inode number of the network namespace", ""),
    ("netns_name", &["runs in"], "its name (ip netns)", ""),
    ("cgroup", &[], "path of the cgroup below its mount", ""),
    ("container", &[], "container, like docker:0123456789ab", "the cgroup's path"),
    ("cookie", &[], "the kernel's number of the socket, as ss -e shows it", ""),
    ("local", &[], "local address", ""),
    ("remote", &[], "remote address", ""),
    ("alive", &[], "false once the socket has ended", ""),
    ("gauges", &[], "what a socket or process holds for zero-copy, as last seen", "fact gauges"),
    ("optmem_bytes", &["used"], "option memory charged: notifications in flight and unread", "fact gauges"),
    ("optmem_peak_bytes", &[], "the most seen on one socket", "fact gauges"),
    ("optmem_max_bytes", &["limit"], "limit per socket (net.core.optmem_max)", "fact gauges"),
    ("unread_notifications", &["unread"], "notifications queued and not read", "fact gauges"),
    ("pages_in_flight", &[], "pages of zero-copy sends not released", "fact gauges"),
    (
        "locked_pages",
        &["locked"],
        "pages pinned by the user, all programs together, the most seen",
        "fact locked_pages",
    ),
    ("memlock_limit_bytes", &[], "the process's RLIMIT_MEMLOCK", "/proc/PID/limits"),
    ("memlock_unlimited", &[], "true when there is no such limit", "/proc/PID/limits"),
    // Files and tables.
    ("file", &[], "last part of the file's name", ""),
    ("filesystem", &[], "type of its filesystem", ""),
    ("inode", &[], "its inode number", ""),
    ("chunks", &[], "entries into TCP's send function while it was sent", ""),
    ("cache_miss_bytes", &[], "bytes that had to be read into the page cache meanwhile", "fact page_cache"),
    (
        "copy_read_bytes",
        &[],
        "bytes read into new pages instead of lent (splice_copy_read)",
        "fact copy_read",
    ),
    ("direct", &[], "opened with O_DIRECT", ""),
    ("entries", &[], "elements in a table now", ""),
    ("max_entries", &[], "elements it has room for (a ring: bytes)", ""),
    // Findings.
    ("id", &[], "stable id of a finding: explain it", ""),
    (
        "severity",
        &[],
        "critical: no zero-copy, or the application is misled; warning: some gain is lost; info: by design, or small",
        "",
    ),
    ("title", &[], "the finding in one sentence", ""),
    ("evidence", &[], "what was seen, with figures", ""),
    ("fix", &[], "what to do, one step each; commands where there are any", ""),
    (
        "explained_by",
        &[],
        "id of the finding before it that this one follows from",
        "docs/findings.md lists the links",
    ),
    // Only on screen.
    (
        "rate",
        &[],
        "bits per second over the last quarter of a second",
        "bytes of the interval, divided by its length",
    ),
    (
        "stage",
        &["held"],
        "part of a send's life: held, + queued, + read; = told is their sum; in call: the send call",
        "",
    ),
    (
        "event",
        &["time", "about", "what happened"],
        "what was seen for the first time, came up or went on; the time is when it was noticed, since tracing began",
        "two snapshots in a row compared",
    ),
    (
        "optmem",
        &[],
        "option memory as a bar: of a socket now, of a process the most one of its sockets held",
        "fact gauges",
    ),
    (
        "memlock",
        &[],
        "locked memory as a bar: pages pinned by the user, all programs together, against the process's limit",
        "fact locked_pages; /proc/PID/limits",
    ),
    (
        "fill",
        &[],
        "part of the limit that is used: from 80 % on one more burst may reach it, and sends fail with ENOBUFS",
        "",
    ),
    ("most", &[], "largest value seen since tracing began, or in the window where it says so", ""),
    (
        "over time",
        &[],
        "the figure in the window, newest at the right; a column shows the largest of its time",
        "one value a tick",
    ),
    (
        "of",
        &[],
        "what is distributed: fragments per packet, bytes per fragment, or sends per notification",
        "",
    ),
    ("first", &[], "when it was first seen, since tracing began", "end of the interval it was first seen in"),
    ("last", &[], "when it was last seen, since tracing began", "end of the interval it was last seen in"),
    ("received", &[], "bytes that left the receive queue by this path", ""),
    (
        "mapped",
        &[],
        "received by mapping pages or from memory given beforehand: no byte was copied",
        "fact recv_zerocopy",
    ),
    ("rx copied", &[], "offered for mapping and copied by the same call instead", "fact recv_zerocopy"),
    (
        "left",
        &[],
        "offered for mapping and left to a plain read, which copies and counts it again",
        "recv_skip_hint of the answer",
    ),
    ("not mapped", &[], "copied and left, as a part of all that was offered for mapping", ""),
    ("went", &[], "what became of bytes not mapped: copied by the call, or left to a read", ""),
    (
        "trend",
        &["p99 trend"],
        "how the figure beside it went over the time the charts show, scaled to its own peak",
        "",
    ),
    ("flow", &[], "a socket, or a group of sockets; figures of a group are sums over its sockets", ""),
    (
        "way",
        &[],
        "out: it sends; in: it receives; + it does the other as well, and the figures are of what it does most",
        "",
    ),
    ("size", &[], "bytes of one send, as they were asked for; K and M are powers of two", ""),
    ("streams", &[], "connections of a load", "one sending thread each, or `--threads` for all of them"),
    (
        "target",
        &[],
        "where a load sends to: veth (two namespaces of its own), loopback, or a sink of yours",
        "",
    ),
    (
        "Gbit/s",
        &[],
        "acknowledged bits per ns, after the warm-up",
        "from the first send to the last acknowledgement; with both ends on one host it says nothing about zero-copy",
    ),
    (
        "CPU-s/GB",
        &[],
        "CPU seconds of the sending threads per GB (1e9 bytes) acknowledged",
        "tracing included: that of the screen and that of the run itself",
    ),
    (
        "run copied",
        &["by"],
        "copied part of the bytes of a run that asked for no copy, and whose word it is",
        "kernel: seen by a trace of exactly this run; told: only by notifications, where it could not be traced",
    ),
    (
        "verdict",
        &[],
        "zero-copied: at most 1 % of what asked for no copy was copied; COPIED: more; baseline: the path copies by \
         design; unknown: nobody could tell",
        "best: the fastest of its path among runs that are zero-copied and leave this host",
    ),
    ("share", &[], "part of all bytes copied the same way: on the wire, for a clone, or on receive", ""),
];

/// Every figure.
pub(super) fn topics() -> impl Iterator<Item = Topic> {
    ROWS.iter().map(|(id, on_screen, meaning, how)| Topic {
        on_screen,
        how,
        ..Topic::new(Kind::Figure, id, meaning)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    /// Every property of the schema, with whatever is nested.
    fn keys(schema: &Value, found: &mut Vec<String>) {
        let Value::Object(map) = schema else { return };
        if let Some(Value::Object(properties)) = map.get("properties") {
            found.extend(properties.keys().cloned());
        }
        map.values().for_each(|value| keys(value, found));
    }

    #[test]
    fn every_key_of_the_report_is_explained() {
        let schema = include_str!("../../../docs/json/zcscope.stat-1.schema.json");
        let mut found = Vec::new();
        keys(&serde_json::from_str(schema).unwrap(), &mut found);
        assert!(found.len() > 100);
        let known = |key: &String| crate::explain::find(key).iter().any(|topic| topic.id == key);
        // Errnos are keys, too.
        let unknown: Vec<_> = found.iter().filter(|key| !known(key) && !key.starts_with('E')).collect();
        assert!(unknown.is_empty(), "{unknown:?}");
    }

    /// All source files below a folder.
    fn sources(folder: &std::path::Path) -> Vec<String> {
        let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        entries
            .flat_map(|path| {
                if path.is_dir() { sources(&path) } else { vec![std::fs::read_to_string(path).unwrap()] }
            })
            .collect()
    }

    #[test]
    fn every_column_on_screen_is_explained() {
        let views = sources(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/tui/views"));
        let columns = views.iter().flat_map(|view| view.lines()).filter_map(|line| {
            let call =
                ["names(\"", "figures(\"", "hungry(\""].iter().find_map(|c| line.trim().strip_prefix(c))?;
            call.split('"').next().filter(|name| !name.is_empty())
        });
        let columns: Vec<&str> = columns.collect();
        assert!(columns.len() > 30);
        for column in columns {
            assert!(!crate::explain::find(column).is_empty(), "{column}");
        }
    }
}
