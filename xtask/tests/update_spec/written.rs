//! Each file is the complete old or new one, however a run is interrupted.

use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};

use crate::documents::{document, with};
use crate::sandbox::{Run, Sandbox, says};

#[test]
fn a_write_that_fails_leaves_the_old_files() {
    let sandbox = Sandbox::filled();
    let before = sandbox.files();
    let long = with(|d| d["info"]["description"] = "x".repeat(4096).into());
    sandbox.write("long.json", long);
    let xtask = env!("CARGO_BIN_EXE_xtask");
    // With the signal ignored, the write fails instead of killing the command.
    for (trap, killed) in [("", true), ("trap '' XFSZ; ", false)] {
        let script = format!("{trap}ulimit -c 0; ulimit -f 1; exec \"$@\"");
        let output = Command::new("sh")
            .args(["-c", &script, "sh", xtask, "update-spec", "--spec"])
            .arg(sandbox.spec())
            .args(["--from", &sandbox.path("long.json"), "--no-check"])
            .output()
            .unwrap();
        let run = Run(output);
        assert_eq!(run.0.status.signal().is_some(), killed, "{}", run.stderr());
        if !killed {
            run.ends_with(2);
            says(&run.stderr(), "error: cannot write");
            assert_eq!(sandbox.leftovers(), [""; 0]);
        }
        assert_eq!(sandbox.files(), before);
    }
}

#[test]
fn a_kill_at_any_moment_leaves_each_file_old_or_new() {
    const KILLS: u32 = 24;
    // Four files are staged and then renamed.
    const STEPS: u32 = 8;
    let sandbox = Sandbox::filled();
    let names = ["one.json", "two.json"];
    let bring = |name: &str| {
        sandbox.write(name, document(name));
        sandbox.update_from(name);
        sandbox.files()
    };
    // Each document is reviewed against the other, as in the runs below.
    names.iter().for_each(|name| drop(bring(name)));
    let states = names.map(bring);
    let mut interrupted = 0;
    for kill in 0..KILLS {
        // A run that was not killed in time has installed the other document.
        let at = usize::from(sandbox.read("openapi.json").contains(names[1]));
        let mut child = sandbox
            .command("update-spec", &["--from", &sandbox.path(names[1 - at])])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // Kills after another number of created or renamed files each time.
        let (mut steps, mut seen) = (0, sandbox.leftovers());
        while steps <= kill % STEPS && child.try_wait().unwrap().is_none() {
            let now = sandbox.leftovers();
            steps += u32::from(now != seen);
            seen = now;
        }
        child.kill().unwrap();
        child.wait().unwrap();

        let was_interrupted = !sandbox.leftovers().is_empty();
        let found = sandbox.files();
        for (name, content) in &found {
            let is_whole = states.iter().any(|state| state[name] == *content);
            assert!(is_whole, "{name} is neither the old one nor the new one");
        }
        assert_eq!(found.len(), states[0].len());
        let is_mixed = !states.contains(&found);
        assert!(was_interrupted || !is_mixed, "a mix that no check finds");
        if was_interrupted {
            interrupted += 1;
            let text = sandbox.check().ends_with(1);
            says(&text, "left over from an interrupted update");
            // Equivalent to `git restore spec`.
            for (name, content) in &states[at] {
                sandbox.write(&format!("spec/{name}"), content);
            }
            sandbox.update_from(names[at]);
        }
        sandbox.check().done();
        assert_eq!(sandbox.leftovers(), [""; 0], "swept by the next run");
    }
    assert!(interrupted > 0, "no kill came while files were written");
}

#[test]
fn a_check_finds_a_mix_of_old_and_new_files() {
    let sandbox = Sandbox::filled();
    let old = sandbox.files();
    sandbox.bring(document("new"));
    let new = sandbox.files();
    for (document, normalized) in [(&old, &new), (&new, &old)] {
        sandbox.write("spec/openapi.json", &document["openapi.json"]);
        let name = "openapi.normalized.json";
        sandbox.write("spec/openapi.normalized.json", &normalized[name]);
        let text = sandbox.check().ends_with(1);
        says(&text, "differs from the derived file");
    }
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
