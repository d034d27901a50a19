//! Texts without case, accents and punctuation, to compare what a model wrote with what was asked for.

/// Letters and digits only, small, without accents: `Très-Élevé` is `treseleve`.
pub(super) fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    for c in text.chars() {
        push(&mut folded, c);
    }
    folded
}

/// The words of a text, folded, each with where it stands. `HTTPError2` is one word; a camel's humps
/// are for [`fold`].
pub(super) fn words(text: &str) -> Vec<(String, std::ops::Range<usize>)> {
    let mut words: Vec<(String, std::ops::Range<usize>)> = Vec::new();
    let mut open = false;
    for (at, c) in text.char_indices() {
        if is_word(c) {
            let end = at + c.len_utf8();
            if !open {
                words.push((String::new(), at..end));
            }
            if let Some((word, range)) = words.last_mut() {
                push(word, c);
                range.end = end;
            }
            open = true;
        } else {
            open = false;
        }
    }
    words
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || is_mark(c)
}

/// An accent that is a character of its own.
fn is_mark(c: char) -> bool {
    ('\u{300}'..='\u{36f}').contains(&c)
}

fn push(folded: &mut String, c: char) {
    if c.is_ascii() {
        if c.is_ascii_alphanumeric() {
            folded.push(c.to_ascii_lowercase());
        }
        return;
    }
    if !c.is_alphanumeric() || is_mark(c) {
        return;
    }
    for c in c.to_lowercase() {
        match without_accent(c) {
            Some(plain) => folded.push_str(plain),
            None if is_mark(c) => {}
            None => folded.push(c),
        }
    }
}

/// The plain letters for a small Latin letter with an accent.
fn without_accent(c: char) -> Option<&'static str> {
    Some(match c {
        'à'..='å' | 'ā' | 'ă' | 'ą' | 'ǎ' | 'ạ' | 'ả' | 'ấ' | 'ầ' | 'ậ' | 'ắ' => {
            "a"
        }
        'æ' => "ae",
        'ç' | 'ć' | 'ĉ' | 'ċ' | 'č' => "c",
        'ď' | 'đ' | 'ð' => "d",
        'è'..='ë' | 'ē' | 'ĕ' | 'ė' | 'ę' | 'ě' | 'ẹ' | 'ẻ' | 'ẽ' | 'ế' | 'ề' | 'ệ' => {
            "e"
        }
        'ĝ' | 'ğ' | 'ġ' | 'ģ' => "g",
        'ĥ' | 'ħ' => "h",
        'ì'..='ï' | 'ĩ' | 'ī' | 'ĭ' | 'į' | 'ı' | 'ǐ' | 'ị' => "i",
        'ĵ' => "j",
        'ķ' => "k",
        'ĺ' | 'ļ' | 'ľ' | 'ŀ' | 'ł' => "l",
        'ñ' | 'ń' | 'ņ' | 'ň' => "n",
        'ò'..='ö' | 'ø' | 'ō' | 'ŏ' | 'ő' | 'ǒ' | 'ọ' | 'ố' | 'ồ' | 'ộ' | 'ơ' => {
            "o"
        }
        'œ' => "oe",
        'ŕ' | 'ŗ' | 'ř' => "r",
        'ś' | 'ŝ' | 'ş' | 'š' | 'ș' => "s",
        'ß' => "ss",
        'ţ' | 'ť' | 'ŧ' | 'ț' => "t",
        'ù'..='ü' | 'ũ' | 'ū' | 'ŭ' | 'ů' | 'ű' | 'ų' | 'ǔ' | 'ụ' | 'ư' => "u",
        'ŵ' => "w",
        'ý' | 'ÿ' | 'ŷ' => "y",
        'ź' | 'ż' | 'ž' => "z",
        _ => return None,
    })
}

/// Whether two folded texts differ by one slip of the hand: a letter left out, doubled or added, two
/// exchanged, or one replaced. Digits are never replaced, nor is the first letter, and short names have
/// no slips: `name` is not `game`, `item1` is not `item2`, `min` is not `max`.
pub(super) fn is_slip(written: &str, meant: &str) -> bool {
    let (written, meant): (Vec<char>, Vec<char>) =
        (written.chars().collect(), meant.chars().collect());
    let (shorter, longer) = if written.len() <= meant.len() {
        (&written, &meant)
    } else {
        (&meant, &written)
    };
    if shorter.len() < 3 || longer.len() < 4 || longer.len() - shorter.len() > 1 {
        return false;
    }
    let start = shorter
        .iter()
        .zip(longer)
        .take_while(|(one, other)| one == other)
        .count();
    let (short, long) = (&shorter[start..], &longer[start..]);
    if short.len() < long.len() {
        return short == &long[1..] && !long[0].is_ascii_digit();
    }
    match (short, long) {
        ([a, rest @ ..], [b, other @ ..]) if rest == other => {
            start > 0 && !a.is_ascii_digit() && !b.is_ascii_digit()
        }
        ([a, b, rest @ ..], [c, d, other @ ..]) => {
            a == d && b == c && rest == other && !a.is_ascii_digit() && !b.is_ascii_digit()
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_accents_and_punctuation_are_folded() {
        for (text, folded) in [
            ("Très-Élevé", "treseleve"),
            ("user_name", "username"),
            ("e\u{301}te\u{301}", "ete"),
            ("Straße", "strasse"),
            ("优先级", "优先级"),
            ("**High!**", "high"),
        ] {
            assert_eq!(fold(text), folded);
        }
    }

    #[test]
    fn slips_are_told_from_other_words() {
        for (written, meant) in [
            ("titel", "title"),
            ("adress", "address"),
            ("urgencyy", "urgency"),
            ("urgancy", "urgency"),
            ("tag", "tags"),
        ] {
            assert!(is_slip(written, meant), "{written}");
        }
        for (written, meant) in [
            ("game", "name"),
            ("item1", "item2"),
            ("min", "max"),
            ("id", "ib"),
            ("title", "title"),
            ("item", "item1"),
            ("score", "scale"),
        ] {
            assert!(!is_slip(written, meant), "{written}");
        }
    }
}
