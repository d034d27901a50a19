//! Patterns for paths of files and of types.

/// Whether a text matches a pattern in which `*` stands for any text, and `?` for
/// any one character.
pub(crate) fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t) = (0, 0);
    // Where to go on when a longer text for the last `*` has to be tried.
    let mut again: Option<(usize, usize)> = None;
    while t < text.len() {
        if pattern.get(p) == Some(&'*') {
            p += 1;
            again = Some((p, t));
        } else if pattern.get(p).is_some_and(|c| *c == '?' || *c == text[t]) {
            p += 1;
            t += 1;
        } else if let Some((star, start)) = again {
            again = Some((star, start + 1));
            p = star;
            t = start + 1;
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

/// Part by part; a part `**` of the pattern stands for any number of parts.
pub(crate) fn matches_parts(pattern: &[&str], parts: &[&str]) -> bool {
    // `reached[n]`: what was seen of the pattern can stand for the first `n` parts.
    let mut reached = vec![false; parts.len() + 1];
    reached[0] = true;
    for wanted in pattern {
        let mut next = vec![false; parts.len() + 1];
        if *wanted == "**" {
            let mut any = false;
            for (at, is) in reached.iter().enumerate() {
                any |= is;
                next[at] = any;
            }
        } else {
            for (at, part) in parts.iter().enumerate() {
                next[at + 1] = reached[at] && matches(wanted, part);
            }
        }
        reached = next;
    }
    reached[parts.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words() {
        for (pattern, text) in [
            ("", ""),
            ("*", ""),
            ("*", "abc"),
            ("a*c", "ac"),
            ("a*b*c", "a-b-b-c"),
            ("*.y?ml", "x.yaml"),
            ("ü?", "üé"),
        ] {
            assert!(matches(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [("", "a"), ("a", ""), ("a*b", "a-bc"), ("?", ""), ("A", "a")] {
            assert!(!matches(pattern, text), "{pattern} {text}");
        }
    }

    #[test]
    fn parts() {
        let split = |text: &'static str| text.split('/').collect::<Vec<_>>();
        for (pattern, path) in [
            ("**/*.yaml", "a.yaml"),
            ("**/*.yaml", "x/y/a.yaml"),
            ("x/**/y/*", "x/y/a"),
            ("x/**", "x/y/a"),
        ] {
            assert!(
                matches_parts(&split(pattern), &split(path)),
                "{pattern} {path}"
            );
        }
        for (pattern, path) in [("*.yaml", "x/a.yaml"), ("x/**/y", "x/z"), ("x", "x/y")] {
            assert!(
                !matches_parts(&split(pattern), &split(path)),
                "{pattern} {path}"
            );
        }
    }
}
