// Names in messages, and the message for a name that does not exist.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace onepass {

// A name in quotes, as in messages.
std::string in_quotes(std::string_view name);

// Names, separated by commas; "none" for an empty list.
std::string listed(const std::vector<std::string>& names);

// The message for an unknown name: the known names, and which of them was probably meant.
std::string no_such_name(const std::string& kind, std::string_view name, const std::vector<std::string>& known);

}  // namespace onepass
