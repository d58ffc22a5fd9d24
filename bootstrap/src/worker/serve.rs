//! The other end: what runs in a worker, and in the process that becomes the solver.

use std::ffi::OsString;
use std::io::{self, BufReader, BufWriter, Stdin, Stdout};
use std::os::unix::process::CommandExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Command;

use aiai_prove::solver::{Answer, ODD_ANSWER, Solver};

use super::confine::{Bounds, Role, confine};
use super::frame::{Reply, Request, receive, send};
use crate::gate::listing::list;
use crate::gate::{Library, Report, Setup, Step, evidence, judge};
use crate::selftest::find_mutants;

/// Bounds of a process that judges.
const JUDGE: Bounds = Bounds {
    memory: 6 << 30,
    seconds: 3600,
};

/// Bounds of the solver.
const SOLVER: Bounds = Bounds {
    memory: 4 << 30,
    seconds: 120,
};

/// Bytes of the stack that candidates are judged on.
const STACK: usize = 256 << 20;

/// How a report begins on what made the gate panic.
pub const PANICKED: &str = "the gate panicked";

/// Confines this process and judges what comes in on standard input, until it ends.
pub fn serve() -> io::Result<()> {
    let mut output = BufWriter::new(io::stdout());
    if let Err(e) = confine(Role::Judge, JUDGE) {
        return send(&mut output, &Reply::Unconfined(e.to_string()));
    }
    // Panics are reports of their own; what they print goes nowhere.
    std::panic::set_hook(Box::new(|_| {}));
    let thread = std::thread::Builder::new()
        .stack_size(STACK)
        .spawn(move || {
            let mut session = Session {
                input: BufReader::new(io::stdin()),
                output,
                broken: None,
            };
            session.run()
        });
    thread?
        .join()
        .unwrap_or_else(|_| Err(io::Error::other("the worker panicked")))
}

struct Session {
    input: BufReader<Stdin>,
    output: BufWriter<Stdout>,
    /// Why there is no use in asking the solver again.
    broken: Option<String>,
}

impl Session {
    fn run(&mut self) -> io::Result<()> {
        let Request::Setup(setup) = receive(&mut self.input)? else {
            return Err(io::Error::other("no setup"));
        };
        let library = match Library::read(&setup.admitted) {
            Ok(library) => library,
            Err(why) => return send(&mut self.output, &Reply::Failed(why)),
        };
        send(&mut self.output, &Reply::Ready)?;
        loop {
            let request = match receive(&mut self.input) {
                Ok(request) => request,
                Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
                Err(e) => return Err(e),
            };
            let reply = catch_unwind(AssertUnwindSafe(|| self.answer(request, &setup, &library)));
            let reply = reply.unwrap_or_else(|panic| {
                let why = panic.downcast_ref::<String>().map(String::as_str);
                let why = why.or_else(|| panic.downcast_ref::<&str>().copied());
                Reply::Failed(format!("{PANICKED}: {}", why.unwrap_or("no reason given")))
            });
            send(&mut self.output, &reply)?;
        }
    }

    fn answer(&mut self, request: Request, setup: &Setup, library: &Library) -> Reply {
        match request {
            Request::List { file, text } => Reply::Listed(
                list(&file, &text).map_err(|why| Report::rejected(&file, "", 0, Step::Form, &why)),
            ),
            Request::Judge(task) => {
                let mut solver = Remote { session: self };
                Reply::Judged(judge(&task, setup, library, &mut solver))
            }
            Request::Mutate { task, most } => {
                let rule = task
                    .only
                    .as_ref()
                    .and_then(|only| only.first().cloned())
                    .unwrap_or_default();
                let mut solver = Remote { session: self };
                let extent = (task.options.seed, most);
                Reply::Mutated(find_mutants(
                    &task.file,
                    &task.text,
                    &rule,
                    extent,
                    &mut solver,
                ))
            }
            Request::Prove(task) => {
                let mut solver = Remote { session: self };
                Reply::Proved(evidence::proofs(&task, &mut solver))
            }
            Request::Setup(_) | Request::Solved(_) | Request::Modelled(_) => {
                Reply::Failed("out of order".to_owned())
            }
        }
    }
}

/// Asks the gate, which has the solver asked in a process of its own.
struct Remote<'s> {
    session: &'s mut Session,
}

impl Solver for Remote<'_> {
    fn ask(&mut self, script: &str) -> Answer {
        if let Some(why) = &self.session.broken {
            return Answer::NotAttempted(why.clone());
        }
        let question = Reply::Solve {
            script: script.to_owned(),
        };
        let answer = send(&mut self.session.output, &question)
            .and_then(|()| receive(&mut self.session.input));
        match answer {
            Ok(Request::Solved(answer)) => {
                let answer = answer.into();
                // One that is absent, crashes or hangs does so again.
                if let Answer::NotAttempted(why) = &answer
                    && !why.starts_with(ODD_ANSWER)
                {
                    self.session.broken = Some(why.clone());
                }
                answer
            }
            Ok(_) => Answer::NotAttempted("the gate answered something else".to_owned()),
            Err(e) => Answer::NotAttempted(e.to_string()),
        }
    }

    fn model(&mut self, script: &str) -> Option<String> {
        if self.session.broken.is_some() {
            return None;
        }
        let question = Reply::Model {
            script: script.to_owned(),
        };
        send(&mut self.session.output, &question).ok()?;
        match receive(&mut self.session.input) {
            Ok(Request::Modelled(model)) => model,
            _ => None,
        }
    }
}

/// Confines this process, then becomes the solver. Returns only where that fails.
pub fn become_solver(program: &OsString, args: &[OsString]) -> io::Error {
    if let Err(e) = confine(Role::Solver, SOLVER) {
        return io::Error::other(e.to_string());
    }
    Command::new(program).args(args).exec()
}
