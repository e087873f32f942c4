//! Random texts: a short form of the fuzz target, the same bytes on every run.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use super::target;

/// Runs, and the time after which no further one begins: a slow machine does fewer.
const RUNS: u64 = 20_000;
const LIMIT: Duration = Duration::from_secs(60);

/// Pieces that mean something to the reader or to a rule.
const WORDS: [&str; 40] = [
    "apiVersion: kubedb.com/v1\n",
    "apiVersion: ops.kubedb.com/v1alpha1\n",
    "kind: MongoDB\n",
    "kind: RedisOpsRequest\n",
    "kind: List\nitems:\n- ",
    "metadata: {name: a}\n",
    "spec:\n  ",
    "---\n",
    "...\n",
    "- ",
    ": ",
    "? ",
    "&a ",
    "*a",
    "<<: *a\n",
    "{",
    "}",
    "[",
    "]",
    "\"",
    "'",
    "|\n ",
    ">-\n ",
    "#",
    "!!binary ",
    "%YAML 1.1\n",
    "\t",
    "\r\n",
    "\u{feff}",
    "\0",
    "1e999999999",
    "-1",
    ".nan",
    "0x10",
    "9223372036854775808",
    "null",
    "~",
    "replicas: 0\n",
    "storage: 10Gi\n",
    "type: VolumeExpansion\n",
];

/// A small generator (splitmix64): a dependency would not make the bytes any better.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound.max(1) as u64).unwrap()
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cmd/lint.in");
    let mut files: Vec<_> = ["", "manifests", "manifests/below"]
        .iter()
        .flat_map(|below| fs::read_dir(folder.join(below)).unwrap())
        .map(|e| e.unwrap().path())
        .filter(|p| p.is_file())
        .collect();
    files.sort();
    files.into_iter().map(|f| fs::read(f).unwrap()).collect()
}

/// Cuts, repeats, joins, and strews words and bytes.
fn mutated(random: &mut Random, seeds: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = seeds[random.below(seeds.len())].clone();
    for _ in 0..=random.below(6) {
        let at = random.below(bytes.len() + 1);
        let end = at + random.below(bytes.len() - at + 1);
        match random.below(7) {
            0 => drop(bytes.drain(at..end)),
            1 => {
                let piece: Vec<u8> = bytes[at..end].to_vec();
                bytes.splice(at..at, piece.repeat(1 + random.below(3)));
            }
            2 => {
                let other = &seeds[random.below(seeds.len())];
                bytes.splice(at..at, other[..random.below(other.len())].iter().copied());
            }
            3 | 4 => drop(bytes.splice(at..at, WORDS[random.below(WORDS.len())].bytes())),
            5 => drop(bytes.splice(at..end, WORDS[random.below(WORDS.len())].bytes())),
            _ => bytes.insert(at, u8::try_from(random.below(256)).unwrap()),
        }
        bytes.truncate(16 * 1024);
    }
    bytes.insert(0, u8::try_from(random.below(8)).unwrap());
    bytes
}

#[test]
fn random_texts_get_a_verdict() {
    let runs = std::env::var("DBSCALE_FUZZ_RUNS").ok().and_then(|n| n.parse().ok());
    let (seeds, began) = (seeds(), Instant::now());
    let mut done = 0;
    for seed in 0..runs.unwrap_or(RUNS) {
        if runs.is_none() && began.elapsed() > LIMIT {
            break;
        }
        let bytes = mutated(&mut Random(seed), &seeds);
        if let Err(panic) = std::panic::catch_unwind(|| target::judge(&bytes)) {
            println!("run {seed}: {:?}", String::from_utf8_lossy(&bytes));
            std::panic::resume_unwind(panic);
        }
        done += 1;
    }
    println!("{done} runs in {:.1} s", began.elapsed().as_secs_f32());
    assert!(done >= 1_000, "{done} runs are too few: the reader has become slow");
}
