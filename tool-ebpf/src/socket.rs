//! Sockets: who owns one, where it goes, whether the filter wants it, and where its counters are.

use aya_ebpf::helpers::{
    bpf_get_current_ancestor_cgroup_id, bpf_get_current_cgroup_id, bpf_get_current_comm,
    bpf_get_current_pid_tgid, bpf_get_current_task_btf, bpf_get_current_uid_gid, bpf_ktime_get_ns,
    generated::bpf_probe_read_kernel,
};
use zcscope_common::{AddrPair, DevInfo, FlowCounters, Lost, Offsets, Path, SockEntry, sock_flags};

use crate::{
    classify,
    config::conf,
    file, lifecycle,
    maps::{DEVS, PROCS, SOCKS, UNATTRIBUTED, active, lost, next_id, sock_slot, spill_slot},
    mem::{Mem, Probe, read},
    receive,
    tally::zcscope_tally_sends,
};

const AF_INET6: u16 = 10;

/// The current process (thread group).
#[inline(always)]
pub fn current_tgid() -> u32 {
    (bpf_get_current_pid_tgid() >> 32) as u32
}

/// The current thread.
#[inline(always)]
pub fn current_tid() -> u64 {
    bpf_get_current_pid_tgid() & 0xffff_ffff
}

/// Whether the filter wants the current process.
#[inline(always)]
pub fn process_wanted(tgid: u32) -> bool {
    conf!(filter.by_process) == 0 || PROCS.get_ptr(tgid).is_some()
}

/// A known, wanted socket.
#[inline(always)]
pub fn known(sk: u64) -> Option<&'static mut SockEntry> {
    // SAFETY: map values stay valid while the program runs.
    let entry = unsafe { &mut *SOCKS.get_ptr_mut(sk)? };
    if entry.flags & sock_flags::IGNORED != 0 { None } else { Some(entry) }
}

/// What became of the question "whose socket is this?".
pub enum Owner {
    /// Counted here.
    Known(&'static mut SockEntry),
    /// The filter does not want it.
    Unwanted,
    /// The table is full: count per path only.
    NoRoom,
}

/// The entry of a socket the current process sends on; made when new, and begun anew when another process
/// takes the socket over, so that every process keeps its own bytes.
#[inline(always)]
pub unsafe fn sending<M: Mem>(sk: *const u8, path: u32) -> Owner {
    let Some((entry, new)) = sock_slot(sk as u64) else {
        if !active() {
            return Owner::Unwanted;
        }
        return if process_wanted(current_tgid()) { Owner::NoRoom } else { Owner::Unwanted };
    };
    // SAFETY: map values stay valid while the program runs.
    let entry = unsafe { &mut *entry };
    let tgid = current_tgid();
    // A closing socket never sends again: this is another one at its address.
    let reused = entry.flags & sock_flags::CLOSING != 0;
    if new || reused {
        if reused {
            entry.in_flight = 0;
            lifecycle::zcscope_publish(entry);
        }
        entry.sk = sk as u64;
        entry.tgid = tgid;
        zcscope_identify(entry, path);
        entry.root = entry.id;
    } else if entry.tgid != tgid && lifecycle::zcscope_hand_over(entry) != 0 {
        // The socket keeps its `root`.
        zcscope_identify(entry, path);
    }
    let dst: u64 = unsafe { M::read(sk, conf!(off.sock_dst_cache)) };
    if dst != entry.dst {
        entry.dst = dst;
        zcscope_route(entry);
    }
    zcscope_tally_sends(entry, path);
    if entry.flags & sock_flags::IGNORED != 0 { Owner::Unwanted } else { Owner::Known(entry) }
}

/// Fills in everything about the socket `entry.sk` of process `entry.tgid` but its route. Rare, so every read goes
/// through the helper. Exported, because that makes it a global function, which the verifier checks once and not
/// on every way that leads to it; such a function gets a pointer that may be null.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn zcscope_identify(entry: *mut SockEntry, path: u32) -> u64 {
    // SAFETY: null or a map value.
    let Some(entry) = (unsafe { entry.as_mut() }) else { return 0 };
    let (sk, tgid) = (entry.sk as *const u8, entry.tgid);
    unsafe {
        // Until it is known whose it is, nobody reads it: user space may look at any moment.
        entry.flags = sock_flags::IGNORED;
        entry.id = receive::id_of_receiver(entry.sk, tgid).unwrap_or_else(next_id);
        entry.home_path = path;
        entry.spill_mask = 0;
        entry.dst = 0;
        entry.dev = 0;
        entry.home = core::mem::zeroed();
        entry.first_ns = bpf_ktime_get_ns();
        entry.prot = Probe::read(sk, conf!(off.sock_common_prot));
        entry.cookie = Probe::read(sk, conf!(off.sock_common_cookie));
        entry.comm = comm();
        entry.cgroup = bpf_get_current_cgroup_id();
        entry.uid = bpf_get_current_uid_gid() as u32;
        read_addresses(&mut entry.addr, sk);
        let net: u64 = Probe::read(sk, conf!(off.sock_common_net));
        entry.netns = Probe::read(net as *const u8, conf!(off.net_inum));
        let wanted = process_wanted(tgid) && identity_wanted(entry);
        entry.flags = if wanted { 0 } else { sock_flags::IGNORED };
        if wanted && path == Path::Copy as u32 {
            file::sends_plainly(tgid, entry.comm);
        }
    }
    0
}

/// The name of the current process: a worker of io_uring has one of its own, but not its process.
#[inline(always)]
fn comm() -> [u8; 16] {
    if !classify::in_worker() {
        return bpf_get_current_comm().unwrap_or([0; 16]);
    }
    // SAFETY: a helper without preconditions; faults read as zero.
    unsafe {
        let task = bpf_get_current_task_btf() as *const u8;
        let leader: u64 = Probe::read(task, conf!(off.task_group_leader));
        Probe::read(leader as *const u8, conf!(off.task_comm))
    }
}

/// Whether the filter wants this socket, as far as it does not depend on the route.
#[inline(always)]
fn identity_wanted(entry: &SockEntry) -> bool {
    let port = conf!(filter.port);
    if port != 0 && port != u32::from(entry.addr.local_port) && port != u32::from(entry.addr.remote_port) {
        return false;
    }
    let netns = conf!(filter.netns);
    if netns != 0 && netns != entry.netns {
        return false;
    }
    let cgroup = conf!(filter.cgroup);
    // SAFETY: a helper without preconditions.
    if cgroup != 0
        && unsafe { bpf_get_current_ancestor_cgroup_id(conf!(filter.cgroup_level) as i32) } != cgroup
    {
        return false;
    }
    conf!(filter.comm[0]) == 0 || same_name(conf!(filter.comm), entry.comm)
}

#[inline(always)]
fn same_name(a: [u8; 16], b: [u8; 16]) -> bool {
    u128::from_ne_bytes(a) == u128::from_ne_bytes(b)
}

/// Reads the device of the cached route `entry.dst` and applies the device filter. Exported like
/// [`zcscope_identify`].
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn zcscope_route(entry: *mut SockEntry) -> u64 {
    // SAFETY: null or a map value.
    let Some(entry) = (unsafe { entry.as_mut() }) else { return 0 };
    if entry.dst == 0 {
        return 0;
    }
    unsafe {
        entry.dev = Probe::read(entry.dst as *const u8, conf!(off.dst_dev));
        zcscope_remember(entry.dev);
        let name: [u8; 16] = Probe::read(entry.dev as *const u8, conf!(off.dev_name));
        if conf!(filter.dev[0]) != 0 && !same_name(conf!(filter.dev), name) {
            entry.flags |= sock_flags::IGNORED;
        }
    }
    0
}

/// Reads the addresses to where they belong: a copy on the way would take stack, which is short here.
#[inline(always)]
unsafe fn read_addresses(pair: &mut AddrPair, sk: *const u8) {
    unsafe {
        pair.family = Probe::read(sk, conf!(off.sock_common_family));
        pair.local_port = Probe::read(sk, conf!(off.sock_common_num));
        pair.remote_port = u16::from_be(Probe::read(sk, conf!(off.sock_common_dport)));
        pair.local = [0; 16];
        pair.remote = [0; 16];
        if pair.family == AF_INET6 && conf!(off.sock_common_v6_daddr) != Offsets::ABSENT {
            read_into(&mut pair.local, sk, conf!(off.sock_common_v6_rcv_saddr), 16);
            read_into(&mut pair.remote, sk, conf!(off.sock_common_v6_daddr), 16);
        } else {
            read_into(&mut pair.local, sk, conf!(off.sock_common_rcv_saddr), 4);
            read_into(&mut pair.remote, sk, conf!(off.sock_common_daddr), 4);
        }
    }
}

/// Reads the first `len` bytes of an address.
#[inline(always)]
unsafe fn read_into(to: &mut [u8; 16], sk: *const u8, off: u32, len: u32) {
    let from = sk.wrapping_add(off as usize);
    // SAFETY: the destination has 16 bytes, `len` is 4 or 16.
    unsafe { bpf_probe_read_kernel(to.as_mut_ptr().cast(), len, from.cast()) };
}

/// Notes name, kind and features of a device under its address. Exported like [`zcscope_identify`].
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn zcscope_remember(address: u64) -> u64 {
    if address == 0 {
        return 0;
    }
    let dev = address as *const u8;
    unsafe {
        let ifindex: u32 = Probe::read(dev, conf!(off.dev_ifindex));
        let features: u64 = Probe::read(dev, conf!(off.dev_features));
        if let Some(info) = DEVS.get_ptr(address) {
            // An address can come back as another device, and features change.
            if (*info).ifindex == ifindex && (*info).features == features {
                return 0;
            }
        }
        let mut info = DevInfo { ifindex, features, ..core::mem::zeroed() };
        info.name = Probe::read(dev, conf!(off.dev_name));
        info.flags = Probe::read(dev, conf!(off.dev_flags));
        let ops: u64 = Probe::read(dev, conf!(off.dev_rtnl_link_ops));
        if ops != 0 {
            let kind: u64 = Probe::read(ops as *const u8, conf!(off.link_ops_kind));
            let _ = aya_ebpf::helpers::bpf_probe_read_kernel_str_bytes(kind as *const u8, &mut info.kind);
        }
        if DEVS.insert(address, info, 0).is_err() {
            lost(Lost::DevTable, 1);
        }
    }
    0
}

/// The counters of one path of a socket.
#[inline(always)]
pub fn flow(entry: &mut SockEntry, path: u32) -> Option<&'static mut FlowCounters> {
    if entry.home_path == path {
        // SAFETY: part of a map value, valid while the program runs.
        return Some(unsafe { &mut *(&raw mut entry.home) });
    }
    entry.spill_mask |= 1 << (path & 31);
    match spill_slot(entry.id, path) {
        // SAFETY: as above.
        Some(spill) => Some(unsafe { &mut (*spill).flow }),
        None => unattributed(path),
    }
}

/// The counters for what cannot be attributed to a socket.
#[inline(always)]
pub fn unattributed(path: u32) -> Option<&'static mut FlowCounters> {
    // SAFETY: a map value, valid while the program runs.
    UNATTRIBUTED.get_ptr_mut(path).map(|flow| unsafe { &mut *flow })
}

/// Paths that send pages without a completion unit.
const SPLICED: [Path; 4] = [Path::Sendfile, Path::Splice, Path::Vmsplice, Path::Kernel];

/// Whether a path sends pages without a completion unit.
#[inline(always)]
pub fn is_spliced(path: u32) -> bool {
    SPLICED.iter().any(|spliced| *spliced as u32 == path)
}

/// The path of the splice family this socket used, for skbs that only say "somebody else's pages".
#[inline(always)]
pub fn spliced_path(entry: &SockEntry) -> Option<u32> {
    let used = entry.spill_mask | 1 << (entry.home_path & 31);
    let mut i = 0;
    while i < SPLICED.len() {
        if used & (1 << SPLICED[i] as u32) != 0 {
            return Some(SPLICED[i] as u32);
        }
        i += 1;
    }
    None
}

/// `inet_csk(sk)->icsk_ulp_ops`: non-zero when an upper layer protocol (TLS) owns the socket.
#[inline(always)]
pub unsafe fn has_ulp(sk: *const u8) -> bool {
    unsafe { read::<u64>(sk.wrapping_add(conf!(off.icsk_ulp_ops) as usize)) != 0 }
}

/// Whether a sockmap's program sees every message sent on the socket (`tcp_bpf_sendmsg`): `sk_psock(sk)` has a message
/// program.
#[inline(always)]
pub unsafe fn sockmap_sends(sk: *const u8) -> bool {
    /// `SK_USER_DATA_PSOCK`: the pointer is a `sk_psock`.
    const PSOCK: u64 = 4;
    const FLAGS: u64 = 7;
    if conf!(off.psock_msg_parser) == Offsets::ABSENT {
        return false;
    }
    unsafe {
        let data: u64 = Probe::read(sk, conf!(off.sock_user_data));
        data & PSOCK != 0
            && Probe::read::<u64>((data & !FLAGS) as *const u8, conf!(off.psock_msg_parser)) != 0
    }
}

/// Whether `TCP_REPAIR` directs what is sent into the receive queue (`tcp_send_rcvq`).
#[inline(always)]
pub unsafe fn repairs_receive_queue(sk: *const u8) -> bool {
    const TCP_RECV_QUEUE: u8 = 1;
    unsafe {
        let bits: u8 = Probe::read(sk, conf!(off.tcp_repair));
        (bits >> (conf!(off.tcp_repair_shift) & 7)) & 1 != 0
            && Probe::read::<u8>(sk, conf!(off.tcp_repair_queue)) == TCP_RECV_QUEUE
    }
}
