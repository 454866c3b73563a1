// Dtypes, shapes, specs and outputs: what the public header declares and no backend is needed for.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "names.hpp"
#include "onepass/onepass.hpp"

namespace onepass {
namespace {

struct Row {
    const char* name;
    std::size_t size;
};
constexpr Row kRows[] = {// in the order of Dtype
                         {"float32", 4},
                         {"float16", 2},
                         {"bfloat16", 2},
                         {"float64", 8},
                         {"int8", 1},
                         {"int16", 2},
                         {"int32", 4},
                         {"int64", 8},
                         {"uint8", 1},
                         {"uint16", 2},
                         {"uint32", 4},
                         {"uint64", 8},
                         {"bool", 1},
                         {"float8_e4m3fn", 1},
                         {"float8_e4m3fnuz", 1},
                         {"float8_e5m2", 1},
                         {"float8_e5m2fnuz", 1},
                         {"float8_e8m0fnu", 1},
                         {"string", sizeof(std::string)}};

}  // namespace

std::string_view name(Dtype dtype) noexcept { return kRows[static_cast<std::size_t>(dtype)].name; }
std::size_t size_of(Dtype dtype) noexcept { return kRows[static_cast<std::size_t>(dtype)].size; }

bool Shape::is_known() const noexcept {
    return std::all_of(begin(), end(), [](std::int64_t size) { return size >= 0; });
}

std::size_t Shape::count() const {
    if (!is_known()) throw Error("the shape " + to_string(*this) + " has no number of elements: a size is unknown");
    if (std::find(begin(), end(), 0) != end()) return 0;
    std::size_t product = 1;
    for (const std::int64_t size : sizes_) {
        // An eighth of the address space, so that bytes of any dtype can be counted, too.
        if (static_cast<std::size_t>(size) > std::numeric_limits<std::size_t>::max() / 64 / product)
            throw Error("the shape " + to_string(*this) + " has more elements than memory has addresses");
        product *= static_cast<std::size_t>(size);
    }
    return product;
}

std::vector<std::int64_t> Shape::strides() const {
    std::vector<std::int64_t> strides(rank());
    std::int64_t stride = 1;
    for (std::size_t axis = rank(); axis-- > 0; stride *= sizes_[axis]) strides[axis] = stride;
    return strides;
}

std::string to_string(const Shape& shape) {
    std::string text;
    for (const std::int64_t size : shape) text += (text.empty() ? "" : ", ") + (size < 0 ? "?" : std::to_string(size));
    return "[" + text + "]";
}

std::string to_string(const TensorSpec& spec) {
    std::string text;
    for (std::size_t axis = 0; axis < spec.shape.rank(); ++axis) {
        const bool named = axis < spec.dim_names.size() && !spec.dim_names[axis].empty();
        const std::int64_t size = spec.shape[axis];
        text += (axis ? ", " : "") + (named ? spec.dim_names[axis] : size < 0 ? "?" : std::to_string(size));
    }
    return std::string(name(spec.dtype)) + " [" + (spec.has_rank ? text : "...") + "]";
}

void Tensor::check_holds(Dtype wanted) const {
    if (wanted == dtype_) return;
    throw DtypeError("output '" + name_ + "' is " + std::string(onepass::name(dtype_)) + " " + to_string(shape_) +
                     ", not " + std::string(onepass::name(wanted)) + "; onepass never converts dtypes silently");
}

void Tensor::check_on_host() const {
    if (!on_gpu()) return;
    throw InputError("output '" + name_ + "' is on GPU " + std::to_string(device_) +
                     ", where the host cannot read it; copy it, or pass it to a call as it is");
}

const Tensor& Outputs::operator[](std::string_view name) const& {
    std::vector<std::string> names;
    for (const Tensor& each : tensors_) {
        if (each.name() == name) return each;
        names.push_back(each.name());
    }
    throw OutputNameError(no_such_name("output", name, names));
}

bool Outputs::contains(std::string_view name) const noexcept {
    return std::any_of(begin(), end(), [&](const Tensor& each) { return each.name() == name; });
}

bfloat16::operator float() const noexcept {
    const std::uint32_t wide = static_cast<std::uint32_t>(bits) << 16;
    float value = 0;
    std::memcpy(&value, &wide, sizeof value);
    return value;
}

float16::operator float() const noexcept {
    const int exponent = (bits >> 10) & 31, fraction = bits & 1023;
    const float sign = (bits & 0x8000) != 0 ? -1.0F : 1.0F;
    if (exponent == 31)
        return fraction ? std::numeric_limits<float>::quiet_NaN() : sign * std::numeric_limits<float>::infinity();
    const int whole = exponent ? 1024 + fraction : fraction;
    return sign * std::ldexp(static_cast<float>(whole), exponent ? exponent - 25 : -24);
}

}  // namespace onepass
