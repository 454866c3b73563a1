// What runs a model: the seam between a session, which checks what it is given, and a backend, which need not.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "onepass/onepass.hpp"

namespace onepass {

class Backend {
  public:
    Backend() = default;
    Backend(const Backend&) = delete;
    Backend& operator=(const Backend&) = delete;
    virtual ~Backend() = default;

    // Computes the outputs of these numbers, which ascend. Inputs are in the model's order, and checked. Any thread.
    virtual std::vector<Tensor> run(const std::vector<const Input*>& feeds, const std::vector<std::size_t>& wanted) = 0;
    virtual std::string report() const = 0;

    const std::vector<TensorSpec>& inputs() const noexcept { return inputs_; }
    const std::vector<TensorSpec>& outputs() const noexcept { return outputs_; }

  protected:
    std::vector<TensorSpec> inputs_, outputs_;
};

std::unique_ptr<Backend> open_onnx(const std::string& path, const Options& options);
std::unique_ptr<Backend> open_engine(const std::string& path, const Options& options);

}  // namespace onepass
