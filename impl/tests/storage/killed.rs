//! A process that writes is killed again and again: no write that it acknowledged is lost.

use std::env;
use std::io::{BufRead, BufReader, Read};
use std::process::Command;

use crate::child::{acknowledged, arguments, holds, prepare};
use crate::copies::Copies;

/// How often the process is killed, and the longest command that it writes.
const KILLS: u64 = 40;
const LENGTH: u64 = 12_000;

#[tokio::test]
async fn no_acknowledged_write_is_lost_when_the_process_is_killed() {
    let disk = Copies::new();
    let mut last = 0;
    for kill in 0..KILLS {
        let program = env::current_exe().expect("this is a program");
        let mut command = Command::new(program);
        command.args(arguments());
        let child = prepare(&mut command, disk.path(), LENGTH).spawn();
        let mut child = child.expect("it can be started again");
        let mut lines = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut said = String::new();
        // Some are killed at once, and some after a while, in which logs are compacted.
        while said.matches("durable").count() < (kill * kill % 97) as usize {
            assert!(lines.read_line(&mut said).expect("it is text") > 0, "it has ended by itself");
        }
        child.kill().expect("it runs");
        lines.read_to_string(&mut said).expect("it is text");
        child.wait().expect("it was killed");
        last = holds(disk.path(), acknowledged(&said), LENGTH).await;
    }
    assert!(last > KILLS * 20, "only {last} entries were written");
}
