//! Messages as values: defaults, and messages of one version written in another, where fields are
//! dropped, refused or filled in.

use kafka_protocol_codegen::{Line, Sampler, Style};

use crate::oracle::kafka::Kafka;
use crate::values::{across, of_defaults};

/// Compares the defaults of each name and version, and `rounds` messages of each name and version
/// written in other versions.
pub(crate) fn compare(sampler: &mut Sampler, rounds: usize, kafka: &mut Kafka) {
    let lines = sampler.round(Style::Sparse);
    let questions: Vec<_> = lines.iter().map(default_of).collect();
    for (line, theirs) in lines.iter().zip(kafka.ask(&questions)) {
        agree(
            &of_defaults(&line.name, line.version),
            &theirs,
            &line.to_string(),
        );
    }
    let (mut equal, mut refused) = (0, 0);
    for round in 0..rounds {
        let style = if round == 0 {
            Style::Sparse
        } else {
            Style::Random
        };
        let lines = sampler.round(style);
        let mut questions = Vec::new();
        let mut ours = Vec::new();
        for line in &lines {
            let versions: Vec<_> = lines
                .iter()
                .filter(|other| other.name == line.name)
                .map(|other| other.version)
                .collect();
            let to = versions[sampler.below(versions.len())];
            let rest = line.to_string();
            questions.push(format!("cross\t{rest}\t{to}").replacen(
                &format!("\t{}\t{}\t", line.key, line.name),
                &format!("\t{}\t", line.name),
                1,
            ));
            ours.push(across(&line.name, line.version, to, &line.bytes));
        }
        for ((question, ours), theirs) in questions.iter().zip(&ours).zip(kafka.ask(&questions)) {
            agree(ours, &theirs, question);
            equal += usize::from(ours.is_ok());
            refused += usize::from(ours.is_err());
        }
    }
    println!(
        "{} defaults, all equal; {equal} messages written in another version, all equal, and {refused} \
         refused by both",
        lines.len()
    );
}

/// The question for the defaults of a message.
pub(crate) fn default_of(line: &Line) -> String {
    format!("default\t{}\t{}\t{}", line.kind, line.name, line.version)
}

fn agree(ours: &Result<String, String>, theirs: &Result<String, String>, question: &str) {
    match (ours, theirs) {
        (Err(_), Err(_)) => {}
        (ours, theirs) => assert_eq!(ours, theirs, "{question}"),
    }
}
