#include "prox/common/prox_lists.h"

#include <torch/csrc/stable/ops.h>

#include <algorithm>

#include "prox/common/prox_group.h"
#include "shared/common/contiguous.h"
#include "shared/common/unpack_lists.h"

namespace lelkern::prox {
namespace {

void check_contiguous(const char* name, const TensorVector& tensors) {
    for (std::size_t i = 0; i < tensors.size(); ++i) {
        STD_TORCH_CHECK(tensors[i].is_contiguous(), name, "[", i, "] must be contiguous");
    }
}

// What is read or changed along with the tensors: a list of one for each, or null.
struct Beside {
    const TensorVector *grads, *buffers, *metric;
};

// Calls f(prox, entry) for each tensor, with the memory of it and of what lies beside it, which is
// of its dtype; or, if `computed`, of the one that it is computed in.
template <int lists, typename F>
void add_entries(const TensorList (&given)[lists], bool computed, ProxLists& to, const F& f) {
    for (const ListEntry<lists>& entry : unpack_lists<lists>(given).entries) {
        ListedProx& prox = to.entries.emplace_back();
        prox.w = entry.of[0].data;
        prox.dtype = entry.of[0].dtype;
        prox.numbers = entry.count;
        const ScalarType dtype = computed ? computed_in(prox.dtype) : prox.dtype;
        for (int list = 1; list < lists; ++list) {
            STD_TORCH_CHECK(entry.of[list].dtype == dtype, given[list].name, "[",
                            to.entries.size() - 1, "] must be ", torch::headeronly::toString(dtype),
                            " for ", given[0].name, " of ",
                            torch::headeronly::toString(prox.dtype));
        }
        f(prox, entry);
    }
}

// Tensors with their numbers side by side, which are kept.
TensorVector side_by_side(const TensorVector& tensors, ProxLists& to) {
    TensorVector found;
    found.reserve(tensors.size());
    for (const Tensor& tensor : tensors) found.push_back(as_contiguous(tensor));
    to.kept.insert(to.kept.end(), found.begin(), found.end());
    return found;
}

void add_tensors(const char* name, const TensorVector& w, const Beside& beside, ProxLists& to) {
    if (beside.metric != nullptr) {
        const TensorVector metric = side_by_side(*beside.metric, to);
        return add_entries<2>(
            {{name, w, true}, {"metric", metric, false}}, true, to,
            [](ListedProx& prox, const auto& entry) { prox.metric = entry.of[1].data; });
    }
    if (beside.grads == nullptr) {
        return add_entries<1>({{name, w, true}}, false, to, [](ListedProx&, const auto&) {});
    }
    const TensorVector grads = side_by_side(*beside.grads, to);
    if (beside.buffers == nullptr) {
        return add_entries<2>(
            {{name, w, true}, {"grads", grads, false}}, false, to,
            [](ListedProx& prox, const auto& entry) { prox.grad = entry.of[1].data; });
    }
    check_contiguous("buffers", *beside.buffers);
    add_entries<3>({{name, w, true}, {"grads", grads, false}, {"buffers", *beside.buffers, true}},
                   false, to, [](ListedProx& prox, const auto& entry) {
                       prox.grad = entry.of[1].data;
                       prox.buffer = entry.of[2].data;
                   });
}

// The groups of a tensor; 0 and 0: the next of those that are listed.
Groups groups_of(const Tensor& w, int64_t size, int64_t inner, const GroupLists& groups,
                 std::size_t& listed, ProxLists& to) {
    if (size == 0 && inner == 0) {
        STD_TORCH_CHECK(listed < groups.ptr.size(),
                        "group_ptr must have one for each 0, 0 in sizes");
        Tensor ptr = groups.ptr[listed], indices = groups.indices[listed];
        ++listed;
        const Groups found = listed_groups(ptr, indices, w);
        to.kept.push_back(ptr);
        to.kept.push_back(indices);
        return found;
    }
    if (w.numel() == 0) return {0, 0, 0, nullptr, nullptr, 0, 0};
    STD_TORCH_CHECK(size > 0 && inner > 0, "sizes must be positive, or 0 and 0, got ", size,
                    " and ", inner);
    return interleaved_groups(w.numel(), w.numel() / inner / size, size, inner);
}

Thresholds thresholds_of(const char* name, const TensorVector& all, std::size_t i,
                         const Groups& groups, const Tensor& w, ProxLists& to) {
    if (all.empty() || (!groups.listed() && w.numel() == 0)) return {nullptr, false};
    const Tensor numbers = checked_numbers(name, all[i], groups.count, w);
    to.kept.push_back(numbers);
    return {numbers.const_data_ptr(), numbers.dim() == 1};
}

// Raises unless all goes together.
ProxLists unpack_prox(const char* name, const TensorVector& w, const Beside& beside,
                      const GroupLists& groups, double q, double scale,
                      const OptionalTensor& scale_tensor) {
    check_norm(q);
    STD_TORCH_CHECK(groups.sizes.size() == 2 * w.size(), "sizes must be two for each of ", name,
                    ", got ", groups.sizes.size());
    STD_TORCH_CHECK(groups.lam.size() == w.size(), "lam must be one for each of ", name, ", got ",
                    groups.lam.size());
    STD_TORCH_CHECK(groups.lam1.empty() || groups.lam1.size() == w.size(),
                    "lam1 must be none, or one for each of ", name, ", got ", groups.lam1.size());
    STD_TORCH_CHECK(groups.ptr.size() == groups.indices.size(),
                    "group_ptr and group_indices must have the same length, got ",
                    groups.ptr.size(), " and ", groups.indices.size());
    ProxLists lists{{}, q, scale, scale_tensor, {}};
    if (scale_tensor && !w.empty()) {
        STD_TORCH_CHECK(scale_tensor->dim() == 0, "scale must have no dimensions");
        lists.scale_tensor = checked("scale", *scale_tensor, ScalarType::Double, w[0]);
    }
    check_contiguous(name, w);
    add_tensors(name, w, beside, lists);
    std::size_t listed = 0;
    for (std::size_t i = 0; i < w.size(); ++i) {
        ListedProx& prox = lists.entries[i];
        prox.groups =
            groups_of(w[i], groups.sizes[2 * i], groups.sizes[2 * i + 1], groups, listed, lists);
        prox.lam1 = thresholds_of("lam1", groups.lam1, i, prox.groups, w[i], lists);
        prox.lam = thresholds_of("lam", groups.lam, i, prox.groups, w[i], lists);
    }
    return lists;
}

void prox_group_in_place(const TensorVector& w, const TensorVector& lam1, const TensorVector& lam,
                         const TensorVector& ptr, const TensorVector& indices,
                         const std::vector<int64_t>& sizes, double q, double scale,
                         OptionalTensor scale_tensor) {
    const GroupLists groups{lam1, lam, ptr, indices, sizes};
    const ProxLists lists =
        unpack_prox("w", w, {nullptr, nullptr, nullptr}, groups, q, scale, scale_tensor);
    if (!lists.entries.empty()) prox_lists(lists, nullptr);
}

void prox_metric(const TensorVector& w, const TensorVector& metric, const TensorVector& lam1,
                 const TensorVector& lam, const TensorVector& ptr, const TensorVector& indices,
                 const std::vector<int64_t>& sizes) {
    const GroupLists groups{lam1, lam, ptr, indices, sizes};
    const ProxLists lists =
        unpack_prox("w", w, {nullptr, nullptr, &metric}, groups, 2, 1, std::nullopt);
    if (!lists.entries.empty()) prox_lists(lists, nullptr);
}

void prox_sgd(const TensorVector& params, const TensorVector& grads, const TensorVector& buffers,
              const TensorVector& lam1, const TensorVector& lam, const TensorVector& ptr,
              const TensorVector& indices, const std::vector<int64_t>& sizes, double q, double lr,
              double momentum, double dampening, double weight_decay, bool nesterov, bool first,
              OptionalTensor numbers) {
    SgdStep step{lr, momentum, dampening, weight_decay, nesterov, first};
    if (numbers) {
        STD_TORCH_CHECK(numbers->dim() == 1 && numbers->size(0) == 4 && numbers->is_cpu() &&
                            numbers->scalar_type() == ScalarType::Double,
                        "numbers must be (4,) float64 on the CPU");
        const Tensor given = as_contiguous(*numbers);
        const auto* const value = static_cast<const double*>(given.const_data_ptr());
        step = {value[0], value[1], value[2], value[3], nesterov, first};
    }
    STD_TORCH_CHECK(step.momentum == 0 || buffers.size() == params.size(),
                    "buffers must be one for each of params, got ", buffers.size());
    const GroupLists groups{lam1, lam, ptr, indices, sizes};
    const ProxLists lists =
        unpack_prox("params", params, {&grads, step.momentum == 0 ? nullptr : &buffers, nullptr},
                    groups, q, step.effective_rate(), std::nullopt);
    if (!lists.entries.empty()) prox_lists(lists, &step);
}

}  // namespace

double SgdStep::effective_rate() const {
    if (momentum == 0) return rate;
    const double moved = (1 - dampening) / (1 - momentum);
    return rate * (nesterov ? 1 + momentum * moved : moved);
}

void boxed_prox_group_in_place(StableIValue* stack, uint64_t inputs, uint64_t outputs) {
    constexpr auto call = TORCH_BOX(&prox_group_in_place);
    call(stack, inputs, outputs);
}

void boxed_prox_metric(StableIValue* stack, uint64_t inputs, uint64_t outputs) {
    constexpr auto call = TORCH_BOX(&prox_metric);
    call(stack, inputs, outputs);
}

void boxed_prox_sgd(StableIValue* stack, uint64_t inputs, uint64_t outputs) {
    constexpr auto call = TORCH_BOX(&prox_sgd);
    call(stack, inputs, outputs);
}

}  // namespace lelkern::prox
