//! The JSON Schema of the format, for editors. The reader (`spec`) decides what is right; a test holds the
//! two together, key by key.

// The types are shapes for schemars and never made; their docs are the schema's descriptions.
#![allow(dead_code)]

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde_json::Value;

/// A workflow file of dspipe as a JSON Schema (draft 2020-12).
pub fn format_schema() -> Value {
    let mut schema = schemars::schema_for!(File);
    schema.insert("title".to_owned(), "dspipe workflow".into());
    schema.to_value()
}

/// A workflow file.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
struct File {
    workflow: Workflow,
    /// Types that fields and other types refer to by name.
    types: Option<BTreeMap<String, Schema>>,
}

/// A workflow: steps with typed inputs and outputs.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
struct Workflow {
    /// Names the Rust module: letters, digits, `_` and `-`.
    name: String,
    /// Becomes a doc comment.
    description: Option<String>,
    /// Yours; nothing reads it.
    version: Option<Value>,
    /// Yours; nothing reads it.
    metadata: Option<Value>,
    /// The LM of steps of type `dspy`.
    lm: Option<Lm>,
    /// LMs by names that steps refer to.
    lms: Option<BTreeMap<String, LmEntry>>,
    /// The sampling temperature of all steps that set none, from 0 to 2.
    temperature: Option<f64>,
    /// The longest reply of all steps that set none, in tokens.
    max_tokens: Option<u32>,
    /// How prompts are written and replies read, of all steps that do not say it.
    adapter: Option<Adapter>,
    /// Settings that steps inherit.
    dspy_config: Option<DspyConfig>,
    /// Constants that templates and conditions name as `global_vars.name`.
    global_vars: Option<BTreeMap<String, Constant>>,
    /// Types that fields and other types refer to by name; may also stand beside `workflow`.
    types: Option<BTreeMap<String, Schema>>,
    /// Inputs besides those that fields of steps name, such as the list of a loop.
    inputs: Option<Vec<Input>>,
    /// The steps. Their order does not matter: a step starts when all that it refers to is there.
    steps: Vec<Member>,
}

/// A step, a loop with steps in it, or a call of another workflow.
#[derive(JsonSchema)]
#[serde(untagged)]
enum Member {
    Step(Box<Step>),
    ForLoop(Box<ForLoop>),
    WhileLoop(Box<WhileLoop>),
    Pipeline(Box<Pipeline>),
}

/// Its steps, once for each item of a list. It gives a list with an object for each round.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
struct ForLoop {
    /// Names the Rust module of its types: letters, digits, `_` and `-`.
    name: String,
    r#type: ForLoopType,
    /// Becomes a doc comment.
    description: Option<String>,
    /// What the item is called in its steps; `item`, if this is not there.
    iterator: Option<String>,
    /// The list: an expression, such as `inputs.tickets` or `steps.read.words`.
    data_source: String,
    /// Whether rounds run at the same time, four of them or `max_parallel`.
    parallel: Option<bool>,
    /// How many rounds run at the same time.
    max_parallel: Option<u32>,
    /// Ends the loop behind a round for which it holds; for rounds that run one after the other.
    break_condition: Option<Condition>,
    /// The loop runs only if this holds; what it gives is then an `Option`.
    condition: Option<Condition>,
    /// Steps that must have ended before the first round starts.
    depends_on: Option<OneOrMore>,
    /// What each round does.
    steps: Vec<Member>,
}

/// Its steps, as long as a condition holds. It gives what the last round gave.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
struct WhileLoop {
    /// Names the Rust module of its types: letters, digits, `_` and `-`.
    name: String,
    r#type: WhileLoopType,
    /// Becomes a doc comment.
    description: Option<String>,
    /// What must hold for another round. Steps in it gave their values in the round before, which the first
    /// has none of.
    condition: Condition,
    /// At most so many rounds; 100, if this is not there.
    max_iterations: Option<u32>,
    /// Steps that must have ended before the first round starts.
    depends_on: Option<OneOrMore>,
    /// What each round does.
    steps: Vec<Member>,
}

#[derive(JsonSchema)]
#[serde(rename_all = "snake_case")]
enum WhileLoopType {
    /// As long as a condition holds.
    WhileLoop,
}

/// A call of another workflow. It gives what each step of it gave.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
struct Pipeline {
    /// Names the Rust module of the workflow that is called: letters, digits, `_` and `-`.
    name: String,
    r#type: PipelineType,
    /// Becomes a doc comment.
    description: Option<String>,
    /// The workflow's file, seen from the directory of this one.
    pipeline_file: String,
    /// Its inputs, as templates or plain values.
    inputs: Option<BTreeMap<String, Constant>>,
    /// The workflow runs only if this holds; what it gives is then an `Option`.
    condition: Option<Condition>,
    /// Steps that must have ended before it starts.
    depends_on: Option<OneOrMore>,
}

#[derive(JsonSchema)]
#[serde(rename_all = "snake_case")]
enum PipelineType {
    /// Another workflow.
    Pipeline,
}

#[derive(JsonSchema)]
#[serde(rename_all = "snake_case")]
enum ForLoopType {
    /// Once for each item of a list.
    ForLoop,
}

/// An LM: `provider/model` or a name under `lms`, with parameters or without.
#[derive(JsonSchema)]
#[serde(untagged)]
enum Lm {
    Name(String),
    Use(LmUse),
}

/// An LM with parameters.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
struct LmUse {
    /// `provider/model`, or a name under `lms`.
    r#use: String,
    /// The sampling temperature, from 0 to 2.
    temperature: Option<f64>,
    /// The longest reply, in tokens.
    max_tokens: Option<u32>,
    /// The seed of the sampler, for providers that have one.
    seed: Option<u64>,
}

/// An LM, and how it is reached.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
struct LmEntry {
    /// `provider/model`.
    model: String,
    /// Where its server is, as in `http://127.0.0.1:8000/v1`.
    base_url: Option<String>,
    /// The wire format, where it is not that of the provider.
    wire: Option<Wire>,
    /// The environment variable that holds the key. Keys themselves are refused.
    api_key_env: Option<String>,
    /// The sampling temperature, from 0 to 2.
    temperature: Option<f64>,
    /// The longest reply, in tokens.
    max_tokens: Option<u32>,
    /// The seed of the sampler, for providers that have one.
    seed: Option<u64>,
    /// Seconds until the reply must be whole.
    timeout: Option<f64>,
    /// Seconds until there must be a connection.
    connect_timeout: Option<f64>,
    /// Seconds until the next bytes must come.
    read_timeout: Option<f64>,
    /// Calls at the same time.
    max_concurrency: Option<u32>,
    /// Calls per minute.
    requests_per_minute: Option<u32>,
    /// Tokens per minute, those in and those out.
    tokens_per_minute: Option<u32>,
    /// What it costs.
    price: Option<Price>,
    /// LMs that are asked in turn where it fails: names under `lms`, or `provider/model`.
    fallbacks: Option<Vec<String>>,
}

/// A wire format.
#[derive(JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum Wire {
    /// `OpenAI` chat completions.
    OpenaiChat,
    /// `OpenAI` responses.
    OpenaiResponses,
    /// Anthropic Messages.
    Anthropic,
    /// Google Gemini `generateContent`.
    Gemini,
}

/// US dollars per million tokens.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
struct Price {
    /// Of the messages.
    input: f64,
    /// Of what comes from the provider's cache; as other input, if absent.
    cached_input: Option<f64>,
    /// Of what goes into the provider's cache; as other input, if absent.
    cache_write: Option<f64>,
    /// Of the replies.
    output: f64,
}

/// A text, a number or a boolean.
#[derive(JsonSchema)]
#[serde(untagged)]
enum Constant {
    Text(String),
    Number(f64),
    Boolean(bool),
}

/// A step: one call of an LM, typed.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
struct Step {
    /// Names the Rust function and module: letters, digits, `_` and `-`.
    name: String,
    /// Which provider runs it.
    r#type: StepType,
    /// Becomes a doc comment.
    description: Option<String>,
    /// The LM.
    lm: Option<Lm>,
    /// The sampling temperature, from 0 to 2.
    temperature: Option<f64>,
    /// The longest reply, in tokens.
    max_tokens: Option<u32>,
    /// How prompts are written and replies read, over that of the workflow.
    adapter: Option<Adapter>,
    /// How the step comes to its output.
    module: Option<Module>,
    /// Whether its output can also be had while it comes.
    stream: Option<bool>,
    /// The step runs only if this holds; its output is then an `Option`.
    condition: Option<Condition>,
    /// Steps that must have ended before this one starts.
    depends_on: Option<OneOrMore>,
    /// What should hold for the output.
    checks: Option<Vec<Check>>,
    /// What goes in, what comes out, what to do.
    signature: Option<Signature>,
    /// Another name for `signature`.
    dspy_signature: Option<Signature>,
    /// Settings, over those of the workflow.
    dspy_config: Option<DspyConfig>,
    /// Examples, checked against the signature.
    examples: Option<Examples>,
}

/// What should hold for an output: one of `check` and `assert`.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
struct Check {
    /// An expression over `inputs.…` and `outputs.…`. Where it does not hold, that is reported.
    check: Option<String>,
    /// An expression over `inputs.…` and `outputs.…`. Where it does not hold, the LM is asked once more, and
    /// then the step fails.
    assert: Option<String>,
    /// How reports and errors call it.
    name: Option<String>,
    /// What is meant by it; the LM is told.
    message: Option<String>,
}

/// Examples in place, in a file, or both.
#[derive(JsonSchema)]
#[serde(untagged)]
enum Examples {
    /// A file of examples, seen from the directory of this one.
    Path(String),
    File(ExampleFile),
    List(Vec<ExampleOrFile>),
}

#[derive(JsonSchema)]
#[serde(untagged)]
enum ExampleOrFile {
    Example(Example),
    File(ExampleFile),
}

/// A file of examples.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
struct ExampleFile {
    /// Seen from the directory of this one: JSON, JSONL, CSV or YAML.
    file: String,
}

/// Which provider runs a step.
#[derive(JsonSchema)]
#[serde(rename_all = "snake_case")]
enum StepType {
    /// Any, by `lm`.
    Dspy,
    /// Anthropic.
    DspyClaude,
    /// Google.
    DspyGemini,
    /// `OpenAI`.
    DspyOpenai,
    /// Ollama on this machine.
    DspyOllama,
    /// The embedded model.
    DspyLocal,
}

/// How prompts are written and replies read.
#[derive(JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Adapter {
    /// dspipe's own.
    Dspipe,
    /// As the `ChatAdapter` of DSPy does.
    DspyChat,
    /// As the `JSONAdapter` of DSPy does.
    DspyJson,
}

/// How a step comes to its output: a name, or a name with settings.
#[derive(JsonSchema)]
#[serde(untagged)]
enum Module {
    Name(ModuleName),
    Settings(Box<ModuleSettings>),
}

/// How a step comes to its output.
#[derive(JsonSchema)]
#[serde(rename_all = "snake_case")]
enum ModuleName {
    /// At once.
    Predict,
    /// With an output `reasoning` before all others.
    ChainOfThought,
    /// The best of 3, by the share of the step's checks that hold.
    BestOfN,
    /// The best of 3, each made with advice on the one before.
    Refine,
    /// What most of 5 say.
    Majority,
}

/// How a step comes to its output: one of these.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
struct ModuleSettings {
    /// At once.
    predict: Option<NoSettings>,
    /// With an output `reasoning` before all others.
    chain_of_thought: Option<NoSettings>,
    /// The best of several.
    best_of_n: Option<Best>,
    /// The best of several, each made with advice on the one before.
    refine: Option<Best>,
    /// What most of several say.
    majority: Option<Majority>,
    /// An answer after the use of tools.
    react: Option<React>,
}

/// There is nothing to set.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
struct NoSettings {}

/// How the best of several outputs is chosen.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
struct Best {
    /// The most outputs that are asked for, from 2 to 100; 3 without it.
    n: Option<u32>,
    /// An expression over `inputs.…` and `outputs.…` that gives a number, or true (1) or false (0). Without
    /// it, the share of the step's checks that hold.
    reward: Option<String>,
    /// The reward that is good enough to stop.
    threshold: Option<f64>,
    /// How many outputs may be unusable before the step fails.
    fail_count: Option<u32>,
    /// How each output is asked for.
    module: Option<InnerModule>,
}

/// What most of several outputs say.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
struct Majority {
    /// How many outputs, from 2 to 100; 5 without it.
    n: Option<u32>,
    /// The output field that they are compared by; the last without it.
    field: Option<String>,
    /// How each output is asked for.
    module: Option<InnerModule>,
}

/// An answer after the use of tools.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
struct React {
    /// The tools, by the names under which the program has them.
    tools: Vec<String>,
    /// The most calls of tools, from 1 to 100; 20 without it.
    max_steps: Option<u32>,
}

/// How each of several outputs is asked for.
#[derive(JsonSchema)]
#[serde(rename_all = "snake_case")]
enum InnerModule {
    /// At once.
    Predict,
    /// With an output `reasoning` before all others.
    ChainOfThought,
}

/// When a step runs: an expression, a list of which all must hold, or a tree.
#[derive(JsonSchema)]
#[serde(untagged)]
enum Condition {
    /// An expression, such as `steps.read.score > 0.5 and inputs.text contains 'x'`.
    Expression(String),
    Constant(bool),
    All(Vec<Condition>),
    Tree(Tree),
}

/// All of `and`, one of `or`, and not `not`.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
struct Tree {
    and: Option<Vec<Condition>>,
    or: Option<Vec<Condition>>,
    not: Option<Box<Condition>>,
}

#[derive(JsonSchema)]
#[serde(untagged)]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

/// What a step takes and gives.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
struct Signature {
    /// What the LM is to do.
    instructions: Option<String>,
    /// What goes in.
    input_fields: Vec<Field>,
    /// What comes out.
    output_fields: Vec<Field>,
}

/// A struct that also has the keywords of JSON Schema by which a field, an input or a type says what it holds.
/// `#[serde(flatten)]` would say it too, but then editors no longer find unknown keys.
macro_rules! with_type_keywords {
    ($(#[$attribute:meta])* struct $name:ident { $($own:tt)* }) => {
        $(#[$attribute])*
        struct $name {
            $($own)*
            /// The properties of an object.
            properties: Option<BTreeMap<String, Schema>>,
            /// What an object without properties holds.
            #[serde(rename = "additionalProperties")]
            additional_properties: Option<Additional>,
            /// What a list holds.
            items: Option<Box<Schema>>,
            /// The values that there are.
            r#enum: Option<Vec<Scalar>>,
            /// The one value that there is.
            r#const: Option<Scalar>,
            /// A type that is defined elsewhere: `#/types/Name`, `file.yaml#/types/Name`,
            /// `schema.json#/$defs/Name`, or a file that is a JSON Schema.
            #[serde(rename = "$ref")]
            reference: Option<String>,
            /// One of several types.
            #[serde(rename = "anyOf")]
            any_of: Option<Vec<Schema>>,
            /// The same as `anyOf`.
            #[serde(rename = "oneOf")]
            one_of: Option<Vec<Schema>>,
            /// What stands for the value where it is absent.
            default: Option<Value>,
            /// The path of a type of yours in place of the one that would be generated.
            #[serde(rename = "x-rust-type")]
            rust_type: Option<String>,
            /// `true`: it may be null.
            nullable: Option<bool>,
            /// The smallest number.
            minimum: Option<f64>,
            /// The largest number.
            maximum: Option<f64>,
            /// All numbers are above.
            #[serde(rename = "exclusiveMinimum")]
            exclusive_minimum: Option<f64>,
            /// All numbers are below.
            #[serde(rename = "exclusiveMaximum")]
            exclusive_maximum: Option<f64>,
            /// All numbers are multiples of it.
            #[serde(rename = "multipleOf")]
            multiple_of: Option<f64>,
            /// The smallest number of characters.
            #[serde(rename = "minLength")]
            min_length: Option<u32>,
            /// The largest number of characters.
            #[serde(rename = "maxLength")]
            max_length: Option<u32>,
            /// The smallest number of items.
            #[serde(rename = "minItems")]
            min_items: Option<u32>,
            /// The largest number of items.
            #[serde(rename = "maxItems")]
            max_items: Option<u32>,
            /// `true`: no two items are equal.
            #[serde(rename = "uniqueItems")]
            unique_items: Option<bool>,
            /// A regular expression that the text matches somewhere.
            pattern: Option<String>,
        }
    };
}

with_type_keywords! {
    /// An input or output of a step.
    #[derive(JsonSchema)]
    #[serde(deny_unknown_fields)]
    struct Field {
        /// Its name: letters, digits, `_` and `-`.
        name: String,
        /// What it holds; the LM is told.
        description: Option<String>,
        /// `false`: it may be absent, and is an `Option` in Rust.
        required: Option<bool>,
        /// `true`: its values are kept out of recordings of executions.
        sensitive: Option<bool>,
        /// Where an input's value comes from: text with `{{ expression }}` in it.
        template: Option<String>,
        /// The type as JSON Schema.
        schema: Option<Schema>,
        /// `string`, `integer`, `number`, `boolean`, `array`, `object`, `any`, `enum`, `list[T]`,
        /// `dict[string, T]`, `T?`, or the name of a type under `types`; for inputs also `image` and `document`. A
        /// list means one of them.
        r#type: Option<OneOrMore>,
    }
}

with_type_keywords! {
    /// An input of a workflow.
    #[derive(JsonSchema)]
    #[serde(deny_unknown_fields)]
    struct Input {
        /// Its name: letters, digits, `_` and `-`.
        name: String,
        /// What it holds; the LM is told.
        description: Option<String>,
        /// `false`: it may be absent, and is an `Option` in Rust.
        required: Option<bool>,
        /// `true`: its values are kept out of recordings of executions.
        sensitive: Option<bool>,
        /// The type as JSON Schema.
        schema: Option<Schema>,
        /// `string`, `integer`, `number`, `boolean`, `array`, `object`, `any`, `enum`, `list[T]`,
        /// `dict[string, T]`, `T?`, or the name of a type under `types`. A list means one of them.
        r#type: Option<OneOrMore>,
    }
}

with_type_keywords! {
    /// A type as JSON Schema: the part of it that is enforced on replies.
    #[derive(JsonSchema)]
    #[serde(deny_unknown_fields)]
    struct Schema {
        /// As the `type` of a field.
        r#type: Option<OneOrMore>,
        /// What it holds; the LM is told.
        description: Option<String>,
        /// A name, for an alternative of `anyOf`.
        title: Option<String>,
        /// Says nothing about values.
        #[serde(rename = "$schema")]
        dialect: Option<String>,
        /// Says nothing about values.
        #[serde(rename = "$id")]
        id: Option<String>,
        /// Says nothing about values.
        #[serde(rename = "$comment")]
        comment: Option<String>,
        /// Says nothing about values.
        examples: Option<Value>,
        /// Says nothing about values.
        deprecated: Option<bool>,
        /// The properties that must be there; all, if this is not.
        required: Option<Vec<String>>,
    }
}

#[derive(JsonSchema)]
#[serde(untagged)]
enum Additional {
    /// `false`: there are no others.
    Allowed(bool),
    /// The type of every value.
    Typed(Box<Schema>),
}

/// A value that is written without quotes or with them; it is a text.
#[derive(JsonSchema)]
#[serde(untagged)]
enum Scalar {
    Text(String),
    Number(f64),
    Boolean(bool),
    Null,
}

/// Settings for the optimizer, and how many examples the LM is shown.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
struct DspyConfig {
    /// Whether optimized prompts are wanted.
    optimization_enabled: Option<bool>,
    /// The optimizer, or several that run one after the other.
    optimizer: Option<OneOrMore>,
    /// The settings of the optimizer; for several, by their names.
    optimizer_settings: Option<BTreeMap<String, Value>>,
    /// An older name of `optimizer`.
    evaluation_mode: Option<String>,
    /// What makes an output good: the name of a metric.
    metric: Option<String>,
    /// An older name of `metric`.
    evaluation_metric: Option<String>,
    /// What the optimization is for.
    optimization_target: Option<String>,
    /// How many examples the optimizer learns from.
    training_size: Option<u32>,
    /// How many examples prompts are compared on.
    validation_size: Option<u32>,
    /// How many examples the LM is shown.
    few_shot_examples: Option<u32>,
    /// How often the optimizer goes around.
    bootstrap_iterations: Option<u32>,
    /// A file of examples, seen from the directory of this one.
    training_examples_path: Option<String>,
    /// A file of examples that prompts are compared by, seen from the directory of this one.
    validation_examples_path: Option<String>,
    /// A file of examples that no optimizer sees, seen from the directory of this one.
    test_examples_path: Option<String>,
    /// A file of examples for all steps, seen from the directory of this one.
    global_training_data: Option<String>,
}

/// An example of a step's work.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
struct Example {
    /// A value for each input field.
    input: BTreeMap<String, Value>,
    /// A value for each output field.
    output: BTreeMap<String, Value>,
}
