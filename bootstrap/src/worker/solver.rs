//! The solver, asked by the gate for a worker: in a confined process of its own, on text that nobody trusts.

use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use aiai_prove::solver::Answer;
use serde::{Deserialize, Serialize};

use super::Launch;

/// Resource units of one question, as the solver counts them: answers repeat, however fast the machine is.
const LIMIT: u64 = 3_000_000;

/// After so long a question is given up, and the process killed.
const ABORT: Duration = Duration::from_secs(20);

/// Bytes of an answer that are read.
const MOST: u64 = 1 << 16;

/// What came of a question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answered {
    Unsatisfiable,
    Satisfiable,
    Unknown,
    NotAttempted(String),
}

impl From<Answer> for Answered {
    fn from(answer: Answer) -> Self {
        match answer {
            Answer::Unsatisfiable => Self::Unsatisfiable,
            Answer::Satisfiable => Self::Satisfiable,
            Answer::Unknown => Self::Unknown,
            Answer::NotAttempted(why) => Self::NotAttempted(why),
        }
    }
}

impl From<Answered> for Answer {
    fn from(answer: Answered) -> Self {
        match answer {
            Answered::Unsatisfiable => Self::Unsatisfiable,
            Answered::Satisfiable => Self::Satisfiable,
            Answered::Unknown => Self::Unknown,
            Answered::NotAttempted(why) => Self::NotAttempted(why),
        }
    }
}

/// Asks the solver. Whatever it does but answer is no answer.
pub fn ask(launch: &Launch, script: &str, deadline: Instant) -> Answered {
    let left = deadline.saturating_duration_since(Instant::now());
    let text = format!("(set-option :rlimit {LIMIT})\n{script}\n(exit)\n");
    match run(launch, &["-in", "-smt2"], text, left.min(ABORT)) {
        Ok(answer) => Answer::read(&answer).into(),
        Err(why) => Answered::NotAttempted(why),
    }
}

/// What the solver says after "sat"; nobody believes it.
pub fn model(launch: &Launch, script: &str, deadline: Instant) -> Option<String> {
    let left = deadline.saturating_duration_since(Instant::now());
    let text = format!("(set-option :rlimit {LIMIT})\n{script}\n(exit)\n");
    let answer = run(launch, &["-in", "-smt2"], text, left.min(ABORT)).ok()?;
    Some(answer.trim_start().strip_prefix("sat")?.to_owned())
}

/// The version of the solver, for the record; says so where there is none.
pub fn version(launch: &Launch) -> String {
    match run(launch, &["--version"], String::new(), ABORT) {
        Ok(text) if !text.trim().is_empty() => text.trim().chars().take(80).collect(),
        Ok(_) => "none".to_owned(),
        Err(why) => format!("none: {why}"),
    }
}

fn run(launch: &Launch, args: &[&str], text: String, limit: Duration) -> Result<String, String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut child = Command::new(&launch.program)
        .args(&launch.solver)
        .args(args)
        .env_clear()
        .env("PATH", path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|e| format!("the solver does not start: {e}"))?;
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        if let Some(mut stdin) = stdin {
            // A solver that stops reading has stopped; its answer says so.
            let _ = stdin.write_all(text.as_bytes());
        }
        let mut answer = String::new();
        if let Some(stdout) = stdout {
            let _ = stdout.take(MOST).read_to_string(&mut answer);
        }
        let _ = sender.send(answer);
    });
    let answer = receiver.recv_timeout(limit);
    end(&mut child);
    match answer {
        Ok(answer) if answer.trim().is_empty() => {
            Err("the solver ended without an answer".to_owned())
        }
        Ok(answer) => Ok(answer),
        Err(_) => Err(format!(
            "the solver did not answer within {} s",
            limit.as_secs()
        )),
    }
}

fn end(child: &mut Child) {
    if let Ok(None) = child.try_wait() {
        let _ = child.kill();
    }
    let _ = child.wait();
}
