// Functions that host compilers compile, and nvcc for GPUs as well.
#pragma once

#if defined(__CUDACC__)
#define LELKERN_HOST_DEVICE __host__ __device__
#else
#define LELKERN_HOST_DEVICE
#endif
