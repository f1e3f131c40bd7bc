//! Takes ended sockets out of the ring, also between two readings: thousands that end at once would fill it before the
//! next one. The kernel side wakes the thread when the ring begins to fill.

use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use anyhow::{Context, Result};
use aya::maps::{MapData, RingBuf};
use nix::poll::{PollFd, PollFlags, poll};
use zcscope_common::{RecvEntry, SockEntry, SpillEntry};

use super::raw;

/// The thread looks whether it is to end this often, ms.
const LOOK_MS: u16 = 1_000;

/// A record of the ring.
pub(super) enum Record {
    Socket(Box<SockEntry>),
    Spill(Box<SpillEntry>),
    Receiver(Box<RecvEntry>),
}

struct Ring {
    ring: RingBuf<MapData>,
    records: Vec<Record>,
    unreadable: u64,
}

impl Ring {
    fn drain(&mut self) {
        while let Some(item) = self.ring.next() {
            if let Some(entry) = raw::value::<SockEntry>(&item) {
                self.records.push(Record::Socket(Box::new(entry)));
            } else if let Some(spill) = raw::value::<SpillEntry>(&item) {
                self.records.push(Record::Spill(Box::new(spill)));
            } else if let Some(entry) = raw::value::<RecvEntry>(&item) {
                self.records.push(Record::Receiver(Box::new(entry)));
            } else {
                self.unreadable += 1;
            }
        }
    }
}

/// The ring, and the thread that empties it; the thread ends with this.
pub(super) struct Ended {
    ring: Arc<Mutex<Ring>>,
    stop: Arc<AtomicBool>,
}

impl Ended {
    /// Starts emptying the ring.
    ///
    /// # Errors
    /// No thread can be started.
    pub(super) fn new(ring: RingBuf<MapData>) -> Result<Ended> {
        // Waited on without the lock.
        let filling = ring.as_fd().try_clone_to_owned().context("sharing the ring of ended sockets")?;
        let ring = Arc::new(Mutex::new(Ring { ring, records: Vec::new(), unreadable: 0 }));
        let stop = Arc::new(AtomicBool::new(false));
        let (shared, stopped) = (Arc::clone(&ring), Arc::clone(&stop));
        thread::Builder::new()
            .name("ended".into())
            .spawn(move || {
                while !stopped.load(Ordering::Relaxed) {
                    lock(&shared).drain();
                    let mut wait = [PollFd::new(filling.as_fd(), PollFlags::POLLIN)];
                    // Interrupted, or woken for nothing: it looks again.
                    let _ = poll(&mut wait, LOOK_MS);
                }
            })
            .context("starting the thread that reads ended sockets")?;
        Ok(Ended { ring, stop })
    }

    /// Everything in the ring by now, and how many records were not understood so far.
    pub(super) fn take(&self) -> (Vec<Record>, u64) {
        let mut ring = lock(&self.ring);
        ring.drain();
        (std::mem::take(&mut ring.records), ring.unreadable)
    }
}

impl Drop for Ended {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn lock(ring: &Mutex<Ring>) -> MutexGuard<'_, Ring> {
    // Whatever a panicking holder took out is only missing.
    ring.lock().unwrap_or_else(PoisonError::into_inner)
}
