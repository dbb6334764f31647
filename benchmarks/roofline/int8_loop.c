/* Print how many products of 8-bit numbers a second one CPU's instructions allow: registers only.
 *
 * int8_loop AVX2|VNNI|VNNI-256: which instructions; each is issued as often as in a kernel that
 * adds the products of four pairs into a 32-bit number.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#define TIMES 100000L
#define LEAST_SECONDS 0.2
#define UNROLLED 10 /* independent sums, so that none waits for its own last result */

/* Without VNNI: two 8-bit products are added to 16 bits, two of these to 32, these to the sum. */
#define ADD_PAIRS(sum, product)                                                                    \
    "vpmaddubsw %%ymm1, %%ymm0, %%ymm" product "\n\t"                                              \
    "vpmaddwd %%ymm15, %%ymm" product ", %%ymm" product "\n\t"                                     \
    "vpaddd %%ymm" product ", %%ymm" sum ", %%ymm" sum "\n\t"
#define DOT_256(sum) "%{vex%} vpdpbusd %%ymm1, %%ymm0, %%ymm" sum "\n\t"
#define DOT_512(sum) "vpdpbusd %%zmm1, %%zmm0, %%zmm" sum "\n\t"
#define USED "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11",     \
             "xmm12", "xmm13", "xmm14"

static void avx2(void) {
    for (long i = 0; i < TIMES; i++)
        __asm__ volatile(
            ADD_PAIRS("4", "2") ADD_PAIRS("5", "3") ADD_PAIRS("6", "14") ADD_PAIRS("7", "2")
            ADD_PAIRS("8", "3") ADD_PAIRS("9", "14") ADD_PAIRS("10", "2") ADD_PAIRS("11", "3")
            ADD_PAIRS("12", "14") ADD_PAIRS("13", "2") ::: USED);
}

static void vnni_256(void) {
    for (long i = 0; i < TIMES; i++)
        __asm__ volatile(
            DOT_256("4") DOT_256("5") DOT_256("6") DOT_256("7") DOT_256("8") DOT_256("9")
            DOT_256("10") DOT_256("11") DOT_256("12") DOT_256("13") ::: USED);
}

static void vnni_512(void) {
    for (long i = 0; i < TIMES; i++)
        __asm__ volatile(
            DOT_512("4") DOT_512("5") DOT_512("6") DOT_512("7") DOT_512("8") DOT_512("9")
            DOT_512("10") DOT_512("11") DOT_512("12") DOT_512("13") ::: USED);
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

int main(int count, char **words) {
    const char *kind = count > 1 ? words[1] : "AVX2";
    int wide = strcmp(kind, "VNNI") == 0;
    void (*loop)(void) = wide ? vnni_512 : strcmp(kind, "VNNI-256") == 0 ? vnni_256 : avx2;
    double start = now(), end = start, times = 0;
    for (; end - start < LEAST_SECONDS; times += TIMES, end = now())
        loop();
    printf("%.6g\n", times * UNROLLED * (wide ? 64 : 32) / (end - start));
    return 0;
}
