//! What workers cannot do themselves, because it waits for somebody outside.

use std::rc::Rc;

use super::life::Control;
use crate::io::bell::Sleeper;
use crate::link::{Answer, Message, Order};

/// Runs errands for as long as the process lives.
pub async fn run(control: Rc<Control>, mut bell: Sleeper) {
    while bell.heard().await.is_ok() {
        while let Some(order) = control.shared.orders.take() {
            answer(&control, &order, Answer::Failed);
        }
    }
}

/// Tells the worker what became of its errand. A worker whose mailbox is full waits until its patience ends.
fn answer(control: &Control, order: &Order, answer: Answer) {
    let worker = &control.shared.workers[order.worker];
    if worker.mailbox.post(Message::Errand(order.number, answer)).is_ok() {
        worker.bell.ring();
    }
}
