//! A replicated key-value store, three nodes in one process: set, get, del, stop NODE, start NODE.

use std::error::Error;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use quorate::{Cluster, Command, ReadLevel, Response, Session, StateMachine, clock::span};
use quorate_spec::{NodeId, Params};
use rpds::RedBlackTreeMapSync;

/// To clone the persistent map costs nothing.
type Map = RedBlackTreeMapSync<String, String>;

/// The map, shared with its readers.
#[derive(Clone, Default)]
struct Store(Arc<RwLock<Map>>);

const SOUND: &str = "nobody panics who holds the map";

impl StateMachine for Store {
    /// A command is a line, `set KEY VALUE` or `del KEY`; the answer is the value before.
    fn apply(&mut self, commands: &[Command<'_>]) -> Vec<Response> {
        let mut map = self.0.write().expect(SOUND);
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
        let map = self.0.read().expect(SOUND).clone();
        move |out: &mut dyn Write| map.iter().try_for_each(|(k, v)| writeln!(out, "{k} {v}"))
    }

    fn restore(&mut self, state: &mut dyn Read) -> io::Result<()> {
        let mut map = Map::default();
        for line in BufReader::new(state).lines() {
            let line = line?;
            let (key, value) = line.split_once(' ').ok_or(io::ErrorKind::InvalidData)?;
            map.insert_mut(key.to_owned(), value.to_owned());
        }
        *self.0.write().expect(SOUND) = map;
        Ok(())
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
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
) -> Result<String, Box<dyn Error>> {
    let (verb, rest) = line.split_once(' ').ok_or("a command and a word, such as `get name`")?;
    // Any node does: it sends commands on to the leader, and asks the leader for reads.
    let any = cluster.handles().next().cloned().ok_or("no node runs: start one");
    match verb {
        "stop" => Ok(format!("stopped: {:?}", cluster.stop(NodeId(rest.parse()?)).await)),
        "start" => Ok(format!("n{} runs", cluster.start(NodeId(rest.parse()?))?.id())),
        "get" => {
            let handle = any?;
            handle.read(ReadLevel::ReadIndex).await?;
            let map = stores[handle.id().0 as usize - 1].0.read().expect(SOUND).clone();
            Ok(map.get(rest).cloned().unwrap_or_default())
        }
        "set" | "del" => {
            let before = session.propose(&any?, line).await?.response;
            Ok(format!("was `{}`", String::from_utf8_lossy(&before)))
        }
        _ => Err("set KEY VALUE, get KEY, del KEY, stop NODE or start NODE".into()),
    }
}
