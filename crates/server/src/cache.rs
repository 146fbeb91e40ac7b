//! A bounded map: emptied when it is full, and refilled by what is in use.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A map of at most so many entries.
pub(crate) struct Cache<K, V> {
    most: usize,
    map: Mutex<HashMap<K, V>>,
}

impl<K: Eq + Hash, V: Clone> Cache<K, V> {
    pub(crate) fn of(most: usize) -> Self {
        Self { most, map: Mutex::default() }
    }

    pub(crate) fn get<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        self.lock().get(key).cloned()
    }

    pub(crate) fn put(&self, key: K, value: V) {
        self.put_if(key, value, |_, _| true);
    }

    /// Puts the value unless there is one, which it is not `better` than.
    pub(crate) fn put_if(&self, key: K, value: V, better: impl FnOnce(&V, &V) -> bool) {
        let mut map = self.lock();
        if map.len() >= self.most {
            map.clear();
        }
        if map.get(&key).is_none_or(|there| better(&value, there)) {
            map.insert(key, value);
        }
    }

    pub(crate) fn remove<Q: Eq + Hash + ?Sized>(&self, key: &Q)
    where
        K: Borrow<Q>,
    {
        self.lock().remove(key);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<K, V>> {
        self.map.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
