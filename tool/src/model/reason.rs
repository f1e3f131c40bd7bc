//! The reason table (stub with the agreed shape; the real table replaces this file).

use zcscope_common::Reason;

/// What is known of one reason.
#[derive(Clone, Copy, Debug)]
pub struct ReasonInfo {
    /// The reason.
    pub reason: Reason,
    /// One line: what it means.
    pub meaning: &'static str,
    /// What the application sees.
    pub app_sees: &'static str,
    /// How zcscope knows.
    pub how: &'static str,
    /// What to do, with a command where there is one.
    pub fix: &'static str,
}

/// The table's row of a reason.
#[must_use]
pub fn info(reason: Reason) -> &'static ReasonInfo {
    const NONE: ReasonInfo = ReasonInfo {
        reason: Reason::UnknownCaller,
        meaning: "a copy whose caller has no name yet",
        app_sees: "nothing",
        how: "caller of the copy function",
        fix: "look the caller up in the kernel source",
    };
    const LOOPBACK: ReasonInfo = ReasonInfo {
        reason: Reason::Loopback,
        meaning: "delivered over loopback: the receiver needs its own copy",
        app_sees: "COPIED bit",
        how: "caller of skb_copy_ubufs",
        fix: "none while both ends are on this host: zero-copy send pays only towards another machine",
    };
    const NO_SG: ReasonInfo = ReasonInfo {
        reason: Reason::NoScatterGather,
        meaning: "the device cannot gather pages: the kernel linearizes every packet",
        app_sees: "nothing",
        how: "copy in skb_segment",
        fix: "ethtool -K DEV sg on (and tso on); or a driver that can",
    };
    const TAP: ReasonInfo = ReasonInfo {
        reason: Reason::PacketTap,
        meaning: "a packet capture got a copy; the transmission did not",
        app_sees: "COPIED bit",
        how: "caller of skb_copy_ubufs",
        fix: "stop the capture: ss -0 -p lists packet sockets",
    };
    match reason {
        Reason::Loopback => &LOOPBACK,
        Reason::NoScatterGather => &NO_SG,
        Reason::PacketTap => &TAP,
        _ => &NONE,
    }
}
