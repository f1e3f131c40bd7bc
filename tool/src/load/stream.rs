//! One connection, as the thread that serves it sees it, and the loop of a thread that serves no other.

use std::io;
use std::time::Duration;

use socket2::Socket;

use super::paths::{PathEntry, SendPath, Setup, Step, Tally};
use super::shared::{Live, Shared, Watch};

/// Longest sleep before looking at the stop flag again.
pub(super) const WAIT: Duration = Duration::from_millis(100);

/// What one stream has to do.
pub(super) struct Job<'a> {
    pub(super) entry: &'static PathEntry,
    pub(super) setup: &'a Setup,
    pub(super) socket: Socket,
    /// This stream, of how many.
    pub(super) index: usize,
    pub(super) streams: usize,
    pub(super) shared: &'a Shared,
    pub(super) live: &'a Live,
}

impl Job<'_> {
    /// Sets its path up, in the thread that will send.
    pub(super) fn open(&self) -> io::Result<Box<dyn SendPath>> {
        (self.entry.open)(self.setup, &self.socket)
    }

    /// Bytes it sends, when all together send `total`.
    pub(super) fn quota(&self, total: Option<u64>) -> u64 {
        total.map_or(u64::MAX, |total| quota(total, self.index, self.streams))
    }

    /// The kernel took `n` of the `len` bytes that were offered.
    pub(super) fn accepted(&self, n: usize, len: usize, tally: &mut Tally) {
        tally.calls += 1;
        tally.partial += u64::from(n < len);
        tally.bytes += n as u64;
        self.live.bytes.store(tally.bytes, std::sync::atomic::Ordering::Relaxed);
    }

    pub(super) fn local_address(&self) -> String {
        let address = self.socket.local_addr().ok().and_then(|address| address.as_socket());
        address.map(|address| address.to_string()).unwrap_or_default()
    }
}

/// The bytes stream `index` of `streams` sends, so that all together send `total`.
fn quota(total: u64, index: usize, streams: usize) -> u64 {
    let (index, streams) = (index as u64, streams as u64);
    total / streams + u64::from(index < total % streams)
}

/// The hot loop: no allocation, no lock, no clock of its own. True when the whole quota was sent.
pub(super) fn drive(
    job: &Job<'_>,
    path: &mut dyn SendPath,
    tally: &mut Tally,
    quota: u64,
) -> io::Result<bool> {
    let mut left = quota;
    let mut watch = Watch::new(job.shared);
    while left > 0 && !watch.stopped(|| job.live.publish(tally)) {
        let len = left.min(job.setup.size as u64) as usize;
        match path.send(&job.socket, len, tally) {
            Ok(Step::Accepted(n)) => {
                job.accepted(n, len, tally);
                left -= n as u64;
            }
            Ok(Step::Blocked) => path.wait(&job.socket, WAIT, tally)?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(left == 0)
}

/// Ends what was begun when sending stopped.
pub(super) fn finish(job: &Job<'_>, path: &mut dyn SendPath, tally: &mut Tally) -> io::Result<()> {
    let n = path.finish(&job.socket, tally)? as u64;
    tally.calls += u64::from(n > 0);
    tally.bytes += n;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotas_add_up() {
        for (total, streams) in [(0, 1), (1, 4), (10, 3), (1 << 40, 7)] {
            let sum: u64 = (0..streams).map(|index| quota(total, index, streams)).sum();
            assert_eq!(sum, total);
        }
    }
}
