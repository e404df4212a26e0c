//! A seeded simulation of whole nodes: the real driver, outbox, machine's queue, snapshots, reads and
//! forwarding, on a simulated disk, clock and network, in one thread and in tokio's paused time.
//!
//! ```text
//!   seed ─▶ Plan ─▶ World ◀── every step, message, report and answer of every node
//!                     │
//!                     ├─▶ SimDisk     latency, groups, lost power, failed sync, stall, full
//!                     ├─▶ SimNetwork  delay, loss, cut and slow links, in one direction
//!                     ├─▶ SimClock    an origin and a rate of its own
//!                     └─▶ a crash at any boundary between two of these
//! ```
//!
//! After every step of every node the claims of `quorate_spec::property` are decided on the states of
//! all; every message is held against its sender's disk when it leaves; clients compare what they read
//! with what anyone had heard; at the end every machine is the same. The seed decides everything, so a
//! failing run repeats: its test says with which command.
//!
//! * A crash inside of a step: from there on nothing that the node does reaches its disk, the network
//!   or a client, and its task ends as soon as it is looked at.
//! * What it does not have: preemption. Tasks of one thread do not come in between two effects, so what
//!   other threads see between them is for `order/tests.rs` and for loom. Nor suspended processes,
//!   rot, or changes of the members.

mod boundary;
mod claims;
mod clients;
mod clock;
mod dice;
mod disk;
mod faults;
mod journal;
mod machine;
mod network;
mod nodes;
mod plan;
mod scenes;
mod tests;
mod world;

use std::sync::Arc;

use tokio::runtime::Builder;

use self::journal::Journal;
use self::plan::{Faults, Plan};
use self::world::World;

/// Does what the plan says, and gives what was seen.
fn run(plan: Plan) -> Journal {
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime without I/O needs nothing").block_on(async {
        let world = Arc::new(World::new(plan));
        for id in world.plan.ids() {
            tokio::spawn(nodes::keep_running(Arc::clone(&world), id));
        }
        tokio::spawn(nodes::deliver(Arc::clone(&world)));
        tokio::select! {
            biased;
            () = world.alarm() => {}
            () = happen(&world) => {}
        }
        let mut state = world.lock();
        // They have ways to the world.
        state.servers.values_mut().for_each(|server| server.handle = None);
        std::mem::take(&mut state.journal)
    })
}

/// Faults and clients, and an end without faults.
async fn happen(world: &Arc<World>) {
    match world.plan.faults {
        Faults::None => scenes::script(world).await,
        Faults::CutOff => scenes::cut_off(world).await,
        Faults::All => {
            tokio::spawn(faults::strike(Arc::clone(world)));
            for number in 0..4 {
                tokio::spawn(clients::write(Arc::clone(world), number));
            }
            for id in world.plan.ids() {
                tokio::spawn(clients::read(Arc::clone(world), id));
            }
            tokio::time::sleep(world.plan.chaos).await;
        }
    }
    faults::end(world);
    clients::settle(world).await;
    clients::compare(world);
}
