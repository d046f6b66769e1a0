//! A token file on a disk that is full or read-only.
//!
//! Each test runs in a process with mounts of its own, which only root can make.

use std::path::{Path, PathBuf};
use std::process::Command;

use fullscript::auth::{Swap, TokenStore};
use fullscript::sqlite::SqliteStore;
use tempfile::TempDir;

use super::sqlite::{cause, fill, is_filled};

const CHILD: &str = "FULLSCRIPT_TEST_MOUNTS";

/// Runs a test again in a process whose mounts nobody else sees. Returns whether this is the process.
fn is_apart(test: &str) -> bool {
    if std::env::var_os(CHILD).is_some() {
        return true;
    }
    let apart = |command: &Path| {
        let mut unshare = Command::new("unshare");
        unshare.args(["--mount", "--"]).arg(command);
        unshare
    };
    let can = apart(Path::new("true")).output();
    if !can.is_ok_and(|output| output.status.success()) {
        return false;
    }
    let output = apart(&std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(CHILD, "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{text}\n{errors}"
    );
    false
}

/// A disk of its own.
struct Disk {
    directory: TempDir,
}

impl Disk {
    fn new(kilobytes: u32) -> Self {
        let disk = Self {
            directory: TempDir::new().unwrap(),
        };
        disk.mount(&["-t", "tmpfs", "-o", &format!("size={kilobytes}k"), "tmpfs"]);
        disk
    }

    fn mount(&self, arguments: &[&str]) {
        let mut mount = Command::new("mount");
        let mounted = mount.args(arguments).arg(self.directory.path()).status();
        assert!(mounted.unwrap().success());
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("tokens.db")
    }

    /// Takes all the space that is left.
    fn fill_up(&self) {
        use std::io::Write;
        let mut ballast = std::fs::File::create(self.ballast()).unwrap();
        while ballast.write_all(&[7; 1_024]).is_ok() {}
    }

    /// Closes a store, and waits until its threads have closed their files.
    async fn close(&self, store: SqliteStore) {
        drop(store);
        let is_open = || {
            let mut files = std::fs::read_dir("/proc/self/fd").unwrap();
            files.any(|file| {
                let target = std::fs::read_link(file.unwrap().path());
                target.is_ok_and(|target| target.starts_with(self.directory.path()))
            })
        };
        while is_open() {
            tokio::task::yield_now().await;
        }
    }

    fn free(&self) {
        std::fs::remove_file(self.ballast()).unwrap();
    }

    fn ballast(&self) -> PathBuf {
        self.directory.path().join("ballast")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ends_with_the_process = Command::new("umount")
            .arg("--lazy")
            .arg(self.directory.path())
            .status();
    }
}

#[tokio::test]
async fn a_full_disk_loses_nothing_that_was_saved_and_is_named() {
    if !is_apart("stores::mounts::a_full_disk_loses_nothing_that_was_saved_and_is_named") {
        println!("tested in a process with mounts of its own, if root runs the tests");
        return;
    }
    // SQLite moves the log into the file when it has 4 MB, for which the smaller disk has no space.
    for kilobytes in [400, 4_600, 6_000] {
        let disk = Disk::new(kilobytes);
        let store = SqliteStore::open(disk.path()).await.unwrap();
        let mut saved = 0;
        let large = |number: usize| {
            let mut large = super::tokens(number.to_string(), 1);
            large.tenant = Some("x".repeat(3_000));
            large.to_record()
        };
        let error = loop {
            match store.compare_and_swap(None, large(saved)).await {
                Ok(swap) => assert!(matches!(swap, Swap::Done)),
                Err(error) => break error,
            }
            saved += 1;
        };
        assert!(cause(&error).contains("disk full"), "{error:?}");
        assert!(error.is_transient());
        disk.fill_up();
        let is_saved = async |store: &SqliteStore| {
            for number in 0..saved {
                let found = store.load(&large(number).key).await.unwrap();
                assert!(found == Some(large(number)), "{number} of {saved}");
            }
        };
        is_saved(&store).await;
        disk.close(store).await;
        // Nothing can be written, not even the memory that processes share.
        let _removed_already = std::fs::remove_file(disk.directory.path().join("tokens.db-shm"));
        disk.fill_up();
        match SqliteStore::open(disk.path()).await {
            Ok(store) => is_saved(&store).await,
            Err(error) => {
                assert!(error.to_string().contains("disk full"), "{error:?}");
                assert!(error.is_transient());
            }
        }
        disk.free();
        let store = SqliteStore::open(disk.path()).await.unwrap();
        is_saved(&store).await;
        println!("{kilobytes} kB: {saved} saved");
    }
}

#[tokio::test]
async fn a_file_on_a_read_only_disk_is_named() {
    if !is_apart("stores::mounts::a_file_on_a_read_only_disk_is_named") {
        println!("tested in a process with mounts of its own, if root runs the tests");
        return;
    }
    let disk = Disk::new(4_000);
    let store = SqliteStore::open(disk.path()).await.unwrap();
    fill(&store, 2).await;
    disk.close(store).await;
    disk.mount(&["-o", "remount,ro"]);
    let missing = disk.directory.path().join("missing.db");
    for path in [disk.path(), missing] {
        let error = SqliteStore::open(path).await.unwrap_err();
        assert!(error.to_string().contains("read-only"), "{error:?}");
        assert!(!error.is_transient());
    }
    disk.mount(&["-o", "remount,rw"]);
    is_filled(&SqliteStore::open(disk.path()).await.unwrap(), 2).await;
}
