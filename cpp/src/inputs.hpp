// What a caller hands to a session, checked so that a backend need not.
#pragma once

#include <vector>

#include "onepass/onepass.hpp"

namespace onepass {

// The inputs in the model's order. Throws InputError: one is missing, unknown or twice, or of another dtype or shape.
std::vector<const Input*> checked_inputs(const std::vector<TensorSpec>& specs, const Inputs& given);

// The numbers of the outputs asked for, in the model's order, each once. Throws OutputNameError.
std::vector<std::size_t> checked_names(const std::vector<TensorSpec>& outputs, const Names& wanted);

std::vector<std::string> names_of(const std::vector<TensorSpec>& specs);

}  // namespace onepass
