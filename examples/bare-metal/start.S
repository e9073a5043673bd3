/* From reset, or from firmware, to main: an AArch64 core at EL3, EL2 or EL1 becomes one that the library runs well on.
 *
 * - at EL1, interrupts masked, NEON usable, every exception reported and fatal (board_fault in describe.c);
 * - MMU on with an identity map of the first 4 GiB, caches on.  The map is that of QEMU's `virt` machine (and of many boards): devices
 *   below 1 GiB, memory above.  The kernels load from any address, which only normal memory allows;
 * - .bss cleared, the stack painted so that its use can be told, thread pointer set (the C library's errno lives there).
 *
 * Caches are invalid after a reset of every Cortex-A since A53.  Start-up code that may be entered with dirty ones must clean and
 * invalidate them by set and way before the MMU goes on.
 */

    .set    ENTER_EL1, 0x3C5            /* SPSR: EL1 with its own stack pointer, interrupts masked */
    .set    ENTER_EL2, 0x3C9
    .set    ATTRIBUTES, 0xFF00          /* MAIR: 0 is device memory (nGnRnE), 1 is normal memory, write-back */
    .set    TRANSLATION, 1 << 23 | 3 << 12 | 1 << 10 | 1 << 8 | 32 /* TCR: 4 GiB, tables cacheable and shared, no upper half */
    .set    CONTROL, 0x30D00800 | 1 << 12 | 1 << 2 | 1 << 0 /* SCTLR: bits that are 1, instruction cache, data cache, MMU */
    .set    DEVICE, 3 << 53 | 1 << 10 | 0 << 2 | 1 /* a block of 1 GiB: never executed, accessible, attribute 0 */
    .set    MEMORY, 1 << 10 | 3 << 8 | 1 << 2 | 1  /* accessible, shared, attribute 1 */

    .section .text.start, "ax"
    .global start
    .type   start, %function
start:
    msr     daifset, #15
    mrs     x0, CurrentEL
    cmp     x0, #2 << 2
    b.lo    at_el1
    b.eq    at_el2

    /* EL3: everything below it is 64-bit, not secure, and may use NEON. */
    mov     x0, #0x531                  /* SCR: RW, HCE, NS and the bits that are 1 */
    msr     scr_el3, x0
    msr     cptr_el3, xzr
    mrs     x0, id_aa64pfr0_el1
    tst     x0, #0xF << 8               /* is there an EL2? */
    mov     x1, #ENTER_EL1
    mov     x2, #ENTER_EL2
    csel    x1, x1, x2, eq
    adr     x3, at_el1
    adr     x4, at_el2
    csel    x3, x3, x4, eq
    msr     spsr_el3, x1
    msr     elr_el3, x3
    eret

at_el2:
    mov     x0, #1 << 31                /* HCR: EL1 is 64-bit; nothing is virtual */
    msr     hcr_el2, x0
    mov     x0, #0x33FF                 /* CPTR: the bits that are 1; NEON is not trapped */
    msr     cptr_el2, x0
    mov     x0, #3                      /* EL1 reads counter and timer, without an offset */
    msr     cnthctl_el2, x0
    msr     cntvoff_el2, xzr
    mrs     x0, midr_el1
    msr     vpidr_el2, x0
    mrs     x0, mpidr_el1
    msr     vmpidr_el2, x0
    mov     x0, #ENTER_EL1
    msr     spsr_el2, x0
    adr     x0, at_el1
    msr     elr_el2, x0
    eret

at_el1:
    mrs     x0, mpidr_el1               /* one core goes on */
    tst     x0, #0xFFFFFF
    b.ne    sleep
    msr     spsel, #1
    ldr     x0, =vectors
    msr     vbar_el1, x0
    mov     x0, #3 << 20                /* CPACR: NEON */
    msr     cpacr_el1, x0

    tlbi    vmalle1
    ic      iallu
    ldr     x0, =ATTRIBUTES
    msr     mair_el1, x0
    ldr     x0, =TRANSLATION
    msr     tcr_el1, x0
    ldr     x0, =map
    msr     ttbr0_el1, x0
    dsb     sy
    isb
    ldr     x0, =CONTROL
    msr     sctlr_el1, x0
    isb

    ldr     x0, =board_bss_start
    ldr     x1, =board_bss_end
    mov     x2, #0
    bl      fill
    ldr     x0, =board_stack_start
    ldr     x1, =board_stack_end
    ldr     x2, =BOARD_STACK_PAINT
    bl      fill
    mov     sp, x1
    ldr     x0, =board_thread_pointer
    msr     tpidr_el0, x0
    mov     x29, #0
    bl      main
    bl      gemlet_semihosting_exit
sleep:
    wfe
    b       sleep

/* Writes x2 from x0 up to x1, both multiples of 16. */
fill:
    cmp     x0, x1
    b.hs    filled
    stp     x2, x2, [x0], #16
    b       fill
filled:
    ret

/* Whatever the exception was, it ends the program; the stack may be what was wrong, so it begins anew. */
fault:
    ldr     x0, =board_stack_end
    mov     sp, x0
    mrs     x0, esr_el1
    mrs     x1, elr_el1
    mrs     x2, far_el1
    bl      board_fault
    b       sleep

    .balign 2048
vectors:
    .rept   16
    .balign 128
    b       fault
    .endr

    .section .rodata.map, "a"
    .balign 64
map:
    .quad   0x00000000 + DEVICE
    .quad   0x40000000 + MEMORY
    .quad   0x80000000 + MEMORY
    .quad   0xC0000000 + MEMORY

    .section .note.GNU-stack, "", %progbits
