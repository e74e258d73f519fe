// Sums of many numbers: what is launched, and nothing of PyTorch.

#include "prox/cuda/sums.h"

#include <type_traits>

#include "prox/cuda/sums.cuh"

namespace lelkern::prox::cuda {

cudaError_t add_up(double* numbers, int64_t count, void* to, Element element, cudaStream_t stream) {
    constexpr int64_t least_run = 4096;
    int64_t runs = (count + least_run - 1) / least_run;
    if (runs > kSumsRoom) runs = kSumsRoom;
    if (runs > 1) {
        double* const sums = numbers + count;
        const int64_t run = (count + runs - 1) / runs;
        const cudaError_t error =
            LELKERN_LAUNCH((add_up_kernel<double>), dim3(static_cast<unsigned>(runs)),
                           dim3(kThreads), 0, stream, numbers, count, run, sums);
        if (error != cudaSuccess) return error;
        numbers = sums;
        count = runs;
    }
    const auto launch = [&](auto* result) {
        using To = std::remove_pointer_t<decltype(result)>;
        return LELKERN_LAUNCH((add_up_kernel<To>), dim3(1), dim3(kThreads), 0, stream, numbers,
                              count, count, result);
    };
    return element == Element::float64 ? launch(static_cast<double*>(to))
                                       : launch(static_cast<float*>(to));
}

}  // namespace lelkern::prox::cuda
