//! Arguments of every verb that measures sends, `load` and `matrix`: what is sent from, how the sockets are set, and
//! which threads send on which CPUs.

use std::path::PathBuf;

use crate::load::LoadError;
use crate::load::engine::{MAX_DEPTH, MAX_STREAMS, Plan};
use crate::load::knobs::SendBuffer;
use crate::load::memory::PageKind;
use crate::load::paths::{Setup, Source};
use crate::load::placement::{self, CpuList, Placement};
use crate::units::parse_size;

const MAX_IOVECS: i64 = 1024;

/// How to send, and on which CPUs.
#[derive(Clone, Debug, clap::Args)]
pub struct HowArgs {
    /// Limit of the send queue: depth (size x depth and an eighth, so that copying paths have no more in flight than
    /// the others), system (what the kernel tunes it to), or a size.
    #[arg(long, default_value = "depth", value_name = "SIZE", help_heading = "How")]
    sndbuf: SendBuffer,
    /// Buffers, or file, to rotate through, over all streams; at least size x depth each. A small one stays in the
    /// CPU's cache and flatters copies.
    #[arg(long, default_value = "16M", value_parser = parse_size, value_name = "SIZE", help_heading = "How")]
    working_set: u64,
    /// Pages the buffers live on.
    #[arg(long, value_enum, default_value_t, value_name = "KIND", help_heading = "How")]
    page: PageKind,
    /// Where file paths read from: memfd, or a directory for a file of the run's own.
    #[arg(long, default_value = "memfd", value_name = "memfd|DIR", value_parser = parse_source, help_heading = "How")]
    source: Source,
    /// Parts of one send, on paths that send several.
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=MAX_IOVECS), help_heading = "How")]
    iovecs: u32,
    /// Sends between two looks at the ends of sends [default: a quarter of the depth].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_DEPTH)), help_heading = "How")]
    reap_every: Option<u32>,
    /// Tell the kernel that more follows (MSG_MORE).
    #[arg(long, help_heading = "How")]
    more: bool,
    /// Set TCP_NODELAY; load --latency always does.
    #[arg(long, help_heading = "How")]
    nodelay: bool,
    /// Leave SO_ZEROCOPY unset: the kernel then ignores MSG_ZEROCOPY and copies.
    #[arg(long, help_heading = "How")]
    no_so_zerocopy: bool,
    /// Congestion control [default: the system's].
    #[arg(long, value_name = "NAME", help_heading = "How")]
    cc: Option<String>,

    /// Sending threads, which share the connections evenly and serve each in turn [default: one for each connection].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_STREAMS)), help_heading = "CPUs")]
    threads: Option<u32>,
    /// Keep thread n on the n-th of these CPUs (0,2-3) [default: of all allowed ones].
    #[arg(long, value_name = "LIST", group = "placement", help_heading = "CPUs")]
    cpu: Option<CpuList>,
    /// Keep each thread on the CPU that handles its flow's acknowledgements (SO_INCOMING_CPU after the warm-up).
    #[arg(long, group = "placement", help_heading = "CPUs")]
    same_core: bool,
    /// Keep each thread on another CPU than that.
    #[arg(long, group = "placement", help_heading = "CPUs")]
    other_core: bool,
    /// Let the scheduler move the sending threads between CPUs.
    #[arg(long, group = "placement", help_heading = "CPUs")]
    no_pin: bool,
}

/// What is sent how: what each verb has its own flags for.
#[derive(Clone, Copy, Debug)]
pub struct Sends {
    /// Bytes per send.
    pub size: u64,
    /// Most sends outstanding per connection.
    pub depth: u64,
    /// Connections.
    pub streams: u64,
}

fn parse_source(text: &str) -> Result<Source, String> {
    if text == "memfd" {
        return Ok(Source::Memfd);
    }
    let directory = PathBuf::from(text);
    if directory.is_dir() {
        Ok(Source::Directory(directory))
    } else {
        Err("neither memfd nor a directory".into())
    }
}

impl HowArgs {
    /// A plan with everything set that is asked for here; path, targets and limits are the caller's.
    ///
    /// # Errors
    /// A figure too large for this machine, or a CPU this process may not use.
    pub fn plan(&self, sends: Sends) -> Result<Plan, LoadError> {
        Ok(Plan {
            setup: self.setup(sends)?,
            placement: self.placement()?,
            cc: self.cc.clone(),
            streams: whole(sends.streams, "--streams")?,
            threads: self.threads.map(|n| n as usize),
            sndbuf: self.sndbuf,
            nodelay: self.nodelay,
            ..Plan::default()
        })
    }

    /// Bytes of buffers all connections together rotate through.
    #[must_use]
    pub const fn working_set(&self) -> u64 {
        self.working_set
    }

    /// Whether `SO_ZEROCOPY` is set where a path needs it.
    #[must_use]
    pub const fn so_zerocopy(&self) -> bool {
        !self.no_so_zerocopy
    }

    fn setup(&self, sends: Sends) -> Result<Setup, LoadError> {
        Ok(Setup {
            size: whole(sends.size, "--size")?,
            depth: whole(sends.depth, "--depth")?,
            working_set: whole(self.working_set / sends.streams.max(1), "--working-set")?,
            so_zerocopy: self.so_zerocopy(),
            iovecs: self.iovecs as usize,
            pages: self.page,
            source: self.source.clone(),
            more: self.more,
            reap_every: self.reap_every.map(|n| n as usize),
            ..Setup::default()
        })
    }

    fn placement(&self) -> Result<Placement, LoadError> {
        if let Some(CpuList(cpus)) = &self.cpu {
            let allowed = placement::allowed();
            if let Some(cpu) = cpus.iter().find(|cpu| !allowed.is_empty() && !allowed.contains(cpu)) {
                return Err(LoadError::Usage(format!(
                    "CPU {cpu} is not one this process may use; `taskset -cp $$` shows which are"
                )));
            }
            return Ok(Placement::Cpus(cpus.clone()));
        }
        Ok(match (self.same_core, self.other_core, self.no_pin) {
            (true, ..) => Placement::SameCore,
            (_, true, _) => Placement::OtherCore,
            (.., true) => Placement::Free,
            _ => Placement::Spread,
        })
    }
}

fn whole(number: u64, flag: &str) -> Result<usize, LoadError> {
    usize::try_from(number).map_err(|_| LoadError::Usage(format!("{flag} is too large here")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        how: HowArgs,
    }

    const SENDS: Sends = Sends { size: 64 << 10, depth: 16, streams: 2 };

    fn plan(flags: &str) -> Result<Plan, String> {
        let words = ["zcscope"].into_iter().chain(flags.split_whitespace());
        let line = Line::try_parse_from(words).map_err(|error| error.to_string())?;
        line.how.plan(SENDS).map_err(|error| error.to_string())
    }

    #[test]
    fn careful_defaults() {
        let plan = plan("").unwrap();
        assert_eq!((plan.setup.size, plan.setup.depth, plan.streams), (64 << 10, 16, 2));
        assert_eq!((plan.sndbuf, plan.threads, plan.cc), (SendBuffer::InFlight, None, None));
        assert_eq!(
            (plan.setup.pages, plan.setup.source, plan.setup.iovecs),
            (PageKind::Base, Source::Memfd, 1)
        );
        assert_eq!((plan.setup.so_zerocopy, plan.setup.more, plan.nodelay), (true, false, false));
        assert_eq!(plan.placement, Placement::Spread);
    }

    #[test]
    fn every_flag_reaches_the_plan() {
        let plan = plan(
            "--sndbuf 4M --page hugetlb --source /tmp --iovecs 8 --reap-every 3 --more --nodelay \
             --no-so-zerocopy --cc reno --threads 1 --no-pin",
        )
        .unwrap();
        assert_eq!((plan.sndbuf, plan.setup.pages), (SendBuffer::Bytes(4 << 20), PageKind::Hugetlb));
        assert_eq!((plan.setup.iovecs, plan.setup.reap_every), (8, Some(3)));
        assert_eq!((plan.setup.so_zerocopy, plan.setup.more, plan.nodelay), (false, true, true));
        assert_eq!((plan.cc.as_deref(), plan.threads), (Some("reno"), Some(1)));
        assert_eq!((plan.setup.source, plan.placement), (Source::Directory("/tmp".into()), Placement::Free));
    }

    #[test]
    fn the_working_set_is_shared_out() {
        assert_eq!(plan("").unwrap().setup.working_set, 8 << 20);
        assert_eq!(plan("--working-set 64M").unwrap().setup.working_set, 32 << 20);
    }

    #[test]
    fn threads_are_placed_in_one_way_only() {
        assert_eq!(plan("--same-core").unwrap().placement, Placement::SameCore);
        assert_eq!(plan("--other-core").unwrap().placement, Placement::OtherCore);
        let allowed = placement::allowed()[0];
        assert_eq!(plan(&format!("--cpu {allowed}")).unwrap().placement, Placement::Cpus(vec![allowed]));
        assert!(plan("--same-core --no-pin").is_err());
        assert!(plan("--cpu 1023").unwrap_err().contains("may use"));
    }

    #[test]
    fn what_is_none_is_refused() {
        for flags in
            ["--source /no/such/place", "--threads 0", "--iovecs 1025", "--page 3k", "--reap-every 0"]
        {
            assert!(plan(flags).is_err(), "{flags}");
        }
    }
}
