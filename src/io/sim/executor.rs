//! Tasks and time: one thread, one virtual clock, and every choice made by the seed.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use super::faults::Faults;
use super::prng::Prng;
use super::trace::{Trace, What};
use crate::base::Ticks;
use crate::io::LocalFuture;

thread_local! {
    /// Tasks that were woken, as (executor, task). A waker must be `Send`, so it cannot point into an
    /// executor; it names the task instead, and a wake on a foreign thread is lost, not unsound.
    static WOKEN: RefCell<Vec<(u64, u64)>> = const { RefCell::new(Vec::new()) };
    static EXECUTORS: Cell<u64> = const { Cell::new(0) };
}

struct Name {
    executor: u64,
    task: u64,
}

impl Wake for Name {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        WOKEN.with_borrow_mut(|woken| woken.push((self.executor, self.task)));
    }
}

struct Task {
    /// `None` while it is being polled.
    future: Option<LocalFuture<'static, ()>>,
    waker: Waker,
    ready: bool,
}

/// At one instant no more polls than this: beyond it, tasks wake each other in a circle.
const POLLS_AT_ONE_INSTANT_MAX: u64 = 5_000_000;

/// The executor of one simulation, with its clock, its chance and its record.
pub(super) struct Executor {
    number: u64,
    pub(super) prng: Prng,
    pub(super) trace: Trace,
    pub(super) faults: Cell<Faults>,
    now: Cell<Ticks>,
    polls: Cell<u64>,
    serial: Cell<u64>,
    tasks: RefCell<BTreeMap<u64, Task>>,
    ready: RefCell<Vec<u64>>,
    alarms: RefCell<BTreeMap<(Ticks, u64), Waker>>,
}

impl Executor {
    pub(super) fn new(seed: u64, faults: Faults) -> Self {
        let number = EXECUTORS.get() + 1;
        EXECUTORS.set(number);
        Self {
            number,
            prng: Prng::new(seed),
            trace: Trace::new(),
            faults: Cell::new(faults),
            now: Cell::new(Ticks(0)),
            polls: Cell::new(0),
            serial: Cell::new(0),
            tasks: RefCell::default(),
            ready: RefCell::default(),
            alarms: RefCell::default(),
        }
    }

    pub(super) fn now(&self) -> Ticks {
        self.now.get()
    }

    pub(super) fn note(&self, what: What, who: u64, amount: u64) {
        self.trace.note(self.now(), what, who, amount);
    }

    /// The next number of a sequence that nothing else repeats.
    pub(super) fn serial(&self) -> u64 {
        self.serial.set(self.serial.get() + 1);
        self.serial.get()
    }

    pub(super) fn task_count(&self) -> usize {
        self.tasks.borrow().len()
    }

    pub(super) fn spawn(&self, future: LocalFuture<'static, ()>) {
        let task = self.serial();
        let waker = Waker::from(Arc::new(Name { executor: self.number, task }));
        self.note(What::Spawn, task, 0);
        self.tasks.borrow_mut().insert(task, Task { future: Some(future), waker, ready: true });
        self.ready.borrow_mut().push(task);
    }

    /// Polls one ready task. `false` if none is ready.
    pub(super) fn step(&self) -> bool {
        self.collect();
        let faults = self.faults.get();
        if self.ready.borrow().is_empty() {
            return false;
        }
        if self.prng.chance(faults.spurious_per_mille) {
            self.wake_any();
        }
        let task = {
            let mut ready = self.ready.borrow_mut();
            let at = if faults.shuffle { self.prng.below(ready.len() as u64) as usize } else { 0 };
            ready.remove(at)
        };
        self.polls.set(self.polls.get() + 1);
        assert!(
            self.polls.get() < POLLS_AT_ONE_INSTANT_MAX,
            "tasks wake each other in a circle at {:?}",
            self.now()
        );
        self.poll(task);
        true
    }

    fn poll(&self, number: u64) {
        let (mut future, waker) = {
            let mut tasks = self.tasks.borrow_mut();
            let Some(task) = tasks.get_mut(&number) else { return };
            task.ready = false;
            let Some(future) = task.future.take() else { return };
            (future, task.waker.clone())
        };
        self.note(What::Poll, number, 0);
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(()) => {
                // Dropped before it is struck off the list: what it held is freed when the count says so.
                drop(future);
                self.tasks.borrow_mut().remove(&number);
                self.note(What::End, number, 0);
            }
            Poll::Pending => {
                if let Some(task) = self.tasks.borrow_mut().get_mut(&number) {
                    task.future = Some(future);
                }
            }
        }
    }

    /// Moves the tasks that were woken to the ready list.
    fn collect(&self) {
        let mut tasks = self.tasks.borrow_mut();
        let mut ready = self.ready.borrow_mut();
        WOKEN.with_borrow_mut(|woken| {
            woken.retain(|&(executor, number)| {
                if executor != self.number {
                    return true;
                }
                if let Some(task) = tasks.get_mut(&number)
                    && !std::mem::replace(&mut task.ready, true)
                {
                    ready.push(number);
                }
                false
            });
        });
    }

    /// Makes any one task ready, woken or not.
    fn wake_any(&self) {
        let mut tasks = self.tasks.borrow_mut();
        let at = self.prng.below(tasks.len() as u64) as usize;
        if let Some((&number, task)) = tasks.iter_mut().nth(at)
            && !std::mem::replace(&mut task.ready, true)
        {
            self.ready.borrow_mut().push(number);
        }
    }

    /// Moves the clock to the next alarm, if that is not after `latest`, and rings all that are due.
    pub(super) fn advance(&self, latest: Ticks) -> bool {
        let next = self.alarms.borrow().first_key_value().map(|(&(at, _), _)| at);
        match next {
            Some(at) if at <= latest => {
                self.set_now(at);
                let later = self.alarms.borrow_mut().split_off(&(Ticks(at.0.saturating_add(1)), 0));
                let due = std::mem::replace(&mut *self.alarms.borrow_mut(), later);
                due.into_values().for_each(Waker::wake);
                true
            }
            _ => false,
        }
    }

    /// Whether nothing is left to happen.
    pub(super) fn is_idle(&self) -> bool {
        self.collect();
        self.ready.borrow().is_empty() && self.alarms.borrow().is_empty()
    }

    /// Moves the clock forward; never back.
    pub(super) fn set_now(&self, at: Ticks) {
        if at > self.now() {
            self.now.set(at);
            self.polls.set(0);
        }
    }

    /// Drops all tasks, and those that their destructors start.
    pub(super) fn clear(&self) {
        loop {
            let tasks = std::mem::take(&mut *self.tasks.borrow_mut());
            if tasks.is_empty() {
                break;
            }
            drop(tasks);
        }
        self.ready.borrow_mut().clear();
        WOKEN.with_borrow_mut(|woken| woken.retain(|&(executor, _)| executor != self.number));
    }
}

/// Wakes a task at a moment, unless dropped before.
pub(super) struct Alarm {
    executor: Rc<Executor>,
    key: (Ticks, u64),
}

impl Alarm {
    pub(super) fn set(executor: &Rc<Executor>, at: Ticks, waker: &Waker) -> Self {
        let key = (at, executor.serial());
        executor.alarms.borrow_mut().insert(key, waker.clone());
        Self { executor: executor.clone(), key }
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        self.executor.alarms.borrow_mut().remove(&self.key);
    }
}

/// Ends `duration` of virtual time after the call.
pub(super) fn sleep(executor: &Rc<Executor>, duration: Duration) -> LocalFuture<'static, ()> {
    let at = executor.now() + duration;
    Box::pin(Sleep { executor: executor.clone(), at, alarm: None })
}

struct Sleep {
    executor: Rc<Executor>,
    at: Ticks,
    alarm: Option<Alarm>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.alarm = None;
        if self.executor.now() >= self.at {
            return Poll::Ready(());
        }
        if self.at != Ticks::NEVER {
            self.alarm = Some(Alarm::set(&self.executor, self.at, cx.waker()));
        }
        Poll::Pending
    }
}
