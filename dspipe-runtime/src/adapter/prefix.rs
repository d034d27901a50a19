//! The prefix that DSPy gives a field: `user_id` is `User Id:`, `HTMLText2` is `HTML Text 2:`.

/// Made from a field's name.
pub(super) fn infer_prefix(name: &str) -> String {
    let chars: Vec<char> = name.chars().collect();
    let words = split(&chars);
    let words: Vec<String> = words.split('_').map(capitalized).collect();
    words.join(" ") + ":"
}

/// The name with `_` before words that start with a capital, and around digits.
fn split(chars: &[char]) -> String {
    // A capital with small letters behind it starts a word, whatever is before it.
    let mut words: Vec<char> = Vec::with_capacity(chars.len() * 2);
    let mut used = 0;
    for (index, c) in chars.iter().enumerate() {
        let starts =
            c.is_ascii_uppercase() && chars.get(index + 1).is_some_and(char::is_ascii_lowercase);
        if starts && index > used {
            words.push('_');
            used = index + 1;
            used += chars[used..]
                .iter()
                .take_while(|c| c.is_ascii_lowercase())
                .count();
        }
        words.push(*c);
    }
    let words = between(&words, |a, b| {
        (a.is_ascii_lowercase() || a.is_ascii_digit()) && b.is_ascii_uppercase()
    });
    let words = between(&words, |a, b| a.is_ascii_alphabetic() && b.is_numeric());
    let words = between(&words, |a, b| a.is_numeric() && b.is_ascii_alphabetic());
    words.into_iter().collect()
}

/// With `_` between characters of two kinds. The second of a pair is not the first of the next.
fn between(chars: &[char], splits: fn(&char, &char) -> bool) -> Vec<char> {
    let mut out = Vec::with_capacity(chars.len() * 2);
    let mut free = true;
    for (index, c) in chars.iter().enumerate() {
        let previous = index.checked_sub(1).and_then(|before| chars.get(before));
        if free && previous.is_some_and(|previous| splits(previous, c)) {
            out.push('_');
            free = false;
        } else {
            free = true;
        }
        out.push(*c);
    }
    out
}

/// Words in capitals stay.
fn capitalized(word: &str) -> String {
    let has_cased = word.chars().any(char::is_uppercase);
    if has_cased && !word.chars().any(char::is_lowercase) {
        return word.to_owned();
    }
    let mut chars = word.chars();
    let first = chars.next().into_iter().flat_map(char::to_uppercase);
    first.chain(chars.flat_map(char::to_lowercase)).collect()
}

#[cfg(test)]
mod tests {
    use super::infer_prefix;

    #[test]
    fn prefixes_are_those_of_dspy() {
        for (name, prefix) in [
            ("user_id", "User Id:"),
            ("camelCaseText", "Camel Case Text:"),
            ("HTMLParser", "HTML Parser:"),
            ("text2number", "Text 2 Number:"),
            ("HTML_text", "HTML Text:"),
            ("größe", "Größe:"),
            ("a__b", "A  B:"),
            ("aB1c", "A B 1 C:"),
        ] {
            assert_eq!(infer_prefix(name), prefix);
        }
    }
}
