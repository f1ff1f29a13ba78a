//! The form of a line of the table. Each group of codes is written in it.

/// Makes a constant of each line, and the list of them, so that no code is missing in the list.
macro_rules! table {
    ($($name:ident = $number:literal, $kind:ident, $title:literal {
        happened: $happened:literal,
        causes: $causes:literal,
        remedy: $remedy:literal,
    })*) => {
        $(
            #[doc = $title]
            pub const $name: &crate::error::code::Code = &crate::error::code::Code {
                number: $number,
                kind: crate::error::kind::ErrorKind::$kind,
                name: stringify!($name),
                title: $title,
                happened: $happened,
                causes: $causes,
                remedy: $remedy,
            };
        )*
        pub(super) const ALL: &[&crate::error::code::Code] = &[$($name),*];
    };
}
pub(super) use table;
