//! DMA through bounce buffers, per device.

/// What one device could not reach itself while it transmitted.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BounceEntry {
    /// Name of the device on its bus, `0000:00:03.0`.
    pub name: [u8; 32],
    /// Mappings that went through a bounce buffer.
    pub count: u64,
    /// Bytes copied into bounce buffers.
    pub bytes: u64,
}

const _: () = assert!(size_of::<BounceEntry>() == 48);
