//! Compiles the code that is generated from a document, with the part of the library that it uses.
//!
//! Hand-written modules that name operations or models are left out: code that adapts to an update
//! follows after it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use proc_macro2::{TokenStream, TokenTree};
use sha2::{Digest, Sha256};
use toml::{Table, Value};

use crate::codegen::Generated;

/// The modules that generated code uses directly.
const USED: [&str; 5] = ["call", "client", "operations", "types", "value"];

/// The name of the package, by which its documentation calls it, too.
const NAME: &str = "fullscript";

/// The number of compiler errors that are reported.
const MOST_ERRORS: usize = 3;

/// Writes the generated files where the library includes them from.
const BUILD: &str = r#"fn main() {
    println!("cargo::rerun-if-changed=generated");
    let out = std::path::PathBuf::from(std::env::var_os("OUT_DIR").expect("set by cargo"));
    for entry in std::fs::read_dir("generated").expect("a directory") {
        let file = entry.expect("an entry").path();
        std::fs::copy(&file, out.join(file.file_name().expect("a file"))).expect("copied");
    }
}
"#;

/// A package with generated code.
#[derive(Debug)]
pub struct Trial {
    files: BTreeMap<PathBuf, String>,
}

impl Trial {
    /// Creates the package from the sources of this workspace and the generated code.
    ///
    /// # Errors
    /// Returns a message that names a source file that cannot be read.
    pub fn of(generated: &Generated) -> Result<Self, String> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .ok_or("the package has no workspace")?;
        let read = |name: &str| read(&root.join(name));
        let mut files = BTreeMap::new();
        let mut add = |name: &str, text: String| files.insert(PathBuf::from(name), text);
        add("Cargo.toml", manifest(&read("Cargo.toml")?)?);
        add("Cargo.lock", read("Cargo.lock")?);
        add("build.rs", BUILD.into());
        for (name, text) in [
            ("types.rs", &generated.types),
            ("client.rs", &generated.client),
            ("operations.rs", &generated.operations),
            ("index.md", &generated.index),
            ("fields.rs", &generated.fields),
            ("round_trip.rs", &generated.round_trip),
        ] {
            add(&format!("generated/{name}"), text.clone());
        }
        add("src/round_trip.rs", read("src/testing/round_trip.rs")?);
        let modules = Modules::used(&root.join("src"))?;
        add("src/lib.rs", modules.library(&read("src/lib.rs")?)?);
        for (path, text) in modules.files {
            files.insert(Path::new("src").join(path), text);
        }
        Ok(Self { files })
    }

    /// Adds a file to the package.
    pub fn add(&mut self, path: impl Into<PathBuf>, text: impl Into<String>) {
        self.files.insert(path.into(), text.into());
    }

    /// Checks the package with the compiler, once for the same files.
    ///
    /// # Errors
    /// Returns the first errors of the compiler, or the reason why it could not run.
    pub fn check(&self) -> Result<(), String> {
        let directory = target().join("spec-check");
        let passed = directory.join("passed").join(self.hash());
        if passed.exists() {
            return Ok(());
        }
        let place = self.write(&directory).map_err(|error| error.to_string())?;
        let output = place.cargo(&["check", "--quiet", "--features", "schemars"]);
        let output = output.map_err(|error| format!("cargo cannot run: {error}"))?;
        if !output.status.success() {
            return Err(first_errors(&String::from_utf8_lossy(&output.stderr)));
        }
        // Without the mark, the same files are checked again.
        let _unmarked = fs::create_dir_all(directory.join("passed")).and_then(|()| {
            File::create(&passed)?;
            Ok(())
        });
        Ok(())
    }

    /// Runs cargo in the package, for tests.
    ///
    /// # Errors
    /// Returns an error if the package cannot be written or cargo cannot run.
    pub fn run(&self, arguments: &[&str]) -> io::Result<std::process::Output> {
        self.write(&target().join("spec-check"))?.cargo(arguments)
    }

    fn hash(&self) -> String {
        let mut hash = Sha256::new();
        for (path, text) in &self.files {
            hash.update(path.to_string_lossy().as_bytes());
            hash.update([0]);
            hash.update(text.as_bytes());
            hash.update([0]);
        }
        let hash = hash.finalize();
        hash.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Writes the package, and holds it until the returned place is dropped.
    fn write(&self, directory: &Path) -> io::Result<Place> {
        let package = directory.join("package");
        fs::create_dir_all(&package)?;
        let lock = File::create(directory.join("lock"))?;
        rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive)?;
        let mut known = BTreeSet::new();
        for (path, text) in &self.files {
            let path = package.join(path);
            // A file with the same text keeps its time, so that cargo builds less.
            if fs::read(&path).ok().as_deref() != Some(text.as_bytes()) {
                fs::create_dir_all(path.parent().unwrap_or(&package))?;
                fs::write(&path, text)?;
            }
            known.insert(path);
        }
        remove_others(&package, &known)?;
        Ok(Place {
            package,
            _lock: lock,
        })
    }
}

/// A written package.
struct Place {
    package: PathBuf,
    _lock: File,
}

impl Place {
    fn cargo(&self, arguments: &[&str]) -> io::Result<std::process::Output> {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        Command::new(cargo)
            .args(arguments)
            .current_dir(&self.package)
            .env("CARGO_TARGET_DIR", target())
            // Warnings of generated code are not errors here.
            .env("RUSTFLAGS", "--cap-lints=warn")
            .env_remove("CARGO_ENCODED_RUSTFLAGS")
            .output()
    }
}

/// Returns the target directory that this program was built in.
fn target() -> PathBuf {
    if let Some(given) = std::env::var_os("CARGO_TARGET_DIR") {
        return given.into();
    }
    let program = std::env::current_exe().unwrap_or_default();
    let marked = |directory: &&Path| directory.join("CACHEDIR.TAG").exists();
    let found = program.ancestors().skip(1).find(marked);
    found.map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target"),
        Path::to_owned,
    )
}

/// Returns the manifest with the dependencies and features of the library alone.
fn manifest(text: &str) -> Result<String, String> {
    let fault = |error: toml::de::Error| format!("Cargo.toml: {}", error.message());
    let whole: Table = toml::from_str(text).map_err(fault)?;
    let workspace = whole.get("workspace").and_then(|own| own.get("package"));
    let mut package = Table::new();
    package.insert("name".into(), NAME.into());
    package.insert("version".into(), "0.0.0".into());
    for key in ["edition", "rust-version"] {
        let value = workspace.and_then(|own| own.get(key)).cloned();
        package.insert(key.into(), value.ok_or(format!("Cargo.toml: no {key}"))?);
    }
    let mut manifest = Table::new();
    manifest.insert("package".into(), package.into());
    manifest.insert("workspace".into(), Table::new().into());
    for key in ["features", "dependencies"] {
        let table = whole.get(key).cloned();
        manifest.insert(key.into(), table.unwrap_or(Value::Table(Table::new())));
    }
    if let Some(Value::Table(targets)) = whole.get("target") {
        let mut targets = targets.clone();
        for (_, target) in &mut targets {
            if let Value::Table(target) = target {
                target.retain(|key, _| key == "dependencies");
            }
        }
        manifest.insert("target".into(), targets.into());
    }
    toml::to_string(&manifest).map_err(|error| error.to_string())
}

/// The modules that generated code uses, also through others.
struct Modules {
    names: BTreeSet<String>,
    /// The files by their path in `src/`.
    files: BTreeMap<PathBuf, String>,
}

impl Modules {
    fn used(src: &Path) -> Result<Self, String> {
        let mut modules = Self {
            names: BTreeSet::new(),
            files: BTreeMap::new(),
        };
        let mut open: Vec<String> = USED.map(String::from).into();
        while let Some(name) = open.pop() {
            let single = src.join(format!("{name}.rs"));
            let mut files = Vec::new();
            if single.is_file() {
                files.push(single);
            }
            collect(&src.join(&name), &mut files);
            if files.is_empty() || !modules.names.insert(name) {
                continue;
            }
            for file in files {
                let text = read(&file)?;
                let tokens: TokenStream = text
                    .parse()
                    .map_err(|error| format!("{}: {error}", file.display()))?;
                named_after_crate(tokens, &mut open);
                let path = file.strip_prefix(src).unwrap_or(&file).to_owned();
                modules.files.insert(path, text);
            }
        }
        Ok(modules)
    }

    /// Returns `lib.rs` with these modules only.
    fn library(&self, text: &str) -> Result<String, String> {
        let fault = |error: syn::Error| format!("src/lib.rs: {error}");
        let mut library = syn::parse_file(text).map_err(fault)?;
        library.items.retain(|item| match item {
            syn::Item::Mod(module) => {
                module.content.is_some() && module.ident != "readme"
                    || self.names.contains(&module.ident.to_string())
            }
            syn::Item::Use(own) => match &own.tree {
                syn::UseTree::Path(path) if own.leading_colon.is_none() => {
                    let name = path.ident.to_string();
                    name == "exports" || self.names.contains(&name)
                }
                _ => true,
            },
            _ => true,
        });
        library.attrs.clear();
        library.items.push(syn::parse_quote!(
            pub mod round_trip;
        ));
        Ok(prettyplease::unparse(&library))
    }
}

/// Adds the names that follow `crate::`.
fn named_after_crate(tokens: TokenStream, names: &mut Vec<String>) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let is_colon =
        |at: usize| matches!(tokens.get(at), Some(TokenTree::Punct(own)) if own.as_char() == ':');
    for (index, token) in tokens.iter().enumerate() {
        match token {
            TokenTree::Group(group) => named_after_crate(group.stream(), names),
            TokenTree::Ident(own)
                if own == "crate" && is_colon(index + 1) && is_colon(index + 2) =>
            {
                match tokens.get(index + 3) {
                    Some(TokenTree::Ident(name)) => names.push(name.to_string()),
                    Some(TokenTree::Group(list)) => {
                        let idents = list.stream().into_iter().filter_map(|token| match token {
                            TokenTree::Ident(name) => Some(name.to_string()),
                            _ => None,
                        });
                        names.extend(idents);
                    }
                    _ => {}
                }
            }
            _ => {}
        }
    }
}

fn collect(directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

fn remove_others(directory: &Path, known: &BTreeSet<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            remove_others(&path, known)?;
        } else if !known.contains(&path) {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}

/// Returns the first errors of the compiler, each with its place.
fn first_errors(stderr: &str) -> String {
    let lines: Vec<&str> = stderr.lines().collect();
    let starts = (0..lines.len()).filter(|at| lines[*at].starts_with("error"));
    let errors = starts.take(MOST_ERRORS).map(|at| {
        let place = lines[at..].iter().take(4);
        let place = place
            .map(|line| line.trim())
            .find(|line| line.starts_with("-->"));
        format!("{} {}", lines[at], place.unwrap_or_default())
    });
    let errors: Vec<String> = errors.collect();
    match errors.as_slice() {
        [] => stderr.to_string(),
        errors => errors.join("; "),
    }
}
