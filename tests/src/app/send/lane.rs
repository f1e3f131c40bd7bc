//! One way of sending: where its bytes come from, one system call of it, and its counters.

use std::io::{IoSlice, Seek, SeekFrom, Write};
use std::net::TcpStream;
use std::os::fd::{AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, SpliceFFlags, fcntl, splice, vmsplice};
use nix::sys::socket::{MsgFlags, send, sendmsg};

use super::Args;
use crate::app::sys;
use crate::truth::{SendPath, Sent};

const PAGE: usize = 4096;

/// One way of sending, its source and its counters.
pub(super) struct Lane {
    pub(super) path: SendPath,
    pub(super) source: Source,
    pub(super) flags: MsgFlags,
    gift: bool,
    pub(super) sent: Sent,
}

impl Lane {
    pub(super) fn new(path: SendPath, args: &Args) -> anyhow::Result<Self> {
        let source = Source::new(path, args)?;
        Ok(Lane { path, source, flags: flags(path, args), gift: args.gift, sent: Sent::new(path) })
    }

    pub(super) fn send_some(&self, stream: &TcpStream, offset: usize, left: usize) -> nix::Result<usize> {
        let socket = stream.as_raw_fd();
        match &self.source {
            Source::Memory(data) => send(socket, data.get(offset..).unwrap_or_default(), self.flags),
            Source::Huge(data) => send(socket, data.get(offset..).unwrap_or_default(), self.flags),
            Source::Scattered(data) => {
                let bytes: Vec<_> = data
                    .chunks(PAGE)
                    .skip(1)
                    .take(left)
                    .filter_map(|page| page.get(..1))
                    .map(IoSlice::new)
                    .collect();
                sendmsg::<()>(socket, &bytes, &[], self.flags, None)
            }
            Source::File(file) => {
                let mut at = offset as libc::off_t;
                nix::sys::sendfile::sendfile(stream, file, Some(&mut at), left)
            }
            Source::Pipe { file, read, write } => {
                let mut at = offset as libc::loff_t;
                let filled = splice(file, Some(&mut at), write, None, left, SpliceFFlags::empty())?;
                drain(read, stream, filled)
            }
            Source::Memories { data, read, write } => {
                let gift = if self.gift { SpliceFFlags::SPLICE_F_GIFT } else { SpliceFFlags::empty() };
                let memory = IoSlice::new(data.get(offset..).unwrap_or_default());
                let filled = vmsplice(write, &[memory], gift)?;
                drain(read, stream, filled)
            }
        }
    }

    pub(super) fn failed(&mut self, errno: Errno) {
        *self.sent.errors.entry(format!("{errno:?}")).or_default() += 1;
    }
}

/// Where the bytes come from.
pub(super) enum Source {
    Memory(Vec<u8>),
    /// Huge pages.
    Huge(&'static [u8]),
    /// One byte of each page.
    Scattered(Vec<u8>),
    File(std::fs::File),
    Pipe {
        file: std::fs::File,
        read: OwnedFd,
        write: OwnedFd,
    },
    Memories {
        data: Vec<u8>,
        read: OwnedFd,
        write: OwnedFd,
    },
}

impl Source {
    fn new(path: SendPath, args: &Args) -> anyhow::Result<Self> {
        let size = args.size;
        let data: Vec<u8> = (0..size).map(|i| (i % 251) as u8).collect();
        Ok(match path {
            SendPath::Copy | SendPath::MsgZerocopy if args.scattered => {
                Source::Scattered(vec![1; (size + 1) * PAGE])
            }
            SendPath::Copy | SendPath::MsgZerocopy if args.huge => {
                let memory = sys::huge_memory(size)?;
                memory.copy_from_slice(&data);
                Source::Huge(memory)
            }
            SendPath::Sendfile | SendPath::KtlsSendfile => Source::File(memory_file(&data)?),
            SendPath::Splice => {
                let (read, write) = wide_pipe(size)?;
                Source::Pipe { file: memory_file(&data)?, read, write }
            }
            SendPath::Vmsplice => {
                let (read, write) = wide_pipe(size)?;
                Source::Memories { data, read, write }
            }
            _ => Source::Memory(data),
        })
    }
}

/// Flags of the calls of one lane.
fn flags(path: SendPath, args: &Args) -> MsgFlags {
    let zerocopy = path == SendPath::MsgZerocopy || args.ask_zerocopy;
    let wanted = [
        (true, libc::MSG_NOSIGNAL),
        (zerocopy, libc::MSG_ZEROCOPY),
        (args.more, libc::MSG_MORE),
        (args.nonblocking, libc::MSG_DONTWAIT),
    ];
    let bits = wanted.into_iter().filter(|(on, _)| *on).fold(0, |all, (_, bit)| all | bit);
    MsgFlags::from_bits_retain(bits)
}

/// A pipe that takes everything of one call, or filling it would wait for a reader that is this very thread.
fn wide_pipe(size: usize) -> anyhow::Result<(OwnedFd, OwnedFd)> {
    let (read, write) = nix::unistd::pipe()?;
    fcntl(&write, FcntlArg::F_SETPIPE_SZ(i32::try_from(size)?.max(4096) * 2))?;
    Ok((read, write))
}

fn memory_file(data: &[u8]) -> anyhow::Result<std::fs::File> {
    let fd = nix::sys::memfd::memfd_create(c"zcscope-tests", nix::sys::memfd::MFdFlags::MFD_CLOEXEC)?;
    let mut file = std::fs::File::from(fd);
    file.write_all(data)?;
    file.seek(SeekFrom::Start(0))?;
    Ok(file)
}

/// Moves `filled` bytes from the pipe to the socket.
fn drain(pipe: &OwnedFd, stream: &TcpStream, filled: usize) -> nix::Result<usize> {
    let mut drained = 0;
    while drained < filled {
        drained += splice(pipe, None, stream, None, filled - drained, SpliceFFlags::empty())?;
    }
    Ok(drained)
}
