//! How figures are written into recordings where deriving does not do: ids by their stable names, histograms without
//! their empty buckets. Used as `#[serde(with = "...")]`.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An id with a stable name.
pub(crate) trait Named: Copy {
    /// What it is an id of, for messages.
    const WHAT: &'static str;
    /// Its name.
    fn name(self) -> &'static str;
    /// The id of this name.
    fn of(name: &str) -> Option<Self>;
}

/// One row an id: what it is, its type, name, all of them.
macro_rules! named {
    ($($module:ident $what:literal $type:ty: $name:expr, $of:expr;)+) => { $(
        impl Named for $type {
            const WHAT: &'static str = $what;
            fn name(self) -> &'static str {
                ($name)(self)
            }
            fn of(name: &str) -> Option<Self> {
                ($of)(name)
            }
        }

        #[doc = concat!("A ", $what, " as its name.")]
        pub(crate) mod $module {
            use super::{Deserializer, Serializer};

            pub(crate) fn serialize<S: Serializer>(id: &$type, to: S) -> Result<S::Ok, S::Error> {
                to.serialize_str(super::Named::name(*id))
            }

            pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<$type, D::Error> {
                super::by_name(from)
            }
        }
    )+ };
}

named! {
    path "path" zcscope_common::Path: zcscope_common::Path::name, zcscope_common::Path::from_name;
    reason "reason" zcscope_common::Reason: zcscope_common::Reason::name, zcscope_common::Reason::from_name;
    disagreement "disagreement" zcscope_common::Disagreement:
        zcscope_common::Disagreement::name,
        |name| zcscope_common::Disagreement::ALL.into_iter().find(|kind| kind.name() == name);
    latency "stage of a send" zcscope_common::LatencyKind: stage, |name| {
        zcscope_common::LatencyKind::ALL.into_iter().find(|kind| stage(*kind) == name)
    };
}

const fn stage(kind: zcscope_common::LatencyKind) -> &'static str {
    use zcscope_common::LatencyKind;
    match kind {
        LatencyKind::Release => "release",
        LatencyKind::Queue => "queue",
        LatencyKind::Read => "read",
        LatencyKind::AppRead => "app_read",
        LatencyKind::SendCall => "send_call",
    }
}

/// Reads a name without keeping it.
struct ByName<T>(PhantomData<T>);

impl<T: Named> Visitor<'_> for ByName<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the name of a {}", T::WHAT)
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<T, E> {
        T::of(name).ok_or_else(|| E::custom(format_args!("this version knows no {} {name:?}", T::WHAT)))
    }
}

fn by_name<'de, T: Named, D: Deserializer<'de>>(from: D) -> Result<T, D::Error> {
    from.deserialize_str(ByName(PhantomData))
}

/// Reasons with a number each.
pub(crate) mod reasons {
    use zcscope_common::Reason;

    use super::{Deserialize, Deserializer, Error, Named, Serialize, Serializer};

    pub(crate) fn serialize<S: Serializer>(rows: &[(Reason, u64)], to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(rows.iter().map(|(reason, n)| (reason.name(), n)))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<(Reason, u64)>, D::Error> {
        Vec::<(String, u64)>::deserialize(from)?.into_iter().map(row).collect()
    }

    fn row<E: Error>((name, n): (String, u64)) -> Result<(Reason, u64), E> {
        Reason::of(&name).map(|reason| (reason, n)).ok_or_else(|| unknown(&name))
    }

    fn unknown<E: Error>(name: &str) -> E {
        E::custom(format_args!("this version knows no reason {name:?}"))
    }

    /// The same, where they may not be known.
    pub(crate) mod known {
        use super::*;

        #[allow(clippy::ref_option, reason = "serde passes fields like this")]
        pub(crate) fn serialize<S: Serializer>(
            rows: &Option<Vec<(Reason, u64)>>,
            to: S,
        ) -> Result<S::Ok, S::Error> {
            let rows: Option<Vec<_>> =
                rows.as_ref().map(|rows| rows.iter().map(|(reason, n)| (reason.name(), n)).collect());
            rows.serialize(to)
        }

        pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
            from: D,
        ) -> Result<Option<Vec<(Reason, u64)>>, D::Error> {
            let rows = Option::<Vec<(String, u64)>>::deserialize(from)?;
            rows.map(|rows| rows.into_iter().map(row).collect()).transpose()
        }
    }
}

/// Numbers per path.
pub(crate) mod per_path {
    use std::collections::BTreeMap;

    use zcscope_common::Path;

    use super::{Deserialize, Deserializer, Error, Named, Serializer};

    pub(crate) fn serialize<S: Serializer>(map: &BTreeMap<Path, u64>, to: S) -> Result<S::Ok, S::Error> {
        to.collect_map(map.iter().map(|(path, n)| (path.name(), n)))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeMap<Path, u64>, D::Error> {
        let rows = BTreeMap::<String, u64>::deserialize(from)?.into_iter();
        let path = |name: &str| {
            Path::of(name)
                .ok_or_else(|| D::Error::custom(format_args!("this version knows no path {name:?}")))
        };
        rows.map(|(name, n)| Ok((path(&name)?, n))).collect()
    }
}

/// Failed calls by the name of their errno.
pub(crate) mod errnos {
    use std::collections::BTreeMap;

    use zcscope_common::Err as Errno;

    use super::{Deserialize, Deserializer, Error, Serialize, Serializer};

    pub(crate) fn serialize<S: Serializer>(
        map: &BTreeMap<&'static str, u64>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        map.serialize(to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<BTreeMap<&'static str, u64>, D::Error> {
        let rows = BTreeMap::<String, u64>::deserialize(from)?.into_iter();
        let known = |name: &str| {
            let class = Errno::ALL.iter().find(|(_, known)| *known == name);
            class
                .map(|(_, known)| *known)
                .ok_or_else(|| D::Error::custom(format_args!("this version knows no errno {name:?}")))
        };
        rows.map(|(name, n)| Ok((known(&name)?, n))).collect()
    }
}

/// A histogram, its empty buckets left out.
pub(crate) mod hist {
    use std::sync::Arc;

    use zcscope_common::Hist;

    use super::{Deserialize, Deserializer, Error, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    struct Filled {
        count: u64,
        sum: u64,
        max: u64,
        min_inverted: u64,
        buckets: Vec<(u16, u64)>,
    }

    pub(crate) fn serialize<S: Serializer>(hist: &Arc<Hist>, to: S) -> Result<S::Ok, S::Error> {
        let filled = (0u16..).zip(hist.buckets).filter(|(_, n)| *n > 0);
        let Hist { count, sum, max, min_inverted, .. } = **hist;
        Filled { count, sum, max, min_inverted, buckets: filled.collect() }.serialize(to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Arc<Hist>, D::Error> {
        let Filled { count, sum, max, min_inverted, buckets } = Filled::deserialize(from)?;
        let mut hist = Hist { count, sum, max, min_inverted, ..Hist::default() };
        for (bucket, n) in buckets {
            let room = hist.buckets.get_mut(usize::from(bucket));
            *room.ok_or_else(|| D::Error::custom("a bucket beyond the last one of this version"))? = n;
        }
        Ok(Arc::new(hist))
    }
}
