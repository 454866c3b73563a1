// The layout of several tensors in one block of memory.
#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <vector>

#include "onepass/tensors.hpp"

namespace onepass {

inline std::size_t bytes_of(const Shape& shape, Dtype dtype) { return shape.count() * size_of(dtype); }

struct Place {
    std::size_t edge, offset, bytes;
    Shape shape;
};

struct Block {
    static constexpr std::size_t kAlignment = 256;

    std::vector<Place> places;
    std::size_t bytes = 0;

    void add(std::size_t edge, const Shape& shape, Dtype dtype) {
        const std::size_t offset = (bytes + kAlignment - 1) / kAlignment * kAlignment;
        places.push_back({edge, offset, bytes_of(shape, dtype), shape});
        bytes = offset + std::max<std::size_t>(places.back().bytes, 1);  // empty tensors get unique addresses, too
    }
    const Place* find(std::size_t edge) const {
        for (const Place& each : places)
            if (each.edge == edge) return &each;
        return nullptr;
    }
};

inline std::shared_ptr<void> plain_block(std::size_t bytes) {
    return {::operator new(std::max<std::size_t>(bytes, 1)), [](void* block) { ::operator delete(block); }};
}

inline void* at(void* base, std::size_t offset) { return static_cast<char*>(base) + offset; }

}  // namespace onepass
