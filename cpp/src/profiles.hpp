// Which of an engine's profiles holds the inputs of a call.
#pragma once

#include <map>

#include "sidecar.hpp"

namespace onepass {

// Shapes of a call's inputs by name; and the values of those that lie on the host, flat.
struct Came {
    std::map<std::string, Shape> shapes, values;
};

// The number of the profile that holds them; of several, the one whose best is nearest. -1 where there is none.
int choose_profile(const std::vector<Profile>& profiles, const Came& came);

// What to say then: what came, and what the engine was built for.
std::string outside_profiles(const std::string& file, const std::vector<Profile>& profiles, const Came& came);

}  // namespace onepass
