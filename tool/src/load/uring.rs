//! A ring of io_uring for one sending thread: requests in, completions out, and what this kernel can do of it.
#![allow(unsafe_code, reason = "requests and registrations point to memory that must outlive them")]

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::sync::OnceLock;
use std::time::Duration;

use io_uring::types::{Fd, SubmitArgs, Timespec};
use io_uring::{IoUring, cqueue, opcode, squeue};
use nix::sys::eventfd::{EfdFlags, EventFd};

/// `IORING_SEND_ZC_REPORT_USAGE`: the notification tells whether bytes were copied.
pub(super) const REPORT_USAGE: u16 = 1 << 3;
/// `IORING_NOTIF_USAGE_ZC_COPIED`: the sign bit of a notification's result.
const ZC_COPIED: i32 = i32::MIN;
/// `IORING_ENTER_GETEVENTS`: run what completions wait for.
const GETEVENTS: u32 = 1;
/// Largest piece of memory that can be registered as one buffer.
const REGISTER_MOST: usize = 1 << 30;
/// `user_data` of requests to cancel another one; sends are numbered from 0.
const CANCEL: u64 = u64::MAX;
/// How often a cancelled request is waited for, and how long each time.
const CANCEL_TRIES: u32 = 20;
const CANCEL_WAIT: Duration = Duration::from_millis(100);

/// One completion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Completion {
    /// A request was answered: bytes, or an errno below zero; `more` completions of it are to come.
    Answer { number: u64, result: i32, more: bool },
    /// The kernel is done with the memory of a zero-copy request; `copied` as it tells.
    Ended { number: u64, copied: bool },
}

/// A ring used by one thread, with room for one request and for all completions that can be outstanding.
pub(super) struct Ring {
    ring: IoUring,
    event: Option<EventFd>,
}

impl Ring {
    /// A ring for up to `depth` sends whose ends are still to come.
    ///
    /// # Errors
    /// io_uring is not there or not allowed; the text says which.
    pub(super) fn new(depth: usize) -> io::Result<Self> {
        const REQUESTS: u32 = 4;
        // An answer and an end each, and some to spare; a full queue would cost the kernel memory.
        let completions = u32::try_from(depth * 2 + 16).unwrap_or(u32::MAX).next_power_of_two();
        // One thread submits and asks for completions itself: the cheapest way, where the kernel has it.
        let lean = IoUring::builder()
            .setup_cqsize(completions)
            .setup_single_issuer()
            .setup_defer_taskrun()
            .build(REQUESTS);
        let ring = match lean {
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
                IoUring::builder().setup_cqsize(completions).build(REQUESTS)
            }
            other => other,
        };
        Ok(Self { ring: ring.map_err(|error| refusal(&error))?, event: None })
    }

    /// From now on [`Self::source`] becomes readable when something has come, also what the kernel only completes
    /// once it is looked for: polling the ring itself does not tell of that.
    ///
    /// # Errors
    /// Out of descriptors.
    pub(super) fn tell(&mut self) -> io::Result<()> {
        let event = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?;
        self.ring.submitter().register_eventfd(event.as_raw_fd())?;
        self.event = Some(event);
        Ok(())
    }

    /// The descriptor that tells, after [`Self::tell`]; the ring itself before. What it counts is never read: it is for
    /// those who wait for changes.
    pub(super) fn source(&self) -> BorrowedFd<'_> {
        match &self.event {
            Some(event) => event.as_fd(),
            // SAFETY: the ring owns its descriptor, and is borrowed as long.
            None => unsafe { BorrowedFd::borrow_raw(self.ring.as_raw_fd()) },
        }
    }

    /// Puts one request into the queue.
    ///
    /// # Safety
    /// The memory the request points to must live until it is answered, or until the ring is gone; what the kernel
    /// copies from it when it is submitted (headers, lists of parts) until [`Self::submit`] or [`Self::wait`].
    pub(super) unsafe fn push(&mut self, entry: &squeue::Entry) -> io::Result<()> {
        // SAFETY: passed on to the caller.
        unsafe { self.ring.submission().push(entry) }
            .map_err(|_| io::Error::other("the submission queue is full"))
    }

    /// Hands over what is in the queue. Answers that are there at once are there; ends are not looked for.
    pub(super) fn submit(&mut self) -> io::Result<()> {
        quiet(self.ring.submit())
    }

    /// Hands over what is in the queue and looks for completions, without waiting.
    pub(super) fn submit_and_look(&mut self) -> io::Result<()> {
        let requests = self.ring.submission().len() as u32;
        // SAFETY: no argument is given; what requests point to is passed on to the caller of `push`.
        quiet(unsafe { self.ring.submitter().enter::<libc::sigset_t>(requests, 0, GETEVENTS, None) })
    }

    /// Hands over what is in the queue and waits for a completion, at most `timeout`.
    pub(super) fn wait(&mut self, timeout: Duration) -> io::Result<()> {
        let time = Timespec::from(timeout);
        quiet(self.ring.submitter().submit_with_args(1, &SubmitArgs::new().timespec(&time)))
    }

    /// Looks for completions without waiting.
    pub(super) fn look(&mut self) -> io::Result<()> {
        // SAFETY: nothing is submitted and no argument is given.
        quiet(unsafe { self.ring.submitter().enter::<libc::sigset_t>(0, 0, GETEVENTS, None) })
    }

    /// Calls `each` for every completion that is there.
    pub(super) fn drain(&mut self, mut each: impl FnMut(Completion)) {
        for entry in self.ring.completion() {
            let (number, result, flags) = (entry.user_data(), entry.result(), entry.flags());
            if number == CANCEL {
                continue;
            }
            each(if cqueue::notif(flags) {
                Completion::Ended { number, copied: result & ZC_COPIED != 0 }
            } else {
                Completion::Answer { number, result, more: cqueue::more(flags) }
            });
        }
    }

    /// Ends a request that is not answered yet; `answered` takes the completions that come meanwhile and returns whether
    /// the answer was among them. Returns how many system calls that took.
    pub(super) fn cancel(
        &mut self,
        number: u64,
        mut answered: impl FnMut(&mut Ring) -> bool,
    ) -> io::Result<u64> {
        let entry = opcode::AsyncCancel::new(number).build().user_data(CANCEL);
        // SAFETY: the request points to no memory.
        unsafe { self.push(&entry) }?;
        for calls in 1..=CANCEL_TRIES {
            self.wait(CANCEL_WAIT)?;
            if answered(self) {
                return Ok(u64::from(calls));
            }
        }
        Err(io::Error::other("the kernel neither answered nor cancelled the last io_uring request"))
    }

    /// Registers all of `memory`, so that requests need not pin it; it is divided into pieces that begin at multiples of
    /// what is returned, a multiple of `stride`.
    ///
    /// # Safety
    /// `memory` must stay mapped as long as the ring lives.
    ///
    /// # Errors
    /// Too much memory to lock.
    pub(super) unsafe fn register(&mut self, memory: &[u8], stride: usize) -> io::Result<usize> {
        let piece = (REGISTER_MOST / stride).max(1) * stride;
        let pieces: Vec<libc::iovec> = memory
            .chunks(piece)
            .map(|part| libc::iovec { iov_base: part.as_ptr().cast_mut().cast(), iov_len: part.len() })
            .collect();
        // SAFETY: the pieces lie in `memory`, which the caller keeps.
        unsafe { self.ring.submitter().register_buffers(&pieces) }.map_err(|error| {
            let mib = memory.len().div_ceil(1 << 20);
            let text = format!(
                "cannot register {mib} MiB of buffers with io_uring: {error}; raise RLIMIT_MEMLOCK (ulimit -l) or use \
                 fewer or smaller buffers"
            );
            io::Error::new(error.kind(), text)
        })?;
        Ok(piece)
    }

    /// Registers a ring of provided buffers as group 0, in the place of the one before.
    ///
    /// # Safety
    /// `entries` entries at `address` must stay mapped as long as the ring lives.
    pub(super) unsafe fn register_provided(&mut self, address: u64, entries: u16) -> io::Result<()> {
        let _ = self.ring.submitter().unregister_buf_ring(0);
        // SAFETY: the caller keeps the memory.
        unsafe { self.ring.submitter().register_buf_ring_with_flags(address, entries, 0, 0) }
    }
}

/// A timeout and a signal are no failures of a wait: there is just nothing new.
fn quiet(result: io::Result<usize>) -> io::Result<()> {
    match result {
        Err(error) if !matches!(error.raw_os_error(), Some(libc::ETIME | libc::EINTR)) => Err(error),
        _ => Ok(()),
    }
}

/// Why there is no ring.
fn refusal(error: &io::Error) -> io::Error {
    let text = match error.raw_os_error() {
        Some(libc::ENOSYS) => "this kernel has no io_uring".into(),
        Some(libc::EPERM | libc::EACCES) => {
            "io_uring is not allowed here: see kernel.io_uring_disabled, or the seccomp filter of the container".into()
        }
        Some(libc::ENOMEM) => format!("no memory for an io_uring: {error}; raise RLIMIT_MEMLOCK (ulimit -l)"),
        Some(libc::EMFILE | libc::ENFILE) => {
            format!("no descriptor for an io_uring: {error}; raise the limit (ulimit -n) or lower --streams")
        }
        _ => format!("cannot set up an io_uring: {error}"),
    };
    io::Error::new(error.kind(), text)
}

/// The descriptor of a socket as requests name it.
pub(super) fn fd(socket: BorrowedFd<'_>) -> Fd {
    Fd(socket.as_raw_fd())
}

/// Whether there are plain sends.
pub(super) fn has_send() -> Result<(), String> {
    has_request(|fd, bytes| opcode::Send::new(fd, bytes.as_ptr(), 1).flags(libc::MSG_NOSIGNAL).build())
}

/// Whether there are zero-copy sends that tell of copies.
pub(super) fn has_send_zc() -> Result<(), String> {
    static FOUND: OnceLock<Result<(), String>> = OnceLock::new();
    let find = || {
        has_request(|fd, bytes| {
            opcode::SendZc::new(fd, bytes.as_ptr(), 1)
                .flags(libc::MSG_NOSIGNAL)
                .zc_flags(REPORT_USAGE)
                .build()
        })
    };
    FOUND.get_or_init(find).clone()
}

/// Whether there are zero-copy sends of several parts that tell of copies.
pub(super) fn has_sendmsg_zc() -> Result<(), String> {
    static FOUND: OnceLock<Result<(), String>> = OnceLock::new();
    let find = || {
        // SAFETY: all zero is a valid message without parts.
        let message: libc::msghdr = unsafe { std::mem::zeroed() };
        has_request(|fd, _| {
            opcode::SendMsgZc::new(fd, &raw const message)
                .flags(libc::MSG_NOSIGNAL as u32)
                .ioprio(REPORT_USAGE)
                .build()
        })
    };
    FOUND.get_or_init(find).clone()
}

/// Whether one request can send several provided buffers.
pub(super) fn has_bundle() -> Result<(), String> {
    let ring = Ring::new(1).map_err(|error| error.to_string())?;
    if ring.ring.params().is_feature_recvsend_bundle() {
        return Ok(());
    }
    Err("io_uring of this kernel cannot send bundles of buffers (IORING_RECVSEND_BUNDLE, Linux 6.10 has it)"
        .into())
}

/// Whether the kernel knows a request: it refuses one that it does not know, or flags that it does not know, before it
/// finds out that there is no such socket.
fn has_request(make: impl FnOnce(Fd, &[u8]) -> squeue::Entry) -> Result<(), String> {
    const NOWHERE: Fd = Fd(-1);
    match -try_request(|byte| make(NOWHERE, byte)).map_err(|error| error.to_string())? {
        libc::EBADF => Ok(()),
        libc::EINVAL | libc::EOPNOTSUPP => {
            Err("io_uring of this kernel does not have this request, or cannot tell of copies with it \
                 (IORING_SEND_ZC_REPORT_USAGE, Linux 6.2 has it)"
                .into())
        }
        errno => Err(format!("io_uring refuses this request: {}", io::Error::from_raw_os_error(errno))),
    }
}

fn try_request(make: impl FnOnce(&[u8]) -> squeue::Entry) -> io::Result<i32> {
    let mut ring = Ring::new(1)?;
    let byte = [0];
    // SAFETY: `byte` lives until the request is answered or, were it not, is never sent anywhere; a message is made by
    // the caller and lives longer than this call.
    unsafe { ring.push(&make(&byte).user_data(0)) }?;
    ring.wait(Duration::from_secs(1))?;
    let mut answer = None;
    ring.drain(|completion| {
        if let Completion::Answer { result, .. } = completion {
            answer = Some(result);
        }
    });
    answer.ok_or_else(|| io::Error::other("io_uring did not answer a request within a second"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_request_is_found_out_and_a_known_one_is_not_refused() {
        let Ok(mut ring) = Ring::new(1) else { return };
        assert!(has_send().is_ok());
        // A flag no kernel knows.
        let refused =
            has_request(|fd, bytes| opcode::SendZc::new(fd, bytes.as_ptr(), 1).zc_flags(1 << 14).build());
        assert!(refused.unwrap_err().contains("does not have this request"));
        ring.look().unwrap();
        ring.drain(|completion| panic!("nothing was asked for: {completion:?}"));
    }

    #[test]
    fn refusals_are_sentences() {
        for (errno, part) in [
            (libc::EPERM, "io_uring_disabled"),
            (libc::ENOSYS, "no io_uring"),
            (libc::EMFILE, "ulimit -n"),
            (7, "cannot set up"),
        ] {
            let error = refusal(&io::Error::from_raw_os_error(errno)).to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
