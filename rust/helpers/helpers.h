/* SPDX-License-Identifier: GPL-2.0 */
/* Macros and inlines of the kernel that bindgen cannot wrap, as functions. */
