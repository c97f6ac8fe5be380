//! XML. What entities stand for is not looked up: a few of them would be gigabytes.

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use super::super::Grant;
use super::told::Unread;
use super::tree::{Builder, Kind, Rules, Tree};

/// Reads a document; nothing where it is too large or not well-formed.
pub(super) fn read(text: &str, grant: Grant<'_>) -> Result<Tree, Unread> {
    let mut builder = Builder::new(text.len(), Rules::Xml, grant)?;
    let mut reader = Reader::from_str(text);
    let config = reader.config_mut();
    // A second look at all names that are open; ends without a beginning end nothing.
    config.check_end_names = false;
    config.allow_unmatched_ends = true;
    config.allow_dangling_amp = true;
    while !builder.is_full() {
        match reader.read_event().map_err(|_| Unread)? {
            Event::Start(tag) => begin(&mut builder, &tag, false)?,
            Event::Empty(tag) => begin(&mut builder, &tag, true)?,
            Event::End(tag) => builder.end(tag.name().as_ref().as_bytes()),
            Event::Text(text) => builder.text(text.as_bytes()),
            Event::CData(text) => builder.text(text.as_bytes()),
            Event::GeneralRef(name) => {
                builder.text(b"&");
                builder.text(name.as_bytes());
                builder.text(b";");
            }
            Event::Comment(text) => builder.other(Kind::Comment, text.as_bytes()),
            Event::DocType(text) => builder.other(Kind::Doctype, text.as_bytes()),
            Event::PI(text) => builder.other(Kind::Instruction, text.as_bytes()),
            Event::Decl(text) => builder.other(Kind::Instruction, text.as_bytes()),
            Event::Eof => break,
        }
    }
    builder.finish()
}

fn begin(builder: &mut Builder<'_>, tag: &BytesStart<'_>, ends: bool) -> Result<(), Unread> {
    builder.begin(tag.name().as_ref().as_bytes());
    // Whether a name comes twice is asked of each with all others, which takes quadratic time.
    for attribute in tag.attributes().with_checks(false) {
        let attribute = attribute.map_err(|_| Unread)?;
        builder.attribute(attribute.key.as_ref().as_bytes(), attribute.value.as_bytes());
        if builder.is_full() {
            return Err(Unread);
        }
    }
    builder.begun(ends);
    Ok(())
}
