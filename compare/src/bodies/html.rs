//! Pages, read as browsers read their tags: whatever is wrong in them has a meaning.

use html5gum::emitters::callback::{CallbackEmitter, CallbackEvent};
use html5gum::{Span, Tokenizer};

use super::super::Grant;
use super::told::Unread;
use super::tree::{Builder, Kind, Rules, Tree};

/// Reads a page; nothing where it is too large.
pub(super) fn read(text: &str, grant: Grant<'_>) -> Result<Tree, Unread> {
    let mut builder = Builder::new(text.len(), Rules::Html, grant)?;
    let mut state = State::default();
    let mut emitter = CallbackEmitter::new(|event: CallbackEvent<'_>, _: Span<()>| {
        state.take(&mut builder, &event);
        builder.is_full().then_some(())
    });
    emitter.naively_switch_states(true);
    // It stops where the builder takes no more.
    if Tokenizer::new_with_emitter(text, emitter).next().is_some() {
        return Err(Unread);
    }
    builder.finish()
}

/// What is known of the tag that is being read.
#[derive(Default)]
struct State {
    /// Whether it is one that begins an element.
    begins: bool,
    /// An attribute whose value may still come.
    name: Option<Vec<u8>>,
}

impl State {
    fn take(&mut self, builder: &mut Builder<'_>, event: &CallbackEvent<'_>) {
        match event {
            CallbackEvent::OpenStartTag { name } => {
                self.begins = true;
                builder.begin(name);
            }
            CallbackEvent::AttributeName { name } => {
                self.attribute(builder, b"");
                self.name = self.begins.then(|| name.to_vec());
            }
            CallbackEvent::AttributeValue { value } => self.attribute(builder, value),
            CallbackEvent::CloseStartTag { self_closing } => {
                self.attribute(builder, b"");
                self.begins = false;
                builder.begun(*self_closing);
            }
            CallbackEvent::EndTag { name } => {
                (self.begins, self.name) = (false, None);
                builder.end(name);
            }
            CallbackEvent::String { value } => builder.text(value),
            CallbackEvent::Comment { value } => builder.other(Kind::Comment, value),
            CallbackEvent::Doctype { name, .. } => builder.other(Kind::Doctype, name),
            CallbackEvent::Error(_) => {}
        }
    }

    fn attribute(&mut self, builder: &mut Builder<'_>, value: &[u8]) {
        if let Some(name) = self.name.take() {
            builder.attribute(&name, value);
        }
    }
}
