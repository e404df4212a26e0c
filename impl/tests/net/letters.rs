//! Letters between nodes: once or not at all, whatever the connections go through.

use std::time::Duration;

use quorate::net::{NetLimits, Security, TcpOptions};
use quorate::{Payload, Post};
use quorate_spec::NodeId;
use tokio::time::timeout;

use crate::proxy::Proxy;
use crate::rig::{End, eventually, options};

const LETTERS: u64 = 3_000;

fn letter(number: u64) -> Payload {
    Payload::from(number.to_le_bytes())
}

fn number(letter: &Payload) -> u64 {
    u64::from_le_bytes(letter[..].try_into().expect("all letters are numbers"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_letter_arrives_twice_or_out_of_order_over_connections_that_break() {
    let (one, mut two) = (End::open(1).await, End::open(2).await);
    let network = Proxy::breaking(two.address(), 4_000).await;
    one.transport.addresses().set(NodeId(2), network.address());
    let sender = tokio::spawn(async move {
        let mut refused = 0;
        for sent in 0..LETTERS {
            // What is refused does not arrive: the receiver would see it before the next one.
            if !one.transport.post(NodeId(2), letter(2 * sent)) {
                refused += 1;
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
        (one, refused)
    });
    let mut came = Vec::new();
    while !sender.is_finished() || two.letters.level().things() > 0 {
        if let Ok(Some((from, letter))) =
            timeout(Duration::from_millis(20), two.letters.recv()).await
        {
            assert_eq!(from, NodeId(1));
            came.push(number(&letter));
        }
    }
    let (_one, refused) = sender.await.expect("it does not panic");
    assert!(came.is_sorted_by(|before, after| before < after), "twice or out of order: {came:?}");
    let lost = LETTERS - came.len() as u64;
    assert!(!came.is_empty() && lost > 0, "{} came, {refused} refused", came.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn letters_that_nobody_takes_are_bounded_and_hold_up_no_packet() {
    const ROOM: u64 = 8;
    let limits = NetLimits { inbox: ROOM as usize, ..crate::rig::limits() };
    let mut two = End::start(TcpOptions { limits, ..options(2, Security::Open) }).await;
    let one = End::open(1).await;
    one.learn(&two);
    one.connected(NodeId(2)).await;
    let mut sent = 0;
    eventually("enough are sent", || {
        sent += u64::from(one.transport.post(NodeId(2), letter(sent)));
        (sent > 8 * ROOM).then_some(())
    })
    .await;
    one.reaches(&mut two).await;
    let mut waiting = 0;
    while two.letters.try_recv().is_some() {
        waiting += 1;
    }
    assert!((1..=ROOM).contains(&waiting), "{waiting} of {sent} letters wait");
}
