//! What is said about workflows with mistakes, as it is printed: one golden text for
//! each file in `tests/diagnostics`.

use std::path::Path;

use dspipe_build::Config;

#[test]
fn goldens() {
    let base = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/diagnostics");
    insta::glob!("diagnostics", "*.yaml", |path| {
        let name = path.file_name().unwrap();
        let compilation = Config::new().workflow(name).load(&base).unwrap();
        let [workflow] = compilation.workflows() else {
            panic!("one file, one workflow");
        };
        insta::assert_snapshot!(compilation.report(workflow));
        // Broken or not, what is generated must parse.
        if let Some(items) = workflow.items() {
            syn::parse_file(items).unwrap();
        }
    });
}

#[test]
fn what_cannot_be_read_is_a_diagnostic() {
    let base = std::env::temp_dir().join(format!("dspipe-unreadable-{}", std::process::id()));
    std::fs::create_dir_all(base.join("empty")).unwrap();
    std::fs::write(base.join("latin1.yaml"), b"workflow: caf\xe9\n").unwrap();
    let compilation = Config::new()
        .workflows("empty")
        .workflows("nowhere")
        .workflow("latin1.yaml")
        .workflow("missing.yaml")
        .load(&base)
        .unwrap();
    let reports: String = compilation
        .workflows()
        .iter()
        .map(|workflow| compilation.report(workflow))
        .collect();
    std::fs::remove_dir_all(&base).unwrap();
    insta::assert_snapshot!(reports);
}
