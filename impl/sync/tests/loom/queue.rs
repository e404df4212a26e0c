//! The queue to the writer and its end: nothing is lost, and nobody sleeps for ever.

use std::collections::VecDeque;

use loom::thread;
use quorate_sync::{Care, Feed, Sender, Sound, Taker, queue};

use crate::explore::{Preemptions, finds, holds};
use crate::mistakes::{EndsAtOnce, GoesSilently, NeverCalls, WaitsBlindly};

/// Two threads send and go; the taker takes until nobody is left, and has everything, in order.
fn two_senders<C: Care + Send + 'static>() {
    let (sender, taker) = queue::<u64, C>();
    let other = sender.clone();
    let threads = [
        thread::spawn(move || {
            sender.send(1).expect("the taker is there");
            sender.send(2).expect("the taker is there");
            sender.close();
        }),
        thread::spawn(move || other.send(10).expect("the taker is there")),
    ];
    let (taken, feed) = everything(&taker);
    threads.into_iter().for_each(|thread| thread.join().expect("it sends and goes"));
    let mine: Vec<u64> = taken.iter().copied().filter(|item| *item < 10).collect();
    assert_eq!((mine, taken.len()), (vec![1, 2], 3), "something was lost or came in disorder");
    assert_eq!(feed, Feed::Closed);
}

/// Takes until nothing more comes.
fn everything<C: Care>(taker: &Taker<u64, C>) -> (VecDeque<u64>, Feed) {
    let mut taken = VecDeque::new();
    loop {
        match taker.take(&mut taken) {
            Feed::Open => taker.wait(),
            over => return (taken, over),
        }
    }
}

/// Three threads under one lock: with two interruptions of a thread that could go on, or it takes
/// minutes. All other models are tried without a bound.
const TWO: Preemptions = Some(2);

#[test]
fn everything_that_was_sent_is_taken_in_order() {
    holds("two senders", TWO, 500, two_senders::<Sound>);
}

#[test]
fn a_lost_wake_up_is_found() {
    finds("no call at the end", "deadlock", TWO, two_senders::<GoesSilently>);
    finds("a wait without a look", "deadlock", TWO, two_senders::<WaitsBlindly>);
    finds("no call for an item", "deadlock", TWO, an_answer::<NeverCalls>);
}

#[test]
fn an_end_that_leaves_something_behind_is_found() {
    finds("end before empty", "something was lost", TWO, two_senders::<EndsAtOnce>);
}

/// The sender stays until it has an answer: it cannot be the end that wakes the taker.
fn an_answer<C: Care + Send + 'static>() {
    let (sender, taker) = queue::<Sender<u64, C>, C>();
    let (answer, answered) = queue::<u64, C>();
    let client = thread::spawn(move || {
        assert!(sender.send(answer).is_ok(), "the taker is there");
        answered.wait();
        answered.take(&mut VecDeque::new());
        sender.close();
    });
    let (mut taken, mut feed) = (VecDeque::new(), Feed::Open);
    while feed == Feed::Open {
        feed = taker.take(&mut taken);
        for answer in taken.drain(..) {
            answer.send(7).expect("the client waits");
        }
        if feed == Feed::Open {
            taker.wait();
        }
    }
    client.join().expect("it has its answer");
}

#[test]
fn whoever_waits_for_an_item_is_called() {
    holds("an answer", None, 1_000, an_answer::<Sound>);
}

#[test]
fn a_queue_that_is_left_and_not_closed_says_so() {
    holds("abandoned", None, 50, || {
        let (sender, taker) = queue::<u64, Sound>();
        let thread = thread::spawn(move || sender.send(1).expect("the taker is there"));
        assert_eq!(everything(&taker), (VecDeque::from([1]), Feed::Abandoned));
        thread.join().expect("it sends and goes");
    });
}

#[test]
fn what_nobody_takes_any_more_comes_back_or_is_gone() {
    holds("deaf", None, 4, || {
        let (sender, taker) = queue::<Sender<u64>, Sound>();
        let (inner, inner_taker) = queue::<u64, Sound>();
        let thread = thread::spawn(move || drop(taker));
        drop(sender.send(inner));
        thread.join().expect("it goes");
        // Whichever came first, what was in the queue is dropped.
        assert_eq!(everything(&inner_taker).1, Feed::Abandoned);
    });
}
