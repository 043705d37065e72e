@ The convolution tiles. `conv.rs` says what they compute and who checks their arguments.
@
@ Weights: for four taps of a channel pair (a, b) the words [a0 b0 a2 b2] and [a1 b1 a3 b3].
@ Columns: s16, two taps a word, (0, 2) then (1, 3) of every four taps.
@ Records: bias, multiplier, rounding, shift.

@ The DSP extension, which the ARMv8-M target leaves out; the encodings are ARMv7E-M's.
    .cpu    cortex-m33

@ Two taps of two channels by four pixels: 15 instructions for 16 products.
.macro GRAFT_TAPS
    ldr     lr, [r2], #4
    sxtb16  r12, lr
    sxtb16  lr, lr, ror #8
    ldr     r3, [r0], #4
    smlad   r4, r12, r3, r4
    smlad   r8, lr, r3, r8
    ldr     r3, [r0], #4
    smlad   r5, r12, r3, r5
    smlad   r9, lr, r3, r9
    ldr     r3, [r0], #4
    smlad   r6, r12, r3, r6
    smlad   r10, lr, r3, r10
    ldr     r3, [r0], #4
    smlad   r7, r12, r3, r7
    smlad   r11, lr, r3, r11
.endm

@ acc = saturate((high32(acc * r0) + r12) >> lr)
.macro GRAFT_REQUANTIZE acc
    smmla   \acc, \acc, r0, r12
    asr     \acc, \acc, lr
    ssat    \acc, #8, \acc
.endm

@ void graft_conv_4x2(columns, columns_end, weights, records, output, output_stride, records_end)
@ The columns of four pixels are interleaved word by word. The number of taps is a multiple of 8.
    .section .text.graft_conv_4x2, "ax", %progbits
    .balign 4
    .global graft_conv_4x2
    .type   graft_conv_4x2, %function
    .thumb_func
graft_conv_4x2:
    push    {r4-r11, lr}
    sub     sp, sp, #20
    @ sp: 0 columns, 4 record, 8 output, 12 where the loop is entered; arguments from 56
    str     r0, [sp]
    ldr     r12, [sp, #56]
    str     r12, [sp, #8]
    @ Eight taps are 64 bytes of columns. An odd number of eights enters the loop in the middle.
    sub     r12, r1, r0
    tst     r12, #64
    adr.w   r12, 2f
    it      ne
    addne   r12, r12, #240
    orr     r12, r12, #1
    str     r12, [sp, #12]
1:  str     r3, [sp, #4]
    ldr     r4, [r3]
    ldr     r8, [r3, #16]
    ldr     r0, [sp]
    ldr     r12, [sp, #12]
    mov     r5, r4
    mov     r6, r4
    mov     r7, r4
    mov     r9, r8
    mov     r10, r8
    mov     r11, r8
    bx      r12
    @ Four times GRAFT_TAPS is 240 bytes.
2:  GRAFT_TAPS
    GRAFT_TAPS
    GRAFT_TAPS
    GRAFT_TAPS
3:  GRAFT_TAPS
    GRAFT_TAPS
    GRAFT_TAPS
    GRAFT_TAPS
    cmp     r0, r1
    bne.w   2b
    ldr     r3, [sp, #4]
    ldrd    r0, r12, [r3, #4]
    ldr     lr, [r3, #12]
    GRAFT_REQUANTIZE r4
    GRAFT_REQUANTIZE r5
    GRAFT_REQUANTIZE r6
    GRAFT_REQUANTIZE r7
    ldrd    r0, r12, [r3, #20]
    ldr     lr, [r3, #28]
    GRAFT_REQUANTIZE r8
    GRAFT_REQUANTIZE r9
    GRAFT_REQUANTIZE r10
    GRAFT_REQUANTIZE r11
    ldr     r0, [sp, #8]
    ldr     r12, [sp, #60]
    strb    r4, [r0]
    strb    r5, [r0, r12]
    strb    r6, [r0, r12, lsl #1]
    strb    r8, [r0, #1]!
    strb    r9, [r0, r12]
    strb    r10, [r0, r12, lsl #1]
    add     lr, r12, r12, lsl #1
    strb    r11, [r0, lr]
    sub     r0, r0, #1
    strb    r7, [r0, lr]
    add     r0, r0, #2
    str     r0, [sp, #8]
    ldr     r12, [sp, #64]
    add     r3, r3, #32
    cmp     r3, r12
    bne.w   1b
    add     sp, sp, #20
    pop     {r4-r11, pc}
    .size   graft_conv_4x2, . - graft_conv_4x2

@ void graft_conv_1x2(column, column_end, weights, records, output, records_end)
@ One pixel, its column's words one after another. The number of taps is a multiple of 8.
    .section .text.graft_conv_1x2, "ax", %progbits
    .balign 4
    .global graft_conv_1x2
    .type   graft_conv_1x2, %function
    .thumb_func
graft_conv_1x2:
    push    {r4-r11, lr}
    sub     sp, sp, #12
    @ sp: 0 column, 4 record, 8 output; arguments from 48
    str     r0, [sp]
    ldr     r12, [sp, #48]
    str     r12, [sp, #8]
1:  str     r3, [sp, #4]
    ldr     r4, [r3]
    ldr     r5, [r3, #16]
    ldr     r0, [sp]
2:  ldm     r2!, {r10, r11, r12, lr}
    ldm     r0!, {r6, r7, r8, r9}
    sxtb16  r3, r10
    sxtb16  r10, r10, ror #8
    smlad   r4, r3, r6, r4
    smlad   r5, r10, r6, r5
    sxtb16  r3, r11
    sxtb16  r11, r11, ror #8
    smlad   r4, r3, r7, r4
    smlad   r5, r11, r7, r5
    sxtb16  r3, r12
    sxtb16  r12, r12, ror #8
    smlad   r4, r3, r8, r4
    smlad   r5, r12, r8, r5
    sxtb16  r3, lr
    sxtb16  lr, lr, ror #8
    smlad   r4, r3, r9, r4
    smlad   r5, lr, r9, r5
    cmp     r0, r1
    bne     2b
    ldr     r3, [sp, #4]
    ldrd    r0, r12, [r3, #4]
    ldr     lr, [r3, #12]
    GRAFT_REQUANTIZE r4
    ldrd    r0, r12, [r3, #20]
    ldr     lr, [r3, #28]
    GRAFT_REQUANTIZE r5
    ldr     r0, [sp, #8]
    strb    r4, [r0], #1
    strb    r5, [r0], #1
    str     r0, [sp, #8]
    ldr     r12, [sp, #52]
    add     r3, r3, #32
    cmp     r3, r12
    bne     1b
    add     sp, sp, #12
    pop     {r4-r11, pc}
    .size   graft_conv_1x2, . - graft_conv_1x2

@ Four bytes of r3 to two words of 16-bit taps at r1 and `step` behind it.
.macro GRAFT_WIDEN step
    sxtb16  r12, r3
    sxtb16  r3, r3, ror #8
    str     r12, [r1], #\step
    str     r3, [r1], #\step
.endm

@ The same times 256; lr is 0xff00ff00.
.macro GRAFT_WIDEN_HIGH step
    and     r12, lr, r3, lsl #8
    and     r3, lr, r3
    str     r12, [r1], #\step
    str     r3, [r1], #\step
.endm

@ void NAME(from, to, words, from_stride, rows)
@ `rows` times `words` words of bytes, the rows `from_stride` bytes apart; output words `step` bytes apart.
.macro GRAFT_EXPAND name, widen, step
    .section .text.\name, "ax", %progbits
    .balign 4
    .global \name
    .type   \name, %function
    .thumb_func
\name:
    push    {r4-r7, lr}
    ldr     r5, [sp, #20]
    mov     r6, r3
    mov     lr, #0xff00ff00
1:  mov     r7, r0
    subs    r4, r2, #4
    blo     3f
2:  ldr     r3, [r7], #4
    \widen  \step
    ldr     r3, [r7], #4
    \widen  \step
    ldr     r3, [r7], #4
    \widen  \step
    ldr     r3, [r7], #4
    \widen  \step
    subs    r4, r4, #4
    bhs     2b
3:  adds    r4, r4, #4
    beq     5f
4:  ldr     r3, [r7], #4
    \widen  \step
    subs    r4, r4, #1
    bne     4b
5:  add     r0, r0, r6
    subs    r5, r5, #1
    bne     1b
    pop     {r4-r7, pc}
    .size   \name, . - \name
.endm

    GRAFT_EXPAND graft_expand_4, GRAFT_WIDEN, 16
    GRAFT_EXPAND graft_expand_1, GRAFT_WIDEN, 4
    GRAFT_EXPAND graft_expand_high_4, GRAFT_WIDEN_HIGH, 16
    GRAFT_EXPAND graft_expand_high_1, GRAFT_WIDEN_HIGH, 4

@ void NAME(from, to, words, pixel_stride, row_stride, rows)
@ Windows of four pixels at once, `pixel_stride` bytes apart: `rows` times `words` words of bytes of each, the
@ rows `row_stride` bytes apart. Output words are interleaved by pixel. 16 instructions for 16 taps.
.macro GRAFT_EXPAND_WINDOWS name, low, high
    .section .text.\name, "ax", %progbits
    .balign 4
    .global \name
    .type   \name, %function
    .thumb_func
\name:
    push    {r4-r11, lr}
    sub     sp, sp, #12
    @ sp: 0 row, 4 words; arguments from 48
    mov     lr, #0xff00ff00
    str     r2, [sp, #4]
    add     r8, r3, r3, lsl #1
1:  str     r0, [sp]
    ldr     r2, [sp, #4]
2:  ldr     r5, [r0, r3]
    ldr     r6, [r0, r3, lsl #1]
    ldr     r7, [r0, r8]
    ldr     r4, [r0], #4
    \low    r9, r4
    \low    r10, r5
    \low    r11, r6
    \low    r12, r7
    stm     r1!, {r9-r12}
    \high   r4, r4
    \high   r5, r5
    \high   r6, r6
    \high   r7, r7
    stm     r1!, {r4-r7}
    subs    r2, r2, #1
    bne     2b
    ldr     r0, [sp]
    ldrd    r4, r5, [sp, #48]
    add     r0, r0, r4
    subs    r5, r5, #1
    str     r5, [sp, #52]
    bne     1b
    add     sp, sp, #12
    pop     {r4-r11, pc}
    .size   \name, . - \name
.endm

.macro GRAFT_LOW to, from
    sxtb16  \to, \from
.endm

.macro GRAFT_HIGH to, from
    sxtb16  \to, \from, ror #8
.endm

@ The same times 256.
.macro GRAFT_LOW_256 to, from
    and     \to, lr, \from, lsl #8
.endm

.macro GRAFT_HIGH_256 to, from
    and     \to, lr, \from
.endm

    GRAFT_EXPAND_WINDOWS graft_expand_windows, GRAFT_LOW, GRAFT_HIGH
    GRAFT_EXPAND_WINDOWS graft_expand_windows_high, GRAFT_LOW_256, GRAFT_HIGH_256

@ void graft_gather(from, to, words, row_stride, rows, run)
@ `rows` times `words` unaligned words, the rows `row_stride` bytes apart in memory and `run` bytes at `to`.
    .section .text.graft_gather, "ax", %progbits
    .balign 4
    .global graft_gather
    .type   graft_gather, %function
    .thumb_func
graft_gather:
    push    {r4-r7, lr}
    ldrd    r4, r5, [sp, #20]
1:  mov     r6, r1
    mov     r7, r0
    mov     r12, r2
2:  ldr     lr, [r7], #4
    str     lr, [r6], #4
    subs    r12, r12, #1
    bne     2b
    add     r0, r0, r3
    add     r1, r1, r5
    subs    r4, r4, #1
    bne     1b
    pop     {r4-r7, pc}
    .size   graft_gather, . - graft_gather
