//! fentry and fexit: typed arguments, no exceptions. Kernels with BPF trampolines.

use aya_ebpf::{
    EbpfContext as _,
    macros::{fentry, fexit},
    programs::{FEntryContext, FExitContext},
};

use crate::{
    attach, complete, copy, file,
    mem::{Direct, Probe},
    send,
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
hook!(fentry, fentry_skb_copy_ubufs, FEntryContext, ctx => copy::copy_ubufs::<Direct>(ctx.as_ptr(), ctx.arg(0)));
hook!(fentry, fentry_pskb_pull_tail, FEntryContext, ctx => {
    copy::pull_tail::<Direct>(ctx.as_ptr(), ctx.arg(0), ctx.arg(1));
});
hook!(fentry, fentry_skb_segment, FEntryContext, ctx => {
    copy::segment::<Direct>(ctx.as_ptr(), ctx.arg(0), ctx.arg(1));
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
