// SPDX-License-Identifier: GPL-2.0

//! Enums whose variants have numbers, as on the wire, and names, as on the command line.

/// Gives an enum `ALL`, `from_number`, `number`, `from_name` and `name`. Its variants stand in the order of their numbers.
macro_rules! numbered {
    ($kind:ident as $number:ty { $($variant:ident = $name:literal,)+ }) => {
        impl $kind {
            /// All of them, by number.
            pub const ALL: [Self; [$($name),+].len()] = [$(Self::$variant),+];

            /// The one with this number.
            #[inline]
            pub const fn from_number(number: $number) -> Option<Self> {
                $(if number == Self::$variant as $number {
                    return Some(Self::$variant);
                })+
                None
            }

            /// Its number.
            #[inline]
            pub const fn number(self) -> $number {
                self as $number
            }

            /// The one of that name.
            pub fn from_name(name: &str) -> Option<Self> {
                Self::ALL.into_iter().find(|one| one.name() == name)
            }

            /// Its name.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }
        }
    };
}

pub(super) use numbered;
