// What to say of a name that is not there.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace onepass {

// A name as messages have it: in quotes.
std::string in_quotes(std::string_view name);

// Names, with commas; "none" where there are none.
std::string listed(const std::vector<std::string>& names);

// Says that a name is not there, what is there, and which of those was probably meant.
std::string no_such_name(const std::string& kind, std::string_view name, const std::vector<std::string>& known);

}  // namespace onepass
