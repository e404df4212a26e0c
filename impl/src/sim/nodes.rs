//! The real nodes of a simulated cluster: started on simulated parts, ended where the world says that
//! they are dead, and started again from what their disks hold.

use std::sync::Arc;
use std::time::Duration;

use quorate_spec::{Node, NodeId};
use tokio::sync::Notify;

use super::boundary::Boundary;
use super::dice::Dice;
use super::machine::{SimMachine, Tape};
use super::network::{Cargo, Inbox};
use super::world::World;
use crate::clock::Clock;
use crate::forward::{Mail, Post};
use crate::inbox::{MOST_BYTES, inbox};
use crate::lock::lock;
use crate::node::{Options, Parts, RunningNode, start_in};
use crate::order::Order;
use crate::record::Payload;
use crate::setting::{Setting, Simulation, Step};
use crate::transport::{Packet, Transport};

/// One life of a node, as its parts know it.
#[derive(Clone)]
struct Life {
    world: Arc<World>,
    id: NodeId,
    life: u64,
    dice: Arc<std::sync::Mutex<Dice>>,
}

/// Keeps a node running: whenever it has died it starts again after a while.
pub(super) async fn keep_running(world: Arc<World>, id: NodeId) {
    let mut dice = Dice::new(world.plan.seed, 200 + id.0);
    loop {
        let (running, life, down) = start(&world, id);
        let handle = running.handle().clone();
        tokio::select! {
            biased;
            () = down.notified() => {}
            reason = handle.stopped() => world.stopped(id, life, &reason),
        }
        drop(handle);
        // What is left of it ends beside this: nothing that follows depends on when.
        let ended = tokio::spawn(running.kill());
        let away = if dice.chance(20) { dice.millis(300, 1500) } else { dice.millis(20, 200) };
        let away = if world.is_quiet() { Duration::from_millis(20) } else { away };
        tokio::time::sleep(away).await;
        let ended = ended.await;
        world.require(ended.is_ok(), || format!("{id}: killing it failed"));
    }
}

fn start(world: &Arc<World>, id: NodeId) -> (RunningNode, u64, Arc<Notify>) {
    let plan = &world.plan;
    let (packets_in, packets) = inbox(64, MOST_BYTES);
    let (letters_in, letters) = inbox(64, MOST_BYTES);
    let (tape, down) = (Tape::default(), Arc::new(Notify::new()));
    let (life, disk, clock) = {
        let mut state = world.lock();
        let server = state.servers.get_mut(&id).expect("it is a server of this cluster");
        server.life += 1;
        (server.tape, server.down) = (tape.clone(), Arc::clone(&down));
        (server.life, server.disk.clone(), Arc::clone(&server.clock))
    };
    world.network.attach(id, Inbox { life, packets: packets_in, letters: letters_in });
    let mut dice = Dice::new(plan.seed, (id.0 << 32) + life);
    let seed = dice.next();
    let dice = Arc::new(std::sync::Mutex::new(dice));
    let here = Life { world: Arc::clone(world), id, life, dice };
    let (hook, shared) = (here.clone(), Arc::new(here.clone()));
    let parts = Parts {
        storage: disk.open(Arc::new(move |boundary| {
            let is_fetch = boundary == Boundary::Fetched;
            if hook.passes(boundary) && is_fetch {
                hook.world.count("fetches");
            }
        })),
        transport: Arc::clone(&shared) as Arc<dyn Transport>,
        packets,
        mail: Some(Mail { post: Arc::clone(&shared) as Arc<dyn Post>, letters }),
        clock: clock as Arc<dyn Clock>,
        machine: SimMachine { world: Arc::clone(world), id, life, tape },
    };
    let options = Options { id, params: plan.params(), seed, limits: plan.limits() };
    let order = Order { broken: plan.broken };
    let setting = Setting { order, simulation: Some(shared) };
    let running = start_in(setting, options, parts).expect("what a crash leaves is a beginning");
    let mut state = world.lock();
    if let Some(server) = state.servers.get_mut(&id) {
        server.handle = Some(running.handle().clone());
    }
    (running, life, down)
}

/// Takes what has arrived to the nodes.
pub(super) async fn deliver(world: Arc<World>) {
    loop {
        let arrival = world.network.arrival().await;
        let (from, to) = arrival.link;
        if !world.passes(to, arrival.inbox.life, Boundary::Arriving) {
            continue;
        }
        // A full inbox loses what arrives, as does one whose node has gone.
        let taken = match arrival.cargo {
            Cargo::Packet(packet) => arrival.inbox.packets.try_send(*packet).is_ok(),
            Cargo::Letter(letter) => arrival.inbox.letters.try_send((from, letter)).is_ok(),
        };
        world.count(if taken { "arrivals" } else { "arrivals that found no room" });
    }
}

impl Life {
    fn passes(&self, boundary: Boundary) -> bool {
        self.world.passes(self.id, self.life, boundary)
    }

    fn dice<T>(&self, roll: impl FnOnce(&mut Dice) -> T) -> T {
        roll(&mut lock(&self.dice))
    }

    fn send(&self, to: NodeId, cargo: Cargo) {
        let left = self.world.network.send((self.id, to), cargo);
        self.world.count(if left { "packets and letters" } else { "packets and letters lost" });
        self.passes(Boundary::Sent);
    }
}

impl Transport for Life {
    fn send(&self, packet: Packet) {
        if self.passes(Boundary::Sending) {
            self.world.released(&packet.envelope);
            let to = packet.envelope.to;
            Life::send(self, to, Cargo::Packet(Box::new(packet)));
        }
    }

    fn knows(&self, id: NodeId) -> bool {
        self.world.network.knows(id)
    }
}

impl Post for Life {
    fn post(&self, to: NodeId, letter: Payload) -> bool {
        if self.passes(Boundary::Sending) {
            Life::send(self, to, Cargo::Letter(letter));
        }
        self.world.network.knows(to)
    }
}

impl Simulation for Life {
    fn first_name(&self) -> u64 {
        self.dice(Dice::next)
    }

    fn pause(&self) -> Duration {
        self.dice(|dice| {
            let slow = dice.chance(10);
            dice.millis(0, if slow { 40 } else { 2 })
        })
    }

    fn started(&self, node: &Node) {
        self.world.started(self.id, self.life, node);
    }

    fn stepped(&self, step: Step<'_>) {
        self.world.stepped(self.id, self.life, &step);
    }

    fn transmitted(&self, node: &Node) {
        self.world.transmitted(self.id, self.life, node);
    }
}
