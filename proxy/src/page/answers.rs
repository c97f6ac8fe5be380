//! The two answers of a pair beside each other, line by line: what differs is marked, what is equal is folded away,
//! and what is hidden is told apart by whether it is equal.

use std::borrow::Cow;
use std::ops::Range;
use std::time::{Duration, Instant};

use similar::{DiffTag, TextDiff};

use super::marked::{NAMES, Part, Side, marked, sides};
use super::words::{count, text};
use crate::observe::kept::{Answer, Kept};
use crate::spread::spread;
use compare::{Difference, Kind};

/// Lines that are shown around what differs.
const AROUND: usize = 3;
/// Fewer are not worth a fold.
const FOLD_MIN: usize = 2;
/// Lines of a pair, those that are folded included.
const LINES_MAX: usize = 2000;
/// Bytes of a line, and of the key before its value.
const LINE_MAX: usize = 1000;
const KEY_MAX: usize = 300;
/// Bytes before the first difference of a longer line.
const BEFORE_MAX: usize = 200;
/// How long lines are put beside each other, and how long all of them are looked at closer.
const ALIGNING: Duration = Duration::from_millis(50);
const MARKING: Duration = Duration::from_millis(50);
/// What begins a value that is hidden, and how many digits its hash has.
const MASK: &str = "\"***";
const HASH: usize = 16;
/// What is shown of it.
const MASKED: &str = "masked";
const UNEQUAL: &str = "masked, not equal";

/// A pair as it is shown.
pub(super) struct Answers {
    pub(super) heads: [Head; 2],
    pub(super) blocks: Vec<Block>,
    /// What found no room.
    pub(super) left_out: Option<String>,
    /// Whether both bodies are there.
    pub(super) is_whole: bool,
    /// What differs and is not in the lines.
    pub(super) listed: Vec<Listed>,
}

pub(super) struct Head {
    pub(super) name: &'static str,
    pub(super) status: u16,
    pub(super) is_another: bool,
    pub(super) has_body: bool,
}

/// Lines that stand together.
pub(super) struct Block {
    /// What is said of them where they are folded.
    pub(super) folded: Option<String>,
    pub(super) rows: Vec<Row>,
    pub(super) left_out: Option<String>,
}

pub(super) struct Row {
    pub(super) differs: bool,
    pub(super) sides: [Cell; 2],
}

pub(super) struct Cell {
    pub(super) name: &'static str,
    /// `None` where the other side alone has a line.
    pub(super) line: Option<Line>,
}

pub(super) struct Line {
    pub(super) number: usize,
    pub(super) parts: Vec<Part>,
}

/// A place that differs.
pub(super) struct Listed {
    pub(super) place: String,
    pub(super) kind: &'static str,
    pub(super) note: Option<String>,
    pub(super) sides: [Side; 2],
}

/// Puts the answers of a pair beside each other.
pub(super) fn answers(pair: &Kept) -> Answers {
    let [ours, theirs] = &pair.answers;
    let head = |name, answer: &Answer| Head {
        name,
        status: answer.status,
        is_another: ours.status != theirs.status,
        has_body: answer.body.is_some() || answer.lines.is_some(),
    };
    let texts = pair.answers.each_ref().map(lines);
    let (blocks, more) = blocks(&Texts {
        lines: texts.each_ref().map(|text| text.lines().collect()),
        is_json: [ours, theirs].into_iter().all(|answer| answer.lines.is_none()),
        until: Instant::now() + ALIGNING + MARKING,
    });
    let heads = [head(NAMES[0], ours), head(NAMES[1], theirs)];
    let is_whole = heads.iter().all(|head| head.has_body);
    // The lines show what differs in them.
    let is_listed = |it: &&Difference| !is_whole || it.kind == Kind::Header;
    Answers {
        heads,
        blocks,
        left_out: told_of(more, "more line"),
        is_whole,
        listed: pair.differences.iter().filter(is_listed).map(listed).collect(),
    }
}

fn lines(answer: &Answer) -> Cow<'_, str> {
    let text = |bytes| String::from_utf8_lossy(bytes);
    match (&answer.body, &answer.lines) {
        (Some(body), _) => spread(&text(body)).into(),
        (None, lines) => text(lines.as_deref().unwrap_or_default()),
    }
}

fn told_of(lines: usize, what: &str) -> Option<String> {
    let plural = if lines == 1 { "" } else { "s" };
    (lines > 0).then(|| format!("{} {what}{plural}", count(lines as u64)))
}

fn listed(it: &Difference) -> Listed {
    Listed {
        place: text(&it.place),
        kind: it.kind.name(),
        note: it.note.as_deref().map(text),
        sides: sides(it.baseline.as_deref(), it.candidate.as_deref()),
    }
}

/// What is put beside each other.
struct Texts<'t> {
    lines: [Vec<&'t str>; 2],
    /// Whether a comma at the end of a line says that another value follows, and nothing of its own.
    is_json: bool,
    /// When no line is looked into any more.
    until: Instant,
}

impl Texts<'_> {
    /// A line without the comma that is none of its own.
    fn bare<'l>(&self, line: &'l str) -> &'l str {
        if self.is_json { bare(line) } else { line }
    }
}

/// Lines of both sides that are equal, or that stand in each other's place.
struct Stretch {
    differs: bool,
    folded: bool,
    lines: [Range<usize>; 2],
}

impl Stretch {
    fn len(&self) -> usize {
        self.lines.iter().map(ExactSizeIterator::len).max().unwrap_or_default()
    }

    /// These of an equal stretch.
    fn part(&self, part: Range<usize>, folded: bool) -> Self {
        let lines = self.lines.clone().map(|it| it.start + part.start..it.start + part.end);
        Self { differs: false, folded, lines }
    }
}

/// All lines that find room, and how many do not.
fn blocks(texts: &Texts<'_>) -> (Vec<Block>, usize) {
    let stretches = folded(stretches(texts));
    let seen = |it: &&Stretch| !it.folded;
    let mut room = LINES_MAX;
    let wanted: usize = stretches.iter().filter(seen).map(Stretch::len).sum();
    let mut room_in_folds = LINES_MAX.saturating_sub(wanted);
    let (mut blocks, mut more): (Vec<Block>, _) = (Vec::new(), 0);
    for stretch in stretches {
        if room == 0 {
            more += stretch.len();
            continue;
        }
        let room = if stretch.folded { &mut room_in_folds } else { &mut room };
        let shown = stretch.len().min(*room);
        *room -= shown;
        let rows = (0..shown).map(|at| row(texts, &stretch, at));
        let left_out = stretch.len() - shown;
        match blocks.last_mut() {
            Some(last) if !stretch.folded && last.folded.is_none() => last.rows.extend(rows),
            _ => blocks.push(Block {
                folded: stretch.folded.then(|| told_of(stretch.len(), "equal line")).flatten(),
                rows: rows.collect(),
                left_out: told_of(if stretch.folded { left_out } else { 0 }, "more line"),
            }),
        }
        more += if stretch.folded { 0 } else { left_out };
    }
    (blocks, more)
}

/// Which lines are equal.
fn stretches(texts: &Texts<'_>) -> Vec<Stretch> {
    let [ours, theirs] = texts
        .lines
        .each_ref()
        .map(|lines| lines.iter().map(|line| texts.bare(line)).collect::<Vec<_>>());
    let mut settings = TextDiff::configure();
    let diff = settings.deadline(Instant::now() + ALIGNING).diff_slices(&ours, &theirs);
    let stretch = |op: &similar::DiffOp| {
        let (tag, ours, theirs) = op.as_tag_tuple();
        Stretch { differs: tag != DiffTag::Equal, folded: false, lines: [ours, theirs] }
    };
    diff.ops().iter().map(stretch).collect()
}

fn bare(line: &str) -> &str {
    line.strip_suffix(',').unwrap_or(line)
}

/// The same with the equal ones folded, but for what is around others.
fn folded(all: Vec<Stretch>) -> Vec<Stretch> {
    let (mut folded, last) = (Vec::new(), all.len().saturating_sub(1));
    for (at, stretch) in all.into_iter().enumerate() {
        let length = stretch.len();
        let start = if at == 0 { 0 } else { AROUND };
        let end = length.saturating_sub(if at == last { 0 } else { AROUND });
        if stretch.differs || start + FOLD_MIN > end {
            folded.push(stretch);
            continue;
        }
        let parts = [(0..start, false), (start..end, true), (end..length, false)];
        let parts = parts.into_iter().filter(|(part, _)| !part.is_empty());
        folded.extend(parts.map(|(part, is_folded)| stretch.part(part, is_folded)));
    }
    folded
}

fn row(texts: &Texts<'_>, stretch: &Stretch, at: usize) -> Row {
    let found = [0, 1].map(|side| {
        let number = (at < stretch.lines[side].len()).then(|| stretch.lines[side].start + at)?;
        Some((number + 1, texts.lines[side][number]))
    });
    let parts = match found {
        [Some((_, ours)), Some((_, theirs))] if stretch.differs => both(texts, [ours, theirs]),
        _ => found.map(|line| line.map(|(_, line)| parts(line, None)).unwrap_or_default()),
    };
    let mut parts = parts.into_iter();
    let sides = [0, 1].map(|side| Cell {
        name: NAMES[side],
        line: found[side].zip(parts.next()).map(|((number, _), parts)| Line { number, parts }),
    });
    Row { differs: stretch.differs, sides }
}

/// Two lines that differ, with what differs marked.
fn both(texts: &Texts<'_>, [ours, theirs]: [&str; 2]) -> [Vec<Part>; 2] {
    let head = common_head(ours, theirs);
    let rests = [&ours[head..], &theirs[head..]];
    let hidden = rests.map(|rest| hidden(rest).map(|at| &rest[at]));
    let values = match hidden {
        [None, None] if Instant::now() < texts.until => values(texts, rests),
        [Some(one), Some(two)] if one == two => rests.map(|rest| parts(rest, None)),
        [Some(_), Some(_)] => rests.map(|rest| parts(rest, Some(UNEQUAL))),
        _ => rests.map(|rest| parts(rest, Some(MASKED))),
    };
    let head = cut(&ours[..head], KEY_MAX);
    values.map(|values| [vec![part(&head)], values].concat())
}

/// Two values without what both have at their beginning, where they are long.
fn values(texts: &Texts<'_>, values: [&str; 2]) -> [Vec<Part>; 2] {
    let bare = values.map(|value| texts.bare(value));
    let commas = [0, 1].map(|side| &values[side][bare[side].len()..]);
    let mut start = 0;
    if bare.iter().any(|value| value.len() > LINE_MAX) {
        let same = bare[0].bytes().zip(bare[1].bytes()).take_while(|(a, b)| a == b).count();
        start = bare[0].floor_char_boundary(same.saturating_sub(BEFORE_MAX));
    }
    let [ours, theirs] = bare.map(|value| cut(&value[start..], LINE_MAX));
    let mut sides = marked(&ours, &theirs);
    for (side, comma) in sides.iter_mut().zip(commas) {
        if start > 0 {
            side.insert(0, part("…"));
        }
        side.push(part(comma));
    }
    sides
}

/// How much both lines begin with: white space and a key.
fn common_head(ours: &str, theirs: &str) -> usize {
    let same = ours.bytes().zip(theirs.bytes()).take_while(|(a, b)| a == b).count();
    let same = &ours[..ours.floor_char_boundary(same)];
    let white = same.len() - same.trim_start().len();
    same.find("\": ").map_or(white, |at| at + "\": ".len())
}

/// A line as it is; all of it marked but for its comma, where it is said what stands for a value that is hidden.
fn parts(line: &str, marked: Option<&str>) -> Vec<Part> {
    let (said, marked) = (marked.unwrap_or(MASKED), marked.is_some());
    let whole = |line: &str| Part { marked, ..part(&cut(line, LINE_MAX)) };
    let bare = bare(line);
    let (shown, mask) = match hidden(line) {
        Some(at) => (at.start, Some(Part { text: said.to_owned(), marked, is_mask: true })),
        None => (bare.len(), None),
    };
    let shown = (shown > 0).then(|| whole(&line[..shown]));
    shown.into_iter().chain(mask).chain([part(&line[bare.len()..])]).collect()
}

fn part(line: &str) -> Part {
    Part { text: text(line), marked: false, is_mask: false }
}

/// Where the value of a line is, if it is hidden.
fn hidden(line: &str) -> Option<Range<usize>> {
    let end = bare(line).len();
    let start = line[..end].rfind(MASK)?;
    let hash = line[start + MASK.len()..end].strip_suffix('"')?;
    let is_hash = hash.len() == HASH && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
    let before = &line[..start];
    let is_value = before.ends_with("\": ") || before.trim_start().is_empty();
    (is_value && (hash.is_empty() || is_hash)).then_some(start..end)
}

/// No more than so many bytes.
fn cut(line: &str, most: usize) -> String {
    let end = line.floor_char_boundary(most);
    format!("{}{}", &line[..end], if end < line.len() { "…" } else { "" })
}

#[cfg(test)]
mod tests;
