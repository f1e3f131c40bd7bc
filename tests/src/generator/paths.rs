//! Every send path of the generator as a traced program: the kernel's view has the same bytes under the path's name.
//!
//! How the paths themselves are traced is shown by the reference application on every back end; so most of these run
//! with the tracepoint back end only, and with the others those that are the generator's most intricate ones, or that
//! only guests have.

use crate::generator::one_path;
use crate::report::Verdict;
use crate::scenario::{Bench, Procedure};

/// All procedures of this kind.
pub(crate) const ALL: &[Procedure] = &[
    ("load_read_write", |bench| tracepoint(bench, "read_write", "copy")),
    ("load_iov", |bench| tracepoint(bench, "copy_iov", "copy")),
    ("load_mmap_write", |bench| tracepoint(bench, "mmap_write", "copy")),
    ("load_splice", |bench| one_path(bench, "splice", "splice")),
    ("load_vmsplice", |bench| tracepoint(bench, "vmsplice", "vmsplice")),
    ("load_uring_send", |bench| tracepoint(bench, "uring_send", "uring_send")),
    ("load_uring_bundle", |bench| tracepoint(bench, "uring_send_bundle", "uring_send")),
    ("load_uring_zc", |bench| tracepoint(bench, "uring_send_zc", "uring_send_zc")),
    ("load_uring_fixed", |bench| one_path(bench, "uring_send_zc_fixed", "uring_send_zc_fixed")),
    ("load_uring_sendmsg_zc", |bench| tracepoint(bench, "uring_sendmsg_zc", "uring_sendmsg_zc")),
    ("load_ktls", |bench| one_path(bench, "ktls", "ktls")),
    ("load_ktls_sendfile", |bench| one_path(bench, "ktls_sendfile", "ktls")),
];

/// One path, with the tracepoint back end only.
fn tracepoint(bench: &Bench, path: &str, traced: &str) -> anyhow::Result<Verdict> {
    if !bench.traces_by_tracepoint() {
        return Ok(Verdict::Skipped("the generator's paths are shown with the tracepoint back end".into()));
    }
    one_path(bench, path, traced)
}
