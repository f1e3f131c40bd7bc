//! kprobe and kretprobe: for kernels without trampolines. A return probe has no arguments, so handlers keep what
//! they need per thread.

use aya_ebpf::{
    EbpfContext as _,
    macros::{kprobe, kretprobe},
    programs::{ProbeContext, RetProbeContext},
};

use zcscope_common::RecvCall;

use crate::{
    attach, caller::Breakpoint, complete, copy, file, forward, layer, mapped, mem::Probe, receive, send,
    uring,
};

/// Declares one entry program; the body runs only when all arguments could be read.
macro_rules! entry {
    ($name:ident, |$ctx:ident, $($arg:ident: $ty:ty = $n:literal),+| $body:expr) => {
        #[kprobe]
        pub fn $name($ctx: ProbeContext) -> u32 {
            $(let Some($arg) = $ctx.arg::<$ty>($n) else { return 0 };)+
            // SAFETY: the arguments are those of the kernel function the program attaches to.
            #[allow(unused_unsafe, reason = "some handlers are safe")]
            unsafe {
                $body
            };
            0
        }
    };
}

/// Declares one return program.
macro_rules! exit {
    ($name:ident, |$ret:ident: $ty:ty| $body:expr) => {
        #[kretprobe]
        pub fn $name(ctx: RetProbeContext) -> u32 {
            let $ret = ctx.ret::<$ty>();
            // SAFETY: handlers read kernel memory through the fault-safe helper only.
            #[allow(unused_unsafe, reason = "some handlers are safe")]
            unsafe {
                $body
            };
            0
        }
    };
}

entry!(kprobe_tcp_sendmsg_locked, |ctx, sk: *const u8 = 0, msg: *const u8 = 1| send::enter_kprobe::<Probe>(sk, msg));
exit!(kretprobe_tcp_sendmsg_locked, |ret: i32| send::leave_call::<Probe>(None, i64::from(ret)));
entry!(kprobe_do_tcp_sendpages, |ctx, sk: *const u8 = 0| attach::sendpages_enter(sk));
exit!(kretprobe_do_tcp_sendpages, |ret: i32| attach::sendpages_leave(i64::from(ret)));
entry!(kprobe_msg_zerocopy_realloc, |ctx, size: u64 = 1| attach::realloc_size(size));
exit!(kretprobe_msg_zerocopy_realloc, |uarg: u64| attach::realloc_return(uarg));
exit!(kretprobe_mm_account_pinned_pages, |ret: i32| attach::account_pinned(i64::from(ret)));
entry!(kprobe_skb_zerocopy_iter_stream, |ctx, skb: *const u8 = 1| attach::attach_enter::<Probe>(skb));
exit!(kretprobe_skb_zerocopy_iter_stream, |ret: i32| attach::attach_leave(i64::from(ret)));
entry!(kprobe_skb_splice_from_iter, |ctx, skb: *const u8 = 0| attach::attach_enter::<Probe>(skb));
exit!(kretprobe_skb_splice_from_iter, |ret: i64| attach::attach_leave(ret));
entry!(kprobe_msg_zerocopy_callback, |ctx, uarg: *const u8 = 0| complete::callback(uarg));
exit!(kretprobe_sock_dequeue_err_skb, |skb: *const u8| complete::dequeued(skb));
entry!(kprobe_skb_copy_ubufs, |ctx, skb: *const u8 = 0| copy::copy_ubufs::<Breakpoint>(ctx.as_ptr(), skb));
entry!(kprobe_pskb_pull_tail, |ctx, skb: *const u8 = 0, delta: i32 = 1| {
    copy::pull_tail::<Breakpoint>(ctx.as_ptr(), skb, delta)
});
entry!(kprobe_skb_pp_cow_data, |ctx, pskb: *const u8 = 1| copy::pp_cow_data::<Breakpoint>(ctx.as_ptr(), pskb));
entry!(kprobe_skb_copy_bits, |ctx, skb: *const u8 = 0, offset: i32 = 1, len: i32 = 3| {
    copy::copy_bits::<Breakpoint>(ctx.as_ptr(), skb, offset, len);
});
entry!(kprobe_ip_forward, |ctx, skb: *const u8 = 0| forward::forwarded::<Probe>(skb));
entry!(kprobe_ip6_forward, |ctx, skb: *const u8 = 0| forward::forwarded::<Probe>(skb));
entry!(kprobe_skb_segment, |ctx, skb: *const u8 = 0, features: u64 = 1| {
    copy::segment::<Breakpoint>(ctx.as_ptr(), skb, features)
});
entry!(kprobe_tcp_downgrade_zcopy_pure, |ctx, skb: *const u8 = 1| attach::downgrade_pure::<Probe>(skb));
entry!(kprobe_skb_zcopy_downgrade_managed, |ctx, skb: *const u8 = 0| {
    attach::downgrade_managed::<Breakpoint>(ctx.as_ptr(), skb)
});
entry!(kprobe_mptcp_sendmsg, |ctx, sk: *const u8 = 0| layer::mptcp_enter(sk));
exit!(kretprobe_mptcp_sendmsg, |ret: i32| layer::zcscope_layer_leave(i64::from(ret)));
entry!(kprobe_tls_sw_sendmsg, |ctx, sk: *const u8 = 0, msg: *const u8 = 1| layer::tls_enter(sk, msg));
exit!(kretprobe_tls_sw_sendmsg, |ret: i32| layer::zcscope_layer_leave(i64::from(ret)));
entry!(kprobe_tls_sw_sendpage, |ctx, sk: *const u8 = 0| layer::tls_enter_page(sk));
exit!(kretprobe_tls_sw_sendpage, |ret: i32| layer::zcscope_layer_leave(i64::from(ret)));
entry!(kprobe_tls_device_sendmsg, |ctx, sk: *const u8 = 0, msg: *const u8 = 1| layer::tls_enter(sk, msg));
exit!(kretprobe_tls_device_sendmsg, |ret: i32| layer::zcscope_layer_leave(i64::from(ret)));
entry!(kprobe_tls_device_sendpage, |ctx, sk: *const u8 = 0| layer::tls_enter_page(sk));
exit!(kretprobe_tls_device_sendpage, |ret: i32| layer::zcscope_layer_leave(i64::from(ret)));
entry!(kprobe_io_tx_ubuf_complete, |ctx, ubuf: u64 = 1, success: u64 = 2| {
    uring::put(ubuf, success & 0xff != 0)
});
entry!(kprobe_io_uring_tx_zerocopy_callback, |ctx, ubuf: u64 = 1, success: u64 = 2| {
    uring::put(ubuf, success & 0xff != 0)
});
entry!(kprobe_tcp_bpf_sendmsg, |ctx, sk: *const u8 = 0| layer::sockmap_enter(sk));
exit!(kretprobe_tcp_bpf_sendmsg, |ret: i32| layer::zcscope_layer_leave(i64::from(ret)));
entry!(kprobe_tcp_bpf_sendpage, |ctx, sk: *const u8 = 0| layer::sockmap_enter(sk));
exit!(kretprobe_tcp_bpf_sendpage, |ret: i32| layer::zcscope_layer_leave(i64::from(ret)));
entry!(kprobe_tcp_recvmsg, |ctx, sk: u64 = 0, flags: u32 = 3| {
    receive::begin(&RecvCall { sk, flags, ..RecvCall::default() });
});
exit!(kretprobe_tcp_recvmsg, |ret: i32| receive::received_kept(i64::from(ret)));
entry!(kprobe_tcp_splice_read, |ctx, socket: *const u8 = 0| {
    receive::begin(&RecvCall { sk: receive::sock_of::<Probe>(socket) as u64, ..RecvCall::default() });
});
exit!(kretprobe_tcp_splice_read, |ret: i64| receive::spliced_kept(ret));
entry!(kprobe_tcp_zerocopy_receive, |ctx, sk: *const u8 = 0, zc: *const u8 = 1| mapped::enter(sk, zc));
exit!(kretprobe_tcp_zerocopy_receive, |ret: i32| mapped::leave(i64::from(ret)));
exit!(kretprobe_do_sendfile, |ret: i64| file::sendfile_return(ret));
exit!(kretprobe_filemap_read, |ret: i64| file::read(ret));
exit!(kretprobe_shmem_file_read_iter, |ret: i64| file::read(ret));
