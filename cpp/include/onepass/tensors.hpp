// Dtypes, shapes, and results by name.
#ifndef ONEPASS_TENSORS_HPP
#define ONEPASS_TENSORS_HPP

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "onepass/errors.hpp"

namespace onepass {

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
std::size_t size_of(Dtype dtype) noexcept;    // bytes per element; for strings, the size of std::string

struct float16 {
    std::uint16_t bits;
    explicit operator float() const noexcept;
};
struct bfloat16 {
    std::uint16_t bits;
    explicit operator float() const noexcept;
};

// Specialise it for your own types (CUDA's __half), so that as<__half>() and inputs of __half work.
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

// The sizes of an array, outermost first. An empty shape is a scalar.
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
    bool is_known() const noexcept;             // whether no size is dynamic (-1)
    std::size_t count() const;                  // number of elements; throws Error if unknown or too large
    std::vector<std::int64_t> strides() const;  // in elements, row-major
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
    Shape shape;                         // -1 for dynamic sizes
    std::vector<std::string> dim_names;  // as long as the shape: names of dynamic dimensions, empty without a name
    bool has_rank = true;                // false if the rank is unknown, too
};
std::string to_string(const TensorSpec& spec);  // "float32 [N, 1, 36, 60]"

// ---- results -------------------------------------------------------------------------------------------------------

// The elements of one tensor in row-major order. It shares their memory, which stays valid after the session is gone.
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
        if (!fits) throw std::out_of_range("onepass: index out of range for an array of shape " + to_string(shape_));
        return data_[flat];
    }

  private:
    std::shared_ptr<const void> owner_;
    const T* data_;
    Shape shape_;
    std::size_t size_;
};

// One output, on the host or on a GPU.
class Tensor {
  public:
    Tensor(std::string name, Dtype dtype, Shape shape, std::shared_ptr<const void> owner, const void* data,
           int device = kHost)
        : name_(std::move(name)),
          dtype_(dtype),
          shape_(std::move(shape)),
          owner_(std::move(owner)),
          data_(data),
          device_(device) {}

    static constexpr int kHost = -1;

    const std::string& name() const noexcept { return name_; }
    Dtype dtype() const noexcept { return dtype_; }
    const Shape& shape() const noexcept { return shape_; }
    const void* data() const noexcept { return data_; }  // a GPU address if the tensor is on a GPU
    int device() const noexcept { return device_; }      // the number of the GPU, kHost on the host
    bool on_gpu() const noexcept { return device_ != kHost; }
    std::size_t size_bytes() const { return shape_.count() * size_of(dtype_); }
    // The elements as T. Throws DtypeError if the tensor has another type, InputError if it is on a GPU.
    template <class T>
    Array<T> as() const {
        check_holds(dtype_of<T>::value);
        check_on_host();
        return {owner_, static_cast<const T*>(data_), shape_};
    }
    // The address of the elements as T, on the host or on a GPU; valid as long as this tensor. Throws DtypeError.
    template <class T>
    const T* data_as() const {
        check_holds(dtype_of<T>::value);
        return static_cast<const T*>(data_);
    }

  private:
    void check_holds(Dtype wanted) const;
    void check_on_host() const;

    std::string name_;
    Dtype dtype_;
    Shape shape_;
    std::shared_ptr<const void> owner_;
    const void* data_;
    int device_;
};

// The outputs of one pass, in the model's order. Movable, not copyable; each tensor owns its memory.
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

}  // namespace onepass

#endif  // ONEPASS_TENSORS_HPP
