// Stand-in for TensorRT's runtime, for tests without a GPU. Written for onepass: only the names that onepass uses, with
// the signatures that they have in the version STANDIN (80503, 80601, 90300, 100000, 101600, 110100; RTX: STANDIN_RTX).
#pragma once
#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>
#ifndef STANDIN
#define STANDIN 110100
#endif
#ifdef STANDIN_RTX
#define TRT_MAJOR_RTX 1
#define NV_TENSORRT_MAJOR 1
#define NV_TENSORRT_MINOR 7
#define NV_TENSORRT_PATCH 1
#define NV_TENSORRT_VERSION 10701
#else
#define NV_TENSORRT_MAJOR (STANDIN / 10000)
#define NV_TENSORRT_MINOR (STANDIN / 100 % 100)
#define NV_TENSORRT_PATCH (STANDIN % 100)
#if STANDIN < 100000
#define NV_TENSORRT_VERSION (NV_TENSORRT_MAJOR * 1000 + NV_TENSORRT_MINOR * 100 + NV_TENSORRT_PATCH)
#else
#define NV_TENSORRT_VERSION (NV_TENSORRT_MAJOR * 10000 + NV_TENSORRT_MINOR * 100 + NV_TENSORRT_PATCH)
#endif
#endif
namespace nvinfer1 {
using AsciiChar = char;
class Dims {
  public:
    static constexpr std::int32_t MAX_DIMS{8};
    std::int32_t nbDims;
#if STANDIN < 100000
    std::int32_t d[MAX_DIMS];
#else
    std::int64_t d[MAX_DIMS];
#endif
};
enum class DataType : std::int32_t { kFLOAT = 0, kHALF = 1, kINT8 = 2, kINT32 = 3, kBOOL = 4, kUINT8 = 5 };
enum class TensorLocation : std::int32_t { kDEVICE = 0, kHOST = 1 };
enum class TensorIOMode : std::int32_t { kNONE = 0, kINPUT = 1, kOUTPUT = 2 };
enum class OptProfileSelector : std::int32_t { kMIN = 0, kOPT = 1, kMAX = 2 };
enum class LayerInformationFormat : std::int32_t { kONELINE = 0, kJSON = 1 };
#if STANDIN >= 100000
enum class ExecutionContextAllocationStrategy : std::int32_t { kSTATIC = 0, kON_PROFILE_CHANGE = 1, kUSER_MANAGED = 2 };
struct InterfaceInfo {
    const char* kind;
    std::int32_t major, minor;
};
class IVersionedInterface {
  public:
    virtual InterfaceInfo getInterfaceInfo() const noexcept = 0;
    virtual ~IVersionedInterface() noexcept = default;
};
#endif
#if STANDIN >= 110000
class ILogger : public IVersionedInterface {
  public:
    InterfaceInfo getInterfaceInfo() const noexcept override { return {"ILogger", 1, 0}; }
#else
class ILogger {
  public:
    virtual ~ILogger() = default;
#endif
    enum class Severity : std::int32_t { kINTERNAL_ERROR = 0, kERROR = 1, kWARNING = 2, kINFO = 3, kVERBOSE = 4 };
    virtual void log(Severity severity, AsciiChar const* msg) noexcept = 0;
};
#if STANDIN >= 100000
class IOutputAllocator : public IVersionedInterface {
  public:
    InterfaceInfo getInterfaceInfo() const noexcept override { return {"IOutputAllocator", 1, 0}; }
    virtual void* reallocateOutput(char const*, void*, std::uint64_t, std::uint64_t) noexcept { return nullptr; }
    virtual void* reallocateOutputAsync(char const* name, void* memory, std::uint64_t size, std::uint64_t alignment,
                                        cudaStream_t) {
        return reallocateOutput(name, memory, size, alignment);
    }
#else
class IOutputAllocator {
  public:
    virtual ~IOutputAllocator() = default;
    virtual void* reallocateOutput(char const*, void*, std::uint64_t, std::uint64_t) noexcept = 0;
#endif
    virtual void notifyShape(char const* tensorName, Dims const& dims) noexcept = 0;
};
class IEngineInspector {
  public:
    virtual ~IEngineInspector() noexcept = default;
    virtual AsciiChar const* getEngineInformation(LayerInformationFormat) const noexcept = 0;
};
class IExecutionContext {
  public:
    virtual ~IExecutionContext() noexcept = default;
    virtual std::int32_t getOptimizationProfile() const noexcept = 0;
    virtual bool setOptimizationProfileAsync(std::int32_t, cudaStream_t) noexcept = 0;
    virtual bool setInputShape(char const*, Dims const&) noexcept = 0;
    virtual std::int32_t inferShapes(std::int32_t, char const**) noexcept = 0;
    virtual Dims getTensorShape(char const*) const noexcept = 0;
    virtual bool setTensorAddress(char const*, void*) noexcept = 0;
    virtual bool setOutputAllocator(char const*, IOutputAllocator*) noexcept = 0;
    virtual bool enqueueV3(cudaStream_t) noexcept = 0;
    virtual void setDeviceMemory(void*) noexcept = 0;
#if STANDIN >= 100100
    virtual void setDeviceMemoryV2(void*, std::int64_t) noexcept = 0;
#endif
#ifdef STANDIN_RTX
    virtual bool isStreamCapturable(cudaStream_t) const noexcept = 0;
#endif
};
class ICudaEngine {
  public:
    virtual ~ICudaEngine() noexcept = default;
    virtual std::int32_t getNbIOTensors() const noexcept = 0;
    virtual char const* getIOTensorName(std::int32_t) const noexcept = 0;
    virtual DataType getTensorDataType(char const*) const noexcept = 0;
    virtual Dims getTensorShape(char const*) const noexcept = 0;
    virtual TensorIOMode getTensorIOMode(char const*) const noexcept = 0;
    virtual char const* getTensorFormatDesc(char const*) const noexcept = 0;
    virtual TensorLocation getTensorLocation(char const*) const noexcept = 0;
    virtual std::int32_t getNbOptimizationProfiles() const noexcept = 0;
    virtual Dims getProfileShape(char const*, std::int32_t, OptProfileSelector) const noexcept = 0;
    virtual IEngineInspector* createEngineInspector() const noexcept = 0;
#if STANDIN < 100000
    virtual IExecutionContext* createExecutionContextWithoutDeviceMemory() noexcept = 0;
#else
    virtual IExecutionContext* createExecutionContext(
        ExecutionContextAllocationStrategy = ExecutionContextAllocationStrategy::kSTATIC) noexcept = 0;
#endif
#if STANDIN < 110000
    virtual std::size_t getDeviceMemorySize() const noexcept = 0;
#endif
#if STANDIN >= 100100
    virtual std::int64_t getDeviceMemorySizeV2() const noexcept = 0;
#endif
#if STANDIN >= 100000 && STANDIN < 110000
    virtual bool setWeightStreamingBudget(std::int64_t) noexcept = 0;
    virtual std::int64_t getWeightStreamingBudget() const noexcept = 0;
#endif
#if STANDIN >= 100100
    virtual bool setWeightStreamingBudgetV2(std::int64_t) noexcept = 0;
    virtual std::int64_t getWeightStreamingBudgetV2() const noexcept = 0;
#endif
#if STANDIN >= 101500
    [[nodiscard]] virtual char const* getAliasedInputTensor(char const*) const noexcept = 0;
#endif
};
class IRuntime {
  public:
    virtual ~IRuntime() noexcept = default;
    virtual ICudaEngine* deserializeCudaEngine(void const*, std::size_t) noexcept = 0;
#if STANDIN >= 80600
    virtual void setEngineHostCodeAllowed(bool) noexcept = 0;
#endif
};
}  // namespace nvinfer1
extern "C" std::int32_t getInferLibVersion() noexcept;
extern "C" void* createInferRuntime_INTERNAL(void* logger, std::int32_t version) noexcept;
