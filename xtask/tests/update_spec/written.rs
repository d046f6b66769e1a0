//! All files or none, whatever cuts a run short.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use crate::documents::{document, with};
use crate::sandbox::{Run, Sandbox};

#[test]
fn a_write_that_fails_leaves_the_old_files() {
    let sandbox = Sandbox::filled();
    let before = sandbox.files();
    let long = with(|d| d["info"]["description"] = "x".repeat(4096).into());
    sandbox.write("long.json", long);
    let xtask = env!("CARGO_BIN_EXE_xtask");
    // Without the trap the system kills the command; with it the write fails.
    for (trap, killed) in [("", true), ("trap '' XFSZ; ", false)] {
        let script = format!("{trap}ulimit -c 0; ulimit -f 1; exec \"$@\"");
        let output = Command::new("sh")
            .args(["-c", &script, "sh", xtask, "update-spec", "--spec"])
            .arg(sandbox.spec())
            .args(["--from", &sandbox.path("long.json")])
            .output()
            .unwrap();
        let run = Run(output);
        assert_eq!(run.0.status.signal().is_some(), killed, "{}", run.stderr());
        if !killed {
            run.ends_with(2);
            assert!(
                run.stderr().contains("came: a write that failed"),
                "{}",
                run.stderr()
            );
            assert_eq!(sandbox.leftovers(), [""; 0]);
        }
        assert_eq!(sandbox.files(), before);
    }
}

#[test]
fn a_kill_at_any_moment_leaves_the_old_files_or_the_new_ones() {
    const KILLS: u32 = 24;
    let sandbox = Sandbox::filled();
    // More files to carry over make the part that writes last longer.
    for number in 0..300 {
        sandbox.write(&format!("spec/note-{number}.md"), "note");
    }
    let names = ["one.json", "two.json"];
    let bring = |name: &str| {
        sandbox.write(name, document(name));
        sandbox.update(&["--from", &sandbox.path(name)]).done();
        sandbox.files()
    };
    // Each is reviewed against the other, as in all that follows.
    names.iter().for_each(|name| drop(bring(name)));
    let states = names.map(bring);
    let mut at = 1;
    let mut interrupted = 0;
    for kill in 0..KILLS {
        let mut child = sandbox
            .command("update-spec", &["--from", &sandbox.path(names[1 - at])])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let staging = sandbox.path(&format!(".spec.new-{}", child.id()));
        while !Path::new(&staging).exists() && child.try_wait().unwrap().is_none() {
            thread::yield_now();
        }
        // A later moment of the writing each time; it does not tell of them.
        thread::sleep(Duration::from_micros(300) * kill);
        child.kill().unwrap();
        child.wait().unwrap();
        interrupted += usize::from(Path::new(&staging).exists());
        let found = sandbox.files();
        at = states
            .iter()
            .position(|state| *state == found)
            .expect("wholly old or wholly new");
    }
    assert!(interrupted > 0, "no kill came while files were written");
    sandbox
        .update(&["--from", &sandbox.path("filled.json")])
        .done();
    assert_eq!(sandbox.leftovers(), [""; 0], "swept by the next run");
}

#[test]
fn runs_at_the_same_time_do_not_mix() {
    let sandbox = Sandbox::filled();
    let names = ["a.json", "b.json", "c.json", "d.json"];
    for name in names {
        sandbox.write(name, document(name));
    }
    let children: Vec<_> = names
        .map(|name| {
            sandbox
                .command("update-spec", &["--from", &sandbox.path(name)])
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap()
        })
        .into_iter()
        .map(|mut child| child.wait().unwrap().code())
        .collect();
    assert!(children.contains(&Some(0)), "{children:?}");
    assert!(
        children.iter().all(|code| matches!(code, Some(0 | 2))),
        "{children:?}"
    );
    sandbox.check().done();
    assert_eq!(sandbox.leftovers(), [""; 0]);
}
