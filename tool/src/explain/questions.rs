//! The questions a zero-copy engineer asks, and which finding, figure or limit answers each.

/// Question and answer; ids in backticks are those of topics.
pub(super) const QUESTIONS: &[(&str, &str)] = &[
    (
        "Is it really zero-copy on this flow, now?",
        "`zerocopied_bytes`, `copied_bytes` and `silent_copied_bytes`, per path, process, socket and device",
    ),
    (
        "Why was it copied?",
        "`reason`, `site`, `caller` and `dev` in `copies`, with the fix in the finding of the same id",
    ),
    (
        "From which message size does it pay here?",
        "`small_send` and `send_ns_per_kib` of both paths; measured: `zcscope load` at several sizes over this device",
    ),
    (
        "ENOBUFS: optmem or memlock?",
        "findings `optmem` and `memlock` with use against the limit; `enobufs` where they cannot \
     be told apart; `optmem_near`, `memlock_near` before it happens",
    ),
    (
        "How long are my buffers held, and by whom?",
        "`latency_ns`, `queue_latency_ns` and `read_latency_ns`. Limit: time in a qdisc and in the device is not told from the way \
      to the peer and back",
    ),
    (
        "Do delayed ACKs hold my completions?",
        "`delayed_ack`, and `depth_small` where it is the cause; `delayed_acks`",
    ),
    (
        "Do I read notifications too seldom or too often?",
        "`slow_reader`, `range_length`, `unread_notifications`",
    ),
    (
        "Do I lose completions or see them out of order, does the id wrap?",
        "`told_sends` against `sends`, `unread_sends`; the load counts completions that fit no send. Limit: what a program does with an id it has \
      read is not seen",
    ),
    (
        "Is throughput or CPU the gain?",
        "`zcscope load`: rate and CPU seconds per GB of sender and machine. Limit: \
     a trace alone tells no CPU cost but `send_ns`; `pacing` says when a rate means nothing",
    ),
    (
        "Which API is best here?",
        "paths side by side in one trace (`send_ns_per_kib`, `copied_bytes`), `sendfile_possible`, \
     `splice_small`; measured: `zcscope load` over each path",
    ),
    (
        "Do retransmits, small frags or the 17-frag limit destroy it?",
        "`swept_retransmit`, `frag_limit`, `frags_per_skb`, `bytes_per_frag`",
    ),
    (
        "Is my NIC able?",
        "`device_features`, `no_scatter_gather`, `no_tx_checksum`, `rx_header_split_missing`. Limit: what a \
     device could do for paths nobody uses is not looked at",
    ),
    (
        "Am I on the right core and NUMA node?",
        "`wrong_node`. Limit: which CPU takes a device's interrupts is not looked at",
    ),
    (
        "How much memory is pinned or locked, who else shares the limit?",
        "`locked_pages` (all programs of the user together), `pages_in_flight`, `in_flight`, \
     `memlock_near`",
    ),
    (
        "Is the data still right?",
        "Limit: zcscope sees lengths, never bytes. A buffer that is changed while in `in_flight` goes \
     out changed",
    ),
];

/// What is on the list of things to diagnose and cannot be known from a trace.
pub(super) const LIMITS: &[&str] = &[
    "Bounce buffers for DMA: counted per device, of all programs together; whose bytes they were is not known. Without \
     that count the finding `dma_bounce` rests on their cause (encrypted guest, swiotlb=force).",
    "The size of a pipe: it cannot be read from outside without opening the pipe; `splice_small` rests on what arrives in TCP.",
    "The CPU that takes a device's interrupts, and which CPU a process ran on: no finding.",
    "`sniffer`: whether a capture has set PACKET_IGNORE_OUTGOING is shown nowhere: it is a finding once packets were \
     copied for it, or where copies are not seen.",
    "`depth_small`: only one send at a time is told from more; how deep is deep enough depends on the way.",
    "`swept_retransmit`, `pacing` and the evidence of limits: the 32 connections that send most, asked every 3 s.",
    "`local_peer`: addresses of namespaces that have no traced sender are not known; their copies are.",
];
