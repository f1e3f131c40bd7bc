//! The offsets the kernel programs need, from BTF: one table, one row a field.

use zcscope_common::Offsets;

use super::btf::Btf;

/// How a row is used.
enum Part {
    /// Byte offset of the member.
    Byte,
    /// Position of a bit field in its byte.
    Shift,
}

/// One row: where to put it, which member of which structure, whether the kernel may lack it.
struct Row {
    set: fn(&mut Offsets, u32),
    structure: &'static str,
    members: &'static str,
    part: Part,
    optional: bool,
}

macro_rules! rows {
    ($($field:ident = $structure:literal $members:literal $($flag:ident)*;)+) => {
        &[$(Row {
            set: |offsets, value| offsets.$field = value,
            structure: $structure,
            members: $members,
            part: rows!(@part $($flag)*),
            optional: rows!(@optional $($flag)*),
        }),+]
    };
    (@part shift) => { Part::Shift };
    (@part $($other:ident)*) => { Part::Byte };
    (@optional optional) => { true };
    (@optional $($other:ident)*) => { false };
}

const ROWS: &[Row] = rows! {
    sock_common_family = "sock_common" "skc_family";
    sock_common_dport = "sock_common" "skc_dport";
    sock_common_num = "sock_common" "skc_num";
    sock_common_daddr = "sock_common" "skc_daddr";
    sock_common_rcv_saddr = "sock_common" "skc_rcv_saddr";
    sock_common_v6_daddr = "sock_common" "skc_v6_daddr" optional;
    sock_common_v6_rcv_saddr = "sock_common" "skc_v6_rcv_saddr" optional;
    sock_common_net = "sock_common" "skc_net.net";
    sock_common_cookie = "sock_common" "skc_cookie";
    sock_common_flags = "sock_common" "skc_flags";
    sock_protocol = "sock" "sk_protocol";
    sock_zckey = "sock" "sk_zckey";
    sock_route_caps = "sock" "sk_route_caps";
    sock_dst_cache = "sock" "sk_dst_cache";
    sock_omem_alloc = "sock" "sk_omem_alloc";
    sock_error_queue = "sock" "sk_error_queue";
    dst_dev = "dst_entry" "dev";
    net_inum = "net" "ns.inum";
    net_optmem_max = "net" "core.sysctl_optmem_max" optional;
    net_ptype_all = "net" "ptype_all" optional;
    msghdr_flags = "msghdr" "msg_flags";
    msghdr_ubuf = "msghdr" "msg_ubuf";
    msghdr_sg_from_iter = "msghdr" "sg_from_iter";
    msghdr_iter_count = "msghdr" "msg_iter.count";
    icsk_ulp_ops = "inet_connection_sock" "icsk_ulp_ops";
    skb_dev = "sk_buff" "dev";
    skb_sk = "sk_buff" "sk";
    skb_cb = "sk_buff" "cb";
    skb_len = "sk_buff" "len";
    skb_data_len = "sk_buff" "data_len";
    skb_end = "sk_buff" "end";
    skb_head = "sk_buff" "head";
    skb_pkt_type = "sk_buff" "pkt_type";
    skb_pkt_type_shift = "sk_buff" "pkt_type" shift;
    shinfo_flags = "skb_shared_info" "flags";
    shinfo_nr_frags = "skb_shared_info" "nr_frags";
    shinfo_gso_size = "skb_shared_info" "gso_size";
    shinfo_destructor_arg = "skb_shared_info" "destructor_arg";
    uarg_id = "ubuf_info_msgzc" "id";
    uarg_len = "ubuf_info_msgzc" "len";
    uarg_zerocopy = "ubuf_info_msgzc" "zerocopy";
    uarg_zerocopy_shift = "ubuf_info_msgzc" "zerocopy" shift;
    exterr_origin = "sock_exterr_skb" "ee.ee_origin";
    dev_name = "net_device" "name";
    dev_flags = "net_device" "flags";
    dev_features = "net_device" "features";
    dev_ifindex = "net_device" "ifindex";
    dev_ptype_all = "net_device" "ptype_all";
    dev_rtnl_link_ops = "net_device" "rtnl_link_ops";
    dev_nd_net = "net_device" "nd_net.net";
    link_ops_kind = "rtnl_link_ops" "kind";
    packet_type_list = "packet_type" "list";
    packet_type_ignore_outgoing = "packet_type" "ignore_outgoing";
    task_flags = "task_struct" "flags";
    task_tgid = "task_struct" "tgid";
    task_io_uring = "task_struct" "io_uring" optional;
    task_files = "task_struct" "files";
    task_comm = "task_struct" "comm";
    task_group_leader = "task_struct" "group_leader";
    files_fdt = "files_struct" "fdt";
    fdtable_fd = "fdtable" "fd";
    fdtable_max_fds = "fdtable" "max_fds";
    file_private_data = "file" "private_data";
    socket_file = "socket" "file";
    socket_sk = "socket" "sk";
    io_kiocb_opcode = "io_kiocb" "opcode" optional;
    io_kiocb_file = "io_kiocb" "file" optional;
    io_kiocb_ctx = "io_kiocb" "ctx" optional;
    io_ring_ctx_user = "io_ring_ctx" "user" optional;
    io_sr_msg_flags = "io_sr_msg" "flags" optional;
    io_sr_msg_notif = "io_sr_msg" "notif" optional;
    io_notif_uarg = "io_notif_data" "uarg" optional;
    io_notif_next = "io_notif_data" "next" optional;
    io_notif_head = "io_notif_data" "head" optional;
    io_notif_zc_report = "io_notif_data" "zc_report" optional;
    io_notif_zc_copied = "io_notif_data" "zc_copied" optional;
    io_notif_zc_used = "io_notif_data" "zc_used" optional;
    sock_err = "sock" "sk_err";
    skb_iif = "sk_buff" "skb_iif";
    skb_network_header = "sk_buff" "network_header";
    skb_encapsulation = "sk_buff" "encapsulation";
    skb_encapsulation_shift = "sk_buff" "encapsulation" shift;
    dev_hw_enc_features = "net_device" "hw_enc_features";
    dev_xdp_prog = "net_device" "xdp_prog" optional;
    pt_regs_orig_ax = "pt_regs" "orig_ax";
    pt_regs_dx = "pt_regs" "dx";
    pt_regs_r10 = "pt_regs" "r10";
    shinfo_frags = "skb_shared_info" "frags";
    sock_common_prot = "sock_common" "skc_prot";
    sock_user_data = "sock" "sk_user_data";
    psock_msg_parser = "sk_psock" "progs.msg_parser" optional;
    mptcp_first = "mptcp_sock" "first" optional;
    tcp_repair = "tcp_sock" "repair";
    tcp_repair_shift = "tcp_sock" "repair" shift;
    tcp_repair_queue = "tcp_sock" "repair_queue";
    pipe_bufs = "pipe_inode_info" "bufs";
    pipe_tail = "pipe_inode_info" "tail";
    pipe_ring_size = "pipe_inode_info" "ring_size";
    pipe_buffer_ops = "pipe_buffer" "ops";
    pt_regs_di = "pt_regs" "di";
    pt_regs_sp = "pt_regs" "sp";
    sock_state = "sock_common" "skc_state";
    skb_truesize = "sk_buff" "truesize";
    queue_len = "sk_buff_head" "qlen";
    tcp_write_seq = "tcp_sock" "write_seq";
    tcp_snd_nxt = "tcp_sock" "snd_nxt";
    task_cred = "task_struct" "cred";
    cred_user = "cred" "user";
    user_locked_vm = "user_struct" "locked_vm";
    pt_regs_si = "pt_regs" "si";
    pt_regs_r8 = "pt_regs" "r8";
    sock_type = "sock" "sk_type";
    sock_receive_queue = "sock" "sk_receive_queue";
    sock_shutdown = "sock" "sk_shutdown";
    tcp_rcv_nxt = "tcp_sock" "rcv_nxt";
    tcp_copied_seq = "tcp_sock" "copied_seq";
    tcp_cb_seq = "tcp_skb_cb" "seq";
    skb_next = "sk_buff" "next";
    shinfo_frag_list = "skb_shared_info" "frag_list";
    page_flags = "page" "flags";
    page_compound_head = "page" "compound_head";
    page_mapping = "page" "mapping";
    zc_length = "tcp_zerocopy_receive" "length";
    zc_skip_hint = "tcp_zerocopy_receive" "recv_skip_hint";
    zc_copybuf_len = "tcp_zerocopy_receive" "copybuf_len";
    file_inode = "file" "f_inode";
    file_op = "file" "f_op";
    file_flags = "file" "f_flags";
    file_dentry = "file" "f_path.dentry";
    file_op_splice_read = "file_operations" "splice_read";
    inode_mode = "inode" "i_mode";
    inode_ino = "inode" "i_ino";
    inode_sb = "inode" "i_sb";
    inode_dentry = "inode" "i_dentry";
    sb_dev = "super_block" "s_dev";
    sb_type = "super_block" "s_type";
    fs_type_name = "file_system_type" "name";
    dentry_alias = "dentry" "d_u.d_alias";
    dentry_name = "dentry" "d_name.name";
    mapping_host = "address_space" "host";
    folio_nr_pages = "folio" "_folio_nr_pages" optional;
    msghdr_iter_bvec = "msghdr" "msg_iter.bvec";
    device_name = "device" "kobj.name";
};

/// Cache line of the architectures supported; the kernel rounds skb sizes up to it (`SKB_DATA_ALIGN`).
const CACHE_LINE: u32 = 64;

/// `recvmsg(2)`: device memory is welcome.
const MSG_SOCK_DEVMEM: u32 = 0x200_0000;

/// Finds every offset.
///
/// # Errors
/// Names the member this kernel does not have.
pub(super) fn resolve(btf: &Btf) -> Result<Offsets, String> {
    let mut offsets = Offsets::default();
    for row in ROWS {
        let value = match (btf.field(row.structure, row.members), &row.part) {
            (Some(field), Part::Byte) => field.byte(),
            (Some(field), Part::Shift) => field.shift(),
            (None, _) if row.optional => Offsets::ABSENT,
            (None, _) => return Err(format!("struct {} has no member {}", row.structure, row.members)),
        };
        (row.set)(&mut offsets, value);
    }
    one_word(&offsets)?;
    resolve_receive(btf, &mut offsets)?;
    // Renamed in Linux 6.15.
    if let (Offsets::ABSENT, Some(field)) = (offsets.folio_nr_pages, btf.field("folio", "_nr_pages")) {
        offsets.folio_nr_pages = field.byte();
    }
    // SKB_TRUESIZE(0): what sock_omalloc charges for a notification.
    let aligned = |name: &str| btf.size_of(name).map(|size| size.next_multiple_of(CACHE_LINE));
    frags(btf, &mut offsets)?;
    offsets.pipe_buffer_size = btf.size_of("pipe_buffer").ok_or("struct pipe_buffer is not described")?;
    offsets.skb_truesize_empty = aligned("sk_buff")
        .zip(aligned("skb_shared_info"))
        .map(|(skb, info)| skb + info)
        .ok_or("struct sk_buff is not described")?;
    Ok(offsets)
}

/// What the programs read of `skb_shared_info` at once.
fn one_word(offsets: &Offsets) -> Result<(), String> {
    let last = offsets.shinfo_flags.max(offsets.shinfo_nr_frags).max(offsets.shinfo_gso_size + 1);
    if last < 8 {
        return Ok(());
    }
    Err("the first word of struct skb_shared_info holds other members than in Linux 5.12 to 6.18".to_owned())
}

/// A frag is a structure of its own since Linux 6.9, and was a `bio_vec` before.
fn frags(btf: &Btf, offsets: &mut Offsets) -> Result<(), String> {
    let kinds = [("skb_frag", "offset", "len"), ("bio_vec", "bv_offset", "bv_len")];
    let found = kinds.into_iter().find_map(|(name, offset, len)| {
        Some((btf.size_of(name)?, btf.field(name, offset)?.byte(), btf.field(name, len)?.byte()))
    });
    let (size, offset, len) = found.ok_or("neither struct skb_frag nor struct bio_vec is described")?;
    (offsets.frag_size, offsets.frag_offset, offsets.frag_len) = (size, offset, len);
    // Read as two words.
    if (size, len, offset) != (16, 8, 12) {
        return Err("a frag is laid out in another way than in Linux 5.4 to 6.18".to_owned());
    }
    Ok(())
}

/// What receiving needs beside plain members: two numbers that are no offsets.
fn resolve_receive(btf: &Btf, offsets: &mut Offsets) -> Result<(), String> {
    let head = btf.enumerator("PG_head").and_then(|bit| u32::try_from(bit).ok());
    offsets.page_head_bit = head.ok_or("there is no enumerator PG_head")?;
    offsets.msg_sock_devmem = if btf.has_function("tcp_recvmsg_dmabuf") { MSG_SOCK_DEVMEM } else { 0 };
    Ok(())
}
