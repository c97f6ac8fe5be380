//! What a difference is, beyond its kind.

use super::form::Form;

/// What a difference is, beyond its kind: what a person would say who looks at both answers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Explained {
    /// Elements of an array, in another order or with others among them, belong together by the member of
    /// this name.
    ByKey(String),
    /// Elements of an array belong together where they are equal.
    AsSet,
    /// The field that it is on the candidate's side.
    Now(String),
    /// In which way the same is written differently.
    Form(Form),
}

impl Explained {
    /// In words; nothing of the values.
    pub fn text(&self) -> String {
        match self {
            Self::ByKey(key) => format!("elements in another order, matched by `{key}`"),
            Self::AsSet => "elements in another order, matched where they are equal".to_owned(),
            Self::Now(field) => format!("now {field}, with the same value"),
            Self::Form(form) => form.name().to_owned(),
        }
    }
}
