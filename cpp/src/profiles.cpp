#include "profiles.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "names.hpp"

namespace onepass {
namespace {

bool contains(const Range& range, const Shape& shape) {
    if (shape.rank() != range.min.rank()) return false;
    for (std::size_t axis = 0; axis < shape.rank(); ++axis)
        if (shape[axis] < range.min[axis] || shape[axis] > range.max[axis]) return false;
    return true;
}

// Distance of a shape from the optimal one, by the logarithm of its sizes; infinity if the shape is out of range.
double distance(const std::map<std::string, Range>& ranges, const std::map<std::string, Shape>& came) {
    const auto logarithm = [](std::int64_t size) {
        return std::log1p(static_cast<double>(std::max<std::int64_t>(size, 0)));
    };
    double sum = 0;
    for (const auto& [name, range] : ranges) {
        const auto found = came.find(name);
        if (found == came.end()) continue;
        const Shape& shape = found->second;
        if (!contains(range, shape)) return std::numeric_limits<double>::infinity();
        for (std::size_t axis = 0; axis < shape.rank(); ++axis)
            sum += std::abs(logarithm(range.opt[axis]) - logarithm(shape[axis]));
    }
    return sum;
}

std::string text_of(const Range& range) {
    std::string text;
    for (std::size_t axis = 0; axis < range.min.rank(); ++axis) {
        const std::string least = std::to_string(range.min[axis]), most = std::to_string(range.max[axis]);
        text += axis ? ", " : "";
        text += least;
        if (least != most) text.append("…").append(most);
    }
    return "[" + text + "]";
}

}  // namespace

int choose_profile(const std::vector<Profile>& profiles, const Came& came) {
    int best = -1;
    double nearest = std::numeric_limits<double>::infinity();
    for (std::size_t i = 0; i < profiles.size(); ++i) {
        const double found = distance(profiles[i].shapes, came.shapes) + distance(profiles[i].values, came.values);
        if (found < nearest) nearest = found, best = static_cast<int>(i);
    }
    return best;
}

std::string outside_profiles(const std::string& file, const std::vector<Profile>& profiles, const Came& came) {
    std::vector<std::string> got;
    for (const auto& [name, shape] : came.shapes) got.push_back(name + " " + to_string(shape));
    for (const auto& [name, values] : came.values) got.push_back(name + " = " + to_string(values));
    std::string built;
    for (const Profile& profile : profiles) {
        std::vector<std::string> parts;
        for (const auto& [name, range] : profile.shapes) parts.push_back(name + " " + text_of(range));
        for (const auto& [name, range] : profile.values) parts.push_back(name + " = " + text_of(range));
        built += (built.empty() ? "" : " or ") + listed(parts);
    }
    return file + ": got " + listed(got) + ", but the engine was built for " + built +
           ". Use smaller batches, or build the engine with a larger range";
}

}  // namespace onepass
