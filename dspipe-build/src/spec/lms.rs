//! `lms`: LMs under names of the workflow's.

use super::optional_text;
use crate::diag::{Code, Diagnostics};
use crate::source::Spanned;
use crate::yaml::{self, Kind, MapReader, Node};

/// An LM under a name, and what is said of it.
#[derive(Debug)]
pub(crate) struct LmEntry {
    pub(crate) alias: Spanned<String>,
    /// `provider/model`; `None` is missing, and reported.
    pub(crate) model: Option<Spanned<String>>,
    pub(crate) base_url: Option<Spanned<String>>,
    pub(crate) wire: Option<Spanned<String>>,
    pub(crate) api_key_env: Option<Spanned<String>>,
    pub(crate) temperature: Option<Spanned<f64>>,
    pub(crate) max_tokens: Option<Spanned<u32>>,
    pub(crate) seed: Option<Spanned<i64>>,
    /// In seconds, as the two others.
    pub(crate) timeout: Option<Spanned<f64>>,
    pub(crate) connect_timeout: Option<Spanned<f64>>,
    pub(crate) read_timeout: Option<Spanned<f64>>,
    pub(crate) max_concurrency: Option<Spanned<u32>>,
    pub(crate) requests_per_minute: Option<Spanned<u32>>,
    pub(crate) tokens_per_minute: Option<Spanned<u32>>,
    pub(crate) price: Option<Price>,
    pub(crate) fallbacks: Vec<Spanned<String>>,
}

/// US dollars per million tokens.
#[derive(Debug)]
pub(crate) struct Price {
    pub(crate) input: Option<Spanned<f64>>,
    pub(crate) cached_input: Option<Spanned<f64>>,
    pub(crate) cache_write: Option<Spanned<f64>>,
    pub(crate) output: Option<Spanned<f64>>,
}

/// Keys under which people write secrets.
const SECRETS: [&str; 10] = [
    "api_key",
    "apikey",
    "key",
    "token",
    "api_token",
    "access_token",
    "secret",
    "password",
    "authorization",
    "headers",
];

/// More of them are not written by people; fallbacks are followed from one to the next.
const MAX_LMS: usize = 200;
const MAX_FALLBACKS: usize = 20;

/// Reads `lms` of the workflow.
pub(super) fn read(parent: &mut MapReader<'_>, diagnostics: &mut Diagnostics) -> Vec<LmEntry> {
    let Some(node) = parent.optional("lms") else {
        return Vec::new();
    };
    let Kind::Map(entries) = &node.kind else {
        // Says what is wrong.
        MapReader::new(node, "`lms`", diagnostics);
        return Vec::new();
    };
    if let Some((key, _)) = entries.get(MAX_LMS) {
        diagnostics
            .error(
                Code::TooLarge,
                key.span,
                format!("more than {MAX_LMS} LMs under `lms`"),
            )
            .label("this and what follows is not read");
    }
    let read = entries.iter().take(MAX_LMS).filter_map(|(key, node)| {
        LmEntry::read(Spanned::new(key.text.clone(), key.span), node, diagnostics)
    });
    read.collect()
}

impl LmEntry {
    fn read(alias: Spanned<String>, node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        let what = format!("the LM `{alias}`");
        let mut map = MapReader::new(node, &what, diagnostics)?;
        map.point_at(alias.span);
        refuse_secrets(&mut map, diagnostics);
        let model = map
            .required("model", diagnostics)
            .and_then(|node| yaml::text(node, "`model`", diagnostics));
        let entry = Self {
            model,
            base_url: optional_text(&mut map, "base_url", diagnostics),
            wire: optional_text(&mut map, "wire", diagnostics),
            api_key_env: optional_text(&mut map, "api_key_env", diagnostics),
            temperature: number(&mut map, "temperature", diagnostics),
            max_tokens: size(&mut map, "max_tokens", diagnostics),
            seed: seed(&mut map, diagnostics),
            timeout: number(&mut map, "timeout", diagnostics),
            connect_timeout: number(&mut map, "connect_timeout", diagnostics),
            read_timeout: number(&mut map, "read_timeout", diagnostics),
            max_concurrency: size(&mut map, "max_concurrency", diagnostics),
            requests_per_minute: size(&mut map, "requests_per_minute", diagnostics),
            tokens_per_minute: size(&mut map, "tokens_per_minute", diagnostics),
            price: map
                .optional("price")
                .and_then(|node| Price::read(node, &alias, diagnostics)),
            fallbacks: fallbacks(&mut map, diagnostics),
            alias,
        };
        map.finish(diagnostics);
        Some(entry)
    }
}

/// Keys of providers do not belong in files that are committed. The values are not read.
fn refuse_secrets(map: &mut MapReader<'_>, diagnostics: &mut Diagnostics) {
    for key in SECRETS {
        let Some((span, _)) = map.entry(key) else {
            continue;
        };
        diagnostics
            .error(
                Code::SecretInFile,
                span,
                format!("{} has its key in the file: `{key}`", map.what()),
            )
            .help(
                "take it out, and write `api_key_env: NAME`: the environment variable that holds it; \
                 if the file was shared, the key should be replaced",
            );
    }
    map.forget(&SECRETS);
}

impl Price {
    fn read(node: &Node, alias: &Spanned<String>, diagnostics: &mut Diagnostics) -> Option<Self> {
        let what = format!("the price of `{alias}`");
        let mut map = MapReader::new(node, &what, diagnostics)?;
        let mut required = |map: &mut MapReader<'_>, key| {
            let node = map.required(key, diagnostics)?;
            yaml::number(node, format_args!("`{key}`"), diagnostics)
        };
        let (input, output) = (required(&mut map, "input"), required(&mut map, "output"));
        let price = Self {
            input,
            cached_input: number(&mut map, "cached_input", diagnostics),
            cache_write: number(&mut map, "cache_write", diagnostics),
            output,
        };
        map.finish(diagnostics);
        Some(price)
    }
}

fn fallbacks(map: &mut MapReader<'_>, diagnostics: &mut Diagnostics) -> Vec<Spanned<String>> {
    let items = map
        .optional("fallbacks")
        .and_then(|node| yaml::list(node, "`fallbacks`", diagnostics))
        .unwrap_or_default();
    if let Some(node) = items.get(MAX_FALLBACKS) {
        diagnostics
            .error(
                Code::TooLarge,
                node.span,
                format!("more than {MAX_FALLBACKS} fallbacks"),
            )
            .label("this and what follows is not read");
    }
    items
        .iter()
        .take(MAX_FALLBACKS)
        .filter_map(|node| yaml::text(node, "an item of `fallbacks`", diagnostics))
        .collect()
}

/// The seed of the sampler.
pub(super) fn seed(map: &mut MapReader<'_>, diagnostics: &mut Diagnostics) -> Option<Spanned<i64>> {
    let node = map.optional("seed")?;
    yaml::integer(node, "`seed`", diagnostics)
}

fn number(
    map: &mut MapReader<'_>,
    key: &'static str,
    diagnostics: &mut Diagnostics,
) -> Option<Spanned<f64>> {
    let node = map.optional(key)?;
    yaml::number(node, format_args!("`{key}`"), diagnostics)
}

fn size(
    map: &mut MapReader<'_>,
    key: &'static str,
    diagnostics: &mut Diagnostics,
) -> Option<Spanned<u32>> {
    let node = map.optional(key)?;
    yaml::size(node, format_args!("`{key}`"), diagnostics)
}
