//! The checks of a step: as constants, and as a function that evaluates them.

use super::printer::{Printer, string};
use super::{Emitter, expr};
use crate::ir::{Check, Root};

/// `checks` of a signature.
pub(super) fn list(emitter: &Emitter<'_>, checks: &[Check], out: &mut Printer) {
    if checks.is_empty() {
        out.line("checks: &[],");
        return;
    }
    let runtime = &emitter.options.runtime;
    out.open("checks: &[");
    for check in checks {
        out.open(format_args!("{runtime}::CheckDef {{"));
        for (key, text) in [
            ("name", &check.name),
            ("expression", &check.expression),
            ("message", &check.message),
        ] {
            out.line(format_args!("{key}: {},", string(text)));
        }
        out.line(format_args!("is_assert: {},", check.is_assert));
        out.close("},");
    }
    out.close("],");
}

/// `checks` of the step's type.
pub(super) fn function(emitter: &Emitter<'_>, checks: &[Check], out: &mut Printer) {
    if checks.is_empty() || emitter.options.skeleton {
        return;
    }
    let mut roots = Vec::new();
    for check in checks {
        expr::each_root(&check.test, &mut |root| roots.push(root));
    }
    // What no check looks at has no name.
    let named = |root, name| if roots.contains(&root) { name } else { "_" };
    let input = named(Root::Given, "input");
    let output = named(Root::Gives, "output");
    let (takes, gives) = (emitter.type_name("Input"), emitter.type_name("Output"));
    out.blank();
    out.open(format_args!(
        "fn checks({input}: &{takes}, {output}: &{gives}) -> Vec<bool> {{"
    ));
    let tests: Vec<String> = checks
        .iter()
        .filter_map(|check| expr::tests(emitter, std::slice::from_ref(&check.test)))
        .collect();
    out.flow(format_args!("Vec::from([{}])", tests.join(", ")));
    out.close("}");
}
