// What a caller hands to a session, checked so that a backend need not.
#pragma once

#include <vector>

#include "onepass/onepass.hpp"

namespace onepass {

// The inputs in the model's order. Throws InputError: one is missing, unknown or twice, or of another dtype or shape.
std::vector<const Input*> checked_inputs(const std::vector<TensorSpec>& specs, const Inputs& given);

// The numbers of the outputs asked for, in the model's order, each once. Throws OutputNameError, and InputError where
// it is none.
std::vector<std::size_t> checked_names(const std::vector<TensorSpec>& outputs, const Names& wanted);

// Whether a shape is one that an input or output may have.
bool allows(const TensorSpec& spec, const Shape& shape);

std::vector<std::string> names_of(const std::vector<TensorSpec>& specs);

}  // namespace onepass
