// Checks the caller's memory for results, and the requested input shapes.
#pragma once

#include "backend.hpp"

namespace onepass {

// Adds the call's targets to the request. Throws InputError if a target does not fit or its output is not requested,
// and OutputNameError if the model has no such output.
void check_targets(const std::vector<TensorSpec>& outputs, const Targets& out, Request& request);

// Copies results to the caller's targets on the host. All targets are checked first: if one does not fit, nothing is
// written, and InputError is thrown.
void fill_targets(const Request& request, std::vector<Tensor>& tensors);

void check_target_shape(const std::string& name, const Target& target, const Shape& came);  // throws InputError

// Returns the shapes of all inputs: the given shapes, and fixed shapes from the model. Throws InputError.
std::vector<Shape> full_shapes(const std::vector<TensorSpec>& inputs, const Shapes& given);

}  // namespace onepass
