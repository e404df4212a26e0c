//! What goes wrong in a random run.

use std::sync::Arc;
use std::time::Duration;

use quorate_spec::NodeId;
use tokio::time::{sleep, timeout};

use super::boundary::Boundary;
use super::dice::Dice;
use super::disk::Fault;
use super::plan::E;
use super::world::{Trap, World};
use crate::handle::Control;

/// Has one thing after the other go wrong, until the faults are over.
pub(super) async fn strike(world: Arc<World>) {
    let mut dice = Dice::new(world.plan.seed, 3);
    let ids: Vec<NodeId> = world.plan.ids().collect();
    sleep(Duration::from_millis(600)).await;
    while !world.is_quiet() {
        one(&world, &mut dice, &ids);
        sleep(dice.millis(20, 500)).await;
    }
}

fn one(world: &Arc<World>, dice: &mut Dice, ids: &[NodeId]) {
    let id = dice.one_of(ids);
    match dice.below(21) {
        0 => {
            world.lose_power(id);
        }
        1 => trap(world, None, 1 + dice.below(40)),
        2..=4 => trap(world, Some(dice.one_of(&Boundary::ALL)), 1 + dice.below(4)),
        5..=8 => on_disk(world, dice, id),
        9..=12 => on_links(world, dice, ids),
        13..=15 => {
            world.network.heal();
            world.count("networks healed");
        }
        16 | 17 => set_clock(world, dice, id),
        18 | 19 => operate(world, dice, id, next(ids, id)),
        _ => shut_down(world, id),
    }
}

/// The one after it.
fn next(ids: &[NodeId], id: NodeId) -> NodeId {
    let at = ids.iter().position(|other| *other == id).map_or(0, |at| (at + 1) % ids.len());
    ids[at]
}

fn trap(world: &World, at: Option<Boundary>, left: u64) {
    world.lock().trap = Some(Trap { at, left });
}

fn on_disk(world: &Arc<World>, dice: &mut Dice, id: NodeId) {
    let disk = world.lock().servers[&id].disk.clone();
    match dice.below(3) {
        0 => {
            disk.set_fault(Some(Fault::Sync));
            world.count("syncs that are to fail");
        }
        1 => {
            let long = dice.chance(30);
            disk.stand_still(dice.millis(30, if long { 1200 } else { 250 }));
            world.count("disks that stood still");
        }
        _ => {
            disk.set_fault(Some(Fault::Full));
            world.count("disks that were full");
            let until = dice.millis(100, 900);
            tokio::spawn(async move {
                sleep(until).await;
                disk.set_fault(None);
            });
        }
    }
}

fn on_links(world: &World, dice: &mut Dice, ids: &[NodeId]) {
    let from = dice.one_of(ids);
    let to = next(ids, from);
    match dice.below(4) {
        0 => {
            world.network.cut(from, to);
            world.count("links cut in one direction");
        }
        1 => {
            world.network.isolate(from);
            world.count("nodes cut off");
        }
        2 => {
            world.network.lose(dice.below(40));
            world.count("networks that lost packets");
        }
        _ => {
            world.network.slow_down(from, to, dice.below(200));
            world.count("links that were slow");
        }
    }
}

/// Within what the plan allows.
fn set_clock(world: &World, dice: &mut Dice, id: NodeId) {
    let most = i64::from(world.plan.drift);
    let off = match dice.below(4) {
        0 => most,
        1 => -most,
        _ => dice.below(2 * most.unsigned_abs() + 1).cast_signed() - most,
    };
    world.lock().servers[&id].clock.set_rate(off);
    world.count("clocks that changed their rate");
    world.say(|| format!("the clock of {id} is off by {off} parts per million"));
}

/// An operator asks for something that a node may refuse.
fn operate(world: &Arc<World>, dice: &mut Dice, id: NodeId, other: NodeId) {
    let transfer = dice.chance(70);
    let Some((handle, _)) = world.handle(id) else { return };
    let world = Arc::clone(world);
    tokio::spawn(async move {
        let done = timeout(E * 3, async {
            if transfer {
                handle.transfer(other).await.is_ok()
            } else {
                handle.campaign().await.is_ok()
            }
        });
        if done.await == Ok(true) {
            world.count(if transfer { "leaderships handed over" } else { "campaigns asked for" });
        }
    });
}

/// An operator has a node end well.
fn shut_down(world: &World, id: NodeId) {
    if let Some((handle, _)) = world.handle(id) {
        // Where it is too busy to hear of it, it goes on.
        let _ = handle.control.try_send(Control::Shutdown);
    }
}

/// Whatever is wrong ends, but for the clocks.
pub(super) fn end(world: &World) {
    let disks: Vec<_> = {
        let mut state = world.lock();
        (state.quiet, state.trap) = (true, None);
        state.servers.values().map(|server| server.disk.clone()).collect()
    };
    for disk in disks {
        disk.set_fault(None);
        disk.stand_still(Duration::ZERO);
    }
    world.network.heal();
}
