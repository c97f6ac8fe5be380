//! Response headers: which are kept to be compared, and what counts as equal in each.

use std::borrow::Cow;
use std::sync::Arc;

use http::header::{CACHE_CONTROL, CONTENT_RANGE, CONTENT_TYPE, LOCATION, SET_COOKIE};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use xxhash_rust::xxh3::xxh3_64_with_seed;

mod others;

use super::difference::{Change, Difference, Kind, Uncompared};
use super::redaction::{self, Eyes, Hide, MASK, Redaction, hidden_bytes};
use super::rules::MaskAs;
use super::secrets;
use super::show;
use super::text::Text;
use super::traits::Traits;
use super::used::Used;
use crate::reply::copied;
use others::Others;

const USUAL: usize = 3;
/// Compared unless a rule says otherwise.
const DEFAULT: [HeaderName; USUAL] = [CONTENT_TYPE, LOCATION, CACHE_CONTROL];
/// Most lines kept besides the first of each of these.
const LINES_MAX: usize = 32;
/// Longest value that is kept. One that is longer is not compared.
const VALUE_MAX: usize = 4096;

/// Where an upstream says that it is: what it puts in front of paths that lead to itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// Hosts, with the port where it is not the scheme's own.
    pub authorities: Vec<String>,
    /// In front of every path; empty for none.
    pub prefix: String,
}

/// What is kept of a response's headers to be compared. The usual ones need no memory of their own.
#[derive(Clone, Debug, Default)]
pub struct Headers {
    /// The first line of each of [`DEFAULT`].
    usual: [Option<HeaderValue>; USUAL],
    more: Vec<(HeaderName, HeaderValue)>,
    others: Others,
}

impl Headers {
    /// Keeps the default ones and these; of a part of a content (206) also which part it is. Of all
    /// others the names, to tell which of them differ.
    pub fn of(headers: &HeaderMap, status: StatusCode, names: &[HeaderName]) -> Self {
        let mut kept = Self { others: Others::of(headers), ..Self::default() };
        for (slot, name) in kept.usual.iter_mut().zip(&DEFAULT) {
            let mut lines = headers.get_all(name).iter().filter(|value| value.len() <= VALUE_MAX);
            *slot = lines.next().map(copied);
            kept.more.extend(lines.take(LINES_MAX).map(|line| (name.clone(), copied(line))));
        }
        let part = (status == StatusCode::PARTIAL_CONTENT).then_some(&CONTENT_RANGE);
        for name in names.iter().chain(part).filter(|name| !DEFAULT.contains(name)) {
            for value in headers.get_all(name) {
                if value.len() <= VALUE_MAX && kept.more.len() < LINES_MAX {
                    kept.more.push((name.clone(), copied(value)));
                }
            }
        }
        kept
    }

    /// The header `content-type`.
    pub fn content_type(&self) -> Option<&[u8]> {
        self.usual[0].as_ref().map(HeaderValue::as_bytes)
    }

    /// All lines that are kept.
    pub fn lines(&self) -> impl Iterator<Item = (&HeaderName, &HeaderValue)> {
        let usual = DEFAULT.iter().zip(&self.usual);
        let usual = usual.filter_map(|(name, value)| Some((name, value.as_ref()?)));
        usual.chain(self.more.iter().map(|(name, value)| (name, value)))
    }

    /// The same with other values, where any is said.
    #[must_use]
    pub fn with(
        &self,
        mut other: impl FnMut(&HeaderName, &HeaderValue) -> Option<HeaderValue>,
    ) -> Self {
        let mut with = self.clone();
        for (name, slot) in DEFAULT.iter().zip(&mut with.usual) {
            let said = slot.as_ref().and_then(|value| other(name, value));
            *slot = said.or(slot.take());
        }
        for (name, value) in &mut with.more {
            if let Some(said) = other(name, value) {
                *value = said;
            }
        }
        with
    }

    /// All lines of a name as one value (RFC 9110 section 5.3).
    fn get(&self, name: &HeaderName) -> Option<Cow<'_, [u8]>> {
        let usual = DEFAULT.iter().position(|usual| usual == name);
        let first = usual.and_then(|at| self.usual[at].as_ref());
        let more = self.more.iter().filter(|(it, _)| it == name).map(|(_, value)| value);
        let mut lines = first.into_iter().chain(more).map(HeaderValue::as_bytes);
        let first = Cow::Borrowed(lines.next()?.trim_ascii());
        Some(lines.fold(first, |all, line| [&all, &b", "[..], line.trim_ascii()].concat().into()))
    }
}

/// What a comparison of headers needs besides their rules.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct With<'r> {
    /// The key of hashes.
    pub(super) seed: u64,
    /// Asked where values are shown.
    pub(super) hide: Hide<'r>,
    /// Asked of values that copies may have said in another way.
    pub(super) copies: Option<&'r dyn Redaction>,
    /// By which names of secrets are known within values.
    pub(super) eyes: Option<&'r dyn Eyes>,
}

impl With<'_> {
    /// A value without what may not be shown; `None` where all of it may.
    fn unshown(&self, value: &[u8]) -> Option<Vec<u8>> {
        match self.eyes {
            Some(eyes) => eyes.unshown(value),
            None => hidden_bytes(value, self.hide),
        }
    }

    /// The path of a location as it may be shown. What stands behind the name of a secret in it is one.
    fn shown_location(&self, path: &[u8]) -> Vec<u8> {
        let path = self.hide.map_or(Cow::Borrowed(path), |redaction| redaction.shown_path(path));
        let Some(eyes) = self.eyes else { return path.into_owned() };
        let path = eyes.unshown(&path).map_or(path, Cow::Owned);
        let hides = |name: &[u8]| std::str::from_utf8(name).is_ok_and(|name| eyes.are_hidden(name));
        let mut is_secret = false;
        let segment = |segment| {
            let shown = if is_secret { MASK.as_bytes() } else { segment };
            is_secret = hides(segment);
            shown
        };
        path.split(|byte| *byte == b'/').map(segment).collect::<Vec<_>>().join(&b'/')
    }
}

/// What of a value is not shown.
#[derive(Clone, Copy)]
enum Hidden<'r> {
    All,
    Parts(With<'r>),
}

/// Which headers are compared, and how.
#[derive(Debug)]
pub(super) struct HeaderRules {
    names: Vec<HeaderName>,
    default: bool,
    ignored: Vec<(HeaderName, Arc<Used>)>,
    masked: Vec<(HeaderName, MaskAs, Arc<Used>)>,
    hidden: Vec<HeaderName>,
    origins: [Origin; 2],
}

impl Default for HeaderRules {
    fn default() -> Self {
        Self::new(true, [Origin::default(), Origin::default()])
    }
}

impl HeaderRules {
    pub(super) fn new(default: bool, origins: [Origin; 2]) -> Self {
        let (ignored, masked, hidden) = (Vec::new(), Vec::new(), Vec::new());
        Self { names: Vec::new(), default, ignored, masked, hidden, origins }
    }

    pub(super) fn compare(&mut self, names: &[HeaderName]) {
        for name in names {
            if !self.names.contains(name) {
                self.names.push(name.clone());
            }
        }
    }

    pub(super) fn ignore(&mut self, name: &HeaderName, used: Arc<Used>) {
        self.ignored.push((name.clone(), used));
    }

    pub(super) fn mask(&mut self, name: &HeaderName, mask: MaskAs, used: Arc<Used>) {
        self.masked.push((name.clone(), mask, used));
    }

    /// Its value is not shown, however it is compared.
    pub(super) fn hide(&mut self, name: &HeaderName) {
        self.hidden.push(name.clone());
    }

    /// What differs. `seed` is the key of hashes.
    pub(super) fn differences<'h>(
        &'h self,
        ours: &'h Headers,
        theirs: &'h Headers,
        with: With<'h>,
    ) -> impl Iterator<Item = Difference> + 'h {
        let default = DEFAULT.iter().filter(|_| self.default);
        let more = self.names.iter().filter(|name| !(self.default && DEFAULT.contains(name)));
        let part = Some(&CONTENT_RANGE).filter(|part| !self.names.contains(part));
        let names = default.chain(more).chain(part);
        names.filter_map(move |name| {
            self.one(name, ours.get(name).as_deref(), theirs.get(name).as_deref(), with)
        })
    }

    /// Which headers differ that are not compared here. `same_bodies`: byte for byte.
    pub(super) fn uncompared(
        &self,
        ours: &Headers,
        theirs: &Headers,
        same_bodies: bool,
    ) -> Vec<Uncompared> {
        let compared = |name: &HeaderName| {
            (self.default && DEFAULT.contains(name))
                || self.names.contains(name)
                || (*name == CONTENT_RANGE && ours.get(name).or_else(|| theirs.get(name)).is_some())
        };
        let charset = (self.default && self.other_charset(ours, theirs))
            .then_some(Uncompared { name: CONTENT_TYPE, change: Change::Charset });
        let others = ours.others.differing(&theirs.others, same_bodies, compared);
        charset.into_iter().chain(others).filter(|it| self.tells(it)).collect()
    }

    /// Whether all that differs in the content type is its charset, and nobody asked for it by name.
    fn other_charset(&self, ours: &Headers, theirs: &Headers) -> bool {
        let types = ours.content_type().zip(theirs.content_type());
        types.is_some_and(|(a, b)| {
            a != b && self.equal(&CONTENT_TYPE, a, b) && media_type(a) != media_type(b)
        })
    }

    /// Whether no rule says that this is not worth a word.
    fn tells(&self, Uncompared { name, change }: &Uncompared) -> bool {
        let ignored = self.ignored.iter().filter(|(it, _)| it == name);
        let ignored = ignored.inspect(|(_, used)| used.note()).count() > 0;
        let both = matches!(change, Change::Value | Change::Charset);
        let masked = self.masked.iter().filter(|(it, mask, _)| it == name && *mask != MaskAs::Hash);
        let masked = masked.inspect(|(.., used)| used.note()).count() > 0;
        !(ignored || masked && both)
    }

    fn one(
        &self,
        name: &HeaderName,
        ours: Option<&[u8]>,
        theirs: Option<&[u8]>,
        with: With<'_>,
    ) -> Option<Difference> {
        if ours.is_none() && theirs.is_none() {
            return None;
        }
        let mut ignored = self.ignored.iter().filter(|(it, _)| it == name).peekable();
        if ignored.peek().is_some() {
            ignored.for_each(|(_, used)| used.note());
            return None;
        }
        let mask = self.mask_of(name);
        let equal = match (ours, theirs) {
            (Some(a), Some(b)) => match mask {
                None | Some(MaskAs::Alias(_)) => {
                    self.equal(name, a, b) || self.same_in_copies(name, a, b, with)
                }
                Some(MaskAs::Equal) => true,
                Some(MaskAs::Hash) => {
                    xxh3_64_with_seed(a, with.seed) == xxh3_64_with_seed(b, with.seed)
                }
            },
            _ => false,
        };
        if equal {
            return None;
        }
        let traits = match mask {
            Some(_) => Traits::default(),
            None => {
                let here = |value: Option<&[u8]>, side: usize| {
                    let here = self.here(name, value?, side);
                    // Its words are names that a value has in it.
                    Some(with.unshown(&here).unwrap_or_else(|| here.into_owned()))
                };
                let (ours, theirs) = (here(ours, 0), here(theirs, 1));
                Traits::of_header(name, ours.as_deref(), theirs.as_deref())
            }
        };
        let place = format!("header {name}");
        let is_hidden = mask.is_some()
            || self.hidden.contains(name)
            || secrets::is_named(&Text::plain(name.as_str()));
        let hide = if is_hidden { Hidden::All } else { Hidden::Parts(with) };
        let ([baseline, candidate], note) = shown(name, ours, theirs, hide);
        let (field, kind, note) = (place.clone(), Kind::Header, note.map(str::to_owned));
        Some(Difference { place, field, kind, baseline, candidate, traits, note })
    }

    /// Cookies are somebody's business alone, whatever the rules say.
    fn mask_of(&self, name: &HeaderName) -> Option<MaskAs> {
        let mut found = (*name == SET_COOKIE).then_some(MaskAs::Equal);
        for (_, mask, used) in self.masked.iter().filter(|(it, ..)| it == name) {
            used.note();
            found = match (found, *mask) {
                (Some(MaskAs::Alias(_)), _) | (Some(MaskAs::Hash), MaskAs::Equal) => found,
                (_, mask) => Some(mask),
            };
        }
        found
    }

    /// A location as it is seen from its upstream; all else as it is.
    fn here<'v>(&self, name: &HeaderName, value: &'v [u8], side: usize) -> Cow<'v, [u8]> {
        if *name == LOCATION { self.origins[side].without(value) } else { Cow::Borrowed(value) }
    }

    /// Whether one stands for the other in copies.
    fn same_in_copies(
        &self,
        name: &HeaderName,
        ours: &[u8],
        theirs: &[u8],
        with: With<'_>,
    ) -> bool {
        let Some(redaction) = with.copies else { return false };
        redaction::same_header(
            redaction,
            name,
            &self.here(name, ours, 0),
            &self.here(name, theirs, 1),
        )
    }

    fn equal(&self, name: &HeaderName, ours: &[u8], theirs: &[u8]) -> bool {
        ours == theirs
            || match name {
                it if *it == CONTENT_TYPE => {
                    let by_name = self.names.contains(it);
                    let [ours, theirs] = [ours, theirs].map(|value| {
                        let (essence, mut parameters) = media_type(value);
                        // Of another charset clients can often make the same: that is told apart.
                        parameters.retain(|it| by_name || !it.starts_with(b"charset="));
                        (essence, parameters)
                    });
                    ours == theirs
                }
                it if *it == CACHE_CONTROL => directives(ours) == directives(theirs),
                it if *it == LOCATION => {
                    self.origins[0].without(ours) == self.origins[1].without(theirs)
                }
                _ => false,
            }
    }
}

/// Both values as text, masked, and what they do not show.
fn shown(
    name: &HeaderName,
    ours: Option<&[u8]>,
    theirs: Option<&[u8]>,
    hide: Hidden<'_>,
) -> ([Option<String>; 2], Option<&'static str>) {
    let Hidden::Parts(with) = hide else {
        return ([ours, theirs].map(|value| value.map(|_| MASK.to_owned())), None);
    };
    let readable = |value: &[u8]| match *name == LOCATION {
        true => with.shown_location(value),
        false => with.unshown(value).unwrap_or_else(|| value.to_vec()),
    };
    let part = |value: &'_ [u8]| if *name == LOCATION { path_end(value) } else { value.len() };
    let behind = |value: &[u8], end: usize| match value.get(end) {
        Some(b'?') => "?***",
        Some(_) => "#***",
        None => "",
    };
    let (Some(ours), Some(theirs)) = (ours, theirs) else {
        let one = |value: &[u8]| {
            let end = part(value);
            show::text("", readable(&value[..end]).into_iter(), behind(value, end))
        };
        return ([ours, theirs].map(|value| value.map(one)), None);
    };
    let ends = [part(ours), part(theirs)];
    let paths = [&ours[..ends[0]], &theirs[..ends[1]]];
    let behind = [behind(ours, ends[0]), behind(theirs, ends[1])];
    let shown = paths.map(readable);
    let (texts, note) = show::pair("", shown.each_ref().map(|path| path.iter().copied()), behind);
    let note = match paths[0] == paths[1] {
        true => hidden_part(ours, theirs),
        // In what they differ may be what is hidden.
        false => note.filter(|_| shown == paths),
    };
    (texts.map(Some), note)
}

/// Where the path of a location ends: behind it may be a token, which no rule could name.
fn path_end(location: &[u8]) -> usize {
    location.iter().position(|byte| matches!(byte, b'?' | b'#')).unwrap_or(location.len())
}

/// In which part two locations of one path differ.
fn hidden_part(ours: &[u8], theirs: &[u8]) -> Option<&'static str> {
    let query = |value: &'_ [u8]| value.split(|byte| *byte == b'#').next().map(<[u8]>::to_vec);
    Some(if query(ours) == query(theirs) { "fragment" } else { "query" })
}

/// Type and parameters (RFC 9110 section 8.3.1), without regard to case, order, space and quotes,
/// and to a charset that is the default.
fn media_type(value: &[u8]) -> (Vec<u8>, Vec<Vec<u8>>) {
    let mut parts = split(value, b';');
    let essence = parts.next().unwrap_or_default();
    let mut parameters: Vec<_> = parts.filter(|part| !part.is_empty()).collect();
    for parameter in &mut parameters {
        if let Some(at) = parameter.iter().position(|byte| *byte == b'=') {
            let name = parameter[..at].trim_ascii();
            let value = parameter[at + 1..].trim_ascii();
            let inside = value.strip_prefix(b"\"").and_then(|it| it.strip_suffix(b"\""));
            *parameter = [name, b"=", inside.unwrap_or(value)].concat();
        }
    }
    // JSON is UTF-8, said or not (RFC 8259 section 8.1).
    if essence.ends_with(b"/json") || essence.ends_with(b"+json") {
        parameters.retain(|it| !matches!(it.as_slice(), b"charset=utf-8" | b"charset=utf8"));
    }
    parameters.sort_unstable();
    (essence, parameters)
}

/// The directives of RFC 9111 section 5.2, without regard to case, order and space.
fn directives(value: &[u8]) -> Vec<Vec<u8>> {
    let mut directives: Vec<_> = split(value, b',').filter(|one| !one.is_empty()).collect();
    directives.sort_unstable();
    directives
}

fn split(value: &[u8], by: u8) -> impl Iterator<Item = Vec<u8>> {
    value.split(move |byte| *byte == by).map(|part| part.trim_ascii().to_ascii_lowercase())
}

impl Origin {
    /// A location as it is seen from this upstream: without what leads to itself.
    fn without<'l>(&self, location: &'l [u8]) -> Cow<'l, [u8]> {
        let path = self.path_here(location).unwrap_or(location);
        match path.strip_prefix(self.prefix.as_bytes()) {
            Some(rest) if path.first() == Some(&b'/') => match rest.first() {
                Some(b'/') => Cow::Borrowed(rest),
                None | Some(b'?' | b'#') => Cow::Owned([b"/", rest].concat()),
                Some(_) => Cow::Borrowed(path),
            },
            _ => Cow::Borrowed(path),
        }
    }

    /// What is behind its own authority in an absolute or scheme-relative URL.
    fn path_here<'l>(&self, location: &'l [u8]) -> Option<&'l [u8]> {
        let slashes = location.windows(2).position(|pair| pair == b"//")?;
        let (scheme, rest) = (&location[..slashes], &location[slashes + 2..]);
        let own_port = match scheme.to_ascii_lowercase().as_slice() {
            b"http:" => &b":80"[..],
            b"https:" => b":443",
            b"" => b"",
            _ => return None,
        };
        let end = rest.iter().position(|byte| matches!(byte, b'/' | b'?' | b'#'));
        let (authority, path) = rest.split_at(end.unwrap_or(rest.len()));
        let plain = |it: &[u8]| it.strip_suffix(own_port).unwrap_or(it).to_ascii_lowercase();
        let own = self.authorities.iter().any(|own| plain(own.as_bytes()) == plain(authority));
        own.then_some(if path.is_empty() { b"/" } else { path })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEEDED: With<'_> = With { seed: 7, hide: None, copies: None, eyes: None };

    fn headers(lines: &[(&str, &str)]) -> Headers {
        let mut map = HeaderMap::new();
        for (name, value) in lines {
            map.append(HeaderName::try_from(*name).unwrap(), value.parse().unwrap());
        }
        let names = [SET_COOKIE, HeaderName::from_static("x-own")];
        Headers::of(&map, StatusCode::PARTIAL_CONTENT, &names)
    }

    fn rules() -> HeaderRules {
        let origin = |host: &str, prefix: &str| Origin {
            authorities: vec![host.to_owned()],
            prefix: prefix.to_owned(),
        };
        HeaderRules::new(true, [origin("one:4001", ""), origin("two.example", "/v2")])
    }

    fn found(
        rules: &HeaderRules,
        ours: &[(&str, &str)],
        theirs: &[(&str, &str)],
    ) -> Vec<Difference> {
        rules.differences(&headers(ours), &headers(theirs), SEEDED).collect()
    }

    #[track_caller]
    fn judged(name: &str, ours: &str, theirs: &str, equal: bool) {
        let found = found(&rules(), &[(name, ours)], &[(name, theirs)]);
        assert_eq!(found.is_empty(), equal, "{found:?}");
    }

    #[test]
    fn media_types_are_equal_but_for_case_order_space_and_quotes() {
        let json = "application/json; charset=utf-8; v=1";
        judged("content-type", json, "Application/JSON;V=1;Charset=\"UTF-8\"", true);
        judged("content-type", json, "application/json; charset=utf-8", false);
        judged("content-type", json, "application/json; v=1", true);
        judged("content-type", json, "application/json; charset=latin1; v=1", true);
        for utf8 in ["Application/JSON;charset=UTF-8", "application/json; Charset=\"utf8\""] {
            judged("content-type", "application/json", utf8, true);
        }
        judged(
            "content-type",
            "application/problem+json",
            "application/problem+json;charset=utf-8",
            true,
        );
        judged("content-type", "text/html", "text/html; charset=utf-8; v=1", false);
        judged("content-type", "text/html", "text/plain", false);
        judged("cache-control", "no-store, max-age=0", "Max-Age=0,no-store", true);
        judged("cache-control", "max-age=0", "max-age=1", false);
    }

    #[test]
    fn another_charset_is_told_apart_unless_the_content_type_is_compared_by_name() {
        let told = |rules: &HeaderRules, ours: &str, theirs: &str| {
            let [ours, theirs] = [ours, theirs].map(|it| headers(&[("content-type", it)]));
            let told = rules.uncompared(&ours, &theirs, true);
            (
                told.iter().map(|it| it.change).collect::<Vec<_>>(),
                rules.differences(&ours, &theirs, SEEDED).count(),
            )
        };
        let (html, utf8) = ("text/html", "text/html; charset=utf-8");
        assert_eq!(told(&rules(), html, utf8), (vec![Change::Charset], 0));
        assert_eq!(told(&rules(), "text/html; charset=latin1", utf8), (vec![Change::Charset], 0));
        assert_eq!(told(&rules(), html, "text/plain; charset=utf-8"), (vec![], 1));
        let json = "application/json";
        assert_eq!(told(&rules(), json, "application/json;charset=UTF-8"), (vec![], 0));
        assert_eq!(
            told(&rules(), json, "application/json; charset=latin1"),
            (vec![Change::Charset], 0)
        );
        let mut by_name = rules();
        by_name.compare(&[CONTENT_TYPE]);
        assert_eq!(told(&by_name, html, utf8), (vec![], 1));
        let mut ignoring = rules();
        ignoring.ignore(&CONTENT_TYPE, Arc::default());
        assert_eq!(told(&ignoring, html, utf8), (vec![], 0));
    }

    #[test]
    fn a_location_is_seen_from_the_upstream_that_sent_it() {
        for theirs in ["/v2/a?b#c", "http://two.example/v2/a?b#c", "//Two.Example/v2/a?b#c"] {
            judged("location", "http://one:4001/a?b#c", theirs, true);
            judged("location", "/a?b#c", theirs, true);
        }
        judged("location", "/", "http://two.example:80/v2", true);
        judged("location", "http://one:4001", "http://two.example/v2/", true);
        judged("location", "http://one:4001/a", "http://one:4001/a", true);
        judged("location", "/a", "http://one:4001/v2/a", false);
        judged("location", "/a", "/v2/b", false);
        judged("location", "/a?b", "/v2/a?c", false);
        judged("location", "https://login.example/", "https://login.example/", true);
        judged("location", "https://login.example/", "https://login.example/x", false);
        let secret = found(&rules(), &[("location", "/a?code=secret")], &[("location", "/b?c")]);
        assert_eq!(secret[0].baseline.as_deref(), Some("/a?***"));
    }

    #[test]
    fn a_header_on_one_side_only_is_a_difference_and_others_are_not_looked_at() {
        let ours = [("content-type", "text/html"), ("x-request-id", "1"), ("date", "now")];
        let found_here = found(&rules(), &ours, &[("date", "then")]);
        let expected = Difference {
            place: "header content-type".to_owned(),
            field: "header content-type".to_owned(),
            kind: Kind::Header,
            baseline: Some("text/html".to_owned()),
            candidate: None,
            traits: Traits::known("absent"),
            note: None,
        };
        assert_eq!(found_here, [expected]);
        judged("content-range", "bytes 0-1/5", "bytes 0-1/6", false);
        let lines = [("cache-control", "no-store"), ("cache-control", "private")];
        assert_eq!(found(&rules(), &lines, &[("cache-control", "private,no-store")]), []);
    }

    #[test]
    fn headers_whose_names_are_secrets_are_compared_and_never_shown() {
        let names = ["x-api-key", "authorization", "cookie", "x-csrf-token", "set-cookie"];
        let mut rules = rules();
        rules.compare(&names.map(HeaderName::from_static));
        let kept = |value: &str| {
            let mut map = HeaderMap::new();
            for name in names {
                map.append(name, value.parse().unwrap());
            }
            Headers::of(&map, StatusCode::OK, &names.map(HeaderName::from_static))
        };
        let found: Vec<_> = rules.differences(&kept("s3cret"), &kept("S3CRET"), SEEDED).collect();
        // Cookies are masked: another one is no difference.
        assert_eq!(found.len(), 4);
        for found in &found {
            assert_eq!(found.baseline.as_deref(), Some(MASK), "{}", found.place);
            assert_eq!((found.candidate.as_deref(), &found.note), (Some(MASK), &None));
        }
        assert_eq!(rules.differences(&kept("s3cret"), &kept("s3cret"), SEEDED).count(), 0);
    }

    #[test]
    fn secrets_within_a_header_are_not_shown() {
        let known = crate::Rules::default();
        let with = With { eyes: Some(&known), ..SEEDED };
        let kept = |name: &str, value: &str| {
            let mut map = HeaderMap::new();
            map.append(HeaderName::try_from(name).unwrap(), value.parse().unwrap());
            Headers::of(&map, StatusCode::OK, &[])
        };
        for (name, ours, theirs, shown) in [
            ("location", "https://u:hunter1@a/x", "https://u:hunter2@a/x", MASK),
            ("location", "/reset/token/hunter1/x", "/reset/token/hunter2/x", "/reset/token/***/x"),
            ("cache-control", "max-age=1, token=hunter1", "max-age=1, token=hunter2", MASK),
        ] {
            let (ours, theirs) = (kept(name, ours), kept(name, theirs));
            let found: Vec<_> = rules().differences(&ours, &theirs, with).collect();
            assert_eq!(found.len(), 1, "{name}");
            assert_eq!(found[0].baseline.as_deref(), Some(shown));
            assert!(!format!("{found:?}").contains("hunter"), "{found:?}");
        }
    }

    #[test]
    fn what_a_header_does_not_show_is_said() {
        let differ = |name: &str, ours: &str, theirs: &str| {
            let map = |value: &str| {
                let mut map = HeaderMap::new();
                let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
                map.append(HeaderName::try_from(name).unwrap(), value);
                Headers::of(&map, StatusCode::OK, &[HeaderName::from_static("x-own")])
            };
            let mut rules = rules();
            rules.compare(&[HeaderName::from_static("x-own")]);
            let found = rules.differences(&map(ours), &map(theirs), SEEDED).next().unwrap();
            let text = |side: Option<String>| side.unwrap_or_default();
            (text(found.baseline), text(found.candidate), text(found.note))
        };
        let own = |ours: &str, theirs: &str, note: &str| (ours.into(), theirs.into(), note.into());
        let (a, b) = ("/a?code=1", "/a?code=2");
        assert_eq!(differ("location", a, b), own("/a?***", "/a?***", "query"));
        let (a, b) = ("/a#token=1", "/a#token=2");
        assert_eq!(differ("location", a, b), own("/a#***", "/a#***", "fragment"));
        let (a, b) = ("/a?x#1", "/a?x#2");
        assert_eq!(differ("location", a, b), own("/a?***", "/a?***", "fragment"));
        assert_eq!(differ("location", "/a?x", "/b?y").2, "");
        let (a, b) = ("caf\u{e9}\u{a0}x", "caf\u{e9} x");
        assert_eq!(differ("x-own", a, b), own(r"café\u{a0}x", "café x", "white space"));
        let long = |end: &str| format!("/{}{end}", "a".repeat(200));
        let (ours, theirs, _) = differ("location", &long("1?q"), &long("2?q"));
        assert!(ours.ends_with("a1?***") && theirs.ends_with("a2?***"), "{ours} {theirs}");
        let (ours, theirs, _) = differ("x-own", &long("1"), &long("2"));
        assert!(ours.ends_with("a1") && theirs.ends_with("a2"), "{ours} {theirs}");
    }

    #[test]
    fn rules_add_hide_and_leave_out_headers() {
        let mut rules = rules();
        rules.compare(&[SET_COOKIE, HeaderName::from_static("x-own")]);
        let ours = [("set-cookie", "a=secret"), ("x-own", "secret"), ("content-type", "a/b")];
        let theirs = [("set-cookie", "a=2"), ("x-own", "2"), ("content-type", "a/c")];
        assert_eq!(found(&rules, &ours, &theirs).len(), 2);
        let (own, content_type) = (HeaderName::from_static("x-own"), CONTENT_TYPE);
        let (masks, ignores) = (Arc::<Used>::default(), Arc::<Used>::default());
        rules.mask(&own, MaskAs::Hash, Arc::clone(&masks));
        rules.ignore(&content_type, Arc::clone(&ignores));
        let hidden = found(&rules, &ours, &theirs);
        assert_eq!(hidden.len(), 1);
        assert_eq!(hidden[0].baseline.as_deref(), Some(MASK));
        assert!(masks.get() && ignores.get());
        assert_eq!(found(&rules, &ours, &ours), []);
    }
}
