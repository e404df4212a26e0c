//! Which directories are opened, and what is said of the others.

use std::fs;

use quorate::disk::DiskOptions;
use quorate::storage::conformance::{self, Action, Script, Step};
use quorate::{DiskStorage, Lookup, OpenError, Storage};
use quorate_spec::{Durable, NodeId};

use crate::copies::{CLUSTER, Copies, configuration, options};

/// Performs the actions, and waits until they are durable.
pub(crate) async fn perform(storage: &mut DiskStorage, script: &mut Script, actions: &[Action]) {
    for action in actions {
        for step in script.perform(action) {
            match step {
                Step::Submit(persist, records) => storage.submit(*persist, records),
                Step::Keep(state) => storage.keep(state),
            }
        }
    }
    let (last, mut progress) = (script.last(), storage.progress());
    let reported = progress.wait_for(|it| it.persisted >= last || it.failed.is_some()).await;
    assert_eq!(reported.expect("the writer is there").failed, None);
}

/// A directory with a few writes, closed.
pub(crate) async fn written(actions: &[Action]) -> (Copies, Script) {
    let disk = Copies::new();
    let mut storage = disk.open().expect("it is new");
    let mut script = Script::new(storage.recovered(), 1);
    perform(&mut storage, &mut script, actions).await;
    storage.close().await;
    (disk, script)
}

fn refusal(disk: &Copies, options: DiskOptions) -> String {
    let refused = DiskStorage::open(disk.path(), options).err().expect("it is refused");
    // Where somebody looks who does not know the path.
    refused.to_string().replace(&disk.path().display().to_string(), "DIR")
}

#[tokio::test]
async fn a_new_directory_begins_with_the_first_configuration_and_keeps_it() {
    let (disk, _) = written(&[]).await;
    let other = DiskOptions { configuration: Default::default(), ..options() };
    let storage = DiskStorage::open(disk.path(), other).expect("the configuration is for new ones");
    assert_eq!(storage.recovered(), Durable::genesis(configuration()));
    assert_eq!((storage.identity().cluster, storage.identity().node), (CLUSTER, NodeId(1)));
}

#[tokio::test]
async fn a_directory_is_open_once_and_free_when_it_is_closed() {
    let disk = Copies::new();
    let storage = disk.open().expect("it is new");
    assert!(matches!(disk.open(), Err(OpenError::InUse(_))));
    storage.close().await;
    disk.open().expect("it is free").close().await;
}

#[tokio::test]
async fn a_directory_of_others_is_refused_in_words() {
    let (disk, _) = written(&[Action::Append(vec![1])]).await;
    let other_cluster = DiskOptions { cluster: 7, ..options() };
    assert_eq!(
        refusal(&disk, other_cluster),
        "DIR belongs to cluster 000000000000c105, not to 0000000000000007: look which directory \
         this node was started on"
    );
    let other_node = DiskOptions { node: NodeId(2), ..options() };
    assert_eq!(
        refusal(&disk, other_node),
        "DIR belongs to node 1, not to node 2: an identity goes with its disk, so start node 1 on \
         it, or give node 2 its own directory"
    );
}

#[tokio::test]
async fn what_is_not_a_directory_of_a_node_is_refused_and_left_alone() {
    let disk = Copies::new();
    fs::write(disk.path().join("photo.png"), "").expect("there is room");
    assert!(refusal(&disk, options()).contains("not a directory of Quorate (it has \"photo.png\""));
    assert_eq!(fs::read_dir(disk.path()).expect("it is there").count(), 1);
}

#[tokio::test]
async fn a_newer_format_is_refused_with_what_to_do() {
    let (disk, _) = written(&[]).await;
    let identity = disk.path().join("identity");
    let text = fs::read_to_string(&identity).expect("it is text");
    fs::write(&identity, text.replace("format 2", "format 9")).expect("there is room");
    assert_eq!(
        refusal(&disk, options()),
        "DIR has format 9, and this program knows 2: start the newer program again"
    );
}

#[tokio::test]
async fn a_part_that_is_missing_is_missed() {
    for part in ["log", "mark", "register", "states", "identity"] {
        let (disk, _) = written(&[Action::Append(vec![1]), Action::Keep(0), Action::Compact]).await;
        let path = disk.path().join(part);
        if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }
            .expect("it was there");
        let said = refusal(&disk, options());
        assert!(said.contains(part), "of {part}: {said}");
    }
}

#[tokio::test]
async fn a_journal_that_rots_when_it_is_new_is_refused_and_kept() {
    let (disk, _) = written(&[]).await;
    let (path, mut journal) = (disk.journal(), disk.journal_bytes());
    let at = journal.len() - 30;
    journal[at] ^= 1;
    fs::write(&path, &journal).expect("there is room");
    for _ in 0..2 {
        let said = refusal(&disk, options());
        assert!(said.contains("it has no head of the log; DIR/tail was cut off it"), "{said}");
        let left = [path.clone(), disk.path().join("tail")].map(|file| {
            let mut bytes = fs::read(file).expect("it is there");
            bytes.truncate(bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1));
            bytes
        });
        assert_eq!(left.concat(), journal, "all of it is there");
    }
    // Whoever looks into it puts it together again.
    journal[at] ^= 1;
    fs::write(&path, &journal).expect("there is room");
    disk.open().expect("nothing is missing").close().await;
    assert!(!disk.path().join("tail").exists(), "what is whole has no use for it");
}

#[tokio::test]
async fn what_was_written_is_read_again() {
    let actions = [
        Action::Append(vec![3, 70_00, 0]),
        Action::Configure(4),
        Action::Keep(1),
        Action::Compact,
        Action::Overwrite(1, vec![9, 9]),
        Action::Vote,
    ];
    let (disk, script) = written(&actions).await;
    let storage = disk.open().expect("it was closed");
    let expected = script.contents();
    assert_eq!(storage.recovered(), expected.durable);
    for record in expected.records.values() {
        let found = conformance::record(&storage, record.id).await;
        assert_eq!(found.as_ref(), Ok(&Some(record.clone())));
    }
    for state in expected.states.values() {
        let found = conformance::state(&storage, state.last).await;
        assert_eq!(found.as_ref(), Ok(&Some(state.clone())));
    }
    storage.close().await;
}

#[tokio::test]
async fn the_end_of_the_log_is_in_memory_when_a_directory_is_opened() {
    let (disk, script) = written(&[Action::Append(vec![100; 10])]).await;
    let ids: Vec<_> = script.contents().durable.log.ids().collect();
    for (recent_bytes, count) in [(options().recent_bytes, 3), (64 << 20, 10), (0, 0)] {
        let options = DiskOptions { recent_bytes, ..options() };
        let storage = DiskStorage::open(disk.path(), options).expect("it was closed");
        let first = ids.iter().position(|id| storage.read(*id) != Lookup::Away);
        assert_eq!(ids.len() - first.unwrap_or(ids.len()), count, "with {recent_bytes} bytes");
        storage.close().await;
    }
}

#[tokio::test]
async fn a_state_is_in_memory_where_it_fits_and_is_fetched_where_it_does_not() {
    let actions = [Action::Append(vec![1; 30]), Action::Keep(0), Action::Compact];
    let (disk, script) = written(&actions).await;
    let base = script.contents().durable.log.base();
    let state = script.contents().states[&base.index].clone();
    assert!(state.bytes.len() > options().state_bytes);
    let large = DiskOptions { state_bytes: 1 << 20, ..options() };
    for (options, found) in [(options(), Lookup::Away), (large, Lookup::Here(state.clone()))] {
        let mut storage = DiskStorage::open(disk.path(), options).expect("it was closed");
        assert_eq!(storage.state(base), found);
        assert_eq!(storage.fetch_state(base).await, Ok(state.clone()));
        assert_eq!(storage.state(base), found, "it does not stay for having been read");
        // It was read to see whether it is whole, and is not read for the node again.
        let (states, away) = (disk.path().join("states"), disk.path().join("away"));
        std::fs::rename(&states, &away).expect("it is there");
        assert_eq!(storage.recovered_state(), Some(state.clone()));
        std::fs::rename(&away, &states).expect("it is there");
        storage.close().await;
    }
}
