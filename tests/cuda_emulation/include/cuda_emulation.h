// What nvcc gives kernels, for a C++ compiler: the words, the built-in variables and the functions.
//
// Types and half precision come from CUDA's own headers, which support host compilers. What they do
// not declare there is declared here or in the headers below, and done in ../runtime.
#pragma once

#include <cuda_runtime_api.h>
//
#include <vector_functions.h>
//
#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include "cuda_emulation_atomics.h"
#include "cuda_emulation_launch.h"
#include "cuda_emulation_math.h"
#include "cuda_emulation_warp.h"

#undef __shared__
#undef __launch_bounds__
#undef __grid_constant__
#undef __cluster_dims__
#undef __maxnreg__

// All threads of a block run on one thread of the system, so its own copy of a variable is the
// block's copy. The runtime poisons and watches them. Nothing initializes them, as in CUDA, which
// g++ does not see of an array of classes unless it is told that no code is needed for it.
#define __shared__ __constinit thread_local
#define __launch_bounds__(...)
#define __grid_constant__
#define __cluster_dims__(...)
#define __maxnreg__(...)

// Names of the kernel's thread; as functions they need no variable that a kernel could overwrite.
#define threadIdx (::lelkern::emulation::thread_index())
#define blockIdx (::lelkern::emulation::block_index())
#define blockDim (::lelkern::emulation::block_size())
#define gridDim (::lelkern::emulation::grid_size())
constexpr int warpSize = 32;

#define LELKERN_DYNAMIC_SHARED(type, name) \
    type* const name = static_cast<type*>(::lelkern::emulation::dynamic_shared())

#define LELKERN_LAUNCH(kernel, grid, block, shared_bytes, stream, ...)                    \
    ::lelkern::emulation::launch(#kernel, LELKERN_EMULATION_CHECKED, kernel, grid, block, \
                                 shared_bytes, stream __VA_OPT__(, ) __VA_ARGS__)

#if defined(__SANITIZE_THREAD__)
#define LELKERN_EMULATION_CHECKED true
#else
#define LELKERN_EMULATION_CHECKED false
#endif
