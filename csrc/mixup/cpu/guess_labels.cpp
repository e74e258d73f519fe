// Label guessing on a CPU.

#include "mixup/common/guess_labels.h"

STABLE_TORCH_LIBRARY_IMPL(lelkern, CPU, m) {
    m.impl("guess_labels", &lelkern::mixup::boxed_guess_labels);
    m.impl("guess_labels_backward", &lelkern::mixup::boxed_guess_labels_backward);
}
