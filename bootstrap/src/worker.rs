//! Workers: confined processes that judge rules, and what the gate does when one of them misbehaves.
//!
//! The gate never looks at a candidate itself. It hands text to a worker and reads a report; a worker that dies,
//! hangs or writes what is no report costs its rule the verdict and nothing else.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io::{self, BufReader, BufWriter};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

mod confine;
mod frame;
mod serve;
mod solver;

pub use confine::{Bounds, ConfineError, Role, confine};
pub use frame::{Listed, Proved, Reply, Request, receive, send};
pub use serve::{PANICKED, become_solver, serve};
pub use solver::{Answered, version as solver_version};

use crate::gate::{AlgebraKind, Options, Report, Setup, Task};
use crate::selftest::{Extent, Found};

/// How to start a worker.
#[derive(Clone, Debug)]
pub struct Launch {
    pub program: PathBuf,
    pub judge: Vec<OsString>,
    /// Starts a process that confines itself and becomes the solver.
    pub solver: Vec<OsString>,
    /// Seconds that one task may take.
    pub timeout: Duration,
    /// Tasks of one process, at most: a fresh one owes nothing to the rules before.
    pub tasks: usize,
}

/// What a worker did instead of judging.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WorkerError {
    /// Nothing can be judged on this machine.
    #[error("{0}")]
    Unconfined(String),
    #[error("no worker could be started: {0}")]
    Start(String),
    #[error("the worker died: {0}")]
    Died(String),
    #[error("the worker did not answer within {0} s and was killed")]
    TimedOut(u64),
    #[error("the worker wrote what is no report: {0}")]
    Garbled(String),
    #[error("{0}")]
    Failed(String),
}

impl WorkerError {
    /// Whether another worker would fare no better: the machine is at fault, not the rule.
    pub fn is_environment(&self) -> bool {
        matches!(self, WorkerError::Unconfined(_) | WorkerError::Start(_))
    }
}

/// A running worker.
pub struct Worker {
    child: Child,
    input: BufWriter<ChildStdin>,
    replies: Receiver<io::Result<Reply>>,
    launch: Launch,
    done: usize,
}

impl Worker {
    /// Starts a worker, which confines itself, and tells it what all tasks share.
    ///
    /// # Errors
    /// Where it cannot be started or confined.
    pub fn start(launch: &Launch, setup: &Setup) -> Result<Worker, WorkerError> {
        let failed = |e: io::Error| WorkerError::Start(e.to_string());
        let mut child = Command::new(&launch.program)
            .args(&launch.judge)
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(failed)?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(WorkerError::Start("it has no pipes".to_owned()));
        };
        let (sender, replies) = channel();
        std::thread::Builder::new()
            .name("worker".to_owned())
            .spawn(move || {
                let mut output = BufReader::new(output);
                loop {
                    let reply = receive(&mut output);
                    let last = reply.is_err();
                    if sender.send(reply).is_err() || last {
                        break;
                    }
                }
            })
            .map_err(failed)?;
        let mut worker = Worker {
            child,
            input: BufWriter::new(input),
            replies,
            launch: launch.clone(),
            done: 0,
        };
        let sent = send(&mut worker.input, &Request::Setup(Box::new(setup.clone())));
        // A worker that cannot confine itself says so without reading.
        match worker.reply(Instant::now() + launch.timeout)? {
            Reply::Ready => sent.map_err(failed).map(|()| worker),
            Reply::Unconfined(why) => Err(WorkerError::Unconfined(why)),
            Reply::Failed(why) => Err(WorkerError::Start(why)),
            Reply::Solve { .. }
            | Reply::Model { .. }
            | Reply::Judged(_)
            | Reply::Listed(_)
            | Reply::Mutated(_)
            | Reply::Proved(_) => Err(WorkerError::Garbled("an answer to no question".to_owned())),
        }
    }

    /// The names of the rules of a file, or the report that says what is wrong with it.
    ///
    /// # Errors
    /// What the worker did instead.
    pub fn list(
        &mut self,
        file: &str,
        text: &str,
    ) -> Result<Result<Vec<Listed>, Box<Report>>, WorkerError> {
        let request = Request::List {
            file: file.to_owned(),
            text: text.to_owned(),
        };
        match self.ask(&request)? {
            Reply::Listed(listed) => Ok(listed.map_err(Box::new)),
            other => Err(unexpected(&other)),
        }
    }

    /// Has rules judged.
    ///
    /// # Errors
    /// What the worker did instead; it is of no more use then.
    pub fn judge(&mut self, task: &Task) -> Result<Vec<Report>, WorkerError> {
        self.done += 1;
        match self.ask(&Request::Judge(Box::new(task.clone())))? {
            Reply::Judged(reports) if !reports.is_empty() => Ok(reports),
            other => Err(unexpected(&other)),
        }
    }

    /// Mutants of the rule that a task names.
    ///
    /// # Errors
    /// What the worker did instead.
    pub fn mutants(&mut self, task: &Task, most: usize) -> Result<Vec<Found>, WorkerError> {
        self.done += 1;
        match self.ask(&Request::Mutate {
            task: Box::new(task.clone()),
            most,
        })? {
            Reply::Mutated(found) => Ok(found),
            other => Err(unexpected(&other)),
        }
    }

    /// Proofs of the rules of a task.
    ///
    /// # Errors
    /// What the worker did instead.
    pub fn prove(&mut self, task: &Task) -> Result<Vec<Proved>, WorkerError> {
        self.done += 1;
        match self.ask(&Request::Prove(Box::new(task.clone())))? {
            Reply::Proved(proofs) => Ok(proofs),
            other => Err(unexpected(&other)),
        }
    }

    /// The process, for tests that kill it.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    fn ask(&mut self, request: &Request) -> Result<Reply, WorkerError> {
        let deadline = Instant::now() + self.launch.timeout;
        let mut to_send = Some(request.clone());
        loop {
            if let Some(request) = to_send.take()
                && let Err(e) = send(&mut self.input, &request)
            {
                return Err(self.death(&e.to_string()));
            }
            match self.reply(deadline)? {
                Reply::Solve { script } => {
                    let answer = solver::ask(&self.launch, &script, deadline);
                    to_send = Some(Request::Solved(answer));
                }
                Reply::Model { script } => {
                    let model = solver::model(&self.launch, &script, deadline);
                    to_send = Some(Request::Modelled(model));
                }
                Reply::Failed(why) => return Err(WorkerError::Failed(why)),
                other => return Ok(other),
            }
        }
    }

    fn reply(&mut self, deadline: Instant) -> Result<Reply, WorkerError> {
        let left = deadline.saturating_duration_since(Instant::now());
        match self.replies.recv_timeout(left) {
            Ok(Ok(reply)) => Ok(reply),
            Ok(Err(e)) if e.kind() == io::ErrorKind::UnexpectedEof => Err(self.death("it ended")),
            Ok(Err(e)) => {
                self.stop();
                Err(WorkerError::Garbled(e.to_string()))
            }
            Err(RecvTimeoutError::Timeout) => {
                self.stop();
                Err(WorkerError::TimedOut(self.launch.timeout.as_secs()))
            }
            Err(RecvTimeoutError::Disconnected) => Err(self.death("it is gone")),
        }
    }

    fn death(&mut self, how: &str) -> WorkerError {
        // What it wrote last may say why.
        if let Ok(Ok(Reply::Unconfined(why))) = self.replies.recv_timeout(Duration::from_millis(50))
        {
            return WorkerError::Unconfined(why);
        }
        self.stop();
        match self.child.wait() {
            Ok(status) => WorkerError::Died(status.to_string()),
            Err(_) => WorkerError::Died(how.to_owned()),
        }
    }

    fn stop(&mut self) {
        // It may be gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.stop();
    }
}

fn unexpected(reply: &Reply) -> WorkerError {
    let what = match reply {
        Reply::Ready => "ready",
        Reply::Unconfined(_) => "unconfined",
        Reply::Solve { .. } | Reply::Model { .. } => "a question",
        Reply::Judged(_) => "a verdict on nothing",
        Reply::Mutated(_) => "mutants",
        Reply::Proved(_) => "proofs",
        Reply::Listed(_) => "a list",
        Reply::Failed(_) => "a failure",
    };
    WorkerError::Garbled(format!("{what}, which was not asked for"))
}

/// Judges many tasks on several workers; the reports come in the order of the tasks. A worker that fails is
/// replaced. `progress` is told of every task that is done.
///
/// # Errors
/// Where no worker can be had on this machine.
pub fn judge_all(
    launch: &Launch,
    setup: &Setup,
    tasks: &[Task],
    jobs: usize,
    progress: &(dyn Fn(&[Report]) + Sync),
) -> Result<Vec<Vec<Report>>, WorkerError> {
    let judge = |worker: &mut Worker, task: &Task| worker.judge(task);
    let failed = |task: &Task, error: &WorkerError| vec![unjudged(task, error)];
    each(
        launch,
        setup,
        (tasks, jobs),
        &judge,
        &failed,
        &|reports: &Vec<Report>| progress(reports),
    )
}

/// Mutants of the rules that tasks name, by several workers. A rule whose worker fails has none.
///
/// # Errors
/// Where no worker can be had on this machine.
pub fn mutants_of(
    launch: &Launch,
    setup: &Setup,
    tasks: &[Task],
    extent: &Extent,
    progress: &(dyn Fn() + Sync),
) -> Result<Vec<Found>, WorkerError> {
    let find = |worker: &mut Worker, task: &Task| worker.mutants(task, extent.per_rule);
    let none = |_: &Task, _: &WorkerError| Vec::new();
    let found = each(
        launch,
        setup,
        (tasks, extent.jobs),
        &find,
        &none,
        &|_: &Vec<Found>| progress(),
    )?;
    Ok(found.into_iter().flatten().collect())
}

/// Proves the rules of tasks on several workers.
///
/// # Errors
/// Where no worker can be had on this machine.
pub fn prove_all(
    launch: &Launch,
    setup: &Setup,
    tasks: &[Task],
    jobs: usize,
) -> Result<Vec<Proved>, WorkerError> {
    let prove = |worker: &mut Worker, task: &Task| worker.prove(task);
    let failed = |task: &Task, error: &WorkerError| {
        vec![Proved {
            rule: task.only_one().unwrap_or_default().to_owned(),
            algebra: AlgebraKind::None,
            detail: error.to_string(),
            float_proved: false,
            steps: Vec::new(),
        }]
    };
    let proofs = each(launch, setup, (tasks, jobs), &prove, &failed, &|_: &Vec<
        Proved,
    >| {})?;
    Ok(proofs.into_iter().flatten().collect())
}

/// A task for every rule of some files; for a file that is none, one task that will say so.
///
/// # Errors
/// Where no worker can be had on this machine.
pub fn tasks_of(
    launch: &Launch,
    setup: &Setup,
    files: &[(String, String)],
    options: &Options,
) -> Result<Vec<Task>, WorkerError> {
    tasks(launch, setup, files, options, false)
}

/// The same, each about a text that holds its rule alone: what is admitted is what was judged, and nothing beside it.
///
/// # Errors
/// Where no worker can be had on this machine.
pub fn tasks_apart(
    launch: &Launch,
    setup: &Setup,
    files: &[(String, String)],
    options: &Options,
) -> Result<Vec<Task>, WorkerError> {
    tasks(launch, setup, files, options, true)
}

fn tasks(
    launch: &Launch,
    setup: &Setup,
    files: &[(String, String)],
    options: &Options,
    apart: bool,
) -> Result<Vec<Task>, WorkerError> {
    let mut worker: Option<Worker> = None;
    let mut tasks = Vec::new();
    for (file, text) in files {
        let running = match &mut worker {
            Some(running) => running,
            None => worker.insert(Worker::start(launch, setup)?),
        };
        let task = |only| Task {
            file: file.clone(),
            text: text.clone(),
            only,
            options: options.clone(),
        };
        match running.list(file, text) {
            Ok(Ok(rules)) => {
                tasks.extend(rules.into_iter().map(|rule| {
                    let named = task(Some(vec![rule.name]));
                    let text = match apart {
                        true => Some(rule.alone),
                        false => rule.within,
                    };
                    Task {
                        text: text.unwrap_or_else(|| named.text.clone()),
                        ..named
                    }
                }));
            }
            Ok(Err(_)) => tasks.push(task(None)),
            Err(e) if e.is_environment() => return Err(e),
            Err(_) => {
                worker = None;
                tasks.push(task(None));
            }
        }
    }
    Ok(tasks)
}

/// Does something with every task on some workers, in order of the tasks.
fn each<T: Send>(
    launch: &Launch,
    setup: &Setup,
    (tasks, jobs): (&[Task], usize),
    work: &(dyn Fn(&mut Worker, &Task) -> Result<T, WorkerError> + Sync),
    failed: &(dyn Fn(&Task, &WorkerError) -> T + Sync),
    progress: &(dyn Fn(&T) + Sync),
) -> Result<Vec<T>, WorkerError> {
    let queue: Mutex<VecDeque<usize>> = Mutex::new((0..tasks.len()).collect());
    let results: Mutex<Vec<(usize, T)>> = Mutex::new(Vec::new());
    let broken: Mutex<Option<WorkerError>> = Mutex::new(None);
    let next = || queue.lock().ok().and_then(|mut queue| queue.pop_front());
    let thread = || {
        let mut worker: Option<Worker> = None;
        while let Some(number) = next() {
            let task = &tasks[number];
            let done = match on_one(&mut worker, launch, setup, |worker| work(worker, task)) {
                Ok(done) => done,
                Err(e) if e.is_environment() => {
                    if let (Ok(mut broken), Ok(mut queue)) = (broken.lock(), queue.lock()) {
                        *broken = Some(e);
                        queue.clear();
                    }
                    return;
                }
                Err(e) => failed(task, &e),
            };
            progress(&done);
            if let Ok(mut results) = results.lock() {
                results.push((number, done));
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..jobs.clamp(1, tasks.len().max(1)) {
            scope.spawn(thread);
        }
    });
    if let Ok(mut broken) = broken.lock()
        && let Some(error) = broken.take()
    {
        return Err(error);
    }
    let results = results.into_inner();
    let mut results =
        results.map_err(|_| WorkerError::Failed("a thread of the gate panicked".to_owned()))?;
    results.sort_by_key(|(number, _)| *number);
    Ok(results.into_iter().map(|(_, done)| done).collect())
}

fn on_one<T>(
    worker: &mut Option<Worker>,
    launch: &Launch,
    setup: &Setup,
    work: impl Fn(&mut Worker) -> Result<T, WorkerError>,
) -> Result<T, WorkerError> {
    if worker.as_ref().is_some_and(|w| w.done >= launch.tasks) {
        *worker = None;
    }
    let running = match worker {
        Some(running) => running,
        None => worker.insert(Worker::start(launch, setup)?),
    };
    let done = work(running);
    if done.is_err() {
        *worker = None;
    }
    done
}

/// The report on a rule whose worker failed: no verdict is no admission.
pub fn unjudged(task: &Task, error: &WorkerError) -> Report {
    let name = task.only_one().unwrap_or_default();
    let mut report = Report::new(&task.file, name, task.options.seed);
    report.verdict = crate::gate::Verdict::Rejected;
    report.why = Some(error.to_string());
    report
}
