//! A replicated key-value store of three processes, open to everyone who reaches them.

use quorate::net::{Addresses, ClusterId, Security};
use quorate::{Begin, Command, Handle, Node, ReadLevel, Response, Site, StateMachine};
use quorate_spec::NodeId;
use std::convert::Infallible;
use std::io::{self, Read, Write};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// The map, shared with its readers. To clone it costs nothing.
#[derive(Clone, Default)]
struct Store(tokio::sync::watch::Sender<rpds::RedBlackTreeMapSync<String, String>>);

const USAGE: &str = "usage: kv ID DIRECTORY CLIENTS 1=HOST:PORT 2=HOST:PORT 3=HOST:PORT";

impl Store {
    /// Performs `set KEY VALUE` or `del KEY`, and gives the value before.
    fn perform(&self, line: &str) -> Response {
        let (verb, rest) = line.split_once(' ').unwrap_or_default();
        let (key, text) = rest.split_once(' ').unwrap_or((rest, ""));
        let map = self.0.borrow().clone();
        let new = if verb == "set" { map.insert(key.into(), text.into()) } else { map.remove(key) };
        self.0.send_replace(new).get(key).cloned().unwrap_or_default().into_bytes()
    }
}

impl StateMachine for Store {
    fn apply(&mut self, commands: &[Command<'_>]) -> Vec<Response> {
        commands.iter().map(|it| self.perform(&String::from_utf8_lossy(it.bytes))).collect()
    }
    fn snapshot(&self) -> impl FnOnce(&mut dyn Write) -> io::Result<()> + Send + 'static {
        let map = self.0.borrow().clone();
        move |out: &mut dyn Write| map.iter().try_for_each(|(k, v)| writeln!(out, "set {k} {v}"))
    }
    fn restore(&mut self, state: &mut dyn Read) -> io::Result<()> {
        self.0.send_replace(Default::default());
        io::read_to_string(state).map(|it| it.lines().for_each(|line| drop(self.perform(line))))
    }
}

fn main() -> std::process::ExitCode {
    tracing_subscriber::fmt().with_max_level(tracing::Level::WARN).init();
    let Err(error) = run(&std::env::args().skip(1).collect::<Vec<_>>());
    eprintln!("error: {error}");
    std::process::ExitCode::FAILURE
}

#[tokio::main]
pub(crate) async fn run(args: &[String]) -> Result<Infallible, Box<dyn std::error::Error>> {
    let [id, directory, clients, list @ ..] = args else { return Err(USAGE.into()) };
    let id = NodeId(id.parse().map_err(|_| format!("{id} is not an id, a number. {USAGE}"))?);
    let mut peers = std::collections::BTreeMap::new();
    for entry in list {
        let (id, at) = entry.split_once('=').unwrap_or_default();
        let port = at.rsplit_once(':').and_then(|it| it.1.parse::<u16>().ok());
        let id = port.and(id.parse().ok()).ok_or_else(|| format!("{entry} is not ID=HOST:PORT"))?;
        peers.insert(NodeId(id), at).map_or(Ok(()), |_| Err(format!("id {id} is listed twice")))?;
    }
    let (begin, peers) = (Begin::found(peers.keys().copied()), Addresses::new(peers));
    let listen = peers.of(id).ok_or_else(|| format!("node {id} is not in the list. {USAGE}"))?;
    let bound = TcpListener::bind(clients).await;
    let listener = bound.map_err(|it| format!("the address for clients, {clients}: {it}"))?;
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
                Ok(_) => store.0.borrow().get(key).cloned().unwrap_or_default(),
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
