//! A thread pool for loops: persistent workers, the caller takes part, small jobs start fast.
//!
//! - The chunks of a loop depend on its length and grain alone, never on the number of threads.
//! - Every thread begins with a share of its own, neighbouring chunks in ascending order, the same share in every loop
//!   of that length: what it wrote in one loop is in its cache in the next. With its share done it helps with others.
//! - Behind a chunk that failed none is begun any more, before it all are run; so the lowest chunk that fails is the
//!   same whatever the number of threads.
//! - A loop inside a loop of several chunks, and a loop that another thread starts meanwhile, run on
//!   their caller.
//!
//! Workers spin for some microseconds after a job before they sleep. The state of a job is one word:
//! its epoch, whether it is open to workers, and how many have joined. The caller closes the job when
//! no chunk is left and waits only for workers that joined, never for ones that are still asleep.

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::null_mut;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;

use crate::{Error, Result};

/// The body of a loop: handles the indices `low..high` and says whether to go on.
type Body<'a> = dyn Fn(usize, usize) -> bool + Sync + 'a;

const OPEN: u64 = 1 << 15;
const JOINED: u64 = OPEN - 1;
const EPOCH: u64 = 1 << 16;
/// Turns of a worker's wait before it sleeps, about 50 microseconds.
const SPINS: u32 = 2000;
/// Shares of a loop, at most; further threads begin with shares that others have begun.
const MOST_SHARES: usize = 16;

thread_local! {
    /// Whether this thread is inside the body of a loop of several chunks.
    static BUSY: Cell<bool> = const { Cell::new(false) };
}

/// A fixed set of threads that run loops together with their caller.
pub struct Pool {
    shared: Arc<Shared>,
    /// Held by the thread whose job the workers have.
    submit: Mutex<()>,
    workers: Vec<JoinHandle<()>>,
}

struct Shared {
    state: AtomicU64,
    job: AtomicPtr<Job<'static>>,
    sleepers: AtomicUsize,
    stop: AtomicBool,
    lock: Mutex<()>,
    wake: Condvar,
}

struct Job<'a> {
    body: &'a Body<'a>,
    n: usize,
    grain: usize,
    shares: [Share; MOST_SHARES],
    /// How many shares there are.
    count: usize,
    /// The lowest chunk that failed.
    failed: AtomicUsize,
    panic: Mutex<Option<(usize, String)>>,
}

/// Chunks that one thread begins with: the next one, and where they end.
#[repr(align(64))]
struct Share {
    next: AtomicUsize,
    end: usize,
}

impl Pool {
    /// A pool in which `threads` threads work, the caller included; at least one.
    pub fn new(threads: usize) -> Result<Pool> {
        let shared = Arc::new(Shared {
            state: AtomicU64::new(0),
            job: AtomicPtr::new(null_mut()),
            sleepers: AtomicUsize::new(0),
            stop: AtomicBool::new(false),
            lock: Mutex::new(()),
            wake: Condvar::new(),
        });
        let mut pool = Pool {
            shared,
            submit: Mutex::new(()),
            workers: Vec::new(),
        };
        for i in 1..threads.min(JOINED as usize) {
            let shared = pool.shared.clone();
            let builder = std::thread::Builder::new().name(format!("aiai-{i}"));
            let worker = builder.spawn(move || shared.work(i));
            pool.workers.push(worker.map_err(Error::Thread)?);
        }
        Ok(pool)
    }

    /// As many threads as the machine runs at a time.
    pub fn with_all_cores() -> Result<Pool> {
        Pool::new(std::thread::available_parallelism().map_or(1, |n| n.get()))
    }

    /// The number of threads, the caller included.
    pub fn threads(&self) -> usize {
        self.workers.len() + 1
    }

    /// Calls `body(low, high)` on consecutive chunks of `0..n`, each of `grain` indices but the last.
    /// A panic in the body becomes [`Error::Panicked`].
    pub fn parallel_for(
        &self,
        n: usize,
        grain: usize,
        body: &(dyn Fn(usize, usize) + Sync),
    ) -> Result<()> {
        self.try_parallel_for(n, grain, &|low, high| {
            body(low, high);
            true
        })
    }

    /// As [`Pool::parallel_for`]; once a body has returned `false`, no chunk behind it starts.
    pub fn try_parallel_for(&self, n: usize, grain: usize, body: &Body<'_>) -> Result<()> {
        let alone = n <= grain.max(1) || self.workers.is_empty() || BUSY.get();
        let submitting = (!alone).then(|| self.submit.try_lock().ok()).flatten();
        let threads = submitting.as_ref().map_or(1, |_| self.threads());
        let job = Job::new(body, n, grain.max(1), threads);
        match submitting {
            Some(_held) => self.shared.run(&job),
            None => job.run_chunks(0),
        }
        let panic = job
            .panic
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        match panic {
            Some((_, message)) => Err(Error::Panicked(message)),
            None => Ok(()),
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        self.shared.wake_sleepers();
        for worker in self.workers.drain(..) {
            // A worker cannot panic: bodies are caught.
            let _ = worker.join();
        }
    }
}

impl Shared {
    /// Runs a job with the workers. The caller holds `submit`.
    fn run(&self, job: &Job<'_>) {
        let address = std::ptr::from_ref(job).cast_mut().cast();
        self.job.store(address, Ordering::Relaxed);
        let epoch = self.state.load(Ordering::Relaxed) & !(EPOCH - 1);
        self.state
            .store(epoch.wrapping_add(EPOCH) | OPEN, Ordering::SeqCst);
        if self.sleepers.load(Ordering::SeqCst) > 0 {
            self.wake_sleepers();
        }
        job.run_chunks(0);
        self.state.fetch_and(!OPEN, Ordering::AcqRel);
        let mut turns = 0;
        while self.state.load(Ordering::Acquire) & JOINED != 0 {
            pause(&mut turns);
        }
    }

    fn wake_sleepers(&self) {
        drop(self.lock.lock().unwrap_or_else(PoisonError::into_inner));
        self.wake.notify_all();
    }

    /// The life of a worker.
    fn work(&self, number: usize) {
        let mut last = self.state.load(Ordering::Acquire) & !(EPOCH - 1);
        while let Some(epoch) = self.join_next(last) {
            last = epoch;
            // SAFETY: this thread has joined the job, so its owner waits until `state` drops again;
            // the acquire in `join_next` makes the address visible.
            let job = unsafe { &*self.job.load(Ordering::Relaxed) };
            job.run_chunks(number);
            self.state.fetch_sub(1, Ordering::Release);
        }
    }

    /// Waits for an open job that is newer than `last` and joins it; `None` when the pool stops.
    fn join_next(&self, last: u64) -> Option<u64> {
        let mut spins = 0;
        loop {
            if self.stop.load(Ordering::SeqCst) {
                return None;
            }
            let state = self.state.load(Ordering::SeqCst);
            if is_new(state, last) {
                let joined = self.state.compare_exchange(
                    state,
                    state + 1,
                    Ordering::AcqRel,
                    Ordering::Relaxed,
                );
                if joined.is_ok() {
                    return Some(state & !(EPOCH - 1));
                }
            } else if spins < SPINS {
                spins += 1;
                std::hint::spin_loop();
            } else {
                self.sleep(last);
            }
        }
    }

    fn sleep(&self, last: u64) {
        let mut guard = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        self.sleepers.fetch_add(1, Ordering::SeqCst);
        // Whoever opens a job after this check sees the sleeper and takes the lock to wake it.
        while !is_new(self.state.load(Ordering::SeqCst), last) && !self.stop.load(Ordering::SeqCst)
        {
            guard = self
                .wake
                .wait(guard)
                .unwrap_or_else(PoisonError::into_inner);
        }
        self.sleepers.fetch_sub(1, Ordering::SeqCst);
    }
}

fn is_new(state: u64, last: u64) -> bool {
    state & OPEN != 0 && state & !(EPOCH - 1) != last
}

/// Spins, and after a while lets other threads run.
fn pause(turns: &mut u32) {
    *turns += 1;
    if *turns < SPINS {
        std::hint::spin_loop();
    } else {
        std::thread::yield_now();
    }
}

impl<'a> Job<'a> {
    fn new(body: &'a Body<'a>, n: usize, grain: usize, threads: usize) -> Job<'a> {
        let chunks = n.div_ceil(grain);
        let count = threads.min(MOST_SHARES).min(chunks).max(1);
        let (each, more) = (chunks / count, chunks % count);
        let begin = |k: usize| k * each + k.min(more);
        Job {
            body,
            n,
            grain,
            shares: std::array::from_fn(|k| Share {
                next: AtomicUsize::new(begin(k.min(count))),
                end: begin((k + 1).min(count)),
            }),
            count,
            failed: AtomicUsize::new(usize::MAX),
            panic: Mutex::new(None),
        }
    }

    /// Takes chunks until none is left, first those of a thread's own share.
    fn run_chunks(&self, thread: usize) {
        let was_busy = BUSY.get();
        BUSY.set(was_busy || self.n > self.grain);
        for turn in 0..self.count {
            self.run_share(&self.shares[(thread + turn) % self.count]);
        }
        BUSY.set(was_busy);
    }

    fn run_share(&self, share: &Share) {
        loop {
            let chunk = share.next.fetch_add(1, Ordering::Relaxed);
            if chunk >= share.end || chunk > self.failed.load(Ordering::Relaxed) {
                break;
            }
            let low = chunk * self.grain;
            let high = low.saturating_add(self.grain).min(self.n);
            match catch_unwind(AssertUnwindSafe(|| (self.body)(low, high))) {
                Ok(true) => {}
                Ok(false) => self.note_failure(chunk),
                Err(payload) => self.record_panic(chunk, &*payload),
            }
        }
    }

    fn note_failure(&self, chunk: usize) {
        self.failed.fetch_min(chunk, Ordering::Relaxed);
    }

    fn record_panic(&self, chunk: usize, payload: &(dyn Any + Send)) {
        self.note_failure(chunk);
        let text = payload.downcast_ref::<&str>().map(|s| (*s).to_owned());
        let text = text.or_else(|| payload.downcast_ref::<String>().cloned());
        let mut first = self.panic.lock().unwrap_or_else(PoisonError::into_inner);
        if first.as_ref().is_none_or(|(lowest, _)| chunk < *lowest) {
            *first = Some((chunk, text.unwrap_or_else(|| "no message".into())));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn visited(pool: &Pool, n: usize, grain: usize) -> Vec<(usize, usize)> {
        let chunks = Mutex::new(Vec::new());
        let body = |low, high| chunks.lock().unwrap().push((low, high));
        pool.parallel_for(n, grain, &body).unwrap();
        let mut chunks = chunks.into_inner().unwrap();
        chunks.sort_unstable();
        chunks
    }

    #[test]
    fn many_small_jobs_each_run_once() {
        let pool = Pool::new(4).unwrap();
        let count = AtomicUsize::new(0);
        for _ in 0..20_000 {
            let body = |low, high| {
                count.fetch_add(high - low, Ordering::Relaxed);
            };
            pool.parallel_for(8, 1, &body).unwrap();
        }
        assert_eq!(count.into_inner(), 160_000);
    }

    #[test]
    fn workers_that_sleep_are_woken() {
        let pool = Pool::new(2).unwrap();
        for _ in 0..5 {
            std::thread::sleep(std::time::Duration::from_millis(3));
            // Both chunks wait for each other, so two threads must take part.
            let barrier = std::sync::Barrier::new(2);
            let body = |_, _| {
                barrier.wait();
            };
            pool.parallel_for(2, 1, &body).unwrap();
        }
    }

    #[test]
    fn a_panic_is_an_error_and_the_pool_lives_on() {
        let pool = Pool::new(3).unwrap();
        for _ in 0..10 {
            let result = pool.parallel_for(100, 1, &|low, _| assert!(low < 7, "chunk {low}"));
            assert!(matches!(result, Err(Error::Panicked(text)) if text == "chunk 7"));
        }
        assert_eq!(visited(&pool, 3, 2), [(0, 2), (2, 3)]);
    }

    #[test]
    fn nested_and_concurrent_loops_finish() {
        let pool = Pool::new(3).unwrap();
        let count = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    let inner = |_, _| {
                        count.fetch_add(1, Ordering::Relaxed);
                    };
                    let outer = |_, _| pool.parallel_for(10, 1, &inner).unwrap();
                    pool.parallel_for(10, 1, &outer).unwrap();
                });
            }
        });
        assert_eq!(count.into_inner(), 300);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn chunks_depend_on_length_and_grain_alone(n in 0usize..300, grain in 0usize..50) {
            let expected = visited(&Pool::new(1).unwrap(), n, grain);
            prop_assert_eq!(visited(&Pool::new(3).unwrap(), n, grain), expected.clone());
            let mut next = 0;
            for (low, high) in expected {
                prop_assert_eq!(low, next);
                prop_assert!(high > low);
                next = high;
            }
            prop_assert_eq!(next, n);
        }
    }
}
