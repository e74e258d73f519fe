// Lets Python call a function: LELKERN_EXPORT(name, function), where a template may hold commas.
//
// Parameters are numbers; pointers to numbers, for arrays in one piece; Arrays, for any other; and
// a cudaStream_t, which Python does not see. What is not const is copied back.
//
// Nothing here is Python's: what binds it (see ../binding.cpp) is a module of its own, since all
// thread-local storage of this one stands for shared memory.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace lelkern::emulation {

// An array of NumPy's, in the memory of the emulated GPU; or a number, which is one without shape.
struct Array {
    void* data = nullptr;                 // null: Python gave None
    std::string dtype;                    // NumPy's name; bfloat16 is uint16
    std::vector<int64_t> shape, strides;  // strides in numbers
};

struct Parameter {
    enum Kind { number, pointer, array, stream } kind;
    std::string dtype;  // any for an Array
    bool constant;
};

struct Exported {
    std::string name;
    std::vector<Parameter> parameters;
    int64_t (*call)(Array* arguments);
};

// What a module with kernels has for the one that binds it, by its function lelkern_emulation().
struct Interface {
    const std::vector<Exported>& (*functions)();
    // Of the launches that follow: the order of threads, its seed, and how many blocks run at a
    // time; whether to note which barriers ran, and one that is left out, "file:line".
    void (*set)(int order, uint64_t seed, int workers);
    void (*watch)(bool on, const std::string& without);
    // See ../runtime/memory.h.
    void* (*take_buffer)(std::size_t bytes, std::size_t misaligned);
    bool (*give_buffers_back)();
    // All since the last call, one a line: what was found wrong, and which barriers ran.
    const char* (*reports)();
    std::string (*sites)();
};

void add_exported(const Exported& exported);

template <typename T>
Parameter parameter() {
    using Value = std::remove_cv_t<std::remove_pointer_t<T>>;
    constexpr bool constant = std::is_const_v<std::remove_pointer_t<std::remove_reference_t<T>>>;
    constexpr auto kind = std::is_pointer_v<T> ? Parameter::pointer : Parameter::number;
    if constexpr (std::is_same_v<std::decay_t<T>, Array>) {
        return {Parameter::array, "", constant};
    } else if constexpr (std::is_same_v<T, cudaStream_t>) {
        return {Parameter::stream, "", true};
    } else if constexpr (std::is_same_v<Value, __half>) {
        return {kind, "float16", constant};
    } else if constexpr (std::is_same_v<Value, __nv_bfloat16>) {
        return {kind, "uint16", constant};
    } else if constexpr (std::is_same_v<Value, bool>) {
        return {kind, "bool", constant};
    } else {
        static_assert(std::is_arithmetic_v<Value>, "a type that cannot come from Python");
        const char* name =
            std::is_floating_point_v<Value> ? "float" : (std::is_signed_v<Value> ? "int" : "uint");
        return {kind, name + std::to_string(8 * sizeof(Value)), constant};
    }
}

template <typename T>
T get(Array& argument) {
    if constexpr (std::is_same_v<std::decay_t<T>, Array>) {
        return argument;
    } else if constexpr (std::is_pointer_v<T>) {
        return static_cast<T>(argument.data);  // of a stream nothing
    } else {
        return *static_cast<const T*>(argument.data);
    }
}

template <auto function, typename... Parameters, std::size_t... I>
int64_t call(Array* arguments, std::index_sequence<I...>) {
    return static_cast<int64_t>(function(get<Parameters>(arguments[I])...));
}

template <auto function>
struct Export {
    explicit Export(const char* name) { add(name, function); }

    template <typename Result, typename... Parameters>
    static void add(const char* name, Result (*)(Parameters...)) {
        add_exported({name, {parameter<Parameters>()...}, [](Array* arguments) {
                          return call<function, Parameters...>(
                              arguments, std::index_sequence_for<Parameters...>());
                      }});
    }
};

}  // namespace lelkern::emulation

#define LELKERN_EXPORT(name, ...) \
    static const ::lelkern::emulation::Export<(__VA_ARGS__)> lelkern_export_##name(#name)
