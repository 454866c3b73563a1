// The memory that a caller brings for results, and the shapes of the inputs that it asks for.
#pragma once

#include "backend.hpp"

namespace onepass {

// Puts the call's targets into the request. Throws InputError or OutputNameError: one does not fit, or is not for it.
void check_targets(const std::vector<TensorSpec>& outputs, const Targets& out, Request& request);

// Copies results to where the caller wants them on the host. All are compared first, so that nothing is written where
// one does not fit: InputError.
void fill_targets(const Request& request, std::vector<Tensor>& tensors);

void check_target_shape(const std::string& name, const Target& target, const Shape& came);  // InputError

// The shape of every input: those given, and those that are fixed anyway. InputError.
std::vector<Shape> full_shapes(const std::vector<TensorSpec>& inputs, const Shapes& given);

}  // namespace onepass
