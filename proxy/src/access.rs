//! Who may do what at the admin endpoints. Pure: a request's head and its peer in, a decision out.
//!
//! Whoever reaches the traffic port is not thereby an operator. Without a token and a listener of
//! their own, the endpoints believe who is near: a peer on this machine or a private network, for
//! whom nobody speaks. A browser is near, too, and does what foreign pages tell it; so pages of
//! another origin switch nothing, and hosts that nobody has named here are shown nothing: a name
//! that a foreign page gave an address of this network (DNS rebinding) is its own origin.
//! Where there are tokens, they decide and nothing else.

use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use http::header::{AUTHORIZATION, FORWARDED, HOST, ORIGIN, VIA};
use http::{HeaderMap, HeaderName, HeaderValue, Uri};

mod tokens;

pub use tokens::{CONTROL_TOKEN, Hash, Known, Right, Rights, Token};

use crate::headers::reads_as;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// What an endpoint does, and so who may use it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Shows counts to everyone; what it has of values, to those who may see them.
    Counts,
    /// Shows what is for operators, and no value of traffic: addresses, names of files, hashes.
    Settings,
    /// Shows values of traffic.
    Values,
    /// Changes something.
    Switches,
}

/// What an answer may show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sight {
    /// Values of traffic, too.
    Values,
    /// What the settings say, and no values of traffic.
    Settings(Denied),
    /// Counts alone, since all else is denied.
    Counts(Denied),
}

impl Sight {
    /// Why values of traffic are not shown, where they are not.
    pub fn without_values(self) -> Option<Denied> {
        match self {
            Self::Values => None,
            Self::Settings(why) | Self::Counts(why) => Some(why),
        }
    }
}

/// Why a request may not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied {
    /// It needs a token, and none that is known was sent.
    Token,
    /// The token that was sent has not this right.
    Right(Right),
    /// It is not from near, or somebody speaks for another.
    Peer,
    /// It is a web page's, of another origin.
    Page,
    /// It asks for a host that nobody has named here.
    Host,
}

impl Denied {
    /// What to do about it.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Token => "a valid bearer token is required",
            Self::Right(Right::Read) => "the token has not the right `read`",
            Self::Right(Right::Examples) => "the token has not the right `examples`",
            Self::Right(Right::Control) => "the token has not the right `control`",
            Self::Peer => {
                "on the traffic port this is for loopback and private addresses, without \
                 X-Forwarded-For, Forwarded or Via; set CONTROL_TOKEN or ADMIN_ADDR, or \
                 ADMIN_OPEN=true to let everyone"
            }
            Self::Page => {
                "a web page of another origin must not do this; where it is the same, let the \
                 proxy before pass Host as it is"
            }
            Self::Host => {
                "Host is neither an address nor localhost; list it in ADMIN_HOSTS, or set \
                 CONTROL_TOKEN and send it"
            }
        }
    }

    /// What stands for a value.
    pub fn withheld(self) -> &'static str {
        match self {
            Self::Token => "withheld: needs the token",
            Self::Right(Right::Read) => "withheld: needs the right `read`",
            Self::Right(Right::Examples) => "withheld: needs the right `examples`",
            Self::Right(Right::Control) => "withheld: needs the right `control`",
            Self::Peer | Self::Page => "withheld: needs CONTROL_TOKEN, ADMIN_ADDR or ADMIN_OPEN",
            Self::Host => "withheld: needs the host in ADMIN_HOSTS",
        }
    }
}

/// Whose token a request has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bearer<'a> {
    /// It has none.
    None,
    /// It has one that is not known.
    Nobody,
    /// It has this one.
    Known(&'a Known),
}

/// Names by which the proxy may be asked for values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hosts(Vec<String>);

impl Hosts {
    /// Reads a comma-separated list of host names.
    ///
    /// # Errors
    /// What is none.
    pub fn parse(text: &str) -> Result<Self, String> {
        let of_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        let item = |text: &str| match normal(text) {
            name if !name.is_empty() && name.bytes().all(of_name) => Ok(name),
            _ => Err(format!("{text:?} is no host name")),
        };
        text.split(',').map(str::trim).map(item).collect::<Result<_, _>>().map(Self)
    }
}

/// A request, as far as it counts here.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// Who asks: the TCP peer, or whom the PROXY protocol names; nobody knows is not near.
    pub peer: Option<IpAddr>,
    /// All of them.
    pub headers: &'a HeaderMap,
    /// HTTP/2 names the host there.
    pub target: &'a Uri,
}

/// The settings of access.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// Of whoever may do something; where there are any, they decide and nothing else.
    pub tokens: Vec<Known>,
    /// Whether the endpoints have a listener of their own: `ADMIN_ADDR`.
    pub own_listener: bool,
    /// `ADMIN_OPEN`.
    pub open: bool,
    /// `ADMIN_HOSTS`.
    pub hosts: Hosts,
}

impl Access {
    /// What may be shown by an endpoint of this class, or done.
    ///
    /// # Errors
    /// Why it may not.
    pub fn decide(&self, class: Class, asked: Asked<'_>) -> Result<Sight, Denied> {
        match (class, self.sight(asked)) {
            (Class::Switches, sight) => self.may_switch(asked).map(|()| sight),
            (Class::Counts, sight) => Ok(sight),
            // With tokens all that is not a value is for everyone.
            (Class::Values, sight @ Sight::Counts(Denied::Token)) => Ok(sight),
            (Class::Settings | Class::Values, Sight::Counts(why)) => Err(why),
            (Class::Settings | Class::Values, sight) => Ok(sight),
        }
    }

    /// Whose token a request has. All are looked at, whichever it is.
    pub fn bearer(&self, headers: &HeaderMap) -> Bearer<'_> {
        let Some(value) = headers.get(AUTHORIZATION) else { return Bearer::None };
        let (scheme, given) = value.as_bytes().split_at(value.len().min(7));
        if !scheme.eq_ignore_ascii_case(b"bearer ") {
            return Bearer::Nobody;
        }
        let given = Hash::of(given);
        let mut found = Bearer::Nobody;
        for known in &self.tokens {
            if known.hash.is(&given) {
                found = Bearer::Known(known);
            }
        }
        found
    }

    /// The same with the tokens of the settings as they are now. `CONTROL_TOKEN` stays what it was at the
    /// start, and so does everything else.
    #[must_use]
    pub fn renewed(&self, now: &Self) -> Self {
        let own = self.tokens.iter().filter(|it| it.is_control());
        let tokens = own.chain(now.tokens.iter().filter(|it| !it.is_control()));
        Self { tokens: tokens.cloned().collect(), ..self.clone() }
    }

    /// The names of tokens that came, went, or are others than before.
    pub fn changed(&self, before: &Self) -> Vec<String> {
        let differs = |one: &[Known], other: &[Known]| -> Vec<String> {
            let new = one.iter().filter(|it| !other.contains(it));
            new.map(|it| it.name.clone()).collect()
        };
        let mut names = differs(&self.tokens, &before.tokens);
        names.extend(differs(&before.tokens, &self.tokens));
        names.sort();
        names.dedup();
        names
    }

    fn sight(&self, asked: Asked<'_>) -> Sight {
        if !self.tokens.is_empty() {
            return match self.bearer(asked.headers) {
                Bearer::Known(known) if known.rights.has(Right::Examples) => Sight::Values,
                Bearer::Known(_) => Sight::Settings(Denied::Right(Right::Examples)),
                Bearer::None | Bearer::Nobody => Sight::Counts(Denied::Token),
            };
        }
        let near = self.is_near_enough(asked).and_then(|()| self.is_known_host(asked));
        near.map_or_else(Sight::Counts, |()| Sight::Values)
    }

    fn may_switch(&self, asked: Asked<'_>) -> Result<(), Denied> {
        // Whether with a token or not: no page of another origin can send one without asking
        // first, which nobody here allows, so that this takes nothing from anybody.
        if is_foreign_page(asked) {
            return Err(Denied::Page);
        }
        if !self.tokens.is_empty() {
            return match self.bearer(asked.headers) {
                Bearer::Known(known) if known.rights.has(Right::Control) => Ok(()),
                Bearer::Known(_) => Err(Denied::Right(Right::Control)),
                Bearer::None | Bearer::Nobody => Err(Denied::Token),
            };
        }
        self.is_near_enough(asked)?;
        // To a page whose name was given this address it is its own origin. Programs may use any
        // name.
        if is_page(asked) { self.is_known_host(asked) } else { Ok(()) }
    }

    fn is_near_enough(&self, asked: Asked<'_>) -> Result<(), Denied> {
        let forwarding = [X_FORWARDED_FOR, FORWARDED, VIA];
        let forwards = |name| forwarding.iter().any(|it| reads_as(name, it));
        let forwarded = || asked.headers.keys().any(forwards);
        let near = || asked.peer.is_some_and(is_near) && !forwarded();
        if self.own_listener || self.open || near() { Ok(()) } else { Err(Denied::Peer) }
    }

    /// All names that it bears; what bears none comes from no browser.
    fn is_known_host(&self, asked: Asked<'_>) -> Result<(), Denied> {
        let known = |named: Option<Authority>| match named.map(|it| it.name) {
            Some(Name::Address(_)) => true,
            // Not the names below it: what they are is for a resolver to say.
            Some(Name::Text(name)) => name == "localhost" || self.hosts.0.contains(&name),
            None => false,
        };
        if named(asked).all(known) { Ok(()) } else { Err(Denied::Host) }
    }

    /// Who may switch and see values, for people.
    pub fn who(&self) -> String {
        let who = match self {
            Self { tokens, .. } if !tokens.is_empty() => {
                let mut who = "whoever sends ".to_owned();
                for (at, known) in tokens.iter().enumerate() {
                    let before = if at == 0 { "" } else { ", or " };
                    write!(who, "{before}{known}").expect("a string takes all");
                }
                return who;
            }
            Self { own_listener: true, .. } => "everyone who reaches ADMIN_ADDR",
            Self { open: true, .. } => "everyone who reaches LISTEN_ADDR",
            _ => {
                "loopback and private addresses, without X-Forwarded-For, Forwarded or Via; \
                 CONTROL_TOKEN, ADMIN_ADDR or ADMIN_OPEN change that"
            }
        };
        who.to_owned()
    }

    /// By which `Host` values are to be had, for people.
    pub fn by_host(&self) -> String {
        if !self.tokens.is_empty() {
            return "any".to_owned();
        }
        let names = ["an address", "localhost"].into_iter();
        names.chain(self.hosts.0.iter().map(String::as_str)).collect::<Vec<_>>().join(", ")
    }

    /// Whether everyone on the traffic port is let in.
    pub fn is_open(&self) -> bool {
        self.open && self.tokens.is_empty() && !self.own_listener
    }
}

/// On this machine, or on a network that is not routed. Not 100.64.0.0/10, which neighbours of
/// other households share.
fn is_near(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.is_loopback() || ip.is_private() || ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}

/// Browsers say at least one of these in whatever is not a mere GET.
fn is_page(asked: Asked<'_>) -> bool {
    asked.headers.contains_key(ORIGIN) || asked.headers.contains_key(SEC_FETCH_SITE)
}

/// Whether a page of another origin than the host that is asked for is behind it.
fn is_foreign_page(asked: Asked<'_>) -> bool {
    let elsewhere = |site: &HeaderValue| {
        let site = site.as_bytes();
        site.eq_ignore_ascii_case(b"cross-site") || site.eq_ignore_ascii_case(b"same-site")
    };
    asked.headers.get_all(SEC_FETCH_SITE).iter().any(elsewhere)
        || !asked.headers.get_all(ORIGIN).iter().all(|origin| is_own_origin(origin, asked))
}

fn is_own_origin(origin: &HeaderValue, asked: Asked<'_>) -> bool {
    let Some((scheme, origin)) = origin.to_str().ok().and_then(|text| text.split_once("://"))
    else {
        return false;
    };
    let default = match scheme {
        "http" => 80,
        "https" => 443,
        _ => return false,
    };
    let whole = |it: Authority| (it.name, it.port.unwrap_or(default));
    let Some(origin) = Authority::parse(origin).map(whole) else { return false };
    let mut hosts = named(asked).map(|host| host.map(whole)).peekable();
    hosts.peek().is_some() && hosts.all(|host| host.as_ref() == Some(&origin))
}

/// Every host that a request names, in its target and in `Host`; `None` for what is none.
fn named(asked: Asked<'_>) -> impl Iterator<Item = Option<Authority>> {
    let target = asked.target.authority().map(|it| Authority::parse(it.as_str()));
    let lines = asked.headers.get_all(HOST).iter();
    let lines = lines.map(|line| line.to_str().ok().and_then(Authority::parse));
    target.into_iter().chain(lines)
}

/// A host with or without a port.
#[derive(Debug, PartialEq, Eq)]
struct Authority {
    name: Name,
    port: Option<u16>,
}

#[derive(Debug, PartialEq, Eq)]
enum Name {
    Address(IpAddr),
    Text(String),
}

impl Authority {
    fn parse(text: &str) -> Option<Self> {
        let (name, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (address, port) = rest.split_once(']')?;
                (Name::Address(address.parse::<Ipv6Addr>().ok()?.into()), port)
            }
            None => {
                let (name, port) = text.split_at(text.find(':').unwrap_or(text.len()));
                (Name::new(name), port)
            }
        };
        let port = match port.strip_prefix(':') {
            None if port.is_empty() => None,
            Some("") => None,
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                Some(digits.parse().ok()?)
            }
            _ => return None,
        };
        Some(Self { name, port })
    }
}

impl Name {
    fn new(text: &str) -> Self {
        let text = normal(text);
        text.parse::<Ipv4Addr>().map_or_else(|_| Self::Text(text), |ip| Self::Address(ip.into()))
    }
}

/// A name as all its spellings are compared: in lower case, without the root's dot.
fn normal(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

#[cfg(test)]
mod tests;
