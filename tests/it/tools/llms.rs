//! What coding assistants read.

use std::path::Path;

fn read(name: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    std::fs::read_to_string(root.join(name)).unwrap()
}

/// Counts more tokens than the tokenizers of the common models do: each word is a token for each 4
/// letters that it has begun, each other character that is not a space is one, and so is each run of
/// spaces at the start of a line.
fn tokens(text: &str) -> usize {
    let (mut count, mut letters) = (0, 0);
    for line in text.lines() {
        count += 1 + usize::from(line.starts_with(' '));
        for at in line.chars() {
            if at.is_alphanumeric() {
                count += usize::from(letters % 4 == 0);
                letters += 1;
            } else {
                count += usize::from(!at.is_whitespace());
                letters = 0;
            }
        }
        letters = 0;
    }
    count
}

#[test]
fn the_block_of_context_has_at_most_4000_tokens() {
    let context = read("src/tools/context.md");
    let count = tokens(&context);
    assert!((1_000..=4_000).contains(&count), "{count}");
    // `cargo xtask check` compares the whole file.
    let (_, body) = context.split_once('\n').unwrap();
    let all = read("llms.txt");
    assert!(all.starts_with("# fullscript\n") && all.contains(body));
    for operation in fullscript::operations::all() {
        assert!(
            all.contains(&format!("\n- {}", operation.id)),
            "{}",
            operation.id
        );
    }
}

#[test]
fn each_link_of_llms_txt_and_each_path_of_agents_md_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let all = read("llms.txt");
    let links = all.split("](").skip(1);
    let links: Vec<_> = links.filter_map(|rest| rest.split(')').next()).collect();
    assert!(links.len() >= 14, "{links:?}");
    let agents = read("AGENTS.md");
    let names = agents.split('`').skip(1).step_by(2);
    let paths = names.filter(|name| !name.contains(' ') && name.contains(['/', '.']));
    for path in links.into_iter().chain(paths) {
        assert!(root.join(path).exists(), "{path}");
    }
}
