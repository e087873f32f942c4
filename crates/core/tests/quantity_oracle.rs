//! Holds [`Quantity`] to Go's `resource.Quantity`: the same texts are read, they compare alike and print alike.
//!
//! The oracle is `tests/controlplane/cmd/quantity-oracle`, built by `go build`. Where `go` is missing the test says that it
//! was skipped; with `DBSCALE_REQUIRE_GO=1` it fails instead. The texts are the same in every run.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, io, thread};

use dbscale_core::quantity::{MAX_DIGITS, Quantity, QuantityError};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::strategy::ValueTree;
use proptest::string::{RegexGeneratorStrategy, string_regex};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde::Deserialize;

/// How many different texts, and how many pairs that both sides read, are compared at least.
const AT_LEAST: usize = 10_000;

/// What the oracle says of one or two texts.
#[derive(Debug, Deserialize)]
struct Answer {
    r#in: Vec<String>,
    ok: Vec<bool>,
    canonical: Vec<String>,
    string: Vec<String>,
    cmp: Option<i8>,
    /// The oracle read nothing: one of the texts has an exponent of more than three digits.
    #[serde(default)]
    bounded: bool,
}

/// What was seen, by kind. All but the first two are differences that are meant; every other one is a failure.
#[derive(Debug, Default)]
struct Seen {
    read_alike: usize,
    refused_alike: usize,
    exponent_too_long: usize,
    too_many_digits: usize,
    too_large: Vec<String>,
    unit_lost_by_go: usize,
    kept_as_written_by_go: usize,
}

#[test]
fn reads_and_prints_as_go_does() {
    let Some(oracle) = oracle() else { return };
    let texts: BTreeSet<String> = examples().into_iter().chain(generate(&any_text(), 20_000)).collect();
    assert!(texts.len() >= AT_LEAST, "only {} different texts", texts.len());

    let mut seen = Seen::default();
    let asked: Vec<Vec<String>> = texts.into_iter().map(|text| vec![text]).collect();
    let disagree: Vec<String> =
        ask(&oracle, &asked).iter().filter_map(|answer| judge(&mut seen, answer, 0).err()).collect();
    report(&disagree);

    // A test in which one verdict never comes up would prove nothing about it.
    assert!(seen.read_alike >= 5_000 && seen.refused_alike >= 1_000, "{seen:?}");
    assert!(seen.exponent_too_long >= 100 && seen.too_many_digits >= 100 && seen.too_large.len() >= 100, "{seen:?}");
    assert!(seen.unit_lost_by_go >= 3 && seen.kept_as_written_by_go >= 100, "{seen:?}");

    // What is refused here as too large must be 10^29 or more to Go.
    let size = |text: &String| text.trim_start_matches(['+', '-']).to_owned();
    let limits: Vec<Vec<String>> = seen.too_large.iter().map(|text| vec![size(text), "1e29".to_owned()]).collect();
    for answer in ask(&oracle, &limits) {
        assert!(answer.cmp.is_some_and(|order| order >= 0), "refused as too large: {answer:?}");
    }
}

#[test]
fn compares_as_go_does() {
    let Some(oracle) = oracle() else { return };
    let other_unit = (number(), select(UNITS), select(UNITS)).prop_map(|(n, a, b)| vec![n.clone() + a, n + b]);
    let a_bit_more = (0..10_000_u64, 0..20_usize, select(UNITS))
        .prop_map(|(n, zeros, unit)| vec![format!("{n}{unit}"), format!("{n}.{}1{unit}", "0".repeat(zeros))]);
    let respelled = (-4000..4000_i64, 0..3_i64, select(SAME)).prop_map(|(n, more, (times, large, small))| {
        vec![format!("{n}{large}"), format!("{}{small}", n * times + more)]
    });
    let free = prop::collection::vec(readable(), 2);
    // What is printed here must mean the same to Go.
    let printed = readable().prop_filter_map("is read", |text| {
        let printed = text.parse::<Quantity>().ok()?.to_string();
        Some(vec![text, printed])
    });
    let asked: Vec<Vec<String>> =
        [other_unit.boxed(), a_bit_more.boxed(), respelled.boxed(), free.boxed(), printed.boxed()]
            .iter()
            .flat_map(|pairs| generate(pairs, 4_000))
            .collect();

    let (mut compared, mut different, mut disagree) = (0, 0, Vec::new());
    let mut seen = Seen::default();
    for answer in ask(&oracle, &asked) {
        disagree.extend((0..2).filter_map(|place| judge(&mut seen, &answer, place).err()));
        let ours = [0, 1].map(|place| answer.r#in[place].parse::<Quantity>());
        let (Some(theirs), [Ok(a), Ok(b)]) = (answer.cmp, ours) else { continue };
        compared += 1;
        different += usize::from(a != b);
        if a.cmp(&b) as i8 != theirs {
            disagree.push(format!("{:?}: Go says {theirs}, we say {:?}", answer.r#in, a.cmp(&b)));
        }
    }
    report(&disagree);
    assert!(compared >= AT_LEAST, "only {compared} pairs were read on both sides");
    assert!((compared / 10..compared * 9 / 10).contains(&different), "{different} of {compared} differ");
}

/// Compares what Go and we make of one text of an answer, and counts the differences that are meant.
fn judge(seen: &mut Seen, answer: &Answer, place: usize) -> Result<(), String> {
    let text = &answer.r#in[place];
    let ours = text.parse::<Quantity>();
    if answer.bounded {
        seen.exponent_too_long += usize::from(matches!(ours, Err(QuantityError::ExponentTooLong { .. })));
        // Of two texts one may be fine.
        let fine = ours.is_err() || answer.r#in.len() == 2;
        return if fine { Ok(()) } else { Err(format!("{text:?} is bounded in the oracle, not here")) };
    }
    let (ok, canonical, string) = (answer.ok[place], &answer.canonical[place], &answer.string[place]);
    match ours {
        Ok(ours) if ok => {
            let printed = ours.to_string();
            if *canonical == printed {
                seen.read_alike += 1;
            } else if printed.ends_with("000E") && is_without_unit(&printed, canonical) {
                seen.unit_lost_by_go += 1;
            } else {
                return Err(format!("{text:?}: Go prints {canonical:?}, we print {printed:?}"));
            }
            if string != canonical {
                seen.kept_as_written_by_go += 1;
                return if string == text { Ok(()) } else { Err(format!("{text:?}: Go's String() is {string:?}")) };
            }
        }
        Err(QuantityError::TooManyDigits { .. }) if text.bytes().filter(u8::is_ascii_digit).count() > MAX_DIGITS => {
            seen.too_many_digits += 1;
        }
        Err(QuantityError::TooLarge { .. }) if ok => seen.too_large.push(text.clone()),
        Err(QuantityError::Empty | QuantityError::Malformed { .. }) if !ok => seen.refused_alike += 1,
        other => return Err(format!("{text:?}: Go says {ok} {canonical:?}, we say {other:?}")),
    }
    Ok(())
}

/// Whether Go took out every `000` of a text such as `12000E`, and then knew no unit to write behind `12`.
fn is_without_unit(printed: &str, canonical: &str) -> bool {
    let zeros = printed.strip_suffix('E').and_then(|number| number.strip_prefix(canonical));
    zeros.is_some_and(|zeros| zeros.len() % 3 == 0 && zeros.bytes().all(|digit| digit == b'0'))
}

fn report(disagree: &[String]) {
    let first: Vec<&str> = disagree.iter().take(20).map(String::as_str).collect();
    assert!(disagree.is_empty(), "{} disagreements, the first:\n{}", disagree.len(), first.join("\n"));
}

const UNITS: &[&str] = &[
    "", "n", "u", "m", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei", "e0", "e3", "E3", "e-3",
    "e+6", "e1", "e-7", "E-9", "e-12", "e03", "E18", "e20",
];

/// How many of the second unit make one of the first.
const SAME: &[(i64, &str, &str)] = &[
    (1024, "Gi", "Mi"),
    (1024, "Ki", ""),
    (1000, "", "m"),
    (1000, "k", "e0"),
    (1000, "u", "n"),
    (1_048_576, "Ei", "Ti"),
    (1000, "E", "P"),
    (1000, "e6", "k"),
];

/// Where something begins or ends: powers, and the cap of binary units.
const EDGES: &[i128] = &[1 << 10, 1 << 20, 1 << 53, 1 << 60, 1 << 63, 1 << 64, 1000, 10_i128.pow(9), 10_i128.pow(18)];

/// Numbers as people, programs and adversaries write them.
fn number() -> impl Strategy<Value = String> + Clone {
    let at_an_edge = (select(EDGES), -3..4_i128, regex("(\\.[0-9]{1,3})?"));
    prop_oneof![
        3 => regex("[+-]?[0-9]{1,4}"),
        3 => regex("[+-]?[0-9]{1,20}"),
        2 => regex("[+-]?[0-9]{0,3}\\.[0-9]{0,12}"),
        2 => regex("[+-]?0{0,3}[0-9]{1,22}\\.[0-9]{0,22}"),
        1 => regex("[+-]?0?\\.0{5,12}[0-9]{1,3}"),
        1 => regex("[1-9]0{1,25}"),
        1 => regex("[0-9]{1,3}[05]00(\\.0{1,4})?"),
        2 => at_an_edge.prop_map(|(edge, more, fraction)| format!("{}{fraction}", edge + more)),
    ]
}

fn readable() -> impl Strategy<Value = String> + Clone {
    (number(), select(UNITS)).prop_map(|(number, unit)| number + unit)
}

fn any_text() -> impl Strategy<Value = String> {
    let exponent = (number(), regex("[eE][-+]?[0-9]{1,3}")).prop_map(|(number, exponent)| number + &exponent);
    let long_exponent = (number(), regex("[eE][-+]?[0-9]{4,12}")).prop_map(|(number, exponent)| number + &exponent);
    let long_number =
        (regex("[+-]?[0-9]{30,90}(\\.[0-9]{0,40})?"), select(UNITS)).prop_map(|(number, unit)| number + unit);
    let mistyped = (readable(), any::<Index>(), regex("[-+. eEinumkKMGTPB0]")).prop_map(|(text, at, more)| {
        let (head, tail) = text.split_at(at.index(text.len() + 1));
        format!("{head}{more}{tail}")
    });
    let cut = (readable(), any::<Index>()).prop_map(|(text, at)| text[..at.index(text.len() + 1)].to_owned());
    prop_oneof![
        8 => readable(),
        3 => exponent,
        1 => long_exponent,
        1 => long_number,
        2 => mistyped,
        1 => cut,
        2 => regex("[+-]?[0-9.]{0,8}[eEinumkKMGTP]{0,3}[-+]?[0-9]{0,3}"),
        1 => regex(".{0,12}"),
    ]
}

/// A text of this form. Made once: a bare text as a strategy would be compiled anew for each value.
fn regex(form: &str) -> RegexGeneratorStrategy<String> {
    string_regex(form).expect("a regular expression")
}

/// Spellings that are easy to get wrong.
fn examples() -> Vec<String> {
    let texts = "0 -0 + - . -. Gi Ti Pi Ei E e m e3 e-9 e-10 .Ki .Pi 5. 5.Gi .5Gi 0.1n -0.1n 0.5n 1e3 1E 1E3 1e 1K 1ki 1e+ 1e- \
        1E+3 1e3.5 +1Gi ++1 1.5Ei 8Ei 7.9Ei -8Ei 9223372036854775807 9223372036854775808 9223372036854775807.1 8191Pi 8192Pi \
        9007199254740992Ki 9007199254740991.999Ki 1000E -1000E 1000000E 1001E 999E 1e21 1e28 1e29 99999999999999999999999999999 \
        1e999 1e-999 0e999 0e-999 0Ei 1.0000000001 -1.0000000001 1.0000000001Ki 0.0009765625Ki 0.00097Ki 1023.9Ki 0.9765625Ki -0.9765625Ki 1Ki -1Ki -1024 \
        -1024.5Ki 1.123k 1.500 001 1_000 1,5 1Gi5 1m-3 NaN inf 0x10 100GB 1iK １ 1µ";
    let with_spaces = ["", "10 Gi", " 1", "1 ", "1\n", "\t"];
    texts.split_whitespace().chain(with_spaces).map(str::to_owned).collect()
}

/// The same values in every run.
fn generate<S: Strategy>(strategy: &S, count: usize) -> Vec<S::Value> {
    let mut runner = TestRunner::new_with_rng(Config::default(), TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    (0..count).map(|_| strategy.new_tree(&mut runner).expect("few values are rejected").current()).collect()
}

/// Builds the oracle; `None`, and a line that says so, where there is no Go.
fn oracle() -> Option<PathBuf> {
    let module = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/controlplane");
    // A file for each caller, since the tests run side by side.
    let name = format!("quantity-oracle-{}{}", thread::current().name().unwrap_or("test"), env::consts::EXE_SUFFIX);
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let mut compiler = Command::new("go");
    compiler.arg("build").arg("-o").arg(&program).arg("./cmd/quantity-oracle").current_dir(module);
    match compiler.output() {
        Ok(built) => {
            assert!(built.status.success(), "go build: {}", String::from_utf8_lossy(&built.stderr));
            Some(program)
        }
        Err(error) => {
            let required = env::var_os("DBSCALE_REQUIRE_GO").is_some_and(|value| value == "1");
            assert!(!required, "DBSCALE_REQUIRE_GO=1, but `go` cannot be started: {error}");
            assert_eq!(error.kind(), io::ErrorKind::NotFound, "`go` cannot be started: {error}");
            // Not by a macro: the test harness would swallow it.
            writeln!(io::stderr(), "skipped: quantities were not compared with Go's, there is no `go` on PATH")
                .expect("stderr can be written");
            None
        }
    }
}

fn ask(oracle: &Path, texts: &[Vec<String>]) -> Vec<Answer> {
    let mut child =
        Command::new(oracle).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the oracle starts");
    let mut stdin = child.stdin.take().expect("stdin is piped");
    let stdout = BufReader::new(child.stdout.take().expect("stdout is piped"));
    let lines: Vec<String> = texts.iter().map(|texts| serde_json::json!(texts).to_string() + "\n").collect();
    let writer = thread::spawn(move || lines.iter().try_for_each(|line| stdin.write_all(line.as_bytes())));
    let answers: Vec<Answer> = stdout
        .lines()
        .map(|line| serde_json::from_str(&line.expect("the oracle writes text")).expect("the oracle writes JSON"))
        .collect();
    writer.join().expect("the writer does not panic").expect("the oracle reads everything");
    assert!(child.wait().expect("the oracle ends").success());
    assert_eq!(answers.iter().map(|answer| &answer.r#in).collect::<Vec<_>>(), texts.iter().collect::<Vec<_>>());
    answers
}
