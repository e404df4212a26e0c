//! The atomics and locks: the standard library's, and loom's where loom tries the interleavings.

#[cfg(not(quorate_loom))]
pub(crate) use std::sync::{
    Condvar, Mutex, MutexGuard,
    atomic::{AtomicBool, AtomicU64},
};

#[cfg(quorate_loom)]
pub(crate) use loom::sync::{
    Condvar, Mutex, MutexGuard,
    atomic::{AtomicBool, AtomicU64},
};

use std::sync::PoisonError;

/// The lock. Nothing panics while it holds one of these locks, so none is ever poisoned.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Waits for a call, which may come without a reason: the caller looks why.
pub(crate) fn wait<'a, T>(called: &Condvar, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
    called.wait(guard).unwrap_or_else(PoisonError::into_inner)
}

/// Whether loom has found something and unwinds. There is no run any more to take locks in; a
/// program goes on after a panic of one thread, and its other threads have to hear that it is gone.
pub(crate) fn is_over() -> bool {
    cfg!(quorate_loom) && std::thread::panicking()
}
