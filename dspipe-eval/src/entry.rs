//! A test target in one line.

/// The whole of a test target.
///
/// With the module that has the compiled workflows, it is of all suites that the build script found
/// (`evals/*.eval.yaml`); the Rust functions that they name as `rust: kind` follow:
///
/// ```ignore
/// dspipe_eval::main!(my_crate::workflows, kind = from_fn(kind));
/// ```
///
/// Without a build script, it is of the suites in these files, each of a compiled workflow:
///
/// ```ignore
/// dspipe_eval::main!(
///     workflows::triage::Workflow => "evals/topics.eval.yaml",
///     workflows::answer::Workflow => "evals/answers.eval.yaml" with {"kind": from_fn(kind)},
/// );
/// ```
#[macro_export]
macro_rules! main {
    ($($workflow:ty => $file:literal $(with {$($name:literal: $metric:expr),* $(,)?})?),+ $(,)?) => {
        fn main() -> ::std::process::ExitCode {
            let harness = $crate::harness::Harness::new(env!("CARGO_TARGET_TMPDIR"))
                .snapshots($crate::__assert_snapshot!());
            $(
                let metrics: ::std::vec::Vec<(
                    ::std::string::String,
                    ::std::sync::Arc<dyn $crate::metric::Metric>,
                )> = ::std::vec![
                    $($((::std::string::String::from($name), ::std::sync::Arc::new($metric) as _)),*)?
                ];
                let suite = $crate::FileSuite::of_workflow::<$workflow>(
                    env!("CARGO_MANIFEST_DIR"),
                    $file,
                    metrics,
                );
                let harness = harness.with(::std::sync::Arc::new(suite));
            )+
            harness.main()
        }
    };
    ($($workflows:ident)::+ $(, $name:ident = $metric:expr)* $(,)?) => {
        fn main() -> ::std::process::ExitCode {
            // What the build script wrote knows these by their names, which variables would not allow.
            #[allow(unused_imports)]
            use $($workflows)::+ as dspipe_workflows;

            type DspipeMetric = ::std::sync::Arc<dyn $crate::metric::Metric>;
            type DspipeSuite = ::std::sync::Arc<dyn $crate::Suite>;

            #[allow(dead_code)]
            struct MetricsGivenToMain {
                $($name: DspipeMetric,)*
            }

            #[allow(dead_code)]
            fn dspipe_metrics() -> MetricsGivenToMain {
                MetricsGivenToMain {
                    $($name: ::std::sync::Arc::new($metric),)*
                }
            }

            #[allow(dead_code)]
            fn dspipe_named(
                metrics: ::std::vec::Vec<(&str, DspipeMetric)>,
            ) -> ::std::vec::Vec<(::std::string::String, DspipeMetric)> {
                let metrics = metrics.into_iter();
                metrics.map(|(name, metric)| (name.to_owned(), metric)).collect()
            }

            #[allow(dead_code)]
            fn dspipe_workflow_suite<W: $crate::__runtime::Workflow + 'static>(
                file: &str,
                metrics: ::std::vec::Vec<(&str, DspipeMetric)>,
            ) -> DspipeSuite {
                let (package, metrics) = (env!("CARGO_MANIFEST_DIR"), dspipe_named(metrics));
                ::std::sync::Arc::new($crate::FileSuite::of_workflow::<W>(package, file, metrics))
            }

            #[allow(dead_code)]
            fn dspipe_step_suite<S>(
                file: &str,
                metrics: ::std::vec::Vec<(&str, DspipeMetric)>,
            ) -> DspipeSuite
            where
                S: $crate::__runtime::Signature + 'static,
                S::Input: $crate::__runtime::Read,
            {
                let (package, metrics) = (env!("CARGO_MANIFEST_DIR"), dspipe_named(metrics));
                ::std::sync::Arc::new($crate::FileSuite::of_step::<S>(package, file, metrics))
            }

            let suites: ::std::vec::Vec<DspipeSuite> =
                include!(concat!(env!("OUT_DIR"), "/dspipe_evals.rs"));
            let harness = $crate::harness::Harness::new(env!("CARGO_TARGET_TMPDIR"))
                .snapshots($crate::__assert_snapshot!());
            suites
                .into_iter()
                .fold(harness, $crate::harness::Harness::with)
                .main()
        }
    };
}

/// Where insta looks for the workspace is decided where the macro stands: in the user's crate.
#[doc(hidden)]
#[macro_export]
macro_rules! __assert_snapshot {
    () => {
        |directory: &::std::path::Path, name: &str, text: &str| {
            let mut settings = $crate::__insta::Settings::clone_current();
            settings.set_snapshot_path(directory);
            settings.set_prepend_module_to_snapshot(false);
            settings.set_omit_expression(true);
            settings.bind(|| $crate::__insta::assert_snapshot!(name, text));
        }
    };
}
