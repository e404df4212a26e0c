//! What one round of AppendEntries costs in the core, without disks and networks: a leader of three
//! takes a proposal, asks both followers, they append and answer, and the leader commits.
//!
//!     cargo bench -p quorate-spec --bench round
//!
//! Each write counts as durable at once. The figure is the work of all three nodes.

use std::mem;

use criterion::{Criterion, criterion_group, criterion_main};
use quorate_spec::{
    Configuration, Durable, Duration, Effects, Envelope, Index, Input, Instant, Limit, Moment,
    Node, NodeId, Params, Protocol, Sound,
};

/// Three nodes, and the messages between them.
struct Servers {
    protocol: Protocol,
    nodes: [Node; 3],
    now: Instant,
    effects: Effects,
    mail: Vec<Envelope>,
    delivered: Vec<Envelope>,
}

const SECOND: u64 = 1_000_000_000;

impl Servers {
    /// The first one leads, and its no-op is committed.
    fn led() -> Servers {
        let params = Params::new(Duration(SECOND), Duration(SECOND / 10))
            .with_lease(200, Duration(SECOND / 1_000));
        let protocol = Protocol { rules: Sound, params };
        let moment = Moment { now: Instant(0), draw: 0 };
        let configuration = Configuration::of([1, 2, 3].map(NodeId));
        let nodes = [1, 2, 3]
            .map(|id| protocol.start(NodeId(id), Durable::genesis(configuration.clone()), moment));
        let now = Instant(5 * SECOND);
        let (mail, delivered) = (Vec::new(), Vec::new());
        let effects = Effects::default();
        let mut servers = Servers { protocol, nodes, now, effects, mail, delivered };
        servers.step(0, Input::Campaign);
        servers.talk();
        assert_eq!(
            servers.committed(),
            Index(1),
            "the first node leads, and its no-op is committed"
        );
        servers
    }

    fn committed(&self) -> Index {
        self.nodes[0].commit_index()
    }

    /// One step, and the one that says that what it writes is durable.
    fn step(&mut self, at: usize, input: Input) {
        let moment = Moment { now: self.now, draw: 0 };
        let mut input = Some(input);
        while let Some(next) = input.take() {
            self.protocol.step(&mut self.nodes[at], moment, next, &mut self.effects);
            let from = self.nodes[at].id();
            let send = self.effects.send.drain(..);
            self.mail.extend(send.map(|it| Envelope { from, to: it.to, message: it.message }));
            input = self.effects.persist.take().map(|persist| Input::Persisted(persist.id));
        }
    }

    /// Whatever the first node has to ask goes out, and every message arrives, until there is none.
    fn talk(&mut self) {
        loop {
            for to in [NodeId(2), NodeId(3)] {
                let (node, limit) = (&mut self.nodes[0], Limit { entries: 64 });
                while let Some(it) = self.protocol.poll_transmit(node, to, self.now, limit) {
                    self.mail.push(Envelope { from: NodeId(1), to, message: it.message });
                }
            }
            if self.mail.is_empty() {
                return;
            }
            mem::swap(&mut self.mail, &mut self.delivered);
            let mut delivered = mem::take(&mut self.delivered);
            for envelope in delivered.drain(..) {
                self.step(envelope.to.0 as usize - 1, Input::Receive(envelope));
            }
            self.delivered = delivered;
        }
    }

    /// One proposal, until the leader has committed it.
    fn round(&mut self) {
        self.now = Instant(self.now.0 + 1_000);
        self.step(0, Input::Propose { count: 1 });
        self.talk();
    }
}

fn rounds(bench: &mut Criterion) {
    let mut servers = Servers::led();
    let (before, mut count) = (servers.committed().0, 0);
    bench.bench_function("append entries, three nodes", |bencher| {
        bencher.iter(|| {
            servers.round();
            count += 1;
        });
    });
    assert_eq!(servers.committed().0, before + count, "each round commits one entry");
}

criterion_group!(benches, rounds);
criterion_main!(benches);
