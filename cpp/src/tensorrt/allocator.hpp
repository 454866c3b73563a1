// Where TensorRT puts an output whose size depends on the data. Its block grows, and stays.
#pragma once

#include "compat.hpp"
#include "cuda.hpp"

namespace onepass::tensorrt {

class Allocator final : public nvinfer1::IOutputAllocator {
  public:
    // From version 10 on TensorRT asks by an asynchronous form, which asks by this one.
    void* reallocateOutput(char const*, void*, std::uint64_t size, std::uint64_t) noexcept override {
        return grown(size);
    }
    void notifyShape(char const*, nvinfer1::Dims const& dims) noexcept override {
        try {
            shape_ = from_dims(dims);
            told_ = shape_.is_known();
        } catch (...) {  // no memory; and nothing may leave a callback of TensorRT
            told_ = false;
        }
    }

    void forget() noexcept { told_ = false; }
    bool was_told() const noexcept { return told_; }  // 10.16.1 tells -1
    const Shape& shape() const noexcept { return shape_; }
    const void* data() const noexcept { return block_.get(); }

  private:
    static constexpr std::uint64_t kLeast = 256;  // an empty output has an address, too

    void* grown(std::uint64_t size) noexcept {
        if (block_ && size <= size_) return block_.get();
        void* block = nullptr;
        const std::uint64_t wanted = std::max(size, kLeast);
        if (cudaMalloc(&block, wanted) != cudaSuccess) {
            static_cast<void>(cudaGetLastError());
            return nullptr;
        }
        block_.reset(block);
        size_ = wanted;
        return block;
    }

    DeviceBlock block_;
    std::uint64_t size_ = 0;
    Shape shape_;
    bool told_ = false;
};

}  // namespace onepass::tensorrt
