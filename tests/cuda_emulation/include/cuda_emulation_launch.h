// A launch, a thread's place in it, and the barrier of a block.
#pragma once

#include <cuda_runtime_api.h>
//
#include <vector_functions.h>

#include <cstddef>
#include <tuple>
#include <utility>

namespace lelkern::emulation {

// Const: a thread's place never changes, so the compiler may ask once.
__attribute__((const)) uint3 thread_index();
__attribute__((const)) uint3 block_index();
__attribute__((const)) dim3 block_size();
__attribute__((const)) dim3 grid_size();
__attribute__((const)) void* dynamic_shared();

struct Configuration {
    const char* kernel;  // its name in the source
    bool checked;        // whether it was compiled to report its memory accesses
    dim3 grid, block;
    int shared_bytes;
};

// Runs call(data) once for each thread.
cudaError_t run(const Configuration& configuration, void (*call)(void*), void* data);

// What a kernel is launched with. No instrumentation: it lies on the stack of the launching thread,
// where a kernel has no business.
template <typename... Parameters>
struct Call {
    void (*kernel)(Parameters...);
    std::tuple<Parameters...> parameters;

    __attribute__((no_sanitize("thread"))) static void call(void* data) {
        unpack(*static_cast<Call*>(data), std::index_sequence_for<Parameters...>());
    }

    template <std::size_t... I>
    __attribute__((no_sanitize("thread"))) static void unpack(Call& self,
                                                              std::index_sequence<I...>) {
        self.kernel(std::get<I>(self.parameters)...);
    }
};

template <typename... Parameters, typename... Arguments>
cudaError_t launch(const char* name, bool checked, void (*kernel)(Parameters...), dim3 grid,
                   dim3 block, int shared_bytes, cudaStream_t, const Arguments&... arguments) {
    Call<Parameters...> call{kernel, {static_cast<Parameters>(arguments)...}};
    return run({name, checked, grid, block, shared_bytes}, Call<Parameters...>::call, &call);
}

void sync_threads(const char* file, int line);

}  // namespace lelkern::emulation

inline void __syncthreads(const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
    ::lelkern::emulation::sync_threads(file, line);
}

// Fences order what one thread does. Here that order is the program's already.
inline void __threadfence() {}
inline void __threadfence_block() {}
inline void __threadfence_system() {}
