#include "names.hpp"

#include <algorithm>

namespace onepass {
namespace {

// How many letters two texts have in common, in order: the longest run, and what matches on either side of it.
// That is Ratcliff and Obershelp's measure ("Pattern matching: the gestalt approach", 1988), which Python's difflib
// has.
std::size_t common(std::string_view a, std::string_view b) {
    std::size_t best = 0, at_a = 0, at_b = 0;
    for (std::size_t i = 0; i < a.size(); ++i)
        for (std::size_t j = 0; j < b.size(); ++j) {
            std::size_t run = 0;
            while (i + run < a.size() && j + run < b.size() && a[i + run] == b[j + run]) ++run;
            if (run > best) best = run, at_a = i, at_b = j;
        }
    if (best == 0) return 0;
    return best + common(a.substr(0, at_a), b.substr(0, at_b)) + common(a.substr(at_a + best), b.substr(at_b + best));
}

double likeness(std::string_view a, std::string_view b) {
    const std::size_t both = a.size() + b.size();
    return both ? 2.0 * static_cast<double>(common(a, b)) / static_cast<double>(both) : 1.0;
}

constexpr std::size_t kListed = 20, kLongest = 100;  // of a longer name nothing else is guessed: it takes too long
constexpr double kNear = 0.6;

}  // namespace

std::string in_quotes(std::string_view name) { return "'" + std::string(name) + "'"; }

std::string listed(const std::vector<std::string>& names) {
    std::string text;
    for (const std::string& each : names) text += (text.empty() ? "" : ", ") + each;
    return text.empty() ? "none" : text;
}

std::string no_such_name(const std::string& kind, std::string_view name, const std::vector<std::string>& known) {
    std::string near;
    double nearest = kNear;
    for (const std::string& each : known) {
        if (each.size() > kLongest || name.size() > kLongest) continue;
        if (const double found = likeness(each, name); found > nearest || (near.empty() && found >= kNear))
            nearest = found, near = each;
    }
    const std::vector<std::string> first(known.begin(),
                                         known.begin() + static_cast<std::ptrdiff_t>(std::min(known.size(), kListed)));
    const std::string more = known.size() > kListed ? ", … (" + std::to_string(known.size()) + " in all)" : "";
    return "the model has no " + kind + " " + in_quotes(name) + "." +
           (near.empty() ? "" : " Did you mean " + in_quotes(near) + "?") + " Its " + kind + "s are: " + listed(first) +
           more;
}

}  // namespace onepass
