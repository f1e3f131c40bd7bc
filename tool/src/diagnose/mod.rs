//! (room: diagnose)
