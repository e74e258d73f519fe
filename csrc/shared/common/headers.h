// What nearly every file includes and the compiler takes longest with: compiled once for all.
// Files include what they use all the same, as not every compiler begins with this.
#pragma once

#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <optional>
#include <tuple>
#include <vector>
