//! The receiving threads of a sink: started, woken when they must stop, and heard when they are done.

use std::collections::HashMap;
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::net::Shutdown;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use socket2::Socket;

use super::connection::{Order, Run, receive};
use super::result::Connection;

/// A receiving thread needs little: its buffers are on the heap.
const STACK: usize = 256 << 10;
/// Bytes of one receive while there are at most so many connections: a large receive costs fewer acknowledgements and
/// wake-ups per byte, and many connections must not take much memory.
const BUFFERS: [(usize, usize); 2] = [(8, 1 << 20), (64, 256 << 10)];
/// Bytes of one receive beyond that.
const LEAST: usize = 64 << 10;

/// The threads that receive.
pub(super) struct Crew {
    /// Sockets in use, by thread.
    open: HashMap<u64, Arc<Socket>>,
    next: u64,
    results: Sender<(u64, Connection)>,
    inbox: Receiver<(u64, Connection)>,
    bell: PipeReader,
    ringer: Arc<PipeWriter>,
}

impl Crew {
    pub(super) fn new() -> io::Result<Self> {
        let (bell, ringer) = io::pipe()?;
        let (results, inbox) = channel();
        Ok(Self { open: HashMap::new(), next: 0, results, inbox, bell, ringer: Arc::new(ringer) })
    }

    /// Readable when a thread is done.
    pub(super) fn bell(&self) -> &PipeReader {
        &self.bell
    }

    /// How many threads receive.
    pub(super) fn open(&self) -> usize {
        self.open.len()
    }

    /// Bytes of one receive when so many `more` threads start.
    pub(super) fn buffer(&self, more: usize) -> usize {
        let all = self.open() + more;
        BUFFERS.iter().find(|(most, _)| all <= *most).map_or(LEAST, |(_, bytes)| *bytes)
    }

    /// Receives from `socket` on a thread of its own.
    pub(super) fn start(
        &mut self,
        socket: Socket,
        peer: String,
        order: Order,
        run: &Arc<Run>,
    ) -> io::Result<()> {
        let (id, socket) = (self.next, Arc::new(socket));
        let (held, run, results) = (Arc::clone(&socket), Arc::clone(run), self.results.clone());
        let ringer = Arc::clone(&self.ringer);
        std::thread::Builder::new().stack_size(STACK).spawn(move || {
            let connection = receive(&held, peer, order, &run);
            drop(held);
            let _ = results.send((id, connection));
            let _ = (&*ringer).write_all(&[1]);
        })?;
        self.next += 1;
        self.open.insert(id, socket);
        Ok(())
    }

    /// Wakes every thread that waits for bytes: its connection is shut down.
    pub(super) fn hang_up(&self) {
        self.open.values().for_each(|socket| drop(socket.shutdown(Shutdown::Both)));
    }

    /// What threads that are done brought back.
    pub(super) fn collect(&mut self) -> Vec<Connection> {
        // One byte per result; reading more than one at a time only saves calls.
        let _ = self.bell.read(&mut [0; 256]);
        let done: Vec<_> = self.inbox.try_iter().collect();
        self.sign_off(done)
    }

    /// Waits for every thread.
    pub(super) fn wait_all(&mut self) -> Vec<Connection> {
        let mut done = Vec::new();
        while done.len() < self.open.len() {
            let Ok(one) = self.inbox.recv() else { break };
            done.push(one);
        }
        self.sign_off(done)
    }

    fn sign_off(&mut self, done: Vec<(u64, Connection)>) -> Vec<Connection> {
        done.into_iter()
            .map(|(id, connection)| {
                self.open.remove(&id);
                connection
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_connections_have_smaller_buffers() {
        let crew = Crew::new().unwrap();
        assert_eq!([1, 8, 9, 64, 65, 4096].map(|n| crew.buffer(n) >> 10), [1024, 1024, 256, 256, 64, 64]);
    }
}
