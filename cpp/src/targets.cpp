#include "targets.hpp"

#include <algorithm>
#include <cstring>
#include <functional>

#include "inputs.hpp"
#include "names.hpp"

namespace onepass {
namespace {

std::string intro(const std::string& name) { return "out " + in_quotes(name) + ": "; }

void check_target(const TensorSpec& spec, const Target& target) {
    if (target.dtype() != spec.dtype || !target.shape().is_known() || !allows(spec, target.shape()))
        throw InputError(intro(spec.name) + "expected " + to_string(spec) + ", got " +
                         std::string(name(target.dtype())) + " " + to_string(target.shape()));
    if (!target.data() && target.shape().count() > 0)
        throw InputError(intro(spec.name) + "expected " + to_string(spec) + ", got a null pointer");
}

bool overlap(const Target& a, const Target& b) {
    const auto* first = static_cast<const char*>(a.data());
    const auto* second = static_cast<const char*>(b.data());
    const std::less<> before;  // of addresses that have nothing to do with each other
    return before(first, second + b.size_bytes()) && before(second, first + a.size_bytes());
}

void fill(const Target& target, const Tensor& tensor) {
    const std::size_t count = tensor.shape().count();
    if (tensor.dtype() == Dtype::string)
        std::copy_n(static_cast<const std::string*>(tensor.data()), count, static_cast<std::string*>(target.data()));
    else if (count > 0)
        std::memcpy(target.data(), tensor.data(), tensor.size_bytes());
}

}  // namespace

void check_targets(const std::vector<TensorSpec>& outputs, const Targets& out, Request& request) {
    request.targets.assign(request.wanted.size(), nullptr);
    for (const auto& [given, target] : out) {
        const std::size_t number = checked_names(outputs, {given})[0];
        const TensorSpec& spec = outputs[number];
        const auto found = std::find(request.wanted.begin(), request.wanted.end(), number);
        if (found == request.wanted.end()) throw InputError(intro(spec.name) + "the call does not request this output");
        const auto index = static_cast<std::size_t>(found - request.wanted.begin());
        if (request.targets[index]) throw InputError(intro(spec.name) + "it is given twice");
        check_target(spec, target);
        if (request.stays && !target.on_gpu())
            throw InputError(intro(spec.name) + "got host memory, but the outputs of this call stay on the GPU; " +
                             "pass GPU memory, Target::gpu(...)");
        request.targets[index] = &target;
        for (const auto& [other, second] : out)
            if (&second != &target && overlap(target, second))
                throw InputError("out has the same memory for " + in_quotes(given) + " and " + in_quotes(other) +
                                 "; each output needs its own array");
    }
}

void check_target_shape(const std::string& name, const Target& target, const Shape& came) {
    if (target.shape() != came)
        throw InputError(intro(name) + "expected " + to_string(came) + ", the shape of this call's output, got " +
                         to_string(target.shape()));
}

void fill_targets(const Request& request, std::vector<Tensor>& tensors) {
    if (request.stays) return;  // the backend has filled them
    for (std::size_t i = 0; i < tensors.size(); ++i)
        if (const Target* target = request.targets[i])
            check_target_shape(tensors[i].name(), *target, tensors[i].shape());
    for (std::size_t i = 0; i < tensors.size(); ++i) {
        const Target* target = request.targets[i];
        if (!target) continue;
        fill(*target, tensors[i]);
        tensors[i] = {tensors[i].name(), tensors[i].dtype(), tensors[i].shape(), nullptr, target->data()};
    }
}

std::vector<Shape> full_shapes(const std::vector<TensorSpec>& inputs, const Shapes& given) {
    std::vector<Shape> shapes;
    for (const auto& each : given)
        if (std::none_of(inputs.begin(), inputs.end(), [&](const auto& spec) { return spec.name == each.first; }))
            throw InputError(no_such_name("input", each.first, names_of(inputs)));
    for (const TensorSpec& spec : inputs) {
        const auto found =
            std::find_if(given.begin(), given.end(), [&](const auto& each) { return each.first == spec.name; });
        const std::string input = "input " + in_quotes(spec.name);
        if (found == given.end() && !(spec.has_rank && spec.shape.is_known()))
            throw InputError(input + " (" + to_string(spec) + ") needs a shape: empty_inputs({{" + '"' + spec.name +
                             '"' + ", {...}}})");
        const Shape& shape = found == given.end() ? spec.shape : found->second;
        if (!shape.is_known() || !allows(spec, shape))
            throw InputError(input + ": expected a shape that fits " + to_string(spec) + ", got " + to_string(shape));
        shapes.push_back(shape);
    }
    return shapes;
}

}  // namespace onepass
