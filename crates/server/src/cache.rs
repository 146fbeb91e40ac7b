//! A bounded map of two generations: what nobody asks for while the young one fills up is forgotten.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A map of at most so many entries.
pub(crate) struct Cache<K, V> {
    /// How many are young.
    most: usize,
    generations: Mutex<Generations<K, V>>,
}

struct Generations<K, V> {
    young: HashMap<K, V>,
    /// What was young before, and was not asked for since.
    old: HashMap<K, V>,
}

impl<K: Eq + Hash + Clone, V: Clone> Cache<K, V> {
    pub(crate) fn of(most: usize) -> Self {
        let generations = Generations { young: HashMap::new(), old: HashMap::new() };
        Self { most: most / 2, generations: Mutex::new(generations) }
    }

    pub(crate) fn get<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        let mut generations = self.lock();
        if let Some(value) = generations.young.get(key) {
            return Some(value.clone());
        }
        let (key, value) = generations.old.remove_entry(key)?;
        self.insert(&mut generations, key, value.clone());
        Some(value)
    }

    pub(crate) fn put(&self, key: K, value: V) {
        self.put_if(key, value, |_, _| true);
    }

    /// Puts the value unless there is one, which it is not `better` than.
    pub(crate) fn put_if(&self, key: K, value: V, better: impl FnOnce(&V, &V) -> bool) {
        let mut generations = self.lock();
        let there = generations.young.get(&key).or_else(|| generations.old.get(&key));
        if there.is_none_or(|there| better(&value, there)) {
            generations.old.remove(&key);
            self.insert(&mut generations, key, value);
        }
    }

    pub(crate) fn remove<Q: Eq + Hash + ?Sized>(&self, key: &Q)
    where
        K: Borrow<Q>,
    {
        let mut generations = self.lock();
        generations.young.remove(key);
        generations.old.remove(key);
    }

    fn insert(&self, generations: &mut Generations<K, V>, key: K, value: V) {
        if generations.young.len() >= self.most {
            generations.old = std::mem::take(&mut generations.young);
        }
        generations.young.insert(key, value);
    }

    fn lock(&self) -> MutexGuard<'_, Generations<K, V>> {
        self.generations.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_stays_and_the_rest_is_bounded() {
        let cache = Cache::of(8);
        cache.put(0, "kept");
        for key in 1..1_000 {
            cache.put(key, "passing");
            assert_eq!(cache.get(&0), Some("kept"), "{key}");
        }
        assert!((0..1_000).filter(|key| cache.get(key).is_some()).count() <= 8);
    }

    #[test]
    fn a_worse_value_replaces_none() {
        let cache = Cache::of(8);
        for value in [2, 1, 3] {
            cache.put_if("a", value, |one, other| one > other);
        }
        assert_eq!(cache.get("a"), Some(3));
        cache.remove("a");
        assert_eq!(cache.get("a"), None);
    }
}
