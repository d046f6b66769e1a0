//! Values that a test has planned for later requests or events.

use std::borrow::Borrow;
use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

/// Planned values by operation or event type: some for the next uses, and a lasting one.
pub(super) struct Planned<K, T> {
    next: HashMap<K, VecDeque<T>>,
    lasting: HashMap<K, T>,
}

impl<K, T> Default for Planned<K, T> {
    fn default() -> Self {
        Self {
            next: HashMap::new(),
            lasting: HashMap::new(),
        }
    }
}

impl<K: Eq + Hash, T: Clone> Planned<K, T> {
    /// Plans a value for the next `times` uses, after those that are already planned.
    pub(super) fn times(&mut self, key: K, times: usize, value: T) {
        let queue = self.next.entry(key).or_default();
        queue.extend(std::iter::repeat_n(value, times));
    }

    /// Plans a value for all uses that have no value of their own.
    pub(super) fn always(&mut self, key: K, value: T) {
        self.lasting.insert(key, value);
    }

    /// Returns the value of a use, and removes it from the queue.
    pub(super) fn take<Q: Eq + Hash + ?Sized>(&mut self, key: &Q) -> Option<T>
    where
        K: Borrow<Q>,
    {
        let next = self.next.get_mut(key).and_then(VecDeque::pop_front);
        next.or_else(|| self.lasting.get(key).cloned())
    }
}
