use std::time::Instant;
fn main() {
    let n: usize = std::env::args().nth(1).unwrap().parse().unwrap();
    let steps: usize = std::env::args().nth(2).unwrap().parse().unwrap();
    let dir = std::path::PathBuf::from(format!("/tmp/waysin-phases-{n}-{steps}"));
    corpus::write(&dir, n, steps).unwrap();
    let t = Instant::now();
    let c = dspipe_build::Config::new()
        .workflows("workflows")
        .load(&dir)
        .unwrap();
    println!("load {:?}", t.elapsed());
    let t = Instant::now();
    let l: usize = c
        .workflows()
        .iter()
        .map(|w| w.items().unwrap().to_string().len())
        .sum();
    println!("to_string {:?} {l}", t.elapsed());
    let t = Instant::now();
    let l: usize = c.workflows().iter().map(|w| w.code().unwrap().len()).sum();
    println!("code {:?} {l}", t.elapsed());
}
#[path = "../src/corpus.rs"]
mod corpus;
