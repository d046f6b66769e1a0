//! The memory of a process after an encryption key was dropped. This is a separate binary because
//! it searches its own memory, in which other tests could hold a key.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    reason = "a test that can't go on says so by panicking"
)]

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::{Duration, SystemTime};

use fullscript::auth::{AccessToken, MemoryStore, RefreshToken, Swap, TokenSet, TokenStore};
use fullscript::encryption::{EncryptedStore, EncryptionKey, KeyRing};

/// The bytes of the keys, inverted, so that this file and the search do not contain a key.
const INVERTED: [[u8; 32]; 3] = [[0x5a; 32], [0xc3; 32], [0x69; 32]];

/// A part of a key that is too long to be found by accident.
const PART: usize = 12;

/// Where the parts of a key begin that are searched for: at four offsets of each half, so that one
/// of them is at a multiple of four bytes wherever the key is.
const OFFSETS: [usize; 8] = [0, 1, 2, 3, 16, 17, 18, 19];

const CHUNK: usize = 64 << 10;

fn varied(number: usize) -> [u8; 32] {
    let mut inverted = INVERTED[number];
    for (index, byte) in (0_u8..).zip(&mut inverted) {
        *byte = byte.wrapping_mul(31).wrapping_add(index.wrapping_mul(37));
    }
    inverted
}

/// Returns the number of places in this process that contain a part of the key.
fn copies(number: usize) -> usize {
    let inverted = varied(number);
    let parts = OFFSETS.map(|offset| &inverted[offset..offset + PART]);
    let mut is_first = [false; 256];
    parts
        .iter()
        .for_each(|part| is_first[usize::from(!part[0])] = true);
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let memory = File::open("/proc/self/mem").unwrap();
    // One buffer of a fixed size, because growing it would leave copies behind.
    let mut buffer = vec![0; CHUNK + PART];
    // The buffer contains what was found before.
    let own = buffer.as_ptr().addr() as u64;
    let own = own..own + buffer.len() as u64;
    let mut found = 0;
    for line in maps.lines().filter(|line| line.contains(" rw")) {
        let range = line.split(' ').next().unwrap();
        let (start, end) = range.split_once('-').unwrap();
        let [mut at, end] = [start, end].map(|at| u64::from_str_radix(at, 16).unwrap());
        while at < end {
            // Some regions of the kernel cannot be read.
            let Ok(length) = memory.read_at(&mut buffer, at) else {
                break;
            };
            for offset in (0..length.min(CHUNK)).step_by(4) {
                let is_own = own.contains(&(at + offset as u64));
                if is_first[usize::from(buffer[offset])] && !is_own {
                    let place = &buffer[offset..length.min(offset + PART)];
                    let is = |part: &&[u8]| place.iter().map(|byte| !byte).eq(part.iter().copied());
                    found += usize::from(parts.iter().any(is));
                }
            }
            at += CHUNK as u64;
        }
    }
    buffer.fill(0);
    found
}

/// Creates a key in one of three ways, wiping what this test holds of it.
fn key(number: usize, way: usize) -> EncryptionKey {
    let mut bytes = varied(number).map(|byte| !byte);
    let key = match way {
        0 => EncryptionKey::from_bytes(bytes),
        1 => {
            let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            EncryptionKey::from_text(&text).unwrap()
        }
        _ => {
            let text = EncryptionKey::from_bytes(bytes).expose();
            EncryptionKey::from_text(&text).unwrap()
        }
    };
    bytes.fill(0);
    std::hint::black_box(&bytes);
    key
}

/// Overwrites what the test itself has left on its stack.
#[inline(never)]
fn wipe_own_stack() {
    let mut unused = [1_u8; 256 << 10];
    unused.fill(0);
    std::hint::black_box(&unused);
}

async fn use_store(store: &dyn TokenStore, user: &str) {
    let tokens = TokenSet::new(
        user,
        AccessToken::new("access"),
        "us-sandbox/id",
        SystemTime::UNIX_EPOCH,
        Duration::from_secs(7_200),
    )
    .refresh_token(RefreshToken::new("refresh"));
    let record = tokens.to_record();
    let key = record.key.clone();
    let swap = store.compare_and_swap(None, record).await.unwrap();
    assert!(matches!(swap, Swap::Done));
    assert!(store.load(&key).await.unwrap().is_some());
}

#[test]
fn a_dropped_encryption_key_is_nowhere_in_memory() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    for way in 0..3 {
        let inner = MemoryStore::new();
        runtime.block_on(async {
            // A new store, then another key, then a wrong one.
            let store = EncryptedStore::new(inner.clone(), KeyRing::new(key(0, way)));
            use_store(&store, "0").await;
            drop(store);
            let keys = KeyRing::new(key(1, way)).reads(key(0, way));
            let store = EncryptedStore::new(inner.clone(), keys);
            use_store(&store, "1").await;
            assert_eq!(store.reencrypt().await.unwrap().changed, 1);
            wipe_own_stack();
            assert_eq!(copies(1), 2, "two halves of one copy");
            drop(store);
            let store = EncryptedStore::new(inner.clone(), KeyRing::new(key(2, way)));
            assert_eq!(store.reencrypt().await.unwrap().unreadable, 2);
        });
        wipe_own_stack();
        let left = [0, 1, 2].map(copies);
        assert_eq!(left, [0; 3], "copies of each key, created in way {way}");
    }
}
