//! The table of all send paths: one row each, in the order help lists them.

use std::io;

use socket2::Socket;
use zcscope_common::Path;

use super::{
    SendPath, Setup, available, copy, copy_iov, ktls, mmap_write, msg_zerocopy, read_write, sendfile, splice,
    uring_bundle, uring_send, uring_zc, vmsplice,
};
use crate::load::pattern::Poison;
use crate::load::{tls, uring};

/// A send path as the command line knows it.
#[derive(Clone, Copy)]
pub struct PathEntry {
    /// Name on the command line and in JSON.
    pub name: &'static str,
    /// What the kernel side calls it.
    pub path: Path,
    /// What the path is measured as.
    pub class: Class,
    /// One line of help.
    pub about: &'static str,
    /// Whether this kernel and process can use it, found out by trying; the text is why not.
    pub available: fn() -> Result<(), String>,
    /// Sets it up on a connected socket, in the thread that will send.
    pub open: fn(&Setup, &Socket) -> io::Result<Box<dyn SendPath>>,
}

/// What a path is measured as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// The kernel copies by design: a baseline.
    Copies,
    /// The program asks for no copy and the kernel tells of the end of every send.
    Told,
    /// The program asks for no copy; the kernel tells nothing.
    Untold,
}

/// Every path there is.
pub static PATHS: &[PathEntry] = &[
    PathEntry {
        name: "copy",
        path: Path::Copy,
        class: Class::Copies,
        about: "send(2): the kernel copies every byte (the baseline)",
        available: available::always,
        open: copy::open,
    },
    PathEntry {
        name: "read_write",
        path: Path::Copy,
        class: Class::Copies,
        about: "read(2) a file into a buffer and write(2) it: a simple file server; two copies",
        available: available::memory_file,
        open: read_write::open,
    },
    PathEntry {
        name: "copy_iov",
        path: Path::Copy,
        class: Class::Copies,
        about: "sendmsg(2) of several parts (--iovecs)",
        available: available::always,
        open: copy_iov::open,
    },
    PathEntry {
        name: "mmap_write",
        path: Path::Copy,
        class: Class::Copies,
        about: "send(2) from a mapped file",
        available: available::memory_file,
        open: mmap_write::open,
    },
    PathEntry {
        name: "msg_zerocopy",
        path: Path::MsgZerocopy,
        class: Class::Told,
        about: "send(2), or sendmsg(2) of several parts, with MSG_ZEROCOPY; ends read from the error queue",
        available: available::always,
        open: msg_zerocopy::open,
    },
    PathEntry {
        name: "sendfile",
        path: Path::Sendfile,
        class: Class::Untold,
        about: "sendfile(2) from a file; the kernel tells nothing about the end",
        available: available::memory_file,
        open: sendfile::open,
    },
    PathEntry {
        name: "splice",
        path: Path::Splice,
        class: Class::Untold,
        about: "splice(2) from a file through a pipe; the kernel tells nothing about the end",
        available: available::splice,
        open: splice::open,
    },
    PathEntry {
        name: "vmsplice",
        path: Path::Vmsplice,
        class: Class::Untold,
        about: "vmsplice(2) of own pages into a pipe and splice(2); safe only if they never change",
        available: available::vmsplice,
        open: vmsplice::open,
    },
    PathEntry {
        name: "uring_send",
        path: Path::UringSend,
        class: Class::Copies,
        about: "io_uring send, one request at a time: the kernel copies",
        available: uring::has_send,
        open: uring_send::open,
    },
    PathEntry {
        name: "uring_send_bundle",
        path: Path::UringSend,
        class: Class::Copies,
        about: "io_uring send of several provided buffers by one request: the kernel copies",
        available: uring::has_bundle,
        open: uring_bundle::open,
    },
    PathEntry {
        name: "uring_send_zc",
        path: Path::UringSendZc,
        class: Class::Told,
        about: "io_uring zero-copy send",
        available: uring::has_send_zc,
        open: uring_zc::open,
    },
    PathEntry {
        name: "uring_send_zc_fixed",
        path: Path::UringSendZcFixed,
        class: Class::Told,
        about: "io_uring zero-copy send from registered buffers",
        available: uring::has_send_zc,
        open: uring_zc::open_fixed,
    },
    PathEntry {
        name: "uring_sendmsg_zc",
        path: Path::UringSendmsgZc,
        class: Class::Told,
        about: "io_uring zero-copy sendmsg of several parts (--iovecs)",
        available: uring::has_sendmsg_zc,
        open: uring_zc::open_message,
    },
    PathEntry {
        name: "ktls",
        path: Path::Ktls,
        class: Class::Copies,
        about: "send(2) on a kernel TLS socket, encrypted in software",
        available: tls::available,
        open: ktls::open,
    },
    PathEntry {
        name: "ktls_sendfile",
        path: Path::Ktls,
        class: Class::Copies,
        about: "sendfile(2) on a kernel TLS socket, encrypted in software",
        available: tls::available,
        open: ktls::open_sendfile,
    },
];

impl PathEntry {
    /// The path with this name.
    ///
    /// # Errors
    /// No such path; the text lists all of them.
    pub fn from_name(name: &str) -> Result<&'static PathEntry, String> {
        PATHS.iter().find(|entry| entry.name == name).ok_or_else(|| {
            let known: Vec<_> = PATHS.iter().map(|entry| entry.name).collect();
            format!("no such send path; one of {}", known.join(", "))
        })
    }

    /// Refuses to overwrite buffers too early on purpose where that breaks no rule, because then nothing could be caught:
    /// only a path that is told of the end of a send has a time before which its buffer is not its own.
    ///
    /// # Errors
    /// One sentence, with the paths that can.
    pub fn check_poison(&self, verify: Option<Poison>, so_zerocopy: bool) -> Result<(), String> {
        let told = self.class == Class::Told;
        let ignored = self.path == Path::MsgZerocopy && !so_zerocopy;
        if verify != Some(Poison::TooEarly) || told && !ignored {
            return Ok(());
        }
        let name = self.name;
        if ignored {
            return Err(format!(
                "--reuse-early breaks no rule on {name} with --no-so-zerocopy: the kernel copies before the call \
                 returns, so there is nothing to catch; leave one of the two out"
            ));
        }
        let able = PATHS.iter().filter(|entry| entry.class == Class::Told).map(|entry| entry.name);
        Err(format!(
            "--reuse-early breaks no rule on {name}, which is never told that the kernel is done with a buffer (it copies, \
             or sends what never changes), so there is nothing to catch; use it with {}",
            able.collect::<Vec<_>>().join(", ")
        ))
    }
}

impl std::fmt::Debug for PathEntry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_and_unknown_ones_get_the_list() {
        for entry in PATHS {
            assert_eq!(PathEntry::from_name(entry.name).unwrap().name, entry.name);
        }
        let error = PathEntry::from_name("teleport").unwrap_err();
        assert!(error.contains("copy, read_write, copy_iov, "), "{error}");
    }

    #[test]
    fn buffers_are_overwritten_too_early_only_where_that_can_be_caught() {
        let refused = |name: &str, poison, so_zerocopy| {
            PathEntry::from_name(name).unwrap().check_poison(poison, so_zerocopy).err().unwrap_or_default()
        };
        let early = Some(Poison::TooEarly);
        for entry in PATHS {
            let text = refused(entry.name, early, true);
            assert_eq!(text.is_empty(), entry.path.has_completion(), "{}: {text}", entry.name);
            for harmless in [None, Some(Poison::AfterEnd)] {
                assert_eq!(refused(entry.name, harmless, false), "", "{}", entry.name);
            }
        }
        let text = refused("vmsplice", early, true);
        assert!(
            text.ends_with("with msg_zerocopy, uring_send_zc, uring_send_zc_fixed, uring_sendmsg_zc"),
            "{text}"
        );
        assert!(refused("msg_zerocopy", early, false).contains("--no-so-zerocopy"));
        assert_eq!(refused("uring_send_zc", early, false), "", "it needs no SO_ZEROCOPY");
    }

    #[test]
    fn classes_agree_with_what_the_kernel_side_says_of_the_path() {
        for entry in PATHS {
            assert_eq!(entry.path.wants_zerocopy(), entry.class != Class::Copies, "{}", entry.name);
            assert_eq!(entry.path.has_completion(), entry.class == Class::Told, "{}", entry.name);
        }
    }

    #[test]
    fn what_is_not_available_says_why_in_one_sentence() {
        for entry in PATHS {
            if let Err(why) = (entry.available)() {
                assert!(why.len() > 20 && !why.ends_with('.'), "{}: {why:?}", entry.name);
            }
        }
    }
}
