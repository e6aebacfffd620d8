//! Tasks and the loop that polls them.

use crate::clock::Clock;
use crate::idle::{Idle, LOOK_NS};
use crate::near::{Near, Part, Region};
use crate::socket::{Sources, WAKE_TOKEN};
use crate::timer::PreciseEntry;
use crate::wheel::Wheel;
use std::cell::{Cell, RefCell};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::future::Future;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

/// Polls between two looks at the clock, so that a long queue of ready tasks
/// does not hold a paced arrival back.
const POLLS_PER_TIMER_CHECK: usize = 16;
/// Tasks whose memory a core's cache holds anyway.
const FEW_TASKS: usize = 256;
/// How far ahead in the queue a task's memory is fetched, and before it the slot that says where it is.
const FETCHED_AHEAD: usize = 2;
const SLOTS_FETCHED_AHEAD: usize = 4;
/// Events taken from the kernel at a time.
const EVENTS_PER_WAIT: usize = 256;
/// The future given to `block_on`, which has no slot.
const ROOT: u64 = u64::MAX;

/// One thread's event loop.
pub struct Reactor {
    inner: Rc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) clock: Clock,
    pub(crate) sources: Sources,
    pub(crate) wheel: RefCell<Wheel>,
    pub(crate) precise: RefCell<BinaryHeap<Reverse<PreciseEntry>>>,
    tasks: RefCell<Tasks>,
    ready: RefCell<VecDeque<u64>>,
    remote: Arc<Remote>,
    live: Cell<usize>,
    /// The slot of the task that is polled, or was last.
    polled: Cell<usize>,
    idle: Idle,
}

/// What other threads may touch: the queue behind the eventfd. A mutex, since
/// wake-ups from outside are rare (name look-ups, the stop signal) and never
/// on the path of a request.
struct Remote {
    event: OwnedFd,
    queue: Mutex<Vec<u64>>,
}

#[derive(Default)]
struct Tasks {
    slots: Vec<Slot>,
    free: Vec<u32>,
}

#[derive(Default)]
struct Slot {
    generation: u32,
    task: Option<Task>,
    /// Being polled right now: its task is on the stack.
    running: bool,
    near: Near,
}

struct Task {
    future: Pin<Box<dyn Future<Output = ()>>>,
    flag: Arc<TaskFlag>,
    waker: Waker,
}

/// The shared part of a task: who it is, and whether it is queued already.
struct TaskFlag {
    id: u64,
    queued: AtomicBool,
    remote: Arc<Remote>,
}

thread_local! {
    static CURRENT: RefCell<Option<Rc<Inner>>> = const { RefCell::new(None) };
}

/// Runs `f` with the reactor of this thread, if it is inside one.
pub(crate) fn with_current<T>(f: impl FnOnce(Option<&Rc<Inner>>) -> T) -> T {
    CURRENT.with_borrow(|current| f(current.as_ref()))
}

/// Runs `future` on this thread's reactor, beside the caller.
///
/// # Panics
/// Outside of [`Reactor::block_on`].
pub fn spawn(future: impl Future<Output = ()> + 'static) {
    with_current(|current| {
        current
            .expect("spawn is called on a reactor")
            .spawn(Box::pin(future));
    });
}

/// Lets the other ready tasks and the sockets go first.
pub async fn yield_now() {
    let mut yielded = false;
    std::future::poll_fn(|context| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

impl Reactor {
    /// A reactor on real time.
    ///
    /// # Errors
    /// No descriptors are left.
    pub fn new() -> io::Result<Self> {
        Self::with_clock(Clock::Real)
    }

    /// A reactor whose time jumps to the next deadline when nothing is
    /// runnable and no socket is ready; it starts at `now_ns`.
    ///
    /// # Errors
    /// No descriptors are left.
    pub fn simulated(now_ns: u64) -> io::Result<Self> {
        Self::with_clock(Clock::Simulated(Cell::new(now_ns)))
    }

    fn with_clock(clock: Clock) -> io::Result<Self> {
        // SAFETY: no pointers; the result is checked.
        let event = unsafe { libc::eventfd(0, libc::EFD_NONBLOCK | libc::EFD_CLOEXEC) };
        if event < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor is new and ours.
        let event = unsafe { OwnedFd::from_raw_fd(event) };
        let sources = Sources::new(event.as_raw_fd())?;
        let wheel = Wheel::new(clock.now());
        Ok(Reactor {
            inner: Rc::new(Inner {
                clock,
                sources,
                wheel: RefCell::new(wheel),
                precise: RefCell::default(),
                tasks: RefCell::default(),
                ready: RefCell::default(),
                remote: Arc::new(Remote {
                    event,
                    queue: Mutex::default(),
                }),
                live: Cell::new(0),
                polled: Cell::new(0),
                idle: Idle::default(),
            }),
        })
    }

    /// Runs `root`, and whatever it spawns, until `root` is done.
    ///
    /// # Panics
    /// Inside another reactor on the same thread.
    pub fn block_on<F: Future>(&self, root: F) -> F::Output {
        let entered = Entered::enter(&self.inner);
        request_fine_timers();
        let mut root = pin!(root);
        let flag = Arc::new(TaskFlag {
            id: ROOT,
            queued: AtomicBool::new(true),
            remote: self.inner.remote.clone(),
        });
        let waker = Waker::from(flag.clone());
        self.inner.ready.borrow_mut().push_back(ROOT);
        loop {
            let turn = self.inner.ready.borrow().len();
            for polled in 1..=turn {
                let next = self.inner.ready.borrow_mut().pop_front();
                match next {
                    Some(ROOT) => {
                        self.inner.polled.set(usize::MAX);
                        flag.queued.store(false, Ordering::Release);
                        let mut context = Context::from_waker(&waker);
                        if let Poll::Ready(output) = root.as_mut().poll(&mut context) {
                            drop(entered);
                            return output;
                        }
                    }
                    Some(id) => {
                        if self.inner.live.get() > FEW_TASKS {
                            self.inner.fetch_ahead();
                        }
                        self.inner.poll_task(id);
                    }
                    None => break,
                }
                if polled % POLLS_PER_TIMER_CHECK == 0 {
                    self.inner.fire_timers();
                }
            }
            self.inner.wait();
            self.inner.fire_timers();
        }
    }

    /// Tasks that have been spawned and are not done.
    pub fn live_tasks(&self) -> usize {
        self.inner.live.get()
    }
}

impl Drop for Reactor {
    fn drop(&mut self) {
        // Tasks own timers and sockets of this reactor: drop them while it is the current one.
        let entered = Entered::enter(&self.inner);
        loop {
            let slots = std::mem::take(&mut self.inner.tasks.borrow_mut().slots);
            if slots.is_empty() {
                break;
            }
            drop(slots);
        }
        drop(entered);
    }
}

/// The slot of a task.
fn index_of(id: u64) -> usize {
    (id & u64::from(u32::MAX)) as usize
}

/// Makes a reactor the current one of its thread.
struct Entered;

impl Entered {
    fn enter(inner: &Rc<Inner>) -> Self {
        CURRENT.with_borrow_mut(|current| {
            assert!(current.is_none(), "a reactor runs inside another one");
            *current = Some(inner.clone());
        });
        Entered
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        CURRENT.with_borrow_mut(Option::take);
    }
}

impl Inner {
    fn spawn(&self, future: Pin<Box<dyn Future<Output = ()>>>) {
        let mut tasks = self.tasks.borrow_mut();
        let index = tasks.free.pop().unwrap_or_else(|| {
            tasks.slots.push(Slot::default());
            (tasks.slots.len() - 1) as u32
        });
        let slot = &mut tasks.slots[index as usize];
        let id = u64::from(slot.generation) << 32 | u64::from(index);
        let flag = Arc::new(TaskFlag {
            id,
            queued: AtomicBool::new(true),
            remote: self.remote.clone(),
        });
        slot.task = Some(Task {
            future,
            waker: Waker::from(flag.clone()),
            flag,
        });
        self.live.set(self.live.get() + 1);
        self.ready.borrow_mut().push_back(id);
    }

    /// Fetches what the tasks behind the one that comes now will touch.
    fn fetch_ahead(&self) {
        let (ready, tasks) = (self.ready.borrow(), self.tasks.borrow());
        let slot = |ahead: usize| tasks.slots.get(index_of(*ready.get(ahead)?));
        if let Some(slot) = slot(SLOTS_FETCHED_AHEAD) {
            Region::of(slot).fetch();
        }
        if let Some(slot) = slot(FETCHED_AHEAD)
            && let Some(task) = &slot.task
        {
            Region::of(&*task.flag).fetch();
            Region::of(&*task.future).fetch();
            slot.near.fetch();
        }
    }

    /// Takes down what the task that is polled will touch next time.
    pub(crate) fn note(&self, part: Part, region: Region) {
        if let Some(slot) = self.tasks.borrow_mut().slots.get_mut(self.polled.get()) {
            slot.near.set(part, region);
        }
    }

    fn poll_task(&self, id: u64) {
        let index = index_of(id);
        let Some(mut task) = self.take_task(index, (id >> 32) as u32) else {
            return;
        };
        task.flag.queued.store(false, Ordering::Release);
        self.polled.set(index);
        let done = {
            let mut context = Context::from_waker(&task.waker);
            task.future.as_mut().poll(&mut context).is_ready()
        };
        if !done {
            let slot = &mut self.tasks.borrow_mut().slots[index];
            slot.running = false;
            slot.task = Some(task);
            return;
        }
        // Dropped before the slot is free again: its drop may spawn.
        drop(task);
        self.live.set(self.live.get() - 1);
        let mut tasks = self.tasks.borrow_mut();
        let slot = &mut tasks.slots[index];
        slot.running = false;
        slot.generation = slot.generation.wrapping_add(1) & 0x7fff_ffff;
        tasks.free.push(index as u32);
    }

    /// Takes a task out of its slot to poll it; none if the wake-up is stale.
    fn take_task(&self, index: usize, generation: u32) -> Option<Task> {
        let mut tasks = self.tasks.borrow_mut();
        let slot = tasks.slots.get_mut(index)?;
        if slot.generation != generation || slot.running {
            return None;
        }
        let task = slot.task.take()?;
        slot.running = true;
        Some(task)
    }

    /// Waits for sockets, wake-ups or the next deadline.
    fn wait(&self) {
        let idle = self.ready.borrow().is_empty();
        let deadline = self.next_deadline_ns();
        let may_look = matches!(self.clock, Clock::Real) && idle;
        if may_look && self.idle.looks() && self.look(deadline) {
            return;
        }
        let timeout_ns = match (&self.clock, idle) {
            (_, false) => Some(0),
            (Clock::Real, true) => deadline.map(|at| at.saturating_sub(self.clock.now())),
            (Clock::Simulated(_), true) => deadline.map(|_| 0),
        };
        let woken = self.wait_on_sources(timeout_ns);
        if let (Clock::Simulated(now_ns), true, Some(at)) = (&self.clock, idle && !woken, deadline)
        {
            now_ns.set(now_ns.get().max(at));
        }
    }

    /// Looks for events for a moment, awake; says whether any came.
    fn look(&self, deadline: Option<u64>) -> bool {
        let until_ns = self.clock.now() + LOOK_NS;
        let until_ns = deadline.map_or(until_ns, |at| at.min(until_ns));
        loop {
            let woken = self.wait_on_sources(Some(0));
            if woken || self.clock.now() >= until_ns {
                self.idle.learn(woken);
                return woken;
            }
        }
    }

    fn wait_on_sources(&self, timeout_ns: Option<u64>) -> bool {
        self.sources.wait::<EVENTS_PER_WAIT>(timeout_ns, |token| {
            if token == WAKE_TOKEN {
                self.take_remote();
            }
        })
    }

    fn next_deadline_ns(&self) -> Option<u64> {
        let precise = self.precise.borrow().peek().map(|entry| entry.0.0);
        let coarse = self.wheel.borrow().next_deadline_ns();
        precise.into_iter().chain(coarse).min()
    }

    fn fire_timers(&self) {
        let now_ns = self.clock.now();
        loop {
            let mut precise = self.precise.borrow_mut();
            match precise.peek() {
                Some(entry) if entry.0.0 <= now_ns => {}
                _ => break,
            }
            let entry = precise.pop();
            drop(precise);
            if let Some(Reverse(PreciseEntry(_, waker))) = entry {
                // To the front: what is paced goes before what merely became ready.
                self.wake_first(waker);
            }
        }
        // Waking only queues: no task runs and no timer is touched while the wheel is borrowed.
        self.wheel.borrow_mut().advance(now_ns, Waker::wake);
    }

    fn wake_first(&self, waker: Waker) {
        let before = self.ready.borrow().len();
        waker.wake();
        let mut ready = self.ready.borrow_mut();
        if ready.len() > before
            && let Some(id) = ready.pop_back()
        {
            ready.push_front(id);
        }
    }

    fn take_remote(&self) {
        let mut count = [0u8; 8];
        // SAFETY: eight bytes are what an eventfd hands out. A failed read means that another
        // wait has cleared it, and the queue below is looked at either way.
        unsafe { libc::read(self.remote.event.as_raw_fd(), count.as_mut_ptr().cast(), 8) };
        let woken = std::mem::take(
            &mut *self
                .remote
                .queue
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        );
        self.ready.borrow_mut().extend(woken);
    }
}

impl Wake for TaskFlag {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.queued.load(Ordering::Acquire) || self.queued.swap(true, Ordering::AcqRel) {
            return;
        }
        let local = CURRENT
            .try_with(|current| match &*current.borrow() {
                Some(inner) if Arc::ptr_eq(&inner.remote, &self.remote) => {
                    inner.ready.borrow_mut().push_back(self.id);
                    true
                }
                _ => false,
            })
            .unwrap_or(false);
        if !local {
            self.remote.push(self.id);
        }
    }
}

impl Remote {
    fn push(&self, id: u64) {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue.push(id);
        if queue.len() == 1 {
            let one = 1u64.to_ne_bytes();
            // SAFETY: eight readable bytes. A full counter means that a wake-up is pending anyway.
            unsafe { libc::write(self.event.as_raw_fd(), one.as_ptr().cast(), 8) };
        }
    }
}

/// Threads get their timers up to 50 µs late by default; pacing wants them exact.
fn request_fine_timers() {
    // SAFETY: sets one number of this thread.
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1) };
}
