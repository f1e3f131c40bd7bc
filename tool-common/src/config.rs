//! What user space writes into frozen `.rodata` before load: field offsets from BTF, which back end feeds which
//! fact, and the filter. The verifier sees constants, drops dead branches and turns accesses into direct loads.

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
    /// 1 when `skb:consume_skb` tells its caller (>= 6.4 or so).
    pub consume_has_location: u32,
    /// When notifications are queued.
    pub queue: u32,
    /// Padding.
    pub pad: u32,
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
    pub exterr_code: u32,
    pub exterr_info: u32,
    pub exterr_data: u32,
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
    pub sock_state: u32,
    pub sock_err: u32,
    pub skb_truesize: u32,
    pub queue_len: u32,
    pub tcp_write_seq: u32,
    pub tcp_snd_nxt: u32,
    pub task_cred: u32,
    pub cred_user: u32,
    pub user_locked_vm: u32,
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
    /// Address of `io_sg_from_iter` (registered buffers), 0 unknown.
    pub io_sg_from_iter: u64,
}

// No hidden padding: `Offsets` and `Mode` each hold an even number of words.
const _: () = assert!(size_of::<Offsets>().is_multiple_of(8) && size_of::<Mode>().is_multiple_of(8));
const _: () = assert!(
    size_of::<Config>() == size_of::<Offsets>() + size_of::<Mode>() + size_of::<Filter>() + 8 + 5 * 16 + 8
);
const _: () = assert!(align_of::<Config>() == 8);
