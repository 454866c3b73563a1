// The part of an ONNX model that some of its outputs need.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace onepass {

// The model's bytes without the other outputs, and without the nodes that none of these needs. Nothing where they need
// all of them, or where the bytes are no ONNX model.
std::optional<std::string> part_of(std::string_view model, const std::vector<std::string>& outputs);

}  // namespace onepass
