//! Paths and reasons by their stable names in JSON.

macro_rules! by_name {
    ($module:ident, $id:ty) => {
        pub(super) mod $module {
            use serde::{Deserialize, Deserializer, Serializer, de};

            pub(in crate::doctor) fn serialize<S: Serializer>(id: &$id, to: S) -> Result<S::Ok, S::Error> {
                to.serialize_str(id.name())
            }

            pub(in crate::doctor) fn deserialize<'de, D: Deserializer<'de>>(
                from: D,
            ) -> Result<$id, D::Error> {
                let name = String::deserialize(from)?;
                <$id>::from_name(&name).ok_or_else(|| de::Error::custom(format!("no such id: {name}")))
            }
        }
    };
}

by_name!(path, zcscope_common::Path);
by_name!(reason, zcscope_common::Reason);
