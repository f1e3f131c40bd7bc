//! (room: commands)
