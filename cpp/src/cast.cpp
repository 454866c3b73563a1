#include "cast.hpp"

#include <cstring>

namespace onepass {
namespace {

template <class T>
struct of {
    using type = T;
};

// Calls with the type that holds a dtype's elements; false for one that no carrier is cast from or to.
template <class F>
bool with_type(Dtype dtype, F call) {
    switch (dtype) {
        case Dtype::float32:
            call(of<float>{});
            break;
        case Dtype::float64:
            call(of<double>{});
            break;
        case Dtype::int8:
            call(of<std::int8_t>{});
            break;
        case Dtype::int16:
            call(of<std::int16_t>{});
            break;
        case Dtype::int32:
            call(of<std::int32_t>{});
            break;
        case Dtype::int64:
            call(of<std::int64_t>{});
            break;
        case Dtype::uint8:
            call(of<std::uint8_t>{});
            break;
        case Dtype::uint16:
            call(of<std::uint16_t>{});
            break;
        case Dtype::uint32:
            call(of<std::uint32_t>{});
            break;
        case Dtype::uint64:
            call(of<std::uint64_t>{});
            break;
        case Dtype::boolean:
            call(of<bool>{});
            break;
        default:
            return false;
    }
    return true;
}

template <class To, class From>
bool cast_one(To& to, From from) {
    if constexpr (std::is_same_v<To, bool>) {
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
        throw UnsupportedModelError("onepass does not cast " + std::string(name(from)) + " to " +
                                    std::string(name(to)) + " in C++");
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
