// Atomic operations on shared and global memory. Each returns what was there before.
#pragma once

#define LELKERN_EMULATION_ATOMIC(name, type) type name(type* address, type value)
#define LELKERN_EMULATION_ATOMICS(name)       \
    LELKERN_EMULATION_ATOMIC(name, int);      \
    LELKERN_EMULATION_ATOMIC(name, unsigned); \
    LELKERN_EMULATION_ATOMIC(name, unsigned long long)

LELKERN_EMULATION_ATOMICS(atomicAdd);
LELKERN_EMULATION_ATOMIC(atomicAdd, float);
LELKERN_EMULATION_ATOMIC(atomicAdd, double);
LELKERN_EMULATION_ATOMIC(atomicSub, int);
LELKERN_EMULATION_ATOMIC(atomicSub, unsigned);
LELKERN_EMULATION_ATOMICS(atomicMin);
LELKERN_EMULATION_ATOMIC(atomicMin, long long);
LELKERN_EMULATION_ATOMICS(atomicMax);
LELKERN_EMULATION_ATOMIC(atomicMax, long long);
LELKERN_EMULATION_ATOMICS(atomicAnd);
LELKERN_EMULATION_ATOMICS(atomicOr);
LELKERN_EMULATION_ATOMICS(atomicXor);
LELKERN_EMULATION_ATOMICS(atomicExch);
LELKERN_EMULATION_ATOMIC(atomicExch, float);
LELKERN_EMULATION_ATOMIC(atomicInc, unsigned);
LELKERN_EMULATION_ATOMIC(atomicDec, unsigned);

#undef LELKERN_EMULATION_ATOMICS
#undef LELKERN_EMULATION_ATOMIC

int atomicCAS(int* address, int expected, int value);
unsigned atomicCAS(unsigned* address, unsigned expected, unsigned value);
unsigned long long atomicCAS(unsigned long long* address, unsigned long long expected,
                             unsigned long long value);
unsigned short atomicCAS(unsigned short* address, unsigned short expected, unsigned short value);
