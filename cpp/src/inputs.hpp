// Checks the arguments of a call, so that backends need not.
#pragma once

#include <vector>

#include "onepass/onepass.hpp"

namespace onepass {

// Returns the inputs in the model's order. Throws InputError if an input is missing, unknown or given twice, or if its
// dtype or shape is wrong.
std::vector<const Input*> checked_inputs(const std::vector<TensorSpec>& specs, const Inputs& given);

// Returns the indices of the requested outputs in the model's order, without duplicates. Throws OutputNameError if an
// output does not exist, and InputError if none is requested.
std::vector<std::size_t> checked_names(const std::vector<TensorSpec>& outputs, const Names& wanted);

// Whether an input or output may have a shape.
bool allows(const TensorSpec& spec, const Shape& shape);

std::vector<std::string> names_of(const std::vector<TensorSpec>& specs);

}  // namespace onepass
