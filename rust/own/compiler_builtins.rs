// SPDX-License-Identifier: GPL-2.0

//! What the compiler calls for arithmetic that the machine, or the kernel, does not do: floating point,
//! and the product and quotient of numbers of 128 bits. RVS has neither; `core` names them in code that
//! nobody calls.

#![allow(internal_features)]
#![feature(compiler_builtins)]
#![compiler_builtins]
#![no_builtins]
#![no_std]

extern "C" {
    fn rvs_own_no_such_arithmetic();
}

macro_rules! unused {
    ($($name:ident)*) => { $(
        #[doc(hidden)]
        #[export_name = concat!("__rust", stringify!($name))]
        pub extern "C" fn $name() {
            // SAFETY: No requirements.
            unsafe { rvs_own_no_such_arithmetic() }
        }
    )* };
}

unused! {
    __addsf3 __eqsf2 __extendsfdf2 __gesf2 __lesf2 __ltsf2 __mulsf3 __nesf2 __truncdfsf2 __unordsf2
    __adddf3 __eqdf2 __ledf2 __ltdf2 __muldf3 __unorddf2
    __ashlti3 __ashrti3 __lshrti3 __muloti4 __multi3 __udivmodti4 __udivti3 __umodti3
}
