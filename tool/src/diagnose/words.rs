//! What the findings mean that are no reasons: one row each, the only place that says it. The reasons have
//! [`crate::model::reason`].

/// One row.
#[derive(Clone, Copy, Debug)]
pub struct Words {
    /// Stable id.
    pub id: &'static str,
    /// What happened, in one line.
    pub meaning: &'static str,
    /// What the application can see of it.
    pub app_sees: &'static str,
    /// How the tool knows, thresholds included.
    pub how: &'static str,
    /// Which kernels and back ends tell it.
    pub kernels: &'static str,
    /// What to do: one step per line.
    pub fix: &'static str,
    /// Where to read on; empty where there is nothing better.
    pub reading: &'static str,
}

macro_rules! rows {
    ($($id:literal: $meaning:literal, sees $sees:literal, how $how:literal, on $on:literal, fix $fix:literal, read $read:literal;)+) => {
        /// Every row.
        pub static WORDS: &[Words] = &[$(Words {
            id: $id, meaning: $meaning, app_sees: $sees, how: $how, kernels: $on, fix: $fix, reading: $read,
        }),+];
    };
}

rows! {
    "device_features": "offloads that zero-copy needs are off on the device the bytes leave by",
        sees "nothing by itself: see no_scatter_gather and no_tx_checksum",
        how "ethtool's netlink answer for the route's device, in the socket's network namespace; 1 MiB or more asked for",
        on "all with ethtool netlink (Linux 5.6)",
        fix "ethtool -K DEV tx on sg on tso on  # [fixed] in ethtool -k: only another driver or the hypervisor can",
        read "ethtool(8), Documentation/networking/netdev-features.rst";
    "sniffer": "a packet capture listens where zero-copy is sent, named by its process",
        sees "sends flagged COPIED",
        how "/proc/net/packet of every namespace and the descriptors of every process; a filter in the capture does not \
             help, because the copy comes before it",
        on "all",
        fix "stop the capture, or let it set PACKET_IGNORE_OUTGOING",
        read "packet(7)";
    "local_peer": "the peer is on this host: pages of the sender are copied before a local receiver may see them",
        sees "every send flagged COPIED",
        how "the remote address is one of the sender's namespace, or of exactly one other namespace of the traffic",
        on "all",
        fix "do not ask for zero-copy towards this host: plain send or sendfile, which is not copied here",
        read "Documentation/networking/msg_zerocopy.rst, section Loopback";
    "wrong_node": "the sender may not run on any CPU of the NUMA node its device is attached to",
        sees "nothing",
        how "the CPUs the process may use (/proc/PID/status) against those of the device's node (sysfs)",
        on "all; only devices in zcscope's own network namespace",
        fix "numactl --cpunodebind=NODE --membind=NODE CMD", read "numactl(8)";
    "silent_copies": "bytes were copied and the application was not told",
        sees "nothing: told zero-copy, or no notification exists",
        how "copied bytes of units that the kernel did not flag; without a unit, whatever was copied; from 0.01 % of the bytes, critical above 0.1 %",
        on "all that see copies; with tracepoints concluded", fix "look at copies[] for the place; a kernel that allows fentry or kprobes names it",
        read "";
    "told_zerocopy_but_copied": "sends were copied and the application was told zero-copy",
        sees "nothing", how "flag read against copies seen, send by send; a warning from 1 % of the sends told of",
        on "all that see copies and reads", fix "do not take the flag as a proof; the reasons of the copies say what to mend",
        read "Documentation/networking/msg_zerocopy.rst, section Notification Batching";
    "told_copied_but_not": "sends were not copied on their way out and the application was told copied",
        sees "SO_EE_CODE_ZEROCOPY_COPIED", how "flag read against copies seen, send by send; from 1 % of the sends \
        told of", on "all that see copies and reads", fix "do not turn zero-copy off because of the flag", read "";
    "merged_range": "sends have the flag of another send: the kernel merged their notifications",
        sees "one range with one flag", how "the kernel compares ids when it merges, and keeps the first one's flag; from 1 % of the sends told of",
        on "all that see copies and reads", fix "read the error queue after every send, if the flag of each matters", read "";
    "failed_send": "a send of io_uring failed, and its notification says copied",
        sees "an error in the first CQE, then IORING_NOTIF_USAGE_ZC_COPIED", how "result of the request",
        on "Linux 6.0 and later", fix "ignore the notification of a send whose result is an error",
        read "io_uring_enter(2), IORING_OP_SEND_ZC";
    "told_disagrees": "the application was told of more or fewer copied sends than the kernel flagged",
        sees "the flags it read", how "counts only, where single sends cannot be compared; unread ones are given the benefit of \
        the doubt", on "where reads are seen and copies are not", fix "do not decide by the COPIED flag of a range", read "";
    "told_more_than_copied": "sends are flagged as copied, but next to nothing was",
        sees "SO_EE_CODE_ZEROCOPY_COPIED", how "more than 1 % of the sends flagged, less than 1 % of the bytes copied",
        on "all that see copies", fix "do not turn zero-copy off because of the flag", read "";
    "enobufs": "sends were refused with ENOBUFS, and which limit it was cannot be told apart",
        sees "ENOBUFS", how "results of the calls; use against both limits stands beside it where it is known",
        on "wherever refusals are not seen (docs/limits.md)",
        fix "read the error queue sooner\nsysctl -w net.core.optmem_max=1048576\nprlimit --pid PID --memlock=unlimited",
        read "Documentation/networking/msg_zerocopy.rst";
    "optmem_near": "option memory came near its limit: at the limit sends fail with ENOBUFS",
        sees "nothing yet", how "80 % of the limit charged on one socket; each unread notification holds about 1 KiB",
        on "all that see gauges", fix "read the error queue sooner\nsysctl -w net.core.optmem_max=1048576  # per network \
        namespace in newer kernels", read "socket(7)";
    "memlock_near": "pinned pages came near RLIMIT_MEMLOCK: at the limit sends fail",
        sees "nothing yet", how "80 % of the limit; the kernel counts per user, all programs together",
        on "all that see pinned pages", fix "prlimit --pid PID --memlock=unlimited", read "getrlimit(2)";
    "depth_small": "the sender waits for each zero-copy send to end before it makes the next",
        sees "low throughput, and 40 ms stalls where the peer delays its ACKs",
        how "no notification ever covers two sends, each is read at once, and all time until they are released is 40 to 100 % of \
        the time, over 100 sends or more",
        on "all that see completions and reads",
        fix "keep more sends in flight: use further buffers and collect notifications later (64 is a good start)\n\
             zcscope load msg_zerocopy --depth 64 ...  # shows what it is worth here", read "";
    "pacing": "a pacing congestion control sets the rate on a short way: rates compare pacing, not copying",
        sees "nothing", how "bbr, 1 s busy or more, round trip below 1 ms, less than 20 % of the time held up by window or \
        buffer, at half the pace or more on average (sock_diag)",
        on "all", fix "compare paths under the same control that does not pace, and state it: zcscope load ... --cc cubic",
        read "tcp(7), TCP_CONGESTION";
    "splice_small": "splice hands TCP few bytes a call: the pipe, the file or the length asked for is small",
        sees "nothing", how "less than 16 KiB a call on average over 100 calls and 1 MiB",
        on "Linux 6.5 and later (before, every page is a call)",
        fix "fcntl(pipe, F_SETPIPE_SZ, 1048576)  // and splice with as large a length\n\
             SPLICE_F_MORE while more follows", read "splice(2), pipe(7)";
    "sendfile_possible": "a program reads files and sends about as many bytes plainly",
        sees "nothing", how "bytes of regular files read against bytes sent plainly, per process: at least half of what it sends, \
        and 1 MiB", on "all that see file reads; whether the bytes are the same is not known",
        fix "sendfile(socket, file, &offset, count)  // or splice; nginx: sendfile on\n\
             only if the bytes go out as they stand in the file (no TLS in user space, no compression)",
        read "sendfile(2)";
    "page_cache_miss": "files sent had to be read from disk first: no copy, but the sender waited",
        sees "slow calls", how "pages added to the page cache for a file while it is sent",
        on "all", fix "give the page cache more memory, or read the files beforehand: cat FILE > /dev/null\n\
        blockdev --setra SECTORS DISK  # read ahead further", read "";
    "lost": "events could not be counted where they belong: figures may be too low by them",
        sees "nothing", how "the kernel programs count what finds no room, per cause", on "all",
        fix "trace less: -p PID, -i DEV, -P PORT or --path PATH", read "";
    "lost_ends": "the ends of sends were not seen: whether they were copied is not known",
        sees "nothing", how "sends given up after a while", on "all",
        fix "trace less: -p PID, -i DEV, -P PORT or --path PATH", read "";
}

/// The row of an id; `None` for reasons, which have their own table.
#[must_use]
pub fn words(id: &str) -> Option<&'static Words> {
    WORDS.iter().find(|row| row.id == id)
}
