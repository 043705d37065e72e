//! Threads that share the layers of one inference.
//!
//! A layer takes a few hundred microseconds or less, so threads that wait for the next one do not sleep at once: to wake
//! one takes as long as a small layer. They spin for a moment, and sleep only then.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

/// How often a thread looks for work before it sleeps. A look takes some tens of nanoseconds, so this is 50 to 100
/// microseconds.
const LOOKS: u32 = 2_000;

/// Threads beside the caller's.
#[derive(Debug)]
pub struct Pool {
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
    /// One job at a time.
    turn: Mutex<()>,
}

/// What the caller and the threads see.
#[derive(Debug, Default)]
struct Shared {
    /// Counts jobs: when it changes, there is one.
    number: AtomicUsize,
    /// The job.
    job: Mutex<Option<Job>>,
    /// Threads that are not done with it.
    left: AtomicUsize,
    /// What a thread panicked with.
    panic: Mutex<Option<Box<dyn std::any::Any + Send>>>,
    stop: AtomicBool,
}

/// A function that every thread calls with its number.
#[derive(Clone, Copy, Debug)]
struct Job(*const (dyn Fn(usize) + Sync));

// SAFETY: what it points to is `Sync`, and lives while a thread uses it (see `Pool::run`).
unsafe impl Send for Job {}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic is passed on by other means; what the mutexes hold is right in any case.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Pool {
    /// So many threads, the caller's among them.
    ///
    /// # Errors
    /// If the system gives no more threads.
    pub fn new(threads: usize) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let mut pool = Self {
            shared,
            workers: vec![],
            turn: Mutex::default(),
        };
        for number in 1..threads {
            let shared = pool.shared.clone();
            let thread = std::thread::Builder::new().name(format!("engine {number}"));
            pool.workers
                .push(thread.spawn(move || shared.work(number))?);
        }
        Ok(pool)
    }

    /// Calls `job` with every number below that of the threads, each on another thread, and returns when all are done.
    ///
    /// A job must not call this itself: it would wait for its own end.
    ///
    /// # Panics
    /// If one of them does, after all are done.
    pub fn run(&self, job: &(dyn Fn(usize) + Sync)) {
        let _turn = lock(&self.turn);
        let shared = &*self.shared;
        // Left behind if the caller's own part panicked as well.
        let old = lock(&shared.panic).take();
        drop(old);
        // SAFETY: this changes nothing but the lifetime. The threads use the job only until they have counted
        // themselves off in `left`, and this function does not return, nor unwind, before all have (`Wait`).
        let lasting = unsafe {
            core::mem::transmute::<&(dyn Fn(usize) + Sync), &'static (dyn Fn(usize) + Sync)>(job)
        };
        shared.left.store(self.workers.len(), Ordering::Relaxed);
        *lock(&shared.job) = Some(Job(lasting));
        let wait = Wait(shared);
        shared.number.fetch_add(1, Ordering::Release);
        for worker in &self.workers {
            worker.thread().unpark();
        }
        job(0);
        drop(wait);
        let panic = lock(&shared.panic).take();
        if let Some(panic) = panic {
            resume_unwind(panic);
        }
    }
}

/// Waits for all threads when it is dropped.
struct Wait<'p>(&'p Shared);

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        let mut looks = 0;
        while self.0.left.load(Ordering::Acquire) > 0 {
            looks += 1;
            match looks < LOOKS {
                true => core::hint::spin_loop(),
                // The thread may have no processor to run on.
                false => std::thread::yield_now(),
            }
        }
    }
}

impl Shared {
    /// What a thread does until the pool goes.
    fn work(&self, number: usize) {
        let mut done = 0;
        loop {
            let mut looks = 0;
            while self.number.load(Ordering::Acquire) == done {
                looks += 1;
                match looks < LOOKS {
                    true => core::hint::spin_loop(),
                    false => std::thread::park(),
                }
            }
            if self.stop.load(Ordering::Relaxed) {
                return;
            }
            done = done.wrapping_add(1);
            let job = *lock(&self.job);
            if let Some(Job(job)) = job {
                // SAFETY: the caller waits until `left` is 0, so the job lives (see `Pool::run`).
                let job = unsafe { &*job };
                if let Err(panic) = catch_unwind(AssertUnwindSafe(|| job(number))) {
                    let mut first = lock(&self.panic);
                    match *first {
                        None => *first = Some(panic),
                        // To drop it might panic once more.
                        Some(_) => core::mem::forget(panic),
                    }
                }
            }
            self.left.fetch_sub(1, Ordering::Release);
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        self.shared.number.fetch_add(1, Ordering::Release);
        for worker in self.workers.drain(..) {
            worker.thread().unpark();
            // It does not panic.
            let _ = worker.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_is_called_once_a_job() {
        for threads in [1, 2, 5] {
            let pool = Pool::new(threads).unwrap();
            let counts: Vec<AtomicUsize> = (0..threads).map(|_| AtomicUsize::new(0)).collect();
            for round in 1..=300 {
                pool.run(&|number| {
                    counts[number].fetch_add(1, Ordering::Relaxed);
                });
                // All are done when `run` returns.
                assert!(counts.iter().all(|c| c.load(Ordering::Relaxed) == round));
                if round % 100 == 0 {
                    // Long enough that threads sleep.
                    std::thread::sleep(std::time::Duration::from_millis(5));
                }
            }
        }
    }

    #[test]
    fn a_panic_waits_for_all_and_is_passed_on() {
        let pool = Pool::new(3).unwrap();
        for who in 0..3 {
            let done = AtomicUsize::new(0);
            let panic = catch_unwind(AssertUnwindSafe(|| {
                pool.run(&|number| {
                    if number == who {
                        panic!("on purpose");
                    }
                    std::thread::sleep(std::time::Duration::from_millis(2));
                    done.fetch_add(1, Ordering::Relaxed);
                });
            }));
            assert!(panic.is_err());
            assert_eq!(done.load(Ordering::Relaxed), 2);
        }
        // All at once: one is passed on, and none is left for the next job.
        assert!(catch_unwind(AssertUnwindSafe(|| pool.run(&|_| panic!("on purpose")))).is_err());
        // And the pool works on.
        let count = AtomicUsize::new(0);
        pool.run(&|_| {
            count.fetch_add(1, Ordering::Relaxed);
        });
        assert_eq!(count.load(Ordering::Relaxed), 3);
    }

    #[test]
    fn callers_take_turns() {
        let pool = Pool::new(2).unwrap();
        let running = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        pool.run(&|number| {
                            if number == 0 {
                                assert_eq!(running.fetch_add(1, Ordering::SeqCst), 0);
                                running.fetch_sub(1, Ordering::SeqCst);
                            }
                        });
                    }
                });
            }
        });
    }
}
