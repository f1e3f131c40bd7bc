//! Maps whose keys nobody outside chooses: our own numbers, and names of kernel functions and devices. Fast, and in the
//! same order in every run.

use std::collections::{HashMap, HashSet};

use foldhash::fast::FixedState;

/// A map with such a key.
pub(crate) type FastMap<K, V> = HashMap<K, V, FixedState>;

/// A set of such keys.
pub(crate) type FastSet<K> = HashSet<K, FixedState>;

/// A map keyed by socket id.
pub(crate) type ById<V> = FastMap<u64, V>;
