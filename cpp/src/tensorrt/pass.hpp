// One frozen pass, for one shape of inputs: memory laid out once, work recorded once and launched. One thread at a
// time.
#pragma once

#include <map>

#include "allocator.hpp"
#include "engine.hpp"
#include "slots.hpp"

namespace onepass::tensorrt {

class Pass {
  public:
    using Feeds = std::vector<const Input*>;
    using Context = std::unique_ptr<nvinfer1::IExecutionContext>;

    // Lays inputs out. Throws InputError where values that are shapes do not fit the engine's dtype.
    Pass(Engine& engine, cudaStream_t stream, int profile, const Feeds& feeds);

    // Takes a context and sets it up for this shape; without one the pass keeps its memory, and cannot run.
    void attach(Context context);
    Context detach();
    bool is_attached() const { return context_ != nullptr; }

    std::vector<Tensor> run(const Feeds& feeds, const std::vector<std::size_t>& wanted);
    std::string report() const;
    int profile() const { return profile_; }

  private:
    struct Place {
        std::size_t edge, offset, bytes;
        Shape shape;
    };
    struct Block {  // tensors one after the other
        std::vector<Place> places;
        std::size_t bytes = 0;

        void add(std::size_t edge, const Shape& shape, Dtype dtype);
    };
    struct OnHost {
        Shape shape;
        std::vector<std::byte> bytes;
    };

    void set_up();
    void bind(const std::string& tensor, void* address);
    void fill(void* target, const Edge& edge, const Input& feed) const;
    void lay_out();
    void queue(void* target);
    void launch(void* target);
    bool record(void* target);
    Tensor made(std::size_t edge, const Shape& shape, std::shared_ptr<const void> owner, const void* data) const;
    Tensor copied(std::size_t edge, const Shape& shape, const void* from) const;
    Tensor late(std::size_t edge, const Allocator& allocator);

    Engine& engine_;
    cudaStream_t stream_;
    const int profile_;
    std::vector<Shape> shapes_;
    std::map<std::size_t, OnHost> host_inputs_, host_outputs_;
    Block in_, out_;
    DeviceBlock in_device_, out_device_;
    HostBlock in_host_, spare_;
    std::shared_ptr<Slots> slots_;  // there once it is laid out
    std::map<std::size_t, Allocator> late_;
    Context context_;  // goes before what it writes to
    std::map<void*, Recording> recordings_;
    std::string eager_;  // why it is not recorded
    bool warm_ = false;
};

}  // namespace onepass::tensorrt
