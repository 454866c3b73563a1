// Elements turned into another dtype, as a sidecar's carriers ask.
#pragma once

#include "onepass/onepass.hpp"

namespace onepass {

// Writes `count` elements as another dtype; false where one does not fit. Throws UnsupportedModelError.
bool cast(Dtype to, void* target, Dtype from, const void* source, std::size_t count);

}  // namespace onepass
