//! What user space writes into frozen `.rodata` before load: field offsets from BTF, which back end feeds which
//! fact, and the filter. The verifier sees constants, drops dead branches and turns accesses into direct loads.

use core::mem::offset_of;

/// Where a fact comes from. Stored as a number in [`Config`].
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// Nothing attached: the fact is missing.
    None = 0,
    /// fentry/fexit trampolines.
    Fentry = 1,
    /// kprobe/kretprobe.
    Kprobe = 2,
    /// BTF tracepoints.
    Tracepoint = 3,
}

/// Which back end feeds each fact that several back ends can know; see [`Source`].
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mode {
    /// Calls, bytes and errors.
    pub send: u32,
    /// Completions.
    pub completion: u32,
    /// Notifications read by the application.
    pub told: u32,
    /// Copies.
    pub copy: u32,
    /// The two causes of ENOBUFS.
    pub refused: u32,
    /// 1 when `tcp:tcp_sendmsg_locked` exists (>= 6.16): the tracepoint back end knows the path of each call.
    pub send_has_tp: u32,
    /// 1 when the kernel has MSG_SPLICE_PAGES (>= 6.5); before, sendfile arrives through `do_tcp_sendpages`.
    pub splice_pages: u32,
    /// Source of what kTLS sends, for which the layer itself is watched.
    pub ktls: u32,
    /// Source of MPTCP sends.
    pub mptcp: u32,
    /// Source of sends through a sockmap.
    pub sockmap: u32,
    /// Padding.
    pub pad: u32,
    /// 1 when `skb:consume_skb` tells its caller (>= 6.4 or so).
    pub consume_has_location: u32,
    /// Ends of io_uring's zero-copy sends.
    pub uring: u32,
    /// When io_uring's buffers are released.
    pub uring_release: u32,
    /// 1 when `io_uring:io_uring_complete` hands over the CQE itself (>= 6.16 or so), not its fields.
    pub uring_cqe: u32,
    /// When notifications are queued.
    pub queue: u32,
}

/// What to trace; zero or empty fields do not restrict.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// 1 when only processes in the process table are traced.
    pub by_process: u32,
    /// Local or remote port.
    pub port: u32,
    /// Bit per path wanted; 0 all.
    pub path_mask: u32,
    /// Inode of the network namespace wanted; 0 all.
    pub netns: u32,
    /// Id of the cgroup wanted, with everything below it; 0 all.
    pub cgroup: u64,
    /// How deep that cgroup lies (the root is 0).
    pub cgroup_level: u32,
    /// Padding.
    pub pad: u32,
    /// Name of the process wanted.
    pub comm: [u8; 16],
    /// Name of the device wanted.
    pub dev: [u8; 16],
}

/// Byte offsets of kernel fields (from BTF of the running kernel), and a few sizes and addresses.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(
    missing_docs,
    reason = "each field is named STRUCT_FIELD after the kernel field whose offset it holds"
)]
pub struct Offsets {
    pub sock_common_family: u32,
    pub sock_common_dport: u32,
    pub sock_common_num: u32,
    pub sock_common_daddr: u32,
    pub sock_common_rcv_saddr: u32,
    pub sock_common_v6_daddr: u32,
    pub sock_common_v6_rcv_saddr: u32,
    pub sock_common_net: u32,
    pub sock_common_cookie: u32,
    pub sock_common_flags: u32,
    pub sock_protocol: u32,
    pub sock_zckey: u32,
    pub sock_route_caps: u32,
    pub sock_dst_cache: u32,
    pub sock_omem_alloc: u32,
    pub sock_error_queue: u32,
    pub dst_dev: u32,
    pub net_inum: u32,
    pub net_optmem_max: u32,
    pub net_ptype_all: u32,
    pub msghdr_flags: u32,
    pub msghdr_ubuf: u32,
    pub msghdr_sg_from_iter: u32,
    pub msghdr_iter_count: u32,
    pub icsk_ulp_ops: u32,
    pub skb_dev: u32,
    pub skb_sk: u32,
    pub skb_cb: u32,
    pub skb_len: u32,
    pub skb_data_len: u32,
    pub skb_end: u32,
    pub skb_head: u32,
    pub skb_pkt_type: u32,
    pub skb_pkt_type_shift: u32,
    pub shinfo_flags: u32,
    pub shinfo_nr_frags: u32,
    pub shinfo_gso_size: u32,
    pub shinfo_destructor_arg: u32,
    pub uarg_id: u32,
    pub uarg_len: u32,
    pub uarg_zerocopy: u32,
    pub uarg_zerocopy_shift: u32,
    pub exterr_origin: u32,
    pub dev_name: u32,
    pub dev_flags: u32,
    pub dev_features: u32,
    pub dev_ifindex: u32,
    pub dev_ptype_all: u32,
    pub dev_rtnl_link_ops: u32,
    pub dev_nd_net: u32,
    pub link_ops_kind: u32,
    pub packet_type_list: u32,
    pub packet_type_ignore_outgoing: u32,
    pub task_flags: u32,
    pub task_tgid: u32,
    pub skb_truesize_empty: u32,
    pub pt_regs_orig_ax: u32,
    pub pt_regs_dx: u32,
    pub pt_regs_r10: u32,
    pub task_io_uring: u32,
    pub shinfo_frags: u32,
    pub frag_size: u32,
    pub frag_offset: u32,
    pub frag_len: u32,
    pub sock_common_prot: u32,
    pub sock_user_data: u32,
    pub psock_msg_parser: u32,
    pub mptcp_first: u32,
    pub tcp_repair: u32,
    pub tcp_repair_shift: u32,
    pub tcp_repair_queue: u32,
    pub sock_type: u32,
    pub sock_receive_queue: u32,
    pub sock_shutdown: u32,
    pub socket_sk: u32,
    pub tcp_rcv_nxt: u32,
    pub tcp_copied_seq: u32,
    pub tcp_cb_seq: u32,
    pub skb_next: u32,
    pub shinfo_frag_list: u32,
    pub page_flags: u32,
    pub page_head_bit: u32,
    pub page_compound_head: u32,
    pub page_mapping: u32,
    pub zc_length: u32,
    pub zc_skip_hint: u32,
    pub zc_copybuf_len: u32,
    pub pt_regs_di: u32,
    pub pt_regs_si: u32,
    pub pt_regs_r8: u32,
    pub task_files: u32,
    pub files_fdt: u32,
    pub fdtable_fd: u32,
    pub file_private_data: u32,
    pub pipe_bufs: u32,
    pub pipe_tail: u32,
    pub pipe_ring_size: u32,
    pub pipe_buffer_ops: u32,
    pub pipe_buffer_size: u32,
    pub task_comm: u32,
    pub task_group_leader: u32,
    pub fdtable_max_fds: u32,
    pub socket_file: u32,
    pub io_kiocb_opcode: u32,
    pub io_kiocb_file: u32,
    pub io_kiocb_ctx: u32,
    pub io_ring_ctx_user: u32,
    pub io_sr_msg_flags: u32,
    pub io_sr_msg_notif: u32,
    pub io_notif_uarg: u32,
    pub io_notif_next: u32,
    pub io_notif_head: u32,
    pub io_notif_zc_report: u32,
    pub io_notif_zc_copied: u32,
    pub sock_state: u32,
    pub sock_err: u32,
    pub skb_truesize: u32,
    pub queue_len: u32,
    pub tcp_write_seq: u32,
    pub tcp_snd_nxt: u32,
    pub task_cred: u32,
    pub cred_user: u32,
    pub user_locked_vm: u32,
    pub io_notif_zc_used: u32,
    pub skb_iif: u32,
    pub skb_network_header: u32,
    pub skb_encapsulation: u32,
    pub skb_encapsulation_shift: u32,
    pub dev_hw_enc_features: u32,
    pub dev_xdp_prog: u32,
    /// `MSG_SOCK_DEVMEM` where the kernel has it (>= 6.12), else 0.
    pub msg_sock_devmem: u32,
    pub file_inode: u32,
    pub file_op: u32,
    pub file_flags: u32,
    pub file_dentry: u32,
    pub file_op_splice_read: u32,
    pub inode_mode: u32,
    pub inode_ino: u32,
    pub inode_sb: u32,
    pub inode_dentry: u32,
    pub sb_dev: u32,
    pub sb_type: u32,
    pub fs_type_name: u32,
    pub dentry_alias: u32,
    pub dentry_name: u32,
    pub mapping_host: u32,
    pub folio_nr_pages: u32,
    pub msghdr_iter_bvec: u32,
    pub device_name: u32,
    pub pt_regs_sp: u32,
}

impl Offsets {
    /// "This kernel has no such field."
    pub const ABSENT: u32 = u32::MAX;
}

/// A half-open range of kernel addresses; empty when the symbol is not known.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Range {
    /// First address.
    pub start: u64,
    /// First address behind it.
    pub end: u64,
}

/// Kernel functions between a copying function and the one that has a reason to copy.
pub const THROUGH: [&str; 5] =
    ["skb_checksum_help", "skb_ensure_writable", "skb_cow_data", "skb_cow_data_for_xdp", "pskb_expand_head"];

/// Code that other tracers put in the place of a return address on the stack: of the function graph, of return probes.
pub const DETOURS: [&str; 2] = ["return_to_handler", "arch_rethook_trampoline"];

/// All of it, one `.rodata` global.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// Field offsets.
    pub off: Offsets,
    /// Fact sources.
    pub mode: Mode,
    /// What to trace.
    pub filter: Filter,
    /// Bit number of SOCK_ZEROCOPY in `skc_flags`.
    pub sock_zerocopy_bit: u32,
    /// Bit number of SOCK_DEAD in `skc_flags`.
    pub sock_dead_bit: u32,
    /// `__msg_zerocopy_callback`: tells a merged notification from one the application read.
    pub zerocopy_callback: Range,
    /// `skb_copy_ubufs`, to find its caller on a stack.
    pub copy_ubufs: Range,
    /// `__pskb_pull_tail`, likewise.
    pub pull_tail: Range,
    /// `skb_segment`, likewise.
    pub segment: Range,
    /// `dev_queue_xmit_nit`: a copy made below it is for a packet tap.
    pub tap: Range,
    /// `__skb_zcopy_downgrade_managed`, to find its caller on a stack.
    pub downgrade_managed: Range,
    /// `__zerocopy_sg_from_iter`: attaches user pages.
    pub zerocopy_from_iter: Range,
    /// `skb_pp_cow_data`, likewise.
    pub pp_cow: Range,
    /// `skb_copy_bits`, likewise.
    pub copy_bits: Range,
    /// Helpers between a copying function and the one that has a reason: passed over on a stack.
    pub through: [Range; THROUGH.len()],
    /// Addresses of [`DETOURS`], in their order.
    pub detours: [Range; DETOURS.len()],
    /// Receive functions of veth that copy themselves (before Linux 6.3).
    pub veth_xdp: Range,
    /// `dev_hard_start_xmit`: what is mapped for DMA below it is being transmitted.
    pub transmit: Range,
    /// Address of `io_sg_from_iter` (registered buffers), 0 unknown.
    pub io_sg_from_iter: u64,
    /// Address of `copy_splice_read` (>= 6.5), 0 unknown.
    pub copy_splice_read: u64,
}

// No hidden padding: `Offsets` and `Mode` each hold an even number of words.
const _: () = assert!(size_of::<Offsets>().is_multiple_of(8) && size_of::<Mode>().is_multiple_of(8));
const _: () = assert!(
    offset_of!(Config, zerocopy_callback)
        == size_of::<Offsets>() + size_of::<Mode>() + size_of::<Filter>() + 8
);
const _: () = assert!(align_of::<Config>() == 8);
