//! The one buffer type of the data path, and the per-worker pool it comes from.
//!
//! A [`Buf`] keeps some *headroom* before its filled part, so that a rewritten message head can be
//! put right before the body it belongs to and both leave in one send; and [`PAD`] zero bytes after
//! its capacity, so that the JSON scanner may read whole vectors past the end of a body.

use std::cell::Cell;
use std::fmt;
use std::ops::Range;
use std::rc::Rc;

/// Readable zero bytes after the capacity of every [`Buf`].
pub const PAD: usize = 64;

/// Bytes kept free before the first byte that is read into a fresh buffer.
pub const HEADROOM: usize = 320;

/// A fixed block of bytes of which `start..end` is filled. Owned, so that the kernel may hold it.
pub struct Buf {
    bytes: Box<[u8]>,
    /// Small numbers, so that a buffer takes no more room where it is kept: 4 GiB is more than any body may have.
    start: u32,
    end: u32,
    /// Where its bytes are counted while it is in use.
    counted: Option<Rc<Cell<usize>>>,
}

impl Drop for Buf {
    fn drop(&mut self) {
        self.uncount();
    }
}

impl Buf {
    /// A buffer that can take at least `capacity` bytes after the headroom.
    pub fn with_capacity(capacity: usize) -> Self {
        let length = HEADROOM + capacity + PAD;
        assert!(u32::try_from(length).is_ok(), "a buffer of more than 4 GiB");
        let bytes = vec![0; length].into_boxed_slice();
        Self { bytes, start: HEADROOM as u32, end: HEADROOM as u32, counted: None }
    }

    /// A buffer without memory: what is left behind while the kernel holds the real one.
    pub fn none() -> Self {
        Self { bytes: Box::default(), start: 0, end: 0, counted: None }
    }

    /// Counts its bytes as held, until it is given back or dropped.
    fn count(&mut self, held: &Rc<Cell<usize>>) {
        held.set(held.get() + self.bytes.len());
        self.counted = Some(held.clone());
    }

    fn uncount(&mut self) {
        if let Some(held) = self.counted.take() {
            held.set(held.get() - self.bytes.len());
        }
    }

    /// Whether this is [`Buf::none`].
    pub fn is_none(&self) -> bool {
        self.bytes.is_empty()
    }

    fn begin(&self) -> usize {
        self.start as usize
    }

    fn stop(&self) -> usize {
        self.end as usize
    }

    /// One past the last byte that may be filled.
    fn limit(&self) -> usize {
        self.bytes.len().saturating_sub(PAD)
    }

    /// Bytes that a message may take in this buffer, headroom not counted.
    pub fn capacity(&self) -> usize {
        self.limit().saturating_sub(HEADROOM)
    }

    /// The filled bytes.
    pub fn filled(&self) -> &[u8] {
        &self.bytes[self.begin()..self.stop()]
    }

    /// The filled bytes, mutable.
    pub fn filled_mut(&mut self) -> &mut [u8] {
        let (start, end) = (self.begin(), self.stop());
        &mut self.bytes[start..end]
    }

    /// The filled bytes from `at` (an offset into [`Buf::filled`]) to their end, followed by at least
    /// [`PAD`] further readable bytes: `(all, length)` where `all[..length]` is the data.
    pub fn padded(&self, range: Range<usize>) -> (&[u8], usize) {
        debug_assert!(self.begin() + range.end <= self.stop());
        (&self.bytes[self.begin() + range.start..], range.len())
    }

    /// How many bytes are filled.
    pub fn len(&self) -> usize {
        self.stop() - self.begin()
    }

    /// Whether nothing is filled.
    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// How many more bytes can be appended.
    pub fn free(&self) -> usize {
        self.limit() - self.stop()
    }

    /// The free part behind the filled one: where a read lands.
    pub fn free_mut(&mut self) -> &mut [u8] {
        let (end, limit) = (self.stop(), self.limit());
        &mut self.bytes[end..limit]
    }

    /// Says that `count` bytes of the free part were written.
    ///
    /// # Panics
    /// If `count` is larger than [`Buf::free`].
    pub fn advance(&mut self, count: usize) {
        assert!(count <= self.free(), "a read filled more than the buffer has");
        self.end += count as u32;
    }

    /// Drops the first `count` filled bytes.
    ///
    /// # Panics
    /// If fewer are filled.
    pub fn consume(&mut self, count: usize) {
        assert!(count <= self.len(), "more consumed than filled");
        self.start += count as u32;
    }

    /// Keeps only the first `length` filled bytes.
    pub fn truncate(&mut self, length: usize) {
        self.end = self.end.min(self.start.saturating_add(u32::try_from(length).unwrap_or(u32::MAX)));
    }

    /// Empties the buffer and restores its headroom.
    pub fn clear(&mut self) {
        let at = HEADROOM.min(self.limit());
        (self.start, self.end) = (at as u32, at as u32);
    }

    /// Free bytes before the filled part.
    pub fn headroom(&self) -> usize {
        self.begin()
    }

    /// Puts `head` right before the filled part. `false`, and nothing done, if it does not fit.
    #[must_use]
    pub fn prepend(&mut self, head: &[u8]) -> bool {
        let Some(at) = self.begin().checked_sub(head.len()) else { return false };
        let start = self.begin();
        self.bytes[at..start].copy_from_slice(head);
        self.start = at as u32;
        true
    }

    /// Appends `data`. `false`, and nothing done, if it does not fit.
    #[must_use]
    pub fn append(&mut self, data: &[u8]) -> bool {
        if data.len() > self.free() {
            return false;
        }
        let end = self.stop();
        self.bytes[end..end + data.len()].copy_from_slice(data);
        self.end += data.len() as u32;
        true
    }

    /// Moves the filled bytes to where a fresh buffer starts, to make room behind them.
    pub fn compact(&mut self) {
        if self.begin() > HEADROOM {
            self.bytes.copy_within(self.begin()..self.stop(), HEADROOM);
            self.end = (HEADROOM + self.len()) as u32;
            self.start = HEADROOM as u32;
        }
    }
}

impl fmt::Debug for Buf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Buf").field("len", &self.len()).field("capacity", &self.capacity()).finish()
    }
}

/// Bytes that are held elsewhere than in buffers of a pool, and count as theirs do.
pub struct Holding {
    held: Rc<Cell<usize>>,
    bytes: usize,
}

impl Holding {
    /// Says that so many are held now, and tells whether that is more than before.
    pub fn set(&mut self, bytes: usize) -> bool {
        let before = std::mem::replace(&mut self.bytes, bytes);
        self.held.set(self.held.get() - before + bytes);
        bytes > before
    }
}

impl Drop for Holding {
    fn drop(&mut self) {
        self.set(0);
    }
}

/// Capacity of the buffer that [`BufPool::take`] gives for this one.
pub fn size_for(capacity: usize) -> usize {
    CLASSES.iter().copied().find(|&size| size >= capacity).unwrap_or(capacity)
}

/// Free buffers of a worker in a few sizes. Taking and giving back allocates nothing once warm.
pub struct BufPool {
    classes: [Vec<Buf>; CLASSES.len()],
    held: Rc<Cell<usize>>,
}

/// Capacities of the pooled sizes, in bytes.
///
/// The smallest fills a 2 KiB block of the allocator with its headroom and pad: thousands of idle connections hold one.
pub const CLASSES: [usize; 4] = [(2 << 10) - HEADROOM - PAD, 16 << 10, 80 << 10, 512 << 10];
/// Buffers up to this capacity do not count: each connection has one or two of them, and connections have a bound of their own.
pub const UNCOUNTED: usize = CLASSES[1];
/// How many free buffers of each size are kept.
const KEPT: [usize; CLASSES.len()] = [1024, 512, 64, 8];

impl Default for BufPool {
    fn default() -> Self {
        Self::new()
    }
}

impl BufPool {
    /// An empty pool.
    pub fn new() -> Self {
        Self { classes: Default::default(), held: Rc::default() }
    }

    /// An empty buffer with room for at least `capacity` bytes.
    pub fn take(&mut self, capacity: usize) -> Buf {
        let mut buf = match CLASSES.iter().position(|&size| size >= capacity) {
            Some(class) => self.classes[class].pop().unwrap_or_else(|| Buf::with_capacity(CLASSES[class])),
            None => Buf::with_capacity(capacity),
        };
        self.count(&mut buf);
        buf
    }

    /// The same for a connection that waits: nothing is counted before [`BufPool::count`].
    pub fn take_idle(&mut self, capacity: usize) -> Buf {
        let mut buf = self.take(capacity);
        buf.uncount();
        buf
    }

    /// Counts a buffer that something came in, unless it is.
    pub fn count(&self, buf: &mut Buf) {
        if buf.counted.is_none() && buf.capacity() > UNCOUNTED {
            buf.count(&self.held);
        }
    }

    /// Bytes of the buffers that are in use and count.
    pub fn held(&self) -> usize {
        self.held.get()
    }

    /// Counts bytes that are held elsewhere: none at first.
    pub fn holding(&self) -> Holding {
        Holding { held: self.held.clone(), bytes: 0 }
    }

    /// Gives a buffer back. Odd sizes and buffers over the kept count are freed.
    pub fn give(&mut self, mut buf: Buf) {
        let class = CLASSES.iter().position(|&size| size == buf.capacity());
        if let Some(class) = class.filter(|&class| self.classes[class].len() < KEPT[class]) {
            buf.uncount();
            buf.clear();
            self.classes[class].push(buf);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_goes_right_before_the_body() {
        let mut buf = Buf::with_capacity(2048);
        assert!(buf.append(b"old head|body"));
        buf.consume(9);
        assert!(buf.prepend(b"a longer new head|"));
        assert_eq!(buf.filled(), b"a longer new head|body");
        assert!(!buf.prepend(&[b'x'; HEADROOM]), "more than the headroom is refused");
    }

    #[test]
    fn the_pad_is_never_filled() {
        let mut buf = Buf::with_capacity(100);
        let free = buf.free();
        assert_eq!(free, 100);
        assert!(buf.append(&vec![1; free]));
        assert!(!buf.append(b"x"));
        let (all, length) = buf.padded(0..100);
        assert_eq!(length, 100);
        assert_eq!(&all[100..100 + PAD], &[0; PAD]);
    }

    #[test]
    fn what_is_in_use_is_counted_until_it_is_given_back_or_dropped() {
        let mut pool = BufPool::new();
        let small = (pool.take(CLASSES[0]), pool.take(UNCOUNTED));
        assert_eq!(pool.held(), 0, "every connection has one");
        for capacity in [UNCOUNTED + 1, CLASSES[3], CLASSES[3] + 1] {
            let mut idle = pool.take_idle(capacity);
            assert_eq!(pool.held(), 0);
            pool.count(&mut idle);
            pool.count(&mut idle);
            assert_eq!(pool.held(), idle.bytes.len(), "once");
            assert_eq!(idle.capacity(), size_for(capacity));
            drop(idle);
            let (one, other) = (pool.take(capacity), pool.take(capacity));
            let each = one.bytes.len();
            assert_eq!(pool.held(), 2 * each);
            pool.give(one);
            assert_eq!(pool.held(), each);
            drop(other);
            assert_eq!(pool.held(), 0);
        }
        let mut holding = pool.holding();
        assert_eq!((holding.set(10), holding.set(7), holding.set(9)), (true, false, true));
        assert_eq!(pool.held(), 9);
        drop((small, holding));
        assert_eq!(pool.held(), 0);
    }

    #[test]
    fn the_pool_gives_back_what_it_got() {
        let mut pool = BufPool::new();
        let mut small = pool.take(100);
        assert_eq!(small.capacity(), CLASSES[0]);
        assert!(small.append(b"secret"));
        pool.give(small);
        let again = pool.take(CLASSES[0]);
        assert!(again.is_empty());
        assert_eq!(pool.take(1 << 20).capacity(), 1 << 20, "sizes over the largest class are made to fit");
    }
}
