// The host function of csrc/ema/cuda/ema.h for Python, over the kernel of ema.cu.

#include "ema/cuda/ema.cu"

#include <vector>

#include "cuda_emulation_arrays.h"

namespace lelkern::ema::cuda {
namespace {

// All tensors lie in `memory`. A pair is six numbers: the byte where the average begins, and the
// parameter; both types; the number of elements, and of dimensions. Each dimension is three.
int64_t emulated_update(uint8_t* memory, const int64_t* pairs, int64_t count,
                        const int64_t* dimensions, double decay,
                        const emulation::Array& decay_tensor, const int64_t* seed,
                        bool large_parameters) {
    constexpr int pair_numbers = 6;
    std::vector<ListDimension<kPair>> places;
    std::vector<KernelEntry<kPair>> unpacked;
    int64_t all = 0;
    for (int64_t i = 0; i < count; ++i) all += pairs[i * pair_numbers + 5];
    for (int64_t d = 0; d < all; ++d) {
        places.push_back({dimensions[3 * d], {dimensions[3 * d + 1], dimensions[3 * d + 2]}});
    }
    const ListDimension<kPair>* next = places.data();
    for (int64_t i = 0; i < count; ++i) {
        const int64_t* pair = pairs + i * pair_numbers;
        unpacked.push_back({{memory + pair[0], memory + pair[1]},
                            {static_cast<Element>(pair[2]), static_cast<Element>(pair[3])},
                            pair[4],
                            next,
                            static_cast<int>(pair[5])});
        next += pair[5];
    }
    emulation::check_shape("decay_tensor", decay_tensor, {});
    const Element decay_element =
        decay_tensor.data == nullptr ? Element::float64 : emulation::element_of(decay_tensor);
    return update_averages(
        {unpacked.data(), count, decay, decay_tensor.data, decay_element, seed, large_parameters},
        nullptr);
}

int64_t pairs_of_a_launch(bool large) {
    return (large ? kLargeTableWords : kSmallTableWords) / TableRow<kPair>::words;
}

int64_t bytes_of_parameters(bool large) {
    return (large ? sizeof(LaunchTable<kPair, kLargeTableWords>)
                  : sizeof(LaunchTable<kPair, kSmallTableWords>)) +
           sizeof(Decay) + sizeof(int64_t*);
}

}  // namespace

LELKERN_EXPORT(update, emulated_update);
LELKERN_EXPORT(pairs_of_a_launch, pairs_of_a_launch);
LELKERN_EXPORT(bytes_of_parameters, bytes_of_parameters);

}  // namespace lelkern::ema::cuda
