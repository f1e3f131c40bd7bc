//! The reason table.
