//! BTF tracepoints: typed arguments, stable places, on every kernel; also where functions cannot be probed.

use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};

use crate::{complete, config::conf, file, infer, lifecycle, maps, mem::Direct, mem::Mem, send};

const IPPROTO_TCP: u16 = 6;

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
    if Direct::read::<u16>(sk, conf!(off.sock_protocol)) == IPPROTO_TCP {
        send::leave_tracepoint(sk, i64::from(ctx.arg::<i32>(1)));
    }
});
tracepoint!(tp_inet_sk_error_report, ctx => complete::error_report(ctx.arg(0)));
skb_tracepoint!(tp_consume_skb, ctx => complete::consumed(ctx.arg(0), ctx.arg(1)));
skb_tracepoint!(tp_net_dev_queue, ctx => infer::queued(ctx.arg(0)));
skb_tracepoint!(tp_net_dev_start_xmit, ctx => infer::transmitted(ctx.arg(0), ctx.arg(1)));
skb_tracepoint!(tp_netif_receive_skb, ctx => infer::received(ctx.arg(0)));
tracepoint!(tp_tcp_destroy_sock, ctx => lifecycle::destroyed(ctx.arg(0)));
tracepoint!(tp_mm_filemap_add_to_page_cache, ctx => file::cached(ctx.arg(0)));
tracepoint!(tp_sched_process_exit, ctx => {
    let _ = ctx;
    lifecycle::exited();
});
tracepoint!(tp_sched_process_fork, ctx => lifecycle::forked(ctx.arg(0), ctx.arg(1)));
