#include "inputs.hpp"

#include <algorithm>
#include <map>
#include <tuple>

#include "names.hpp"

namespace onepass {
namespace {

std::string rank_hint(std::size_t came, std::size_t wanted) {
    if (came + 1 == wanted) return "One dimension is missing; for a batch of one, add a leading dimension of size 1";
    return "The rank must be " + std::to_string(wanted) + ", got " + std::to_string(came);
}

// Advice for the most common mistake: channels-last pictures for a channels-first input, or vice versa.
std::string layout_hint(const Shape& came, const TensorSpec& spec) {
    if (came.rank() != 4) return "";
    const auto moved = [&](std::size_t b, std::size_t c, std::size_t d) {
        return Shape{came[0], came[b], came[c], came[d]};
    };
    if (allows(spec, moved(3, 1, 2))) return "; the channels are in another position, transpose to (0, 3, 1, 2)";
    if (allows(spec, moved(2, 3, 1))) return "; the channels are in another position, transpose to (0, 2, 3, 1)";
    return "";
}

std::string complaint(const TensorSpec& spec, const Input& input) {
    const Shape& shape = input.shape();
    const std::string came = "input " + in_quotes(spec.name) + ": expected " + to_string(spec) + ", got " +
                             std::string(name(input.dtype())) + " " + to_string(shape) + ". ";
    if (input.dtype() != spec.dtype) {
        if (spec.dtype == Dtype::string) return came + "The input accepts only strings";
        if (input.dtype() == Dtype::string) return came + "The input accepts only numbers";
        return came + "onepass never converts dtypes silently";
    }
    if (shape.rank() != spec.shape.rank()) return came + rank_hint(shape.rank(), spec.shape.rank());
    std::size_t axis = 0;
    while (spec.shape[axis] < 0 || spec.shape[axis] == shape[axis]) ++axis;
    return came + "Dimension " + std::to_string(axis) + " must be " + std::to_string(spec.shape[axis]) + ", got " +
           std::to_string(shape[axis]) + layout_hint(shape, spec);
}

const Input* found(const Inputs& given, const std::string& name) {
    const auto at = std::find_if(given.begin(), given.end(), [&](const auto& each) { return each.first == name; });
    return at == given.end() ? nullptr : &at->second;
}

void check_names(const std::vector<TensorSpec>& specs, const Inputs& given) {
    const std::vector<std::string> known = names_of(specs);
    std::vector<std::string> came;
    for (const auto& entry : given) {
        const std::string name(entry.first);
        if (std::find(known.begin(), known.end(), name) == known.end())
            throw InputError(no_such_name("input", name, known));
        if (std::find(came.begin(), came.end(), in_quotes(name)) != came.end())
            throw InputError("input " + in_quotes(name) + " is given twice");
        came.push_back(in_quotes(name));
    }
    std::vector<std::string> missing;
    for (const TensorSpec& spec : specs)
        if (!found(given, spec.name)) missing.push_back(in_quotes(spec.name) + " (" + to_string(spec) + ")");
    if (!missing.empty())
        throw InputError("missing input" + std::string(missing.size() > 1 ? "s " : " ") + listed(missing) + "; got " +
                         listed(came) + ". Every call needs all inputs");
}

// A dynamic dimension with the same name in several inputs must have the same size in all of them.
void check_shared(const std::vector<TensorSpec>& specs, const std::vector<const Input*>& feeds) {
    std::map<std::string, std::pair<std::int64_t, std::size_t>> seen;
    for (std::size_t i = 0; i < specs.size(); ++i)
        for (std::size_t axis = 0; axis < specs[i].dim_names.size(); ++axis) {
            const std::string& dim = specs[i].dim_names[axis];
            if (dim.empty()) continue;
            const std::int64_t size = feeds[i]->shape()[axis];
            const auto [first, fresh] = seen.try_emplace(dim, size, i);
            const auto [first_size, from] = first->second;
            if (fresh || size == first_size) continue;
            const auto text = [&](std::size_t k, std::int64_t n) {
                return std::to_string(n) + " in input " + in_quotes(specs[k].name) + " " + to_string(feeds[k]->shape());
            };
            throw InputError("dimension " + dim + " is " + text(from, first_size) + " but " + text(i, size) +
                             "; it must have the same size in all inputs");
        }
}

}  // namespace

bool allows(const TensorSpec& spec, const Shape& shape) {
    if (!spec.has_rank) return true;
    if (shape.rank() != spec.shape.rank()) return false;
    for (std::size_t axis = 0; axis < shape.rank(); ++axis)
        if (spec.shape[axis] >= 0 && spec.shape[axis] != shape[axis]) return false;
    return true;
}

std::vector<std::string> names_of(const std::vector<TensorSpec>& specs) {
    std::vector<std::string> names;
    for (const TensorSpec& spec : specs) names.push_back(spec.name);
    return names;
}

std::vector<const Input*> checked_inputs(const std::vector<TensorSpec>& specs, const Inputs& given) {
    check_names(specs, given);
    std::vector<const Input*> feeds;
    bool shared = false;
    for (const TensorSpec& spec : specs) {
        const Input& input = *found(given, spec.name);
        if (!input.shape().is_known())
            throw InputError("input " + in_quotes(spec.name) + ": the shape has a negative size");
        if (input.dtype() != spec.dtype || !allows(spec, input.shape())) throw InputError(complaint(spec, input));
        if (!input.data() && input.shape().count() > 0)
            throw InputError("input " + in_quotes(spec.name) + ": expected " + to_string(spec) +
                             ", got a null pointer");
        shared = shared || !spec.dim_names.empty();
        feeds.push_back(&input);
    }
    if (shared) check_shared(specs, feeds);
    return feeds;
}

std::vector<std::size_t> checked_names(const std::vector<TensorSpec>& outputs, const Names& wanted) {
    const std::vector<std::string> known = names_of(outputs);
    std::vector<bool> chosen(known.size());
    for (const std::string_view name : wanted) {
        const auto at = std::find(known.begin(), known.end(), name);
        if (at == known.end()) throw OutputNameError(no_such_name("output", name, known));
        chosen[static_cast<std::size_t>(at - known.begin())] = true;
    }
    std::vector<std::size_t> numbers;
    for (std::size_t i = 0; i < chosen.size(); ++i)
        if (chosen[i]) numbers.push_back(i);
    if (numbers.empty()) throw InputError("the call requests no output; the model has " + listed(known));
    return numbers;
}

}  // namespace onepass
