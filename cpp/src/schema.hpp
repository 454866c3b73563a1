// JSON held to a JSON Schema, as far as the sidecar's needs that: src/onepass/engine/sidecar.schema.json, built in.
#pragma once

#include "json.hpp"

namespace onepass {

const Json& sidecar_schema();

// The value with defaults for what may be missing. Throws JsonError: which key, what came, and what was expected.
Json completed(const Json& value, const Json& schema);

}  // namespace onepass
