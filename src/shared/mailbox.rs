//! A bounded queue of messages to one thread.

use crossbeam::queue::ArrayQueue;

/// Messages for one thread, from any. Whoever posts rings the receiver's bell after it.
pub struct Mailbox<T>(ArrayQueue<T>);

impl<T> Mailbox<T> {
    /// Takes at most `capacity` (at least 1) unread messages.
    pub fn new(capacity: usize) -> Self {
        Self(ArrayQueue::new(capacity.max(1)))
    }

    /// Posts a message.
    ///
    /// # Errors
    /// The message itself, when the box is full.
    pub fn post(&self, message: T) -> Result<(), T> {
        self.0.push(message)
    }

    /// The oldest unread message.
    pub fn take(&self) -> Option<T> {
        self.0.pop()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_does_not_fit_and_keeps_the_order() {
        let mailbox = Mailbox::new(2);
        assert_eq!((mailbox.post(1), mailbox.post(2), mailbox.post(3)), (Ok(()), Ok(()), Err(3)));
        assert_eq!((mailbox.take(), mailbox.take(), mailbox.take()), (Some(1), Some(2), None));
    }
}
