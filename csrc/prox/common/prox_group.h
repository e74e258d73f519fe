// The prox of norms of groups: the op on every device, and what each device defines of it.
#pragma once

#include <torch/csrc/stable/library.h>

#include <cstdint>

#include "prox/common/checks.h"
#include "prox/common/groups.h"

namespace lelkern::prox {

// x = argmin 1/2 ||x - w||^2 + sum_g lam1_g ||x_g||_1 + lam_g ||x_g||_q: soft thresholds, and then
// the prox of the norm. All tensors are contiguous.
struct GroupProx {
    Tensor w;
    OptionalTensor lam1;
    Tensor lam;  // as lam1: without dimensions, or (G,), in the dtype that is computed in
    OptionalTensor ptr, indices;
    Groups groups;  // of w, with the memory of ptr and indices
    double q;       // in (1, inf]

    Thresholds first() const { return lam1 ? thresholds(*lam1) : Thresholds{nullptr, false}; }
    Thresholds second() const { return thresholds(lam); }

  private:
    static Thresholds thresholds(const Tensor& of) { return {of.const_data_ptr(), of.dim() == 1}; }
};

// With u the group after the soft thresholds, its root is ||u|| for q = 2; for q = infinity what
// |u| is cut at, and else ||x||_q, either of which is 0 where x is. (G,), in the dtype that is
// computed in.
void prox_group(const GroupProx& prox, Tensor& x, Tensor& root);

// The gradients, given that of x. `of_lam1`: null if there is no lam1. Those of one threshold for
// all groups are sums over groups, which no order of threads decides.
void prox_group_backward(const GroupProx& prox, const Tensor& grad, const Tensor& root,
                         Tensor& of_w, Tensor* of_lam1, Tensor& of_lam);

// Raises unless q is a norm that has a prox of its own here.
void check_norm(double q);

// Raises unless a tensor of so many numbers has such groups.
Groups interleaved_groups(int64_t numbers, int64_t outer, int64_t size, int64_t inner);

// ptr and indices become contiguous. Where indices may lie is for the device to check.
Groups listed_groups(Tensor& ptr, Tensor& indices, const Tensor& like);

// Their arguments and results are on the stack, in the order of the schema.
void boxed_prox_group(StableIValue* stack, uint64_t inputs, uint64_t outputs);
void boxed_prox_group_backward(StableIValue* stack, uint64_t inputs, uint64_t outputs);

}  // namespace lelkern::prox
