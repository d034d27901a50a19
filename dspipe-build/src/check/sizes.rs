//! How many records settings ask for, and how many there are.

use crate::diag::{Code, Diagnostics};
use crate::source::{Span, Spanned};
use crate::spec::{self, Workflow};

/// The records of one step.
#[derive(Debug)]
pub(super) struct Available {
    pub(super) count: usize,
    /// Where they begin.
    first: Option<Span>,
    /// A file could not be read: there may be more.
    pub(super) unknown: bool,
}

impl Available {
    /// What is written in the workflow file.
    pub(super) fn inline(step: &spec::Step) -> Self {
        Self {
            count: step.examples.len(),
            first: step.examples.first().map(|example| example.input.span),
            unknown: false,
        }
    }

    pub(super) fn add(&mut self, span: Span) {
        self.count += 1;
        self.first.get_or_insert(span);
    }
}

/// Warns of sets that are larger than the data, once for each setting.
pub(super) fn check(workflow: &Workflow, available: &[Available], diagnostics: &mut Diagnostics) {
    let mut warned: Vec<(Option<Span>, Option<Span>)> = Vec::new();
    for (step, available) in workflow.steps().iter().zip(available) {
        let config = step.dspy_config.clone().over(&workflow.dspy_config);
        let (training, validation) = (
            config.training_size.as_ref(),
            // Those of a file of their own are not taken from these.
            match &config.validation_examples_path {
                Some(_) => None,
                None => config.validation_size.as_ref(),
            },
        );
        let place = (
            training.map(|size| size.span),
            validation.map(|size| size.span),
        );
        let wanted = count(training) + count(validation);
        let Some(first) = available.first else {
            continue;
        };
        if available.unknown || wanted <= available.count || warned.contains(&place) {
            continue;
        }
        let (Some(span), names) = (match place {
            (Some(_), Some(_)) => (place.0, "`training_size` and `validation_size` ask"),
            (Some(_), None) => (place.0, "`training_size` asks"),
            _ => (place.1, "`validation_size` asks"),
        }) else {
            continue;
        };
        warned.push(place);
        let diagnostic = diagnostics.warning(
            Code::DataSize,
            span,
            format!(
                "{names} for {wanted} records, but step `{}` has {}",
                step.name, available.count
            ),
        );
        if let (Some(size), Some(_), Some(other)) = (training, validation, place.1) {
            diagnostic.label(format!("{size} of them"));
            diagnostic.also(other, format!("{} of them", count(validation)));
        } else {
            diagnostic.label("more than there are");
        }
        diagnostic
            .also(first, "the records begin here")
            .help("add records, or ask for fewer");
    }
}

fn count(size: Option<&Spanned<u32>>) -> usize {
    size.map_or(0, |size| size.value as usize)
}
