@ Depthwise 3x3. `depthwise.rs` says what the functions compute and who checks their arguments.

@ The DSP extension, which the ARMv8-M target leaves out; the encodings are ARMv7E-M's.
    .cpu    cortex-m33

@ Three rows of a 3x3 window over 16-bit planes; r0 goes on by `\step` bytes.
@ r0 plane, r1 pitch; r4-r9 the rows' weights as (w0, w1), (w1, w2); r10, r11 accumulators; r12, lr free.

@ One row for two outputs with stride 1: the words hold x0 x1 and x2 x3.
.macro GRAFT_ROW_1 w01, w12
    smlad   r10, r12, \w01, r10
    smlatb  r11, r12, \w01, r11
    smlabt  r10, lr, \w12, r10
    smlad   r11, lr, \w12, r11
.endm

.macro GRAFT_WINDOW_1
    ldrd    r12, lr, [r0], #4
    GRAFT_ROW_1 r4, r5
    add     r0, r0, r1
    ldrd    r12, lr, [r0, #-4]
    GRAFT_ROW_1 r6, r7
    add     r0, r0, r1
    ldrd    r12, lr, [r0, #-4]
    GRAFT_ROW_1 r8, r9
    sub     r0, r0, r1, lsl #1
.endm

@ One row for two outputs with stride 2: the words hold x0 x1, x2 x3 and x4 x5; the last is loaded here.
.macro GRAFT_ROW_2 w01, w12, third
    smlad   r10, r12, \w01, r10
    ldr     r12, [r0, #\third]
    smlabt  r10, lr, \w12, r10
    smlad   r11, lr, \w01, r11
    smlabt  r11, r12, \w12, r11
.endm

.macro GRAFT_WINDOW_2
    ldrd    r12, lr, [r0], #8
    GRAFT_ROW_2 r4, r5, 0
    add     r0, r0, r1
    ldrd    r12, lr, [r0, #-8]
    GRAFT_ROW_2 r6, r7, 0
    add     r0, r0, r1
    ldrd    r12, lr, [r0, #-8]
    GRAFT_ROW_2 r8, r9, 0
    sub     r0, r0, r1, lsl #1
.endm

@ Three weights and any byte at r12 + `at` to (w0, w1) and (w1, w2).
.macro GRAFT_ROW_WEIGHTS at, w01, w12
    ldr     r10, [r12, #\at]
    sxtb16  r11, r10
    sxtb16  r10, r10, ror #8
    pkhbt   \w01, r11, r10, lsl #16
    pkhbt   \w12, r10, r11
.endm

@ The same with the byte in front of the weights: nothing is read behind the last ones.
.macro GRAFT_LAST_WEIGHTS at, w01, w12
    ldr     r10, [r12, #\at]
    sxtb16  r11, r10, ror #8
    sxtb16  r10, r10
    pkhbt   \w01, r11, r10
    pkhtb   \w12, r11, r10, asr #16
.endm

@ void NAME(plane, pitch, output, channels, arguments)
@ arguments: 0 weights, 4 record, 8 bytes from row to row of the plane, 12 rows, 16 pairs of outputs
@ in a row times twice the channels, 20 one if a row has a last output without a pair.
.macro GRAFT_DEPTHWISE name, window
    .section .text.\name, "ax", %progbits
    .balign 4
    .global \name
    .type   \name, %function
    .thumb_func
\name:
    push    {r4-r11, lr}
    sub     sp, sp, #44
    @ sp: 0 bias, 4 multiplier, 8 rounding, 12 shift, 16 row of the plane, 20 end of the row's pairs,
    @ 24.. the last four arguments; the pointer to them from 80
    ldr     lr, [sp, #80]
    ldrd    r12, r11, [lr]
    ldm     r11, {r4-r7}
    stm     sp, {r4-r7}
    str     r0, [sp, #16]
    ldrd    r4, r5, [lr, #8]
    ldrd    r6, r7, [lr, #16]
    strd    r4, r5, [sp, #24]
    strd    r6, r7, [sp, #32]
    GRAFT_ROW_WEIGHTS 0, r4, r5
    GRAFT_ROW_WEIGHTS 3, r6, r7
    GRAFT_LAST_WEIGHTS 5, r8, r9
1:  ldr     r12, [sp, #32]
    adds    lr, r2, r12
    str     lr, [sp, #20]
    cmp     r12, #0
    beq.w   3f
2:  ldr     r10, [sp]
    mov     r11, r10
    \window
    ldrd    r12, lr, [sp, #4]
    smmla   r10, r10, r12, lr
    smmla   r11, r11, r12, lr
    ldr     r12, [sp, #12]
    asr     r10, r10, r12
    asr     r11, r11, r12
    ssat    r10, #8, r10
    ssat    r11, #8, r11
    strb    r10, [r2]
    strb    r11, [r2, r3]
    add     r2, r2, r3, lsl #1
    ldr     r12, [sp, #20]
    cmp     r2, r12
    bne     2b
3:  ldr     r12, [sp, #36]
    cmp     r12, #0
    beq     4f
    ldr     r10, [sp]
    mov     r11, r10
    \window
    ldrd    r12, lr, [sp, #4]
    smmla   r10, r10, r12, lr
    ldr     r12, [sp, #12]
    asr     r10, r10, r12
    ssat    r10, #8, r10
    strb    r10, [r2]
    add     r2, r2, r3
4:  ldr     r0, [sp, #16]
    ldrd    r12, lr, [sp, #24]
    add     r0, r0, r12
    str     r0, [sp, #16]
    subs    lr, lr, #1
    str     lr, [sp, #28]
    bne     1b
    add     sp, sp, #44
    pop     {r4-r11, pc}
    .size   \name, . - \name
.endm

    GRAFT_DEPTHWISE graft_depthwise_1, GRAFT_WINDOW_1
    GRAFT_DEPTHWISE graft_depthwise_2, GRAFT_WINDOW_2

@ Four channels of two pixels, mixed in r12 and r4, to a word of each of four planes.
@ lr is 0xff00ff00.
.macro GRAFT_PLANES
    sxtb16  r8, r12
    sxtb16  r9, r12, ror #8
    sxtb16  r10, r4
    sxtb16  r11, r4, ror #8
.endm

@ The same times 256.
.macro GRAFT_PLANES_HIGH
    and     r8, lr, r12, lsl #8
    and     r9, lr, r12
    and     r10, lr, r4, lsl #8
    and     r11, lr, r4
.endm

@ One pixel at r0 to half a word of each plane.
.macro GRAFT_PIXEL widen
    ldr     r12, [r0]
    add     r0, r0, r2
    lsr     r4, r12, #16
    \widen
    strh    r11, [r1, r7]
    strh    r10, [r1, r6]
    strh    r9, [r1, r3]
    strh    r8, [r1], #2
.endm

@ void NAME(from, to, channels, plane, pairs, first, last)
@ Pixels, `channels` bytes apart, to columns of four planes, `plane` bytes apart: one if `first` is not zero,
@ then `pairs` times two, then one if `last` is not zero. Pairs start on a multiple of 4.
.macro GRAFT_EXPAND_PLANES name, widen
    .section .text.\name, "ax", %progbits
    .balign 4
    .global \name
    .type   \name, %function
    .thumb_func
\name:
    push    {r4-r11, lr}
    sub     sp, sp, #4
    @ arguments from 40
    mov     lr, #0xff00ff00
    lsl     r6, r3, #1
    add     r7, r6, r3
    ldrd    r4, r5, [sp, #40]
    cbz     r5, 1f
    GRAFT_PIXEL \widen
1:  ldr     r4, [sp, #40]
    cbz     r4, 3f
2:  ldr     r4, [r0]
    ldr     r5, [r0, r2]
    add     r0, r0, r2, lsl #1
    pkhbt   r12, r4, r5, lsl #16
    pkhtb   r4, r5, r4, asr #16
    \widen
    str     r11, [r1, r7]
    str     r10, [r1, r6]
    str     r9, [r1, r3]
    str     r8, [r1], #4
    ldr     r4, [sp, #40]
    subs    r4, r4, #1
    str     r4, [sp, #40]
    bne     2b
3:  ldr     r5, [sp, #48]
    cbz     r5, 4f
    GRAFT_PIXEL \widen
4:  add     sp, sp, #4
    pop     {r4-r11, pc}
    .size   \name, . - \name
.endm

    GRAFT_EXPAND_PLANES graft_expand_planes, GRAFT_PLANES
    GRAFT_EXPAND_PLANES graft_expand_planes_high, GRAFT_PLANES_HIGH
