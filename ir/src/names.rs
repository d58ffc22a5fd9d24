//! Enums whose variants have names: what is written in a program, a text form or a page stands once.

/// An enum with the names and the documentation of its variants.
macro_rules! names {
    ($(#[doc = $title:literal])+ $enum:ident { $( $(#[doc = $doc:literal])+ $variant:ident = $name:literal, )+ }) => {
        $(#[doc = $title])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $enum { $( $(#[doc = $doc])+ $variant ),+ }

        impl $enum {
            pub const ALL: &'static [$enum] = &[ $( $enum::$variant ),+ ];

            /// The name in the language.
            pub fn name(self) -> &'static str {
                match self { $( $enum::$variant => $name ),+ }
            }

            /// Reference documentation.
            pub fn doc(self) -> &'static str {
                match self { $( $enum::$variant => concat!($($doc, "\n"),+) ),+ }
            }

            pub fn from_name(name: &str) -> Option<$enum> {
                $enum::ALL.iter().copied().find(|item| item.name() == name)
            }
        }
    };
}

pub(crate) use names;
