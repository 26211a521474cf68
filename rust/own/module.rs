// SPDX-License-Identifier: GPL-2.0

//! What makes a module of a crate.

// Bindings are those of the module that the macro is used in.
#![allow(clippy::crate_in_macro_def)]

use core::cell::UnsafeCell;

use crate::{error::Result, ffi::c_int};

/// A loaded module's state, dropped when it is unloaded.
pub trait Module: Sized + Sync + Send {
    /// Makes it; an error refuses to load the module.
    fn init(module: &'static ThisModule) -> Result<Self>;
}

/// A module, as C has it.
pub struct ThisModule(());

/// A parameter, with the value that it has when the module is loaded.
#[repr(transparent)]
pub struct Parameter<T>(UnsafeCell<T>);

// SAFETY: Written only while the module is loaded, before anything of it runs.
unsafe impl<T: Sync> Sync for Parameter<T> {}

impl<T: Copy> Parameter<T> {
    /// One with that value unless another is said.
    pub const fn new(value: T) -> Self {
        Self(UnsafeCell::new(value))
    }

    /// What it is.
    pub fn value(&self) -> T {
        // SAFETY: Nobody writes to it any more.
        unsafe { *self.0.get() }
    }
}

/// The state of a loaded module; none while it is not.
pub struct Loaded<T>(UnsafeCell<Option<T>>);

// SAFETY: Used by loading and unloading only, which exclude each other.
unsafe impl<T> Sync for Loaded<T> {}

impl<T: Module> Loaded<T> {
    /// Not loaded.
    #[allow(clippy::new_without_default)]
    pub const fn new() -> Self {
        Self(UnsafeCell::new(None))
    }

    /// Loads it; for C.
    ///
    /// # Safety
    ///
    /// By the module's `init_module`.
    pub unsafe fn load(&self) -> c_int {
        match T::init(&ThisModule(())) {
            Ok(state) => {
                // SAFETY: Nobody else uses it meanwhile.
                unsafe { *self.0.get() = Some(state) };
                0
            }
            Err(error) => error.to_errno(),
        }
    }

    /// Unloads it; for C.
    ///
    /// # Safety
    ///
    /// By the module's `cleanup_module`.
    pub unsafe fn unload(&self) {
        // SAFETY: Nobody else uses it any more.
        unsafe { *self.0.get() = None };
    }
}

/// The bytes of a text, with a zero byte behind them.
pub const fn text<const N: usize>(text: &str) -> [u8; N] {
    let (from, mut to, mut at) = (text.as_bytes(), [0; N], 0);
    assert!(from.len() + 1 == N);
    while at < from.len() {
        to[at] = from[at];
        at += 1;
    }
    to
}

/// Makes a module of the crate. The crate has `bindings` with `kernel_param` and what handles it.
#[macro_export]
macro_rules! module {
    (
        type: $type:ident,
        name: $name:literal,
        authors: [$author:literal],
        description: $description:literal,
        license: $license:literal,
        params: { $(
            $param:ident: $of:ident {
                default: $default:expr,
                description: $what:literal,
            },
        )* } $(,)?
    ) => {
        $crate::__info!(concat!("author=", $author));
        $crate::__info!(concat!("description=", $description));
        $crate::__info!(concat!("license=", $license));

        #[allow(non_upper_case_globals)]
        mod module_parameters { $(
            #[doc = $what]
            pub(crate) static $param: $crate::module::Parameter<$of> =
                $crate::module::Parameter::new($default);
        )* }

        $(
            $crate::__info!(concat!("parm=", stringify!($param), ":", $what));
            $crate::__info!(concat!("parmtype=", stringify!($param), ":", $crate::__param!(name $of)));
            const _: () = {
                struct Shared(crate::bindings::kernel_param);
                // SAFETY: The loader reads it, once.
                unsafe impl Sync for Shared {}
                static NAME: [u8; stringify!($param).len() + 1] =
                    $crate::module::text(stringify!($param));
                #[link_section = "__param"]
                #[used]
                static PARAM: Shared = Shared(crate::bindings::kernel_param {
                    name: (&raw const NAME).cast(),
                    mod_: crate::bindings::this_module(),
                    ops: $crate::__param!(ops $of),
                    perm: 0,
                    level: -1,
                    flags: 0,
                    __bindgen_anon_1: crate::bindings::kernel_param__bindgen_ty_1 {
                        arg: (&raw const module_parameters::$param).cast_mut().cast(),
                    },
                });
            };
        )*

        const _: () = {
            static LOADED: $crate::module::Loaded<$type> = $crate::module::Loaded::new();

            #[no_mangle]
            #[link_section = ".init.text"]
            extern "C" fn init_module() -> $crate::ffi::c_int {
                // SAFETY: This is it.
                unsafe { LOADED.load() }
            }

            #[no_mangle]
            #[link_section = ".exit.text"]
            extern "C" fn cleanup_module() {
                // SAFETY: This is it.
                unsafe { LOADED.unload() }
            }

            // They are called by pointers, which objtool has to see.
            #[link_section = ".init.data"]
            #[used]
            static INIT: extern "C" fn() -> $crate::ffi::c_int = init_module;
            #[link_section = ".exit.data"]
            #[used]
            static EXIT: extern "C" fn() = cleanup_module;
        };
    };
}

/// For [`module!`]: a line of what `modinfo` shows.
#[doc(hidden)]
#[macro_export]
macro_rules! __info {
    ($text:expr) => {
        const _: () = {
            #[link_section = ".modinfo"]
            #[used]
            static INFO: [u8; $text.len() + 1] = $crate::module::text($text);
        };
    };
}

/// For [`module!`]: how C calls the type of a parameter, and what sets it.
#[doc(hidden)]
#[macro_export]
macro_rules! __param {
    (name u8) => {
        "u8"
    };
    (name u16) => {
        "u16"
    };
    (name u32) => {
        "u32"
    };
    (ops u8) => {
        &raw const crate::bindings::param_ops_byte
    };
    (ops u16) => {
        &raw const crate::bindings::param_ops_ushort
    };
    (ops u32) => {
        &raw const crate::bindings::param_ops_uint
    };
}
