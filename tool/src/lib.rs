//! zcscope: what the Linux kernel really does with bytes a program meant to send without a copy.
//!
//! One room per job; arrows only point down this list (see ARCHITECTURE.md).

pub mod cli;
pub mod commands;
pub mod diagnose;
pub mod host;
pub mod load;
pub mod model;
pub mod privilege;
pub mod probe;
pub mod report;
pub mod tui;
