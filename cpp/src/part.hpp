// The part of an ONNX model that is needed for some of its outputs.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace onepass {

// Returns the model's bytes without the other outputs, and without nodes that `outputs` do not need. Returns nothing if
// all nodes are needed, or if the bytes are not an ONNX model.
std::optional<std::string> part_of(std::string_view model, const std::vector<std::string>& outputs);

}  // namespace onepass
