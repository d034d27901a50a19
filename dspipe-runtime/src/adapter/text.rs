//! What Python's text functions do, where Rust's do something else.

/// White space as `str.isspace` has it: Rust's, and the four separators of ASCII.
pub(super) fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

/// `str.strip`.
pub(super) fn strip(text: &str) -> &str {
    text.trim_matches(is_space)
}

/// `str.splitlines`: it knows more ends of lines than `str::lines`.
pub(super) fn lines(text: &str) -> Vec<&str> {
    let mut lines = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let Some((end, mark)) = rest.char_indices().find(|(_, c)| ends_line(*c)) else {
            lines.push(rest);
            break;
        };
        lines.push(&rest[..end]);
        let next = end + mark.len_utf8();
        rest = match rest[next..].strip_prefix('\n') {
            Some(after) if mark == '\r' => after,
            _ => &rest[next..],
        };
    }
    lines
}

fn ends_line(c: char) -> bool {
    matches!(
        c,
        '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{1c}'..='\u{1e}' | '\u{85}' | '\u{2028}' | '\u{2029}'
    )
}

/// `str.expandtabs`: to every eighth column, counted from the last `\n` or `\r`.
fn expand_tabs(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut column = 0;
    for c in text.chars() {
        match c {
            '\t' => {
                let width = 8 - column % 8;
                out.extend(std::iter::repeat_n(' ', width));
                column += width;
            }
            '\n' | '\r' => {
                out.push(c);
                column = 0;
            }
            _ => {
                out.push(c);
                column += 1;
            }
        }
    }
    out
}

/// `inspect.cleandoc` of Python 3.10 to 3.12, which a signature's instructions go through: the common
/// indentation of all lines but the first goes, so do empty lines at both ends. From 3.13 on, Python
/// takes only the space for indentation; here as there, tabs have become spaces before that.
pub(super) fn clean_doc(text: &str) -> String {
    let text = expand_tabs(text);
    let lines: Vec<&str> = text.split('\n').collect();
    let margin = lines
        .iter()
        .skip(1)
        .filter(|line| !line.trim_start_matches(is_space).is_empty())
        .map(|line| line.chars().take_while(|c| is_space(*c)).count())
        .min()
        .unwrap_or(0);
    let lines: Vec<&str> = lines
        .iter()
        .enumerate()
        .map(|(index, line)| {
            if index == 0 {
                line.trim_start_matches(is_space)
            } else if margin == 0 {
                line
            } else {
                skip_chars(line, margin)
            }
        })
        .collect();
    let start = lines.iter().take_while(|line| line.is_empty()).count();
    let end = lines.len()
        - lines
            .iter()
            .rev()
            .take_while(|line| line.is_empty())
            .count();
    lines.get(start..end).unwrap_or_default().join("\n")
}

/// What follows the first characters.
pub(super) fn skip_chars(text: &str, count: usize) -> &str {
    text.char_indices()
        .nth(count)
        .map_or("", |(index, _)| &text[index..])
}

/// `textwrap.dedent`: lines of spaces and tabs become empty, the indentation that all others share goes.
pub(super) fn dedent(text: &str) -> String {
    let is_blank = |c: char| c == ' ' || c == '\t';
    let lines: Vec<&str> = text
        .split('\n')
        .map(|line| if line.chars().all(is_blank) { "" } else { line })
        .collect();
    let margin = lines
        .iter()
        .filter(|line| !line.is_empty())
        .map(|line| &line[..line.len() - line.trim_start_matches(is_blank).len()])
        .reduce(|shared, indent| {
            let same = shared
                .bytes()
                .zip(indent.bytes())
                .take_while(|(a, b)| a == b);
            &shared[..same.count()]
        })
        .unwrap_or("");
    let lines: Vec<&str> = lines
        .iter()
        .map(|line| line.strip_prefix(margin).unwrap_or(line))
        .collect();
    lines.join("\n")
}

/// `str.title` for names in ASCII: a letter after anything but a letter is a capital, all others are small.
pub(super) fn title(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut inside = false;
    for c in text.chars() {
        if inside {
            out.extend(c.to_lowercase());
        } else {
            out.extend(c.to_uppercase());
        }
        inside = c.is_alphabetic();
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_where_python_ends_them() {
        assert_eq!(lines(""), Vec::<&str>::new());
        assert_eq!(lines("a\r\nb\rc\n\nd\n"), ["a", "b", "c", "", "d"]);
        assert_eq!(
            lines("a\u{2028}b\u{85}c\u{b}d\u{1c}e"),
            ["a", "b", "c", "d", "e"]
        );
    }

    #[test]
    fn the_separators_of_ascii_are_white_space() {
        assert_eq!(strip("\u{1f}\u{3000} a \u{a0}\u{1c}"), "a");
    }

    #[test]
    fn indentation_goes_as_from_a_docstring() {
        assert_eq!(
            clean_doc("\n    Do it.\n      Well.\n\tTab.\n\n"),
            "Do it.\n  Well.\n    Tab."
        );
        assert_eq!(clean_doc("  One\n  two\n"), "One\ntwo");
        assert_eq!(clean_doc(" \n \n"), " ");
        assert_eq!(dedent("a\n  \n b"), "a\n\n b");
        assert_eq!(dedent("  a\n\tb\n"), "  a\n\tb\n");
        assert_eq!(dedent("  a\n   b"), "a\n b");
    }
}
