// The interface between a session, which checks the arguments of a call, and a backend, which runs the model.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "onepass/onepass.hpp"

namespace onepass {

// A call with checked arguments.
struct Request {
    std::vector<const Input*> feeds;     // in the model's order
    std::vector<std::size_t> wanted;     // indices of the requested outputs, ascending
    std::vector<const Target*> targets;  // the caller's memory for each requested output, or null; the backend fills
                                         // targets on a GPU
    std::optional<void*> stream;         // the caller's CUDA stream
    bool stays = false;                  // whether the outputs stay on the GPU
};

class Backend {
  public:
    Backend() = default;
    Backend(const Backend&) = delete;
    Backend& operator=(const Backend&) = delete;
    virtual ~Backend() = default;

    // Computes the requested outputs. Any thread may call it.
    virtual std::vector<Tensor> run(const Request& request) = 0;
    virtual std::string report() const = 0;
    virtual bool takes_gpu_memory() const { return false; }
    // Returns memory for all inputs with these shapes, and the offset of each input; ordinary memory by default.
    virtual std::shared_ptr<void> lend_inputs(const std::vector<Shape>& shapes, std::vector<std::size_t>& offsets);
    // See Session::bare_runs.
    virtual std::vector<double> bare_runs(const Request&, std::size_t) { return {}; }

    const std::vector<TensorSpec>& inputs() const noexcept { return inputs_; }
    const std::vector<TensorSpec>& outputs() const noexcept { return outputs_; }

  protected:
    std::vector<TensorSpec> inputs_, outputs_;
};

std::unique_ptr<Backend> open_onnx(const std::string& path, const Options& options);
std::unique_ptr<Backend> open_engine(const std::string& path, const Options& options);

}  // namespace onepass
