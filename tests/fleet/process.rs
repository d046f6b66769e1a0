//! The processes of the fleet, as the test sees them.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};

use tokio::sync::mpsc::UnboundedSender;

use crate::worker::{SAYS, SETTINGS, Settings};

/// A line that a process said, or `None` at its end.
pub(crate) type Said = (usize, Option<String>);

/// A process; killed when dropped, like `kill -9`.
pub(crate) struct Process {
    /// The number of the process, which no other has.
    pub(crate) number: usize,
    child: Child,
    input: ChildStdin,
}

impl Process {
    /// Starts a process whose lines are sent to `said`.
    pub(crate) fn start(number: usize, settings: &Settings, said: UnboundedSender<Said>) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["--exact", "worker::worker", "--nocapture"])
            .env(SETTINGS, settings.to_json().to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let input = child.stdin.take().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if let Some((_, text)) = line.split_once(SAYS) {
                    let _test_ended = said.send((number, Some(text.to_string())));
                }
            }
            let _test_ended = said.send((number, None));
        });
        Self {
            number,
            child,
            input,
        }
    }

    /// Sends a command. A process that has ended ignores it.
    pub(crate) fn tell(&mut self, command: &str) {
        let _has_ended = writeln!(self.input, "{command}");
    }

    /// Sends a signal, such as `STOP` or `KILL`.
    pub(crate) fn signal(&self, signal: &str) {
        let own = self.child.id().to_string();
        let mut kill = Command::new("kill");
        kill.args([&format!("-{signal}"), &own]);
        assert!(kill.status().unwrap().success(), "{signal}");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Fails only if the process has already ended.
        let _ended = self.child.kill();
        let _ended = self.child.wait();
    }
}
