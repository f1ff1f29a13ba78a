//! The locks of this adapter.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// A panic elsewhere is its own failure; the state behind these locks is whole between statements.
pub fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
