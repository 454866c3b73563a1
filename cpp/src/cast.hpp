// Casts between the model's dtypes and the engine's dtypes (a sidecar's carriers).
#pragma once

#include "onepass/onepass.hpp"

namespace onepass {

// Casts `count` elements to another dtype; returns false if a value does not fit. Throws UnsupportedModelError if the
// cast is not supported.
bool cast(Dtype to, void* target, Dtype from, const void* source, std::size_t count);

}  // namespace onepass
