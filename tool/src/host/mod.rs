//! (room: host)
