// Arrays in NumPy's .npy files, as far as the examples need them: row by row, little-endian. Texts are '<U'.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <fstream>
#include <iterator>
#include <memory>
#include <onepass/onepass.hpp>
#include <regex>
#include <stdexcept>
#include <string>
#include <vector>

namespace npy {

inline std::string descr(onepass::Dtype dtype) {
    using onepass::Dtype;
    switch (dtype) {
        case Dtype::float32:
            return "<f4";
        case Dtype::float16:
            return "<f2";
        case Dtype::float64:
            return "<f8";
        case Dtype::int8:
            return "|i1";
        case Dtype::int16:
            return "<i2";
        case Dtype::int32:
            return "<i4";
        case Dtype::int64:
            return "<i8";
        case Dtype::uint8:
            return "|u1";
        case Dtype::uint16:
            return "<u2";
        case Dtype::uint32:
            return "<u4";
        case Dtype::uint64:
            return "<u8";
        case Dtype::boolean:
            return "|b1";
        case Dtype::bfloat16:
            return "|V2";  // NumPy has no name for it; ml_dtypes saves it so
        default:
            return "|V1";
    }
}

inline std::u32string decoded(const std::string& text) {  // from sound UTF-8
    std::u32string letters;
    for (std::size_t i = 0; i < text.size();) {
        const auto first = static_cast<unsigned char>(text[i]);
        const std::size_t more = first < 0x80 ? 0 : first < 0xE0 ? 1 : first < 0xF0 ? 2 : 3;
        char32_t letter = more == 0 ? first : first & (0x3FU >> more);
        for (std::size_t k = 1; k <= more && i + k < text.size(); ++k)
            letter = (letter << 6) | (static_cast<unsigned char>(text[i + k]) & 0x3FU);
        letters += letter;
        i += more + 1;
    }
    return letters;
}

inline std::string encoded(const char32_t* letters, std::size_t count) {
    std::string text;
    const auto put = [&](std::uint32_t byte) { text += static_cast<char>(byte); };
    for (std::size_t i = 0; i < count && letters[i]; ++i) {
        const std::uint32_t c = letters[i];
        if (c < 0x80)
            put(c);
        else if (c < 0x800)
            put(0xC0 | (c >> 6)), put(0x80 | (c & 63));
        else if (c < 0x10000)
            put(0xE0 | (c >> 12)), put(0x80 | ((c >> 6) & 63)), put(0x80 | (c & 63));
        else
            put(0xF0 | (c >> 18)), put(0x80 | ((c >> 12) & 63)), put(0x80 | ((c >> 6) & 63)), put(0x80 | (c & 63));
    }
    return text;
}

// One array, read from a file; it owns its elements.
struct Array {
    onepass::Dtype dtype;
    onepass::Shape shape;
    std::vector<char> bytes;
    std::vector<std::string> texts;

    onepass::Input input() const {
        return {dtype, dtype == onepass::Dtype::string ? static_cast<const void*>(texts.data()) : bytes.data(), shape};
    }
};

// `expected` decides between types that NumPy has no name for.
inline Array read(const std::string& path, onepass::Dtype expected) {
    std::ifstream file(path, std::ios::binary);
    const std::string all((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
    if (all.size() < 12 || all.compare(0, 6, "\x93NUMPY") != 0) throw std::runtime_error(path + " is no .npy file");
    const auto byte = [&](std::size_t i) { return static_cast<std::size_t>(static_cast<unsigned char>(all[i])); };
    const bool one = byte(6) == 1;
    const std::size_t start = one ? 10 : 12,
                      length = one ? byte(8) + 256 * byte(9) : byte(8) + 256 * byte(9) + 65536 * byte(10);
    const std::string head = all.substr(start, length);
    std::smatch type, order, sizes;
    if (!std::regex_search(head, type, std::regex("'descr': '([^']+)'")) ||
        !std::regex_search(head, sizes, std::regex("'shape': \\(([^)]*)\\)")) ||
        !std::regex_search(head, order, std::regex("'fortran_order': False")))
        throw std::runtime_error(path + ": expected a plain array, row by row");
    std::vector<std::int64_t> shape;
    const std::string list = sizes[1];
    const std::regex number("[0-9]+");
    for (std::sregex_iterator each(list.begin(), list.end(), number), end; each != end; ++each)
        shape.push_back(std::stoll(each->str()));
    Array array{expected, onepass::Shape(shape), {}, {}};
    array.bytes.assign(all.begin() + static_cast<std::ptrdiff_t>(std::min(start + length, all.size())), all.end());
    const std::string kind = type[1];
    if (kind.rfind("<U", 0) == 0) {
        array.dtype = onepass::Dtype::string;
        const std::size_t width = std::stoul(kind.substr(2));
        std::vector<char32_t> letters(array.bytes.size() / 4 + 1);
        std::copy(array.bytes.begin(), array.bytes.end(), reinterpret_cast<char*>(letters.data()));
        for (std::size_t i = 0; i < array.shape.count(); ++i)
            array.texts.push_back(encoded(letters.data() + i * width, width));
    } else if (kind != descr(expected)) {
        for (int k = 0; k <= static_cast<int>(onepass::Dtype::boolean); ++k)
            if (descr(static_cast<onepass::Dtype>(k)) == kind) array.dtype = static_cast<onepass::Dtype>(k);
        if (descr(array.dtype) != kind) throw std::runtime_error(path + ": a dtype " + kind + " is not taken");
    }
    if (array.dtype != onepass::Dtype::string &&
        array.bytes.size() != array.shape.count() * onepass::size_of(array.dtype))
        throw std::runtime_error(path + " is truncated");
    return array;
}

inline void write(const std::string& path, const onepass::Tensor& tensor) {
    std::string type = descr(tensor.dtype());
    std::vector<std::u32string> texts;
    std::size_t width = 1;
    if (tensor.dtype() == onepass::Dtype::string) {
        for (const std::string& each : tensor.as<std::string>()) texts.push_back(decoded(each));
        for (const std::u32string& each : texts) width = std::max(width, each.size());
        type = "<U" + std::to_string(width);
    }
    std::string sizes;
    for (const std::int64_t size : tensor.shape()) sizes += std::to_string(size) + ", ";
    std::string head = "{'descr': '" + type + "', 'fortran_order': False, 'shape': (" + sizes + "), }";
    head.append(63 - (10 + head.size()) % 64, ' ') += '\n';
    std::ofstream file(path, std::ios::binary);
    file << "\x93NUMPY" << '\x01' << '\0' << static_cast<char>(head.size() % 256)
         << static_cast<char>(head.size() / 256) << head;
    if (tensor.dtype() == onepass::Dtype::string)
        for (std::u32string& each : texts) {
            each.resize(width);
            file.write(reinterpret_cast<const char*>(each.data()), static_cast<std::streamsize>(width * 4));
        }
    else
        file.write(static_cast<const char*>(tensor.data()), static_cast<std::streamsize>(tensor.size_bytes()));
    if (!file) throw std::runtime_error(path + " cannot be written");
}

}  // namespace npy
