//! What the reference application counted itself, and the names of its send paths.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A way to hand bytes to TCP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub(crate) enum SendPath {
    /// `send(2)`.
    Copy,
    /// `send(2)` with `MSG_ZEROCOPY`.
    MsgZerocopy,
    /// `sendfile(2)` from a memory file.
    Sendfile,
    /// `splice(2)` memory file -> pipe -> socket.
    Splice,
    /// `vmsplice(2)` memory -> pipe, `splice(2)` pipe -> socket.
    Vmsplice,
    /// `send(2)` on a socket with kernel TLS.
    Ktls,
    /// `sendfile(2)` on a socket with kernel TLS.
    KtlsSendfile,
    /// `send(2)` on an MPTCP socket.
    Mptcp,
    /// io_uring `SEND`.
    UringSend,
    /// io_uring `SEND_ZC`.
    UringSendZc,
    /// io_uring `SEND_ZC` from a registered buffer.
    UringSendZcFixed,
    /// io_uring `SENDMSG_ZC`.
    UringSendmsgZc,
}

impl SendPath {
    /// The name of the path, the same as in zcscope's reports.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            SendPath::Copy => "copy",
            SendPath::MsgZerocopy => "msg_zerocopy",
            SendPath::Sendfile => "sendfile",
            SendPath::Splice => "splice",
            SendPath::Vmsplice => "vmsplice",
            SendPath::Ktls | SendPath::KtlsSendfile => "ktls",
            SendPath::Mptcp => "mptcp",
            SendPath::UringSend => "uring_send",
            SendPath::UringSendZc => "uring_send_zc",
            SendPath::UringSendZcFixed => "uring_send_zc_fixed",
            SendPath::UringSendmsgZc => "uring_sendmsg_zc",
        }
    }

    /// The word on the sender's command line.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            SendPath::KtlsSendfile => "ktls_sendfile",
            other => other.name(),
        }
    }

    /// True when the connection has kernel TLS.
    pub(crate) const fn is_tls(self) -> bool {
        matches!(self, SendPath::Ktls | SendPath::KtlsSendfile)
    }

    /// True when one system call, or io_uring request, is counted as exactly one call. A plain io_uring request that
    /// is sent in parts enters TCP several times.
    pub(crate) const fn one_entry_per_call(self) -> bool {
        matches!(self, SendPath::Copy | SendPath::MsgZerocopy | SendPath::Ktls | SendPath::Mptcp)
            || self.is_uring_zerocopy()
    }

    /// True for every path of io_uring.
    pub(crate) const fn is_uring(self) -> bool {
        matches!(self, SendPath::UringSend) || self.is_uring_zerocopy()
    }

    /// True for those of io_uring whose requests end with a notification.
    pub(crate) const fn is_uring_zerocopy(self) -> bool {
        matches!(self, SendPath::UringSendZc | SendPath::UringSendZcFixed | SendPath::UringSendmsgZc)
    }

    /// True when the program asks not to copy, so that copied bytes are counted.
    pub(crate) const fn wants_zerocopy(self) -> bool {
        !matches!(
            self,
            SendPath::Copy | SendPath::UringSend | SendPath::Ktls | SendPath::KtlsSendfile | SendPath::Mptcp
        )
    }
}

/// The sender's own counters, printed as one JSON line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sent {
    /// Process id.
    pub(crate) pid: u32,
    /// Path used.
    pub(crate) path: SendPath,
    /// System calls made, failed ones included.
    pub(crate) calls: u64,
    /// Bytes the kernel accepted.
    pub(crate) bytes: u64,
    /// Failed calls by errno name.
    pub(crate) errors: BTreeMap<String, u64>,
    /// Zero-copy sends that must be completed.
    pub(crate) zerocopy_sends: u64,
    /// Sends covered by the notifications read.
    pub(crate) completions: u64,
    /// Notifications read from the error queue.
    pub(crate) notifications: u64,
    /// Sends covered by notifications that said "copied".
    pub(crate) told_copied: u64,
    /// io_uring: notifications of requests that failed.
    #[serde(default)]
    pub(crate) failed_notifications: u64,
    /// io_uring: those of them that said "copied".
    #[serde(default)]
    pub(crate) failed_told_copied: u64,
    /// Bytes the peer had not acknowledged when the socket was closed.
    pub(crate) unacknowledged: u64,
    /// Plain reads: one a connection, for the peer's end of the stream. Their bytes stand in `read_bytes`.
    #[serde(default)]
    pub(crate) reads: u64,
    /// Bytes those returned.
    #[serde(default)]
    pub(crate) read_bytes: u64,
    /// Time from each zero-copy send to its notification being read, ns, in the order of reading.
    #[serde(default)]
    pub(crate) read_ns: Vec<u64>,
}

impl Sent {
    /// Fresh counters of this process.
    pub(crate) fn new(path: SendPath) -> Self {
        Sent {
            pid: std::process::id(),
            path,
            calls: 0,
            bytes: 0,
            errors: BTreeMap::new(),
            zerocopy_sends: 0,
            completions: 0,
            notifications: 0,
            told_copied: 0,
            failed_notifications: 0,
            failed_told_copied: 0,
            unacknowledged: 0,
            reads: 0,
            read_bytes: 0,
            read_ns: Vec::new(),
        }
    }

    /// Failed calls with this errno.
    pub(crate) fn failed(&self, errno: &str) -> u64 {
        self.errors.get(errno).copied().unwrap_or(0)
    }
}

/// A way to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum RecvPath {
    /// `read(2)`.
    Recv,
    /// `read(2)`, with acknowledgements as late as the kernel gives them.
    RecvDelayed,
    /// `recv(2)` with `MSG_TRUNC`: nothing is copied.
    Trunc,
    /// Every read is peeked at first.
    Peek,
    /// `getsockopt(TCP_ZEROCOPY_RECEIVE)`, and `read(2)` for what the kernel leaves.
    Zerocopy,
    /// `splice(2)` into a pipe.
    Splice,
    /// io_uring.
    Uring,
}

impl RecvPath {
    /// The name on the command line.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            RecvPath::Recv => "recv",
            RecvPath::RecvDelayed => "recv_delayed",
            RecvPath::Trunc => "trunc",
            RecvPath::Peek => "peek",
            RecvPath::Zerocopy => "zerocopy",
            RecvPath::Splice => "splice",
            RecvPath::Uring => "uring",
        }
    }
}

/// Calls of one kind and their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Count {
    pub(crate) calls: u64,
    pub(crate) bytes: u64,
}

/// What `TCP_ZEROCOPY_RECEIVE` did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Mapped {
    pub(crate) calls: u64,
    /// Calls that failed (at the end of the stream).
    pub(crate) failed: u64,
    /// Bytes mapped.
    pub(crate) mapped: u64,
    /// Bytes that went through the copy buffer.
    pub(crate) copied: u64,
    /// Bytes left to a read.
    pub(crate) hint: u64,
}

/// The sink's own counters, printed as one JSON line.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Received {
    /// Process id.
    pub(crate) pid: u32,
    /// Bytes until the end of the stream, however they came.
    pub(crate) bytes: u64,
    /// Plain reads.
    pub(crate) recv: Count,
    /// Mapping.
    pub(crate) zerocopy: Mapped,
    /// Splices out of the socket.
    pub(crate) splice: Count,
    /// io_uring requests.
    pub(crate) uring: Count,
}

/// The counters of sends that waited for something, printed as one JSON line.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stalled {
    /// Process id.
    pub(crate) pid: u32,
    /// Zero-copy sends made first.
    pub(crate) before: u64,
    /// Zero-copy sends made after a sign from outside.
    pub(crate) calls: u64,
    /// Bytes of the latter.
    pub(crate) bytes: u64,
    /// Bytes TCP had not sent when everything stood still.
    pub(crate) unsent: u64,
    /// Sends covered by the notifications read.
    pub(crate) completions: u64,
    /// Notifications read.
    pub(crate) notifications: u64,
    /// Sends covered by those that said "copied".
    pub(crate) told_copied: u64,
    /// What the last call failed with, if it had to.
    pub(crate) error: String,
}
