//! The hand-off of views to the thread that writes them out.

use std::sync::Arc;

use loom::sync::Mutex;
use loom::thread;
use quorate_sync::{Care, Slot, Sound};

use crate::explore::{finds, holds};
use crate::mistakes::{GoesSilently, NeverCalls, WaitsBlindly};

/// The machine's thread takes a view whenever there is room, three times; the writer's thread writes
/// them out. Those that were put are written, once and in order, and the place is not free before.
fn views<C: Care + Send + Sync + 'static>() {
    let (slot, written) = (Arc::new(Slot::<u64, C>::default()), Arc::new(Mutex::new(Vec::new())));
    let (served, out) = (Arc::clone(&slot), Arc::clone(&written));
    let writer = thread::spawn(move || {
        served.serve(|view| {
            let mut out = out.lock().expect("nobody panics");
            out.push(view);
            // The last one: nobody takes any more after it.
            view < 2
        });
    });
    let mut put = Vec::new();
    while put.len() < 2 {
        if slot.is_free() {
            let done = written.lock().expect("nobody panics").clone();
            assert_eq!(done, put, "a view was lost, or the place was free too early");
            put.push(put.len() as u64 + 1);
            slot.put(put.len() as u64);
        } else {
            thread::yield_now();
        }
    }
    writer.join().expect("it writes and goes");
    assert_eq!(*written.lock().expect("nobody panics"), put, "a view was lost");
}

#[test]
fn every_view_is_written_once_and_before_there_is_room_for_the_next() {
    holds("views", Some(3), 50, views::<Sound>);
}

struct FreeAtOnce;

impl Care for FreeAtOnce {
    const BUSY_UNTIL_DONE: bool = false;
}

#[test]
fn a_place_that_is_free_too_early_is_found() {
    finds("free too early: the next view is lost", "deadlock", None, views::<FreeAtOnce>);
}

/// A view is put, and the node stops at any moment: the thread ends, and the view is written whole or
/// given up.
fn the_end<C: Care + Send + Sync + 'static>() {
    let slot = Arc::new(Slot::<u64, C>::default());
    let served = Arc::clone(&slot);
    let writer = thread::spawn(move || served.serve(|_| !served.has_ended()));
    if slot.is_free() {
        slot.put(1);
    }
    slot.end();
    writer.join().expect("it ends");
    assert!(slot.has_ended());
}

/// A view is put, and written before the node stops.
fn a_call<C: Care + Send + Sync + 'static>() {
    let slot = Arc::new(Slot::<u64, C>::default());
    let served = Arc::clone(&slot);
    let writer = thread::spawn(move || served.serve(|_| false));
    slot.put(1);
    writer.join().expect("it serves one view and ends");
}

struct EndsBesideTheLock;

impl Care for EndsBesideTheLock {
    const ENDS_UNDER_THE_LOCK: bool = false;
}

#[test]
fn the_thread_ends_whenever_the_node_stops() {
    holds("the end", None, 100, the_end::<Sound>);
    holds("a call", None, 3, a_call::<Sound>);
}

#[test]
fn a_thread_that_sleeps_for_ever_is_found() {
    finds("no call for a view", "deadlock", None, a_call::<NeverCalls>);
    finds("a wait without a look", "deadlock", None, a_call::<WaitsBlindly>);
    finds("no call at the end", "deadlock", None, the_end::<GoesSilently>);
    finds("an end beside the lock", "deadlock", None, the_end::<EndsBesideTheLock>);
}
