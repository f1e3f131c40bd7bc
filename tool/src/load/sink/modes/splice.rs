//! Mode `splice`: socket to pipe, pipe to `/dev/null`. With a check, the pipe is read instead of thrown away.

use std::fs::{File, OpenOptions};
use std::io::{self, PipeReader, PipeWriter, Read};
use std::os::fd::AsFd;

use nix::fcntl::{FcntlArg, SpliceFFlags, fcntl, splice};
use socket2::Socket;

use super::{Receive, Tally, WAIT, Want};

/// Size asked for; the default of 64 KiB costs a tenth and more of the rate. A host may allow less.
const PIPE: i32 = 1 << 20;

enum Out {
    Null(File),
    Check(Vec<u8>),
}

struct Splice {
    pipe: PipeReader,
    into: PipeWriter,
    size: usize,
    out: Out,
}

pub(super) fn open(socket: &Socket, want: Want) -> io::Result<Box<dyn Receive>> {
    socket.set_read_timeout(Some(WAIT))?;
    let (pipe, into) = io::pipe()?;
    let _ = fcntl(&into, FcntlArg::F_SETPIPE_SZ(PIPE));
    let size = usize::try_from(fcntl(&into, FcntlArg::F_GETPIPE_SZ)?).unwrap_or(1 << 16);
    let out = if want.verify {
        Out::Check(vec![0; want.buffer])
    } else {
        Out::Null(OpenOptions::new().write(true).open("/dev/null")?)
    };
    Ok(Box::new(Splice { pipe, into, size, out }))
}

impl Receive for Splice {
    fn receive(&mut self, socket: &Socket, tally: &mut Tally) -> io::Result<usize> {
        let taken = splice(socket.as_fd(), None, &self.into, None, self.size, SpliceFFlags::SPLICE_F_MOVE)?;
        tally.calls += u64::from(taken > 0);
        let mut left = taken;
        while left > 0 {
            left -= match &mut self.out {
                Out::Null(null) => splice(&self.pipe, None, &*null, None, left, SpliceFFlags::SPLICE_F_MOVE)?,
                Out::Check(buffer) => {
                    let n = self.pipe.read(buffer)?;
                    tally.see(&buffer[..n]);
                    n
                }
            };
        }
        Ok(taken)
    }
}
