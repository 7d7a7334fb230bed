//! Work that is counted in steps, so that a stranger's input cannot make it endless.

use std::cell::Cell;

/// Steps that a piece of work may still take, and whether it wanted more.
#[derive(Debug)]
pub struct Steps {
    left: Cell<usize>,
    is_over: Cell<bool>,
}

impl Steps {
    /// So many.
    pub fn new(max: usize) -> Self {
        Self { left: Cell::new(max), is_over: Cell::new(false) }
    }

    /// Takes steps.
    pub fn take(&self, steps: usize) {
        match self.left.get().checked_sub(steps) {
            Some(left) => self.left.set(left),
            None => {
                self.left.set(0);
                self.is_over.set(true);
            }
        }
    }

    /// How many are left.
    pub fn left(&self) -> usize {
        self.left.get()
    }

    /// Whether more were taken than there were: what was found out with them is not to be relied on.
    pub fn is_over(&self) -> bool {
        self.is_over.get()
    }
}

/// Without a bound.
impl Default for Steps {
    fn default() -> Self {
        Self::new(usize::MAX)
    }
}
