//! The module of a step: as a constant, and the function of its reward.

use super::metadata::optional;
use super::printer::{Printer, float, string};
use super::{Emitter, expr};
use crate::ir::{Best, ExprKind, Module, Root, TypeKind};

/// `module` of a signature.
pub(super) fn definition(emitter: &Emitter<'_>, module: &Module, out: &mut Printer) {
    match module {
        Module::Predict => out.line("module: ModuleDef::Predict,"),
        Module::BestOfN(of) => best(emitter, "BestOfN", of, out),
        Module::Refine(of) => best(emitter, "Refine", of, out),
        Module::Majority { n, field } => {
            let field = string(field);
            out.line(format_args!(
                "module: ModuleDef::Majority {{ n: {n}, field: {field} }},"
            ));
        }
        Module::React { tools, max_steps } => {
            let tools: Vec<String> = tools.iter().map(|tool| string(tool)).collect();
            let tools = tools.join(", ");
            out.flow(format_args!(
                "module: ModuleDef::React {{ tools: &[{tools}], max_steps: {max_steps} }},"
            ));
        }
    }
}

fn best(emitter: &Emitter<'_>, name: &str, best: &Best, out: &mut Printer) {
    let runtime = emitter.options.runtime;
    out.open([
        "module: ModuleDef::",
        name,
        "(",
        runtime,
        "::module::BestDef {",
    ]);
    out.line(format_args!("n: {},", best.n));
    let threshold = optional(best.threshold.map(float));
    out.line(["threshold: ", &threshold, ","]);
    let fail_count = optional(best.fail_count.map(|count| count.to_string()));
    out.line(["fail_count: ", &fail_count, ","]);
    let reward = best.reward.as_ref().map_or("", |reward| &reward.text);
    out.setting("reward", reward);
    out.close("}),");
}

/// `reward` of the step's type.
pub(super) fn function(emitter: &Emitter<'_>, module: &Module, out: &mut Printer) {
    let (Module::BestOfN(best) | Module::Refine(best)) = module else {
        return;
    };
    let Some(reward) = best.reward.as_ref().filter(|_| !emitter.options.skeleton) else {
        return;
    };
    let mut roots = Vec::new();
    expr::each_root(&reward.value, &mut |root| roots.push(root));
    // What the reward does not look at has no name.
    let named = |root, name| if roots.contains(&root) { name } else { "_" };
    let input = named(Root::Given, "input");
    let output = named(Root::Gives, "output");
    let (takes, gives) = (emitter.type_name("Input"), emitter.type_name("Output"));
    out.blank();
    out.open(format_args!(
        "fn reward({input}: &{takes}, {output}: &{gives}) -> Option<f64> {{"
    ));
    let value = expr::value(emitter, &reward.value);
    let value = match reward.value.ty.kind {
        TypeKind::Boolean => format!("f64::from({value})"),
        TypeKind::Integer => format!("{}::float({value})", expr::helpers(emitter)),
        // Its brackets are needed inside of other expressions only.
        _ => match &reward.value.kind {
            ExprKind::Arithmetic(..) | ExprKind::Negate(_) => value
                .strip_prefix('(')
                .and_then(|rest| rest.strip_suffix(')'))
                .unwrap_or(&value)
                .to_owned(),
            _ => value,
        },
    };
    out.flow(format_args!("Some({value})"));
    out.close("}");
}
