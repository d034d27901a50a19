//! Damaged replies, read by crates that repair JSON: for each, its name and its best time for one reply in
//! seconds, or why it cannot be measured.

use std::hint::black_box;
use std::time::Instant;

use serde_json::Value;

type Repair = fn(&str) -> Result<Value, String>;

const CRATES: [(&str, Repair); 3] = [
    ("jsonrepair", |text| {
        jsonrepair::loads(text, &jsonrepair::Options::default()).map_err(|error| error.to_string())
    }),
    ("jsonrepair_rs", |text| {
        jsonrepair_rs::jsonrepair_value(text).map_err(|error| error.to_string())
    }),
    ("llm_json", |text| {
        llm_json::loads(text, &llm_json::RepairOptions::default())
            .map_err(|error| error.to_string())
    }),
];

fn main() -> Result<(), String> {
    let mut arguments = std::env::args().skip(1);
    let mut file = || {
        let path = arguments.next().ok_or("usage: DAMAGED EXPECTED ROUNDS")?;
        std::fs::read_to_string(path).map_err(|error| error.to_string())
    };
    let (damaged, expected) = (file()?, file()?);
    let expected: Value = serde_json::from_str(&expected).map_err(|error| error.to_string())?;
    let rounds: u32 = arguments
        .next()
        .and_then(|rounds| rounds.parse().ok())
        .ok_or("how many rounds?")?;
    for (name, repair) in CRATES {
        match repair(&damaged) {
            Ok(value) if value == expected => {}
            Ok(value) => {
                let start: String = value.to_string().chars().take(60).collect();
                println!("{name} ! it reads something else: {start}");
                continue;
            }
            Err(error) => {
                println!("{name} ! {}", error.replace('\n', " "));
                continue;
            }
        }
        let mut best = f64::MAX;
        for _ in 0..7 {
            let start = Instant::now();
            for _ in 0..rounds {
                black_box(repair(black_box(&damaged))?);
            }
            best = best.min(start.elapsed().as_secs_f64() / f64::from(rounds));
        }
        println!("{name} {best}");
    }
    Ok(())
}
