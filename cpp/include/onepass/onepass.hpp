// onepass: run a TensorRT engine or an ONNX model once, and get every output by name.
//
// These headers need only the C++17 standard library. The documentation is docs/cpp.md.
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

// ---- arguments of a call -------------------------------------------------------------------------------------------

// A view of the caller's memory: the address of elements in row-major order, and their shape. Nothing is copied before
// the call. An Input is read (Void is const void), a Target is written (Void is void).
template <class Void>
class View {
  public:
    template <class T, class... Sizes, class = std::enable_if_t<(std::is_integral_v<Sizes> && ...)>>
    View(T* data, Sizes... sizes) : View(data, Shape{static_cast<std::int64_t>(sizes)...}) {}
    template <class T>
    View(T* data, Shape shape) : View(dtype_of<std::remove_const_t<T>>::value, data, std::move(shape)) {}
    View(Dtype dtype, Void* data, Shape shape) : dtype_(dtype), data_(data), shape_(std::move(shape)) {}
    // A result of any session, on the host or on a GPU.
    template <class V = Void, class = std::enable_if_t<std::is_const_v<V>>>
    View(const Tensor& tensor) : View(tensor.dtype(), tensor.data(), tensor.shape()) {
        on_gpu_ = tensor.on_gpu();
    }
    // GPU memory: View::gpu(address, {2, 1, 36, 60}).
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

// Options of one call. If an input or a target is on a GPU, or a stream is given, the outputs stay on the GPU.
struct Call {
    Names outputs;  // the requested outputs, in any order; all outputs if empty
    Targets out;    // the caller's memory for outputs, by name; the resulting tensors refer to it, but do not own it
    // The caller's cudaStream_t. Inputs on the GPU are read, and outputs written, in the order of this stream; the call
    // returns when all work is queued. Without a stream, inputs must be complete, and the call waits for the results.
    std::optional<void*> stream;
};

// Arrays for all inputs of a model, to be filled in place; for an engine, in page-locked memory. They belong to the
// caller as long as this object lives, and may be refilled and passed again.
class EmptyInputs {
  public:
    EmptyInputs(std::shared_ptr<void> owner, std::vector<std::pair<std::string, Target>> arrays)
        : owner_(std::move(owner)), arrays_(std::move(arrays)) {}

    // The elements of one input as T. Throws InputError if the input does not exist, DtypeError if its type is not T.
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

// Numbers of GPUs, starting from 0: one, {0, 1}, or Devices::all().
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
    Devices device = 0;   // the GPU for an engine; with several, each call runs on a free GPU
    int contexts = 4;     // maximum number of calls that compute concurrently on an engine, per GPU
    bool graphs = true;   // record an engine's pass as one CUDA graph
    int threads = 1;      // ONNX Runtime's threads per call
    std::string runtime;  // path of the runtime library, if it is not found by its usual names:
                          // libnvinfer, libnvinfer_lean, libnvinfer_dispatch, libtensorrt_rtx, or libonnxruntime
    std::vector<std::string> plugins;                    // TensorRT plugin libraries to open first
    std::optional<std::int64_t> weight_streaming_bytes;  // for engines built with weight streaming: how much of the
                                                         // weights stays on the GPU
    std::function<void(Severity, const char*)> log;      // called by any thread; without it, nothing is logged
};

// A model that is ready to run. Any number of threads may call it concurrently; copies refer to the same session.
class Session {
  public:
    // Opens a TensorRT engine (with its sidecar, if there is one) or an ONNX model; the content decides which.
    // Throws ModelError, DeviceError or BackendError; the message names the file, the problem and what to do.
    explicit Session(const std::string& path, const Options& options = {});

    const std::vector<TensorSpec>& inputs() const noexcept;
    const std::vector<TensorSpec>& outputs() const noexcept;
    // Runs once. Throws InputError before anything is computed if inputs do not fit.
    Outputs run(const Inputs& inputs) const;
    // Runs once for some of the outputs, which are returned in the model's order. Throws OutputNameError.
    Outputs run(const Inputs& inputs, const Names& wanted) const;
    Outputs run(const Inputs& inputs, const Call& call) const;
    // Arrays for all inputs; inputs with dynamic shapes need a shape. Throws InputError.
    EmptyInputs empty_inputs(const Shapes& shapes = {}) const;
    // Runs an engine several times without onepass's own work: only copies, computation and waiting. Returns the
    // microseconds of each run, to compare calls with; empty if the pass is not recorded.
    std::vector<double> bare_runs(const Inputs& inputs, std::size_t times) const;
    std::string report() const;  // what runs the model, line by line, for people

  private:
    struct Impl;
    std::shared_ptr<Impl> impl_;
};

inline Session load(const std::string& path, const Options& options = {}) { return Session(path, options); }

}  // namespace onepass

#endif  // ONEPASS_ONEPASS_HPP
