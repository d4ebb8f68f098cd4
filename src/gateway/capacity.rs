//! How many connections there may be, counted over all shards from the moment they are accepted, whatever they speak. A place
//! is given back when its guard is dropped: no way out of a connection can forget it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// So many places, and no more.
#[derive(Debug)]
pub struct Capacity {
    taken: Arc<AtomicUsize>,
    max: usize,
}

/// One place, until it is dropped.
#[derive(Debug)]
pub struct Taken(Arc<AtomicUsize>);

impl Capacity {
    /// So many places, all of them free.
    pub fn new(max: usize) -> Self {
        Self { taken: Arc::default(), max }
    }

    /// A place, where one is free.
    pub fn take(&self) -> Option<Taken> {
        let free = |taken: usize| (taken < self.max).then_some(taken + 1);
        let place = self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, free);
        place.is_ok().then(|| Taken(self.taken.clone()))
    }

    /// How many are taken.
    pub fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_free_again_when_its_guard_is_gone() {
        let capacity = Capacity::new(2);
        let (first, second) = (capacity.take(), capacity.take());
        assert!(first.is_some() && second.is_some() && capacity.take().is_none());
        drop(first);
        assert_eq!(capacity.taken(), 1);
        let third = capacity.take();
        assert!(third.is_some() && capacity.take().is_none());
        drop((second, third));
        assert_eq!(capacity.taken(), 0);
        assert!(Capacity::new(0).take().is_none());
    }
}
