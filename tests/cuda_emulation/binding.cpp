// Binds emulated kernels to NumPy: arrays in, arrays out. A module of Python's that loads the
// modules with the kernels, whose thread-local storage stands for shared memory and so has nothing
// of this.
#include <dlfcn.h>
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <cstring>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "cuda_emulation_export.h"

namespace py = pybind11;
using namespace py::literals;

namespace lelkern::emulation {
namespace {

// An array that begins so many bytes behind an address that is aligned to 4096.
struct Misaligned {
    py::array array;
    std::size_t by;
};

std::string name_of(const py::dtype& dtype) { return py::str(dtype).cast<std::string>(); }

// Bytes from the first number of an array to behind its last one, gaps included.
std::size_t bytes_of(const py::array& array) {
    if (array.size() == 0) return 0;
    py::ssize_t last = 0;
    for (py::ssize_t d = 0; d < array.ndim(); ++d) {
        if (array.strides(d) < 0 || array.strides(d) % array.itemsize() != 0) {
            throw py::type_error("an array whose strides are not numbers forwards");
        }
        last += (array.shape(d) - 1) * array.strides(d);
    }
    return static_cast<std::size_t>(last + array.itemsize());
}

// The arguments of a call: copies of arrays, in the memory of the emulated GPU while this lives.
class Arguments {
  public:
    Arguments(const Interface& at, const Exported& function, const py::tuple& given)
        : buffers_{at} {
        std::size_t count = 0;
        for (const Parameter& one : function.parameters) count += one.kind != Parameter::stream;
        if (given.size() != count) {
            throw py::type_error(function.name + " takes " + std::to_string(count) + " arguments");
        }
        std::size_t next = 0;
        for (const Parameter& parameter : function.parameters) {
            const bool hidden = parameter.kind == Parameter::stream;
            all.push_back(hidden ? Array() : converted(parameter, given[next++]));
        }
    }
    Arguments(const Arguments&) = delete;

    void copy_back() const {
        for (const auto& [to, bytes, from] : written_) std::memcpy(to, from, bytes);
    }

    std::vector<Array> all;

  private:
    Array converted(const Parameter& parameter, py::object given) {
        if (parameter.kind == Parameter::number) {
            const auto array = py::module_::import("numpy").attr("array");
            py::array number = array(given, "dtype"_a = parameter.dtype);
            if (number.ndim() != 0) throw py::type_error("an array for a number");
            numbers_.push_back(number);
            return {number.mutable_data(), parameter.dtype, {}, {}};
        }
        if (given.is_none()) return {};
        std::size_t misaligned = 0;
        if (py::isinstance<Misaligned>(given)) {
            const auto& pair = given.cast<const Misaligned&>();
            misaligned = pair.by;
            given = pair.array;
        }
        if (!py::isinstance<py::array>(given)) throw py::type_error("no array where one is due");
        auto array = given.cast<py::array>();
        if (parameter.kind == Parameter::pointer) {
            const std::string dtype = name_of(array.dtype());
            if (dtype != parameter.dtype) {
                throw py::type_error("an array of " + dtype + " for a parameter " +
                                     parameter.dtype);
            }
            if (!(array.flags() & py::array::c_style)) {
                throw py::type_error("an array that is not contiguous");
            }
        }
        const std::size_t bytes = bytes_of(array);
        void* const to_write = parameter.constant ? nullptr : array.mutable_data();
        Array placed{buffers_.at.take_buffer(bytes, misaligned), name_of(array.dtype()), {}, {}};
        std::memcpy(placed.data, array.data(), bytes);
        for (py::ssize_t d = 0; d < array.ndim(); ++d) {
            placed.shape.push_back(array.shape(d));
            placed.strides.push_back(array.strides(d) / array.itemsize());
        }
        if (!parameter.constant) written_.emplace_back(to_write, bytes, placed.data);
        return placed;
    }

    struct Buffers {
        const Interface& at;
        ~Buffers() { at.give_buffers_back(); }
    } buffers_;
    std::vector<py::array> numbers_;
    std::vector<std::tuple<void*, std::size_t, const void*>> written_;
};

class Library {
  public:
    explicit Library(const std::string& path) {
        void* const handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
        if (handle == nullptr) throw py::import_error(dlerror());
        void* const find = dlsym(handle, "lelkern_emulation");
        if (find == nullptr) throw py::import_error(path + " has no emulated kernels");
        at_ = reinterpret_cast<const Interface* (*)()>(find)();
    }

    bool has(const std::string& name) const { return find(name) != nullptr; }

    // What the function returns, what was found wrong, and which barriers and waits ran.
    py::tuple call(const std::string& name, const py::tuple& given, int order, uint64_t seed,
                   int workers, const std::optional<std::string>& watched) const {
        const Exported* const function = find(name);
        if (function == nullptr) throw py::attribute_error("no function " + name);
        at_->watch(watched.has_value(), watched.value_or(""));
        at_->set(order, seed, workers);
        Arguments arguments(*at_, *function, given);
        const int64_t result = function->call(arguments.all.data());
        arguments.copy_back();
        std::string reports = at_->reports();
        if (!at_->give_buffers_back()) {
            reports += "out of bounds: " + name + " wrote next to one of its arrays\n";
        }
        return py::make_tuple(result, reports, at_->sites());
    }

  private:
    const Exported* find(const std::string& name) const {
        for (const Exported& one : at_->functions()) {
            if (one.name == name) return &one;
        }
        return nullptr;
    }

    const Interface* at_;
};

PYBIND11_MODULE(cuda_emulation_binding, module) {
    py::class_<Misaligned>(module, "Misaligned")
        .def(py::init<py::array, std::size_t>(), "array"_a, "by"_a);
    py::class_<Library>(module, "Library")
        .def(py::init<const std::string&>(), "path"_a)
        .def("has", &Library::has, "name"_a)
        .def("call", &Library::call, "name"_a, "arguments"_a, "order"_a, "seed"_a, "workers"_a,
             "watched"_a);
}

}  // namespace
}  // namespace lelkern::emulation
