/* Hide AVX-512, VNNI and AMX from the process that preloads this.
 *
 * Each CPUID instruction is made to fault, and is answered without those bits:
 * ARCH_SET_CPUID in https://man7.org/linux/man-pages/man2/arch_prctl.2.html
 * The bits are those of leaf 7 in Intel's Software Developer's Manual, volume 2, CPUID.
 */
#define _GNU_SOURCE
#include <asm/prctl.h>
#include <cpuid.h>
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#define BIT(n) (1u << (n))
/* AVX512F, DQ, IFMA, PF, ER, CD, BW, VL */
#define HIDDEN_EBX (BIT(16) | BIT(17) | BIT(21) | BIT(26) | BIT(27) | BIT(28) | BIT(30) | BIT(31))
/* AVX512 VBMI, VBMI2, VNNI, BITALG, VPOPCNTDQ */
#define HIDDEN_ECX (BIT(1) | BIT(6) | BIT(11) | BIT(12) | BIT(14))
/* AVX512 4VNNIW, 4FMAPS, VP2INTERSECT; AMX BF16; AVX512-FP16; AMX TILE, INT8 */
#define HIDDEN_EDX (BIT(2) | BIT(3) | BIT(8) | BIT(22) | BIT(23) | BIT(24) | BIT(25))

static int allow_cpuid(unsigned long allowed) {
    return syscall(SYS_arch_prctl, ARCH_SET_CPUID, allowed);
}

static void answer(int number, siginfo_t *info, void *context) {
    greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
    const unsigned char *code = (const unsigned char *)registers[REG_RIP];
    if (code[0] != 0x0f || code[1] != 0xa2) { /* no CPUID: a real fault, which ends the process */
        signal(SIGSEGV, SIG_DFL);
        return;
    }
    unsigned leaf = registers[REG_RAX], subleaf = registers[REG_RCX], a, b, c, d;
    allow_cpuid(1);
    __cpuid_count(leaf, subleaf, a, b, c, d);
    allow_cpuid(0);
    if (leaf == 7 && subleaf == 0) {
        b &= ~HIDDEN_EBX;
        c &= ~HIDDEN_ECX;
        d &= ~HIDDEN_EDX;
    }
    if (leaf == 7 && subleaf == 1) /* AVX-VNNI, AVX512-BF16, AMX-FP16, AVX10 */
        a = b = c = d = 0;
    registers[REG_RAX] = a;
    registers[REG_RBX] = b;
    registers[REG_RCX] = c;
    registers[REG_RDX] = d;
    registers[REG_RIP] += 2;
}

__attribute__((constructor)) static void mask(void) {
    struct sigaction action = {.sa_sigaction = answer, .sa_flags = SA_SIGINFO | SA_NODEFER};
    sigaction(SIGSEGV, &action, NULL);
    if (allow_cpuid(0)) {
        perror("CPUID cannot be made to fault here");
        _exit(1);
    }
}
