//! Charts as SVG inside of a page. There are no styles in them, which the page's policy would not allow, and no texts
//! of traffic; what is written beside them is HTML, so that it is readable at any width.

use std::fmt::Write;

/// Width and height of what charts are drawn in; the page stretches them.
const WIDTH: f64 = 600.0;
const HEIGHT: f64 = 100.0;
/// The same of small ones.
const SMALL_WIDTH: i32 = 120;
const SMALL_HEIGHT: i32 = 26;
/// Bins of a distribution.
const BINS: usize = 56;

/// A line over time; where there is no value it is broken.
#[derive(Clone, Debug)]
pub(super) struct Line {
    /// How it looks: `baseline`, `candidate`, …
    pub(super) class: &'static str,
    pub(super) points: Vec<Option<f64>>,
}

impl Line {
    pub(super) fn new(class: &'static str, points: impl IntoIterator<Item = Option<f64>>) -> Self {
        Self { class, points: points.into_iter().collect() }
    }
}

/// The largest value of some lines, and at least this.
pub(super) fn most(lines: &[Line], least: f64) -> f64 {
    lines.iter().flat_map(|line| &line.points).flatten().copied().fold(least, f64::max)
}

/// Opens a chart that is read out as `label`, which is ours.
fn open(class: &str, label: &str) -> String {
    format!(
        "<svg class=\"{class}\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" preserveAspectRatio=\"none\" \
         role=\"img\" aria-label=\"{label}\">"
    )
}

/// Opens a small chart. There are hundreds on a page, so that all of it is written as briefly as can be.
fn open_small(label: &str) -> String {
    format!(
        "<svg class=\"spark\" viewBox=\"0 0 {SMALL_WIDTH} {SMALL_HEIGHT}\" preserveAspectRatio=\"none\" \
         role=\"img\" aria-label=\"{label}\">"
    )
}

/// Lines without axes, on the scale of the largest value.
pub(super) fn spark(lines: &[Line], label: &str) -> String {
    let mut svg = open_small(label);
    let most = most(lines, f64::MIN_POSITIVE);
    for Line { class, points } in lines {
        let (mut path, mut before) = (String::new(), None);
        for (at, value) in points.iter().enumerate() {
            let Some(value) = value else {
                before = None;
                continue;
            };
            let (x, y) = (small_x(at, points.len()), small_y(value / most));
            let is_alone = before.is_none() && points.get(at + 1).is_none_or(Option::is_none);
            match before {
                Some((old_x, old_y)) => {
                    push(&mut path, format_args!("l{} {}", x - old_x, y - old_y));
                }
                // A point that stands alone is a short line, or nobody would see it.
                None if is_alone => push(&mut path, format_args!("M{} {y}h4", (x - 4).max(0))),
                None => push(&mut path, format_args!("M{x} {y}")),
            }
            before = Some((x, y));
        }
        push(&mut svg, format_args!("<path class=\"line {class}\" d=\"{path}\"/>"));
    }
    svg + "</svg>"
}

/// Bars without axes.
pub(super) fn bars(values: &[f64], class: &str, label: &str) -> String {
    let mut svg = open_small(label);
    let most = values.iter().copied().fold(1.0, f64::max);
    let mut path = String::new();
    for (at, value) in values.iter().enumerate().filter(|(_, value)| **value > 0.0) {
        let (x, y) = (small_x(at, values.len()), small_y(value / most).min(SMALL_HEIGHT - 2));
        push(&mut path, format_args!("M{x} {SMALL_HEIGHT}V{y}"));
    }
    push(&mut svg, format_args!("<path class=\"bars {class}\" d=\"{path}\"/>"));
    svg + "</svg>"
}

#[expect(clippy::cast_possible_truncation, reason = "it lies within a small chart")]
fn small_x(at: usize, points: usize) -> i32 {
    let span = float(points.saturating_sub(1).max(1));
    (float(at) * f64::from(SMALL_WIDTH - 2) / span).round() as i32 + 1
}

#[expect(clippy::cast_possible_truncation, reason = "it lies within a small chart")]
fn small_y(part: f64) -> i32 {
    let height = f64::from(SMALL_HEIGHT - 2);
    SMALL_HEIGHT - 1 - (part.clamp(0.0, 1.0) * height).round() as i32
}

/// Lines up to `top`, with a line across at `limit`, and a mark at each of these points.
pub(super) fn over_time(
    lines: &[Line],
    (top, limit): (f64, Option<f64>),
    marks: &[usize],
    label: &str,
) -> String {
    let mut svg = open("plot", label);
    for part in 1..4 {
        across(&mut svg, "grid", HEIGHT * f64::from(part) / 4.0);
    }
    if let Some(limit) = limit {
        across(&mut svg, "limit", height_of(limit, top));
    }
    let points = lines.iter().map(|line| line.points.len()).max().unwrap_or(0);
    for mark in marks {
        let x = x_of(*mark, points);
        push(&mut svg, format_args!("<path class=\"trip\" d=\"M{x:.1} 0V{HEIGHT}\"/>"));
    }
    lines.iter().for_each(|line| draw(&mut svg, line, top));
    svg + "</svg>"
}

fn across(svg: &mut String, class: &str, y: f64) {
    push(svg, format_args!("<path class=\"{class}\" d=\"M0 {y:.1}H{WIDTH}\"/>"));
}

fn draw(svg: &mut String, line: &Line, top: f64) {
    let mut path = String::new();
    let mut is_down = false;
    for (at, value) in line.points.iter().enumerate() {
        let Some(value) = value else {
            is_down = false;
            continue;
        };
        let (x, y) = (x_of(at, line.points.len()), height_of(*value, top));
        // A point that stands alone is a short line, or nobody would see it.
        let is_alone = !is_down && line.points.get(at + 1).is_none_or(Option::is_none);
        if is_alone {
            let x = (x - 8.0).max(0.0);
            push(&mut path, format_args!("M{x:.1} {y:.1}h8"));
        } else {
            let step = if is_down { 'L' } else { 'M' };
            push(&mut path, format_args!("{step}{x:.1} {y:.1}"));
        }
        is_down = true;
    }
    push(svg, format_args!("<path class=\"line {}\" d=\"{path}\"/>", line.class));
}

fn x_of(at: usize, points: usize) -> f64 {
    float(at) * WIDTH / float(points.saturating_sub(1).max(1))
}

fn height_of(value: f64, top: f64) -> f64 {
    let part = if top > 0.0 { (value / top).clamp(0.0, 1.0) } else { 0.0 };
    HEIGHT - part * (HEIGHT - 2.0) - 1.0
}

/// Where a share from 0 to 1 lies on a scale on which small ones are told apart: its cube root.
fn place_of(share: f64) -> f64 {
    share.clamp(0.0, 1.0).cbrt() * WIDTH
}

/// The same of what may be below 0, which is in the middle.
fn signed_place_of(share: f64) -> f64 {
    (share.clamp(-1.0, 1.0).cbrt() + 1.0) / 2.0 * WIDTH
}

/// Bounds that a share lies between, where it was seen, and what is allowed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) lower: f64,
    pub(super) upper: f64,
    pub(super) seen: f64,
    pub(super) allowed: Option<f64>,
}

impl Bounds {
    /// A share from 0 to 1.
    pub(super) fn of_share(self, verdict: &str) -> String {
        self.drawn(verdict, place_of, "share, its bounds and what is allowed")
    }

    /// A difference of shares, from -1 to 1.
    pub(super) fn of_difference(self, verdict: &str) -> String {
        self.drawn(verdict, signed_place_of, "difference, its bounds and what is allowed")
    }

    fn drawn(self, verdict: &str, place: impl Fn(f64) -> f64, label: &str) -> String {
        let mut svg = open("bounds", label);
        let (from, to, seen) = (place(self.lower), place(self.upper), place(self.seen));
        let zero = place(0.0);
        push(&mut svg, format_args!("<path class=\"track\" d=\"M0 50H{WIDTH}\"/>"));
        if zero > 0.0 {
            push(&mut svg, format_args!("<path class=\"zero\" d=\"M{zero:.1} 15V85\"/>"));
        }
        if let Some(allowed) = self.allowed.map(place) {
            push(&mut svg, format_args!("<path class=\"allowed\" d=\"M{allowed:.1} 0V100\"/>"));
        }
        let width = (to - from).max(3.0);
        push(
            &mut svg,
            format_args!(
                "<rect class=\"range {verdict}\" x=\"{from:.1}\" y=\"30\" width=\"{width:.1}\" height=\"40\"/>\
                 <path class=\"seen\" d=\"M{seen:.1} 15V85\"/></svg>"
            ),
        );
        svg
    }
}

/// Parts of a whole beside each other.
pub(super) fn stacked(parts: &[(&str, u64)], label: &str) -> String {
    let mut svg = open("stack", label);
    let all: u64 = parts.iter().map(|(_, count)| count).sum();
    let mut x = 0.0;
    for (class, count) in parts.iter().filter(|(_, count)| *count > 0) {
        let width = whole(*count) / whole(all.max(1)) * WIDTH;
        push(
            &mut svg,
            format_args!(
                "<rect class=\"part {class}\" x=\"{x:.1}\" y=\"0\" width=\"{width:.1}\" height=\"{HEIGHT}\"/>"
            ),
        );
        x += width;
    }
    svg + "</svg>"
}

/// Latencies of one side: from, to, in seconds, and how many.
pub type Buckets = Vec<(f64, f64, u64)>;

/// Two distributions over one logarithmic axis; with the two ends of that axis.
pub(super) fn distributions(sides: [(&str, &Buckets); 2]) -> Option<(String, [f64; 2])> {
    let all = || sides.iter().flat_map(|(_, buckets)| buckets.iter());
    let least = all().map(|(from, ..)| from.max(1e-6)).reduce(f64::min)?;
    let most = all().map(|(_, to, _)| *to).reduce(f64::max)?.max(least * 2.0);
    let shares = sides.map(|(class, buckets)| (class, binned(buckets, least, most)));
    let top = shares.iter().flat_map(|(_, bins)| bins).copied().fold(f64::MIN_POSITIVE, f64::max);
    let mut svg = open("plot", "latency distributions of baseline and candidate");
    for part in 1..4 {
        across(&mut svg, "grid", HEIGHT * f64::from(part) / 4.0);
    }
    for (class, bins) in &shares {
        let mut path = format!("M0 {HEIGHT}");
        let width = WIDTH / float(BINS);
        for (at, share) in bins.iter().enumerate() {
            let y = height_of(*share, top * 1.05);
            push(&mut path, format_args!("V{y:.1}H{:.1}", float(at + 1) * width));
        }
        push(&mut svg, format_args!("<path class=\"area {class}\" d=\"{path}V{HEIGHT}z\"/>"));
    }
    Some((svg + "</svg>", [least, most]))
}

/// The share of latencies in each bin of a logarithmic axis.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the place is clamped to the bins there are"
)]
fn binned(buckets: &Buckets, least: f64, most: f64) -> Vec<f64> {
    let mut bins = vec![0.0; BINS];
    let all: u64 = buckets.iter().map(|(_, _, count)| count).sum();
    let span = (most / least).ln();
    for (from, to, count) in buckets {
        let middle = f64::midpoint(*from, *to).max(least);
        let place = ((middle / least).ln() / span * float(BINS)).clamp(0.0, float(BINS - 1));
        bins[place as usize] += whole(*count) / whole(all.max(1));
    }
    bins
}

fn push(svg: &mut String, part: std::fmt::Arguments<'_>) {
    svg.write_fmt(part).expect("a string takes all");
}

#[expect(clippy::cast_precision_loss, reason = "there are few points")]
fn float(number: usize) -> f64 {
    number as f64
}

#[expect(clippy::cast_precision_loss, reason = "counts stay below 2^53")]
fn whole(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_where_nothing_is_known_and_a_lone_point_shows() {
        let points = [Some(1.0), Some(2.0), None, Some(1.0), None];
        let svg = spark(&[Line::new("candidate", points)], "x");
        let path = svg.split("d=\"").nth(1).unwrap();
        assert_eq!(path.matches('M').count(), 2, "{svg}");
        assert!(path.contains("h4") && !svg.contains("style"), "{svg}");
        assert!(svg.len() < 250, "there are hundreds: {svg}");
    }

    #[test]
    fn bounds_stay_within_the_drawing() {
        let bounds = Bounds { lower: -2.0, upper: 3.0, seen: 0.5, allowed: Some(0.01) };
        for svg in [bounds.of_share("fail"), bounds.of_difference("pass")] {
            assert!(!svg.contains("NaN") && !svg.contains("\"-"), "{svg}");
            assert!(svg.contains("class=\"allowed\""), "{svg}");
        }
    }

    #[test]
    fn charts_of_nothing_are_charts() {
        let nothing = [
            spark(&[], "x"),
            bars(&[], "candidate", "x"),
            over_time(&[Line::new("a", [])], (0.0, None), &[], "x"),
            stacked(&[("a", 0)], "x"),
        ];
        for svg in nothing {
            assert!(svg.ends_with("</svg>") && !svg.contains("NaN"), "{svg}");
        }
        assert!(distributions([("a", &Vec::new()), ("b", &Vec::new())]).is_none());
    }

    #[test]
    fn both_distributions_are_on_one_axis() {
        let (fast, slow) = (vec![(0.001, 0.0011, 9)], vec![(0.1, 0.11, 9)]);
        let (svg, [from, to]) = distributions([("baseline", &fast), ("candidate", &slow)]).unwrap();
        assert!((from - 0.001).abs() < 1e-9 && (to - 0.11).abs() < 1e-9);
        assert_eq!(svg.matches("class=\"area").count(), 2);
    }
}
