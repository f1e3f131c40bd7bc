//! The last minutes in memory: the blocks of a recording without a file, within a limit of bytes. A thread packs
//! snapshots one by one, because ten thousand busy sockets take megabytes in each as long as they are not packed. When
//! all together take too much, the past grows coarser, not shorter.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use super::block::{self, Builder, Header};
use super::error::Error;
use crate::host::cpu::thread_ns;
use crate::model::snapshot::Snapshot;
use crate::timeline::{Point, SPAN_NS};

/// Nearest two snapshots may stand, ns. A tick that comes a little early still counts as a second.
const SPACING_NS: u64 = 950_000_000;
/// When packing one takes a CPU longer than this part of the time between two, as with ten thousand busy sockets, fewer
/// are kept,
const COST_PARTS: u64 = 400;
/// but at least one in this time.
const MAX_SPACING_NS: u64 = 10_000_000_000;
/// Snapshots in a block at most,
const MAX_FRAMES: usize = 8;
/// and bytes before compression of what is new in those after the first: a block is unpacked as a whole. The first one has
/// every socket; idle ones are not in the others, so it is not to be written again because it was large.
const MAX_NEW_BYTES: usize = 2 << 20;
/// Snapshots that may wait; hardly ever more than one, because packing takes a small part of the time between two,
const MAX_WAITING: usize = 32;
/// and sockets in them all together: a thousand that moved are nearly a megabyte. When ten thousand end in every second
/// of a busy host, a second less of the past is better than a hundred megabytes.
const MAX_WAITING_SOCKETS: usize = 40_000;

/// Snapshots of the last minutes, by time in ns since tracing began.
pub struct Memory {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    /// The block read last, by its id.
    held: Option<(u64, Vec<Snapshot>)>,
}

struct Shared {
    /// The block that is being filled. Whoever needs both locks takes this one first.
    open: Mutex<Option<Builder>>,
    kept: Mutex<Kept>,
    wake: Condvar,
    spacing_ns: AtomicU64,
    limit: usize,
}

/// What is kept, oldest first.
#[derive(Default)]
struct Kept {
    blocks: VecDeque<Arc<Packed>>,
    /// Times of what is in the open block, ns; newer than all blocks.
    open_ns: Vec<u64>,
    /// Not packed yet; newer than all that is.
    waiting: VecDeque<Snapshot>,
    stop: bool,
}

/// A block.
struct Packed {
    id: u64,
    header: Header,
    bytes: Vec<u8>,
    times_ns: Vec<u64>,
    /// How often it was thinned.
    coarseness: u32,
}

impl Memory {
    /// Room for `limit` bytes of packed snapshots.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        let shared = Arc::new(Shared {
            open: Mutex::new(None),
            kept: Mutex::default(),
            wake: Condvar::new(),
            spacing_ns: AtomicU64::new(SPACING_NS),
            limit,
        });
        let packer = Packer { shared: Arc::clone(&shared), next_id: 0 };
        let thread = std::thread::Builder::new().name("past".into()).spawn(move || packer.run());
        // Without a thread only what may wait is kept.
        Self { shared, thread: thread.ok(), held: None }
    }

    /// Keeps this snapshot, unless one nearly as new is kept already. Never waits for the packing.
    pub fn push(&mut self, snapshot: &Snapshot) {
        let spacing = self.shared.spacing_ns.load(Ordering::Relaxed);
        let mut kept = self.shared.lock();
        let newest = kept.times().next_back();
        if newest.is_some_and(|newest| snapshot.duration_ns < newest.saturating_add(spacing)) {
            return;
        }
        // Where the thread cannot follow, those before the newest go.
        kept.waiting.truncate(most_waiting(snapshot.sockets.len()) - 1);
        kept.waiting.push_back(snapshot.clone());
        self.shared.wake.notify_one();
    }

    /// Times of the oldest and the newest snapshot.
    #[must_use]
    pub fn range_ns(&self) -> Option<(u64, u64)> {
        let kept = self.shared.lock();
        Some((kept.times().next()?, kept.times().next_back()?))
    }

    /// Time of the first snapshot after `ns`.
    #[must_use]
    pub fn after(&self, ns: u64) -> Option<u64> {
        self.shared.lock().times().find(|at| *at > ns)
    }

    /// Time of the last snapshot before `ns`.
    #[must_use]
    pub fn before(&self, ns: u64) -> Option<u64> {
        self.shared.lock().times().rfind(|at| *at < ns)
    }

    /// The newest snapshot at or before `ns`. May wait until one snapshot is packed.
    #[must_use]
    pub fn at(&mut self, ns: u64) -> Option<Snapshot> {
        let block = {
            let mut open = lock(&self.shared.open);
            let kept = self.shared.lock();
            let behind = kept.waiting.partition_point(|snapshot| snapshot.duration_ns <= ns);
            if let Some(at) = behind.checked_sub(1) {
                return kept.waiting.get(at).cloned();
            }
            if kept.open_ns.first().is_some_and(|first| *first <= ns) {
                return nearest(&open.as_mut()?.so_far().ok()?, ns);
            }
            let behind = kept.blocks.partition_point(|block| block.header.first_ns <= ns);
            Arc::clone(kept.blocks.get(behind.checked_sub(1)?)?)
        };
        if self.held.as_ref().is_none_or(|(id, _)| *id != block.id) {
            self.held = Some((block.id, block.snapshots()));
        }
        nearest(&self.held.as_ref()?.1, ns)
    }

    /// Snapshots that wait to be packed.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.shared.lock().waiting.len()
    }

    /// Bytes of packed snapshots.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.shared.lock().bytes()
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        self.shared.lock().stop = true;
        self.shared.wake.notify_one();
        if let Some(thread) = self.thread.take() {
            // It has nothing to say.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Kept> {
        lock(&self.kept)
    }
}

/// What a lock guards here is whole at every unlock, whoever failed meanwhile.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How many snapshots of so many sockets may wait.
fn most_waiting(sockets: usize) -> usize {
    MAX_WAITING_SOCKETS.checked_div(sockets).unwrap_or(MAX_WAITING).clamp(2, MAX_WAITING)
}

/// The last of these, which stand in the order of time, at or before `ns`.
fn nearest(snapshots: &[Snapshot], ns: u64) -> Option<Snapshot> {
    let behind = snapshots.partition_point(|snapshot| snapshot.duration_ns <= ns);
    snapshots.get(behind.checked_sub(1)?).cloned()
}

impl Kept {
    fn times(&self) -> impl DoubleEndedIterator<Item = u64> {
        let packed = self.blocks.iter().flat_map(|block| block.times_ns.iter().copied());
        let waiting = self.waiting.iter().map(|snapshot| snapshot.duration_ns);
        packed.chain(self.open_ns.iter().copied()).chain(waiting)
    }

    fn bytes(&self) -> usize {
        self.blocks.iter().map(|block| block.bytes.len()).sum()
    }

    /// Forgets what is older than a live screen can show.
    fn forget_old(&mut self) {
        let newest = self.times().next_back().unwrap_or(0);
        let oldest = newest.saturating_sub(SPAN_NS);
        while self.blocks.front().is_some_and(|block| block.header.last_ns < oldest) {
            self.blocks.pop_front();
        }
    }

    /// The two neighbours to become one: the oldest of the finest.
    fn pair(&self) -> Option<usize> {
        let pairs = (1..self.blocks.len()).map(|i| (i - 1, &self.blocks[i - 1], &self.blocks[i]));
        let equal = pairs.filter(|(_, a, b)| a.coarseness == b.coarseness);
        let finest = equal.min_by_key(|(i, a, _)| (a.coarseness, *i)).map(|(i, ..)| i);
        finest.or_else(|| (self.blocks.len() > 1).then_some(0))
    }
}

impl Packed {
    fn of(id: u64, coarseness: u32, builder: Builder) -> Result<Self, Error> {
        let times_ns = builder.times_ns().collect();
        let bytes = builder.finish(0)?;
        let header = Header::parse(&bytes).ok_or(Error::Damaged("its header"))?;
        Ok(Self { id, header, bytes, times_ns, coarseness })
    }

    fn snapshots(&self) -> Vec<Snapshot> {
        let frames = usize::from(self.header.header_len) + self.header.points_len as usize;
        let read = block::frames(&self.header, self.bytes.get(frames..).unwrap_or_default());
        read.map_or_else(|_| Vec::new(), |(snapshots, _)| snapshots)
    }
}

/// The thread that packs.
struct Packer {
    shared: Arc<Shared>,
    next_id: u64,
}

impl Packer {
    fn run(mut self) {
        while let Some(snapshot) = self.next() {
            let before = thread_ns();
            self.take(&snapshot);
            drop(snapshot);
            self.thin();
            let cost = thread_ns().saturating_sub(before);
            let spacing = cost.saturating_mul(COST_PARTS).clamp(SPACING_NS, MAX_SPACING_NS);
            self.shared.spacing_ns.store(spacing, Ordering::Relaxed);
        }
    }

    /// The oldest waiting snapshot, which stays until it is packed; `None` at the end.
    fn next(&self) -> Option<Snapshot> {
        let kept = self.shared.lock();
        let idle = |kept: &mut Kept| !kept.stop && kept.waiting.is_empty();
        let kept = self.shared.wake.wait_while(kept, idle).unwrap_or_else(PoisonError::into_inner);
        if kept.stop { None } else { kept.waiting.front().cloned() }
    }

    /// Puts it into the open block, and closes that when it is full.
    fn take(&mut self, snapshot: &Snapshot) {
        let shared = Arc::clone(&self.shared);
        let mut open = lock(&shared.open);
        let mut builder = open.take().or_else(|| Builder::new().ok());
        // One that cannot be written is left out, with what its block held.
        builder = builder.and_then(|mut builder| push(&mut builder, snapshot).is_ok().then_some(builder));
        let full =
            |builder: &Builder| builder.len() >= MAX_FRAMES || builder.raw_bytes_of_news() >= MAX_NEW_BYTES;
        let closed = builder.take_if(|builder| full(builder)).and_then(|full| self.pack(0, full));
        let mut kept = shared.lock();
        kept.waiting.pop_front();
        kept.open_ns.clear();
        kept.open_ns.extend(builder.iter().flat_map(Builder::times_ns));
        kept.blocks.extend(closed);
        kept.forget_old();
        *open = builder;
    }

    fn pack(&mut self, coarseness: u32, builder: Builder) -> Option<Arc<Packed>> {
        self.next_id += 1;
        Packed::of(self.next_id, coarseness, builder).ok().map(Arc::new)
    }

    /// Makes one block of two, with every second snapshot of them, until all fit.
    fn thin(&mut self) {
        loop {
            let kept = self.shared.lock();
            if kept.bytes() <= self.shared.limit {
                return;
            }
            let Some(at) = kept.pair() else { return };
            let pair = [Arc::clone(&kept.blocks[at]), Arc::clone(&kept.blocks[at + 1])];
            drop(kept);
            let all = pair.iter().flat_map(|block| block.snapshots());
            let coarseness = pair[0].coarseness.max(pair[1].coarseness) + 1;
            let packed = together(all.step_by(2)).ok().and_then(|half| self.pack(coarseness, half));
            let mut kept = self.shared.lock();
            kept.blocks.drain(at..at + 2);
            if let Some(packed) = packed {
                kept.blocks.insert(at, packed);
            }
        }
    }
}

/// A block of these.
fn together(snapshots: impl Iterator<Item = Snapshot>) -> Result<Builder, Error> {
    let mut builder = Builder::new()?;
    for snapshot in snapshots {
        push(&mut builder, &snapshot)?;
    }
    Ok(builder)
}

/// Adds a snapshot alone: what moved before it is kept elsewhere.
fn push(builder: &mut Builder, snapshot: &Snapshot) -> Result<(), Error> {
    builder.push(snapshot, Point { at_ns: snapshot.duration_ns, ..Point::default() })
}

#[test]
fn fewer_wait_the_larger_they_are() {
    assert_eq!([0, 100, 2_000, 10_000, 1_000_000].map(most_waiting), [32, 32, 20, 4, 2]);
}
