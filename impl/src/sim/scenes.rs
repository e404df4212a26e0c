//! Short runs in a fixed order: one for crashes at each boundary, one for clocks.

use std::sync::Arc;
use std::time::Duration;

use quorate_spec::NodeId;
use tokio::time::{Instant, sleep, timeout};

use super::clients::{read_once, write_at};
use super::plan::E;
use super::world::World;
use crate::reads::ReadLevel;

/// A few writes, enough for a snapshot, and a few reads. Nothing goes wrong but the plan's crash.
pub(super) async fn script(world: &Arc<World>) {
    sleep(E * 3).await;
    for count in 0..18 {
        let id = NodeId(1 + count % world.plan.servers);
        // A client whose node has died goes on to the next one.
        write_at(world, id, format!("command {count}")).await;
        if count % 6 == 0 {
            read_once(world, id, ReadLevel::ReadIndex).await;
            read_once(world, id, ReadLevel::Lease).await;
        }
    }
    sleep(Duration::from_millis(60)).await;
}

/// A leader hears nothing more and says nothing more, and the clocks of those who go on without it are
/// as fast as they may be. Clients write there, and read where the leader was.
pub(super) async fn cut_off(world: &Arc<World>) {
    let Ok(leader) = timeout(E * 20, leader(world)).await else { return };
    let others: Vec<NodeId> = world.plan.ids().filter(|id| *id != leader).collect();
    for id in &others {
        let clock = Arc::clone(&world.lock().servers[id].clock);
        clock.set_rate(i64::from(world.plan.drift));
    }
    {
        let clock = Arc::clone(&world.lock().servers[&leader].clock);
        clock.set_rate(-i64::from(world.plan.drift.min(900_000)));
    }
    // Every promise is renewed by these clocks first.
    sleep(E * 2).await;
    world.network.isolate(leader);
    let began = Instant::now();
    let reader = tokio::spawn({
        let world = Arc::clone(world);
        async move {
            while began.elapsed() < E * 8 {
                sleep(Duration::from_millis(2)).await;
                read_once(&world, leader, ReadLevel::Lease).await;
            }
        }
    });
    let mut count = 0;
    while began.elapsed() < E * 8 {
        sleep(Duration::from_millis(3)).await;
        for id in &others {
            write_at(world, *id, format!("behind its back {count}")).await;
            count += 1;
        }
    }
    world.require(reader.await.is_ok(), || "a reader panicked".to_owned());
}

/// Waits until somebody leads and holds a lease.
async fn leader(world: &World) -> NodeId {
    loop {
        sleep(Duration::from_millis(20)).await;
        for id in world.plan.ids() {
            let Some((handle, _)) = world.handle(id) else { continue };
            if handle.view().leader == Some(id) && handle.reads.lease_left().0 > 0 {
                return id;
            }
        }
    }
}
