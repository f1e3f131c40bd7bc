//! Packet taps: AF_PACKET sockets and the processes that hold them, in every network namespace that has a process.
//! A tap on the sending side makes the kernel copy every zero-copy send of that device for it.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};
use std::{fs, io};

use serde::{Deserialize, Serialize};

/// `ETH_P_ALL`: the only protocol that makes a socket see what is sent.
const ETH_P_ALL: u16 = 3;

/// A search for holders is not repeated, as long as nothing calls for it, before so many times its own length: at most
/// half a percent of a CPU.
const REST: u32 = 200;

/// An AF_PACKET socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tap {
    /// Inode number of its network namespace.
    pub netns: u64,
    /// Device it is bound to by index; `None` listens on all devices of the namespace.
    pub device: Option<u32>,
    /// Link protocol it asks for; 0 is none.
    pub protocol: u16,
    /// It is attached and receives.
    pub running: bool,
    /// Processes that hold it; empty when this process may not see them.
    pub holders: Vec<Holder>,
}

/// A process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Process id.
    pub pid: u32,
    /// Its name.
    pub comm: String,
}

impl Tap {
    /// Whether the kernel copies zero-copy sends for it. A socket with `PACKET_IGNORE_OUTGOING` is reported too:
    /// the kernel shows that option nowhere.
    #[must_use]
    pub fn sees_sent(&self) -> bool {
        self.running && self.protocol == ETH_P_ALL
    }
}

/// One line of `/proc/net/packet`.
#[derive(Debug, PartialEq, Eq)]
struct Row {
    protocol: u16,
    device: Option<u32>,
    running: bool,
    inode: u64,
}

/// Lists the taps this process can see: all of them as root.
///
/// # Errors
/// `/proc` cannot be read.
pub fn taps() -> io::Result<Vec<Tap>> {
    TapReader::default().read()
}

/// Reads the taps again and again. Who holds them is remembered: to find that out, all open files of all processes have
/// to be looked at, and a server has tens of thousands.
#[derive(Debug, Default)]
pub struct TapReader {
    /// Of each socket, by inode.
    holders: BTreeMap<u64, Vec<Holder>>,
    /// When all files were looked at last, and how long that took.
    searched: Option<(Instant, Duration)>,
}

impl TapReader {
    /// Lists the taps, as [`taps`] does. A holder that got its descriptor from another one may be named late: by up to
    /// 200 times as long as the search for holders takes.
    ///
    /// # Errors
    /// `/proc` cannot be read.
    pub fn read(&mut self) -> io::Result<Vec<Tap>> {
        let pids = processes()?;
        let rows = rows(&pids);
        self.holders.retain(|inode, _| rows.contains_key(inode));
        if !self.knows_all(&rows) {
            let begin = Instant::now();
            self.holders = holders(&pids, &rows);
            self.searched = Some((begin, begin.elapsed()));
        }
        let holders = |inode| self.holders.get(&inode).cloned().unwrap_or_default();
        Ok(rows
            .into_values()
            .map(|(netns, row)| Tap {
                netns,
                device: row.device,
                protocol: row.protocol,
                running: row.running,
                holders: holders(row.inode),
            })
            .collect())
    }

    /// Whether the holders of all these sockets were found not long ago, and are still there.
    fn knows_all<T>(&self, rows: &BTreeMap<u64, T>) -> bool {
        let recent = self.searched.is_none_or(|(at, took)| at.elapsed() < took * REST);
        let there = |holder: &Holder| comm(holder.pid) == holder.comm;
        let known = |inode| self.holders.get(inode).is_some_and(|holders| holders.iter().all(there));
        rows.is_empty() || recent && rows.keys().all(known)
    }
}

/// The sockets, by inode, with the inode number of their network namespace.
fn rows(pids: &[u32]) -> BTreeMap<u64, (u64, Row)> {
    let mut rows = BTreeMap::new();
    let mut seen = BTreeSet::new();
    // A process may end while we look at it: what cannot be read any more is passed over.
    for pid in pids {
        let Ok(netns) = fs::metadata(format!("/proc/{pid}/ns/net")).map(|meta| meta.ino()) else { continue };
        if !seen.insert(netns) {
            continue;
        }
        match fs::read_to_string(format!("/proc/{pid}/net/packet")) {
            Ok(text) => rows.extend(parse(&text).map(|row| (row.inode, (netns, row)))),
            Err(_) => drop(seen.remove(&netns)),
        }
    }
    rows
}

fn processes() -> io::Result<Vec<u32>> {
    let names = fs::read_dir("/proc")?.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    Ok(names.filter_map(|name| name.parse().ok()).collect())
}

/// Columns: sk RefCnt Type Proto(hex) Iface R Rmem User Inode.
fn parse(text: &str) -> impl Iterator<Item = Row> + '_ {
    text.lines().skip(1).filter_map(|line| {
        let columns: Vec<&str> = line.split_ascii_whitespace().collect();
        let [_, _, _, protocol, device, running, _, _, inode] = columns[..] else { return None };
        Some(Row {
            protocol: u16::from_str_radix(protocol, 16).ok()?,
            device: Some(device.parse().ok()?).filter(|&index| index != 0),
            running: running != "0",
            inode: inode.parse().ok()?,
        })
    })
}

/// Who holds which of these sockets; nobody, where that cannot be seen.
fn holders<T>(pids: &[u32], sockets: &BTreeMap<u64, T>) -> BTreeMap<u64, Vec<Holder>> {
    let mut found: BTreeMap<u64, Vec<Holder>> = sockets.keys().map(|inode| (*inode, Vec::new())).collect();
    for &pid in pids {
        let Ok(files) = fs::read_dir(format!("/proc/{pid}/fd")) else { continue };
        let inodes: BTreeSet<u64> =
            files.filter_map(|file| socket_inode(&fs::read_link(file.ok()?.path()).ok()?)).collect();
        for inode in inodes.into_iter().filter(|inode| sockets.contains_key(inode)) {
            found.entry(inode).or_default().push(Holder { pid, comm: comm(pid) });
        }
    }
    found
}

/// The name of a process; empty when there is none.
fn comm(pid: u32) -> String {
    let comm = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    comm.trim_end().to_owned()
}

/// `socket:[INODE]`.
fn socket_inode(target: &Path) -> Option<u64> {
    target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACKET: &str = "\
sk               RefCnt Type Proto  Iface R Rmem   User   Inode\n\
ffff8c1c0a3d5000 3      3    0003   2     1 0      0      23741\n\
ffff8c1c0a3d5800 3      2    88cc   0     1 0      101    23742\n\
0000000000000000 3      3    0000   0     0 0      0      23743\n\
broken line\n";

    #[test]
    fn reads_the_table() {
        let rows: Vec<Row> = parse(PACKET).collect();
        assert_eq!(
            rows,
            [
                Row { protocol: 3, device: Some(2), running: true, inode: 23741 },
                Row { protocol: 0x88cc, device: None, running: true, inode: 23742 },
                Row { protocol: 0, device: None, running: false, inode: 23743 },
            ]
        );
    }

    #[test]
    fn only_an_attached_tap_for_all_protocols_sees_what_is_sent() {
        let sees = parse(PACKET).map(|row| {
            let Row { protocol, device, running, .. } = row;
            Tap { netns: 1, device, protocol, running, holders: vec![] }.sees_sent()
        });
        assert_eq!(sees.collect::<Vec<_>>(), [true, false, false]);
    }

    #[test]
    fn knows_a_socket_by_its_link() {
        assert_eq!(socket_inode(Path::new("socket:[4711]")), Some(4711));
        assert_eq!(socket_inode(Path::new("pipe:[4711]")), None);
        assert_eq!(socket_inode(Path::new("/dev/null")), None);
    }

    /// A socket without protocol disturbs nobody, in a namespace of its own.
    #[test]
    fn finds_a_socket_of_this_process_in_another_namespace() {
        use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
        if !nix::unistd::geteuid().is_root() {
            eprintln!("skipped: making a packet socket needs root");
            return;
        }
        let space = crate::host::netns::Namespace::create().unwrap();
        // The table of a namespace is found through a process in it.
        let mut inside = space.command("sleep").arg("60").spawn().unwrap();
        let open = || socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_CLOEXEC, None);
        let packet_socket = space.enter(open).unwrap().unwrap();
        let mine = |taps: Vec<Tap>| taps.into_iter().find(|tap| tap.netns == space.inode().unwrap());
        let mut reader = TapReader::default();
        let tap = mine(reader.read().unwrap()).unwrap();
        assert!(tap.holders.iter().any(|holder| holder.pid == std::process::id()), "{tap:?}");
        assert!(!tap.sees_sent());
        // What is remembered is told again, without a search.
        reader.searched = Some((Instant::now(), Duration::from_secs(60)));
        reader.holders.values_mut().flatten().for_each(|holder| holder.pid = inside.id());
        reader.holders.values_mut().flatten().for_each(|holder| holder.comm = comm(inside.id()));
        assert_eq!(mine(reader.read().unwrap()).unwrap().holders[0].pid, inside.id());
        // One that is gone is looked for.
        reader.holders.values_mut().flatten().for_each(|holder| holder.comm = "gone".into());
        assert_eq!(mine(reader.read().unwrap()), Some(tap));
        drop(packet_socket);
        let after = reader.read().unwrap();
        assert!(
            TapReader { searched: Some((Instant::now(), Duration::ZERO)), ..TapReader::default() }
                .knows_all::<()>(&BTreeMap::new())
        );
        inside.kill().unwrap();
        inside.wait().unwrap();
        assert_eq!(mine(after), None);
    }
}
