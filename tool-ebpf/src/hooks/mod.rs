//! The programs: thin adapters from a kind of hook to the handlers. A program's name is `KIND_FUNCTION`.

mod kprobe;
mod tracepoint;
mod trampoline;
