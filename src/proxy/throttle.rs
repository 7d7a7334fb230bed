//! Who waits for a place at a server, and who is woken: the task side of [`Limiter`].
//!
//! One [`Throttle`] a server and worker. A call that finds a place gets a [`Pass`] without waiting and without
//! allocating; one that does not gets a [`Ticket`], and waits with it. Both give back what they hold when they are
//! dropped, so a client that goes away leaves nothing behind.

use std::cell::RefCell;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use crate::base::Ticks;
use crate::io::Net;
use crate::policy::adaptive::{
    Admit, Class, Config, Limiter, Numbers, Permit, Reason, Sample, Share, Shed, ToolKey, WaiterId,
};

/// The limiter of one server on one worker, and who waits for it.
pub struct Throttle {
    net: Rc<dyn Net>,
    limiter: RefCell<Limiter>,
    /// Of those who wait, by their place in the queue. Whoever waits no longer is found by its ticket only, since its
    /// place may be another's before it notices.
    seats: RefCell<Vec<Option<Rc<RefCell<Seat>>>>>,
}

/// What is known of one who waits.
enum Seat {
    /// Waits, and may have said whom to wake.
    Waits(Option<Waker>),
    /// Goes, and has not noticed yet.
    Goes(Permit),
    /// Waits no longer.
    Shed(Reason),
    /// Has noticed.
    Left,
}

/// What becomes of a call.
#[must_use]
pub enum Entry {
    /// It goes at once.
    Go(Pass),
    /// It waits.
    Wait(Ticket),
    /// It is refused.
    Shed(Shed),
}

/// The right to be under way, until dropped.
pub struct Pass {
    throttle: Rc<Throttle>,
    permit: Option<Permit>,
    measured: bool,
}

/// A place in the queue, until dropped.
pub struct Ticket {
    throttle: Rc<Throttle>,
    waiter: WaiterId,
    class: Class,
    deadline: Ticks,
    seat: Rc<RefCell<Seat>>,
}

impl Throttle {
    /// A throttle with the part of one worker in what `config` says. It is kept over a reload that leaves `config` as
    /// it is: what it learnt stays.
    pub fn new(config: &Config, share: Share, net: Rc<dyn Net>) -> Rc<Self> {
        let limiter = RefCell::new(Limiter::new(config, share));
        Rc::new(Self { net, limiter, seats: RefCell::default() })
    }

    /// Whether it was made from this configuration.
    pub fn is_of(&self, config: &Config) -> bool {
        self.limiter.borrow().config() == config
    }

    /// What it counted, and how it stands.
    pub fn numbers(&self) -> Numbers {
        self.limiter.borrow().numbers()
    }

    /// Asks for a place for a call of `tool`.
    pub fn try_enter(self: &Rc<Self>, class: Class, tool: ToolKey, now: Ticks) -> Entry {
        let admit = self.limiter.borrow_mut().try_admit(class, tool, now);
        match admit {
            Admit::Go(permit) => Entry::Go(Pass::new(self, permit)),
            Admit::Shed(shed) => Entry::Shed(shed),
            Admit::Wait { waiter, displaced } => {
                if let Some(displaced) = displaced {
                    self.settle(displaced, Seat::Shed(Reason::Displaced));
                }
                let seat = self.seat(waiter);
                let deadline = now + self.limiter.borrow().config().queue_time;
                let ticket = Ticket { throttle: self.clone(), waiter, class, deadline, seat };
                self.serve(now);
                Entry::Wait(ticket)
            }
        }
    }

    /// Asks for a place beside the calls, see [`Limiter::try_beside`].
    pub fn enter_beside(self: &Rc<Self>, class: Class) -> Option<Pass> {
        let permit = self.limiter.borrow_mut().try_beside(class)?;
        Some(Pass::new(self, permit))
    }

    /// Asks for a place, and waits for one if there is none now.
    ///
    /// # Errors
    /// That the call is shed, and why.
    pub async fn enter(self: &Rc<Self>, class: Class, tool: ToolKey, now: Ticks) -> Result<Pass, Shed> {
        match self.try_enter(class, tool, now) {
            Entry::Go(pass) => Ok(pass),
            Entry::Shed(shed) => Err(shed),
            Entry::Wait(ticket) => ticket.wait().await,
        }
    }

    fn seat(&self, waiter: WaiterId) -> Rc<RefCell<Seat>> {
        let mut seats = self.seats.borrow_mut();
        let place = waiter.place as usize;
        if seats.len() <= place {
            seats.resize_with(place + 1, || None);
        }
        let seat = Rc::new(RefCell::new(Seat::Waits(None)));
        seats[place] = Some(seat.clone());
        seat
    }

    /// Lets all go for whom there is a place now.
    fn serve(&self, now: Ticks) {
        loop {
            let next = self.limiter.borrow_mut().next(now);
            let Some((waiter, permit)) = next else { return };
            self.settle(waiter, Seat::Goes(permit));
        }
    }

    /// Sheds all who have waited as long as they may.
    fn expire(&self, now: Ticks) {
        loop {
            let next = self.limiter.borrow_mut().expire(now);
            let Some((waiter, shed)) = next else { return };
            self.settle(waiter, Seat::Shed(shed.reason));
        }
    }

    /// Leaves it to the one at this place to find what became of it, and wakes it.
    fn settle(&self, waiter: WaiterId, end: Seat) {
        let seat = self.seats.borrow_mut().get_mut(waiter.place as usize).and_then(Option::take);
        if let Some(seat) = seat
            && let Seat::Waits(Some(waker)) = seat.replace(end)
        {
            waker.wake();
        }
    }

    fn give_back(&self, permit: Permit, now: Ticks) {
        self.limiter.borrow_mut().release(permit);
        self.serve(now);
    }
}

impl Pass {
    fn new(throttle: &Rc<Throttle>, permit: Permit) -> Self {
        Self { throttle: throttle.clone(), permit: Some(permit), measured: false }
    }

    /// Tells what the call took, as soon as it is known: the place is kept until the pass is dropped. Only the first
    /// time counts. A pass dropped without it is that of a call that was given up, and tells nothing.
    pub fn observe(&mut self, sample: Sample, now: Ticks) {
        if let (Some(permit), false) = (&self.permit, self.measured) {
            self.throttle.limiter.borrow_mut().observe(permit, sample, now);
            self.measured = true;
        }
    }

    /// Whether it is known what the call took.
    pub fn is_measured(&self) -> bool {
        self.measured
    }

    /// As dropping it, for those who know what time it is.
    pub fn end(mut self, now: Ticks) {
        if let Some(permit) = self.permit.take() {
            self.throttle.give_back(permit, now);
        }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        if let Some(permit) = self.permit.take() {
            let now = self.throttle.net.now();
            self.throttle.give_back(permit, now);
        }
    }
}

impl Ticket {
    /// Waits for a place.
    ///
    /// # Errors
    /// That the call is shed, and why.
    pub async fn wait(self) -> Result<Pass, Shed> {
        let net = self.throttle.net.clone();
        let mut alarm = net.sleep(self.deadline.since(net.now()));
        poll_fn(|cx| {
            if let Poll::Ready(end) = self.poll(cx) {
                return Poll::Ready(end);
            }
            if alarm.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            // Never before the deadline, even if the timer is coarse and the alarm was early.
            self.throttle.expire(net.now().max(self.deadline));
            self.poll(cx)
        })
        .await
    }

    fn poll(&self, cx: &Context<'_>) -> Poll<Result<Pass, Shed>> {
        let mut seat = self.seat.borrow_mut();
        if let Seat::Waits(waker) = &mut *seat {
            if waker.as_ref().is_none_or(|waker| !waker.will_wake(cx.waker())) {
                *waker = Some(cx.waker().clone());
            }
            return Poll::Pending;
        }
        match std::mem::replace(&mut *seat, Seat::Left) {
            Seat::Goes(permit) => Poll::Ready(Ok(Pass::new(&self.throttle, permit))),
            Seat::Shed(reason) => Poll::Ready(Err(Shed { reason, class: self.class })),
            Seat::Left | Seat::Waits(_) => Poll::Pending,
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let throttle = &self.throttle;
        match self.seat.replace(Seat::Left) {
            Seat::Goes(permit) => throttle.give_back(permit, throttle.net.now()),
            Seat::Waits(_) => {
                throttle.limiter.borrow_mut().leave(self.waiter);
                if let Some(seat) = throttle.seats.borrow_mut().get_mut(self.waiter.place as usize) {
                    *seat = None;
                }
            }
            Seat::Shed(_) | Seat::Left => {}
        }
    }
}

#[cfg(test)]
mod tests;
