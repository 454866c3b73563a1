// What is CUDA's: errors, the calling thread's GPU, and things that free themselves.
#pragma once

#include <cuda_runtime_api.h>

#include <algorithm>
#include <memory>

#include "onepass/onepass.hpp"

namespace onepass::tensorrt {

inline void check(cudaError_t status, const char* what) {
    if (status == cudaSuccess) return;
    static_cast<void>(cudaGetLastError());  // so that the next call does not report it again
    throw BackendError(std::string(what) + " failed: " + cudaGetErrorName(status) + " (" + cudaGetErrorString(status) +
                       ")");
}

// Makes a GPU the calling thread's, and gives the thread back the one that it had.
class OnDevice {
  public:
    explicit OnDevice(int device) {
        check(cudaGetDevice(&before_), "cudaGetDevice");
        if (before_ == device) return;
        check(cudaSetDevice(device), "cudaSetDevice");
        changed_ = true;
    }
    ~OnDevice() {
        if (changed_) static_cast<void>(cudaSetDevice(before_));
    }
    OnDevice(const OnDevice&) = delete;
    OnDevice& operator=(const OnDevice&) = delete;

  private:
    int before_ = 0;
    bool changed_ = false;
};

struct Free {
    void operator()(cudaStream_t stream) const noexcept { static_cast<void>(cudaStreamDestroy(stream)); }
    void operator()(cudaGraph_t graph) const noexcept { static_cast<void>(cudaGraphDestroy(graph)); }
    void operator()(cudaEvent_t event) const noexcept { static_cast<void>(cudaEventDestroy(event)); }
    void operator()(cudaGraphExec_t graph) const noexcept { static_cast<void>(cudaGraphExecDestroy(graph)); }
};
struct FreeDevice {
    void operator()(void* block) const noexcept { static_cast<void>(cudaFree(block)); }
};
struct FreeHost {
    void operator()(void* block) const noexcept { static_cast<void>(cudaFreeHost(block)); }
};
using Stream = std::unique_ptr<std::remove_pointer_t<cudaStream_t>, Free>;
using Event = std::unique_ptr<std::remove_pointer_t<cudaEvent_t>, Free>;
using Graph = std::unique_ptr<std::remove_pointer_t<cudaGraph_t>, Free>;
using Recording = std::unique_ptr<std::remove_pointer_t<cudaGraphExec_t>, Free>;
using DeviceBlock = std::unique_ptr<void, FreeDevice>;
using HostBlock = std::unique_ptr<void, FreeHost>;

inline DeviceBlock device_block(std::size_t bytes) {
    void* block = nullptr;
    check(cudaMalloc(&block, std::max<std::size_t>(bytes, 1)), "cudaMalloc");
    return DeviceBlock(block);
}
inline HostBlock host_block(std::size_t bytes) {  // page-locked, for every GPU
    void* block = nullptr;
    check(cudaHostAlloc(&block, std::max<std::size_t>(bytes, 1), cudaHostAllocPortable), "cudaHostAlloc");
    return HostBlock(block);
}
inline std::shared_ptr<void> kept_device_block(std::size_t bytes) { return device_block(bytes); }
inline std::shared_ptr<void> kept_host_block(std::size_t bytes) { return host_block(bytes); }

inline Event new_event() {
    cudaEvent_t event = nullptr;
    check(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), "cudaEventCreateWithFlags");
    return Event(event);
}
// Lets what is queued in a stream from now on wait for what is queued in another by now.
inline void let_follow(cudaStream_t stream, cudaStream_t other, cudaEvent_t by) {
    check(cudaEventRecord(by, other), "cudaEventRecord");
    check(cudaStreamWaitEvent(stream, by, 0), "cudaStreamWaitEvent");
}
inline Stream new_stream() {
    cudaStream_t stream = nullptr;
    check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "cudaStreamCreateWithFlags");
    return Stream(stream);
}

}  // namespace onepass::tensorrt
