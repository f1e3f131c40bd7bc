//! DMA through bounce buffers (swiotlb): a device that cannot reach the pages of a packet makes the kernel copy them.
//!
//! The tracepoint names the device and the bytes, and fires for nothing but a bounce, so it costs nothing where there
//! is none. It knows no packet, and receiving bounces too: only mappings made below `dev_hard_start_xmit` count, per
//! device, for all programs of the host together.

use core::ffi::c_void;

use aya_ebpf::{
    bindings::BPF_NOEXIST,
    helpers::{bpf_get_stack, bpf_probe_read_kernel_str_bytes},
};
use zcscope_common::{BounceEntry, Lost};

use crate::{
    config::conf,
    maps::{BOUNCES, active, lost},
    mem::{Mem, Probe, add},
};

/// From the tracepoint up to the function that hands packets to drivers: mapping, and the driver's own functions.
const FRAMES: usize = 16;

/// A stack, innermost frame first; 0 behind its end.
#[repr(C)]
struct Frames([u64; FRAMES]);

/// Tracepoint `swiotlb:swiotlb_bounced(dev, dev_addr, size)`.
#[inline(always)]
pub unsafe fn bounced(ctx: *mut c_void, device: *const u8, bytes: u64) {
    unsafe {
        if !active() || !transmits(ctx) {
            return;
        }
        let key = device as u64;
        if BOUNCES.get_ptr(key).is_none() {
            let mut entry = BounceEntry::default();
            let name: u64 = Probe::read(device, conf!(off.device_name));
            let _ = bpf_probe_read_kernel_str_bytes(name as *const u8, &mut entry.name);
            // Not to overwrite: another CPU may make it at the same time and count on it already.
            let _ = BOUNCES.insert(key, entry, u64::from(BPF_NOEXIST));
        }
        match BOUNCES.get_ptr_mut(key) {
            Some(entry) => {
                add(&mut (*entry).count, 1);
                add(&mut (*entry).bytes, bytes);
            }
            None => lost(Lost::BounceTable, 1),
        }
    }
}

/// Whether a packet is being handed to a driver.
#[inline(always)]
unsafe fn transmits(ctx: *mut c_void) -> bool {
    let mut frames = Frames([0; FRAMES]);
    let size = (FRAMES * 8) as u32;
    // SAFETY: the buffer is ours and as large as said.
    let found = unsafe { bpf_get_stack(ctx, frames.0.as_mut_ptr().cast(), size, 0) };
    found > 0 && zcscope_below(&frames, conf!(transmit.start), conf!(transmit.end)) != 0
}

/// 1 when one of the frames lies in `start .. end`. Exported like [`crate::socket::zcscope_identify`], so that the
/// verifier walks the loop once.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn zcscope_below(frames: *const Frames, start: u64, end: u64) -> u64 {
    // SAFETY: null or the caller's stack.
    let Some(Frames(frames)) = (unsafe { frames.as_ref() }) else { return 0 };
    let mut i = 0;
    while i < FRAMES {
        if frames[i] >= start && frames[i] < end {
            return 1;
        }
        i += 1;
    }
    0
}
