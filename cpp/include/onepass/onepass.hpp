// onepass: runs a TensorRT engine or an ONNX model, and returns every output by its name from one pass.
//
// These headers need the standard library of C++17 only. docs/cpp.md has the page.
#ifndef ONEPASS_ONEPASS_HPP
#define ONEPASS_ONEPASS_HPP

#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "onepass/errors.hpp"
#include "onepass/tensors.hpp"

namespace onepass {

// ---- what a call is given ------------------------------------------------------------------------------------------

// Memory of the caller's: an address of elements that lie row by row, and their sizes. Nothing is copied before the
// call. An Input is read (Void is const void), a Target written to (Void is void).
template <class Void>
class View {
  public:
    template <class T, class... Sizes, class = std::enable_if_t<(std::is_integral_v<Sizes> && ...)>>
    View(T* data, Sizes... sizes) : View(data, Shape{static_cast<std::int64_t>(sizes)...}) {}
    template <class T>
    View(T* data, Shape shape) : View(dtype_of<std::remove_const_t<T>>::value, data, std::move(shape)) {}
    View(Dtype dtype, Void* data, Shape shape) : dtype_(dtype), data_(data), shape_(std::move(shape)) {}
    // A result, of this session or another, wherever it lies.
    template <class V = Void, class = std::enable_if_t<std::is_const_v<V>>>
    View(const Tensor& tensor) : View(tensor.dtype(), tensor.data(), tensor.shape()) {
        on_gpu_ = tensor.on_gpu();
    }
    // Memory of a GPU: View::gpu(address, {2, 1, 36, 60}).
    template <class T>
    static View gpu(T* data, Shape shape) {
        return gpu(dtype_of<std::remove_const_t<T>>::value, data, std::move(shape));
    }
    static View gpu(Dtype dtype, Void* data, Shape shape) {
        View view(dtype, data, std::move(shape));
        view.on_gpu_ = true;
        return view;
    }

    Dtype dtype() const noexcept { return dtype_; }
    Void* data() const noexcept { return data_; }
    const Shape& shape() const noexcept { return shape_; }
    bool on_gpu() const noexcept { return on_gpu_; }
    std::size_t size_bytes() const { return shape_.count() * size_of(dtype_); }

  private:
    Dtype dtype_;
    Void* data_;
    Shape shape_;
    bool on_gpu_ = false;
};
using Input = View<const void>;
using Target = View<void>;
using Inputs = std::vector<std::pair<std::string_view, Input>>;
using Targets = std::vector<std::pair<std::string_view, Target>>;
using Names = std::vector<std::string_view>;
using Shapes = std::vector<std::pair<std::string_view, Shape>>;

// How one call runs. Where an input or a target lies on a GPU, or a stream is given, the outputs stay on the GPU.
struct Call {
    Names outputs;  // those wanted, in any order; all of them where it is empty
    Targets out;    // the caller's own memory for outputs, by name; their tensors refer to it, and do not keep it
    // A cudaStream_t of the caller's. Inputs on the GPU are read, and outputs written, in the order of that stream: the
    // call returns when all is queued. Without a stream they must be complete, and the call waits until all is done.
    std::optional<void*> stream;
};

// Arrays for all inputs of a model, to be filled in place: page-locked memory for an engine. They are the caller's as
// long as this object lives, and may be filled and given again.
class EmptyInputs {
  public:
    EmptyInputs(std::shared_ptr<void> owner, std::vector<std::pair<std::string, Target>> arrays)
        : owner_(std::move(owner)), arrays_(std::move(arrays)) {}

    // The elements of one input as T. Throws InputError where there is no such input, DtypeError where it is no T.
    template <class T>
    T* data(std::string_view name) {
        return static_cast<T*>(checked(name, dtype_of<T>::value));
    }
    const Shape& shape(std::string_view name) const { return found(name).shape(); }
    operator Inputs() const;  // session.run(arrays)

  private:
    const Target& found(std::string_view name) const;
    void* checked(std::string_view name, Dtype wanted) const;

    std::shared_ptr<void> owner_;
    std::vector<std::pair<std::string, Target>> arrays_;
};

// ---- a session -----------------------------------------------------------------------------------------------------

enum class Severity { internal_error, error, warning, info, verbose };

// Numbers of GPUs, from 0: one, {0, 1}, or Devices::all().
class Devices {
  public:
    Devices(int number) : numbers_{number} {}
    Devices(std::initializer_list<int> numbers) : numbers_(numbers) {}
    explicit Devices(std::vector<int> numbers) : numbers_(std::move(numbers)) {}
    static Devices all() {
        Devices devices{};
        devices.is_all_ = true;
        return devices;
    }

    bool is_all() const noexcept { return is_all_; }
    const std::vector<int>& numbers() const noexcept { return numbers_; }

  private:
    std::vector<int> numbers_;
    bool is_all_ = false;
};

struct Options {
    Devices device = 0;   // the GPU that an engine runs on; of several, each call goes to one that is free
    int contexts = 4;     // how many calls compute side by side on an engine, at most, on each GPU
    bool graphs = true;   // record an engine's pass as one CUDA graph
    int threads = 1;      // that ONNX Runtime computes one call with
    std::string runtime;  // the library that runs the model, where it is not found by its usual names:
                          // libnvinfer, libnvinfer_lean, libnvinfer_dispatch, libtensorrt_rtx, or libonnxruntime
    std::vector<std::string> plugins;                    // libraries of TensorRT's plugins to open first
    std::optional<std::int64_t> weight_streaming_bytes;  // of an engine built for that: how much of the weights stays
                                                         // on the GPU
    std::function<void(Severity, const char*)> log;      // called by any thread; nothing is logged without it
};

// A model that is ready to run. Any number of threads may call it; copies are the same session.
class Session {
  public:
    // Opens a TensorRT engine (with its sidecar, if it has one) or an ONNX model, told apart by content.
    // Throws ModelError, DeviceError or BackendError; the message says which file, what came, and what to do.
    explicit Session(const std::string& path, const Options& options = {});

    const std::vector<TensorSpec>& inputs() const noexcept;
    const std::vector<TensorSpec>& outputs() const noexcept;
    // Runs once. Throws InputError before anything is computed where inputs do not fit.
    Outputs run(const Inputs& inputs) const;
    // Runs once, for some of the outputs; they come in the model's order. OutputNameError.
    Outputs run(const Inputs& inputs, const Names& wanted) const;
    Outputs run(const Inputs& inputs, const Call& call) const;
    // Arrays for all inputs; a shape for each whose sizes are not fixed. InputError.
    EmptyInputs empty_inputs(const Shapes& shapes = {}) const;
    // Runs an engine some times with nothing of onepass around it, its copies, its computation and the wait for them
    // alone: the microseconds of each, to hold a call against. None where the pass is not recorded.
    std::vector<double> bare_runs(const Inputs& inputs, std::size_t times) const;
    std::string report() const;  // what runs the model, line by line, for people

  private:
    struct Impl;
    std::shared_ptr<Impl> impl_;
};

inline Session load(const std::string& path, const Options& options = {}) { return Session(path, options); }

}  // namespace onepass

#endif  // ONEPASS_ONEPASS_HPP
