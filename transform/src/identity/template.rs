//! Which segments of a path hold a value: `/orders/{id}/lines/*`, `/issue{id}`.

use std::ops::Range;

/// Most segments.
const SEGMENTS_MAX: usize = 32;

/// A template of a path. A path that goes on behind it fits, too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    text: String,
    segments: Vec<Segment>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    Exact(String),
    Any,
    /// Between these texts.
    Value(String, String),
}

impl Template {
    /// Reads `/orders/{id}`: `{…}` is a value, which may be a part of a segment, and `*` any segment.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let inner = text.strip_prefix('/').ok_or("has a path that does not begin with /")?;
        let segments: Vec<_> = inner.split('/').map(segment).collect::<Result<_, _>>()?;
        if !segments.iter().any(|it| matches!(it, Segment::Value(..))) {
            return Err("has no segment such as {id}".to_owned());
        }
        if segments.len() > SEGMENTS_MAX {
            return Err(format!("has more than {SEGMENTS_MAX} segments"));
        }
        Ok(Self { text: text.to_owned(), segments })
    }

    /// As it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Where the value is in the segment at this index of a path, the first being that behind the first `/`.
    /// Segments are compared as they are sent.
    pub fn value(&self, path: &[&str], index: usize) -> Option<Range<usize>> {
        let fits = self.segments.len() <= path.len()
            && self.segments.iter().zip(path).all(|(segment, part)| segment.fits(part));
        let segment = self.segments.get(index).filter(|_| fits)?;
        segment.value(path[index])
    }
}

impl Segment {
    fn fits(&self, part: &str) -> bool {
        match self {
            Self::Exact(text) => text == part,
            Self::Any => !part.is_empty(),
            Self::Value(..) => self.value(part).is_some(),
        }
    }

    fn value(&self, part: &str) -> Option<Range<usize>> {
        let Self::Value(before, behind) = self else { return None };
        let value = part.strip_prefix(before.as_str())?.strip_suffix(behind.as_str())?;
        (!value.is_empty()).then(|| before.len()..before.len() + value.len())
    }
}

fn segment(part: &str) -> Result<Segment, String> {
    let is_text = |text: &str| !text.contains(['{', '}', '*', '?', '#']);
    let value = part.split_once('{').and_then(|(before, rest)| {
        let (name, behind) = rest.split_once('}')?;
        let fits = !name.is_empty() && [before, name, behind].into_iter().all(is_text);
        fits.then(|| Segment::Value(before.to_owned(), behind.to_owned()))
    });
    match part {
        "" => Err("has an empty segment".to_owned()),
        "*" => Ok(Segment::Any),
        part if is_text(part) => Ok(Segment::Exact(part.to_owned())),
        part => value.ok_or_else(|| {
            format!("has the segment {part:?}, which is no text, nor *, nor has one {{id}}")
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(template: &str, path: &str) -> Vec<usize> {
        let template = Template::parse(template).unwrap();
        let parts: Vec<_> = path.trim_start_matches('/').split('/').collect();
        (0..parts.len()).filter(|at| template.value(&parts, *at).is_some()).collect()
    }

    #[test]
    fn the_segments_that_are_named_hold_a_value_and_no_others() {
        assert_eq!(held("/orders/{id}", "/orders/17"), [1]);
        assert_eq!(held("/orders/{id}", "/orders/17/lines/17"), [1]);
        assert_eq!(held("/orders/{id}/lines/*", "/orders/17/lines/17"), [1]);
        assert_eq!(held("/orders/*/lines/{id}", "/orders/17/lines/17"), [3]);
        assert_eq!(held("/{a}/{b}", "/17/18/19"), [0, 1]);
        for other in ["/orders", "/orders/", "/order/17", "/v1/orders/17", "/"] {
            assert_eq!(held("/orders/{id}", other), [] as [usize; 0], "{other}");
        }
    }

    #[test]
    fn a_value_may_be_a_part_of_a_segment() {
        let template = Template::parse("/t/issue{id}.html").unwrap();
        let value = |path: &[&str]| template.value(path, 1);
        assert_eq!(value(&["t", "issue17.html"]), Some(5..7));
        assert_eq!(value(&["t", "issue17.html", "more"]), Some(5..7));
        for other in ["issue.html", "issue17", "17.html", "", "Issue17.html"] {
            assert_eq!(value(&["t", other]), None, "{other}");
        }
    }

    #[test]
    fn what_is_no_template_is_refused() {
        for (bad, why) in [
            ("orders/{id}", "begin with /"),
            ("/orders", "no segment such as {id}"),
            ("/orders/{a}{b}", "no text, nor *, nor has one {id}"),
            ("/orders/{}", "no text"),
            ("/orders/{id", "no text"),
            ("/orders/*{id}", "no text"),
            ("/orders//{id}", "empty"),
            ("/", "empty"),
            ("/a?b/{id}", "no text"),
        ] {
            let message = Template::parse(bad).expect_err(bad);
            assert!(message.contains(why), "{bad}: {message}");
        }
        assert!(Template::parse(&"/{a}".repeat(33)).is_err());
    }
}
