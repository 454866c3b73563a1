// What runs a model: the seam between a session, which checks what it is given, and a backend, which need not.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "onepass/onepass.hpp"

namespace onepass {

// One call, checked.
struct Request {
    std::vector<const Input*> feeds;     // in the model's order
    std::vector<std::size_t> wanted;     // the numbers of the outputs, which ascend
    std::vector<const Target*> targets;  // for each of these, the caller's memory for it, or null; a backend fills
                                         // those on a GPU
    std::optional<void*> stream;         // the caller's
    bool stays = false;                  // whether the outputs stay on the GPU
};

class Backend {
  public:
    Backend() = default;
    Backend(const Backend&) = delete;
    Backend& operator=(const Backend&) = delete;
    virtual ~Backend() = default;

    // Computes the outputs that are wanted. Any thread.
    virtual std::vector<Tensor> run(const Request& request) = 0;
    virtual std::string report() const = 0;
    virtual bool takes_gpu_memory() const { return false; }
    // Memory for all inputs of these shapes, and where in it each lies; ordinary memory by default.
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
