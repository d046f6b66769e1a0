//! Randomly mutated callbacks.

use super::*;

/// A xorshift generator, which gives the same mutations in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % end as u64).unwrap()
    }

    fn mutate(&mut self, text: &str) -> String {
        const BYTES: &[u8] = b"?&=#/:.%+@ \\\t\n\0aZ09-_~[]\xc3\xa9\xff";
        let mut bytes = text.as_bytes().to_vec();
        for _ in 0..=self.below(4) {
            let (from, to) = (self.below(bytes.len() + 1), self.below(bytes.len() + 1));
            let (from, to) = (from.min(to), from.max(to));
            let byte = BYTES[self.below(BYTES.len())];
            match self.below(6) {
                0 if from < bytes.len() => bytes[from] = byte,
                1 => bytes.insert(from, byte),
                2 => drop(bytes.drain(from..to.min(from + 3))),
                3 => bytes.extend_from_within(from..to),
                4 => bytes.truncate(to),
                _ => bytes[from..to].reverse(),
            }
        }
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

#[test]
fn no_mutated_callback_panics_or_passes_with_a_wrong_state() {
    let app = App::with_pkce();
    let request = app.request(Some("42"));
    let other = app.request(Some("42"));
    let state = request.state().in_url();
    let query = format!("code={CODE}&state={state}");
    let seeds = [
        format!("https://ehr.example/fullscript/callback?{query}"),
        format!("/fullscript/callback?{query}"),
        format!("?{query}"),
        format!("error=invalid_scope&error_description=about+{state}+and+{CODE}&{query}"),
    ];
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut codes = 0;
    for round in 0..10_000 {
        let callback = random.mutate(&seeds[round % seeds.len()]);
        match app.read(&callback, request.state()) {
            Ok(code) => {
                codes += 1;
                // A URL parser removes tabs and line breaks.
                let text = callback.replace(['\t', '\n'], "");
                let pairs = url::form_urlencoded::parse(text.as_bytes());
                let decoded: String = pairs.flat_map(|(key, value)| [key, value]).collect();
                assert!(decoded.contains(state), "{callback:?}");
                assert_eq!(code.payload(), Some("42"));
                assert!(!code.expose().is_empty());
            }
            Err(fault) => {
                let text = format!("{fault} {fault:?}");
                assert!(!text.contains(request.state().random()), "{text}");
                // The description may contain the code if the `code` parameter was mutated.
                assert!(
                    !text.contains(CODE) || !callback.contains(&format!("code={CODE}&")),
                    "{text}"
                );
            }
        }
        assert!(app.read(&callback, other.state()).is_err(), "{callback:?}");
        let _ = State::from_text(&random.mutate(request.state().expose()));
    }
    assert!(
        codes > 100,
        "too few mutations keep the state intact: {codes}"
    );
}
