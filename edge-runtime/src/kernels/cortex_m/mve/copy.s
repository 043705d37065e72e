@ Patches and fills. `copy.rs` says what they do and who checks their arguments.

.cpu cortex-m55

    .section .text.graft_mve_patches,"ax",%progbits

    .balign 4
    .global     graft_mve_patches
    .type       graft_mve_patches,%function
    .thumb_func
graft_mve_patches:  @ r0 job
    push        {r4-r11, lr}
    mov         r12, r0
    ldm         r12, {r0-r5, r8-r10}
1:  @ one patch: r0 to, r1 from
    mov         r11, r3
    mov         r6, r0
    mov         r7, r1
2:  @ one row: r2 bytes
    dlstp.8     lr, r2
3:
    vldrb.u8    q0, [r7], #16
    vstrb.8     q0, [r6], #16
    letp        lr, 3b
    add         r7, r4
    add         r6, r5
    subs        r11, r11, #1
    bne         2b
    add         r1, r9
    add         r0, r10
    subs        r8, r8, #1
    bne         1b
    pop         {r4-r11, pc}
    .size       graft_mve_patches, . - graft_mve_patches

    .section .text.graft_mve_fill,"ax",%progbits

    .balign 4
    .global     graft_mve_fill
    .type       graft_mve_fill,%function
    .thumb_func
@ r0 to, r1 value, r2 bytes
graft_mve_fill:
    push        {r7, lr}
    vdup.8      q0, r1
    dlstp.8     lr, r2
1:
    vstrb.8     q0, [r0], #16
    letp        lr, 1b
    pop         {r7, pc}
    .size       graft_mve_fill, . - graft_mve_fill
