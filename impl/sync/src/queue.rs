//! The way from the threads that ask to the one that does: first in, first out, and taken as a whole,
//! so that whatever waits becomes one group.
//!
//! It has no bound of its own: whoever sends knows how much may wait.

use std::collections::VecDeque;
use std::marker::PhantomData;
use std::sync::Arc;

use crate::care::{Care, Sound};
use crate::prim::{Condvar, Mutex, is_over, lock, wait};

/// A new queue, with one sender.
#[must_use]
pub fn queue<T, C: Care>() -> (Sender<T, C>, Taker<T, C>) {
    let state =
        State { items: VecDeque::new(), senders: 1, closed: false, waits: false, deaf: false };
    let shared = Arc::new(Shared { state: Mutex::new(state), came: Condvar::new() });
    (Sender { shared: Arc::clone(&shared), care: PhantomData }, Taker { shared, care: PhantomData })
}

#[derive(Debug)]
struct Shared<T> {
    state: Mutex<State<T>>,
    /// Called where the taker waits and something has come, or nothing will any more.
    came: Condvar,
}

#[derive(Debug)]
struct State<T> {
    items: VecDeque<T>,
    senders: usize,
    /// It was closed, and not merely left.
    closed: bool,
    /// The taker waits, and has to be called.
    waits: bool,
    /// The taker is gone.
    deaf: bool,
}

/// An end to put things in. Clones are ends of the same queue.
#[derive(Debug)]
pub struct Sender<T, C: Care = Sound> {
    shared: Arc<Shared<T>>,
    care: PhantomData<C>,
}

/// The end at which things are taken.
#[derive(Debug)]
pub struct Taker<T, C: Care = Sound> {
    shared: Arc<Shared<T>>,
    care: PhantomData<C>,
}

/// Whether more will come than what was taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Feed {
    /// More may come.
    Open,
    /// The queue was closed, and everybody who could send has gone: what was taken is to be done.
    Closed,
    /// Everybody has gone, and nobody has closed it: a crash, as far as the taker is concerned.
    Abandoned,
}

impl<T, C: Care> Sender<T, C> {
    /// Puts something in, and never waits for the taker.
    ///
    /// # Errors
    /// The taker is gone: here it is back.
    pub fn send(&self, item: T) -> Result<(), T> {
        let mut state = lock(&self.shared.state);
        if state.deaf {
            return Err(item);
        }
        state.items.push_back(item);
        self.call(&mut state, C::WAKES);
        Ok(())
    }

    /// Asks that everything be done which was put in, and which other senders still put in.
    pub fn close(self) {
        lock(&self.shared.state).closed = true;
    }

    /// Only a taker that waits is called: a call costs a system call.
    fn call(&self, state: &mut State<T>, keeps_promise: bool) {
        if std::mem::take(&mut state.waits) && keeps_promise {
            self.shared.came.notify_one();
        }
    }
}

impl<T, C: Care> Clone for Sender<T, C> {
    fn clone(&self) -> Sender<T, C> {
        lock(&self.shared.state).senders += 1;
        Sender { shared: Arc::clone(&self.shared), care: PhantomData }
    }
}

impl<T, C: Care> Drop for Sender<T, C> {
    fn drop(&mut self) {
        if is_over() {
            return;
        }
        let mut state = lock(&self.shared.state);
        state.senders -= 1;
        if state.senders == 0 {
            self.call(&mut state, C::WAKES_AT_THE_END);
        }
    }
}

impl<T, C: Care> Taker<T, C> {
    /// Puts everything that is there behind what `into` holds, and says whether more may come.
    pub fn take(&self, into: &mut VecDeque<T>) -> Feed {
        let mut state = lock(&self.shared.state);
        if !C::EMPTIES_BEFORE_THE_END && state.feed() != Feed::Open {
            return state.feed();
        }
        into.append(&mut state.items);
        state.feed()
    }

    /// Waits until there is something to take, or nothing will come any more.
    pub fn wait(&self) {
        let mut state = lock(&self.shared.state);
        if !C::LOOKS_AGAIN {
            state.waits = true;
            state = wait(&self.shared.came, state);
        }
        while state.items.is_empty() && state.feed() == Feed::Open {
            state.waits = true;
            state = wait(&self.shared.came, state);
        }
        state.waits = false;
    }
}

impl<T, C: Care> Drop for Taker<T, C> {
    fn drop(&mut self) {
        if is_over() {
            return;
        }
        let mut state = lock(&self.shared.state);
        state.deaf = true;
        let left = std::mem::take(&mut state.items);
        // What is dropped may have ends of this queue.
        drop(state);
        drop(left);
    }
}

impl<T> State<T> {
    fn feed(&self) -> Feed {
        match (self.senders, self.closed) {
            (1.., _) => Feed::Open,
            (0, true) => Feed::Closed,
            (0, false) => Feed::Abandoned,
        }
    }
}
