/* SPDX-License-Identifier: GPL-2.0 */
/* What bindgen reads for own; Kbuild says which of it is emitted. */

#include "helpers.h"

const unsigned int RUST_CONST_HELPER_PAGE_SHIFT = PAGE_SHIFT;
const unsigned int RUST_CONST_HELPER_KEY_SIZE = RVS_OWN_KEY_SIZE;
const gfp_t RUST_CONST_HELPER_GFP_ATOMIC = GFP_ATOMIC;
const gfp_t RUST_CONST_HELPER_GFP_KERNEL = GFP_KERNEL;
const gfp_t RUST_CONST_HELPER_GFP_KERNEL_ACCOUNT = GFP_KERNEL_ACCOUNT;
const gfp_t RUST_CONST_HELPER_GFP_NOWAIT = GFP_NOWAIT;
const gfp_t RUST_CONST_HELPER___GFP_NOWARN = __GFP_NOWARN;
const gfp_t RUST_CONST_HELPER___GFP_ZERO = __GFP_ZERO;
