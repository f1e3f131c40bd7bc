//! Sending by io_uring: requests one by one, or in batches that share packets, and their completions.
#![allow(unsafe_code, reason = "requests point to memory that must outlive them")]

use std::collections::BTreeSet;
use std::net::TcpStream;
use std::os::fd::{AsFd, AsRawFd};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use io_uring::{IoUring, cqueue, opcode, squeue, types};
use nix::errno::Errno;

use super::{send, sys};
use crate::truth::{SendPath, Sent};

/// `IORING_SEND_ZC_REPORT_USAGE` of `linux/io_uring.h`.
const REPORT_USAGE: u16 = 1 << 3;
/// `IORING_NOTIF_USAGE_ZC_COPIED`: the sign bit of a notification's result.
const ZC_COPIED: i32 = i32::MIN;
/// Requests handed over at once at most.
const ENTRIES: u32 = 64;
/// Room for all completions of requests that end together, and what fits into a small limit of locked memory.
const COMPLETIONS: u32 = 16384;
const FEW_COMPLETIONS: u32 = 256;

/// What is special about the requests.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Requests handed over at once; all but the last carry MSG_MORE, so that they share packets.
    #[arg(long, default_value_t = 1)]
    batch: u32,
    /// Do not ask for notifications that tell of copies.
    #[arg(long)]
    no_report: bool,
    /// Make it a TLS socket first, which takes no zero-copy send.
    #[arg(long)]
    tls: bool,
    /// A thread of the kernel submits.
    #[arg(long)]
    sqpoll: bool,
    /// Workers of the kernel send (IOSQE_ASYNC).
    #[arg(long)]
    workers: bool,
    /// Completions are posted only when the program enters the kernel (IORING_SETUP_DEFER_TASKRUN).
    #[arg(long)]
    defer: bool,
}

/// Makes all calls and waits, bounded, for all notifications.
pub(crate) fn send(args: &send::Args, stream: &TcpStream, sent: &mut Sent) -> anyhow::Result<()> {
    if args.uring.tls {
        sys::become_tls(stream.as_fd()).context("this kernel has no TLS sockets")?;
    }
    let data: Vec<u8> = (0..args.size).map(|i| (i % 251) as u8).collect();
    let vector = libc::iovec { iov_base: data.as_ptr().cast_mut().cast(), iov_len: data.len() };
    // SAFETY: all zeroes is a valid msghdr.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = (&raw const vector).cast_mut();
    message.msg_iovlen = 1;
    let ring = ring(args).context("no io_uring here")?;
    if args.path == SendPath::UringSendZcFixed {
        // SAFETY: `data` lives until the end of this function, and the ring ends before it.
        unsafe { ring.submitter().register_buffers(&[vector]) }.context("the buffer cannot be registered")?;
    }
    let mut sender = Sender {
        args,
        ring,
        fd: types::Fd(stream.as_raw_fd()),
        data: &data,
        message: &message,
        sent,
        next: 0,
        failed: BTreeSet::new(),
        pending: BTreeSet::new(),
    };
    let mut left = args.calls;
    while left > 0 {
        let batch = left.min(u64::from(args.uring.batch.clamp(1, ENTRIES)));
        sender.batch(batch)?;
        left -= batch;
        if args.pause > 0 {
            std::thread::sleep(Duration::from_millis(args.pause));
        }
    }
    sender.finish()
}

fn ring(args: &send::Args) -> std::io::Result<IoUring> {
    let options = &args.uring;
    let few = args.memlock.is_some();
    let mut builder = IoUring::builder();
    builder.setup_cqsize(if few { FEW_COMPLETIONS } else { COMPLETIONS });
    if options.sqpoll {
        builder.setup_sqpoll(50);
    }
    if options.defer {
        builder.setup_single_issuer().setup_defer_taskrun();
    }
    builder.build(ENTRIES)
}

struct Sender<'a> {
    args: &'a send::Args,
    ring: IoUring,
    fd: types::Fd,
    data: &'a [u8],
    message: &'a libc::msghdr,
    sent: &'a mut Sent,
    /// Number of the next request.
    next: u64,
    /// Requests that failed and whose notification is still to come.
    failed: BTreeSet<u64>,
    /// Requests not answered yet.
    pending: BTreeSet<u64>,
}

impl Sender<'_> {
    /// Hands over so many requests and waits until all are answered.
    fn batch(&mut self, requests: u64) -> anyhow::Result<()> {
        for number in 0..requests {
            let more = if number + 1 < requests { libc::MSG_MORE } else { 0 };
            let entry = self.request(libc::MSG_NOSIGNAL | libc::MSG_WAITALL | more).user_data(self.next);
            self.pending.insert(self.next);
            self.next += 1;
            self.sent.calls += 1;
            // SAFETY: data and message outlive the ring.
            unsafe { self.ring.submission().push(&entry) }.context("the submission queue is full")?;
        }
        self.ring.submit()?;
        while !self.pending.is_empty() {
            self.wait(Duration::from_secs(20))?;
        }
        Ok(())
    }

    fn request(&self, flags: i32) -> squeue::Entry {
        let (at, len) = (self.data.as_ptr(), self.data.len() as u32);
        let usage = if self.args.uring.no_report { 0 } else { REPORT_USAGE };
        let entry = match self.args.path {
            SendPath::UringSendZc => {
                opcode::SendZc::new(self.fd, at, len).flags(flags).zc_flags(usage).build()
            }
            SendPath::UringSendZcFixed => {
                opcode::SendZc::new(self.fd, at, len).flags(flags).zc_flags(usage).buf_index(Some(0)).build()
            }
            SendPath::UringSendmsgZc => {
                opcode::SendMsgZc::new(self.fd, self.message).flags(flags as u32).ioprio(usage).build()
            }
            _ => opcode::Send::new(self.fd, at, len).flags(flags).build(),
        };
        if self.args.uring.workers { entry.flags(squeue::Flags::ASYNC) } else { entry }
    }

    /// Waits for at least one completion and takes all there are.
    fn wait(&mut self, most: Duration) -> anyhow::Result<()> {
        let time = types::Timespec::from(most);
        let args = types::SubmitArgs::new().timespec(&time);
        match self.ring.submitter().submit_with_args(1, &args) {
            Err(error) if error.raw_os_error() == Some(libc::EINTR) => {}
            Err(error) => bail!("no completion within {most:?}: {error}"),
            Ok(_) => {}
        }
        let completions: Vec<_> =
            self.ring.completion().map(|c| (c.user_data(), c.result(), c.flags())).collect();
        completions.into_iter().try_for_each(|(number, result, flags)| self.take(number, result, flags))
    }

    fn take(&mut self, number: u64, result: i32, flags: u32) -> anyhow::Result<()> {
        if cqueue::notif(flags) {
            self.notified(number, result & ZC_COPIED != 0);
            return Ok(());
        }
        self.pending.remove(&number);
        let notified = cqueue::more(flags);
        if let Ok(bytes) = u64::try_from(result) {
            self.sent.bytes += bytes;
            self.sent.zerocopy_sends += u64::from(notified);
            if bytes == self.data.len() as u64 {
                return Ok(());
            }
            bail!("the kernel accepted {bytes} of {} bytes", self.data.len());
        }
        if notified {
            self.failed.insert(number);
        }
        let errno = Errno::from_raw(-result);
        *self.sent.errors.entry(format!("{errno:?}")).or_default() += 1;
        if !self.args.no_retry {
            bail!("a request failed with {errno}");
        }
        Ok(())
    }

    fn notified(&mut self, number: u64, copied: bool) {
        self.sent.notifications += 1;
        if self.failed.remove(&number) {
            self.sent.failed_notifications += 1;
            self.sent.failed_told_copied += u64::from(copied);
        } else {
            self.sent.completions += 1;
            self.sent.told_copied += u64::from(copied);
        }
    }

    fn finish(&mut self) -> anyhow::Result<()> {
        let deadline = Instant::now() + Duration::from_secs(15);
        while (self.sent.completions < self.sent.zerocopy_sends || !self.failed.is_empty())
            && Instant::now() < deadline
        {
            self.wait(Duration::from_secs(15))?;
        }
        Ok(())
    }
}
