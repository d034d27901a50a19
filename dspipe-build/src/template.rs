//! Templates: text with `{{ path }}` in it.

/// A parsed template.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Template<'t> {
    pub(crate) segments: Vec<Segment<'t>>,
}

/// Text as it is, or a value by its path.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Segment<'t> {
    Text(&'t str),
    /// `steps.x.y` is `["steps", "x", "y"]`.
    Path(Vec<&'t str>),
}

/// What is wrong, and with which placeholder (counted from 0).
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TemplateError<'t> {
    pub(crate) placeholder: usize,
    pub(crate) kind: TemplateErrorKind<'t>,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum TemplateErrorKind<'t> {
    NotClosed,
    Empty,
    /// More than a path: an expression, a filter, an index.
    NotAPath(&'t str),
}

impl<'t> Template<'t> {
    /// Splits a template; all problems are returned.
    pub(crate) fn parse(text: &'t str) -> Result<Self, Vec<TemplateError<'t>>> {
        let mut segments = Vec::new();
        let mut errors = Vec::new();
        let mut rest = text;
        let mut placeholder = 0;
        while let Some((before, after)) = rest.split_once("{{") {
            if !before.is_empty() {
                segments.push(Segment::Text(before));
            }
            let Some((inner, after)) = after.split_once("}}") else {
                let kind = TemplateErrorKind::NotClosed;
                errors.push(TemplateError { placeholder, kind });
                return Err(errors);
            };
            match path(inner.trim()) {
                Ok(path) => segments.push(Segment::Path(path)),
                Err(kind) => errors.push(TemplateError { placeholder, kind }),
            }
            placeholder += 1;
            rest = after;
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

fn path(inner: &str) -> Result<Vec<&str>, TemplateErrorKind<'_>> {
    if inner.is_empty() {
        return Err(TemplateErrorKind::Empty);
    }
    let parts: Vec<&str> = inner.split('.').map(str::trim).collect();
    let is_name = |part: &&str| {
        part.starts_with(|c: char| c.is_alphabetic() || c == '_')
            && part
                .chars()
                .all(|c| c.is_alphanumeric() || matches!(c, '_' | '-'))
    };
    if parts.iter().all(is_name) {
        Ok(parts)
    } else {
        Err(TemplateErrorKind::NotAPath(inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_paths() {
        let template = Template::parse("a {{ steps.x.y }}{{inputs.z}} } b").unwrap();
        assert_eq!(
            template.segments,
            [
                Segment::Text("a "),
                Segment::Path(vec!["steps", "x", "y"]),
                Segment::Path(vec!["inputs", "z"]),
                Segment::Text(" } b"),
            ]
        );
    }

    #[test]
    fn every_problem_is_found() {
        let errors = Template::parse("{{}} {{a + b}} {{ok.fine}} {{a[0]}} {{ open").unwrap_err();
        let kinds: Vec<_> = errors.iter().map(|error| &error.kind).collect();
        assert_eq!(
            kinds,
            [
                &TemplateErrorKind::Empty,
                &TemplateErrorKind::NotAPath("a + b"),
                &TemplateErrorKind::NotAPath("a[0]"),
                &TemplateErrorKind::NotClosed,
            ]
        );
        assert_eq!(errors[3].placeholder, 4);
    }
}
