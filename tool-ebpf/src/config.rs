//! The configuration user space writes before load. Read volatile, so that neither rustc nor LLVM folds the
//! zeroes compiled in; the verifier knows the values, because the map is frozen.

use zcscope_common::Config;

#[unsafe(no_mangle)]
#[unsafe(link_section = ".rodata")]
pub static CONFIG: Config = unsafe { core::mem::zeroed() };

/// Reads one field of the configuration, e.g. `conf!(off.skb_len)`.
macro_rules! conf {
    ($($field:tt)+) => {
        $crate::config::constant(&$crate::config::CONFIG.$($field)+)
    };
}
pub(crate) use conf;

/// Reads a constant of `.rodata` as the loader wrote it.
#[inline(always)]
pub fn constant<T: Copy>(field: &'static T) -> T {
    // SAFETY: a valid reference.
    unsafe { core::ptr::read_volatile(field) }
}
