//! A replicated key-value store of three processes, open to everyone who reaches them.

use quorate::net::{Addresses, ClusterId, Security};
use quorate::{Begin, Command, Handle, Node, ReadLevel, Response, Site, StateMachine};
use quorate_spec::NodeId;
use std::error::Error;
use std::io::{self, Read, Write};
use std::sync::{Arc, RwLock};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// The map, shared with its readers. To clone it costs nothing.
#[derive(Clone, Default)]
struct Store(Arc<RwLock<rpds::RedBlackTreeMapSync<String, String>>>);

const SOUND: &str = "nobody panics who holds the map";
const USAGE: &str = "usage: kv ID DIRECTORY CLIENTS 1=HOST:PORT 2=HOST:PORT 3=HOST:PORT";

impl Store {
    /// Performs `set KEY VALUE` or `del KEY`, and gives the value before.
    fn perform(&self, line: &str) -> String {
        let (verb, rest) = line.split_once(' ').unwrap_or_default();
        let (key, value) = rest.split_once(' ').unwrap_or((rest, ""));
        let mut map = self.0.write().expect(SOUND);
        let before = map.get(key).cloned().unwrap_or_default();
        match verb {
            "set" => map.insert_mut(key.to_owned(), value.to_owned()),
            _ => drop(map.remove_mut(key)),
        }
        before
    }
}

impl StateMachine for Store {
    fn apply(&mut self, commands: &[Command<'_>]) -> Vec<Response> {
        let lines = commands.iter().map(|command| String::from_utf8_lossy(command.bytes));
        lines.map(|line| self.perform(&line).into_bytes()).collect()
    }
    fn snapshot(&self) -> impl FnOnce(&mut dyn Write) -> io::Result<()> + Send + 'static {
        let map = self.0.read().expect(SOUND).clone();
        move |out: &mut dyn Write| map.iter().try_for_each(|(k, v)| writeln!(out, "set {k} {v}"))
    }
    fn restore(&mut self, state: &mut dyn Read) -> io::Result<()> {
        *self.0.write().expect(SOUND) = Default::default();
        io::read_to_string(state)?.lines().for_each(|line| drop(self.perform(line)));
        Ok(())
    }
}

fn main() -> Result<(), String> {
    tracing_subscriber::fmt().with_max_level(tracing::Level::WARN).init();
    run(&std::env::args().skip(1).collect::<Vec<_>>()).map_err(|error| error.to_string())
}

#[tokio::main]
pub(crate) async fn run(args: &[String]) -> Result<(), Box<dyn Error>> {
    let [id, directory, clients, peers @ ..] = args else { return Err(USAGE.into()) };
    let peer = |(id, at): (&str, &str)| Some((NodeId(id.parse().ok()?), at.to_owned()));
    let peers: Option<Vec<_>> = peers.iter().map(|it| peer(it.split_once('=')?)).collect();
    let (id, peers) = (NodeId(id.parse().map_err(|_| USAGE)?), peers.ok_or(USAGE)?);
    let (begin, peers) = (Begin::found(peers.iter().map(|it| it.0)), Addresses::new(peers));
    let listen = peers.of(id).ok_or_else(|| format!("node {id} is not in the list. {USAGE}"))?;
    let listener = TcpListener::bind(clients).await.map_err(|it| format!("{clients}: {it}"))?;
    let (cluster, directory, store) = (ClusterId::new("kv")?, directory.into(), Store::default());
    let site = Site { cluster, directory, listen, peers, security: Security::Open, begin };
    let node = Node::open(id, site, store.clone()).await?;
    println!("node {id} runs: set KEY VALUE, get KEY and del KEY on {clients}");
    loop {
        let serve = |client| serve(node.handle().clone(), store.clone(), client);
        tokio::select! {
            client = listener.accept() => drop(tokio::spawn(serve(client?.0))),
            reason = node.handle().stopped() => return Err(reason.into()),
        }
    }
}

/// Answers the lines of one client, in a session: what it asks for happens once.
async fn serve(node: Handle, store: Store, mut client: TcpStream) -> io::Result<()> {
    let (from, mut to) = client.split();
    let session = match node.open_session().await {
        Ok(session) => session,
        Err(error) => return to.write_all(format!("error: {error}\n").as_bytes()).await,
    };
    let mut lines = BufReader::new(from).lines();
    while let Some(line) = lines.next_line().await? {
        let answer = match line.split_once(' ') {
            Some(("get", key)) => match node.read(ReadLevel::ReadIndex).await {
                Ok(_) => store.0.read().expect(SOUND).get(key).cloned().unwrap_or_default(),
                Err(error) => format!("error: {error}"),
            },
            Some(("set" | "del", _)) => match session.propose(&node, line.as_str()).await {
                Ok(applied) => String::from_utf8_lossy(&applied.response).into_owned(),
                Err(error) => format!("error: {error}"),
            },
            _ => "error: it is none of set KEY VALUE, get KEY, del KEY".to_owned(),
        };
        to.write_all((answer + "\n").as_bytes()).await?;
    }
    Ok(())
}
