// Whether this library has code for a GPU, for any host compiler.
#pragma once

#include <cuda_runtime_api.h>

namespace lelkern {

// Of the current GPU: machine code that it runs, or PTX that its driver translates. Returns an
// error where that cannot be found out.
cudaError_t find_gpu_code(bool* found);

}  // namespace lelkern
