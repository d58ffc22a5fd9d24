//! Tuning as a user meets it: tuned, run with the file, gone on with, refused.

use std::path::Path;
use std::process::{Command, Output};

/// A product with weights and a schedule of its own, which every machine can follow.
const TINY: &str =
    "fn main(net: Layer<40, 24>, x: f32[B, 40]) -> f32[B, 24] { max(x @ net.w + net.b, 0.0) }

module Layer<D, F> {
  param w: f32[D, F] ~ he_normal
  param b: f32[F] ~ zeros
}

fn none(x: f32[B]) -> f32[B] { x + x }

fn shapeless(x: f32[B, K], y: f32[K, N]) -> f32[B, N] { x @ y }

fn whole(x: i32[B, 4], y: i32[4, 4]) -> i32[B, 4] { x @ y }

schedule plain for contract on cpu where constant(right) {
  tile columns by 16, rows by 8
  parallel columns, rows
  pack right
  register rows by 2, columns by 8
  vectorize columns by 8
  fuse epilogue
}
";

struct Bench {
    folder: tempfile::TempDir,
}

impl Bench {
    fn new() -> Bench {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("tiny.aiai"), TINY).expect("written");
        Bench { folder }
    }

    fn here(&self) -> &Path {
        self.folder.path()
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_aiai"));
        command.current_dir(self.here()).env("AIAI_CACHE", "");
        command.args(args).args(["--backend", "llvm"]);
        command
    }

    fn aiai(&self, args: &[&str]) -> Output {
        self.command(args).output().expect("aiai runs")
    }

    /// What a failed command says, and its exit code.
    fn refused(&self, args: &[&str]) -> (Option<i32>, String) {
        let done = self.aiai(args);
        assert_eq!(done.stdout, b"");
        (
            done.status.code(),
            String::from_utf8_lossy(&done.stderr).into_owned(),
        )
    }
}

const TUNE: &[&str] = &["tune", "tiny.aiai", "--dim", "B=12", "-o", "out.aiai"];

#[cfg(not(feature = "llvm"))]
#[test]
fn a_build_without_llvm_says_so() {
    let bench = Bench::new();
    let (code, said) = bench.refused(TUNE);
    assert!(
        code == Some(3) && said.contains("this build has no LLVM"),
        "{said}"
    );
    assert_eq!(
        std::fs::read_dir(bench.here()).expect("the folder").count(),
        1
    );
}

#[test]
fn only_llvm_follows_schedules() {
    let bench = Bench::new();
    let mut command = Command::new(env!("CARGO_BIN_EXE_aiai"));
    let done = command
        .current_dir(bench.here())
        .args(TUNE)
        .output()
        .expect("aiai runs");
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(
        done.status.code() == Some(2) && said.contains("`--backend llvm`"),
        "{said}"
    );
}

#[cfg(feature = "llvm")]
mod llvm {
    use super::*;
    use serde_json::Value;
    use std::time::{Duration, Instant};

    impl Bench {
        fn read(&self, file: &str) -> String {
            std::fs::read_to_string(self.here().join(file)).expect("a file")
        }

        fn write(&self, file: &str, text: &str) {
            std::fs::write(self.here().join(file), text).expect("written");
        }

        fn json(&self, args: &[&str]) -> Value {
            let done = self.aiai(&[args, &["--json"]].concat());
            let said = String::from_utf8_lossy(&done.stderr);
            assert!(done.status.success() && said.is_empty(), "{args:?}: {said}");
            serde_json::from_slice(&done.stdout).expect("one object")
        }

        /// The lines of the journal, the first one apart.
        fn journal(&self) -> (Value, Vec<Value>) {
            let text = self.read("out.aiai.journal");
            assert!(text.ends_with('\n'));
            let mut lines = text.lines().map(|l| serde_json::from_str(l).expect("JSON"));
            (lines.next().expect("a line"), lines.collect())
        }

        fn outputs(&self, more: &[&str]) -> Vec<f64> {
            let run = ["run", "tiny.aiai", "--dim", "B=12", "--random", "5"];
            let object = self.json(&[&run, more].concat());
            let rows = object["outputs"]["main"].as_array().expect("rows").clone();
            let row = |row: &Value| row.as_array().expect("a row").clone();
            rows.iter()
                .flat_map(row)
                .filter_map(|x| x.as_f64())
                .collect()
        }
    }

    const FOUR: &[&str] = &["--trials", "4", "--seed", "3"];

    #[test]
    fn a_model_is_tuned_and_runs_with_the_file() {
        let bench = Bench::new();
        let found = bench.json(&[TUNE, FOUR].concat());
        assert_eq!(found["schema"], 1);
        assert_eq!(
            (&found["tried"], &found["ended"]),
            (&4.into(), &"trials".into())
        );
        let contraction = &found["contractions"][0];
        assert_eq!(contraction["name"], "plain_12_24_40");
        assert_eq!(contraction["default"], "plain");
        assert_eq!(contraction["broken"], 0);
        let sizes = ["rows", "columns", "summed"].map(|s| contraction[s].as_i64());
        assert_eq!(sizes, [Some(12), Some(24), Some(40)]);
        let (_, tried) = bench.journal();
        assert!(
            tried
                .iter()
                .all(|t| t["verdict"] != "wrong" && t["verdict"] != "failed")
        );
        let text = bench.read("out.aiai");
        assert!(
            text.starts_with("// Made by `aiai tune`: schedules for tiny.aiai with B=12.\n"),
            "{text}"
        );
        assert!(
            text.contains("// processor: ") && text.contains("// 4 candidates"),
            "{text}"
        );
        let (plain, tuned) = (
            bench.outputs(&[]),
            bench.outputs(&["--schedules", "out.aiai"]),
        );
        assert_eq!(plain.len(), 12 * 24);
        let close = |(a, b): (&f64, &f64)| (a - b).abs() <= 1e-5 * (1.0 + a.abs());
        assert!(plain.iter().zip(&tuned).all(close));
        // Whatever the times were, one of the candidates is used where the file has it.
        let (_, tried) = bench.journal();
        let candidate = tried
            .iter()
            .find(|t| t["verdict"] != "unfit")
            .expect("a candidate");
        bench.write("one.aiai", candidate["candidate"].as_str().expect("text"));
        let run = [
            "run",
            "tiny.aiai",
            "--dim",
            "B=12",
            "--random",
            "5",
            "--verbose",
        ];
        let done = bench.aiai(&[&run[..], &["--schedules", "one.aiai"]].concat());
        let said = String::from_utf8_lossy(&done.stderr);
        assert!(said.contains("schedule `plain_12_24_40`"), "{said}");
    }

    #[test]
    fn a_search_goes_on_from_its_journal() {
        let bench = Bench::new();
        let first = bench.json(&[TUNE, FOUR].concat());
        let (out, journal) = (bench.read("out.aiai"), bench.read("out.aiai.journal"));
        // Nothing is measured again, so even the times are the same.
        let resumed = [TUNE, FOUR, &["--resume"]].concat();
        assert_eq!(bench.json(&resumed), first);
        assert_eq!(
            (bench.read("out.aiai"), bench.read("out.aiai.journal")),
            (out, journal.clone())
        );
        // What was torn is tried again.
        let kept = journal
            .lines()
            .take(3)
            .map(|l| format!("{l}\n"))
            .collect::<String>();
        bench.write(
            "out.aiai.journal",
            &(kept.clone() + "{\"contraction\":\"pl"),
        );
        assert_eq!(bench.json(&resumed)["tried"], 4);
        assert!(bench.read("out.aiai.journal").starts_with(&kept));
        let (_, tried) = bench.journal();
        let mut candidates: Vec<String> =
            tried.iter().map(|t| t["candidate"].to_string()).collect();
        candidates.sort_unstable();
        let count = candidates.len();
        candidates.dedup();
        assert_eq!(candidates.len(), count, "a candidate was tried twice");
        // More of them.
        let more = [TUNE, &["--trials", "6", "--seed", "3", "--resume"]].concat();
        assert_eq!(bench.json(&more)["tried"], 6);
    }

    #[test]
    fn all_but_times_is_the_same_for_the_same_seed() {
        let bench = Bench::new();
        let mut runs = Vec::new();
        for _ in 0..2 {
            let mut found = bench.json(&[TUNE, FOUR].concat());
            found["model"].take();
            let contraction = found["contractions"][0].as_object_mut().expect("one");
            contraction.retain(|key, _| !key.ends_with("seconds") && key != "unfit");
            let (about, tried) = bench.journal();
            runs.push((found, about, tried[0]["candidate"].clone()));
        }
        assert_eq!(runs[0], runs[1]);
        // Without time for a single candidate there is nothing better.
        let none = [TUNE, &["--budget", "0"]].concat();
        let found = bench.json(&none);
        assert_eq!(
            (&found["tried"], &found["ended"]),
            (&0.into(), &"budget".into())
        );
        let text = bench.read("out.aiai");
        assert!(text.contains("the budget of 0 s ended it"), "{text}");
        bench.json(&none);
        assert_eq!(bench.read("out.aiai"), text);
        assert_eq!(
            bench.outputs(&["--schedules", "out.aiai"]),
            bench.outputs(&[])
        );
    }

    #[test]
    fn journals_of_other_searches_are_refused() {
        let bench = Bench::new();
        let resumed = [TUNE, FOUR, &["--resume"]].concat();
        let (code, said) = bench.refused(&resumed);
        assert!(
            code == Some(2) && said.contains("out.aiai.journal"),
            "{said}"
        );
        bench.json(&[TUNE, FOUR, &["--threads", "1"]].concat());
        let one_thread = [&resumed[..], &["--threads", "1"]].concat();
        for (options, part) in [
            (vec!["--threads", "2"], "its threads is 1, here it is 2"),
            (vec!["--threads", "1", "--dim", "B=13"], "its dims is"),
        ] {
            let (code, said) = bench.refused(&[&resumed[..], &options].concat());
            assert!(code == Some(2) && said.contains(part), "{said}");
        }
        let other_seed = [TUNE, &["--threads", "1", "--resume"]].concat();
        let (code, said) = bench.refused(&other_seed);
        assert!(
            code == Some(2) && said.contains("its seed is 3, here it is 0"),
            "{said}"
        );
        bench.write("tiny.aiai", &TINY.replace("0.0", "1.0"));
        let (code, said) = bench.refused(&one_thread);
        assert!(code == Some(2) && said.contains("its program is"), "{said}");
        bench.write("tiny.aiai", TINY);
        let journal = bench.read("out.aiai.journal");
        let (processor, other) = ("\"processor\":\"", "\"processor\":\"another ");
        bench.write("out.aiai.journal", &journal.replace(processor, other));
        let (code, said) = bench.refused(&one_thread);
        assert!(
            code == Some(2) && said.contains("its processor is another"),
            "{said}"
        );
        bench.write("out.aiai.journal", "what is this\n");
        let (code, said) = bench.refused(&one_thread);
        assert!(
            code == Some(2) && said.contains("no journal of `aiai tune`"),
            "{said}"
        );
    }

    #[test]
    fn wrong_orders_are_refused() {
        let bench = Bench::new();
        let tune = |target: &'static str, more: &[&'static str]| {
            [&["tune", target, "-o", "out.aiai"], more].concat()
        };
        let cases = [
            (tune("tiny.aiai", &[]), 2, "`--dim B=...`"),
            (
                tune("tiny.aiai:shapeless", &[]),
                2,
                "`--dim B=... --dim K=... --dim N=...`",
            ),
            (
                tune("tiny.aiai", &["--dim", "Q=4"]),
                2,
                "has no dimension `Q`",
            ),
            (tune("tiny.aiai", &["--dim", "B"]), 2, "expected NAME=SIZE"),
            (
                tune("tiny.aiai:none", &["--dim", "B=4"]),
                2,
                "no contraction",
            ),
            (
                tune("tiny.aiai:whole", &["--dim", "B=4"]),
                2,
                "gets a schedule that can be tuned",
            ),
            (
                tune("tiny.aiai:nothing", &["--dim", "B=4"]),
                2,
                "no function `nothing`",
            ),
            (
                tune("tiny.aiai", &["--dim", "B=4", "--trials", "many"]),
                2,
                "--trials",
            ),
            (
                tune("tiny.aiai", &["--dim", "B=4", "--budget", "long"]),
                2,
                "--budget",
            ),
            (tune("nowhere.aiai", &[]), 2, "No such file"),
            (vec!["tune", "tiny.aiai", "--dim", "B=4"], 2, "--out"),
            (
                vec!["tune", "tiny.aiai", "--dim", "B=4", "-o", "none/out.aiai"],
                3,
                "none/out.aiai",
            ),
            (vec!["tune", "tiny.aiai", "--dim", "B=4", "-o", "."], 2, "."),
        ];
        for (args, code, part) in cases {
            let (found, said) = bench.refused(&args);
            assert!(
                found == Some(code) && said.contains(part),
                "{args:?}: {found:?}: {said}"
            );
        }
        assert_eq!(
            std::fs::read_dir(bench.here()).expect("the folder").count(),
            1
        );
    }

    #[cfg(unix)]
    #[test]
    fn an_interrupt_keeps_the_best_so_far() {
        const LIMIT: Duration = Duration::from_secs(60);
        for (signal, code) in [("-INT", 3), ("-TERM", 143)] {
            let bench = Bench::new();
            let endless = [TUNE, &["--trials", "100000", "--budget", "3600"]].concat();
            let mut command = bench.command(&endless);
            command.stderr(std::process::Stdio::piped());
            let child = command.spawn().expect("aiai starts");
            let (began, journal) = (Instant::now(), bench.here().join("out.aiai.journal"));
            let lines = || std::fs::read_to_string(&journal).map_or(0, |t| t.lines().count());
            while lines() < 4 && began.elapsed() < LIMIT {
                std::thread::sleep(Duration::from_millis(5));
            }
            let sent = Command::new("kill")
                .args([signal, &child.id().to_string()])
                .status();
            assert!(sent.is_ok_and(|s| s.success()));
            let done = child.wait_with_output().expect("it ends");
            let said = String::from_utf8_lossy(&done.stderr);
            assert_eq!(done.status.code(), Some(code), "{said}");
            assert!(said.contains("`--resume` goes on"), "{said}");
            assert!(bench.read("out.aiai").contains("an interrupt ended it"));
            let tried = bench.journal().1.len();
            let more = (tried + 1).to_string();
            let resumed = [TUNE, &["--trials", &more, "--resume"]].concat();
            assert_eq!(bench.json(&resumed)["ended"], "trials");
        }
    }
}
