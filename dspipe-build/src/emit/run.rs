//! The step functions and `run`.

use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};

use super::{Emitter, doc, expr, ident};
use crate::ir::{Binding, Piece, Plan, Step};

/// The function that runs one step.
pub(super) fn step_function(emitter: &Emitter<'_>, step: &Step) -> TokenStream {
    let name = ident(&step.name.ident);
    let fallback = format!("Runs step `{}`.", step.name.text);
    let docs = doc::item(&fallback, &step.description, &step.source);
    let (input, output) = (emitter.type_name("Input"), emitter.type_name("Output"));
    let errors = doc::errors(&format!(
        "If there is no reply, or none that is an `{output}`."
    ));
    let (allow, body) = if emitter.options.skeleton {
        skeleton(&[ident("runner"), ident("input")])
    } else {
        (quote!(), quote!(runner.step::<#name::Step>(input).await))
    };
    quote! {
        #docs
        #errors
        #allow
        pub async fn #name<R: Runner>(
            runner: &R,
            input: &#name::#input,
        ) -> Result<#name::#output, Error> {
            #body
        }
    }
}

/// With more steps, `run_with` may be longer than people write functions.
const FEW: usize = 5;

/// `run` and `run_with`.
pub(super) fn run(emitter: &Emitter<'_>) -> TokenStream {
    let workflow = emitter.workflow;
    let docs = doc::item(
        "Runs the workflow.",
        &workflow.description,
        &workflow.source,
    );
    let (inputs_type, outputs_type) = (emitter.type_name("Inputs"), emitter.type_name("Outputs"));
    let errors = doc::errors("That of the first step that fails.");
    let with_docs = doc::lines(&["Like [`run`], on a runner of the caller's."]);
    let outputs: Vec<Ident> = workflow
        .steps
        .iter()
        .map(|step| ident(&step.name.ident))
        .collect();
    let (allow, body) = if emitter.options.skeleton {
        skeleton(&[ident("runner"), ident("inputs")])
    } else {
        let statements = statements(emitter, &workflow.plan);
        let unused = workflow
            .inputs
            .is_empty()
            .then(|| quote!(let #inputs_type {} = inputs;));
        let runtime = &emitter.options.runtime;
        let helpers = emitter
            .calls_helpers
            .get()
            .then(|| quote!(use #runtime::generated::expr;));
        let body = quote! {
            #helpers
            #unused
            #statements
            Ok(#outputs_type { #(#outputs,)* })
        };
        (quote!(), body)
    };
    let runtime = &emitter.options.runtime;
    let long = (outputs.len() > FEW).then(|| quote!(#[allow(clippy::too_many_lines)]));
    quote! {
        #docs
        #errors
        pub async fn run(inputs: #inputs_type) -> Result<#outputs_type, Error> {
            run_with(#runtime::default_runner(), inputs).await
        }

        #with_docs
        #errors
        #allow
        #long
        pub async fn run_with<R: Runner>(runner: &R, inputs: #inputs_type) -> Result<#outputs_type, Error> {
            #body
        }
    }
}

/// The body of a function in a workflow that has errors: it type-checks and, behind
/// the `compile_error!` beside it, is never run.
fn skeleton(arguments: &[Ident]) -> (TokenStream, TokenStream) {
    (
        quote!(#[allow(clippy::unused_async)]),
        quote! {
            let _ = (#(#arguments,)*);
            ::core::unreachable!("the workflow has errors")
        },
    )
}

/// Statements after which the outputs of all steps of a plan are in scope.
fn statements(emitter: &Emitter<'_>, plan: &Plan) -> TokenStream {
    match plan {
        Plan::Series(parts) => parts.iter().map(|part| statements(emitter, part)).collect(),
        Plan::Step(step) => {
            let (name, output) = (output(emitter, *step), call(emitter, *step));
            quote!(let #name = #output;)
        }
        Plan::Parallel(_) | Plan::Graph(_) => {
            let pattern = pattern(emitter, plan);
            let future = future(emitter, plan);
            quote!(let #pattern = #future.await?;)
        }
    }
}

/// What binds the result of [`future`].
fn pattern(emitter: &Emitter<'_>, plan: &Plan) -> TokenStream {
    match plan {
        Plan::Step(step) => {
            let name = output(emitter, *step);
            quote!(#name)
        }
        Plan::Series(parts) => {
            let steps: Vec<Ident> = steps(parts).map(|step| output(emitter, step)).collect();
            quote!((#(#steps),*))
        }
        Plan::Parallel(parts) => joined(
            parts,
            &|part| pattern(emitter, part),
            &|a, b| quote!((#a, #b)),
        ),
        Plan::Graph(steps) => joined(
            steps,
            &|step| {
                let name = output(emitter, *step);
                quote!(#name)
            },
            &|a, b| quote!((#a, #b)),
        ),
    }
}

/// A future of the outputs of all steps of a plan, in the shape of [`pattern`].
fn future(emitter: &Emitter<'_>, plan: &Plan) -> TokenStream {
    match plan {
        Plan::Step(step) if emitter.workflow.steps[*step].guard.is_none() => {
            started(emitter, *step)
        }
        Plan::Step(step) => {
            let output = call(emitter, *step);
            quote!(async { Ok(#output) })
        }
        Plan::Series(parts) => {
            let statements = statements(emitter, plan);
            let steps: Vec<Ident> = steps(parts).map(|step| output(emitter, step)).collect();
            quote! {
                async {
                    #statements
                    Ok((#(#steps),*))
                }
            }
        }
        Plan::Parallel(parts) => joined(
            parts,
            &|part| future(emitter, part),
            &|a, b| quote!(runner.join(#a, #b)),
        ),
        Plan::Graph(steps) => graph(emitter, steps),
    }
}

/// Steps that each start as soon as what they need is there: a slot hands on the
/// output of each step that another one of them waits for.
fn graph(emitter: &Emitter<'_>, steps: &[usize]) -> TokenStream {
    let needed: Vec<Vec<(usize, bool)>> = steps
        .iter()
        .map(|step| sources(&emitter.workflow.steps[*step], steps))
        .collect();
    let slot = |step: usize| {
        let name = output(emitter, step).to_string();
        format_ident!("{}_slot", name.trim_start_matches("r#"))
    };
    let shared: Vec<usize> = steps
        .iter()
        .copied()
        .filter(|step| {
            let mut all = needed.iter().flatten();
            all.any(|(source, _)| source == step)
        })
        .collect();
    let slots = shared.iter().map(|step| {
        let slot = slot(*step);
        quote!(let #slot = Slot::new();)
    });
    let blocks: Vec<TokenStream> = steps
        .iter()
        .zip(&needed)
        .map(|(step, needed)| {
            let call = call(emitter, *step);
            let waits = needed.iter().map(|(source, used)| {
                let (name, slot) = (output(emitter, *source), slot(*source));
                if *used {
                    quote!(let #name = #slot.wait().await;)
                } else {
                    quote!(#slot.wait().await;)
                }
            });
            if shared.contains(step) {
                let (name, slot) = (output(emitter, *step), slot(*step));
                quote! {
                    async {
                        #(#waits)*
                        let #name = #call;
                        #slot.fill(&#name);
                        Ok(#name)
                    }
                }
            } else if emitter.workflow.steps[*step].guard.is_none() {
                let started = started(emitter, *step);
                quote! {
                    async {
                        #(#waits)*
                        #started.await
                    }
                }
            } else {
                quote! {
                    async {
                        #(#waits)*
                        Ok(#call)
                    }
                }
            }
        })
        .collect();
    let all = joined(&blocks, &Clone::clone, &|a, b| quote!(runner.join(#a, #b)));
    quote! {
        async {
            #(#slots)*
            #all.await
        }
    }
}

/// Which of `steps` a step waits for, and whether it takes values from it.
fn sources(step: &Step, steps: &[usize]) -> Vec<(usize, bool)> {
    let used = expr::used_steps(step);
    step.after
        .iter()
        .filter(|source| steps.contains(source))
        .map(|source| (*source, used.contains(source)))
        .collect()
}

/// Two by two, in a balanced tree: types nest only as deep as they must.
fn joined<T>(
    parts: &[T],
    leaf: &dyn Fn(&T) -> TokenStream,
    join: &dyn Fn(TokenStream, TokenStream) -> TokenStream,
) -> TokenStream {
    match parts {
        [] => quote!(()),
        [part] => leaf(part),
        parts => {
            let (left, right) = parts.split_at(parts.len().div_ceil(2));
            join(joined(left, leaf, join), joined(right, leaf, join))
        }
    }
}

/// The steps of a plan, in the order in which they appear in it.
fn steps(parts: &[Plan]) -> impl Iterator<Item = usize> {
    fn collect(plan: &Plan, into: &mut Vec<usize>) {
        match plan {
            Plan::Step(step) => into.push(*step),
            Plan::Series(parts) | Plan::Parallel(parts) => {
                for part in parts {
                    collect(part, into);
                }
            }
            Plan::Graph(steps) => into.extend(steps),
        }
    }
    let mut all = Vec::new();
    for part in parts {
        collect(part, &mut all);
    }
    all.into_iter()
}

/// The local that holds a step's output.
pub(super) fn output(emitter: &Emitter<'_>, step: usize) -> Ident {
    ident(&emitter.workflow.steps[step].name.ident)
}

/// The output of a step, as a statement of an async block that returns a result: awaited, and in an
/// `Option` if the step has a condition.
fn call(emitter: &Emitter<'_>, step: usize) -> TokenStream {
    let started = started(emitter, step);
    let Some(guard) = &emitter.workflow.steps[step].guard else {
        return quote!(#started.await?);
    };
    let tests = expr::tests(emitter, &guard.tests);
    let ran: Vec<Ident> = guard
        .ran
        .iter()
        .map(|step| output(emitter, *step))
        .collect();
    match (ran.as_slice(), tests) {
        ([], tests) => {
            let tests = tests.unwrap_or_else(|| quote!(true));
            quote! {
                if #tests {
                    Some(#started.await?)
                } else {
                    None
                }
            }
        }
        (ran, tests) => {
            let tests = tests.map(|tests| quote!(if #tests));
            let (values, patterns) = match ran {
                [only] => (quote!(&#only), quote!(Some(#only))),
                several => (quote!((#(&#several,)*)), quote!((#(Some(#several),)*))),
            };
            quote! {
                match #values {
                    #patterns #tests => Some(#started.await?),
                    _ => None,
                }
            }
        }
    }
}

/// The call of a step's function, its input built in place.
fn started(emitter: &Emitter<'_>, step: usize) -> TokenStream {
    let name = output(emitter, step);
    let fields = emitter.workflow.steps[step].inputs.iter().map(|input| {
        let field = ident(&input.field.name.ident);
        let value = match &input.binding {
            Binding::Value(value) => expr::value(emitter, value),
            Binding::Text(pieces) => text(emitter, pieces),
        };
        quote!(#field: #value)
    });
    let input = emitter.type_name("Input");
    quote!(#name(runner, &#name::#input { #(#fields,)* }))
}

fn text(emitter: &Emitter<'_>, pieces: &[Piece]) -> TokenStream {
    let helpers = expr::helpers(emitter);
    let pieces = pieces.iter().map(|piece| match piece {
        Piece::Literal(literal) => quote!(#literal),
        Piece::Value(value) => expr::shown(emitter, value),
    });
    // Not `format!`: code in a macro call cannot be formatted.
    quote!(#helpers::concat(&[#(#pieces,)*]))
}
