//! What a place in which answers differ is told as, in one line, whatever the format.

use super::line::Line;
use super::summary::{ExampleSummary, FieldSummary, SuggestedRule};

/// A place in which answers differ: what differs there, of what risk, in how many pairs.
pub fn described(field: &FieldSummary) -> Line {
    let mut line = Line::default()
        .place(&field.field)
        .say(format!(" ({}; risk {}): ", field.kinds.join(", "), field.risk))
        .say(format!("{} of {} pairs", field.raw, field.pairs));
    if let Some(explanation) = &field.explanation {
        line = line.say(", ").quote(explanation);
    } else if let Some(shape) = &field.shape {
        line = line.say(", candidate: ").quote(shape);
    }
    if field.repeats {
        line = line.say(", always the same");
    }
    if field.noise_pairs > 0 {
        let FieldSummary { noise, noise_pairs, net, .. } = field;
        line = line.say(format!(", {noise} of {noise_pairs} between baselines, net {net:.0}"));
    }
    if field.is_noise { line.say(", noise") } else { line }
}

/// The rule that would settle it, what speaks for it, and what it would leave.
pub fn suggestion(field: &FieldSummary) -> Option<Line> {
    let SuggestedRule { rule, evidence, leaves, .. } = field.suggestion.as_ref()?;
    let line = Line::new("a rule would settle it: ").whole(rule.lines().last()?);
    let line = line.say(" (").quote(evidence).say(")");
    Some(match leaves {
        Some(leaves) => line.say("; of the last pairs, ").quote(leaves),
        None => line,
    })
}

/// How the request of an example is sent again, where that is known.
pub fn curl(example: &ExampleSummary) -> Option<Line> {
    let asked = example.asked.as_ref()?;
    Some(Line::new("again: ").whole(&asked.curl))
}

/// A difference as it was.
pub fn example(example: &ExampleSummary) -> Line {
    let ExampleSummary { place, baseline, candidate, note, request, seen, .. } = example;
    let side = |line: Line, value: &Option<String>| match value {
        Some(value) => line.quote(value),
        None => line.say("nothing"),
    };
    let line = side(Line::default().place(place).say(": "), baseline);
    let mut line = side(line.say(" -> "), candidate);
    if let Some(note) = note {
        line = line.say(" (").quote(note).say(")");
    }
    if let Some(request) = request {
        line = line.say(" in ").quote(request);
    }
    line.say(" at ").quote(seen)
}
