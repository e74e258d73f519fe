// A step of SGD, for whatever has no tensors.
#pragma once

namespace lelkern::prox {

// Of torch.optim.SGD, with d = grad + weight_decay w: buffer = momentum buffer + (1 - dampening) d,
// or d if it is the first, and w -= rate (d + momentum buffer if nesterov, else buffer).
struct SgdStep {
    double rate, momentum, dampening, weight_decay;
    bool nesterov, first;

    // What thresholds are multiplied by, so that steps of a gradient g and the prox rest where
    // those of gradient descent do: a constant gradient moves w by this times g in the end.
    double effective_rate() const;
};

}  // namespace lelkern::prox
