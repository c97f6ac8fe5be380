//! Documents as text again.

use super::{Change, Docs, Key, Kind, Place, quoted};
use crate::hook::meter::{Meter, Refusal};

/// What is still to be written.
enum Task {
    Value(Place),
    Bytes(&'static str),
    Text(String),
    /// The key at a node.
    Key(Place),
    /// The text of a document from a byte to a byte, in which these nodes may have changed.
    Copy {
        doc: u32,
        from: u32,
        to: u32,
        node: u32,
        behind: u32,
    },
}

impl Docs {
    /// The text of what stands at a place.
    pub(in crate::hook) fn text(
        &self,
        place: Place,
        meter: &mut Meter,
    ) -> Result<Vec<u8>, Refusal> {
        let mut out = Vec::new();
        let mut tasks = vec![Task::Value(place)];
        while let Some(task) = tasks.pop() {
            match task {
                Task::Value(place) => self.value(place, &mut tasks, meter)?,
                Task::Bytes(text) => push(&mut out, text.as_bytes(), meter)?,
                Task::Text(text) => push(&mut out, text.as_bytes(), meter)?,
                Task::Key(place) => match self.change(place) {
                    Some(Change::Key(name)) => push(&mut out, quoted(name).as_bytes(), meter)?,
                    _ => push(&mut out, self.sent(place), meter)?,
                },
                Task::Copy { doc, from, to, node, behind } => {
                    self.copy((doc, from, to), (node, behind), &mut tasks, &mut out, meter)?;
                }
            }
        }
        Ok(out)
    }

    fn sent(&self, place: Place) -> &[u8] {
        let node = self.node(place);
        &self.doc(place).text[node.from as usize..node.to as usize]
    }

    fn value(&self, place: Place, tasks: &mut Vec<Task>, meter: &mut Meter) -> Result<(), Refusal> {
        let place = self.now(place);
        let node = self.node(place);
        let Some(Change::Members(list)) = self.change(place) else {
            tasks.push(Task::Copy {
                doc: place.doc,
                from: node.from,
                to: node.to,
                node: place.node,
                behind: node.next,
            });
            return Ok(());
        };
        meter.take(4 * list.len() * size_of::<Task>())?;
        let (open, close) = if node.kind == Kind::Object { ("{", "}") } else { ("[", "]") };
        tasks.push(Task::Bytes(close));
        for (index, member) in list.iter().enumerate().rev() {
            tasks.push(Task::Value(member.value));
            match &member.key {
                Key::None => {}
                Key::Same(node) => {
                    tasks.push(Task::Bytes(":"));
                    tasks.push(Task::Key(Place { doc: place.doc, node: *node }));
                }
                Key::New(name) => {
                    tasks.push(Task::Bytes(":"));
                    tasks.push(Task::Text(quoted(name)));
                }
            }
            if index > 0 {
                tasks.push(Task::Bytes(","));
            }
        }
        tasks.push(Task::Bytes(open));
        Ok(())
    }

    /// Writes a part of a document up to the next change that is a value, and leaves the rest as a task.
    fn copy(
        &self,
        (doc, mut from, to): (u32, u32, u32),
        (mut node, behind): (u32, u32),
        tasks: &mut Vec<Task>,
        out: &mut Vec<u8>,
        meter: &mut Meter,
    ) -> Result<(), Refusal> {
        let it = &self.0[doc as usize];
        while let Some((at, change)) = it.changes.range(node..behind).next() {
            let place = Place { doc, node: *at };
            let changed = self.node(place);
            push(out, &it.text[from as usize..changed.from as usize], meter)?;
            (from, node) = (changed.to, changed.next);
            if let Change::Key(name) = change {
                push(out, quoted(name).as_bytes(), meter)?;
                node = at + 1;
                continue;
            }
            tasks.push(Task::Copy { doc, from, to, node, behind });
            tasks.push(Task::Value(place));
            return Ok(());
        }
        push(out, &it.text[from as usize..to as usize], meter)
    }
}

fn push(out: &mut Vec<u8>, bytes: &[u8], meter: &mut Meter) -> Result<(), Refusal> {
    let length = out.len() + bytes.len();
    if length > out.capacity() {
        let room = length.max(2 * out.capacity()).max(64);
        meter.take(room - out.capacity())?;
        out.reserve_exact(room - out.len());
    }
    out.extend_from_slice(bytes);
    Ok(())
}
