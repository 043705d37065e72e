@ Sum of two tensors. `add.rs` says what it computes and who checks its arguments.

.cpu cortex-m55

    .section .text.graft_mve_add,"ax",%progbits
    .global     graft_mve_add
    .type       graft_mve_add,%function
    .thumb_func
@ r0 numbers, r1 a, r2 b, r3 out, stack: elements
graft_mve_add:
    push        {r4-r10, lr}
    ldr         r12, [sp, #32]
    ldm         r0, {r4-r10}
    vpush       {d8-d9}
    vdup.32     q1, r4
    vdup.32     q2, r9
    vdup.32     q3, r10
    dlstp.32    lr, r12
1:
    vldrb.s32   q0, [r1], #4
    vldrb.s32   q4, [r2], #4
    vmlas.s32   q0, q1, r6
    vmla.s32    q0, q4, r5
    vshl.s32    q0, r7
    vadd.i32    q0, q0, r8
    vmax.s32    q0, q0, q2
    vmin.s32    q0, q0, q3
    vstrb.32    q0, [r3], #4
    letp        lr, 1b
    vpop        {d8-d9}
    pop         {r4-r10, pc}
    .size       graft_mve_add, . - graft_mve_add
