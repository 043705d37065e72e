@ Sums, products and tables. `elementwise.rs` says what they compute and who checks their arguments.

.cpu cortex-m55

    .section .text.graft_mve_add,"ax",%progbits

    .balign 4
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

    .section .text.graft_mve_mul,"ax",%progbits

    .balign 4
    .global     graft_mve_mul
    .type       graft_mve_mul,%function
    .thumb_func
@ r0 numbers, r1 a, r2 b, r3 out, stack: elements of b, how often they repeat
graft_mve_mul:
    push        {r4-r11, lr}
    ldrd        r10, r11, [sp, #36]
    ldm         r0, {r4-r9}
    vdup.32     q1, r9
    rsb         r9, r10, #0
    and         r9, r9, #3
    rsb         r9, r9, #0  @ what the last four elements pass the end by, negative
1:
    mov         r0, r2
    dlstp.32    lr, r10
2:
    vldrb.s32   q0, [r1], #4
    vldrb.s32   q2, [r0], #4
    vadd.i32    q0, q0, r4
    vadd.i32    q2, q2, r5
    vmul.i32    q0, q0, q2
    vshl.s32    q0, r6
    vmulh.s32   q0, q0, q1
    vrshl.s32   q0, r7
    vadd.i32    q0, q0, r8
    vqmovnb.s32 q0, q0
    vqmovnb.s16 q0, q0
    vstrb.32    q0, [r3], #4
    letp        lr, 2b
    add         r1, r9
    add         r3, r9
    subs        r11, r11, #1
    bne         1b
    pop         {r4-r11, pc}
    .size       graft_mve_mul, . - graft_mve_mul

    .section .text.graft_mve_map,"ax",%progbits

    .balign 4
    .global     graft_mve_map
    .type       graft_mve_map,%function
    .thumb_func
@ r0 table, r1 in, r2 out, r3 elements
graft_mve_map:
    push        {r7, lr}
    vmov.i8     q1, #0x80
    dlstp.8     lr, r3
1:
    vldrb.u8    q0, [r1], #16
    veor        q0, q0, q1  @ -128 is the first entry
    vldrb.u8    q2, [r0, q0]
    vstrb.8     q2, [r2], #16
    letp        lr, 1b
    pop         {r7, pc}
    .size       graft_mve_map, . - graft_mve_map
