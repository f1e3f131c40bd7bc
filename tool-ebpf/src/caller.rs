//! Who called the function that a hook stands at: the reason for a copy is its caller.
//!
//! Where a function was just entered, the address it returns to lies on the stack, and one read finds it. Only when that
//! is no answer the kernel walks the stack (`bpf_get_stack`), which takes thousands of instructions.

use core::ffi::c_void;

use aya_ebpf::helpers::bpf_get_stack;
use zcscope_common::Range;

use crate::{
    config::conf,
    mem::{Direct, Mem, Probe, read},
};

const FRAMES: usize = 8;

/// A short stack, innermost frame first; 0 behind its end.
#[repr(C)]
pub struct Frames([u64; FRAMES]);

/// How a hook at the entry of a function comes to be called.
pub trait Entry {
    /// How it reads typed arguments.
    type Mem: Mem;

    /// The address the function returns to, 0 when it is not found; `words` is room to look.
    ///
    /// # Safety
    /// `ctx` must be the context of such a hook, at the entry of `function`.
    unsafe fn returns_to(ctx: *mut c_void, function: Range, words: &mut Frames) -> u64;
}

/// fentry: the context is part of a trampoline's stack frame. Above it stand the rest of the arguments, the frame
/// pointer, the address to go on at in the function, and behind that what the function itself returns to
/// (`arch_prepare_bpf_trampoline` on x86-64). How many words come before differs, so the one in the function is searched.
pub struct Trampoline;

impl Entry for Trampoline {
    type Mem = Direct;

    #[inline(always)]
    unsafe fn returns_to(ctx: *mut c_void, function: Range, words: &mut Frames) -> u64 {
        unsafe { words.0 = read(ctx as *const u8) };
        zcscope_behind(words, function.start, function.end)
    }
}

/// kprobe: the stack pointer of the registers points at it.
pub struct Breakpoint;

impl Entry for Breakpoint {
    type Mem = Probe;

    #[inline(always)]
    unsafe fn returns_to(ctx: *mut c_void, _: Range, _: &mut Frames) -> u64 {
        unsafe { read(Probe::read::<u64>(ctx as *const u8, conf!(off.pt_regs_sp)) as *const u8) }
    }
}

/// The return address in the function that has a reason to call `function`: its caller, behind mere helpers; 0 when it
/// cannot be found.
///
/// # Safety
/// As [`Entry::returns_to`].
#[inline(always)]
pub unsafe fn caller<E: Entry>(ctx: *mut c_void, function: Range) -> u64 {
    let mut frames = Frames([0; FRAMES]);
    let near = unsafe { E::returns_to(ctx, function, &mut frames) };
    if zcscope_has_reason(near) != 0 {
        return near;
    }
    if unsafe { bpf_get_stack(ctx, frames.0.as_mut_ptr().cast(), (FRAMES * 8) as u32, 0) } <= 0 {
        return 0;
    }
    zcscope_caller(&frames, function.start, function.end)
}

/// The word behind the first one that is an address in `start .. end`; 0 when there is none. Exported like
/// [`crate::socket::zcscope_identify`]: where it is inlined, the verifier walks all that follows once for every way
/// through the loop. So are those below.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn zcscope_behind(words: *const Frames, start: u64, end: u64) -> u64 {
    // SAFETY: null or the caller's stack.
    let Some(Frames(words)) = (unsafe { words.as_ref() }) else { return 0 };
    let mut i = 0;
    while i < FRAMES - 1 {
        if words[i] >= start && words[i] < end {
            return words[i + 1];
        }
        i += 1;
    }
    0
}

/// Whether an address lies in a function that has a reason of its own; 0 for none, for a mere helper, and for code that
/// another tracer put in place of the real return address.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn zcscope_has_reason(address: u64) -> u64 {
    u64::from(address != 0 && !is_helper(address) && !is_detour(address))
}

/// Looks for the caller of the function at `start .. end` in a stack.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn zcscope_caller(frames: *const Frames, start: u64, end: u64) -> u64 {
    // SAFETY: null or the caller's stack.
    let Some(Frames(frames)) = (unsafe { frames.as_ref() }) else { return 0 };
    let (mut inside, mut first, mut i) = (false, 0, 0);
    while i < FRAMES {
        let frame = frames[i];
        i += 1;
        if !inside {
            inside = frame >= start && frame < end;
            continue;
        }
        if frame == 0 {
            break;
        }
        if !is_helper(frame) {
            return frame;
        }
        if first == 0 {
            first = frame;
        }
    }
    // Nothing but helpers: the stack was too short, and the nearest one is still better than nothing.
    first
}

/// Whether an address lies in one of these ranges of the configuration.
macro_rules! in_any {
    ($address:ident, $ranges:ident: $($n:literal)+) => {
        $(($address >= conf!($ranges[$n].start) && $address < conf!($ranges[$n].end)))||+
    };
}

#[inline(always)]
fn is_helper(address: u64) -> bool {
    in_any!(address, through: 0 1 2 3 4)
}

#[inline(always)]
fn is_detour(address: u64) -> bool {
    in_any!(address, detours: 0 1)
}
