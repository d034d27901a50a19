//! The step functions and `run`.

use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};

use super::{Emitter, doc, ident};
use crate::ir::{Binding, Path, Piece, Plan, Root, Step};

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
        let body = quote! {
            #unused
            #statements
            Ok(#outputs_type { #(#outputs,)* })
        };
        (quote!(), body)
    };
    let runtime = &emitter.options.runtime;
    quote! {
        #docs
        #errors
        pub async fn run(inputs: #inputs_type) -> Result<#outputs_type, Error> {
            run_with(#runtime::default_runner(), inputs).await
        }

        #with_docs
        #errors
        #allow
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
        Plan::Step(_) | Plan::Parallel(_) | Plan::Graph(_) => {
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
        Plan::Step(step) => call(emitter, *step),
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
    let needed: Vec<Vec<usize>> = steps
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
        .filter(|step| needed.iter().any(|sources| sources.contains(step)))
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
            let waits = needed.iter().map(|source| {
                let (name, slot) = (output(emitter, *source), slot(*source));
                quote!(let #name = #slot.wait().await;)
            });
            if shared.contains(step) {
                let (name, slot) = (output(emitter, *step), slot(*step));
                quote! {
                    async {
                        #(#waits)*
                        let #name = #call.await?;
                        #slot.fill(&#name);
                        Ok(#name)
                    }
                }
            } else {
                quote! {
                    async {
                        #(#waits)*
                        #call.await
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

/// Which of `steps` a step takes values from.
fn sources(step: &Step, steps: &[usize]) -> Vec<usize> {
    let mut sources = Vec::new();
    for path in paths(step) {
        if let Root::Step(source) = path.root
            && steps.contains(&source)
            && !sources.contains(&source)
        {
            sources.push(source);
        }
    }
    sources
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
fn output(emitter: &Emitter<'_>, step: usize) -> Ident {
    ident(&emitter.workflow.steps[step].name.ident)
}

fn paths(step: &Step) -> impl Iterator<Item = &Path> {
    step.inputs.iter().flat_map(|input| match &input.binding {
        Binding::Path(path) => vec![path],
        Binding::Text(pieces) => pieces
            .iter()
            .filter_map(|piece| match piece {
                Piece::Value(path) => Some(path),
                Piece::Literal(_) => None,
            })
            .collect(),
    })
}

/// The call of a step's function, its input built in place.
fn call(emitter: &Emitter<'_>, step: usize) -> TokenStream {
    let name = output(emitter, step);
    let fields = emitter.workflow.steps[step].inputs.iter().map(|input| {
        let field = ident(&input.field.name.ident);
        let value = match &input.binding {
            Binding::Path(path) => value(emitter, path),
            Binding::Text(pieces) => text(emitter, pieces),
        };
        quote!(#field: #value)
    });
    let input = emitter.type_name("Input");
    quote!(#name(runner, &#name::#input { #(#fields,)* }))
}

/// A value, owned: moved when this is its only use, copied or cloned otherwise.
fn value(emitter: &Emitter<'_>, path: &Path) -> TokenStream {
    let place = place(emitter, path);
    let only_use = match path.root {
        Root::Input(input) => path.fields.is_empty() && emitter.workflow.inputs[input].uses == 1,
        Root::Step(_) => false,
    };
    if only_use || Emitter::is_copy(&path.ty) {
        place
    } else {
        quote!(#place.clone())
    }
}

fn place(emitter: &Emitter<'_>, path: &Path) -> TokenStream {
    let fields = path.fields.iter().map(|field| ident(field));
    match path.root {
        Root::Input(input) => {
            let name = ident(&emitter.workflow.inputs[input].field.name.ident);
            quote!(inputs.#name #(.#fields)*)
        }
        Root::Step(step) => {
            let name = output(emitter, step);
            quote!(#name #(.#fields)*)
        }
    }
}

fn text(emitter: &Emitter<'_>, pieces: &[Piece]) -> TokenStream {
    let runtime = &emitter.options.runtime;
    let pieces = pieces.iter().map(|piece| match piece {
        Piece::Literal(literal) => quote!(#literal),
        Piece::Value(path) => {
            let place = place(emitter, path);
            quote!(&#runtime::generated::text(&#place))
        }
    });
    // Not `format!`: code in a macro call cannot be formatted.
    quote!(#runtime::generated::concat(&[#(#pieces,)*]))
}
