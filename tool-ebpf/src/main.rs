//! The kernel side of zcscope.
//!
//! Logic lives in the modules below, written once over raw pointers and generic over how memory is read
//! ([`mem::Mem`]). `hooks` holds the thin programs that adapt fentry/fexit, kprobe/kretprobe and BTF tracepoints.
//! Field offsets come from frozen `.rodata` ([`config`]); nothing about a kernel build is hardcoded.
#![no_std]
#![no_main]
// The toolchains that build this crate are pinned; see mem.rs for what needs it.
#![feature(asm_experimental_arch, core_intrinsics)]
#![allow(internal_features)]

mod attach;
mod bounce;
mod caller;
mod classify;
mod complete;
mod config;
mod copy;
mod cost;
mod file;
mod forward;
mod gauge;
mod hooks;
mod infer;
mod layer;
mod lifecycle;
mod mapped;
mod maps;
mod mem;
mod pipe;
mod receive;
mod send;
mod skb;
mod socket;
mod tally;
mod uring;

#[cfg(not(test))]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    // The verifier proves this unreachable: no program here can panic.
    loop {}
}

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
