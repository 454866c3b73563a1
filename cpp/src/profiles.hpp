// Chooses an engine's optimisation profile for the inputs of a call.
#pragma once

#include <map>

#include "sidecar.hpp"

namespace onepass {

// Shapes of a call's inputs, by name, and flattened values of inputs on the host.
struct Came {
    std::map<std::string, Shape> shapes, values;
};

// Returns the index of the profile that contains these inputs, or -1 if none does. If several do, the one with the
// nearest `opt` is chosen.
int choose_profile(const std::vector<Profile>& profiles, const Came& came);

// The message if no profile contains them: what the call got, and what the engine was built for.
std::string outside_profiles(const std::string& file, const std::vector<Profile>& profiles, const Came& came);

}  // namespace onepass
