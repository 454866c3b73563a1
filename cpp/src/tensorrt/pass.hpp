// One frozen pass, for one shape of inputs: memory laid out once, work recorded once and launched. One thread at a
// time.
#pragma once

#include <map>

#include "../backend.hpp"
#include "allocator.hpp"
#include "engine.hpp"
#include "lent.hpp"
#include "slots.hpp"

namespace onepass::tensorrt {

class Pass {
  public:
    using Feeds = std::vector<const Input*>;
    using Context = std::unique_ptr<nvinfer1::IExecutionContext>;

    // Lays inputs out. Throws InputError where values that are shapes do not fit the engine's dtype.
    Pass(Engine& engine, const LentInputs& lent, cudaStream_t stream, int profile, const Feeds& feeds);

    // Takes a context and sets it up for this shape; without one the pass keeps its memory, and cannot run.
    void attach(Context context);
    Context detach();
    bool is_attached() const { return context_ != nullptr; }

    // Refuses inputs on the GPU that the engine takes on the host, or in another dtype than the model's: InputError.
    static void check_feeds(const Engine& engine, const Feeds& feeds);
    // Inputs from the host, outputs to it.
    std::vector<Tensor> run(const Request& request);
    // Outputs stay on the GPU. With a stream of the caller's all is only queued, and `event` puts it in order.
    std::vector<Tensor> run_on_gpu(const Request& request, cudaEvent_t event);
    std::vector<double> bare_runs(std::size_t times);
    std::string report() const;
    int profile() const { return profile_; }

  private:
    struct OnHost {
        Shape shape;
        std::vector<std::byte> bytes;
    };
    // Where a recording copies inputs from and outputs to; nulls where it computes only.
    using Ends = std::pair<const void*, void*>;

    void set_up();
    void bind(const std::string& tensor, void* address);
    void lay_out();
    void check_outputs(const Request& request) const;

    std::pair<std::shared_ptr<void>, bool> results();
    const void* filled(const Feeds& feeds);
    void fill(void* target, const Edge& edge, const Input& feed) const;
    void copy(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind);
    void queue(const Ends& ends);
    void launch(const Ends& ends);
    bool is_recorded(const Ends& ends);
    bool record(const Ends& ends);
    void copy_in(const Feeds& feeds);
    std::shared_ptr<void> copy_out(const Request& request);

    Tensor made(std::size_t edge, const Shape& shape, std::shared_ptr<const void> owner, const void* data) const;
    Tensor copied(std::size_t edge, const Shape& shape, const void* from) const;
    Shape told(std::size_t edge) const;
    Tensor late(std::size_t edge);
    Tensor late_on_gpu(std::size_t edge, const Target* target);

    Engine& engine_;
    const LentInputs& lent_;
    cudaStream_t stream_;
    const int profile_;
    std::vector<Shape> shapes_;
    std::map<std::size_t, OnHost> host_inputs_, host_outputs_;
    Block in_, out_;
    DeviceBlock in_device_, out_device_;
    HostBlock in_host_, spare_;
    std::shared_ptr<Slots> slots_, device_slots_;  // there once it is laid out
    std::map<std::size_t, Allocator> late_;
    Context context_;  // goes before what it writes to
    std::map<Ends, Recording> recordings_;
    std::string eager_;  // why it is not recorded
    bool warm_ = false;
};

}  // namespace onepass::tensorrt
