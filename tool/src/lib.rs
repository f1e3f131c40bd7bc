//! zcscope: what the Linux kernel really does with bytes a program meant to send without a copy.
//!
//! One room per job; arrows only point down this list (see ARCHITECTURE.md). `units` is
//! below all of them: figures as text, and the sizes and times people write.

pub mod cli;
pub mod commands;
pub mod config;
pub mod diagnose;
pub mod doctor;
pub mod explain;
pub mod host;
pub mod load;
pub mod matrix;
pub mod model;
pub mod privilege;
pub mod probe;
pub mod query;
pub mod record;
pub mod report;
pub mod timeline;
pub mod tui;
pub mod units;
