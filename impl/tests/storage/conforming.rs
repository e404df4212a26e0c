//! Every storage that is shipped keeps the laws.

use quorate::memory::MemoryStorage;
use quorate::storage::conformance::{self, CrashingDisk};
use quorate::{DiskStorage, MemoryDisk};

use crate::copies::{Copies, configuration};

struct InMemory(MemoryDisk);

impl CrashingDisk for InMemory {
    type Storage = MemoryStorage;

    fn open(&mut self) -> MemoryStorage {
        self.0.open()
    }

    fn crash(&mut self, running: MemoryStorage) {
        self.0.crash();
        drop(running);
    }

    fn hold(&mut self) -> bool {
        self.0.stall();
        true
    }

    fn release(&mut self) {
        self.0.resume();
    }

    fn fail(&mut self) -> bool {
        self.0.fail_next_write();
        true
    }
}

impl CrashingDisk for Copies {
    type Storage = DiskStorage;

    fn open(&mut self) -> DiskStorage {
        Copies::open(self).expect("what a crash leaves is opened")
    }

    fn crash(&mut self, running: DiskStorage) {
        *self = self.copy();
        drop(running);
    }
}

#[tokio::test]
async fn the_disk_in_memory_conforms() {
    let kept = conformance::check(|| InMemory(MemoryDisk::new(configuration()))).await;
    assert_eq!(kept, Ok(()));
}

#[tokio::test]
async fn the_real_disk_conforms() {
    assert_eq!(conformance::check(Copies::new).await, Ok(()));
}
