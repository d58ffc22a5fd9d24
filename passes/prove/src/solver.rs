//! The SMT solver: a process of its own that reads SMT-LIB 2 text and answers in a word.
//!
//! Its effort is limited by a count of its own (`rlimit`), so that answers repeat; the clock only aborts. A solver
//! that is absent, crashes or hangs settles nothing.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// What came of a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// No assignment satisfies the assertions.
    Unsatisfiable,
    Satisfiable,
    /// The solver gave up within its limit.
    Unknown,
    /// There was no answer, and why.
    NotAttempted(String),
}

impl Answer {
    /// What a solver wrote, which must be one word: an error before it means that the question was another.
    pub fn read(text: &str) -> Answer {
        match text.trim() {
            "unsat" => Answer::Unsatisfiable,
            "sat" => Answer::Satisfiable,
            "unknown" => Answer::Unknown,
            other => {
                let first = other.lines().next().unwrap_or("nothing");
                let first: String = first.chars().take(120).collect();
                Answer::NotAttempted(format!("{ODD_ANSWER} `{first}`"))
            }
        }
    }
}

/// How it is told that a solver said something else than a word.
pub const ODD_ANSWER: &str = "the solver answered";

/// Something that decides SMT-LIB 2 scripts.
pub trait Solver {
    /// The answer to a script that ends in `(check-sat)`.
    fn ask(&mut self, script: &str) -> Answer;

    /// What the solver says after "sat" to a script that also asks for values. Nobody believes it.
    fn model(&mut self, _script: &str) -> Option<String> {
        None
    }

    /// Resource units spent so far, as the solver counts them.
    fn spent(&self) -> u64 {
        0
    }
}

/// A solver that is asked every question once: instances of a rule often have the same.
pub struct Remembering<'s> {
    solver: &'s mut dyn Solver,
    answers: HashMap<String, Answer>,
}

impl Remembering<'_> {
    pub fn new(solver: &mut dyn Solver) -> Remembering<'_> {
        Remembering {
            solver,
            answers: HashMap::new(),
        }
    }
}

impl Solver for Remembering<'_> {
    fn ask(&mut self, script: &str) -> Answer {
        if let Some(answer) = self.answers.get(script) {
            return answer.clone();
        }
        let answer = self.solver.ask(script);
        self.answers.insert(script.to_owned(), answer.clone());
        answer
    }

    fn model(&mut self, script: &str) -> Option<String> {
        self.solver.model(script)
    }

    fn spent(&self) -> u64 {
        self.solver.spent()
    }
}

/// No solver: nothing is attempted.
pub struct NoSolver;

impl Solver for NoSolver {
    fn ask(&mut self, _: &str) -> Answer {
        Answer::NotAttempted("no solver was given".into())
    }
}

/// Why a process gave no answer.
enum Failure {
    /// There is no use in asking again.
    Broken(String),
    Hung(String),
}

/// `z3` as a child process, one per question.
pub struct Process {
    program: PathBuf,
    /// Resource units of one question.
    limit: u64,
    /// After so long a question is given up and the process killed.
    abort: Duration,
    /// Why there is no use in asking again.
    broken: Option<String>,
    asked: u64,
    /// Questions that the clock ended.
    hung: u32,
}

/// Questions that the clock may end before no more are asked.
const MOST_HUNG: u32 = 3;

impl Process {
    pub fn new(program: impl Into<PathBuf>) -> Process {
        Process {
            program: program.into(),
            limit: 2_000_000,
            abort: Duration::from_secs(10),
            broken: None,
            asked: 0,
            hung: 0,
        }
    }

    /// The solver of the search path.
    pub fn z3() -> Process {
        Process::new("z3")
    }

    pub fn with_limit(mut self, units: u64) -> Process {
        self.limit = units;
        self
    }

    pub fn with_abort(mut self, after: Duration) -> Process {
        self.abort = after;
        self
    }

    fn run(&self, script: &str) -> Result<String, Failure> {
        let mut child = Command::new(&self.program)
            .arg("-in")
            .arg("-smt2")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|e| {
                Failure::Broken(format!("{} does not start: {e}", self.program.display()))
            })?;
        let mut text = format!("(set-option :rlimit {})\n", self.limit);
        text.push_str(script);
        text.push_str("\n(exit)\n");
        let stdin = child.stdin.take();
        let stdout = child.stdout.take();
        let (sender, receiver) = mpsc::channel();
        std::thread::spawn(move || {
            if let Some(mut stdin) = stdin {
                // A solver that stops reading has stopped; its answer says so.
                let _ = stdin.write_all(text.as_bytes());
            }
            let mut answer = String::new();
            if let Some(stdout) = stdout {
                let _ = stdout.take(1 << 16).read_to_string(&mut answer);
            }
            let _ = sender.send(answer);
        });
        let answer = receiver.recv_timeout(self.abort);
        let ended = end(&mut child);
        match answer {
            Ok(answer) if ended || !answer.is_empty() => Ok(answer),
            Ok(_) => Err(Failure::Broken("the solver ended without an answer".into())),
            Err(_) => Err(Failure::Hung(format!(
                "the solver did not answer within {} ms",
                self.abort.as_millis()
            ))),
        }
    }
}

/// Ends the process; whether it had ended well by itself.
fn end(child: &mut Child) -> bool {
    if let Ok(Some(status)) = child.try_wait() {
        return status.success();
    }
    // It may be about to end; killing it then does no harm.
    let _ = child.kill();
    let _ = child.wait();
    false
}

impl Solver for Process {
    fn ask(&mut self, script: &str) -> Answer {
        if let Some(why) = &self.broken {
            return Answer::NotAttempted(why.clone());
        }
        self.asked += 1;
        let answer = match self.run(script) {
            Ok(answer) => answer,
            Err(Failure::Broken(why)) => {
                self.broken = Some(why.clone());
                return Answer::NotAttempted(why);
            }
            Err(Failure::Hung(why)) => {
                self.hung += 1;
                if self.hung >= MOST_HUNG {
                    self.broken = Some(why.clone());
                }
                return Answer::NotAttempted(why);
            }
        };
        Answer::read(&answer)
    }

    fn model(&mut self, script: &str) -> Option<String> {
        if self.broken.is_some() {
            return None;
        }
        self.asked += 1;
        let answer = self.run(script).ok()?;
        Some(answer.trim_start().strip_prefix("sat")?.to_owned())
    }

    fn spent(&self) -> u64 {
        self.asked * self.limit
    }
}
