//! The macro gives what the build script gives.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use dspipe_build::Config;
use proc_macro2::{TokenStream, TokenTree};

use crate::expand::expand;

/// The directories with workflows: those of the tests, and the files of the user who asked for dspipe, where
/// they are at hand.
fn directories() -> Vec<PathBuf> {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let seed = env::var_os("DSPIPE_SEED")
        .map_or_else(|| here.join("../../shared/corpus/seed"), PathBuf::from);
    let all = [here.join("../tests/workflows"), seed];
    all.into_iter()
        .filter_map(|path| path.canonicalize().ok())
        .collect()
}

/// What the build script makes of a file.
struct Built {
    file: PathBuf,
    code: String,
    /// The names of the steps, and their modules.
    steps: Vec<(String, String)>,
}

/// Every workflow in a directory.
fn built(directory: &Path) -> Vec<Built> {
    let mut files: Vec<PathBuf> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "yaml"))
        .collect();
    files.sort();
    files
        .into_iter()
        .filter_map(|path| {
            let name = path.file_name().unwrap().to_owned();
            let compilation = Config::new().workflow(name).load(directory).unwrap();
            let [workflow] = compilation.workflows() else {
                panic!("one file, one workflow");
            };
            // Such a file is not a workflow, but part of one.
            if workflow.errors() > 0 {
                return None;
            }
            let steps = workflow.steps();
            let steps = steps.map(|(name, module)| (name.to_owned(), module.to_owned()));
            Some(Built {
                code: workflow.code().unwrap(),
                steps: steps.collect(),
                file: path,
            })
        })
        .collect()
}

/// Tokens as text. The two ways differ in how they name the file, so its directory is taken out.
fn text(tokens: &TokenStream, directory: &Path) -> String {
    let directory = format!("{}/", directory.display());
    tokens.to_string().replace(&directory, "")
}

fn parse(text: &str) -> TokenStream {
    text.parse().unwrap()
}

/// What the attribute puts into a module.
fn expanded(arguments: &str, directory: &Path) -> String {
    let tokens = expand(parse(arguments), &parse("mod a {}"));
    let body = tokens.into_iter().last();
    let Some(TokenTree::Group(body)) = body else {
        panic!("{arguments}: no module");
    };
    text(&body.stream(), directory)
}

#[test]
fn a_module_has_what_the_build_script_writes() {
    for directory in directories() {
        let built = built(&directory);
        assert!(!built.is_empty(), "{}", directory.display());
        for Built { file, code, .. } in built {
            let arguments = format!("workflow = {:?}", file.display().to_string());
            let in_place = expanded(&arguments, &directory);
            let written = text(&parse(&code), &directory);
            let Some(before) = in_place.strip_suffix(&written) else {
                panic!("{}: the macro gives\n{in_place}", file.display());
            };
            // The rest makes Cargo watch the files.
            let mut items = before
                .split_inclusive(';')
                .filter(|item| !item.trim().is_empty());
            assert!(items.all(|item| item.contains("include_bytes")), "{before}");
        }
    }
}

#[test]
fn a_step_by_itself_is_what_it_is_in_its_workflow() {
    for directory in directories() {
        for Built { file, code, steps } in built(&directory) {
            for (name, module) in steps {
                let arguments = format!(
                    "workflow = {:?}, step = {name:?}",
                    file.display().to_string()
                );
                let in_place = expanded(&arguments, &directory);
                let step = module_of(&parse(&code), &module);
                let step = text(&step, &directory);
                assert!(in_place.contains(&step), "{arguments}: {in_place}");
            }
        }
    }
}

/// The content of a module among items.
fn module_of(items: &TokenStream, name: &str) -> TokenStream {
    let tokens: Vec<TokenTree> = items.clone().into_iter().collect();
    tokens
        .windows(3)
        .find_map(|window| match window {
            [
                TokenTree::Ident(keyword),
                TokenTree::Ident(ident),
                TokenTree::Group(body),
            ] if keyword == "mod" && ident == name => Some(body.stream()),
            _ => None,
        })
        .unwrap()
}
