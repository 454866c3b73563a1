// onepass: runs a TensorRT engine or an ONNX model, and returns every output by its name from one pass.
//
// This header needs the standard library of C++17 only. docs/cpp.md has the page.
#ifndef ONEPASS_ONEPASS_HPP
#define ONEPASS_ONEPASS_HPP

#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace onepass {

// ---- errors: those of the Python library, by the same names --------------------------------------------------------

struct Error : std::runtime_error {  // all that this library throws on purpose
    using std::runtime_error::runtime_error;
};
struct ModelError : Error {
    using Error::Error;
};  // a model file cannot be used
struct ModelNotFoundError : ModelError {
    using ModelError::ModelError;
};
struct ModelFormatError : ModelError {
    using ModelError::ModelError;
};  // damaged, or of another format
struct UnsupportedModelError : ModelError {
    using ModelError::ModelError;
};  // sound, but beyond what is here
struct EngineError : ModelError {
    using ModelError::ModelError;
};
struct EngineVersionError : EngineError {
    using EngineError::EngineError;
};  // built by another TensorRT
struct EngineDeviceError : EngineError {
    using EngineError::EngineError;
};  // built for another GPU
struct EngineMismatchError : EngineError {
    using EngineError::EngineError;
};  // not the sidecar's, or damaged
struct InputError : Error {
    using Error::Error;
};  // what a call was given is wrong
struct OutputNameError : Error {
    using Error::Error;
};  // the model has no such output
struct DtypeError : Error {
    using Error::Error;
};  // as<T>() with another T than the tensor has
struct BackendError : Error {
    using Error::Error;
};  // TensorRT, CUDA or ONNX Runtime failed, or is not there
struct DeviceError : BackendError {
    using BackendError::BackendError;
};  // no driver, no GPU, or none of that number

// ---- dtypes and shapes ---------------------------------------------------------------------------------------------

enum class Dtype : std::uint8_t {
    float32,
    float16,
    bfloat16,
    float64,
    int8,
    int16,
    int32,
    int64,
    uint8,
    uint16,
    uint32,
    uint64,
    boolean,
    float8_e4m3fn,
    float8_e4m3fnuz,
    float8_e5m2,
    float8_e5m2fnuz,
    float8_e8m0fnu,
    string
};
std::string_view name(Dtype dtype) noexcept;  // NumPy's name: "float32", "bool"
std::size_t size_of(Dtype dtype) noexcept;    // bytes of one element; of a string, those of std::string

struct float16 {
    std::uint16_t bits;
    explicit operator float() const noexcept;
};
struct bfloat16 {
    std::uint16_t bits;
    explicit operator float() const noexcept;
};

// Specialise it for a type of yours (CUDA's __half): as<__half>() and inputs of __half work then.
template <class T>
struct dtype_of;
#define ONEPASS_DTYPE(type, member)                   \
    template <>                                       \
    struct dtype_of<type> {                           \
        static constexpr Dtype value = Dtype::member; \
    }
ONEPASS_DTYPE(float, float32);
ONEPASS_DTYPE(float16, float16);
ONEPASS_DTYPE(bfloat16, bfloat16);
ONEPASS_DTYPE(double, float64);
ONEPASS_DTYPE(std::int8_t, int8);
ONEPASS_DTYPE(std::int16_t, int16);
ONEPASS_DTYPE(std::int32_t, int32);
ONEPASS_DTYPE(std::int64_t, int64);
ONEPASS_DTYPE(std::uint8_t, uint8);
ONEPASS_DTYPE(std::uint16_t, uint16);
ONEPASS_DTYPE(std::uint32_t, uint32);
ONEPASS_DTYPE(std::uint64_t, uint64);
ONEPASS_DTYPE(bool, boolean);
ONEPASS_DTYPE(std::string, string);
#undef ONEPASS_DTYPE

// The sizes of an array, outermost first. An empty shape is a scalar's.
class Shape {
  public:
    Shape() = default;
    Shape(std::initializer_list<std::int64_t> sizes) : sizes_(sizes) {}
    explicit Shape(std::vector<std::int64_t> sizes) : sizes_(std::move(sizes)) {}

    std::size_t rank() const noexcept { return sizes_.size(); }
    std::int64_t operator[](std::size_t axis) const noexcept { return sizes_[axis]; }
    std::int64_t at(std::size_t axis) const { return sizes_.at(axis); }  // std::out_of_range
    auto begin() const noexcept { return sizes_.begin(); }
    auto end() const noexcept { return sizes_.end(); }
    const std::vector<std::int64_t>& sizes() const noexcept { return sizes_; }
    bool is_known() const noexcept;             // no size is -1, which stands for a dynamic one
    std::size_t count() const;                  // how many elements; Error where that is unknown or beyond std::size_t
    std::vector<std::int64_t> strides() const;  // in elements, row by row
    friend bool operator==(const Shape& a, const Shape& b) noexcept { return a.sizes_ == b.sizes_; }
    friend bool operator!=(const Shape& a, const Shape& b) noexcept { return !(a == b); }

  private:
    std::vector<std::int64_t> sizes_;
};
std::string to_string(const Shape& shape);  // "[2, 1, 36, 60]", "?" for a dynamic size

// Name, dtype and shape of one input or output.
struct TensorSpec {
    std::string name;
    Dtype dtype = Dtype::float32;
    Shape shape;                         // -1 where a size is dynamic
    std::vector<std::string> dim_names;  // as long as the shape: names of dynamic sizes, empty where there is none
    bool has_rank = true;                // false where the model does not say even the rank
};
std::string to_string(const TensorSpec& spec);  // "float32 [N, 1, 36, 60]"

// ---- results -------------------------------------------------------------------------------------------------------

// The elements of one tensor, row by row. It shares their memory, which stays valid whatever happens to the session.
template <class T>
class Array {
  public:
    using value_type = T;
    Array(std::shared_ptr<const void> owner, const T* data, Shape shape)
        : owner_(std::move(owner)), data_(data), shape_(std::move(shape)), size_(shape_.count()) {}

    const T* data() const noexcept { return data_; }
    std::size_t size() const noexcept { return size_; }
    bool empty() const noexcept { return size_ == 0; }
    const Shape& shape() const noexcept { return shape_; }
    std::vector<std::int64_t> strides() const { return shape_.strides(); }
    const T* begin() const noexcept { return data_; }
    const T* end() const noexcept { return data_ + size_; }
    const T& operator[](std::size_t flat) const noexcept { return data_[flat]; }
    // Checked: array(face, point, 0). Throws std::out_of_range.
    template <class... Index>
    const T& operator()(Index... index) const {
        const std::int64_t at[sizeof...(index) + 1] = {static_cast<std::int64_t>(index)..., 0};
        bool fits = sizeof...(index) == shape_.rank();
        std::int64_t flat = 0;
        for (std::size_t axis = 0; fits && axis < shape_.rank(); ++axis) {
            fits = at[axis] >= 0 && at[axis] < shape_[axis];
            flat = flat * shape_[axis] + at[axis];
        }
        if (!fits) throw std::out_of_range("onepass: the index lies outside an array of shape " + to_string(shape_));
        return data_[flat];
    }

  private:
    std::shared_ptr<const void> owner_;
    const T* data_;
    Shape shape_;
    std::size_t size_;
};

// One output.
class Tensor {
  public:
    Tensor(std::string name, Dtype dtype, Shape shape, std::shared_ptr<const void> owner, const void* data,
           bool on_gpu = false)
        : name_(std::move(name)),
          dtype_(dtype),
          shape_(std::move(shape)),
          owner_(std::move(owner)),
          data_(data),
          on_gpu_(on_gpu) {}

    const std::string& name() const noexcept { return name_; }
    Dtype dtype() const noexcept { return dtype_; }
    const Shape& shape() const noexcept { return shape_; }
    const void* data() const noexcept { return data_; }
    bool on_gpu() const noexcept { return on_gpu_; }  // data() is an address of the GPU then
    std::size_t size_bytes() const { return shape_.count() * size_of(dtype_); }
    // The elements as T. Throws DtypeError where the tensor holds another type; lies it on a GPU, do not read them.
    template <class T>
    Array<T> as() const {
        check_holds(dtype_of<T>::value);
        return {owner_, static_cast<const T*>(data_), shape_};
    }

  private:
    void check_holds(Dtype wanted) const;

    std::string name_;
    Dtype dtype_;
    Shape shape_;
    std::shared_ptr<const void> owner_;
    const void* data_;
    bool on_gpu_;
};

// The outputs of one pass, in the model's order. It moves and is not copied; each tensor keeps its memory.
class Outputs {
  public:
    explicit Outputs(std::vector<Tensor> tensors) : tensors_(std::move(tensors)) {}
    Outputs(Outputs&&) noexcept = default;
    Outputs& operator=(Outputs&&) noexcept = default;
    Outputs(const Outputs&) = delete;
    Outputs& operator=(const Outputs&) = delete;

    const Tensor& operator[](std::string_view name) const&;  // OutputNameError
    Tensor operator[](std::string_view name) && { return std::as_const(*this)[name]; }
    const Tensor& at(std::size_t index) const { return tensors_.at(index); }
    bool contains(std::string_view name) const noexcept;
    std::size_t size() const noexcept { return tensors_.size(); }
    auto begin() const noexcept { return tensors_.begin(); }
    auto end() const noexcept { return tensors_.end(); }

  private:
    std::vector<Tensor> tensors_;
};

// ---- what a call is given ------------------------------------------------------------------------------------------

// One input: a pointer to elements that lie row by row, and their sizes. Nothing is copied before the call.
class Input {
  public:
    template <class T, class... Sizes, class = std::enable_if_t<(std::is_integral_v<Sizes> && ...)>>
    Input(const T* data, Sizes... sizes) : Input(data, Shape{static_cast<std::int64_t>(sizes)...}) {}
    template <class T>
    Input(const T* data, Shape shape) : Input(dtype_of<T>::value, data, std::move(shape)) {}
    Input(Dtype dtype, const void* data, Shape shape) : dtype_(dtype), data_(data), shape_(std::move(shape)) {}

    Dtype dtype() const noexcept { return dtype_; }
    const void* data() const noexcept { return data_; }
    const Shape& shape() const noexcept { return shape_; }

  private:
    Dtype dtype_;
    const void* data_;
    Shape shape_;
};
using Inputs = std::vector<std::pair<std::string_view, Input>>;
using Names = std::vector<std::string_view>;

enum class Severity { internal_error, error, warning, info, verbose };

struct Options {
    int device = 0;       // number of the GPU that an engine runs on
    int contexts = 4;     // how many calls compute side by side on an engine, at most
    bool graphs = true;   // record an engine's pass as one CUDA graph
    int threads = 1;      // that ONNX Runtime computes one call with
    std::string runtime;  // the library that runs the model, where it is not found by its usual names:
                          // libnvinfer, libnvinfer_lean, libnvinfer_dispatch, libtensorrt_rtx, or libonnxruntime
    std::vector<std::string> plugins;                // libraries of TensorRT's plugins to open first
    std::function<void(Severity, const char*)> log;  // called by any thread; nothing is logged without it
};

// A model that is ready to run. Any number of threads may call it; copies are the same session.
class Session {
  public:
    // Opens a TensorRT engine (with its sidecar, if it has one) or an ONNX model, told apart by content.
    // Throws ModelError, DeviceError or BackendError; the message says which file, what came, and what to do.
    explicit Session(const std::string& path, Options options = {});

    const std::vector<TensorSpec>& inputs() const noexcept;
    const std::vector<TensorSpec>& outputs() const noexcept;
    // Runs once. Throws InputError before anything is computed where inputs do not fit.
    Outputs run(const Inputs& inputs) const;
    // Runs once, for some of the outputs; they come in the model's order. OutputNameError.
    Outputs run(const Inputs& inputs, const Names& wanted) const;
    std::string report() const;  // what runs the model, line by line, for people

  private:
    struct Impl;
    std::shared_ptr<Impl> impl_;
};

inline Session load(const std::string& path, Options options = {}) { return Session(path, std::move(options)); }

}  // namespace onepass

#endif  // ONEPASS_ONEPASS_HPP
