//! Relative references: the path that one means, seen from another (RFC 3986 section 5.2).

/// The path of a relative reference's target. `base` is the path of the document that holds the reference, `path` the
/// reference's own, without query; neither has a scheme or an authority.
pub fn resolve_path(base: &str, path: &str) -> String {
    if path.is_empty() {
        return base.to_owned();
    }
    if path.starts_with('/') {
        return without_dots(path);
    }
    let directory = base.rfind('/').map_or("/", |at| &base[..=at]);
    without_dots(&format!("{directory}{path}"))
}

/// An absolute path without `.` and `..` segments (section 5.2.4). What leads above the root stays at the root.
fn without_dots(path: &str) -> String {
    let mut segments: Vec<&str> = Vec::new();
    let mut rest = path.strip_prefix('/').unwrap_or(path).split('/').peekable();
    while let Some(segment) = rest.next() {
        let is_last = rest.peek().is_none();
        match segment {
            "." => {}
            ".." => _ = segments.pop(),
            _ => {
                segments.push(segment);
                continue;
            }
        }
        // A directory's path ends with a slash.
        if is_last {
            segments.push("");
        }
    }
    format!("/{}", segments.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_the_rfc_resolve_as_it_says() {
        // Section 5.4, those with a path; the base is http://a/b/c/d;p?q.
        for (reference, target) in [
            ("g", "/b/c/g"),
            ("./g", "/b/c/g"),
            ("g/", "/b/c/g/"),
            ("/g", "/g"),
            ("", "/b/c/d;p"),
            (";x", "/b/c/;x"),
            ("g;x", "/b/c/g;x"),
            (".", "/b/c/"),
            ("./", "/b/c/"),
            ("..", "/b/"),
            ("../", "/b/"),
            ("../g", "/b/g"),
            ("../..", "/"),
            ("../../", "/"),
            ("../../g", "/g"),
            ("../../../g", "/g"),
            ("../../../../g", "/g"),
            ("/./g", "/g"),
            ("/../g", "/g"),
            ("g.", "/b/c/g."),
            (".g", "/b/c/.g"),
            ("g..", "/b/c/g.."),
            ("..g", "/b/c/..g"),
            ("./../g", "/b/g"),
            ("./g/.", "/b/c/g/"),
            ("g/./h", "/b/c/g/h"),
            ("g/../h", "/b/c/h"),
            ("g;x=1/./y", "/b/c/g;x=1/y"),
            ("g;x=1/../y", "/b/c/y"),
        ] {
            assert_eq!(resolve_path("/b/c/d;p", reference), target, "{reference}");
        }
        assert_eq!(resolve_path("/sse", "messages/"), "/messages/");
        assert_eq!(resolve_path("/a//b", "c"), "/a//c");
    }
}
