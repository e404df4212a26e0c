//! The hand-off of one thing at a time to a thread that takes long over it: a view of the machine, which
//! is to be written out. While it is under way there is no room for another.

use std::fmt;
use std::marker::PhantomData;
use std::sync::atomic::Ordering;

use crate::care::{Care, Sound};
use crate::prim::{AtomicBool, Condvar, Mutex, lock, wait};

/// Where the thing is put, and the thread that serves it waits.
pub struct Slot<T, C: Care = Sound> {
    place: Mutex<Place<T>>,
    /// Called when something is put there, and at the end.
    came: Condvar,
    /// Beside the lock, for whoever asks often whether to go on.
    ended: AtomicBool,
    care: PhantomData<C>,
}

enum Place<T> {
    Free,
    Full(T),
    /// What was there is being served.
    Busy,
}

impl<T, C: Care> Default for Slot<T, C> {
    fn default() -> Slot<T, C> {
        Slot {
            place: Mutex::new(Place::Free),
            came: Condvar::new(),
            ended: AtomicBool::new(false),
            care: PhantomData,
        }
    }
}

impl<T, C: Care> fmt::Debug for Slot<T, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot").field("ended", &self.ended).finish_non_exhaustive()
    }
}

impl<T, C: Care> Slot<T, C> {
    /// Whether there is room, and everything that was put here before is done with.
    pub fn is_free(&self) -> bool {
        matches!(*lock(&self.place), Place::Free)
    }

    /// Puts something there. Only one thread does, after it has found the place free.
    pub fn put(&self, item: T) {
        *lock(&self.place) = Place::Full(item);
        if C::WAKES {
            self.came.notify_one();
        }
    }

    /// Nothing more is served: what is under way is of no use to anyone.
    pub fn end(&self) {
        // Under the lock: whoever looked before is waiting by now, and hears the call.
        let place = C::ENDS_UNDER_THE_LOCK.then(|| lock(&self.place));
        self.ended.store(true, Ordering::Release);
        drop(place);
        if C::WAKES_AT_THE_END {
            self.came.notify_one();
        }
    }

    /// Whether it has ended. It costs one atomic load.
    pub fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    /// Serves one thing after the other until the end, or until one cannot be handed on, for which
    /// `serve` says false.
    pub fn serve(&self, mut serve: impl FnMut(T) -> bool) {
        while let Some(item) = self.take() {
            if !C::BUSY_UNTIL_DONE {
                *lock(&self.place) = Place::Free;
            }
            if !serve(item) {
                return;
            }
            self.free();
        }
    }

    /// Takes what is there without waiting for it; none where there is nothing, or after the end.
    /// Whoever has it says when it is done with: [`Slot::free`].
    pub fn take_now(&self) -> Option<T> {
        if self.has_ended() {
            return None;
        }
        let mut place = lock(&self.place);
        match std::mem::replace(&mut *place, Place::Busy) {
            Place::Full(item) => Some(item),
            other => {
                *place = other;
                None
            }
        }
    }

    /// What was taken is done with: there is room for another.
    pub fn free(&self) {
        *lock(&self.place) = Place::Free;
    }

    /// Waits for the next thing; none after the end.
    fn take(&self) -> Option<T> {
        let mut place = lock(&self.place);
        if !C::LOOKS_AGAIN {
            place = wait(&self.came, place);
        }
        loop {
            if self.has_ended() {
                return None;
            }
            match std::mem::replace(&mut *place, Place::Busy) {
                Place::Full(item) => return Some(item),
                other => *place = other,
            }
            place = wait(&self.came, place);
        }
    }
}
