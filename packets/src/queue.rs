//! A queue of numbered things from which any may be taken out: what was longest not touched is first.

/// The numbers are small: those of the places in a table. Every step takes the same time, however
/// long the queue is; its memory is that of the largest number.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    links: Vec<Option<Links>>,
    first: Option<u32>,
    last: Option<u32>,
    len: usize,
}

#[derive(Clone, Copy, Debug)]
struct Links {
    before: Option<u32>,
    after: Option<u32>,
}

impl Queue {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn first(&self) -> Option<u32> {
        self.first
    }

    /// Puts it last, from wherever it is.
    pub(crate) fn touch(&mut self, id: u32) {
        if self.last == Some(id) {
            return;
        }
        self.remove(id);
        let place = id as usize;
        if place >= self.links.len() {
            self.links.resize(place + 1, None);
        }
        self.links[place] = Some(Links { before: self.last, after: None });
        match self.last {
            Some(last) => self.link(last, |links| links.after = Some(id)),
            None => self.first = Some(id),
        }
        self.last = Some(id);
        self.len += 1;
    }

    /// Takes it out, if it is there.
    pub(crate) fn remove(&mut self, id: u32) {
        let Some(Links { before, after }) = self.links.get_mut(id as usize).and_then(Option::take)
        else {
            return;
        };
        match before {
            Some(before) => self.link(before, |links| links.after = after),
            None => self.first = after,
        }
        match after {
            Some(after) => self.link(after, |links| links.before = before),
            None => self.last = before,
        }
        self.len -= 1;
    }

    fn link(&mut self, id: u32, change: impl FnOnce(&mut Links)) {
        if let Some(links) = self.links.get_mut(id as usize).and_then(Option::as_mut) {
            change(links);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_does_what_a_list_that_is_searched_does(
            steps in prop::collection::vec((any::<bool>(), 0_u32..12), 0..200)
        ) {
            let (mut queue, mut list) = (Queue::default(), VecDeque::new());
            for (touch, id) in steps {
                list.retain(|other| *other != id);
                if touch {
                    list.push_back(id);
                    queue.touch(id);
                } else {
                    queue.remove(id);
                }
                prop_assert_eq!(queue.first(), list.front().copied());
                prop_assert_eq!(queue.len(), list.len());
            }
            while let Some(id) = queue.first() {
                prop_assert_eq!(Some(id), list.pop_front());
                queue.remove(id);
            }
            prop_assert!(list.is_empty());
        }
    }
}
