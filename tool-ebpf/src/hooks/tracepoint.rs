//! BTF tracepoints: typed arguments, stable places, on every kernel; also where functions cannot be probed.

use aya_ebpf::{EbpfContext, macros::btf_tracepoint, programs::BtfTracePointContext};

use crate::{
    bounce, complete, config::conf, file, infer, layer, layer::IPPROTO_MPTCP, lifecycle, mapped, maps,
    mem::Direct, mem::Mem, receive, send, uring,
};

const IPPROTO_TCP: u16 = 6;
const SOCK_STREAM: u16 = 1;

/// Declares one program around one handler call; the program never fails.
macro_rules! tracepoint {
    ($name:ident, $ctx:ident => $body:expr) => {
        #[btf_tracepoint]
        pub fn $name($ctx: BtfTracePointContext) -> i32 {
            // SAFETY: the arguments are those of the tracepoint the program attaches to.
            #[allow(unused_unsafe, reason = "some handlers are safe")]
            unsafe {
                $body
            };
            0
        }
    };
}

/// Like `tracepoint`, for those that fire for every skb of the host: they look only once there can be a zero-copy one.
macro_rules! skb_tracepoint {
    ($name:ident, $ctx:ident => $body:expr) => {
        tracepoint!($name, $ctx => if maps::zerocopy_seen() { $body });
    };
}

tracepoint!(tp_tcp_sendmsg_locked, ctx => send::enter_tracepoint(ctx.arg(0), ctx.arg(1)));
tracepoint!(tp_sock_send_length, ctx => {
    let sk: *const u8 = ctx.arg(0);
    // All protocols pass here.
    match Direct::read::<u16>(sk, conf!(off.sock_protocol)) {
        IPPROTO_TCP => send::leave_tracepoint(sk, i64::from(ctx.arg::<i32>(1))),
        IPPROTO_MPTCP if conf!(mode.mptcp) != 0 => layer::mptcp::<Direct>(sk, i64::from(ctx.arg::<i32>(1))),
        _ => {}
    }
});
tracepoint!(tp_inet_sk_error_report, ctx => complete::error_report(ctx.arg(0)));
skb_tracepoint!(tp_consume_skb, ctx => complete::consumed(ctx.arg(0), ctx.arg(1)));
skb_tracepoint!(tp_net_dev_queue, ctx => infer::queued(ctx.arg(0)));
skb_tracepoint!(tp_net_dev_start_xmit, ctx => infer::transmitted(ctx.arg(0), ctx.arg(1)));
skb_tracepoint!(tp_netif_receive_skb, ctx => infer::received(ctx.arg(0)));
tracepoint!(tp_tcp_destroy_sock, ctx => {
    lifecycle::destroyed(ctx.arg(0));
    receive::destroyed(ctx.arg(0));
});
tracepoint!(tp_mm_filemap_add_to_page_cache, ctx => file::cached(ctx.arg(0)));
tracepoint!(tp_sched_process_exit, ctx => {
    let _ = ctx;
    lifecycle::exited();
});
tracepoint!(tp_sched_process_fork, ctx => lifecycle::forked(ctx.arg(0), ctx.arg(1)));
tracepoint!(tp_inet_sock_set_state, ctx => layer::state_changed::<Direct>(ctx.arg(0), ctx.arg(2)));
tracepoint!(tp_io_uring_submit_req, ctx => uring::submitted(ctx.arg(0)));
tracepoint!(tp_io_uring_submit_sqe, ctx => uring::submitted(ctx.arg(0)));
tracepoint!(tp_io_uring_req_failed, ctx => uring::refused(ctx.arg(0), ctx.arg(1), ctx.arg(2)));
tracepoint!(tp_io_uring_complete, ctx => {
    if conf!(mode.uring_cqe) != 0 {
        uring::completed_cqe(ctx.arg(1), ctx.arg(2));
    } else {
        uring::completed(ctx.arg(1), ctx.arg(3), ctx.arg(4));
    }
});
tracepoint!(tp_io_uring_cqe_overflow, ctx => uring::overflowed(ctx.arg(3)));
tracepoint!(tp_sock_recv_length, ctx => {
    let sk: *const u8 = ctx.arg(0);
    // All protocols pass here, and two that have nothing to do with TCP bear its number.
    if Direct::read::<u16>(sk, conf!(off.sock_protocol)) == IPPROTO_TCP
        && Direct::read::<u16>(sk, conf!(off.sock_type)) == SOCK_STREAM
    {
        receive::received(sk, ctx.arg(2), i64::from(ctx.arg::<i32>(1)));
    }
});
tracepoint!(tp_sys_exit, ctx => mapped::syscall_exit(ctx.arg(0), ctx.arg(1)));
tracepoint!(tp_swiotlb_bounced, ctx => bounce::bounced(ctx.as_ptr(), ctx.arg(0), ctx.arg(2)));
