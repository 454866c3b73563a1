// Validates JSON against a JSON Schema, as far as the sidecar's schema requires. That schema is built in from
// src/onepass/engine/sidecar.schema.json.
#pragma once

#include "json.hpp"

namespace onepass {

const Json& sidecar_schema();

// Returns the value with defaults for missing optional keys. Throws JsonError with the key, its value and what was
// expected.
Json completed(const Json& value, const Json& schema);

}  // namespace onepass
