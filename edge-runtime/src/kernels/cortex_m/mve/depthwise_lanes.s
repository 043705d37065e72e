@ Runs of depthwise convolutions. `depthwise_lanes.rs` says what they compute and who checks their arguments.

.cpu cortex-m55

@ q4..q7 += the 16-bit sums of even lanes (q2) and odd lanes (q0).
.macro GRAFT_MVE_WIDEN
    vmovlb.s16  q1, q2
    vadd.i32    q4, q4, q1
    vmovlt.s16  q1, q2
    vadd.i32    q5, q5, q1
    vmovlb.s16  q1, q0
    vadd.i32    q6, q6, q1
    vmovlt.s16  q1, q0
    vadd.i32    q7, q7, q1
.endm

@ q2, q0 = products of one tap: \read activations, \at offset of the weights.
.macro GRAFT_MVE_FIRST_TAP read, at
    vldrb.u8    q0, [\read], #16
    vldrw.u32   q1, [r9, #\at]
    vmullb.s8   q2, q0, q1
    vmullt.s8   q0, q0, q1
.endm

@ q2, q0 += products of one tap.
.macro GRAFT_MVE_NEXT_TAP read, at
    vldrb.u8    q1, [\read]
    vldrw.u32   q3, [r9, #\at]
    vmullb.s8   q1, q1, q3
    vadd.i16    q2, q2, q1
    vldrb.u8    q1, [\read], #16
    vmullt.s8   q1, q1, q3
    vadd.i16    q0, q0, q1
.endm

@ The output of one sum: \acc, numbers at r9 + \at.
.macro GRAFT_MVE_SCALE acc, at
    vldrw.u32   q0, [r9, #\at+64]
    vmulh.s32   \acc, \acc, q0
    vldrw.u32   q1, [r9, #\at+128]
    vrshl.s32   \acc, \acc, q1
.endm

@ Sums (\wide: times 256) to outputs and out, r10 += 16: r9 numbers, r11 zero point, r12 lanes left, sp clamp.
.macro GRAFT_MVE_FINISH at, wide
    .if         \wide
    vshl.i32    q4, q4, #8
    vshl.i32    q5, q5, #8
    vshl.i32    q6, q6, #8
    vshl.i32    q7, q7, #8
    .endif
    GRAFT_MVE_SCALE q4, \at
    GRAFT_MVE_SCALE q5, \at+16
    GRAFT_MVE_SCALE q6, \at+32
    GRAFT_MVE_SCALE q7, \at+48
    vqmovnb.s32 q4, q4
    vqmovnt.s32 q4, q5
    vqmovnb.s32 q6, q6
    vqmovnt.s32 q6, q7
    vldrw.u32   q0, [sp]
    vqadd.s16   q4, q4, r11
    vqadd.s16   q6, q6, r11
    vldrw.u32   q1, [sp, #16]
    vqmovnb.s16 q4, q4
    vqmovnt.s16 q4, q6
    vctp.8      r12
    vmax.s8     q4, q4, q0
    vmin.s8     q4, q4, q1
    vpst
    vstrbt.8    q4, [r10], #16
.endm

@ Common start: clamp at sp, blocks and period at sp + 32, r10 out, r11 zero point, r12 lanes.
.macro GRAFT_MVE_RUN
    push        {r4-r11, lr}
    vpush       {d8-d15}
    sub         sp, #44
    ldrd        r1, r2, [r0, #28]
    vdup.8      q0, r1
    vdup.8      q1, r2
    vstrw.32    q0, [sp]
    vstrw.32    q1, [sp, #16]
    ldrd        r1, r2, [r0, #8]
    strd        r1, r2, [sp, #32]
    ldrd        r10, r12, [r0, #16]
    ldr         r11, [r0, #24]
.endm

.macro GRAFT_MVE_END
    add         sp, #44
    vpop        {d8-d15}
    pop         {r4-r11, pc}
.endm

.macro GRAFT_MVE_NINE name, wide
    .section .text.\name,"ax",%progbits
    .balign 4
    .global     \name
    .type       \name,%function
    .thumb_func
\name:  @ r0 run
    GRAFT_MVE_RUN
    ldr         r0, [r0]
    ldm         r0, {r0-r8}
1:
    ldrd        r9, lr, [sp, #32]
2:
    vldrw.u32   q4, [r9, #160]
    vldrw.u32   q5, [r9, #176]
    vldrw.u32   q6, [r9, #192]
    vldrw.u32   q7, [r9, #208]
    GRAFT_MVE_FIRST_TAP r0, 0
    GRAFT_MVE_NEXT_TAP r1, 16
    GRAFT_MVE_WIDEN
    GRAFT_MVE_FIRST_TAP r2, 32
    GRAFT_MVE_NEXT_TAP r3, 48
    GRAFT_MVE_WIDEN
    GRAFT_MVE_FIRST_TAP r4, 64
    GRAFT_MVE_NEXT_TAP r5, 80
    GRAFT_MVE_WIDEN
    GRAFT_MVE_FIRST_TAP r6, 96
    GRAFT_MVE_NEXT_TAP r7, 112
    GRAFT_MVE_WIDEN
    GRAFT_MVE_FIRST_TAP r8, 128
    GRAFT_MVE_WIDEN
    GRAFT_MVE_FINISH 160, \wide
    add         r9, #352
    subs        r12, #16
    ble         3f
    le          lr, 2b
    b           1b
3:
    GRAFT_MVE_END
    .size       \name, . - \name
.endm

    GRAFT_MVE_NINE graft_mve_depthwise_9, 0
    GRAFT_MVE_NINE graft_mve_depthwise_9_wide, 1
.purgem GRAFT_MVE_NINE

.macro GRAFT_MVE_ANY name, wide
    .section .text.\name,"ax",%progbits
    .balign 4
    .global     \name
    .type       \name,%function
    .thumb_func
\name:  @ r0 run
    GRAFT_MVE_RUN
    ldrd        r0, r8, [r0]
    mov         r7, #0  @ what the reads have advanced
    lsl         r6, r8, #4  @ bytes of weights
    lsr         r8, r8, #1  @ pairs of taps
1:
    ldrd        r9, r4, [sp, #32]
2:
    add         r5, r9, r6
    vldrw.u32   q4, [r5]
    vldrw.u32   q5, [r5, #16]
    vldrw.u32   q6, [r5, #32]
    vldrw.u32   q7, [r5, #48]
    mov         r1, r0
    dls         lr, r8
3:
    ldrd        r2, r3, [r1], #8
    add         r2, r7
    add         r3, r7
    GRAFT_MVE_FIRST_TAP r2, 0
    GRAFT_MVE_NEXT_TAP r3, 16
    GRAFT_MVE_WIDEN
    add         r9, #32
    le          lr, 3b
    GRAFT_MVE_FINISH 0, \wide
    add         r7, #16
    add         r9, #192
    subs        r12, #16
    ble         4f
    subs        r4, #1
    bne         2b
    b           1b
4:
    GRAFT_MVE_END
    .size       \name, . - \name
.endm

    GRAFT_MVE_ANY graft_mve_depthwise, 0
    GRAFT_MVE_ANY graft_mve_depthwise_wide, 1
.purgem GRAFT_MVE_ANY
.purgem GRAFT_MVE_WIDEN
.purgem GRAFT_MVE_FIRST_TAP
.purgem GRAFT_MVE_NEXT_TAP
.purgem GRAFT_MVE_SCALE
.purgem GRAFT_MVE_FINISH
.purgem GRAFT_MVE_RUN
.purgem GRAFT_MVE_END
