//! The weight of the kernel programs: how many instructions and calls of helpers each function of the object has. What
//! runs in every send must not grow unnoticed, and time is no measure in a test.
//!
//! `bpf/weights.txt` is the record. A function may become lighter; one that is heavier, or new, fails here until the
//! record is written anew (`ZCSCOPE_UPDATE_DOCS=1 cargo test -p zcscope --lib weight`) and the change can be seen.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use aya_obj::generated::bpf_insn;

use super::attach::OBJECT;
use super::facts::FACTS;

const RECORD: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/bpf/weights.txt");

/// `BPF_JMP | BPF_CALL`; with source register 0 it calls a helper.
const CALL: u8 = 0x85;

/// Instructions, and calls of helpers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Weight {
    instructions: usize,
    helpers: usize,
}

impl Weight {
    fn of(instructions: &[bpf_insn]) -> Self {
        let helper = |insn: &&bpf_insn| insn.code == CALL && insn.src_reg() == 0;
        Self { instructions: instructions.len(), helpers: instructions.iter().filter(helper).count() }
    }
}

fn weights() -> BTreeMap<String, Weight> {
    let object = aya_obj::Object::parse(OBJECT).unwrap();
    object.functions.values().map(|f| (f.name.clone(), Weight::of(&f.instructions))).collect()
}

fn recorded(text: &str) -> BTreeMap<String, Weight> {
    let rows = text.lines().filter(|line| !line.starts_with('#')).map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let number = |at: usize| words[at].parse().unwrap();
        (words[2].to_owned(), Weight { instructions: number(0), helpers: number(1) })
    });
    rows.collect()
}

fn text(weights: &BTreeMap<String, Weight>) -> String {
    let mut text = "# instructions, calls of helpers, function: at most\n".to_owned();
    for (name, weight) in weights {
        writeln!(text, "{:>6} {:>4}  {name}", weight.instructions, weight.helpers).unwrap();
    }
    text
}

/// What is heavier than on record.
fn heavier(now: &BTreeMap<String, Weight>, record: &BTreeMap<String, Weight>) -> Vec<String> {
    let heavier = |(name, now): (&String, &Weight)| match record.get(name) {
        Some(then) if now.instructions <= then.instructions && now.helpers <= then.helpers => None,
        then => Some(format!("{name}: {now:?}, on record {then:?}")),
    };
    now.iter().filter_map(heavier).collect()
}

#[test]
fn no_program_is_heavier_than_on_record() {
    let now = weights();
    assert!(now.len() > 20 && now.values().any(|weight| weight.helpers > 0), "{now:?}");
    if std::env::var_os("ZCSCOPE_UPDATE_DOCS").is_some() {
        std::fs::write(RECORD, text(&now)).unwrap();
    }
    let record = recorded(&std::fs::read_to_string(RECORD).unwrap());
    assert_eq!(heavier(&now, &record), Vec::<String>::new());
}

#[test]
fn a_heavier_or_unknown_function_is_found() {
    let weight = |instructions, helpers| Weight { instructions, helpers };
    let map = |weight| BTreeMap::from([("f".to_owned(), weight)]);
    let record = recorded("# about\n   100    4  f\n");
    assert_eq!(record, map(weight(100, 4)));
    assert!(heavier(&map(weight(90, 4)), &record).is_empty());
    assert_eq!(heavier(&map(weight(101, 4)), &record).len(), 1);
    assert_eq!(heavier(&map(weight(100, 5)), &record).len(), 1);
    assert_eq!(heavier(&map(weight(1, 0)), &BTreeMap::new()).len(), 1);
}

#[test]
fn a_twin_does_what_the_program_beside_it_does() {
    let weights = weights();
    let ways = FACTS.iter().flat_map(|fact| fact.ways);
    let pairs = ways.flat_map(|way| way.hooks.iter().map(move |hook| (way, hook)));
    let twins: Vec<_> = pairs.filter(|(_, hook)| hook.twin).collect();
    for (way, twin) in &twins {
        let first = way.hooks.iter().find(|hook| !hook.twin && hook.target == twin.target).unwrap();
        let weight = weights.get(&first.program());
        assert_eq!((weight.is_some(), weight), (true, weights.get(&twin.program())), "{}", twin.target);
    }
    assert!(!twins.is_empty());
}
