// What backward knows of a group before it looks at its numbers.
#pragma once

#include "prox/cuda/prox_numbers.cuh"

namespace lelkern::prox::cuda {

template <typename T>
class Solved {
  public:
    // `alive`: whether forward left something.
    __device__ Solved(T t, T root, bool alive)
        : undefined_(!(t >= 0) || (is_nan(root) && t != 0)),
          alive_(alive && !undefined_),
          infinite_(alive_ && root == Numbers<T>::infinity),
          same_(t == 0 || infinite_) {}

    // Whether everything is nan.
    __device__ bool undefined() const { return undefined_; }

    // Whether the numbers say more.
    __device__ bool solved() const { return alive_ && !infinite_; }

    // Whether a number's gradient is made of others.
    __device__ bool moves() const { return solved() && !same_; }

    // The gradient of a number where it is not, given that of the result.
    __device__ T unmoved(T g) const { return undefined_ ? Numbers<T>::nan() : same_ ? g : 0; }

    // Of the threshold, where a group moves along with it by that much.
    __device__ T of_threshold(T along) const {
        return undefined_ ? Numbers<T>::nan() : solved() ? -along : 0;
    }

  private:
    const bool undefined_, alive_, infinite_, same_;
};

}  // namespace lelkern::prox::cuda
