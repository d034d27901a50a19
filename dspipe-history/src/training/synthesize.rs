//! New examples, made up by an LM.

use dspipe_runtime::{
    Demo, Error, FieldDef, Map, Read, Reader, Runner, Signature, SignatureDef, Value,
};
use serde::Serialize;

use super::dedup::{Deduplicator, Kept};
use super::select::select;
use super::{Example, Shape};

/// Examples that the LM is shown.
const SHOWN: usize = 5;

/// Inputs of its own that the LM is told not to repeat.
const AVOIDED: usize = 20;

/// Mistakes that the LM is told of.
const TOLD: usize = 5;

/// How to synthesize.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SynthesisOptions {
    /// How many examples are wanted.
    pub count: usize,
    /// How many the LM is asked for at once.
    pub at_once: usize,
    /// The most requests; what is there then is returned.
    pub requests: usize,
    /// The similarity of inputs from which on an example is not new.
    pub near: f64,
    /// Decides which examples the LM is shown.
    pub seed: u64,
}

impl SynthesisOptions {
    /// For so many examples: five at once, and three times the requests that would do if all were good.
    pub fn new(count: usize) -> Self {
        let at_once = 5;
        Self {
            count,
            at_once,
            requests: 3 * count.div_ceil(at_once).max(1),
            near: 0.85,
            seed: 0,
        }
    }
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Synthesized {
    /// The new examples, all marked as synthetic.
    pub examples: Vec<Example>,
    /// How many did not fit the signature.
    pub misfits: usize,
    /// How many were there already, exactly or nearly.
    pub duplicates: usize,
    /// How many requests it took.
    pub requests: usize,
    /// Why it stopped early. The examples until then are good.
    pub stopped: Option<Error>,
}

#[derive(Debug, Serialize)]
struct Input<'a> {
    task: &'a str,
    input_schema: &'a Value,
    output_schema: &'a Value,
    known: Vec<Pair>,
    avoid: Vec<String>,
    mistakes: Vec<String>,
    count: usize,
}

/// What the signature takes: its own fields, as JSON.
#[derive(Debug, Serialize)]
#[serde(transparent)]
struct Fields(Value);

#[derive(Clone, Debug, Serialize)]
struct Pair {
    inputs: Map<String, Value>,
    outputs: Map<String, Value>,
}

#[derive(Debug, Serialize)]
struct Output {
    examples: Vec<Pair>,
}

impl Read for Pair {
    fn read(from: Reader<'_>) -> Option<Self> {
        let mut object = from.object()?;
        let (inputs, outputs) = (object.required("inputs"), object.required("outputs"));
        Some(Self {
            inputs: inputs?,
            outputs: outputs?,
        })
    }
}

impl Read for Output {
    fn read(from: Reader<'_>) -> Option<Self> {
        let examples = from.object()?.required("examples");
        Some(Self {
            examples: examples?,
        })
    }
}

/// The signature that asks for new examples.
struct Synthesize;

const fn field(name: &'static str, ty: &'static str, description: &'static str) -> FieldDef {
    FieldDef {
        name,
        ty,
        description,
        sensitive: false,
    }
}

impl Signature for Synthesize {
    type Input = Fields;
    type Output = Output;
    const DEF: &'static SignatureDef = &SignatureDef {
        workflow: "dspipe_data",
        step: "synthesize",
        source: file!(),
        description: "",
        instructions: "Make up new examples of a task, to teach it. Each has inputs that could really occur and \
            the outputs that an expert would give for them. Follow both schemas to the letter. Make the \
            examples differ from the known ones and from each other in topic, length, tone and difficulty; \
            use every value that the output schema allows, and think of rare cases too.",
        inputs: &[
            field("task", "string", "What is to be done with the inputs"),
            field("input_schema", "JSON Schema", "What the inputs look like"),
            field("output_schema", "JSON Schema", "What the outputs look like"),
            field("known", "list of examples", "Examples that exist"),
            field(
                "avoid",
                "list of string",
                "Inputs that were made up before: write other ones",
            ),
            field(
                "mistakes",
                "list of string",
                "What was wrong with earlier answers",
            ),
            field("count", "integer", "How many examples to write"),
        ],
        outputs: &[field(
            "examples",
            "list of {\"inputs\": object, \"outputs\": object}",
            "The new examples",
        )],
        input_schema: r#"{"type":"object"}"#,
        output_schema: r#"{"type":"object","properties":{"examples":{"type":"array","items":{"type":"object","properties":{"inputs":{"type":"object"},"outputs":{"type":"object"}},"required":["inputs","outputs"]}}},"required":["examples"]}"#,
        demos: NO_DEMOS,
        optimized: &[],
        adapter: None,
        lm: None,
        temperature: None,
        max_tokens: None,
        lms: &[],
        checks: &[],
        module: dspipe_runtime::module::ModuleDef::Predict,
    };
}

const NO_DEMOS: &[Demo] = &[];

/// Has an LM make up examples of a task. They fit the shape, differ from the known examples and from each
/// other, and are marked as synthetic, so that a [`Split`](super::Split) puts them into training.
///
/// `lm` is the name that the examples have as their source. An error of the LM ends it; what was made until
/// then is returned with it.
pub async fn synthesize(
    runner: &impl Runner,
    lm: &str,
    shape: &Shape,
    known: &[Example],
    options: SynthesisOptions,
) -> Synthesized {
    let mut made = Synthesized::default();
    let mut unique = Deduplicator::new(Some(options.near));
    for example in known {
        unique.keep(example);
    }
    let real: Vec<Example> = known.iter().filter(|one| !one.synthetic).cloned().collect();
    let mut mistakes = Vec::new();
    while made.examples.len() < options.count && made.requests < options.requests {
        let seed = options.seed.wrapping_add(made.requests as u64);
        let input = Input {
            task: shape.instructions(),
            input_schema: shape.inputs(),
            output_schema: shape.outputs(),
            known: shown(&real, shape, seed),
            avoid: avoided(&made.examples),
            mistakes: std::mem::take(&mut mistakes),
            count: options
                .at_once
                .min(options.count - made.examples.len())
                .max(1),
        };
        // Values that are JSON already always serialize.
        let fields = Fields(serde_json::to_value(&input).unwrap_or_default());
        made.requests += 1;
        let pairs = match runner.step::<Synthesize>(&fields).await {
            Ok(output) => output.examples,
            Err(error) => {
                made.stopped = Some(error);
                break;
            }
        };
        for pair in pairs {
            let mut example = Example::new(pair.inputs, pair.outputs);
            example.synthetic = true;
            lm.clone_into(&mut example.source);
            let misfits = shape.misfits(&example);
            if !misfits.is_empty() {
                made.misfits += 1;
                let lines = misfits
                    .into_iter()
                    .map(|(field, why)| format!("{field}: {why}"));
                mistakes.extend(lines);
            } else if unique.keep(&example) != Kept::New {
                made.duplicates += 1;
            } else if made.examples.len() < options.count {
                made.examples.push(example);
            }
        }
        mistakes.dedup();
        mistakes.truncate(TOLD);
    }
    made
}

fn shown(real: &[Example], shape: &Shape, seed: u64) -> Vec<Pair> {
    let picked = select(real, Some(shape), SHOWN, seed);
    let pairs = picked.into_iter().filter_map(|index| real.get(index));
    pairs
        .map(|example| Pair {
            inputs: example.inputs.clone(),
            outputs: example.outputs.clone(),
        })
        .collect()
}

fn avoided(made: &[Example]) -> Vec<String> {
    let last = made.iter().rev().take(AVOIDED);
    last.map(|example| Value::Object(example.inputs.clone()).to_string())
        .collect()
}
