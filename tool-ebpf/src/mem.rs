//! How kernel memory is read: typed loads through BTF pointers in tracing programs, a helper elsewhere.

use core::arch::asm;
use core::intrinsics::{AtomicOrdering, atomic_and, atomic_or, atomic_xadd, atomic_xchg};
use core::mem::MaybeUninit;

use aya_ebpf::helpers::generated::bpf_probe_read_kernel;

/// A way to read a field at `base + off`.
pub trait Mem {
    /// Whether reading is one load and no call of a helper: cheap enough to look before it is needed.
    const TYPED: bool;

    /// Reads `T`; a fault reads as zero.
    ///
    /// # Safety
    /// `base` must be a pointer the back end may read through: a BTF pointer for [`Direct`], any for [`Probe`].
    unsafe fn read<T: Copy>(base: *const u8, off: u32) -> T;

    /// Reads three words that follow each other, in the fewest steps the back end has.
    ///
    /// # Safety
    /// As [`Mem::read`].
    unsafe fn read_three(base: *const u8, off: u32) -> [u32; 3];
}

/// A plain load. The verifier accepts it on pointers it has a BTF type for; one load per field of exactly its
/// size.
pub struct Direct;

impl Mem for Direct {
    const TYPED: bool = true;

    #[inline(always)]
    unsafe fn read<T: Copy>(base: *const u8, off: u32) -> T {
        // Volatile: loads must not be merged or widened, the verifier checks them field by field.
        unsafe { core::ptr::read_volatile(base.add(off as usize).cast::<T>()) }
    }

    #[inline(always)]
    unsafe fn read_three(base: *const u8, off: u32) -> [u32; 3] {
        unsafe { [Self::read(base, off), Self::read(base, off + 4), Self::read(base, off + 8)] }
    }
}

/// `bpf_probe_read_kernel`: for pointers without a type.
pub struct Probe;

impl Mem for Probe {
    const TYPED: bool = false;

    #[inline(always)]
    unsafe fn read<T: Copy>(base: *const u8, off: u32) -> T {
        unsafe { read(base.wrapping_add(off as usize)) }
    }

    #[inline(always)]
    unsafe fn read_three(base: *const u8, off: u32) -> [u32; 3] {
        unsafe { Self::read(base, off) }
    }
}

/// Reads `T`, for which zeros are a value, at an untyped kernel address; a fault reads as zero. The helper itself fills
/// with zeros then (`bpf_probe_read_kernel_common`, Linux 5.5 and later), so its result is not looked at: a branch would
/// cost at every read, and the verifier would walk all that follows twice.
#[inline(always)]
pub unsafe fn read<T: Copy>(ptr: *const u8) -> T {
    let mut value = MaybeUninit::<T>::uninit();
    // SAFETY: the helper writes all of `value`, and takes any address.
    unsafe {
        bpf_probe_read_kernel(value.as_mut_ptr().cast(), size_of::<T>() as u32, ptr.cast());
        value.assume_init()
    }
}

/// The address of a typed pointer as a plain number, which the verifier wants where a function of ours takes one.
#[inline(always)]
pub fn address(pointer: *const u8) -> u64 {
    let kept = pointer;
    // SAFETY: reads the variable above; by the helper, because a load would still be a pointer.
    unsafe { read((&raw const kept).cast()) }
}

/// The low half of a number that may be a typed pointer: the one bit of arithmetic the verifier allows on those is a
/// 32-bit move, which the compiler would merge with what follows.
#[inline(always)]
pub fn low_half(number: u64) -> u32 {
    let low: u32;
    // SAFETY: moves one register into another.
    unsafe { asm!("{0} = {1}", lateout(wreg) low, in(wreg) number as u32, options(pure, nomem, nostack)) };
    low
}

/// Copies a large structure of whole words, a word at a time: left alone, the compiler loads them all before it stores
/// the first, and the stack has no room for that.
#[inline(always)]
pub fn copy_words<T: Copy>(to: &mut T, from: &T) {
    let (to, from) = ((&raw mut *to).cast::<u64>(), (&raw const *from).cast::<u64>());
    const { assert!(size_of::<T>() % 8 == 0 && align_of::<T>() == 8) };
    let mut at = 0;
    while at < size_of::<T>() / 8 {
        // SAFETY: inside both structures, and aligned.
        unsafe { core::ptr::write_volatile(to.add(at), core::ptr::read_volatile(from.add(at))) };
        at += 1;
    }
}

/// Always 0, which the verifier does not know.
#[unsafe(no_mangle)]
static mut ZERO: u64 = 0;

/// The same number, unknown to the verifier: it walks through code once for every number it knows.
#[inline(always)]
pub fn unknown(number: u64) -> u64 {
    // SAFETY: a valid global.
    number.wrapping_add(unsafe { core::ptr::read_volatile(&raw const ZERO) })
}

/// Hides a bound that LLVM knows and would drop the check for, which the verifier needs.
#[inline(always)]
pub fn checked_by_verifier<T: Copy>(number: T) -> T {
    // SAFETY: a valid reference.
    unsafe { core::ptr::read_volatile(&raw const number) }
}

/// Adds to a counter that other CPUs may add to at the same time.
#[inline(always)]
pub fn add(counter: &mut u64, n: u64) {
    // SAFETY: a valid, aligned u64. Relaxed and without a result: one instruction on every kernel.
    unsafe { atomic_xadd::<u64, u64, { AtomicOrdering::Relaxed }>(counter, n) };
}

/// The same for a 32-bit counter.
#[inline(always)]
pub fn add32(counter: &mut u32, n: u32) {
    // SAFETY: a valid, aligned u32; as above.
    unsafe { atomic_xadd::<u32, u32, { AtomicOrdering::Relaxed }>(counter, n) };
}

/// Adds to a value that other CPUs may change at the same time; returns the value before.
///
/// The target has no compare-and-swap, so core offers no atomic types for it; the instructions exist.
#[inline(always)]
pub fn fetch_add(value: &mut u64, n: u64) -> u64 {
    // SAFETY: a valid, aligned u64.
    unsafe { atomic_xadd::<u64, u64, { AtomicOrdering::SeqCst }>(value, n) }
}

/// Replaces a value that other CPUs may change at the same time; returns the value before. A full barrier.
///
/// # Safety
/// `value` must be valid and aligned.
#[inline(always)]
pub unsafe fn swap(value: *mut u64, new: u64) -> u64 {
    unsafe { atomic_xchg::<u64, { AtomicOrdering::SeqCst }>(value, new) }
}

/// Sets bits that other CPUs may change at the same time; returns the value before. A full barrier.
#[inline(always)]
pub fn fetch_or(value: &mut u64, bits: u64) -> u64 {
    // SAFETY: a valid, aligned u64.
    unsafe { atomic_or::<u64, u64, { AtomicOrdering::SeqCst }>(value, bits) }
}

/// Keeps only these bits of a value that other CPUs may change at the same time; returns the value before.
#[inline(always)]
pub fn fetch_and(value: &mut u64, bits: u64) -> u64 {
    // SAFETY: a valid, aligned u64.
    unsafe { atomic_and::<u64, u64, { AtomicOrdering::SeqCst }>(value, bits) }
}
