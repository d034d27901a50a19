//! `lms`: which LM a name stands for, and those that are asked where it fails.

use std::cell::Cell;

use crate::diag::{Code, Diagnostics};
use crate::ir::{Lm, LmPrice};
use crate::source::{Span, Spanned};
use crate::spec::{self, LmEntry};

use super::lm;

/// The providers that the runtime knows.
const PROVIDERS: [&str; 11] = [
    "local",
    "openai",
    "openai-responses",
    "anthropic",
    "gemini",
    "azure",
    "groq",
    "openrouter",
    "ollama",
    "vllm",
    "llamacpp",
];

/// The wire formats, and the runtime's names of them.
const WIRES: [(&str, &str); 4] = [
    ("openai-chat", "OpenAiChat"),
    ("openai-responses", "OpenAiResponses"),
    ("anthropic", "AnthropicMessages"),
    ("gemini", "GeminiGenerateContent"),
];

/// Longer than a day nobody waits.
const LONGEST_TIMEOUT: f64 = 86_400.0;

/// The entries of `lms`, and which of them something refers to.
pub(super) struct Lms<'w> {
    entries: &'w [LmEntry],
    used: Vec<bool>,
    /// A name was unknown: it may have been meant for one that seems unused.
    unsure: Cell<bool>,
}

impl<'w> Lms<'w> {
    /// Checks each entry by itself, and that no two fall back to each other.
    pub(super) fn new(workflow: &'w spec::Workflow, diagnostics: &mut Diagnostics) -> Self {
        let lms = Self {
            entries: &workflow.lms,
            used: vec![false; workflow.lms.len()],
            unsure: Cell::new(false),
        };
        for entry in lms.entries {
            alias(&entry.alias, diagnostics);
            model(entry, diagnostics);
            server(entry, diagnostics);
            numbers(entry, diagnostics);
            for name in &entry.fallbacks {
                if lms.find(&name.value).is_none() && !lm::is_name(&name.value) {
                    lms.report_unknown(name, diagnostics);
                }
            }
        }
        lms.report_cycles(diagnostics);
        lms
    }

    fn find(&self, alias: &str) -> Option<usize> {
        let mut entries = self.entries.iter();
        entries.position(|entry| entry.alias.value == alias)
    }

    /// The `provider/model` that a name stands for: its own text, or that of the entry of this name.
    /// `None` is neither.
    pub(super) fn model(&self, name: &str) -> Option<&'w str> {
        let entry = &self.entries[self.find(name)?];
        entry.model.as_ref().map(|model| &*model.value)
    }

    /// Whether there is an entry of this name, be it right or not.
    pub(super) fn has(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// Whether the workflow has names for LMs.
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) fn report_unknown(&self, name: &Spanned<String>, diagnostics: &mut Diagnostics) {
        self.unsure.set(true);
        let aliases = self.entries.iter().map(|entry| &*entry.alias.value);
        diagnostics
            .error(
                Code::UnknownAlias,
                name.span,
                format!("there is no LM `{name}` under `lms`"),
            )
            .label("neither a name from there nor `provider/model`")
            .meant(name.span, &name.value, aliases);
    }

    /// The LMs of a step in the order in which they are asked, with its parameters. Empty where nothing is
    /// said of them but the name of the first.
    pub(super) fn chain(&mut self, name: &str, own: &spec::Lm, outer: &spec::Lm) -> Vec<Lm> {
        let seed = own.seed.as_ref().or(outer.seed.as_ref());
        if self.find(name).is_none() && seed.is_none() {
            return Vec::new();
        }
        let mut names: Vec<&str> = Vec::new();
        self.collect(name, &mut names);
        let names: Vec<String> = names.into_iter().map(str::to_owned).collect();
        let mut chain = Vec::with_capacity(names.len());
        for name in &names {
            let entry = self.find(name).map(|index| &self.entries[index]);
            chain.extend(resolved(name, entry, own, outer));
        }
        chain
    }

    /// The LM and, each after the one that it stands in for, its fallbacks.
    fn collect<'n>(&mut self, name: &'n str, into: &mut Vec<&'n str>)
    where
        'w: 'n,
    {
        if into.contains(&name) {
            return;
        }
        into.push(name);
        let Some(index) = self.find(name) else { return };
        self.used[index] = true;
        let entries = self.entries;
        for fallback in &entries[index].fallbacks {
            self.collect(&fallback.value, into);
        }
    }

    /// Names that no step leads to.
    pub(super) fn report_unused(&self, diagnostics: &mut Diagnostics) {
        for (entry, used) in self.entries.iter().zip(&self.used) {
            if !used && !self.unsure.get() {
                diagnostics
                    .warning(
                        Code::UnusedAlias,
                        entry.alias.span,
                        format!("no step runs on the LM `{}`", entry.alias),
                    )
                    .label("never used");
            }
        }
    }

    fn report_cycles(&self, diagnostics: &mut Diagnostics) {
        let mut done = vec![false; self.entries.len()];
        for start in 0..self.entries.len() {
            self.visit(start, &mut Vec::new(), &mut done, diagnostics);
        }
    }

    /// Goes down the fallbacks; `path` is how it came here.
    fn visit(
        &self,
        index: usize,
        path: &mut Vec<usize>,
        done: &mut [bool],
        diagnostics: &mut Diagnostics,
    ) {
        if done[index] {
            return;
        }
        path.push(index);
        for fallback in &self.entries[index].fallbacks {
            let Some(next) = self.find(&fallback.value) else {
                continue;
            };
            match path.iter().position(|on_path| *on_path == next) {
                Some(from) => self.report_cycle(&path[from..], fallback.span, diagnostics),
                None => self.visit(next, path, done, diagnostics),
            }
        }
        path.pop();
        done[index] = true;
    }

    fn report_cycle(&self, cycle: &[usize], span: Span, diagnostics: &mut Diagnostics) {
        let mut names: Vec<&str> = Vec::new();
        for index in cycle {
            names.push(&self.entries[*index].alias.value);
        }
        let message = match names.as_slice() {
            [one] => format!("the LM `{one}` falls back to itself"),
            several => format!("{} fall back to each other", crate::diag::list(several)),
        };
        diagnostics
            .error(Code::FallbackCycle, span, message)
            .label("this leads back")
            .help("an LM that failed is not asked again by another one: remove this fallback");
    }
}

/// An LM with the parameters of a step: what the step says, else the entry, else the workflow.
fn resolved(name: &str, entry: Option<&LmEntry>, own: &spec::Lm, outer: &spec::Lm) -> Option<Lm> {
    let model = match entry {
        Some(entry) => entry.model.as_ref()?.value.clone(),
        None => name.to_owned(),
    };
    let of = |own: Option<f64>, entry: Option<f64>, outer: Option<f64>| own.or(entry).or(outer);
    let number = |value: &Option<Spanned<f64>>| value.as_ref().map(|value| value.value);
    let size = |value: &Option<Spanned<u32>>| value.as_ref().map(|value| value.value);
    let seed = |value: &Option<Spanned<i64>>| value.as_ref().map(|value| value.value);
    let text = |value: &Option<Spanned<String>>| value.as_ref().map(|value| value.value.clone());
    let mut lm = Lm {
        name: model,
        temperature: of(
            number(&own.temperature),
            entry.and_then(|entry| number(&entry.temperature)),
            number(&outer.temperature),
        ),
        max_tokens: size(&own.max_tokens)
            .or(entry.and_then(|entry| size(&entry.max_tokens)))
            .or(size(&outer.max_tokens)),
        seed: seed(&own.seed)
            .or(entry.and_then(|entry| seed(&entry.seed)))
            .or(seed(&outer.seed))
            .and_then(|seed| u64::try_from(seed).ok()),
        ..Lm::default()
    };
    let Some(entry) = entry else { return Some(lm) };
    lm.alias.clone_from(&entry.alias.value);
    lm.base_url = text(&entry.base_url).map(|url| url.trim_end_matches('/').to_owned());
    lm.api = entry.wire.as_ref().and_then(|wire| {
        let mut wires = WIRES.iter();
        wires
            .find(|(name, _)| *name == wire.value)
            .map(|(_, api)| *api)
    });
    lm.api_key_env = text(&entry.api_key_env);
    lm.timeout = number(&entry.timeout);
    lm.connect_timeout = number(&entry.connect_timeout);
    lm.read_timeout = number(&entry.read_timeout);
    lm.max_concurrency = size(&entry.max_concurrency);
    lm.requests_per_minute = size(&entry.requests_per_minute);
    lm.tokens_per_minute = size(&entry.tokens_per_minute);
    lm.price = entry.price.as_ref().and_then(|price| {
        Some(LmPrice {
            input: number(&price.input)?,
            cached_input: number(&price.cached_input),
            cache_write: number(&price.cache_write),
            output: number(&price.output)?,
        })
    });
    Some(lm)
}

fn alias(alias: &Spanned<String>, diagnostics: &mut Diagnostics) {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    if alias.value.is_empty() || !alias.value.chars().all(plain) {
        diagnostics
            .error(
                Code::InvalidName,
                alias.span,
                format!("`{alias}` cannot be the name of an LM of this workflow"),
            )
            .label("expected letters, digits, `_`, `-` and `.`");
    }
}

fn model(entry: &LmEntry, diagnostics: &mut Diagnostics) {
    let Some(model) = &entry.model else { return };
    let Some((provider, _)) = lm::split(&model.value) else {
        lm::report_no_name(model, diagnostics);
        return;
    };
    if provider == "local" {
        embedded(entry, diagnostics);
    } else if entry.base_url.is_none() && !PROVIDERS.contains(&provider) {
        let variable = provider.to_ascii_uppercase().replace('-', "_");
        diagnostics
            .warning(
                Code::InvalidLm,
                model.span,
                format!("`{provider}` is no provider that is known"),
            )
            .label(format!("known are {}", crate::diag::list(&PROVIDERS)))
            .help(format!(
                "say where it is: `base_url` here, or {variable}_BASE_URL where the program runs"
            ));
    }
}

/// The embedded model has no server to say anything of.
fn embedded(entry: &LmEntry, diagnostics: &mut Diagnostics) {
    let texts = [&entry.base_url, &entry.wire, &entry.api_key_env];
    let times = [&entry.timeout, &entry.connect_timeout, &entry.read_timeout];
    let sizes = [
        &entry.max_concurrency,
        &entry.requests_per_minute,
        &entry.tokens_per_minute,
    ];
    let texts = texts.into_iter().flatten().map(|text| text.span);
    let times = times.into_iter().flatten().map(|time| time.span);
    let sizes = sizes.into_iter().flatten().map(|size| size.span);
    for span in texts.chain(times).chain(sizes) {
        diagnostics
            .error(
                Code::Unsupported,
                span,
                format!(
                    "`{}` is the embedded model, which has no server",
                    entry.alias
                ),
            )
            .label("nothing would use this");
    }
}

fn server(entry: &LmEntry, diagnostics: &mut Diagnostics) {
    if let Some(url) = &entry.base_url {
        base_url(entry, url, diagnostics);
    }
    if let Some(wire) = &entry.wire
        && !WIRES.iter().any(|(name, _)| *name == wire.value)
    {
        let names = WIRES.map(|(name, _)| name);
        diagnostics
            .error(
                Code::InvalidSetting,
                wire.span,
                format!("`{wire}` is no wire format"),
            )
            .label(format!("expected one of {}", crate::diag::list(&names)))
            .meant(wire.span, &wire.value, names);
    }
    if let Some(variable) = &entry.api_key_env {
        let plain = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
        let starts = variable.value.starts_with(|c: char| !c.is_ascii_digit());
        if !starts || !variable.value.chars().all(plain) {
            // It may be the key itself.
            diagnostics
                .error(
                    Code::SecretInFile,
                    variable.span,
                    format!(
                        "`api_key_env` of the LM `{}` is not the name of an environment variable",
                        entry.alias
                    ),
                )
                .help("write the name of the variable that holds the key, as in `OPENAI_API_KEY`");
        }
    }
}

fn base_url(entry: &LmEntry, url: &Spanned<String>, diagnostics: &mut Diagnostics) {
    let rest = ["http://", "https://"]
        .iter()
        .find_map(|scheme| url.value.strip_prefix(scheme));
    let host = rest.map(|rest| rest.split(['/', '?', '#']).next().unwrap_or_default());
    match host {
        None | Some("") => {
            diagnostics
                .error(
                    Code::InvalidSetting,
                    url.span,
                    "a `base_url` that is no URL of a server",
                )
                .label("expected `https://…`, as in `http://127.0.0.1:8000/v1`");
        }
        Some(host) if host.contains('@') || url.value.contains('?') => {
            diagnostics
                .error(
                    Code::SecretInFile,
                    url.span,
                    format!(
                        "`base_url` of the LM `{}` has a user, a password or parameters in it",
                        entry.alias
                    ),
                )
                .help("write the URL without them, and `api_key_env: NAME` for the key");
        }
        Some(_) => {}
    }
}

fn numbers(entry: &LmEntry, diagnostics: &mut Diagnostics) {
    lm::sampling(
        entry.temperature.as_ref(),
        entry.max_tokens.as_ref(),
        entry.seed.as_ref(),
        diagnostics,
    );
    for (what, time) in [
        ("timeout", &entry.timeout),
        ("connect_timeout", &entry.connect_timeout),
        ("read_timeout", &entry.read_timeout),
    ] {
        if let Some(time) = time
            .as_ref()
            .filter(|time| !(0.001..=LONGEST_TIMEOUT).contains(&time.value))
        {
            diagnostics
                .error(
                    Code::InvalidSetting,
                    time.span,
                    format!("a `{what}` of {time} seconds"),
                )
                .label("expected 0.001 to 86400");
        }
    }
    for (what, size) in [
        ("max_concurrency", &entry.max_concurrency),
        ("requests_per_minute", &entry.requests_per_minute),
        ("tokens_per_minute", &entry.tokens_per_minute),
    ] {
        if let Some(size) = size.as_ref().filter(|size| size.value == 0) {
            diagnostics
                .error(
                    Code::InvalidSetting,
                    size.span,
                    format!("a `{what}` of 0 lets no call through"),
                )
                .label("expected 1 or more");
        }
    }
    let Some(price) = &entry.price else { return };
    for price in [
        &price.input,
        &price.cached_input,
        &price.cache_write,
        &price.output,
    ] {
        if let Some(price) = price.as_ref().filter(|price| price.value < 0.0) {
            diagnostics
                .error(
                    Code::InvalidSetting,
                    price.span,
                    format!("a price of {price} dollars"),
                )
                .label("expected 0 or more");
        }
    }
}
