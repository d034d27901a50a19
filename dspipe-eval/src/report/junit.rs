//! A run as `JUnit` XML.

use std::io::{self, Write};

use super::{EachResult, Report, escaped};

/// Writes a run as `JUnit` XML, result by result. A case that ends in an error is an `error`; one that does
/// not pass is a `failure` if cases must pass, otherwise its feedback is in `system-out`. Gates are test
/// cases too.
///
/// # Errors
/// Those of the writer.
pub fn junit(
    out: &mut impl Write,
    report: &Report,
    must_pass: bool,
    cases: &mut EachResult<'_>,
) -> io::Result<()> {
    let name = escaped(&report.suite);
    let gates_failed = report.gates.iter().filter(|gate| !gate.passed).count() as u64;
    let cases_failed = if must_pass {
        report.results - report.passed - report.errors
    } else {
        0
    };
    writeln!(
        out,
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n<testsuite name=\"{name}\" \
         tests=\"{}\" failures=\"{}\" errors=\"{}\">",
        report.results + report.gates.len() as u64,
        gates_failed + cases_failed,
        report.errors,
    )?;
    cases(&mut |result| {
        let id = escaped(result.id.as_str());
        let run = match result.repetition {
            0 => String::new(),
            repetition => format!(" (run {})", repetition + 1),
        };
        write!(
            out,
            "<testcase classname=\"{name}.case\" name=\"{id}{run}\" time=\"{:.3}\">",
            result.latency
        )?;
        let feedback = escaped(&result.feedback());
        if let Some(error) = &result.error {
            write!(out, "<error message=\"{}\"/>", escaped(error))?;
        } else if !result.passed && must_pass {
            let details = escaped(&result.details());
            write!(out, "<failure message=\"{feedback}\">{details}</failure>")?;
        } else if !result.passed {
            write!(
                out,
                "<system-out>score {:.3}: {feedback}</system-out>",
                result.score
            )?;
        }
        writeln!(out, "</testcase>")
    })?;
    for gate in &report.gates {
        let summary = escaped(&gate.summary);
        write!(
            out,
            "<testcase classname=\"{name}.gate\" name=\"{}\">",
            escaped(&gate.gate)
        )?;
        if gate.passed {
            write!(out, "<system-out>{summary}</system-out>")?;
        } else {
            let details = escaped(&gate.details);
            write!(out, "<failure message=\"{summary}\">{details}</failure>")?;
        }
        writeln!(out, "</testcase>")?;
    }
    writeln!(out, "</testsuite>\n</testsuites>")
}
