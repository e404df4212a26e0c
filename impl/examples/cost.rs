//! What a proposal costs in one process, on disks in memory and without a network: commands per
//! second that three nodes commit, apply and answer. To compare versions of the driver on one
//! machine; durable nodes are measured elsewhere.

use std::io::{self, Read, Write};
use std::time::{Duration, Instant};

use quorate::{Cluster, Command, Handle, Response, StateMachine, clock::span};
use quorate_spec::{NodeId, Params};

/// Counts the bytes of all commands.
struct Counter(u64);

impl StateMachine for Counter {
    fn apply(&mut self, commands: &[Command<'_>]) -> Vec<Response> {
        self.0 += commands.iter().map(|command| command.bytes.len() as u64).sum::<u64>();
        commands.iter().map(|_| Vec::new()).collect()
    }

    fn snapshot(&self) -> impl FnOnce(&mut dyn Write) -> io::Result<()> + Send + 'static {
        let count = self.0;
        move |out: &mut dyn Write| out.write_all(&count.to_le_bytes())
    }

    fn restore(&mut self, state: &mut dyn Read) -> io::Result<()> {
        let mut count = [0; 8];
        state.read_exact(&mut count)?;
        self.0 = u64::from_le_bytes(count);
        Ok(())
    }
}

/// So many clients propose one command after the other.
async fn run(leader: &Handle, clients: u64, each: u64) -> Duration {
    let begin = Instant::now();
    let all: Vec<_> = (0..clients)
        .map(|_| {
            let leader = leader.clone();
            tokio::spawn(async move {
                for _ in 0..each {
                    leader.propose(vec![7; 256]).await.expect("the leader stays");
                }
            })
        })
        .collect();
    for client in all {
        client.await.expect("no client panics");
    }
    begin.elapsed()
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let params = Params::new(span(Duration::from_secs(2)), span(Duration::from_millis(100)));
    let mut cluster = Cluster::new(3, params, 1, |_| Counter(0));
    cluster.start_all()?;
    let first = cluster.handle(NodeId(1)).ok_or("it was started")?;
    let leader = first.watch().wait_for(|view| view.leader.is_some()).await?.leader;
    let leader = leader.and_then(|id| cluster.handle(id)).ok_or("it was started")?;
    for (clients, each) in [(1, 2_000), (16, 4_000), (64, 2_000), (256, 1_000)] {
        let took = run(leader, clients, each).await;
        let rate = (clients * each) as f64 / took.as_secs_f64();
        println!("{clients:>4} clients {rate:>10.0}/s");
    }
    cluster.stop_all().await;
    Ok(())
}
