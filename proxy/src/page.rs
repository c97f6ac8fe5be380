//! The page: what the admin endpoints tell, for people with a browser. Pure: what is known goes in, HTML comes out; who may
//! see what is settled before.
//!
//! Nothing comes from elsewhere and nothing in a page is a script or a style, so that the strict policy that browsers are
//! told ([`POLICY`]) takes nothing away. Pages work without a script; with it they follow what happens, and send a token.
//! Links are relative, since nobody here knows behind which path a page is shown.

mod answers;
mod chart;
pub mod differences;
mod marked;
pub mod overview;
pub mod route;
pub mod settings;
mod shell;
pub mod timeline;
mod words;

pub use shell::{Notice, Shell, View};

/// What a browser may do with a page: show it, with its style and its script, and ask here.
pub const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
     connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// The style of all pages.
pub const STYLE: &str = include_str!("../templates/page.css");
/// The script of all pages.
pub const SCRIPT: &str = include_str!("../templates/page.js");
/// The icon of all pages.
pub const ICON: &str = include_str!("../templates/icon.svg");

#[cfg(test)]
mod tests;
