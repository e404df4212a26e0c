//! A replicated key-value store: three nodes in one process. Type `set KEY VALUE`, `get KEY`,
//! `del KEY`, `kill NODE`, `start NODE`.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use quorate::{Cluster, Command, ReadLevel, Response, Session, StateMachine, clock::span};
use quorate_spec::{NodeId, Params};
use rpds::RedBlackTreeMapSync;

/// The map, shared with its readers. A clone of the persistent map inside costs nothing.
#[derive(Clone, Default)]
struct Store(Arc<RwLock<RedBlackTreeMapSync<String, String>>>);

impl Store {
    fn map(&self) -> RedBlackTreeMapSync<String, String> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl StateMachine for Store {
    /// A command is a line, `set KEY VALUE` or `del KEY`; the answer is the value before.
    fn apply(&mut self, commands: &[Command<'_>]) -> Vec<Response> {
        let mut map = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let one = |command: &Command<'_>| {
            let line = String::from_utf8_lossy(command.bytes);
            let mut words = line.splitn(3, ' ').skip(1).map(str::to_owned);
            let (key, value) = (words.next().unwrap_or_default(), words.next());
            let before = map.get(&key).cloned().unwrap_or_default();
            match value {
                Some(value) => map.insert_mut(key, value),
                None => drop(map.remove_mut(&key)),
            }
            before.into_bytes()
        };
        commands.iter().map(one).collect()
    }

    fn snapshot(&self) -> impl FnOnce(&mut dyn Write) -> io::Result<()> + Send + 'static {
        let map = self.map();
        move |out: &mut dyn Write| map.iter().try_for_each(|(k, v)| writeln!(out, "{k} {v}"))
    }

    fn restore(&mut self, state: &mut dyn Read) -> io::Result<()> {
        let mut map = RedBlackTreeMapSync::default();
        for line in BufReader::new(state).lines() {
            let line = line?;
            let (key, value) = line.split_once(' ').ok_or(io::ErrorKind::InvalidData)?;
            map.insert_mut(key.to_owned(), value.to_owned());
        }
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = map;
        Ok(())
    }
}

type Fallible<T> = Result<T, Box<dyn std::error::Error>>;

#[tokio::main]
async fn main() -> Fallible<()> {
    let params = Params::new(span(Duration::from_secs(1)), span(Duration::from_millis(100)));
    let stores: [Store; 3] = Default::default();
    let machines = stores.clone();
    let mut cluster = Cluster::new(3, params, 1, move |NodeId(n)| machines[n as usize - 1].clone());
    cluster.start_all()?;
    let first = cluster.handle(NodeId(1)).ok_or("it was started")?;
    first.watch().wait_for(|view| view.leader.is_some()).await?;
    let session = first.open_session().await?;
    for line in io::stdin().lines() {
        match answer(&mut cluster, &stores, &session, &line?).await {
            Ok(answer) => println!("{answer}"),
            Err(error) => println!("error: {error}"),
        }
    }
    cluster.stop_all().await;
    Ok(())
}

async fn answer(
    cluster: &mut Cluster<Store>,
    stores: &[Store; 3],
    session: &Session,
    line: &str,
) -> Fallible<String> {
    let (verb, rest) = line.split_once(' ').ok_or("a command and a word, such as `get name`")?;
    match verb {
        "kill" => cluster.kill(NodeId(rest.parse()?)).await,
        "start" => drop(cluster.start(NodeId(rest.parse()?))?),
        _ => {
            // Any node does: it sends the command on to the leader, and asks the leader for a read.
            let handle = cluster.handles().next().ok_or("no node runs: start one")?.clone();
            if verb == "get" {
                handle.read(ReadLevel::ReadIndex).await?;
                let map = stores[handle.id().0 as usize - 1].map();
                return Ok(map.get(rest).cloned().unwrap_or_default());
            }
            let before = session.propose(&handle, line).await?.response;
            return Ok(format!("was `{}`", String::from_utf8_lossy(&before)));
        }
    }
    Ok("done".to_owned())
}
