//! Examples at the end of every help text.

pub(super) const ALL: &str = "\
Examples:
  sudo zcscope                               watch all TCP sends of this host
  sudo zcscope demo                          make traffic and watch it: nothing to prepare
  sudo zcscope stat --duration 10s           trace ten seconds, then report copies and their fixes
  zcscope sink --listen '[::]:9000'          receive on one host, and on the other:
  sudo zcscope load msg_zerocopy --to HOST:9000

Tracing needs root, or CAP_BPF and CAP_PERFMON.
Exit codes: 0 good, 1 failed or a failed check, 2 wrong usage, 3 cannot trace here.";

pub(super) const TOP: &str = "\
Examples:
  sudo zcscope top
  sudo zcscope top -c nginx -i eth0          one program on one device
  sudo zcscope top --path sendfile --path msg_zerocopy

Keys: q quits, ? explains keys, words and what is not known here.";

pub(super) const STAT: &str = "\
Examples:
  sudo zcscope stat --duration 10s -p 1234
  sudo zcscope stat --json -o report.json -- ./server --once
  sudo zcscope stat --fail-if 'copied>1%,silent>0,reason:optmem,p99>5ms' -- ./benchmark
  zcscope stat --from run.zcr --json         the report of a recording";

pub(super) const LOAD: &str = "\
Examples:
  sudo zcscope load msg_zerocopy --to 10.0.0.2:9000
  sudo zcscope load sendfile --to 10.0.0.2:9000 --size 1M --streams 4 --duration 30s
  sudo zcscope load copy --to 10.0.0.2:9000 --streams 1000 --threads 2
  sudo zcscope load copy --to 10.0.0.2:9000 -i eth0 --bytes 10G --json
  sudo zcscope load msg_zerocopy --cable eth1,eth2   two ports of this host, joined by a cable
  sudo zcscope load msg_zerocopy --to 10.0.0.2:9000 --latency --rate 1K/s,50%,90% --size 16K

As root it also reports what the kernel did with exactly these sends; without, it only sends.
Nothing of the warm-up is in the result. A run of which more than 1 % was copied is headed COPIED.";

pub(super) const SINK: &str = "\
Examples:
  zcscope sink --listen '[::]:9000'
  zcscope sink --listen 10.0.0.2:9000 --mode trunc --once
  zcscope sink --listen 10.0.0.2:9000 --verify       checks what `load --verify` sends
  zcscope sink --listen 10.0.0.2:9000 --control 10.0.0.2:9001 --token-file token

A token for both hosts: (umask 077; head -c 32 /dev/urandom | base64 > token)
Exit codes: 0 good, 1 failed or wrong bytes came, 2 wrong usage.";

pub(super) const DOCTOR: &str = "\
Examples:
  sudo zcscope doctor                        this kernel, the default route, loopback
  sudo zcscope doctor --to 10.0.0.2          what every path will do on the way there
  sudo zcscope doctor --to 10.0.0.2 -p 1234  the same with the limits and namespace of a process
  sudo zcscope doctor --prove                try it over loopback and a veth pair of its own
  sudo zcscope doctor --prove --to 10.0.0.2:9000   try it against `zcscope sink` on another host

Changes nothing on the host; --prove sends 256 KiB over each send path; receiving is not tried.
Exit codes: 0 good, 1 something was not as predicted, 2 wrong usage, 3 cannot trace here (--prove).";

pub(super) const DEMO: &str = "\
Examples:
  sudo zcscope demo
  zcscope demo --replay                      recorded traffic: needs no rights
  sudo zcscope demo --headless --duration 10s
  sudo zcscope demo --link eth1,eth2         two spare devices joined by a cable

Network namespaces and devices of its own are gone when it ends, however it ends.";

pub(super) const MATRIX: &str = "\
Examples:
  sudo zcscope matrix                        all paths over loopback: do they work here?
  sudo zcscope matrix --to 10.0.0.2:9000 --sizes 1K..4M:x2 --json before.json
  sudo zcscope matrix --cable eth1,eth2 --paths copy,msg_zerocopy --sizes 16K,64K --streams 1,4
  zcscope matrix diff before.json after.json --threshold 5%

Runs are interleaved in random order; figures are medians with 95 % intervals, and nothing is called better
or worse while intervals overlap. A cell of which more than 1 % was copied is printed as copied.";

pub(super) const RECORD: &str = "\
Examples:
  sudo zcscope record -o night.zcr --max-size 200M
  sudo zcscope record -o run.zcr -- ./benchmark
  sudo zcscope record --duration 10m --interval 500ms -p 1234

`zcscope replay FILE` shows it, `zcscope stat --from FILE` reports it: both anywhere, without rights.
When half of --max-size is full, FILE becomes FILE.1 and a new FILE begins; replay reads both.";

pub(super) const REPLAY: &str = "\
Examples:
  zcscope replay run.zcr
  zcscope replay run.zcr --from 2m --speed 4
  zcscope stat --from run.zcr --at 2m        the report of that moment";

pub(super) const EXPLAIN: &str = "\
Examples:
  zcscope explain                            all ids: reasons, findings, paths, figures
  zcscope explain no_scatter_gather
  zcscope explain silent_copied_bytes 'held p99'";

pub(super) const SELFTEST: &str = "\
Examples:
  sudo zcscope selftest
  sudo zcscope selftest --json --only capture

Sends a little over loopback and veth pairs in network namespaces of its own, whose fate is known beforehand, and
compares what was seen with what the generator counted, to the byte. Nothing of the host is changed.
Exit codes: 0 all right, 1 something was wrong, 3 cannot trace here.";
