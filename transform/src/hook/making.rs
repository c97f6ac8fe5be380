//! How functions become words of scripts.

use std::collections::{BTreeMap, BTreeSet};

use rhai::{Module, RhaiNativeFunc};

/// What is made of functions before they are shared.
#[derive(Default)]
pub(super) struct Making {
    pub(super) module: Module,
    pub(super) known: BTreeMap<&'static str, BTreeSet<usize>>,
}

impl Making {
    /// A function that scripts may call.
    pub(super) fn word<A: 'static, const N: usize, const X: bool, R, F>(
        &mut self,
        name: &'static str,
        function: F,
    ) where
        R: Clone + Send + Sync + 'static,
        F: RhaiNativeFunc<A, N, X, R, true> + Send + Sync + 'static,
    {
        self.known.entry(name).or_default().insert(N);
        self.module.set_native_fn(name, function);
    }

    /// An operator.
    pub(super) fn operator<A: 'static, const N: usize, const X: bool, R, F>(
        &mut self,
        name: &str,
        function: F,
    ) where
        R: Clone + Send + Sync + 'static,
        F: RhaiNativeFunc<A, N, X, R, true> + Send + Sync + 'static,
    {
        self.module.set_native_fn(name, function);
    }
}
