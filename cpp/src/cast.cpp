#include "cast.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <type_traits>

namespace onepass {
namespace {

template <class T>
struct of {
    using type = T;
};

// Calls with the type that holds a dtype's elements; false for one that no carrier is cast from or to.
template <class F>
bool with_type(Dtype dtype, F call) {
    const auto called = [&](auto tag) { return call(tag), true; };
    switch (dtype) {
        case Dtype::float32:
            return called(of<float>{});
        case Dtype::float16:
            return called(of<float16>{});
        case Dtype::bfloat16:
            return called(of<bfloat16>{});
        case Dtype::float64:
            return called(of<double>{});
        case Dtype::int8:
            return called(of<std::int8_t>{});
        case Dtype::int16:
            return called(of<std::int16_t>{});
        case Dtype::int32:
            return called(of<std::int32_t>{});
        case Dtype::int64:
            return called(of<std::int64_t>{});
        case Dtype::uint8:
            return called(of<std::uint8_t>{});
        case Dtype::uint16:
            return called(of<std::uint16_t>{});
        case Dtype::uint32:
            return called(of<std::uint32_t>{});
        case Dtype::uint64:
            return called(of<std::uint64_t>{});
        case Dtype::boolean:
            return called(of<bool>{});
        default:
            return false;
    }
}

template <class T>
constexpr bool is_short = std::is_same_v<T, float16> || std::is_same_v<T, bfloat16>;

// The nearest number of a format of 16 bits, of two that are as near the even one; infinity beyond the largest.
template <class Short>
Short shortened(double value) {
    constexpr bool is_half = std::is_same_v<Short, float16>;
    constexpr int fraction = is_half ? 10 : 7, least = is_half ? -14 : -126;  // bits; exponent of what is not subnormal
    constexpr std::uint16_t infinity = is_half ? 0x7C00 : 0x7F80;
    const std::uint16_t sign = std::signbit(value) ? 0x8000 : 0;
    const auto made = [&](std::uint32_t bits) { return Short{static_cast<std::uint16_t>(sign | bits)}; };
    if (std::isnan(value)) return made(infinity | (1U << (fraction - 1)));
    if (std::isinf(value)) return made(infinity);
    const int exponent = value == 0 ? least : std::max(std::ilogb(value), least);
    if (exponent > -least + 1) return made(infinity);
    const double steps = std::nearbyint(std::ldexp(std::abs(value), fraction - exponent));
    // What rounds up to the next power of two carries into the exponent.
    const auto bits = (static_cast<std::uint32_t>(exponent - least) << fraction) + static_cast<std::uint32_t>(steps);
    return made(std::min<std::uint32_t>(bits, infinity));
}

template <class To, class From>
bool cast_one(To& to, From from) {
    if constexpr (is_short<From>) {
        return cast_one(to, static_cast<float>(from));
    } else if constexpr (is_short<To>) {
        to = shortened<To>(static_cast<double>(from));
        return true;
    } else if constexpr (std::is_same_v<To, bool>) {
        to = from != From{};
        return true;
    } else if constexpr (std::is_floating_point_v<To>) {
        to = static_cast<To>(from);
        return true;
    } else if constexpr (std::is_floating_point_v<From>) {
        // Beyond these a cast has no meaning in C++; what lies between loses its fraction, as in NumPy.
        constexpr double top = 18446744073709551616.0 / (std::is_signed_v<To> ? 2 : 1);
        const double value = static_cast<double>(from),
                     most = top / static_cast<double>(std::uint64_t{1} << (64 - 8 * sizeof(To)));
        const bool fits = value > (std::is_signed_v<To> ? -most - 1 : -1.0) && value < most;
        to = fits ? static_cast<To>(from) : To{};
        return fits;
    } else {
        to = static_cast<To>(from);
        return static_cast<From>(to) == from && (to < To{}) == (from < From{});
    }
}

}  // namespace

bool cast(Dtype to, void* target, Dtype from, const void* source, std::size_t count) {
    bool fits = true;
    const auto refuse = [&] {
        throw UnsupportedModelError("onepass cannot cast " + std::string(name(from)) + " to " + std::string(name(to)) +
                                    " in C++");
    };
    const bool known = with_type(from, [&](auto from_tag) {
        using From = typename decltype(from_tag)::type;
        const auto cast_to = [&](auto to_tag) {
            using To = typename decltype(to_tag)::type;
            for (std::size_t i = 0; i < count; ++i) {
                From one{};
                To other{};
                std::memcpy(&one, static_cast<const char*>(source) + i * sizeof one, sizeof one);
                fits = cast_one(other, one) && fits;
                std::memcpy(static_cast<char*>(target) + i * sizeof other, &other, sizeof other);
            }
        };
        if (!with_type(to, cast_to)) refuse();
    });
    if (!known) refuse();
    return fits;
}

}  // namespace onepass
