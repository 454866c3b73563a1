// What differs between versions of TensorRT: members are looked for, versions are not compared (RTX calls itself 1.7).
#pragma once

#include <NvInferRuntime.h>
#include <cuda_runtime_api.h>

#include <algorithm>
#include <limits>
#include <optional>
#include <type_traits>

#include "onepass/onepass.hpp"

namespace onepass::tensorrt {

template <class, template <class...> class Op, class... A>
struct detect : std::false_type {};
template <template <class...> class Op, class... A>
struct detect<std::void_t<Op<A...>>, Op, A...> : std::true_type {};
template <template <class...> class Op, class... A>
constexpr bool has = detect<void, Op, A...>::value;

template <class C>
using memory_v2_of = decltype(std::declval<C&>().setDeviceMemoryV2(nullptr, std::int64_t{}));
template <class E>
using memory_size_v2_of = decltype(std::declval<const E&>().getDeviceMemorySizeV2());
template <class E>
using aliased_input_of = decltype(std::declval<const E&>().getAliasedInputTensor(""));
template <class C>
using capturable_of = decltype(std::declval<C&>().isStreamCapturable(cudaStream_t{}));
template <class E>
using streaming_v2_of = decltype(std::declval<E&>().setWeightStreamingBudgetV2(std::int64_t{}));
template <class E>
using streaming_of = decltype(std::declval<E&>().setWeightStreamingBudget(std::int64_t{}));
template <class R>
using host_code_of = decltype(std::declval<R&>().setEngineHostCodeAllowed(true));

#if defined(TRT_MAJOR_RTX)
constexpr bool kIsRtx = true;
#else
constexpr bool kIsRtx = false;
#endif

// TensorRT 10 moved this to an enumeration that older headers lack.
#if defined(TRT_MAJOR_RTX) || NV_TENSORRT_MAJOR >= 10
template <class E>
nvinfer1::IExecutionContext* bare_context(E& engine) {
    return engine.createExecutionContext(nvinfer1::ExecutionContextAllocationStrategy::kUSER_MANAGED);
}
#else
template <class E>
nvinfer1::IExecutionContext* bare_context(E& engine) {
    return engine.createExecutionContextWithoutDeviceMemory();
}
#endif

template <class E>
std::size_t scratch_bytes(const E& engine) {
    if constexpr (has<memory_size_v2_of, E>)
        return static_cast<std::size_t>(engine.getDeviceMemorySizeV2());
    else
        return engine.getDeviceMemorySize();
}
template <class C>
void set_scratch(C& context, void* memory, [[maybe_unused]] std::size_t size) {
    if constexpr (has<memory_v2_of, C>)
        context.setDeviceMemoryV2(memory, static_cast<std::int64_t>(size));
    else
        context.setDeviceMemory(memory);
}
template <class E>
bool writes_over_input([[maybe_unused]] const E& engine, [[maybe_unused]] const char* tensor) {
    if constexpr (has<aliased_input_of, E>)
        return engine.getAliasedInputTensor(tensor) != nullptr;
    else
        return false;
}
// Whether it stays within that many bytes; nothing where this TensorRT streams no weights.
template <class E>
std::optional<bool> set_streaming_budget([[maybe_unused]] E& engine, [[maybe_unused]] std::int64_t bytes) {
    if constexpr (has<streaming_v2_of, E>)
        return engine.setWeightStreamingBudgetV2(bytes) && engine.getWeightStreamingBudgetV2() == bytes;
    else if constexpr (has<streaming_of, E>)
        return engine.setWeightStreamingBudget(bytes) && engine.getWeightStreamingBudget() == bytes;
    else
        return std::nullopt;
}
template <class C>
bool may_record([[maybe_unused]] C& context, [[maybe_unused]] cudaStream_t stream) {
    if constexpr (has<capturable_of, C>)
        return context.isStreamCapturable(stream);
    else
        return true;
}
template <class R>
void allow_host_code([[maybe_unused]] R& runtime) {
    if constexpr (has<host_code_of, R>) runtime.setEngineHostCodeAllowed(true);
}

// Sizes are of 32 bits before version 10, of 64 from then on.
inline nvinfer1::Dims to_dims(const Shape& shape) {
    nvinfer1::Dims dims{};
    using Size = std::remove_reference_t<decltype(dims.d[0])>;
    if (shape.rank() > static_cast<std::size_t>(nvinfer1::Dims::MAX_DIMS))
        throw InputError("TensorRT takes at most " + std::to_string(int{nvinfer1::Dims::MAX_DIMS}) +
                         " dimensions, got " + to_string(shape));
    dims.nbDims = static_cast<std::int32_t>(shape.rank());
    for (std::size_t axis = 0; axis < shape.rank(); ++axis) {
        if (shape[axis] > static_cast<std::int64_t>(std::numeric_limits<Size>::max()))
            throw InputError("a size of " + std::to_string(shape[axis]) + " is more than this TensorRT takes");
        dims.d[axis] = static_cast<Size>(shape[axis]);
    }
    return dims;
}
inline Shape from_dims(const nvinfer1::Dims& dims) {
    return dims.nbDims < 0 ? Shape{} : Shape(std::vector<std::int64_t>(dims.d, dims.d + dims.nbDims));
}

}  // namespace onepass::tensorrt
