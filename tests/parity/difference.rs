//! What differs between two texts, line by line.

/// The lines that only one of the texts has, each with the heading it stands under; none if the texts
/// are equal. A heading is a line without indentation.
pub(crate) fn between(ours: &str, theirs: &str) -> Option<String> {
    if ours == theirs {
        return None;
    }
    let (ours, theirs) = (sections(ours), sections(theirs));
    let mut text = String::new();
    for (heading, body) in &ours {
        match theirs.iter().find(|(other, _)| other == heading) {
            Some((_, other)) if other == body => {}
            Some((_, other)) => {
                text.push_str(&format!("{heading}\n"));
                lines(&mut text, body, other);
            }
            None => text.push_str(&format!("- {heading}\n")),
        }
    }
    for (heading, _) in &theirs {
        if !ours.iter().any(|(other, _)| other == heading) {
            text.push_str(&format!("+ {heading}\n"));
        }
    }
    Some(text)
}

fn sections(text: &str) -> Vec<(&str, Vec<&str>)> {
    let mut sections: Vec<(&str, Vec<&str>)> = Vec::new();
    for line in text.lines() {
        match sections.last_mut() {
            Some((_, body)) if line.starts_with(' ') => body.push(line),
            _ => sections.push((line, Vec::new())),
        }
    }
    sections
}

/// Line for line where the texts have the same number of lines, else what lies between the first and the
/// last difference.
fn lines(text: &mut String, ours: &[&str], theirs: &[&str]) {
    if ours.len() == theirs.len() {
        for (ours, theirs) in ours.iter().zip(theirs).filter(|(a, b)| a != b) {
            text.push_str(&format!("-{ours}\n+{theirs}\n"));
        }
        return;
    }
    let same = |(a, b): &(&&str, &&str)| a == b;
    let head = ours.iter().zip(theirs).take_while(same).count();
    let (ours, theirs) = (&ours[head..], &theirs[head..]);
    let ends = ours.iter().rev().zip(theirs.iter().rev());
    let tail = ends.take_while(same).count();
    for line in &ours[..ours.len() - tail] {
        text.push_str(&format!("-{line}\n"));
    }
    for line in &theirs[..theirs.len() - tail] {
        text.push_str(&format!("+{line}\n"));
    }
}
