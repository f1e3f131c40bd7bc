use std::sync::Arc;

use zcscope_common::{Path, Reason};

use super::*;
use crate::model::sample::CopyKind;
use crate::model::snapshot::{
    Completions, CopyFigures, GaugeFigures, InFlight, Ledger, PathFigures, Percentiles, Place, SocketIdentity,
};

fn zerocopy(path: Path, requested: u64, copied: Option<u64>) -> PathFigures {
    let ledger = Ledger {
        requested_bytes: requested,
        copied_bytes: copied,
        zerocopied_bytes: copied.map(|copied| requested - copied),
        silent_copied_bytes: copied,
        clone_copied_bytes: Some(0),
    };
    PathFigures { calls: 100, bytes: requested, ledger: Some(ledger), ..PathFigures::nothing(path) }
}

/// nginx sends files (2 % copied) and answers plainly.
fn nginx() -> SocketFigures {
    let mut sendfile = zerocopy(Path::Sendfile, 100 << 20, Some(2 << 20));
    sendfile.bytes_per_s = 200_000_000;
    let kind = CopyKind {
        reason: Reason::Loopback,
        site: "skb_copy_ubufs".into(),
        caller: None,
        dev: Some("lo".into()),
        clone: false,
        told: false,
        inferred: false,
    };
    sendfile.copies = vec![CopyFigures {
        kind: Arc::new(kind),
        count: 1,
        bytes: 2 << 20,
        bytes_per_s: 0,
        first_ns: 0,
        last_ns: 0,
    }];
    let plain = PathFigures { calls: 3, bytes: 4_096, ..PathFigures::nothing(Path::Copy) };
    SocketFigures {
        identity: Arc::new(SocketIdentity {
            id: 1,
            cookie: Some(77),
            pid: 4_242,
            comm: "nginx: worker".into(),
            local: "[::ffff:10.9.0.1]:443".parse().unwrap(),
            remote: "10.1.2.3:51514".parse().unwrap(),
            dev: Some("eth0".into()),
            uid: 33,
            place: Place {
                netns: Some(4_026_531_840),
                netns_name: Some("blue".into()),
                cgroup: Some("/system.slice/nginx.service".into()),
                container: None,
            },
        }),
        gauges: None,
        alive: true,
        paths: vec![sendfile, plain],
    }
}

/// feedd sends with notifications; copies cannot be seen.
fn blind() -> SocketFigures {
    let mut zc = zerocopy(Path::MsgZerocopy, 1 << 30, None);
    zc.refused = vec![(Reason::Optmem, 7)];
    zc.in_flight = Some(InFlight { sends: 1, bytes: 65_536, pages: None });
    zc.completions = Some(Box::new(Completions {
        sends: 50,
        latency: Some(Percentiles {
            count: 50,
            p50: 40_000,
            p99: 6_000_000,
            max: 9_000_000,
            ..Percentiles::default()
        }),
        ..Completions::default()
    }));
    SocketFigures {
        identity: Arc::new(SocketIdentity {
            id: 2,
            pid: 99,
            comm: "feedd".into(),
            local: "[2001:db8::17]:9999".parse().unwrap(),
            remote: "[2001:db8:1::6]:40000".parse().unwrap(),
            dev: None,
            place: Place::default(),
            cookie: None,
            uid: 0,
        }),
        gauges: Some(Box::new(GaugeFigures {
            optmem_bytes: Some(60_000),
            optmem_max_bytes: Some(100_000),
            pages_in_flight: Some(2_000),
            ..GaugeFigures::default()
        })),
        alive: false,
        paths: vec![zc],
    }
}

fn meant(text: &str) -> Vec<u64> {
    let query = Query::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    [nginx(), blind()].iter().filter(|socket| query.matches(socket)).map(|socket| socket.id).collect()
}

#[test]
fn every_field_finds_the_sockets_it_means() {
    for (text, ids) in [
        ("", &[1, 2][..]),
        ("path:sendfile", &[1]),
        ("path:copy,msg_zerocopy", &[1, 2]),
        ("path~ZERO", &[2]),
        ("path:send*", &[1]),
        ("comm~nginx", &[1]),
        ("comm:nginx", &[]),
        ("comm:\"nginx: worker\"", &[1]),
        ("comm:ng*er", &[1]),
        ("comm:feedd,x", &[2]),
        ("pid:4242", &[1]),
        ("pid:1-100", &[2]),
        ("port:443", &[1]),
        ("lport:443", &[1]),
        ("rport:443", &[]),
        ("port:40000,51514", &[1, 2]),
        ("remote:10.0.0.0/8", &[1]),
        ("remote:10.1.2.3", &[1]),
        ("remote:10.1.2.3:51514", &[1]),
        ("remote:0.0.0.0/0", &[1]),
        ("remote:::/0", &[2]),
        ("remote:2001:db8:1::/48", &[2]),
        ("local:10.9.0.1", &[1]),
        ("local:[2001:db8::17]:9999", &[2]),
        ("addr:10.9.0.1,2001:db8:1::6", &[1, 2]),
        ("remote~2001:db8", &[2]),
        ("dev:eth0", &[1]),
        ("dev:eth*", &[1]),
        ("state:alive", &[1]),
        ("state:ended", &[2]),
        ("reason:loopback", &[1]),
        ("reason:optmem", &[2]),
        ("rate>1G", &[1]),
        ("rate>1.6G", &[]),
        ("rate>=200MB/s", &[1]),
        ("bytes>100M", &[1, 2]),
        ("bytes>500MiB", &[2]),
        ("copied>1%", &[1]),
        ("copied>=2M", &[1]),
        ("copied>2M", &[]),
        ("copied:n/a", &[2]),
        ("zerocopied<99%", &[1]),
        ("silent>0", &[1]),
        ("clone:0", &[1, 2]),
        ("inflight>64k", &[]),
        ("inflight=64K", &[2]),
        ("requested>0", &[1, 2]),
        ("p99>5ms", &[2]),
        ("p50<50us", &[2]),
        ("held>8ms", &[2]),
        ("pinned>=2k", &[2]),
        ("optmem>50%", &[2]),
        ("unread:n/a", &[1, 2]),
        ("told_wrong:-", &[1, 2]),
        ("refused>5%", &[2]),
        ("errors:0", &[1, 2]),
        ("calls!=100", &[1]),
        ("netns:blue", &[1]),
        ("netns:4026531840", &[1]),
        ("cgroup~nginx.service", &[1]),
        ("container~docker", &[]),
        ("uid:33", &[1]),
        ("cookie:77", &[1]),
    ] {
        assert_eq!(meant(text), ids, "{text}");
        let tested = super::parse::split(text).map(|(name, ..)| name);
        assert!(tested.is_none_or(|name| FIELDS.iter().any(|field| field.name == name)), "{text}");
    }
}

#[test]
fn every_example_of_the_table_is_understood() {
    for field in FIELDS {
        for example in field.example.split(' ') {
            assert!(example.starts_with(field.name), "{example}");
            Query::parse(example).unwrap_or_else(|error| panic!("{example}: {error}"));
        }
    }
}

#[test]
fn words_are_looked_for_in_names_and_addresses() {
    for (text, ids) in [
        ("NGINX", &[1][..]),
        ("\"x: w\"", &[1]),
        ("10.1.2", &[1]),
        ("10.9.0.1:443", &[1]),
        ("2001:db8", &[2]),
        ("feed", &[2]),
        ("zzz", &[]),
        ("\"pid:1\"", &[]),
    ] {
        assert_eq!(meant(text), ids, "{text}");
    }
}

#[test]
fn terms_combine() {
    for (text, ids) in [
        ("path:sendfile copied>1% port:443 comm~nginx dev:eth0", &[1][..]),
        ("path:sendfile state:ended", &[]),
        ("path:sendfile or state:ended", &[1, 2]),
        ("path:sendfile and comm~feed or pid:99", &[2]),
        ("pid:99 or path:sendfile comm~feed", &[2]),
        ("(pid:99 or path:sendfile) comm~feed", &[2]),
        ("!state:ended", &[1]),
        ("not state:ended", &[1]),
        ("!(pid:99 or pid:4242)", &[]),
        ("! ! pid:99", &[2]),
    ] {
        assert_eq!(meant(text), ids, "{text}");
    }
}

#[test]
fn what_is_not_known_is_neither_so_nor_otherwise() {
    for text in [
        "copied>1% pid:99",
        "!copied>1% pid:99",
        "copied<=1% pid:99",
        "!reason:loopback pid:99",
        "!dev:eth0 pid:99",
    ] {
        assert_eq!(meant(text), [] as [u64; 0], "{text}");
    }
    // What settles the rest without it is an answer.
    assert_eq!(meant("copied>1% or pid:99"), [1, 2]);
    assert_eq!(meant("!(copied>1% pid:99)"), [1]);
    // A socket that never asked for zero-copy has no share of it.
    let mut plain = nginx();
    plain.paths.remove(0);
    for text in ["copied<1%", "copied:0", "!copied>1%", "p99<1s"] {
        assert!(!Query::parse(text).unwrap().matches(&plain), "{text}");
    }
    assert!(Query::parse("copied:n/a").unwrap().matches(&plain));
}

#[test]
fn errors_point_at_their_place_and_say_what_to_write() {
    for (text, part, what) in [
        ("pid:1 cmm:x", "cmm", "there is no field \"cmm\"; did you mean comm?"),
        ("path:sendfil", "sendfil", "there is no path \"sendfil\"; did you mean sendfile?"),
        ("reason:xyz", "xyz", "there is no reason \"xyz\""),
        ("copied>", "", "copied> needs a value: copied>1% copied>1M"),
        ("rate>fast", "fast", "\"fast\" is no value for rate: 1G (bits per second) or 100MB/s"),
        ("bytes>1%", "1%", "bytes has no share in per cent: bytes>10M"),
        ("copied>x%", "x%", "\"x%\" is no share: write for example 1% or 0.5%"),
        ("comm>5", "5", "comm> means nothing: comm is asked for as in comm:nginx comm~web comm:ng*"),
        ("copied~5", "5", "copied is a figure: compare it, as in copied>1% copied>1M"),
        ("pid:abc", "abc", "\"abc\" is no number: pid:123"),
        (
            "remote:10.0.0.0/33",
            "10.0.0.0/33",
            "\"10.0.0.0/33\" is no address: remote:10.0.0.0/8 remote~2001:db8",
        ),
        ("pid:1 (comm:x", "(", "this ( is not closed: write ) behind"),
        ("pid:1 ) comm:x", ")", "this ) closes nothing: leave it out, or write ( before"),
        ("pid:1 or", "", "something must follow here, such as path:sendfile"),
        ("or pid:1", "or", "a term must stand before this, such as path:sendfile"),
        ("comm:\"x", "\"x", "a quote is open: end it with \""),
        ("comm:ä path:\"日\"", "path:\"日\"", "there is no path \"日\""),
    ] {
        let error = Query::parse(text).expect_err(text);
        assert_eq!((&text[error.at.clone()], error.what.as_str()), (part, what), "{text}");
    }
    let deep = format!("{}pid:1{}", "(".repeat(100), ")".repeat(100));
    assert!(Query::parse(&deep).expect_err("too deep").what.contains("32"));
}

#[test]
fn nothing_that_can_be_typed_panics() {
    let texts = [
        "(path:sendfile or !copied>1%) comm:\"日 本\" remote:10.0.0.0/8 port:1-9,7",
        "p99>=5ms,!~%",
        "\u{3000}x:\u{3000}",
    ];
    let pieces = ["", "(", "!", "\"", "日", ":", ">", "%", " or ", "/", "-", ",", "*", "[", "]"];
    for text in texts {
        for (at, _) in text.char_indices() {
            for piece in pieces {
                let text = format!("{}{piece}{}", &text[..at], &text[at..]);
                if let Err(error) = Query::parse(&text) {
                    assert!(text.get(error.at.clone()).is_some(), "{text}: {error:?}");
                } else if let Ok(query) = Query::parse(&text) {
                    let _ = query.matches(&nginx());
                }
                let completion = complete(&text, at);
                assert!(text.get(completion.at.clone()).is_some(), "{text}: {completion:?}");
            }
        }
    }
}

#[test]
fn completion_knows_fields_and_their_words() {
    let words = |text: &str| complete(text, text.len()).words;
    assert_eq!(words("pid:1 co"), ["comm:", "copied", "container:", "cookie:"]);
    assert_eq!(words("!(sta"), ["state:"]);
    assert_eq!(words("path:sendf"), ["sendfile"]);
    assert_eq!(words("path:copy,spl"), ["splice"]);
    assert_eq!(words("state:"), ["alive", "ended"]);
    assert_eq!(words("comm:x"), [] as [&str; 0]);
    assert_eq!(complete("path:sendf x", 10), Completion { at: 5..10, words: vec!["sendfile".into()] });
    assert_eq!(words("").len(), FIELDS.len());
}
