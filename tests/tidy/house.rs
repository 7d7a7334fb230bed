//! The files that the rules look at.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use super::modules;
use super::tokens::{Token, tokens, without_tests};

/// Paths (with `/`, from the repository's root) and texts. Files that are not UTF-8 have no place here.
pub struct House {
    pub files: BTreeMap<String, String>,
}

impl House {
    /// What git tracks: a build folder or a virtual environment that lies about is none of the house.
    pub fn of_repository() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let listed = Command::new("git")
            .args(["ls-files", "--cached"])
            .current_dir(root)
            .output()
            .expect("git lists the files");
        assert!(listed.status.success(), "git ls-files: {}", String::from_utf8_lossy(&listed.stderr));
        let paths = String::from_utf8(listed.stdout).expect("paths are UTF-8");
        let read = |path: &str| Some((path.to_owned(), std::fs::read_to_string(root.join(path)).ok()?));
        let files: BTreeMap<String, String> = paths.lines().filter_map(read).collect();
        assert!(files.contains_key("src/lib.rs"), "the repository's files were not found");
        Self { files }
    }

    /// A house of these files, for the rules' own tests.
    #[cfg(test)]
    pub fn of(files: &[(&str, &str)]) -> Self {
        Self { files: files.iter().map(|&(path, text)| (path.to_owned(), text.to_owned())).collect() }
    }

    /// Rust files under a folder, with their tokens.
    pub fn rust<'a>(&'a self, folder: &'a str) -> impl Iterator<Item = (&'a str, Vec<Token<'a>>)> {
        self.files
            .iter()
            .filter(move |(path, _)| path.starts_with(folder) && path.ends_with(".rs"))
            .map(|(path, text)| (path.as_str(), tokens(text)))
    }

    /// Rust files of the gateway without what only tests compile.
    pub fn product(&self) -> impl Iterator<Item = (&str, Vec<Token<'_>>)> {
        let tests = modules::test_files(self);
        self.rust("src/")
            .filter(move |(path, _)| !tests.contains(*path))
            .map(|(path, tokens)| (path, without_tests(&tokens)))
    }
}

/// The floor that a file of the gateway belongs to: `src/wire/sse.rs` and `src/wire.rs` are `wire`.
pub fn floor(path: &str) -> &str {
    let inner = path.strip_prefix("src/").unwrap_or("");
    inner.split('/').next().unwrap_or("").trim_end_matches(".rs")
}

/// A fault as an editor can jump to it.
pub fn fault(path: &str, line: usize, text: impl std::fmt::Display) -> String {
    format!("{path}:{line}: {text}")
}
