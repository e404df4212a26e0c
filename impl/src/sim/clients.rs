//! Clients of a simulated cluster: they write, they read, and they know what they may expect.

use std::sync::Arc;
use std::time::Duration;

use quorate_spec::{EntryId, Index, NodeId};
use tokio::time::{Instant, sleep, timeout};

use super::dice::Dice;
use super::world::World;
use crate::errors::ProposeError;
use crate::handle::Handle;
use crate::machine::Applied;
use crate::reads::ReadLevel;
use crate::session::Session;

/// How long a client waits for one answer.
const PATIENCE: Duration = Duration::from_millis(900);

/// Writes one command after the other until the faults are over: with an even number in sessions.
pub(super) async fn write(world: Arc<World>, number: u64) {
    let mut dice = Dice::new(world.plan.seed, 300 + number);
    let ids: Vec<NodeId> = world.plan.ids().collect();
    let mut session = None;
    for count in 0.. {
        sleep(dice.millis(2, 70)).await;
        if world.is_quiet() {
            return;
        }
        let command = format!("{number}.{count}");
        if number.is_multiple_of(2) {
            if session.is_none() {
                session = open(&world, dice.one_of(&ids)).await;
            }
            if let Some(open) = &session
                && !write_once(&world, open, command.as_bytes(), &mut dice, &ids).await
            {
                session = None;
            }
        } else {
            write_at(&world, dice.one_of(&ids), command).await;
        }
    }
}

/// Has a node take a command, once.
pub(super) async fn write_at(world: &World, id: NodeId, command: String) {
    let command = command.into_bytes();
    let applied = ask(world, id, async |node| node.propose(command.clone()).await).await;
    if let Some(Ok(Applied { entry, .. })) = applied {
        world.acked(entry, command);
    }
}

/// Asks a node; none where it does not run, has died before it was heard, or does not answer.
async fn ask<T>(world: &World, id: NodeId, question: impl AsyncFnOnce(Handle) -> T) -> Option<T> {
    let (handle, life) = world.handle(id)?;
    let answer = timeout(PATIENCE, question(handle)).await.ok()?;
    world.is_live(id, life).then_some(answer)
}

async fn open(world: &World, id: NodeId) -> Option<Session> {
    ask(world, id, async |node| node.open_session().await).await?.ok()
}

/// Sends a command through one node after the other until its outcome is known. False where the
/// session is not known any more.
async fn write_once(
    world: &World,
    session: &Session,
    command: &[u8],
    dice: &mut Dice,
    ids: &[NodeId],
) -> bool {
    let numbered = session.number(command);
    for attempt in 0.. {
        let id = dice.one_of(ids);
        match ask(world, id, async |node| numbered.send(&node).await).await {
            Some(Ok(Applied { entry, .. })) => {
                world.acked(entry, command.to_vec());
                world.count(if attempt > 0 { "writes repeated" } else { "writes in sessions" });
                return true;
            }
            Some(Err(ProposeError::SessionExpired)) => return false,
            Some(Err(_)) | None => sleep(dice.millis(5, 60)).await,
        }
        if world.is_quiet() {
            return false;
        }
    }
    false
}

/// Reads at one node until the faults are over. No other client reads there: where several wait for
/// one thing, tokio wakes them in an order of its own.
pub(super) async fn read(world: Arc<World>, id: NodeId) {
    let mut dice = Dice::new(world.plan.seed, 400 + id.0);
    while !world.is_quiet() {
        sleep(dice.millis(1, 40)).await;
        let level = dice.one_of(&[
            ReadLevel::Lease,
            ReadLevel::Lease,
            ReadLevel::Lease,
            ReadLevel::ReadIndex,
            ReadLevel::Stale,
        ]);
        read_once(&world, id, level).await;
    }
}

/// One read: at any level but that of a stale one it shows every write that any client had heard of
/// when it began.
pub(super) async fn read_once(world: &World, id: NodeId, level: ReadLevel) {
    let Some((handle, life)) = world.handle(id) else { return };
    let known = world.last_acked();
    let by_lease = level == ReadLevel::Lease && handle.reads.lease_left().0 > 0;
    let answer = timeout(PATIENCE, handle.read(level)).await;
    let Ok(Ok(index)) = answer else {
        world.count("reads without an answer");
        return;
    };
    let entries = {
        let state = world.lock();
        let server = &state.servers[&id];
        if !server.live || server.life != life {
            return;
        }
        server.tape.clone()
    };
    world.count(match level {
        ReadLevel::Stale => "stale reads",
        ReadLevel::Lease if by_lease => "reads by a lease",
        ReadLevel::Lease | ReadLevel::ReadIndex => "reads by a round",
    });
    if level == ReadLevel::Stale {
        return;
    }
    let floor = known.as_ref().map_or(Index::ZERO, |ack| ack.entry.index);
    world.require(index >= floor, || {
        format!("a stale read: {id} serves {index}, and a client had heard of {floor}")
    });
    let shows = |ack: &super::world::Ack| {
        entries.with(|all| all.iter().any(|(_, command)| *command == ack.command))
    };
    world.require(known.as_ref().is_none_or(shows), || {
        format!("a stale read: the machine of {id} does not show what a client had heard of")
    });
}

/// Once nothing fails any more, the cluster takes a command, and every machine comes to the same.
pub(super) async fn settle(world: &World) {
    let end = b"the end".to_vec();
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(20) {
        sleep(Duration::from_millis(50)).await;
        let ids: Vec<NodeId> = world.plan.ids().collect();
        for id in ids {
            let applied = ask(world, id, async |node| node.propose(end.clone()).await).await;
            if let Some(Ok(Applied { entry, .. })) = applied
                && reached(world, entry).await
            {
                return;
            }
        }
    }
    world.require(false, || "the cluster does not come back when the faults are over".to_owned());
}

async fn reached(world: &World, entry: EntryId) -> bool {
    for _ in 0..100 {
        let all = {
            let state = world.lock();
            let has = |tape: &super::machine::Tape| {
                tape.with(|all| all.last().is_some_and(|last| last.0 == entry))
            };
            state.servers.values().all(|server| server.live && has(&server.tape))
        };
        if all {
            return true;
        }
        sleep(Duration::from_millis(20)).await;
    }
    false
}

/// What is true at the end: all machines are the same, and every command is there once that a client
/// was told of, and no other one twice.
pub(super) fn compare(world: &World) {
    let (machines, acked) = {
        let state = world.lock();
        let machines: Vec<_> =
            state.servers.iter().map(|(id, server)| (*id, server.tape.read())).collect();
        (machines, state.acked.clone())
    };
    let Some((_, first)) = machines.first() else { return };
    for (id, entries) in &machines {
        world.require(entries == first, || format!("the machine of {id} is another one"));
        let mut commands: Vec<&Vec<u8>> = entries.iter().map(|(_, command)| command).collect();
        commands.retain(|command| command.as_slice() != b"the end");
        commands.sort_unstable();
        let twice = commands.windows(2).find(|pair| pair[0] == pair[1]);
        world.require(twice.is_none(), || format!("{id} has applied a command twice: {twice:?}"));
        let lost = acked.iter().find(|ack| commands.binary_search(&&ack.command).is_err());
        world.require(lost.is_none(), || format!("{id} does not have a write: {lost:?}"));
    }
}
