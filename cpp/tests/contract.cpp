// What onepass takes TensorRT's header for. Compiled against the stand-in in CI, and against every real header at hand
// in a session that has them: a stand-in that drifts from the real thing fails here.
#include <NvInferRuntime.h>

#include <type_traits>
using namespace nvinfer1;
template <class A, class B>
constexpr bool same = std::is_same_v<A, B>;
#if defined(TRT_MAJOR_RTX)
constexpr int V = 110000;
#else
constexpr int V = NV_TENSORRT_MAJOR * 10000 + NV_TENSORRT_MINOR * 100;
#endif
template <class, template <class...> class Op, class... A>
struct detect : std::false_type {};
template <template <class...> class Op, class... A>
struct detect<std::void_t<Op<A...>>, Op, A...> : std::true_type {};
#define HAS(N, T, CALL)          \
    template <class X>           \
    using N##_ = decltype(CALL); \
    template <class X = T>       \
    constexpr bool N = detect<void, N##_, X>::value
HAS(bare8, ICudaEngine, std::declval<X&>().createExecutionContextWithoutDeviceMemory());
HAS(size_v1, ICudaEngine, std::declval<const X&>().getDeviceMemorySize());
HAS(size_v2, ICudaEngine, std::declval<const X&>().getDeviceMemorySizeV2());
HAS(aliased, ICudaEngine, std::declval<const X&>().getAliasedInputTensor(""));
HAS(streaming_v1, ICudaEngine, std::declval<X&>().setWeightStreamingBudget(0));
HAS(streaming_v2, ICudaEngine, std::declval<X&>().setWeightStreamingBudgetV2(0));
HAS(memory_v2, IExecutionContext, std::declval<X&>().setDeviceMemoryV2(nullptr, 0));
HAS(host_code, IRuntime, std::declval<X&>().setEngineHostCodeAllowed(true));
HAS(async, IOutputAllocator, std::declval<X&>().reallocateOutputAsync("", nullptr, 0, 0, cudaStream_t{}));
static_assert(aliased<> == (V >= 101500) && size_v1<> == (V < 110000) && size_v2<> == (V >= 100100) &&
              memory_v2<> == (V >= 100100));
static_assert(streaming_v1<> == (V >= 100000 && V < 110000) && streaming_v2<> == (V >= 100100));
static_assert(host_code<> == (V >= 80600) && async<> == (V >= 100000));
static_assert(V >= 100000 || bare8<>);
static_assert(same<std::remove_reference_t<decltype(std::declval<Dims&>().d[0])>,
                   std::conditional_t<(V < 100000), std::int32_t, std::int64_t>>);
static_assert(Dims::MAX_DIMS == 8 && same<decltype(Dims::nbDims), std::int32_t>);
template <class F, class G>
constexpr bool is(F, G) {
    return std::is_same_v<F, G>;
}
#define M(C, N, R, ...) static_assert(same<decltype(std::declval<C>().N(__VA_ARGS__)), R>, #N)
constexpr const char* s = "";
M(const ICudaEngine&, getNbIOTensors, std::int32_t);
M(const ICudaEngine&, getIOTensorName, const char*, 0);
M(const ICudaEngine&, getTensorDataType, DataType, s);
M(const ICudaEngine&, getTensorShape, Dims, s);
M(const ICudaEngine&, getTensorIOMode, TensorIOMode, s);
M(const ICudaEngine&, getTensorLocation, TensorLocation, s);
M(const ICudaEngine&, getNbOptimizationProfiles, std::int32_t);
M(const ICudaEngine&, getProfileShape, Dims, s, 0, OptProfileSelector::kMIN);
M(const ICudaEngine&, createEngineInspector, IEngineInspector*);
M(const IEngineInspector&, getEngineInformation, const char*, LayerInformationFormat::kONELINE);
M(IExecutionContext&, getOptimizationProfile, std::int32_t);
M(IExecutionContext&, setOptimizationProfileAsync, bool, 0, cudaStream_t{});
M(IExecutionContext&, setInputShape, bool, s, Dims{});
M(IExecutionContext&, inferShapes, std::int32_t, 0, nullptr);
M(IExecutionContext&, getTensorShape, Dims, s);
M(IExecutionContext&, setTensorAddress, bool, s, nullptr);
M(IExecutionContext&, setOutputAllocator, bool, s, nullptr);
M(IExecutionContext&, enqueueV3, bool, cudaStream_t{});
M(IRuntime&, deserializeCudaEngine, ICudaEngine*, static_cast<const void*>(nullptr), std::size_t{0});
M(const ICudaEngine&, getTensorFormatDesc, const char*, s);
static_assert(same<decltype(createInferRuntime_INTERNAL(nullptr, 0)), void*> &&
              same<decltype(getInferLibVersion()), std::int32_t>);
static_assert(int(DataType::kFLOAT) == 0 && int(DataType::kHALF) == 1 && int(DataType::kINT8) == 2 &&
              int(DataType::kINT32) == 3 && int(DataType::kBOOL) == 4 && int(DataType::kUINT8) == 5);
static_assert(int(TensorLocation::kHOST) == 1 && int(TensorIOMode::kINPUT) == 1 && int(TensorIOMode::kOUTPUT) == 2);
static_assert(int(ILogger::Severity::kINTERNAL_ERROR) == 0 && int(ILogger::Severity::kVERBOSE) == 4);
static_assert(std::has_virtual_destructor_v<IExecutionContext> && std::has_virtual_destructor_v<ICudaEngine> &&
              std::has_virtual_destructor_v<IRuntime>);
#if NV_TENSORRT_MAJOR >= 10 || defined(TRT_MAJOR_RTX)
M(ICudaEngine&, createExecutionContext, IExecutionContext*, ExecutionContextAllocationStrategy::kUSER_MANAGED);
static_assert(int(ExecutionContextAllocationStrategy::kUSER_MANAGED) == 2);
#endif
int main() {}
