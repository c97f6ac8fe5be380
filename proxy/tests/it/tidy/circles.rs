//! What lies in one folder imports from each other one way only.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};

use super::code::{TESTS, code_of, without_tests};

/// A path: from the root of a crate, or as it is written in a module.
type Names = Vec<String>;
/// What lies in a folder, each with those beside it that it imports from.
pub(super) type Parts = BTreeMap<String, BTreeSet<String>>;

/// Most names on the way from an import to where what it names is declared; some lead to themselves.
const HOPS_MAX: usize = 16;

#[test]
fn no_files_of_one_folder_import_each_other_in_a_circle() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let (mut packages, mut folders) = (0, 0);
    let mut found = Vec::new();
    for package in packages_of(&root) {
        let modules = Modules::of(&package.join("src"));
        for folder in modules.folders() {
            let place = [&["src".to_owned()], folder].concat().join("/");
            let place = package.strip_prefix(&root).unwrap().join(place);
            let circles = circles(&modules.parts(folder)).into_iter();
            found.extend(circles.map(|it| format!("{}: {}", place.display(), it.join(", "))));
            folders += 1;
        }
        packages += 1;
    }
    assert!(found.is_empty(), "these import each other:\n{}", found.join("\n"));
    assert!(packages > 9 && folders > 30, "only {packages} packages, {folders} folders");
}

#[test]
fn imports_are_known_from_the_root_of_the_crate() {
    let imports = |code: &str| {
        let modules = Modules::from(&[
            ("k", ""),
            ("k::l", "pub(super) use i::J as N; use super::o; pub use self::i::Q; use std::p;"),
            ("k::l::i", "pub use super::super::q::Q;"),
            ("k::l::m", code),
            ("k::l::m::n", ""),
            ("k::o", "pub use crate::{a::Y};"),
        ]);
        let found = modules.imports(&["k", "l", "m"].map(str::to_owned));
        found.iter().map(|path| path.join("::")).collect::<Vec<_>>()
    };
    assert_eq!(imports("use crate::a::b::C;"), ["a::b::C"]);
    let lists = "use super::{\n    d::{self, E as F},\n    g,\n};\n// super::h\n";
    assert_eq!(imports(lists), ["k::l::d", "k::l::d::E", "k::l::g"]);
    assert_eq!(imports("fn a() { super::super::b::c::<D>(\"super::e\") }"), ["k::b::c"]);
    assert_eq!(imports("fn a() { b!(\"super::e\", c(super::d::E), f: g) }"), ["k::l::d::E"]);
    assert_eq!(imports("use std::a;\nuse b::c;\nfn d() { b::f::g() }"), [""; 0]);
    // What is in it, or known to it by another name.
    assert_eq!(imports("use n::A;\nuse self::n::B;"), ["k::l::m::n::A", "k::l::m::n::B"]);
    assert_eq!(imports("use crate::a as b;\nfn c() { b::d() }"), ["a", "k::l::m::b::d", "a::d"]);
    // What others hand on.
    assert_eq!(imports("use super::N;"), ["k::l::N", "k::l::i::J"]);
    assert_eq!(imports("use super::Q;"), ["k::l::Q", "k::l::i::Q", "k::q::Q"]);
    assert_eq!(imports("use super::o::Y;"), ["k::l::o::Y", "k::o::Y", "a::Y"]);
    assert_eq!(imports("use super::p::R;"), ["k::l::p::R"]);
}

#[test]
fn circles_of_all_sorts_are_found() {
    let found = |files: &[(&str, &str)], folder: &[&str]| {
        let folder: Vec<_> = folder.iter().map(|name| (*name).to_owned()).collect();
        let circles = circles(&Modules::from(files).parts(&folder));
        circles.iter().map(|circle| circle.join(" ")).collect::<Vec<_>>()
    };
    let parent = ("", "mod b;\npub use b::B;\nuse b::D as E;\npub struct F;");
    let ways = [
        "use crate::b::B;",
        "use super::b;",
        "use super::{\n    F,\n    b::{B, D},\n};",
        "fn a() -> super::b::B {}",
        "use crate as c;\nfn d() { c::b::e() }",
        "use super::B;",
        "use crate::E;",
    ];
    for way in ways {
        let files = [parent, ("a", way), ("b", "use super::a;")];
        assert_eq!(found(&files, &[]), ["a b"], "{way}");
        let files = [parent, ("a", way), ("b", "use super::c;"), ("c", "use super::a;")];
        assert_eq!(found(&files, &[]), ["a b c"], "{way}");
        assert!(found(&[parent, ("a", way), ("b", "use super::F;")], &[]).is_empty(), "{way}");
    }
    // In folders, and from folders in them.
    let files = [
        ("f", "use b::B;"),
        ("f::a", ""),
        ("f::b", ""),
        ("f::a::c", "use super::super::B;"),
        ("f::b::d", "fn e() { super::super::a::g() }"),
        ("f::h", "use super::i::I;"),
        ("f::i", "use crate::f::h;"),
    ];
    assert_eq!(found(&files, &["f"]), ["a b", "h i"]);
    assert!(found(&files, &[]).is_empty());
}

/// The packages that have sources.
fn packages_of(root: &Path) -> Vec<PathBuf> {
    let inner = entries(root).into_iter().filter(|path| !path.ends_with("target"));
    let packages = inner.flat_map(|path| [entries(&path), vec![path]].concat());
    packages.filter(|path| path.join("src").is_dir() && path.join("Cargo.toml").is_file()).collect()
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path()).collect()
}

/// The modules of a crate but for tests, each with what it names.
#[derive(Default)]
pub(super) struct Modules {
    /// What is named there, as it is written.
    named: BTreeMap<Names, Vec<Names>>,
    /// What is known there by which name since it was imported, as it is written.
    known: BTreeMap<Names, BTreeMap<String, Names>>,
}

impl Modules {
    /// Those in a folder of sources.
    pub(super) fn of(src: &Path) -> Self {
        let mut modules = Self::default();
        modules.read(src, &[]);
        modules
    }

    fn read(&mut self, folder: &Path, module: &[String]) {
        for path in entries(folder) {
            let name = path.file_stem().unwrap().to_str().unwrap();
            let is_root = module.is_empty() && ["lib", "main"].contains(&name);
            let own = [module, &[name.to_owned()]].concat();
            if TESTS.contains(&name) {
                continue;
            } else if path.is_dir() {
                self.read(&path, &own);
            } else {
                self.add(if is_root { &[] } else { &own }, &code_of(&path));
            }
        }
    }

    fn from(files: &[(&str, &str)]) -> Self {
        let mut modules = Self::default();
        for (module, code) in files {
            let module: Vec<_> = module.split_terminator("::").map(str::to_owned).collect();
            modules.add(&module, &without_tests(code));
        }
        modules
    }

    fn add(&mut self, module: &[String], code: &syn::File) {
        let mut names = Named::default();
        names.visit_file(code);
        assert!(!names.has_inner, "in {} is a module that has no file", module.join("::"));
        let named = self.named.entry(module.to_owned()).or_default();
        named.extend(names.imported.iter().map(|(_, path)| path.clone()));
        named.extend(names.paths);
        self.known.entry(module.to_owned()).or_default().extend(names.imported);
    }

    /// The folders that modules are in, by the module that each belongs to.
    fn folders(&self) -> BTreeSet<&[String]> {
        self.named.keys().filter_map(|module| Some(module.split_last()?.1)).collect()
    }

    /// The parts of a folder. What is in a folder of its own belongs to the part of that name; the root of
    /// a crate, from which all may import, is no part.
    pub(super) fn parts(&self, folder: &[String]) -> Parts {
        let mut parts = Parts::new();
        for module in self.named.keys() {
            let Some([part, ..]) = module.strip_prefix(folder) else { continue };
            let imports = self.imports(module).into_iter();
            let beside = imports.filter_map(|it| it.strip_prefix(folder)?.first().cloned());
            parts.entry(part.clone()).or_default().extend(beside);
        }
        let names: BTreeSet<_> = parts.keys().cloned().collect();
        for (name, imported) in &mut parts {
            imported.retain(|it| it != name && names.contains(it));
        }
        parts
    }

    /// All of the crate that a module names, each with what that is another name of.
    fn imports(&self, module: &[String]) -> Vec<Names> {
        let named = self.named[module].iter().filter_map(|path| self.absolute(path, module));
        let mut imports = Vec::new();
        for path in named {
            let hops = std::iter::successors(Some(path), |path| self.other_name(path));
            imports.extend(hops.take(HOPS_MAX));
        }
        for path in &imports {
            if let Some((end, all)) = path.split_last()
                && end == "*"
            {
                let is_module = self.named.contains_key(all);
                assert!(!is_module, "{module:?} imports all of {all:?}, and does not say what");
            }
        }
        imports
    }

    /// A path that is written in a module, from the root; `None` where it leads to another crate.
    fn absolute(&self, path: &[String], module: &[String]) -> Option<Names> {
        let (first, rest) = path.split_first()?;
        match first.as_str() {
            "crate" => Some(rest.to_owned()),
            "self" => Some([module, rest].concat()),
            "super" => {
                let (_, parent) = module.split_last()?;
                let is_further = rest.first().is_some_and(|next| next == "super");
                if is_further { self.absolute(rest, parent) } else { Some([parent, rest].concat()) }
            }
            _ => {
                let is_in_it = self.named.contains_key(&[module, &path[..1]].concat());
                let is_known = self.known.get(module).is_some_and(|it| it.contains_key(first));
                (is_in_it || is_known).then(|| [module, path].concat())
            }
        }
    }

    /// What a path is another name of, where a module on its way has imported what comes next.
    fn other_name(&self, path: &[String]) -> Option<Names> {
        (0..path.len()).find_map(|at| {
            let (module, name) = (&path[..at], &path[at]);
            let known = self.known.get(module)?.get(name)?;
            if self.named.contains_key(&path[..=at]) {
                return None;
            }
            Some([self.absolute(known, module)?, path[at + 1..].to_owned()].concat())
        })
    }
}

/// What a file names.
#[derive(Default)]
struct Named {
    /// By imports, each with the name that it is known by then.
    imported: Vec<(String, Names)>,
    /// By paths of more than one name.
    paths: Vec<Names>,
    /// Whether it has a module that has no file of its own.
    has_inner: bool,
}

impl<'f> Visit<'f> for Named {
    fn visit_item_use(&mut self, item: &'f syn::ItemUse) {
        self.gather(&item.tree, &[]);
    }

    fn visit_path(&mut self, path: &'f syn::Path) {
        let names: Names = path.segments.iter().map(|it| it.ident.to_string()).collect();
        if names.len() > 1 && path.leading_colon.is_none() {
            self.paths.push(names);
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, called: &'f syn::Macro) {
        visit::visit_macro(self, called);
        self.gather_tokens(called.tokens.clone());
    }

    fn visit_item_mod(&mut self, item: &'f syn::ItemMod) {
        self.has_inner |= item.content.is_some();
    }
}

impl Named {
    fn gather(&mut self, tree: &syn::UseTree, prefix: &[String]) {
        let with = |name: &dyn ToString| [prefix, &[name.to_string()]].concat();
        let itself = |name: &syn::Ident| {
            if name == "self" && !prefix.is_empty() { prefix.to_owned() } else { with(name) }
        };
        match tree {
            syn::UseTree::Path(path) => self.gather(&path.tree, &with(&path.ident)),
            syn::UseTree::Name(name) => {
                let path = itself(&name.ident);
                self.imported.push((path.last().unwrap().clone(), path));
            }
            syn::UseTree::Rename(name) => {
                self.imported.push((name.rename.to_string(), itself(&name.ident)));
            }
            syn::UseTree::Glob(_) => self.imported.push(("*".to_owned(), with(&"*"))),
            syn::UseTree::Group(group) => {
                group.items.iter().for_each(|tree| self.gather(tree, prefix));
            }
        }
    }

    /// What a macro is called with need not be code: names between double colons are a path.
    fn gather_tokens(&mut self, tokens: TokenStream) {
        let (mut path, mut colons) = (Names::new(), 0);
        for token in tokens {
            match token {
                TokenTree::Punct(colon) if colon.as_char() == ':' => colons += 1,
                TokenTree::Ident(name) if colons == 2 && !path.is_empty() => {
                    path.push(name.to_string());
                    colons = 0;
                }
                other => {
                    self.end_path(&mut path);
                    colons = 0;
                    match other {
                        TokenTree::Ident(name) => path.push(name.to_string()),
                        TokenTree::Group(group) => self.gather_tokens(group.stream()),
                        _ => {}
                    }
                }
            }
        }
        self.end_path(&mut path);
    }

    fn end_path(&mut self, path: &mut Names) {
        let path = std::mem::take(path);
        if path.len() > 1 {
            self.paths.push(path);
        }
    }
}

/// Those that reach each other.
fn circles(parts: &Parts) -> BTreeSet<Vec<String>> {
    let reached: BTreeMap<_, _> = parts.keys().map(|part| (part, reached(part, parts))).collect();
    let mutual = |part| {
        let others = reached[part].iter().filter(|other| reached[other].contains(part));
        others.cloned().collect::<Vec<_>>()
    };
    parts.keys().map(mutual).filter(|circle| !circle.is_empty()).collect()
}

fn reached(from: &str, parts: &Parts) -> BTreeSet<String> {
    let (mut reached, mut left) = (BTreeSet::new(), vec![from.to_owned()]);
    while let Some(part) = left.pop() {
        let more = parts[&part].iter().filter(|part| reached.insert((*part).clone()));
        left.extend(more.cloned());
    }
    reached
}
