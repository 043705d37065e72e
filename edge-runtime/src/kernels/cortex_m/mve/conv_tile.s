@ The tile of dense convolutions. `conv_tile.rs` says what it computes and who checks its arguments.

.cpu cortex-m55

@ 16 taps of four channels for two pixels: r3 and r5 pixels, r1 weights; \op is vmladav or vmladava.
.macro GRAFT_MVE_CONV_STEP op
    vldrb.u8    q0, [r3], #16
    vldrw.u32   q2, [r1], #64
    vldrb.u8    q1, [r5], #16
    \op\().s8   r0, q0, q2
    \op\().s8   r8, q1, q2
    vldrw.u32   q2, [r1, #-48]
    \op\().s8   r2, q0, q2
    \op\().s8   r10, q1, q2
    vldrw.u32   q2, [r1, #-32]
    \op\().s8   r4, q0, q2
    \op\().s8   r12, q1, q2
    vldrw.u32   q2, [r1, #-16]
    \op\().s8   r6, q0, q2
    \op\().s8   lr, q1, q2
.endm

@ The kernel, as \name; \wide: 1 if sums are multiplied by 256 before the bias is added.
.macro GRAFT_MVE_CONV_TILE name, wide
    .section .text.\name,"ax",%progbits
    .balign 4
    .global     \name
    .type       \name,%function
    .thumb_func
\name:  @ r0 job
    push        {r4-r11, lr}
    vpush       {d8-d15}
    sub         sp, #68
    @ On the stack: 0 pair step, 4 out step, 8 weights, 12 blocks - 1, 16 largest output four times,
    @ 32 pixel 0, 36 pixel 1, 40 out, 44 pairs, 48 quads, 52 records.
    ldr         r3, [r0]
    ldr         r5, [r0, #4]
    add         r5, r3
    strd        r3, r5, [sp, #32]
    ldr         r1, [r0, #8]
    ldr         r2, [r0, #36]
    strd        r1, r2, [sp]
    ldr         r1, [r0, #16]
    ldr         r9, [r0, #20]
    subs        r9, r9, #1
    strd        r1, r9, [sp, #8]
    ldr         r7, [r0, #32]
    ldr         r11, [r0, #12]
    strd        r7, r11, [sp, #40]
    ldr         r1, [r0, #28]
    ldr         r2, [r0, #24]
    strd        r1, r2, [sp, #48]
    ldrd        r1, r2, [r0, #40]
    vdup.32     q3, r1
    vdup.32     q2, r2
    vstrw.32    q2, [sp, #16]
1:  @ four channels: q4 bias, q5 multiplier, q6 rounding, q7 shift, q3 smallest output
    ldr         r0, [sp, #52]
    vld40.32    {q4, q5, q6, q7}, [r0]
    vld41.32    {q4, q5, q6, q7}, [r0]
    vld42.32    {q4, q5, q6, q7}, [r0]
    vld43.32    {q4, q5, q6, q7}, [r0]!
    vneg.s32    q7, q7  @ a shift to the right; only the low byte counts
    str         r0, [sp, #52]
    ldrd        r3, r5, [sp, #32]
    ldrd        r7, r11, [sp, #40]
2:  @ a pair of pixels
    ldrd        r1, r9, [sp, #8]
    GRAFT_MVE_CONV_STEP vmladav
    lsrs        r9, r9, #1  @ the rest by twos, an odd one first
    bcc         5f
    GRAFT_MVE_CONV_STEP vmladava
5:
    beq         4f
3:
    GRAFT_MVE_CONV_STEP vmladava
    GRAFT_MVE_CONV_STEP vmladava
    subs        r9, r9, #1
    bne         3b
4:
    vmov        q0[2], q0[0], r0, r4
    vmov        q0[3], q0[1], r2, r6
    vmov        q1[2], q1[0], r8, r12
    vmov        q1[3], q1[1], r10, lr
    .if         \wide
    vshl.i32    q0, q0, #8
    vshl.i32    q1, q1, #8
    .endif
    vadd.i32    q0, q0, q4
    ldrd        r0, r2, [sp]
    vadd.i32    q1, q1, q4
    vmulh.s32   q0, q0, q5
    add         r3, r0
    vmulh.s32   q1, q1, q5
    vadd.i32    q0, q0, q6
    add         r5, r0
    vadd.i32    q1, q1, q6
    vldrw.u32   q2, [sp, #16]
    vshl.s32    q0, q0, q7
    vshl.s32    q1, q1, q7
    vmax.s32    q0, q0, q3
    vmax.s32    q1, q1, q3
    vmin.s32    q0, q0, q2
    vstrb.32    q0, [r7]
    vmin.s32    q1, q1, q2
    add         r7, r2
    vstrb.32    q1, [r7]
    add         r7, r2
    subs        r11, #1
    bne         2b
    ldrd        r0, r2, [sp, #40]
    adds        r0, #4
    str         r0, [sp, #40]
    str         r1, [sp, #8]  @ past this quad's weights
    ldr         r0, [sp, #48]
    subs        r0, #1
    str         r0, [sp, #48]
    bne         1b
    add         sp, #68
    vpop        {d8-d15}
    pop         {r4-r11, pc}
    .size       \name, . - \name
.endm

    GRAFT_MVE_CONV_TILE graft_mve_conv_tile, 0
    GRAFT_MVE_CONV_TILE graft_mve_conv_tile_wide, 1
.purgem GRAFT_MVE_CONV_STEP
.purgem GRAFT_MVE_CONV_TILE
