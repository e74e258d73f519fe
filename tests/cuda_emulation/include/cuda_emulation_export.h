// Lets Python call a function: LELKERN_EXPORT(name, function), where a template may hold commas.
//
// Parameters are numbers, pointers to numbers, and a cudaStream_t that Python does not see. Python
// is told the types, so that an array of the wrong one is refused.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime_api.h>

#include <cstdint>
#include <cstring>
#include <string>
#include <type_traits>
#include <utility>

namespace lelkern::emulation {

struct Exported {
    const char* name;
    std::string parameters;  // types with commas between
    int64_t (*call)(const uint64_t* slots);
};

void add_exported(const Exported& exported);

template <typename T>
std::string type_name() {
    if constexpr (std::is_same_v<T, cudaStream_t>) {
        return "stream";
    } else if constexpr (std::is_pointer_v<T>) {
        using To = std::remove_pointer_t<T>;
        return (std::is_const_v<To> ? "const " : "") + type_name<std::remove_cv_t<To>>() + "*";
    } else if constexpr (std::is_same_v<T, __half>) {
        return "float16";
    } else if constexpr (std::is_same_v<T, __nv_bfloat16>) {
        return "bfloat16";
    } else if constexpr (std::is_same_v<T, bool>) {
        return "bool";
    } else if constexpr (std::is_void_v<T>) {
        return "void";
    } else {
        static_assert(std::is_arithmetic_v<T>, "a type that cannot come from Python");
        const char* kind =
            std::is_floating_point_v<T> ? "float" : (std::is_signed_v<T> ? "int" : "uint");
        return kind + std::to_string(8 * sizeof(T));
    }
}

template <auto function, typename Result, typename... Parameters>
struct Binding {
    static std::string parameters() {
        std::string names;
        ((names += (names.empty() ? "" : ",") + type_name<std::remove_cv_t<Parameters>>()), ...);
        return names;
    }

    template <std::size_t... I>
    static int64_t unpack(const uint64_t* slots, std::index_sequence<I...>) {
        const auto run = [slots] { return function(get<Parameters>(slots[I])...); };
        if constexpr (std::is_void_v<Result>) {
            run();
            return 0;
        } else {
            return static_cast<int64_t>(run());
        }
    }

    static int64_t call(const uint64_t* slots) {
        return unpack(slots, std::index_sequence_for<Parameters...>());
    }

    template <typename T>
    static T get(uint64_t slot) {
        T value;
        std::memcpy(&value, &slot, sizeof(T));
        return value;
    }
};

template <auto function, typename Result, typename... Parameters>
Binding<function, Result, Parameters...> bind(Result (*)(Parameters...));

struct Export {
    template <typename Bound>
    Export(const char* name, Bound) {
        add_exported({name, Bound::parameters(), Bound::call});
    }
};

}  // namespace lelkern::emulation

#define LELKERN_EXPORT(name, ...)                                    \
    static const ::lelkern::emulation::Export lelkern_export_##name( \
        #name, decltype(::lelkern::emulation::bind<(__VA_ARGS__)>(__VA_ARGS__)){})
