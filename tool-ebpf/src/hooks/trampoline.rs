//! fentry and fexit: typed arguments, no exceptions. Kernels with BPF trampolines.

use aya_ebpf::{
    EbpfContext as _,
    helpers::generated::bpf_get_func_arg,
    macros::{fentry, fexit},
    programs::{FEntryContext, FExitContext},
};

use zcscope_common::Path;

use crate::{
    attach,
    caller::Trampoline,
    complete, copy, cost, file, forward, layer, mapped,
    mem::{Direct, Probe},
    receive, send, uring,
};

/// Declares one program around one handler call; the program never fails.
macro_rules! hook {
    ($attribute:ident, $name:ident, $context:ty, $ctx:ident => $body:expr) => {
        #[$attribute]
        pub fn $name($ctx: $context) -> i32 {
            // SAFETY: the arguments are those of the kernel function the program attaches to.
            #[allow(unused_unsafe, reason = "some handlers are safe")]
            unsafe {
                $body
            };
            0
        }
    };
}

hook!(fentry, fentry_tcp_sendmsg_locked, FEntryContext, ctx => send::enter_fentry(ctx.arg(0), ctx.arg(1)));
hook!(fexit, fexit_tcp_sendmsg_locked, FExitContext, ctx => {
    if let Ok(ret) = ctx.ret::<i32>() {
        send::leave_fexit(ctx.arg(0), ctx.arg(1), i64::from(ret));
    }
});
hook!(fentry, fentry_do_tcp_sendpages, FEntryContext, ctx => cost::entered(ctx.arg(0)));
hook!(fexit, fexit_do_tcp_sendpages, FExitContext, ctx => {
    if let Ok(ret) = ctx.ret::<i32>() {
        attach::sendpages::<Direct>(ctx.arg(0), i64::from(ret));
    }
});
hook!(fexit, fexit_msg_zerocopy_realloc, FExitContext, ctx => {
    if let Ok(uarg) = ctx.ret::<u64>() {
        attach::realloc::<Probe>(uarg, ctx.arg(1));
    }
});
hook!(fexit, fexit_mm_account_pinned_pages, FExitContext, ctx => {
    if let Ok(ret) = ctx.ret::<i32>() {
        attach::account_pinned(i64::from(ret));
    }
});
hook!(fentry, fentry_skb_zerocopy_iter_stream, FEntryContext, ctx => attach::attach_enter::<Direct>(ctx.arg(1)));
hook!(fexit, fexit_skb_zerocopy_iter_stream, FExitContext, ctx => {
    if let Ok(ret) = ctx.ret::<i32>() {
        attach::attach_leave(i64::from(ret));
    }
});
hook!(fentry, fentry_skb_splice_from_iter, FEntryContext, ctx => attach::attach_enter::<Direct>(ctx.arg(0)));
hook!(fexit, fexit_skb_splice_from_iter, FExitContext, ctx => {
    if let Ok(ret) = ctx.ret::<i64>() {
        attach::attach_leave(ret);
    }
});
hook!(fentry, fentry_msg_zerocopy_callback, FEntryContext, ctx => complete::callback(ctx.arg(0)));
hook!(fexit, fexit_sock_dequeue_err_skb, FExitContext, ctx => {
    if let Ok(skb) = ctx.ret::<u64>() {
        complete::dequeued(skb as *const u8);
    }
});
hook!(fentry, fentry_skb_copy_ubufs, FEntryContext, ctx => copy::copy_ubufs::<Trampoline>(ctx.as_ptr(), ctx.arg(0)));
hook!(fentry, fentry_pskb_pull_tail, FEntryContext, ctx => {
    copy::pull_tail::<Trampoline>(ctx.as_ptr(), ctx.arg(0), ctx.arg(1));
});
hook!(fentry, fentry_skb_pp_cow_data, FEntryContext, ctx => {
    // A pointer to a pointer: many kernels refuse to read such an argument from the context.
    let mut pskb = 0u64;
    if bpf_get_func_arg(ctx.as_ptr(), 1, &raw mut pskb) == 0 {
        copy::pp_cow_data::<Trampoline>(ctx.as_ptr(), pskb as *const u8);
    }
});
hook!(fentry, fentry_skb_copy_bits, FEntryContext, ctx => {
    copy::copy_bits::<Trampoline>(ctx.as_ptr(), ctx.arg(0), ctx.arg(1), ctx.arg(3));
});
hook!(fentry, fentry_ip_forward, FEntryContext, ctx => forward::forwarded::<Direct>(ctx.arg(0)));
hook!(fentry, fentry_ip6_forward, FEntryContext, ctx => forward::forwarded::<Direct>(ctx.arg(0)));
hook!(fentry, fentry_skb_segment, FEntryContext, ctx => {
    copy::segment::<Trampoline>(ctx.as_ptr(), ctx.arg(0), ctx.arg(1));
});
hook!(fentry, fentry_tcp_downgrade_zcopy_pure, FEntryContext, ctx => attach::downgrade_pure::<Direct>(ctx.arg(1)));
hook!(fentry, fentry_skb_zcopy_downgrade_managed, FEntryContext, ctx => {
    attach::downgrade_managed::<Trampoline>(ctx.as_ptr(), ctx.arg(0));
});
hook!(fexit, fexit_mptcp_sendmsg, FExitContext, ctx => {
    if let Ok(ret) = ctx.ret::<i32>() {
        layer::mptcp::<Direct>(ctx.arg(0), i64::from(ret));
    }
});
// Each with a twin: see `uring::put`.
hook!(fentry, fentry_io_tx_ubuf_complete, FEntryContext, ctx => {
    uring::put(ctx.arg(1), ctx.arg::<u64>(2) & 0xff != 0);
});
hook!(fentry, fentry_io_tx_ubuf_complete_twin, FEntryContext, ctx => {
    uring::put(ctx.arg(1), ctx.arg::<u64>(2) & 0xff != 0);
});
hook!(fentry, fentry_io_uring_tx_zerocopy_callback, FEntryContext, ctx => {
    uring::put(ctx.arg(1), ctx.arg::<u64>(2) & 0xff != 0);
});
hook!(fentry, fentry_io_uring_tx_zerocopy_callback_twin, FEntryContext, ctx => {
    uring::put(ctx.arg(1), ctx.arg::<u64>(2) & 0xff != 0);
});
hook!(fexit, fexit_tcp_bpf_sendmsg, FExitContext, ctx => {
    if let Ok(ret) = ctx.ret::<i32>() {
        layer::sockmap::<Direct>(ctx.arg(0), i64::from(ret));
    }
});
hook!(fexit, fexit_tcp_bpf_sendpage, FExitContext, ctx => {
    if let Ok(ret) = ctx.ret::<i32>() {
        layer::sockmap::<Direct>(ctx.arg(0), i64::from(ret));
    }
});
hook!(fexit, fexit_tcp_recvmsg, FExitContext, ctx => {
    if let Ok(ret) = ctx.ret::<i32>() {
        receive::received(ctx.arg(0), ctx.arg(3), i64::from(ret));
    }
});
hook!(fexit, fexit_tcp_splice_read, FExitContext, ctx => {
    if let Ok(ret) = ctx.ret::<i64>() {
        receive::book(receive::sock_of::<Direct>(ctx.arg(0)), Path::RecvSplice, ret);
    }
});
hook!(fentry, fentry_tcp_zerocopy_receive, FEntryContext, ctx => mapped::enter(ctx.arg(0), ctx.arg(1)));
hook!(fexit, fexit_tcp_zerocopy_receive, FExitContext, ctx => {
    if let Ok(ret) = ctx.ret::<i32>() {
        mapped::leave(i64::from(ret));
    }
});
hook!(fentry, fentry_io_zcrx_recv, FEntryContext, ctx => mapped::zcrx_enter(ctx.arg(2)));
hook!(fexit, fexit_io_zcrx_recv, FExitContext, ctx => {
    if let Ok(ret) = ctx.ret::<i32>() {
        mapped::zcrx_leave(i64::from(ret));
    }
});
hook!(fexit, fexit_io_zcrx_queue_cqe, FExitContext, ctx => {
    if let Ok(done) = ctx.ret::<u8>() {
        mapped::zcrx_queued(ctx.arg(4), done != 0);
    }
});
hook!(fexit, fexit_io_zcrx_copy_chunk, FExitContext, ctx => {
    if let Ok(ret) = ctx.ret::<i64>() {
        mapped::zcrx_copied(ret);
    }
});
hook!(fexit, fexit_do_sendfile, FExitContext, ctx => {
    if let Ok(ret) = ctx.ret::<i64>() {
        file::sendfile_return(ret);
    }
});
hook!(fexit, fexit_filemap_read, FExitContext, ctx => {
    if let Ok(ret) = ctx.ret::<i64>() {
        file::read(ret);
    }
});
hook!(fexit, fexit_shmem_file_read_iter, FExitContext, ctx => {
    if let Ok(ret) = ctx.ret::<i64>() {
        file::read(ret);
    }
});
