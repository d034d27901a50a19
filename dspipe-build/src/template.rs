//! Templates: text with `{{ expression }}` in it.

/// A parsed template.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Template<'t> {
    pub(crate) segments: Vec<Segment<'t>>,
}

/// Text as it is, or the text of an expression.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Segment<'t> {
    Text(&'t str),
    /// Which placeholder it is, counted from 0, and what stands in it.
    Value(usize, &'t str),
}

/// What is wrong, and with which placeholder (counted from 0).
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TemplateError {
    pub(crate) placeholder: usize,
    pub(crate) kind: TemplateErrorKind,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum TemplateErrorKind {
    NotClosed,
    Empty,
}

impl<'t> Template<'t> {
    /// Splits a template; all problems are returned.
    pub(crate) fn parse(text: &'t str) -> Result<Self, Vec<TemplateError>> {
        let mut segments = Vec::new();
        let mut errors = Vec::new();
        let mut rest = text;
        let mut placeholder = 0;
        while let Some((before, after)) = rest.split_once("{{") {
            if !before.is_empty() {
                segments.push(Segment::Text(before));
            }
            let Some(end) = close(after) else {
                let kind = TemplateErrorKind::NotClosed;
                errors.push(TemplateError { placeholder, kind });
                return Err(errors);
            };
            let inner = after[..end].trim();
            if inner.is_empty() {
                let kind = TemplateErrorKind::Empty;
                errors.push(TemplateError { placeholder, kind });
            } else {
                segments.push(Segment::Value(placeholder, inner));
            }
            placeholder += 1;
            rest = &after[end + 2..];
        }
        if !rest.is_empty() {
            segments.push(Segment::Text(rest));
        }
        if errors.is_empty() {
            Ok(Self { segments })
        } else {
            Err(errors)
        }
    }
}

/// Where the `}}` of an open placeholder is. Quoted braces do not count, unless there are no others.
pub(crate) fn close(text: &str) -> Option<usize> {
    let mut quote = None;
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (None, '}') if text[at..].starts_with("}}") => return Some(at),
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), c) if c == open => quote = None,
            _ => {}
        }
    }
    text.find("}}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_values() {
        let template =
            Template::parse("a {{ steps.x.y }}{{inputs.z | default('}}')}} } b").unwrap();
        assert_eq!(
            template.segments,
            [
                Segment::Text("a "),
                Segment::Value(0, "steps.x.y"),
                Segment::Value(1, "inputs.z | default('}}')"),
                Segment::Text(" } b"),
            ]
        );
        // An apostrophe opens nothing that lasts.
        let template = Template::parse("{{ it's }} and {{b}}").unwrap();
        assert_eq!(template.segments[0], Segment::Value(0, "it's"));
    }

    #[test]
    fn every_problem_is_found() {
        let errors = Template::parse("{{}} {{a}} {{ }} {{ open").unwrap_err();
        let found: Vec<_> = errors.iter().map(|e| (e.placeholder, &e.kind)).collect();
        assert_eq!(
            found,
            [
                (0, &TemplateErrorKind::Empty),
                (2, &TemplateErrorKind::Empty),
                (3, &TemplateErrorKind::NotClosed),
            ]
        );
    }
}
