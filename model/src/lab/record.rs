//! What a page shows of a run. Times are in microseconds from the start of the scene.

use serde::Serialize;

use quorate_spec::property::ClaimSet;

use super::view::HostView;

/// A lane as it was run.
#[derive(Clone, Serialize, Debug)]
pub struct LaneRecord {
    /// Its name.
    pub title: String,
    /// What it is about, where the scene says so.
    pub about: String,
    /// Its switches, as in an address.
    pub switches: String,
    /// Its rules, in words.
    pub rules: Vec<String>,
    /// For each server, its states one after the other.
    pub tracks: Vec<Vec<HostView>>,
    /// All messages, in the order in which they were sent.
    pub messages: Vec<Sent>,
    /// What happened, in words.
    pub notes: Vec<Note>,
    /// Who led from when to when.
    pub leaders: Vec<Reign>,
    /// Each election that was called.
    pub elections: Vec<Happened>,
    /// Each command that a client was told to be committed.
    pub commits: Vec<Happened>,
    /// Each command that was committed at an index where another one was, too.
    pub contradicted: Vec<Happened>,
    /// Each command that found no leader.
    pub refused: Vec<i64>,
    /// Each server that was refused a vote or a pre-vote because its log was behind.
    pub behind: Vec<Happened>,
    /// Each read.
    pub reads: Vec<ReadRecord>,
    /// From when to when nobody led.
    pub leaderless: Vec<(i64, i64)>,
    /// Each claim that became false, at the first moment.
    pub claims: Vec<Broken>,
    /// The sums at the end.
    pub counts: Counts,
}

/// A message.
#[derive(Clone, Serialize, Debug)]
pub struct Sent {
    /// The sender.
    pub from: u64,
    /// The receiver.
    pub to: u64,
    /// When it left.
    pub sent: i64,
    /// When it arrives, if nothing comes between.
    pub due: i64,
    /// When it arrived, or was lost.
    pub until: i64,
    /// Whether it was lost.
    pub lost: bool,
    /// What it is, in a word.
    pub kind: &'static str,
    /// What it says.
    pub text: String,
}

/// What happened, for a person.
#[derive(Clone, Serialize, PartialEq, Eq, Debug)]
pub struct Note {
    /// When.
    pub at: i64,
    /// At which server.
    pub server: Option<u64>,
    /// How it is to be taken.
    pub tone: Tone,
    /// A sentence or two.
    pub text: String,
}

/// How a note is to be taken.
#[derive(Clone, Copy, Serialize, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[serde(rename_all = "lowercase")]
pub enum Tone {
    /// A detail.
    Quiet,
    /// Something happens.
    Event,
    /// Something goes well.
    Good,
    /// Something goes wrong.
    Bad,
}

/// The time for which a server leads.
#[derive(Clone, Serialize, Debug)]
pub struct Reign {
    /// The server.
    pub server: u64,
    /// In this term.
    pub term: u64,
    /// Since when.
    pub from: i64,
    /// Until when.
    pub until: i64,
    /// The higher term that ended it, if one did.
    pub deposed_by: Option<u64>,
}

/// Something that happened at a server.
#[derive(Clone, Serialize, Debug)]
pub struct Happened {
    /// When.
    pub at: i64,
    /// At which server.
    pub server: u64,
    /// In which term of it.
    pub term: u64,
}

/// A read and what became of it.
#[derive(Clone, Serialize, Debug)]
pub struct ReadRecord {
    /// When it was asked for.
    pub at: i64,
    /// Of which server.
    pub server: u64,
    /// When it was answered, or failed.
    pub answered: Option<i64>,
    /// The value that the client was given; none if it was given none.
    pub value: Option<u64>,
    /// The last value that was committed when it asked.
    pub newest: u64,
    /// Whether the value was older than that.
    pub stale: bool,
}

/// A claim that became false.
#[derive(Clone, Serialize, Debug)]
pub struct Broken {
    /// When.
    pub at: i64,
    /// Its name.
    pub claim: &'static str,
    /// What it says.
    pub sentence: &'static str,
}

/// The sums of a lane at the end.
#[derive(Clone, Copy, Default, Serialize, PartialEq, Eq, Debug)]
pub struct Counts {
    /// How many terms were begun.
    pub terms: u64,
    /// How many elections were called.
    pub elections: u64,
    /// How many times another server became leader.
    pub changes: u64,
    /// Microseconds without a leader.
    pub leaderless: u64,
    /// The longest time between two commits, in microseconds.
    pub longest_wait: u64,
    /// How many commands clients know to be committed.
    pub commits: u64,
    /// How many of them were committed against others.
    pub contradicted: u64,
    /// How many reads were answered rightly.
    pub fresh: u64,
    /// How many were answered with something old.
    pub stale: u64,
    /// How many had no answer.
    pub unanswered: u64,
    /// How many claims became false.
    pub broken: u64,
}

/// The part of a record that grows while a lane runs.
pub(crate) struct Recorder {
    /// The true time at which the scene starts.
    pub(crate) start: u64,
    pub(crate) record: LaneRecord,
    seen: ClaimSet,
}

impl Recorder {
    pub(crate) fn new(start: u64, servers: usize, (title, about): (String, String)) -> Recorder {
        let record = LaneRecord {
            title,
            about,
            switches: String::new(),
            rules: Vec::new(),
            tracks: vec![Vec::new(); servers],
            messages: Vec::new(),
            notes: Vec::new(),
            leaders: Vec::new(),
            elections: Vec::new(),
            commits: Vec::new(),
            contradicted: Vec::new(),
            refused: Vec::new(),
            behind: Vec::new(),
            reads: Vec::new(),
            leaderless: Vec::new(),
            claims: Vec::new(),
            counts: Counts::default(),
        };
        Recorder { start, record, seen: ClaimSet::NONE }
    }

    /// A true instant as the page counts.
    pub(crate) fn time(&self, now: u64) -> i64 {
        now.cast_signed() - self.start.cast_signed()
    }

    /// A server's state, if that is another one than before.
    pub(crate) fn show(&mut self, server: usize, view: HostView) {
        let track = &mut self.record.tracks[server];
        match track.last_mut() {
            Some(last) if last.same(&view) => {}
            // What was before the scene began is not shown.
            Some(last) if last.at < 0 || last.at == view.at => *last = view,
            _ => track.push(view),
        }
    }

    pub(crate) fn note(&mut self, note: Note) {
        let lately = |other: &&Note| note.at - other.at < 400_000;
        let mut recent = self.record.notes.iter().rev().take_while(lately);
        let said = recent.any(|other| other.text == note.text);
        if note.at >= 0 && !said {
            self.record.notes.push(note);
        }
    }

    /// The claims that this broke: each is told once.
    pub(crate) fn broke(&mut self, now: u64, broken: ClaimSet) {
        let seen = self.seen;
        for claim in broken.iter().filter(|claim| !seen.contains(*claim)) {
            let (at, sentence) = (self.time(now), claim.entry().sentence);
            self.record.claims.push(Broken { at, claim: claim.name(), sentence });
            // Up to its first qualification: the page has the whole of it beside the lane.
            let head = sentence.split([':', ';']).next().unwrap_or(sentence).trim_end_matches('.');
            let text = format!("From here on a safety claim is broken: \u{201c}{head}.\u{201d}");
            self.note(Note { at, server: None, tone: Tone::Bad, text });
        }
        self.seen = self.seen.union(broken);
    }

    pub(crate) fn elected(&mut self, now: u64, server: u64, term: u64) {
        let from = self.time(now);
        let reign = Reign { server, term, from, until: i64::MAX, deposed_by: None };
        self.record.leaders.push(reign);
    }

    /// A server leads no more: because of this higher term, if there is one.
    pub(crate) fn leads_no_more(&mut self, now: u64, server: u64, deposed_by: Option<u64>) {
        let until = self.time(now);
        let open = |reign: &&mut Reign| reign.server == server && reign.until == i64::MAX;
        if let Some(reign) = self.record.leaders.iter_mut().rev().find(open) {
            (reign.until, reign.deposed_by) = (until, deposed_by);
        }
    }

    /// The record, with its sums, of a run that ends now.
    pub(crate) fn finish(mut self, now: u64) -> LaneRecord {
        let end = self.time(now);
        let record = &mut self.record;
        record.tracks.iter_mut().filter_map(|track| track.first_mut()).for_each(|view| view.at = 0);
        record.messages.retain(|message| message.until > 0);
        // The last is shown first: of what happens at one instant, that is what matters most.
        record.notes.sort_by_key(|note| (note.at, note.tone));
        record.leaders.retain(|reign| reign.until > 0);
        for reign in &mut record.leaders {
            (reign.from, reign.until) = (reign.from.max(0), reign.until.min(end));
        }
        record.elections.retain(|election| election.at >= 0);
        record.leaderless = gaps(&record.leaders, end);
        record.counts = counts(record, end);
        self.record
    }
}

/// From when to when nobody led.
fn gaps(leaders: &[Reign], end: i64) -> Vec<(i64, i64)> {
    let mut reigns: Vec<_> = leaders.iter().map(|reign| (reign.from, reign.until)).collect();
    reigns.sort_unstable();
    let (mut gaps, mut led) = (Vec::new(), 0);
    for (from, until) in reigns.into_iter().chain([(end, end)]) {
        if from > led {
            gaps.push((led, from));
        }
        led = led.max(until);
    }
    gaps
}

fn counts(record: &LaneRecord, end: i64) -> Counts {
    let highest = |view: Option<&HostView>| view.map_or(0, |view| view.term);
    let first = record.tracks.iter().map(|track| highest(track.first())).max().unwrap_or(0);
    let last = record.tracks.iter().flatten().map(|view| view.term).max().unwrap_or(0);
    let times = record.commits.iter().map(|commit| commit.at).chain([end]);
    let mut before = 0;
    let waits = times.map(|at| at - std::mem::replace(&mut before, at));
    let of = |fits: &dyn Fn(&ReadRecord) -> bool| {
        record.reads.iter().filter(|read| fits(read)).count() as u64
    };
    Counts {
        terms: last - first,
        elections: record.elections.len() as u64,
        changes: record.leaders.iter().filter(|reign| reign.from > 0).count() as u64,
        leaderless: record.leaderless.iter().map(|(from, to)| (to - from).unsigned_abs()).sum(),
        longest_wait: waits.max().unwrap_or(0).unsigned_abs(),
        commits: record.commits.len() as u64,
        contradicted: record.contradicted.len() as u64,
        fresh: of(&|read| read.value.is_some() && !read.stale),
        stale: of(&|read| read.stale),
        unanswered: of(&|read| read.value.is_none()),
        broken: record.claims.len() as u64,
    }
}
