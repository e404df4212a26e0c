//! What a run is made of.

use super::lane::Lane;
use super::scene::Scene;
use super::script::Event;

/// A run before it is run: with the same one, everything happens in the same way again. Times are in
/// milliseconds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Setup {
    /// The scene that it began as.
    pub scene: &'static Scene,
    /// From which latencies and election timeouts are drawn.
    pub seed: u64,
    /// The lanes.
    pub lanes: Vec<Lane>,
    /// What happens.
    pub script: Vec<Event>,
    /// How many servers there are.
    pub servers: u64,
    /// How many of them vote at first; the others learn.
    pub voters: u64,
    /// When the run ends.
    pub end: u64,
    /// The shortest election timeout; the longest is twice that.
    pub election: u64,
    /// The interval between heartbeats.
    pub heartbeat: u64,
    /// How long a message takes at least; at most twice that.
    pub latency: u64,
    /// How often a client writes; 0 for never.
    pub writes: u64,
    /// How often a client reads; 0 for never.
    pub reads: u64,
    /// The server at which it reads.
    pub reader: u64,
}

/// The longest run.
pub(crate) const LONGEST: u64 = 60_000;

impl Setup {
    /// The scene as it is told.
    #[must_use]
    pub fn of(scene: &'static Scene) -> Setup {
        let lane = |lane: &super::scene::Told| Lane::parse(lane.switches);
        let lanes = scene.lanes.iter().map(lane).collect::<Result<_, _>>();
        let events = scene.script.split('_').filter(|text| !text.is_empty());
        let events = events.map(|text| Event::parse(text, scene.servers as usize));
        Setup {
            scene,
            seed: scene.seed,
            lanes: lanes.expect("a test reads every scene"),
            script: events.collect::<Result<_, _>>().expect("a test reads every scene"),
            servers: scene.servers,
            voters: scene.voters,
            end: scene.end,
            election: 300,
            heartbeat: 60,
            latency: 10,
            writes: scene.writes,
            reads: scene.reads,
            reader: 0,
        }
    }

    /// The name of a lane and what it is about: the scene's own where it is one of the scene's.
    pub(crate) fn title(&self, position: usize) -> (String, String) {
        let lane = &self.lanes[position];
        let text = lane.to_string();
        let told = self.scene.lanes.get(position).filter(|told| told.switches == text);
        match told {
            Some(told) => (told.title.to_owned(), told.about.to_owned()),
            None => (lane.title(), String::new()),
        }
    }

    /// Whether servers and lanes are those of the scene, so that what it says of itself may be true.
    pub(crate) fn keeps_the_scene(&self) -> bool {
        let scene = Setup::of(self.scene);
        self.lanes == scene.lanes && (self.servers, self.voters) == (scene.servers, scene.voters)
    }
}
