// SPDX-License-Identifier: GPL-2.0

//! Counters with one copy a CPU: written without locks or shared lines, summed when read.
//!
//! C header: [`include/linux/percpu.h`](srctree/include/linux/percpu.h)

use core::{mem, ptr};

use kernel::{cpu::nr_cpu_ids, error::code::ENOMEM, prelude::*};

use crate::bindings;

/// What leads from a per-CPU pointer to this CPU's copy on x86: a segment, or nothing in a kernel
/// for one CPU.
#[cfg(all(target_arch = "x86_64", CONFIG_SMP))]
macro_rules! this_cpu {
    () => {
        "gs:"
    };
}
#[cfg(all(target_arch = "x86_64", not(CONFIG_SMP)))]
macro_rules! this_cpu {
    () => {
        ""
    };
}
// User-Mode Linux with several CPUs has no such register.
#[cfg(all(target_arch = "x86_64", CONFIG_SMP, CONFIG_UML))]
compile_error!("RVS counts on User-Mode Linux for one CPU only");

/// `N` counters a CPU.
///
/// # Invariants
///
/// `base` is a per-CPU allocation of `N` words.
pub(crate) struct PerCpuCounters<const N: usize> {
    base: *mut u64,
}

// SAFETY: The counters are reached through per-CPU operations, from any thread.
unsafe impl<const N: usize> Send for PerCpuCounters<N> {}
// SAFETY: As above.
unsafe impl<const N: usize> Sync for PerCpuCounters<N> {}

impl<const N: usize> PerCpuCounters<N> {
    /// Allocates them, all zero. May sleep.
    pub(crate) fn new() -> Result<Self> {
        let size = mem::size_of::<u64>() * N;
        // SAFETY: Any size and a power-of-two alignment are valid arguments.
        let base = unsafe {
            bindings::pcpu_alloc_noprof(
                size,
                mem::align_of::<u64>(),
                false,
                bindings::GFP_KERNEL_ACCOUNT,
            )
        };
        if base.is_null() {
            return Err(ENOMEM);
        }
        // INVARIANT: Just allocated with that size.
        Ok(Self { base: base.cast() })
    }

    /// Adds to a counter of this CPU. Safe against interrupts and migration: one instruction.
    #[inline(always)]
    pub(crate) fn add<const I: usize>(&self, value: u64) {
        const { assert!(I < N) };
        // SAFETY: Just checked.
        unsafe { self.add_unchecked(I, value) };
    }

    /// Adds 1 to the counter `ONE` of this CPU and `value` to `MORE`, each as [`Self::add`] does.
    #[inline(always)] // Each packet is counted.
    pub(crate) fn add_both<const ONE: usize, const MORE: usize>(&self, value: u64) {
        const { assert!(ONE < N && MORE < N) };
        #[cfg(target_arch = "x86_64")]
        // SAFETY: As in `add_unchecked`; both are of the allocation.
        unsafe {
            core::arch::asm!(
                concat!("inc qword ptr ", this_cpu!(), "[{base} + {one}]"),
                concat!("add qword ptr ", this_cpu!(), "[{base} + {more}], {value}"),
                base = in(reg) self.base,
                one = const ONE * size_of::<u64>(),
                more = const MORE * size_of::<u64>(),
                value = in(reg) value,
                options(nostack),
            );
        }
        #[cfg(not(target_arch = "x86_64"))]
        {
            self.add::<ONE>(1);
            self.add::<MORE>(value);
        }
    }

    /// Adds to the counter at `index` of this CPU; nothing when there is none.
    #[inline]
    pub(crate) fn add_at(&self, index: usize, value: u64) {
        if index < N {
            // SAFETY: Just checked.
            unsafe { self.add_unchecked(index, value) };
        }
    }

    /// # Safety
    ///
    /// `index` is less than `N`.
    #[inline(always)]
    unsafe fn add_unchecked(&self, index: usize, value: u64) {
        let counter = self.base.wrapping_add(index);
        #[cfg(target_arch = "x86_64")]
        // SAFETY: The address is that of this CPU's copy of a counter of the allocation; one
        // instruction cannot be torn by an interrupt.
        unsafe {
            core::arch::asm!(
                concat!("add qword ptr ", this_cpu!(), "[{counter}], {value}"),
                counter = in(reg) counter,
                value = in(reg) value,
                options(nostack),
            );
        }
        #[cfg(not(target_arch = "x86_64"))]
        // SAFETY: `counter` is a per-CPU pointer into the allocation.
        unsafe {
            bindings::rvs_this_cpu_add(counter, value)
        };
    }

    /// The sums over all CPUs.
    pub(crate) fn sums(&self) -> [u64; N] {
        let mut sums = [0u64; N];
        for cpu in cpus() {
            for (sum, value) in sums.iter_mut().zip(self.of_cpu(cpu)) {
                *sum = sum.wrapping_add(value);
            }
        }
        sums
    }

    /// Those of one CPU.
    pub(crate) fn of_cpu(&self, cpu: Cpu) -> [u64; N] {
        // SAFETY: The CPU is possible and the allocation per-CPU.
        let base = unsafe { bindings::rvs_per_cpu_ptr(self.base.cast(), cpu.0) }.cast::<u64>();
        let mut counts = [0u64; N];
        for (i, count) in counts.iter_mut().enumerate() {
            // SAFETY: Within the allocation; other CPUs write whole words.
            *count = unsafe { ptr::read_volatile(base.wrapping_add(i)) };
        }
        counts
    }
}

/// A CPU that may be there.
///
/// # Invariants
///
/// The number is that of a possible CPU.
#[derive(Clone, Copy)]
pub(crate) struct Cpu(u32);

impl Cpu {
    /// Its number.
    pub(crate) fn number(self) -> u32 {
        self.0
    }
}

/// All CPUs that may be there, in order.
pub(crate) fn cpus() -> impl Iterator<Item = Cpu> {
    let end = nr_cpu_ids();
    // SAFETY: Any number is a valid argument.
    let next = move |after: i32| match unsafe { bindings::rvs_next_possible_cpu(after) } {
        // INVARIANT: The C function gives possible CPUs.
        cpu if cpu < end => Some(Cpu(cpu)),
        _ => None,
    };
    core::iter::successors(next(-1), move |cpu| next(cpu.0 as i32))
}

impl<const N: usize> Drop for PerCpuCounters<N> {
    fn drop(&mut self) {
        // SAFETY: By the invariant it is ours to free.
        unsafe { bindings::free_percpu(self.base.cast()) };
    }
}
