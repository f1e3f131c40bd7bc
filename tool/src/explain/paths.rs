//! The paths in words: how bytes enter or leave TCP, what it means that they are not copied there, and how a path is
//! told from another.

use zcscope_common::Path;

use super::{Kind, Topic};

/// One path: what it is, what the application sees, how it is known, on which kernels, where to read on.
type Row = (Path, &'static str, &'static str, &'static str, &'static str, &'static str);

const ROWS: &[Row] = &[
    (
        Path::Copy,
        "write, send, sendmsg: the kernel copies the bytes; no zero-copy was asked for, so there is no ledger",
        "the buffer is free when the call returns",
        "tcp_sendmsg_locked without a flag that asks for more",
        "all",
        "send(2)",
    ),
    (
        Path::MsgZerocopy,
        "send with MSG_ZEROCOPY: packets refer to the application's pages",
        "one notification per range of sends on the error queue; the buffer is in use until then",
        "the flag, and SO_ZEROCOPY",
        "Linux 4.14 and later",
        "Documentation/networking/msg_zerocopy.rst",
    ),
    (
        Path::Sendfile,
        "sendfile: packets refer to pages of the page cache",
        "the number of bytes; no notification: later \
     changes of the file may still be sent",
        "MSG_SPLICE_PAGES (before Linux 6.5 sendpage) below the system call",
        "all",
        "sendfile(2)",
    ),
    (
        Path::Splice,
        "splice from a pipe to a socket: packets refer to the pages in the pipe",
        "the number of bytes; no \
     notification",
        "as sendfile, by the system call",
        "all",
        "splice(2)",
    ),
    (
        Path::Vmsplice,
        "vmsplice of own pages into a pipe, then splice: packets refer to the application's pages",
        "nothing says when the pages are free",
        "the pages in the pipe are marked as a user's",
        "all that let zcscope learn the mark (docs/limits.md)",
        "vmsplice(2)",
    ),
    (
        Path::UringSend,
        "IORING_OP_SEND, SENDMSG: as plain send",
        "one CQE",
        "the request's opcode",
        "Linux 5.6 and later",
        "io_uring_enter(2)",
    ),
    (
        Path::UringSendZc,
        "IORING_OP_SEND_ZC: packets refer to the application's pages",
        "two CQEs: the result, then a \
     notification (F_NOTIF) that frees the buffer",
        "the request's opcode",
        "Linux 6.0 and later",
        "io_uring_enter(2), IORING_OP_SEND_ZC",
    ),
    (
        Path::UringSendZcFixed,
        "SEND_ZC from a registered buffer: its pages are pinned and charged once",
        "as uring_send_zc",
        "the request's opcode and flag",
        "Linux 6.0 and later",
        "io_uring_enter(2), IORING_RECVSEND_FIXED_BUF",
    ),
    (
        Path::UringSendmsgZc,
        "IORING_OP_SENDMSG_ZC: several pieces in one zero-copy send",
        "as uring_send_zc",
        "the request's \
     opcode",
        "Linux 6.1 and later",
        "io_uring_enter(2), IORING_OP_SENDMSG_ZC",
    ),
    (
        Path::Ktls,
        "sends through kernel TLS: the ciphertext is new pages unless the device encrypts",
        "as a plain send",
        "the TLS layer's send functions",
        "all with CONFIG_TLS",
        "Documentation/networking/tls.rst",
    ),
    (
        Path::Mptcp,
        "sends through MPTCP, which copies",
        "as a plain send, and MSG_ZEROCOPY is ignored",
        "mptcp_sendmsg",
        "Linux 5.6 and later",
        "Documentation/networking/mptcp.rst",
    ),
    (
        Path::Devmem,
        "sends from device memory (a dma-buf)",
        "notifications as msg_zerocopy",
        "the dma-buf id of the send",
        "Linux 6.16 and later",
        "Documentation/networking/devmem.rst",
    ),
    (
        Path::Kernel,
        "the kernel itself sends pages (nvme-tcp, nbd, ceph, nfs)",
        "not an application's bytes",
        "MSG_SPLICE_PAGES from a kernel thread or another system call",
        "all",
        "",
    ),
    (
        Path::Recv,
        "read, recv, recvmsg: the bytes are copied to the application; peeks do not count",
        "the bytes",
        "tcp_recvmsg and the receive queue",
        "all",
        "recv(2)",
    ),
    (
        Path::RecvZerocopy,
        "TCP_ZEROCOPY_RECEIVE: whole pages are mapped into the application, the rest is copied or left \
     to a read",
        "a length mapped, a length copied, recv_skip_hint",
        "the option's answer",
        "Linux 4.18 and later",
        "tools/testing/selftests/net/tcp_mmap.c in the kernel's source",
    ),
    (
        Path::RecvSplice,
        "splice from a socket: pages move into a pipe",
        "the bytes",
        "tcp_splice_read",
        "all; with tracepoints not seen",
        "splice(2)",
    ),
    (
        Path::UringRecv,
        "IORING_OP_RECV, RECVMSG: as plain recv",
        "one CQE or more",
        "the request's opcode",
        "Linux 5.6 and later",
        "io_uring_enter(2)",
    ),
    (
        Path::UringZcrx,
        "io_uring zero-copy receive: a device queue writes into the application's area",
        "CQEs with offsets \
     into the area",
        "io_zcrx_recv",
        "Linux 6.15 and later",
        "Documentation/networking/iou-zcrx.rst",
    ),
    (
        Path::RecvDevmem,
        "received into device memory",
        "control messages with offsets; the linear part is copied",
        "tcp_recvmsg_dmabuf",
        "Linux 6.12 and later",
        "Documentation/networking/devmem.rst",
    ),
];

/// Every path.
pub(super) fn topics() -> impl Iterator<Item = Topic> {
    ROWS.iter().map(|(path, meaning, app_sees, how, kernels, reading)| Topic {
        app_sees,
        how,
        kernels,
        reading,
        ..Topic::new(Kind::Path, path.name(), meaning)
    })
}
