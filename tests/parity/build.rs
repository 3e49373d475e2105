//! Messages by their fields: the structs of messages cannot be written out, since later releases add fields.

/// A struct with these fields, and the defaults of all others.
macro_rules! with {
    ($type:ty { $($field:ident $(: $value:expr)?),* $(,)? }) => {{
        let mut made = <$type>::default();
        $(made.$field = with!(@value $field $(, $value)?);)*
        made
    }};
    (@value $field:ident, $value:expr) => { $value };
    (@value $field:ident) => { $field };
}
